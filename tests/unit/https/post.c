/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of the post role against a server in the same loop: what it sends, what it makes of
 * answers, when it asks for a newer token, and what is in doubt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/log.h"
#include "broker/conf/wire.h"
#include "broker/https/document.h"
#include "broker/https/http.h"
#include "broker/https/post.h"
#include "broker/ipc/reply.h"

enum { REPLIES_MAX = 8, ANSWERS_MAX = 16 };

struct world {
	struct event_base *base;
	struct evconnlistener *listener;
	struct bufferevent *open[REPLIES_MAX * 2];
	size_t open_count;
	unsigned port, requests, asked;
	const char *replies[REPLIES_MAX]; /* in turn; "" closes, NULL hangs */
	char last[16384];
	struct post *post;
	struct message *answers[ANSWERS_MAX];
	size_t answer_count;
	uint64_t rejected; /* of the last question to the keeper */
	uint64_t question; /* its id */
	bool mute, idle;   /* the keeper does not answer */
};

/* ---- the server ---- */

static void
on_read(struct bufferevent *b, void *arg)
{
	struct world *w = arg;
	struct evbuffer *in = bufferevent_get_input(b);
	size_t len = evbuffer_get_length(in), want = 0;
	const char *data = (const char *)evbuffer_pullup(in, -1), *reply,
		   *end = memmem(data, len, "\r\n\r\n", 4), *field;

	if (end == NULL)
		return;
	field = memmem(data, len, "Content-Length: ", 16);
	if (field != NULL)
		want = (size_t)strtoul(field + 16, NULL, 10);
	if (len < (size_t)(end + 4 - data) + want)
		return;
	(void)snprintf(w->last, sizeof(w->last), "%.*s", (int)len, data);
	(void)evbuffer_drain(in, len);
	reply = w->replies[w->requests++ % REPLIES_MAX];
	if (reply == NULL)
		return;
	if (*reply == '\0')
		bufferevent_disable(b, EV_READ | EV_WRITE),
		    (void)shutdown(bufferevent_getfd(b), SHUT_RDWR);
	else
		(void)evbuffer_add(bufferevent_get_output(b), reply, strlen(reply));
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t s, struct sockaddr *a, int len, void *arg)
{
	struct world *w = arg;
	struct bufferevent *b = bufferevent_socket_new(w->base, s, BEV_OPT_CLOSE_ON_FREE);

	assert_true(w->open_count < ARRAY_SIZE(w->open));
	w->open[w->open_count++] = b;
	bufferevent_setcb(b, on_read, NULL, NULL, w);
	(void)bufferevent_enable(b, EV_READ | EV_WRITE);
}

/* ---- queue and keeper ---- */

static void
to_queue(void *arg, struct message *m)
{
	struct world *w = arg;
	const char *why;

	assert_non_null(m);
	assert_int_equal(message_check(m, ROLE_POST, ROLE_QUEUE, false, &why), 0);
	assert_true(w->answer_count < ANSWERS_MAX);
	w->answers[w->answer_count++] = m;
}

static void
give_token(struct world *w, uint64_t id, uint64_t generation)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_CREDENTIAL);
	char token[32];
	int len = snprintf(token, sizeof(token), "token-secret-%d", (int)generation);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, "a");
	message_put_str(m, F_KIND, "token");
	message_put_str(m, F_USER_NAME, "a@example.com");
	message_put_u64(m, F_GENERATION, generation);
	message_put_bytes(m, F_SECRET, token, (size_t)len);
	post_message(w->post, m, -1);
}

static struct event *later;
static struct {
	struct world *w;
	uint64_t ids[ANSWERS_MAX];
	size_t count;
} questions;

static void
on_later(evutil_socket_t s, short what, void *arg)
{
	for (size_t i = 0; i < questions.count; i++)
		give_token(questions.w, questions.ids[i], questions.w->rejected + 1);
	questions.count = 0;
}

static bool
to_keeper(void *arg, struct message *m)
{
	static const struct timeval now;
	struct world *w = arg;
	const char *why;

	assert_int_equal(message_check(m, ROLE_POST, ROLE_KEEPER, false, &why), 0);
	assert_int_equal(message_type(m), M_CREDENTIAL_GET);
	w->asked++;
	w->rejected = message_u64(m, F_REJECTED, 0);
	w->question = message_u64(m, F_ID, 0);
	if (!w->mute) {
		questions.w = w;
		questions.ids[questions.count++] = message_u64(m, F_ID, 0);
		(void)event_add(later, &now);
	}
	(void)message_free(m);
	return true;
}

static void
on_idle(void *arg)
{
	((struct world *)arg)->idle = true;
}

static const struct transport_ops ops = {
    .to_queue = to_queue, .to_keeper = to_keeper, .idle = on_idle};

/* ---- the world ---- */

static void
put_block(struct world *w, enum conf_block block, const void *of)
{
	CLEANUP_MESSAGE struct message *m = wire_message(block, of, ROLE_POST);
	const char *why;

	assert_int_equal(message_check(m, ROLE_MAIN, ROLE_POST, false, &why), 0);
	post_message(w->post, m, -1);
}

static void
put_account(struct world *w, const char *name, enum conf_transport transport, enum grant grant)
{
	char endpoint[100];
	const struct conf_account a = {.name = (char *)name,
	    .grant = grant,
	    .transport = transport,
	    .api_endpoint = transport == CONF_TRANSPORT_SMTP ? NULL : endpoint,
	    .mailbox = (char *)"a@example.com",
	    .sessions = 2};

	(void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u/v1.0", w->port);
	put_block(w, CONF_BLOCK_ACCOUNT, &a);
}

static void
put_webhook(struct world *w, const char *name, const char *header)
{
	char url[100];
	int len = snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook/path-secret", w->port);
	struct conf_webhook h = {.name = (char *)name,
	    .url.secret = secret_new(url, (size_t)len),
	    .secret.secret = secret_new("key-secret", 10),
	    .header.secret = secret_new(header, strlen(header))};

	put_block(w, CONF_BLOCK_WEBHOOK, &h);
	(void)secret_free(h.url.secret);
	(void)secret_free(h.secret.secret);
	(void)secret_free(h.header.secret);
}

static void
put_mark(struct world *w, enum message_type type)
{
	CLEANUP_MESSAGE struct message *m = message_new(type);

	message_put_u64(m, F_GENERATION, 1);
	post_message(w->post, m, -1);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	assert_non_null(w);
	w->base = event_base_new();
	w->listener = evconnlistener_new_bind(
	    w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, 16, (struct sockaddr *)&a, sizeof(a));
	assert_non_null(w->listener);
	assert_int_equal(
	    getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	later = evtimer_new(w->base, on_later, NULL);
	questions.count = 0;
	w->post = post_new(w->base, &ops, w);
	assert_non_null(w->post);
	put_mark(w, M_CONF_BEGIN);
	put_account(w, "a", CONF_TRANSPORT_GRAPH, GRANT_AUTHORIZATION_CODE);
	put_account(w, "app", CONF_TRANSPORT_GRAPH, GRANT_CLIENT_CREDENTIALS);
	put_account(w, "g", CONF_TRANSPORT_GMAIL, GRANT_AUTHORIZATION_CODE);
	put_account(w, "s", CONF_TRANSPORT_SMTP, GRANT_PASSWORD);
	put_webhook(w, "ops", "Authorization: Bearer header-secret");
	put_webhook(w, "broken", "X-One: 1\r\nX-Two: 2");
	put_mark(w, M_CONF_END);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	(void)post_free(w->post);
	for (size_t i = 0; i < w->open_count; i++)
		bufferevent_free(w->open[i]);
	for (size_t i = 0; i < w->answer_count; i++)
		(void)message_free(w->answers[i]);
	evconnlistener_free(w->listener);
	event_free(later);
	event_base_free(w->base);
	free(w);
	return 0;
}

static void
on_too_long(evutil_socket_t s, short what, void *arg)
{
	fail_msg("no answer came");
}

/* Runs the loop until there are this many answers. */
static void
run_to(struct world *w, size_t answers)
{
	static const struct timeval limit = {20, 0};
	struct event *e = evtimer_new(w->base, on_too_long, NULL);

	(void)event_add(e, &limit);
	while (w->answer_count < answers)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	event_free(e);
}

static void
submit_to(struct world *w, uint64_t id, const char *account, const char *second, uint64_t flags,
    const char *body)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_JOB);
	const char *why;

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	message_put_str(m, F_SENDER, "a@example.com");
	message_put_u64(m, F_SIZE, strlen(body));
	message_put_u64(m, F_FLAGS, flags);
	message_put_str(m, F_RCPT, "b@example.net");
	message_put_str(m, F_RCPT_PARAMS, "");
	message_put_str(m, F_RCPT, second);
	message_put_str(m, F_RCPT_PARAMS, "");
	message_put_bytes(m, F_BODY, body, strlen(body));
	assert_int_equal(message_check(m, ROLE_QUEUE, ROLE_POST, false, &why), 0);
	post_message(w->post, m, -1);
}

static void
submit(struct world *w, uint64_t id, const char *account, const char *body)
{
	submit_to(w, id, account, "c@example.net", 0, body);
}

/* The result for both recipients, which must be the same. */
static struct smtp_reply
result_of(const struct message *m)
{
	struct smtp_reply first = {0}, second = {0};
	const uint8_t *bytes;
	size_t at = 0, len;

	assert_int_equal(message_type(m), M_JOB_DONE);
	assert_true(message_next(m, F_RESULT, &at, &bytes, &len));
	assert_int_equal(reply_get(bytes, len, &first), 0);
	assert_true(message_next(m, F_RESULT, &at, &bytes, &len));
	assert_int_equal(reply_get(bytes, len, &second), 0);
	assert_int_equal(first.code, second.code);
	smtp_reply_clear(&second);
	return first;
}

static const char message_text[] = "From: a@example.com\r\nTo: b@example.net\r\n\r\nhello\r\n";

#define ACCEPTED "HTTP/1.1 202 Accepted\r\nrequest-id: r-1\r\nContent-Length: 0\r\n\r\n"
#define REFUSED_TOKEN                                                                  \
	"HTTP/1.1 401 Unauthorized\r\nContent-Length: 62\r\n\r\n{\"error\":{\"code\":" \
	"\"InvalidAuthenticationToken\",\"message\":\"no\"}}"

/* ---- tests ---- */

static void
test_graph_accepts(void **state)
{
	struct world *w = *state;
	const struct message *m;
	struct smtp_reply r;

	for (size_t i = 0; i < REPLIES_MAX; i++)
		w->replies[i] = ACCEPTED;
	submit(w, 7, "a", message_text);
	run_to(w, 1);
	m = w->answers[0];
	r = result_of(m);
	assert_int_equal(message_u64(m, F_ID, 0), 7);
	assert_int_equal(r.code, 250);
	assert_string_equal(r.text, "accepted by Microsoft Graph, request-id r-1");
	smtp_reply_clear(&r);
	assert_memory_equal(w->last, "POST /v1.0/me/sendMail HTTP/1.1\r\n", 33);
	assert_non_null(strstr(w->last, "Authorization: Bearer token-secret-1\r\n"));
	assert_non_null(strstr(w->last, "Content-Type: text/plain\r\n"));
	/* base64 of "Bcc: <c@example.net>\r\nFrom..." */
	assert_non_null(strstr(w->last, "\r\n\r\nQmNjOiA8Y0BleGFtcGxlLm5ldD4NCkZyb206"));
	assert_non_null(strstr(message_str(m, F_TRANSCRIPT), "<token, 14 octets>"));
	assert_non_null(strstr(message_str(m, F_TRANSCRIPT), "1 recipient in no header field"));
	assert_null(strstr(message_str(m, F_TRANSCRIPT), "token-secret"));
	assert_string_equal(message_str(m, F_MECHANISM), "Bearer");
	/* another message goes over the same connection */
	submit(w, 8, "a", message_text);
	run_to(w, 2);
	assert_int_equal(w->open_count, 1);
	assert_int_equal(w->requests, 2);
}

/* An API says nothing of addresses outside ASCII: a domain has a form within it, a local part has none. */
static void
test_addresses_outside_ascii(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	w->replies[0] = ACCEPTED;
	submit_to(w, 1, "a",
	    "c@b\xc3\xbc"
	    "cher.example",
	    JOB_SMTPUTF8, message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.code, 250);
	smtp_reply_clear(&r);
	assert_non_null(
	    strstr(w->last, "\r\n\r\nQmNjOiA8Y0B4bi0tYmNoZXIta3ZhLmV4YW1wbGU+DQpGcm9tOiBh"));
	submit_to(w, 2, "a", "\xc3\xa4@example.net", JOB_SMTPUTF8, message_text);
	run_to(w, 2);
	r = result_of(w->answers[1]);
	assert_int_equal(r.fault, SMTP_FAULT_NO_SMTPUTF8);
	smtp_reply_clear(&r);
}

static void
test_paths(void **state)
{
	struct world *w = *state;

	w->replies[0] = ACCEPTED;
	submit(w, 1, "app", message_text);
	run_to(w, 1);
	assert_memory_equal(w->last, "POST /v1.0/users/a%40example.com/sendMail HTTP/1.1\r\n", 51);
	w->replies[1] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"18f\"}";
	submit(w, 2, "g", message_text);
	run_to(w, 2);
	assert_memory_equal(
	    w->last, "POST /v1.0/upload/gmail/v1/users/me/messages/send?uploadType=media", 66);
	assert_non_null(strstr(w->last, "Content-Type: message/rfc822\r\n"));
	assert_non_null(strstr(w->last, "\r\n\r\nBcc: <c@example.net>\r\nFrom: a@example.com\r\n"));
}

/* A refused token is replaced once; a second refusal is told. */
static void
test_token_refused(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	w->replies[0] = REFUSED_TOKEN;
	w->replies[1] = ACCEPTED;
	w->replies[2] = w->replies[3] = REFUSED_TOKEN;
	submit(w, 1, "a", message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.code, 250);
	smtp_reply_clear(&r);
	assert_int_equal(w->asked, 2);
	assert_int_equal(w->rejected, 1);
	assert_non_null(strstr(w->last, "Bearer token-secret-2\r\n"));
	submit(w, 2, "a", message_text);
	run_to(w, 2);
	r = result_of(w->answers[1]);
	assert_int_equal(r.code, 401);
	assert_int_equal(r.stage, SMTP_STAGE_API);
	smtp_reply_clear(&r);
	assert_int_equal(w->requests, 4);
}

/* Told to wait, the account's other messages go back untried. */
static void
test_throttled(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;
	unsigned untried = 0, told = 0;

	for (size_t i = 0; i < REPLIES_MAX; i++)
		w->replies[i] =
		    "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: "
		    "0\r\n\r\n";
	for (uint64_t id = 1; id <= 6; id++)
		submit(w, id, "a", message_text);
	run_to(w, 6);
	for (size_t i = 0; i < 6; i++) {
		if (message_u64(w->answers[i], F_FLAGS, 0) == JOB_UNTRIED) {
			untried++;
			continue;
		}
		r = result_of(w->answers[i]);
		assert_int_equal(r.code, 429);
		assert_int_equal(r.retry_after, 17);
		smtp_reply_clear(&r);
		told++;
	}
	assert_int_equal(told, 2);
	assert_int_equal(untried, 4);
}

/* All of the message went out and nobody answered: it may have been sent. */
static void
test_in_doubt(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	w->replies[0] = "";
	submit(w, 1, "a", message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.code, 0);
	assert_true(r.in_doubt);
	assert_int_equal(r.fault, SMTP_FAULT_CLOSED);
	assert_int_equal(r.stage, SMTP_STAGE_EOM);
	smtp_reply_clear(&r);
	assert_int_equal(w->requests, 1); /* and it was not sent twice */
}

/* A server that repeats what it was sent: the token stays out of all that is told of it. */
static void
test_token_repeated(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	w->replies[0] =
	    "HTTP/1.1 400 Bad Request\r\nContent-Length: 72\r\n\r\n{\"error\":{\"code\":"
	    "\"BadRequest\",\"message\":\"Bearer token-secret-1 is odd\"}}";
	submit(w, 1, "a", message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.code, 400);
	assert_string_equal(r.text, "BadRequest: Bearer ************** is odd");
	smtp_reply_clear(&r);
	assert_non_null(strstr(message_str(w->answers[0], F_TRANSCRIPT), "Bearer **************"));
	assert_null(strstr(message_str(w->answers[0], F_TRANSCRIPT), "token-secret"));
}

/* A header section without end ends the request, not our memory. */
static void
test_endless_header(void **state)
{
	static char reply[400 * 1024] = "HTTP/1.1 202 Accepted\r\n";
	struct world *w = *state;
	struct smtp_reply r;

	for (size_t at = strlen(reply); at + 1100 < sizeof(reply);)
		at += (size_t)snprintf(reply + at, sizeof(reply) - at, "X-%zu: %01000d\r\n", at, 0);
	w->replies[0] = reply;
	submit(w, 1, "a", message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.fault, SMTP_FAULT_PROTOCOL);
	assert_non_null(strstr(r.text, "longer than 256 kB"));
	assert_true(r.in_doubt);
	smtp_reply_clear(&r);
}

static void
test_not_in_doubt(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	evconnlistener_disable(w->listener);
	evconnlistener_free(w->listener);
	w->listener = NULL;
	submit(w, 1, "a", message_text);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.fault, SMTP_FAULT_REFUSED);
	assert_int_equal(r.stage, SMTP_STAGE_CONNECT);
	assert_false(r.in_doubt);
	smtp_reply_clear(&r);
	w->listener = evconnlistener_new(w->base, on_accept, w, 0, 0, -1);
}

static void
test_envelope_mismatch(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;

	submit(w, 1, "a", "To: b@example.net, stranger@example.org\r\n\r\nx\r\n");
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.fault, SMTP_FAULT_API_ENVELOPE);
	assert_non_null(strstr(r.text, "stranger@example.org"));
	smtp_reply_clear(&r);
	assert_int_equal(w->requests + w->asked, 0);
}

static void
test_unknown_accounts(void **state)
{
	struct world *w = *state;

	submit(w, 1, "s", message_text);
	submit(w, 2, "nobody", message_text);
	run_to(w, 2);
	assert_int_equal(message_u64(w->answers[0], F_FLAGS, 0), JOB_UNTRIED);
	assert_int_equal(message_u64(w->answers[1], F_FLAGS, 0), JOB_UNTRIED);
}

static void
test_no_token(void **state)
{
	struct world *w = *state;
	CLEANUP_MESSAGE struct message *m = message_new(M_CREDENTIAL_FAILED);
	struct smtp_reply r;

	w->mute = true;
	submit(w, 1, "a", message_text);
	message_put_u64(m, F_ID, 1);
	message_put_str(m, F_ACCOUNT, "a");
	message_put_str(m, F_STATE, "needs-authorization");
	message_put_str(m, F_ERROR, "The consent was revoked.");
	post_message(w->post, m, -1);
	run_to(w, 1);
	r = result_of(w->answers[0]);
	assert_int_equal(r.fault, SMTP_FAULT_NO_CREDENTIAL);
	assert_int_equal(r.stage, SMTP_STAGE_TOKEN);
	smtp_reply_clear(&r);
	/* a keeper that goes away takes the answer with it */
	submit(w, 2, "a", message_text);
	post_keeper_up(w->post, false);
	run_to(w, 2);
	r = result_of(w->answers[1]);
	assert_int_equal(r.fault, SMTP_FAULT_CREDENTIAL_LATER);
	smtp_reply_clear(&r);
}

/* At the end what hangs is in doubt, what waits is untried, and the role says when it is done. */
static void
test_shut_down(void **state)
{
	struct world *w = *state;
	struct smtp_reply r;
	unsigned in_doubt = 0;

	for (uint64_t id = 1; id <= 4; id++)
		submit(w, id, "a", message_text);
	while (w->requests < 2)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	post_shut_down(w->post);
	assert_int_equal(w->answer_count, 2); /* what waited */
	assert_false(w->idle);
	run_to(w, 4);
	assert_true(w->idle);
	for (size_t i = 0; i < 4; i++) {
		if (message_u64(w->answers[i], F_FLAGS, 0) == JOB_UNTRIED)
			continue;
		r = result_of(w->answers[i]);
		in_doubt += r.in_doubt;
		smtp_reply_clear(&r);
	}
	assert_int_equal(in_doubt, 2);
}

static void
call_webhook(struct world *w, uint64_t id, const char *name)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_WEBHOOK);
	const char *why;

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_NAME, name);
	message_put_bytes(m, F_BODY, "{\"event\":1}", 11);
	assert_int_equal(message_check(m, ROLE_QUEUE, ROLE_POST, false, &why), 0);
	post_message(w->post, m, -1);
}

/* The configuration changes while the token is asked for: a request made by halves for either API does
 * not go out. */
static void
test_transport_changes(void **state)
{
	struct world *w = *state;
	uint64_t question;

	w->replies[0] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"18f\"}";
	w->mute = true;
	submit(w, 1, "a", message_text);
	question = w->question;
	put_mark(w, M_CONF_BEGIN);
	put_account(w, "a", CONF_TRANSPORT_GMAIL, GRANT_AUTHORIZATION_CODE);
	put_mark(w, M_CONF_END);
	give_token(w, question, 1);
	run_to(w, 1);
	assert_int_equal(message_u64(w->answers[0], F_FLAGS, 0), JOB_UNTRIED);
	assert_int_equal(w->requests, 0);
	w->mute = false;
	submit(w, 2, "a", message_text);
	run_to(w, 2);
	assert_non_null(strstr(w->last, "POST /v1.0/upload/gmail/"));
}

static void
test_webhook(void **state)
{
	struct world *w = *state;

	w->replies[0] = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
	w->replies[1] = "HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n";
	w->replies[2] = "";
	for (uint64_t id = 1; id <= 3; id++) {
		call_webhook(w, id, "ops");
		run_to(w, id);
		if (id > 1)
			continue;
		assert_memory_equal(w->last, "POST /hook/path-secret HTTP/1.1\r\n", 33);
		assert_non_null(strstr(w->last, "Content-Type: application/json\r\n"));
		assert_non_null(strstr(w->last, "Authorization: Bearer header-secret\r\n"));
		assert_non_null(strstr(w->last, "X-Frank-Signature: t="));
		assert_non_null(strstr(w->last, "\r\n\r\n{\"event\":1}"));
		assert_int_equal(strspn(strstr(w->last, ",v1=") + 4, "0123456789abcdef"), 64);
	}
	call_webhook(w, 4, "nobody");
	call_webhook(w, 5, "broken");
	run_to(w, 5);
	assert_int_equal(message_u64(w->answers[0], F_HTTP_STATUS, 0), 204);
	assert_int_equal(message_u64(w->answers[1], F_HTTP_STATUS, 0), 503);
	assert_int_equal(message_u64(w->answers[1], F_RETRY_AFTER, 0), 9);
	assert_false(message_has(w->answers[2], F_HTTP_STATUS));
	assert_non_null(message_str(w->answers[2], F_FAULT));
	assert_null(strstr(message_str(w->answers[2], F_FAULT), "secret"));
	assert_string_equal(
	    message_str(w->answers[3], F_FAULT), "no webhook of that name is configured");
	assert_string_equal(
	    message_str(w->answers[4], F_FAULT), "the webhook's header holds more than one line");
	assert_int_equal(w->requests, 3);
}

int
main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_graph_accepts),
	    WORLD_TEST(test_addresses_outside_ascii),
	    WORLD_TEST(test_paths),
	    WORLD_TEST(test_token_refused),
	    WORLD_TEST(test_throttled),
	    WORLD_TEST(test_in_doubt),
	    WORLD_TEST(test_not_in_doubt),
	    WORLD_TEST(test_token_repeated),
	    WORLD_TEST(test_endless_header),
	    WORLD_TEST(test_envelope_mismatch),
	    WORLD_TEST(test_unknown_accounts),
	    WORLD_TEST(test_no_token),
	    WORLD_TEST(test_shut_down),
	    WORLD_TEST(test_transport_changes),
	    WORLD_TEST(test_webhook),
	};

	log_open("test", LOG_LEVEL_ERROR);
	document_init();
	if (http_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("https/post", tests, NULL, NULL);
}

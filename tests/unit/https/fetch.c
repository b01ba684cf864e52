/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/https/fetch.c and http.c against a server in the same loop that answers
 * rightly and wrongly, by path. What a real server does over TLS is for the integration tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/log.h"
#include "broker/conf/wire.h"
#include "broker/https/document.h"
#include "broker/https/fetch.h"
#include "broker/https/http.h"

struct world {
	unsigned open; /* connections of the server */
	struct event_base *base;
	struct evconnlistener *listener;
	struct fetch *fetch;
	unsigned port;
	unsigned connections, requests;
	char last[8192]; /* the last request, whole */
	struct message *answer;
	unsigned answers;
};

/* ---- the server ---- */

static const struct {
	const char *path, *reply;
} pages[] = {
    {"/token", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sun, 06 Nov 1994 "
	       "08:49:37 GMT\r\n"
	       "Content-Length: 63\r\n\r\n"
	       "{\"access_token\":\"at-1\",\"token_type\":\"Bearer\",\"expires_in\":3600}"},
    {"/refused", "HTTP/1.1 400 Bad "
		 "Request\r\n\r\n{\"error\":\"invalid_grant\",\"error_description\":\"rt-secret-1 "
		 "is unknown\"}"},
    {"/busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: "
	      "17\r\n\r\n{\"error\":\"temporarily_unavailable\"}"},
    {"/down", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\n\r\n<html>down</html>"},
    {"/portal", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Sign in to the hotel "
		"Wi-Fi</html>"},
    {"/proxy", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n<html>"},
    {"/moved", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /token\r\nContent-Length: 0\r\n\r\n"},
    {"/truncated", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"access_token\":\"at-1\"}"},
    {"/nothttp", "220 mail.example.com ESMTP\r\n"},
    {"/drop", ""},
    {"/userinfo", "HTTP/1.1 200 OK\r\n\r\n{\"sub\":\"1\",\"email\":\"billing@example.com\"}"},
    {"/userinfo-no", "HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":\"invalid_token\"}"},
    {"/.well-known/oauth-authorization-server/hop",
	"HTTP/1.1 302 Found\r\nLocation: /hop.json\r\nContent-Length: 0\r\n\r\n"},
    {"/.well-known/oauth-authorization-server/loop",
	"HTTP/1.1 302 Found\r\nLocation: "
	"/.well-known/oauth-authorization-server/loop\r\nContent-Length: 0\r\n\r\n"},
    {"/.well-known/oauth-authorization-server/away",
	"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/x\r\nContent-Length: 0\r\n\r\n"},
    {"/.well-known/oauth-authorization-server/busy", "HTTP/1.1 503 Busy\r\nRetry-After: 5\r\n\r\n"},
};

static void
reply(struct world *w, struct bufferevent *b)
{
	struct evbuffer *out = bufferevent_get_output(b);
	char path[256] = "";
	size_t n;

	n = strcspn(w->last, " ");
	(void)snprintf(
	    path, sizeof(path), "%.*s", (int)strcspn(w->last + n + 1, " "), w->last + n + 1);
	if (strcmp(path, "/big") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\n\r\n");
		for (int i = 0; i < 400; i++)
			evbuffer_add_printf(out, "%01000d", i);
		return;
	}
	if (strcmp(path, "/hop.json") == 0 ||
	    strcmp(path, "/oidc/.well-known/openid-configuration") == 0) {
		evbuffer_add_printf(out,
		    "HTTP/1.1 200 "
		    "OK\r\n\r\n{\"issuer\":\"http://127.0.0.1:%u/%s\",\"token_endpoint\":\"http://"
		    "127.0.0.1:%u/token\"}",
		    w->port, strcmp(path, "/hop.json") == 0 ? "hop" : "oidc", w->port);
		return;
	}
	if (strcmp(path, "/other/.well-known/openid-configuration") == 0) {
		evbuffer_add_printf(out,
		    "HTTP/1.1 200 "
		    "OK\r\n\r\n{\"issuer\":\"https://"
		    "evil.example\",\"token_endpoint\":\"https://evil.example/t\"}");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (strcmp(pages[i].path, path) == 0) {
			evbuffer_add(out, pages[i].reply, strlen(pages[i].reply));
			return;
		}
	}
	evbuffer_add_printf(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

static void
hang_up(struct world *w, struct bufferevent *b)
{
	w->open--;
	bufferevent_free(b);
}

static void on_read(struct bufferevent *b, void *arg);
static void on_event(struct bufferevent *b, short what, void *arg);

/* The good answer keeps its connection, which a client could use again; the others end it. */
static void
on_written(struct bufferevent *b, void *arg)
{
	struct world *w = arg;

	if (strstr(w->last, " /token ") != NULL)
		bufferevent_setcb(b, on_read, NULL, on_event, w);
	else
		hang_up(w, b);
}

static void
on_event(struct bufferevent *b, short what, void *arg)
{
	hang_up(arg, b);
}

static void
on_read(struct bufferevent *b, void *arg)
{
	struct world *w = arg;
	struct evbuffer *in = bufferevent_get_input(b);
	size_t len = evbuffer_get_length(in), want = 0;
	const char *data = (const char *)evbuffer_pullup(in, -1),
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
	w->requests++;
	bufferevent_setcb(b, NULL, on_written, on_event, w);
	reply(w, b);
	if (evbuffer_get_length(bufferevent_get_output(b)) == 0)
		hang_up(w, b);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t s, struct sockaddr *a, int len, void *arg)
{
	struct world *w = arg;
	struct bufferevent *b = bufferevent_socket_new(w->base, s, BEV_OPT_CLOSE_ON_FREE);

	w->connections++;
	w->open++;
	bufferevent_setcb(b, on_read, NULL, on_event, w);
	(void)bufferevent_enable(b, EV_READ | EV_WRITE);
}

/* ---- the keeper ---- */

static int
on_answer(void *arg, struct message *m)
{
	struct world *w = arg;
	const char *why;

	assert_int_equal(message_check(m, ROLE_FETCH, ROLE_KEEPER, false, &why), 0);
	w->answers++;
	(void)message_free(w->answer);
	w->answer = m;
	(void)event_base_loopbreak(w->base);
	return 0;
}

static const struct fetch_ops ops = {.answer = on_answer};

static int
setup(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	struct world *w = calloc(1, sizeof(*w));

	w->base = event_base_new();
	w->listener = evconnlistener_new_bind(
	    w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, 16, (struct sockaddr *)&a, sizeof(a));
	assert_non_null(w->listener);
	assert_int_equal(
	    getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	w->fetch = fetch_new(w->base, &ops, w);
	assert_non_null(w->fetch);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	(void)fetch_free(w->fetch);
	evconnlistener_free(w->listener);
	/* the server's side of the connections that were kept notices that they are closed */
	for (int i = 0; i < 200 && w->open > 0; i++) {
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		(void)usleep(10 * 1000);
	}
	event_base_free(w->base);
	(void)message_free(w->answer);
	free(w);
	return 0;
}

static const struct message *
run(struct world *w, struct message *m)
{
	const struct timeval limit = {.tv_sec = 10};
	unsigned before = w->answers;

	fetch_message(w->fetch, m, -1);
	(void)message_free(m);
	if (w->answers == before) {
		(void)event_base_loopexit(w->base, &limit);
		(void)event_base_dispatch(w->base);
	}
	assert_int_equal(w->answers, before + 1);
	return w->answer;
}

static struct message *
token_request(struct world *w, const char *path, const char *issuer)
{
	struct message *m = message_new(M_TOKEN_REQUEST);
	char url[256] = "";

	if (path != NULL)
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", w->port, path);
	message_put_u64(m, F_ID, 42);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_TOKEN_ENDPOINT, url);
	message_put_str(m, F_CLIENT_ID, "client-1");
	message_put_str(m, F_CLIENT_AUTH, "post");
	message_put_bytes(m, F_CLIENT_SECRET, "pa ss", 5);
	message_put_bytes(m, F_PARAMETER, "grant_type=refresh_token", 24);
	message_put_bytes(m, F_PARAMETER, "refresh_token=rt-secret-1", 25);
	if (issuer != NULL) {
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", w->port, issuer);
		message_put_str(m, F_ISSUER, url);
	}
	return m;
}

/* ---- tests ---- */

static void
test_token(void **state)
{
	struct world *w = *state;
	const struct message *a = run(w, token_request(w, "/token", NULL));

	assert_null(message_str(a, F_FAULT));
	assert_int_equal(message_u64(a, F_ID, 0), 42);
	assert_int_equal(message_u64(a, F_HTTP_STATUS, 0), 200);
	assert_int_equal(message_u64(a, F_EXPIRES_IN, 0), 3600);
	assert_true(
	    message_u64(a, F_SKEW, 0) > 20u * 365 * 24 * 3600); /* the server lives in 1994 */
	assert_true(message_has(a, F_ACCESS_TOKEN));
	assert_non_null(strstr(w->last, "POST /token HTTP/1.1\r\n"));
	assert_non_null(strstr(w->last, "\r\nUser-Agent: Frank/"));
	assert_non_null(strstr(w->last, "\r\nAccept: application/json\r\n"));
	assert_non_null(strstr(w->last, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_null(strstr(w->last, "\r\nOrigin:"));
	assert_null(strstr(w->last, "\r\nExpect:"));
	assert_non_null(strstr(w->last, "\r\n\r\ngrant_type=refresh_token&refresh_token=rt-secret-"
					"1&client_id=client-1&client_secret=pa%20ss"));
	/* a connection of its own every time: curl repeats requests only on connections that it
	 * kept */
	(void)run(w, token_request(w, "/token", NULL));
	assert_int_equal(w->connections, 2);
	assert_int_equal(w->requests, 2);
}

static void
test_refusals(void **state)
{
	struct world *w = *state;
	const struct message *a = run(w, token_request(w, "/refused", NULL));

	assert_string_equal(message_str(a, F_OAUTH_ERROR), "invalid_grant");
	assert_string_equal(message_str(a, F_TEXT), "[redacted] is unknown");
	assert_int_equal(message_u64(a, F_HTTP_STATUS, 0), 400);
	a = run(w, token_request(w, "/busy", NULL));
	assert_string_equal(message_str(a, F_OAUTH_ERROR), "temporarily_unavailable");
	assert_int_equal(message_u64(a, F_RETRY_AFTER, 0), 17);
}

static void
expect_fault(struct world *w, const char *path, const char *part, uint64_t status)
{
	unsigned before = w->requests;
	const struct message *a = run(w, token_request(w, path, NULL));

	print_message("%s: %s\n", path, message_str(a, F_FAULT));
	assert_non_null(message_str(a, F_FAULT));
	assert_non_null(strstr(message_str(a, F_FAULT), part));
	assert_non_null(strstr(message_str(a, F_FAULT), "127.0.0.1"));
	assert_null(strstr(message_str(a, F_FAULT), "rt-secret"));
	assert_int_equal(message_u64(a, F_HTTP_STATUS, 0), status);
	assert_false(message_has(a, F_ACCESS_TOKEN));
	assert_int_equal(w->requests, before + 1); /* never twice */
}

static void
test_faults(void **state)
{
	struct world *w = *state;
	const struct message *a;

	expect_fault(w, "/portal", "a captive portal", 200);
	expect_fault(w, "/down", "answered 503", 503);
	assert_int_equal(message_u64(w->answer, F_RETRY_AFTER, 0), 9);
	expect_fault(w, "/proxy", "a proxy", 407);
	expect_fault(w, "/moved", "not followed", 307);
	expect_fault(w, "/truncated", "before its answer was complete", 0);
	expect_fault(w, "/drop", "before its answer was complete", 0);
	expect_fault(w, "/big", "longer than 256 kB", 0);
	expect_fault(w, "/nothttp", "", 0);
	/* nobody listens there */
	{
		struct message *m = message_new(M_TOKEN_REQUEST);

		message_put_u64(m, F_ID, 1);
		message_put_str(m, F_ACCOUNT, "a");
		message_put_str(m, F_TOKEN_ENDPOINT, "http://127.0.0.1:1/t");
		message_put_str(m, F_CLIENT_ID, "c");
		message_put_str(m, F_CLIENT_AUTH, "none");
		a = run(w, m);
		assert_string_equal(
		    message_str(a, F_FAULT), "no connection to 127.0.0.1:1: Connection refused");
	}
	/* never in clear to another machine */
	{
		struct message *m = message_new(M_TOKEN_REQUEST);

		message_put_u64(m, F_ID, 1);
		message_put_str(m, F_ACCOUNT, "a");
		message_put_str(m, F_TOKEN_ENDPOINT, "http://login.example.com/t");
		message_put_str(m, F_CLIENT_ID, "c");
		message_put_str(m, F_CLIENT_AUTH, "none");
		a = run(w, m);
		assert_non_null(strstr(message_str(a, F_FAULT), "loopback only"));
	}
}

static struct message *
discover(struct world *w, const char *path)
{
	struct message *m = message_new(M_DISCOVER);
	char url[256];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", w->port, path);
	message_put_u64(m, F_ID, 43);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_ISSUER, url);
	return m;
}

static void
test_discovery(void **state)
{
	struct world *w = *state;
	const struct message *a =
	    run(w, discover(w, "/oidc")); /* first address 404, second answers */

	assert_null(message_str(a, F_FAULT));
	assert_int_equal(w->requests, 2);
	assert_non_null(strstr(message_str(a, F_TOKEN_ENDPOINT), "/token"));
	(void)run(w, discover(w, "/oidc")); /* kept */
	assert_int_equal(w->requests, 2);
	{
		struct message *begin = message_new(M_CONF_BEGIN), *end = message_new(M_CONF_END);

		fetch_message(w->fetch, begin, -1);
		fetch_message(w->fetch, end, -1);
		(void)message_free(begin);
		(void)message_free(end);
	}
	(void)run(w, discover(w, "/oidc")); /* a new configuration starts afresh */
	assert_int_equal(w->requests, 4);
	a = run(w, discover(w, "/hop"));
	assert_null(message_str(a, F_FAULT));
	a = run(w, discover(w, "/loop"));
	assert_non_null(strstr(message_str(a, F_FAULT), "offers no metadata"));
	a = run(w, discover(w, "/away")); /* another origin is not followed */
	assert_non_null(strstr(message_str(a, F_FAULT), "offers no metadata"));
	a = run(w, discover(w, "/other"));
	assert_non_null(
	    strstr(message_str(a, F_FAULT), "and not the one that it was asked for, http"));
	a = run(w, discover(w, "/busy"));
	assert_non_null(strstr(message_str(a, F_FAULT), "answered 503"));
	assert_int_equal(message_u64(a, F_RETRY_AFTER, 0), 5);
}

static void
test_token_by_issuer(void **state)
{
	struct world *w = *state;
	const struct message *a = run(w, token_request(w, NULL, "/oidc"));

	assert_true(message_has(a, F_ACCESS_TOKEN));
	assert_int_equal(w->requests, 3);
	a = run(w, token_request(w, NULL, "/other"));
	assert_non_null(
	    strstr(message_str(a, F_FAULT), "and not the one that it was asked for, http"));
	a = run(w, token_request(w, NULL, NULL));
	assert_non_null(strstr(message_str(a, F_FAULT), "neither an issuer nor a token endpoint"));
}

static void
test_userinfo(void **state)
{
	struct world *w = *state;
	const char *paths[] = {"/userinfo", "/userinfo-no", "/portal"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct message *m = message_new(M_USERINFO);
		const struct message *a;
		char url[256];
		const char *name;
		size_t at = 0;

		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", w->port, paths[i]);
		message_put_u64(m, F_ID, 44);
		message_put_str(m, F_ACCOUNT, "billing");
		message_put_str(m, F_USERINFO_ENDPOINT, url);
		message_put_bytes(m, F_ACCESS_TOKEN, "at-1", 4);
		a = run(w, m);
		assert_non_null(strstr(w->last, "GET "));
		assert_non_null(strstr(w->last, "\r\nAuthorization: Bearer at-1\r\n"));
		if (i == 0) {
			assert_true(message_next_str(a, F_ID_CLAIM, &at, &name));
			assert_string_equal(name, "sub=1");
			assert_true(message_next_str(a, F_ID_CLAIM, &at, &name));
			assert_string_equal(name, "email=billing@example.com");
		} else {
			assert_non_null(message_str(a, F_FAULT));
		}
	}
}

/* More than may run at once: all are answered. */
static void
test_many(void **state)
{
	struct world *w = *state;
	const struct timeval limit = {.tv_sec = 20};
	unsigned want = 3 * HTTP_ACTIVE_USUAL;

	for (unsigned i = 0; i < want; i++) {
		struct message *m = token_request(w, "/token", NULL);

		fetch_message(w->fetch, m, -1);
		(void)message_free(m);
	}
	(void)event_base_loopexit(w->base, &limit);
	while (
	    w->answers < want && event_base_dispatch(w->base) == 0 && !event_base_got_exit(w->base))
		;
	assert_int_equal(w->answers, want);
}

/* An account whose ca-file cannot be read is not asked with the system's authorities instead. */
static void
test_broken_ca(void **state)
{
	struct world *w = *state;
	struct conf_account billing = {
	    .name = (char *)"billing", .ca_file.path = (char *)"/ca.pem"};
	struct message *m[] = {message_new(M_CONF_BEGIN),
	    wire_message(CONF_BLOCK_ACCOUNT, &billing, ROLE_FETCH), NULL, message_new(M_CONF_END)};
	const struct message *a;
	size_t at = 0;

	assert_non_null(wire_next_file(CONF_BLOCK_ACCOUNT, &billing, ROLE_FETCH, &at, &m[2]));
	for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
		fetch_message(
		    w->fetch, m[i], i == 2 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
		(void)message_free(m[i]);
	}
	a = run(w, token_request(w, "/token", NULL));
	assert_string_equal(message_str(a, F_FAULT), "the account's ca-file could not be read");
	assert_int_equal(w->requests, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_token, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_discovery, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_token_by_issuer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_userinfo, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken_ca, setup, teardown),
	};

	log_open("test", LOG_LEVEL_ERROR);
	document_init();
	if (http_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

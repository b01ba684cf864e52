/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-test.c: `frank test`: submits a message from the account's mailbox through the socket that every
 * program uses, and follows it until its outcome is known. So it is subject to the rules of services,
 * and the caller needs a service that allows it. It names the account to use, since several may have
 * the same mailbox (XACCOUNT, base/smtp/smtp.h).
 */
#include "admin/verbs.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "base/codec.h"
#include "base/smtp/smtp.h"
#include "broker/message/own-mail.h"

enum {
	CONNECT_PATIENCE = 10,
	SUBMIT_PATIENCE = 60, /* seconds for the whole session */
	FOLLOW_SECONDS = 120,
	FOLLOW_PAUSE_MS = 300,
	ID_MAX = 64,
	TEST_MAX = 16 * 1024
};

/* ---- handing it in ---- */

struct test_session {
	const struct cli *cli;
	int sock;     /* owned; -1: none */
	uint64_t end; /* of link_clock */
	size_t held;  /* octets of replies that were read */
	char input[SMTP_REPLY_LINE_MAX];
};

static int
open_session(struct test_session *s, const struct cli *cli)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = CONNECT_PATIENCE};

	*s = (struct test_session){
	    .cli = cli, .sock = -1, .end = link_clock() + SUBMIT_PATIENCE * UINT64_C(1000)};
	if (strlen(cli->submit) >= sizeof(a.sun_path))
		return cli_fail(
		    cli, EX_CONFIG, NULL, "%s: the path is too long for a socket", cli->submit);
	memcpy(a.sun_path, cli->submit, strlen(cli->submit));
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the limit bounds connect as well */
	if (s->sock < 0 ||
	    setsockopt(s->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(s->sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		return cli_fail(cli, EX_UNAVAILABLE, "start it (systemctl start frank)",
		    "frankd accepts no mail: %s: %s", cli->submit, strerror(errno));
	return EX_OK;
}

/* One line without its end, into SMTP_REPLY_LINE_MAX octets: its length, or negative errno. */
static int
read_line(struct test_session *s, char *line)
{
	const char *lf;
	size_t len;

	while ((lf = memchr(s->input, '\n', s->held)) == NULL) {
		int r = link_wait(s->sock, s->end);
		ssize_t n;

		if (r <= 0 || s->held == sizeof(s->input))
			return r < 0 ? r : r == 0 ? -ETIMEDOUT : -EPROTO;
		n = recv(s->sock, s->input + s->held, sizeof(s->input) - s->held, 0);
		if (n <= 0)
			return -EPIPE;
		s->held += (size_t)n;
	}
	len = (size_t)(lf - s->input);
	memcpy(line, s->input, len);
	s->held -= len + 1;
	memmove(s->input, lf + 1, s->held);
	return (int)(len > 0 && line[len - 1] == '\r' ? len - 1 : len);
}

static int
read_reply(struct test_session *s, struct smtp_reply *ret)
{
	struct smtp_reply_parser p = {0};
	char line[SMTP_REPLY_LINE_MAX];
	int r = 0;

	while (r == 0) {
		r = read_line(s, line);
		if (r >= 0)
			r = smtp_reply_parser_line(&p, line, (size_t)r);
	}
	if (r > 0)
		r = smtp_reply_parser_take(&p, SMTP_STAGE_NONE, ret);
	smtp_reply_parser_free(&p);
	if (r == -ETIMEDOUT)
		return cli_fail(s->cli, EX_TEMPFAIL, "read the log of frankd",
		    "frankd does not answer on %s", s->cli->submit);
	return r < 0 ? cli_fail(s->cli, EX_TEMPFAIL, "read the log of frankd",
			   "frankd broke off the session")
		     : EX_OK;
}

/* Writes one command (NULL: none) and wants a reply of 2xx. *ret_text (may be NULL) is the
 * caller's. */
static int
command(struct test_session *s, const char *text, char **ret_text)
{
	struct smtp_reply reply = {0};
	int status;

	if (text != NULL &&
	    send(s->sock, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		return cli_fail(
		    s->cli, EX_TEMPFAIL, "read the log of frankd", "frankd broke off the session");
	status = read_reply(s, &reply);
	if (status == EX_OK && (reply.code < 200 || reply.code >= 300))
		status = cli_fail(s->cli, reply.code >= 500 ? EX_NOPERM : EX_TEMPFAIL,
		    "frank service list shows which service is yours; its block in the "
		    "configuration says what it may send",
		    "frankd did not take the message: %d %s %s", reply.code, reply.enhanced,
		    reply.text == NULL ? "" : reply.text);
	if (status == EX_OK && ret_text != NULL)
		*ret_text = reply.text == NULL ? NULL : strdup(reply.text);
	smtp_reply_clear(&reply);
	return status;
}

static bool
is_plain(const char *address)
{
	return address[strcspn(address, "<> \t\r\n")] == '\0' && *address != '\0';
}

static int
hand_in(struct test_session *s, const char *account, const char *sender, const char *recipient,
    char **ret_text)
{
	CLEANUP_BUF struct buf content = BUF_INIT(TEST_MAX), line = BUF_INIT(TEST_MAX);
	int status = command(s, NULL, NULL);

	(void)own_mail_header(&content, &(struct own_mail){.name = "",
					    .from = sender,
					    .to = &recipient,
					    .to_count = 1,
					    .subject = "Test message from Frank",
					    .type = "text/plain; charset=us-ascii"});
	(void)buf_append_str(&content,
	    "This message was sent by `frank test`. That it arrived shows that the account "
	    "works.\r\n");
	if (status == EX_OK)
		status = command(s, "EHLO frank\r\n", NULL);
	(void)buf_printf(&line, "MAIL FROM:<%s> XACCOUNT=", sender);
	(void)xtext_encode(&line, account, strlen(account));
	(void)buf_append_str(&line, "\r\n");
	if (status == EX_OK)
		status = command(s, buf_str(&line), NULL);
	buf_clear(&line);
	(void)buf_printf(&line, "RCPT TO:<%s>\r\n", recipient);
	if (status == EX_OK)
		status = command(s, buf_str(&line), NULL);
	buf_clear(&line);
	(void)buf_printf(&line, "BDAT %zu LAST\r\n%s", content.len, buf_str(&content));
	if (status == EX_OK)
		status = command(s, buf_str(&line), ret_text);
	return status;
}

/* "queued as 5F3A": the words behind "as" are the message's name. */
static int
submit(const struct cli *cli, const char *account, const char *sender, const char *recipient,
    char *ret_id, size_t size)
{
	CLEANUP_FREE char *text = NULL;
	const char *as;
	struct test_session s;
	int status = open_session(&s, cli);

	if (status == EX_OK)
		status = hand_in(&s, account, sender, recipient, &text);
	cleanup_close(&s.sock);
	if (status != EX_OK)
		return status;
	as = text == NULL ? NULL : strstr(text, " as ");
	if (as == NULL)
		return cli_fail(cli, EX_PROTOCOL, "look at frank queue",
		    "frankd took the message, but did not say under which ID");
	(void)snprintf(ret_id, size, "%.*s", (int)strcspn(as + 4, " "), as + 4);
	return EX_OK;
}

/* ---- following it ---- */

static const char *
state_of(const json_t *message)
{
	const json_t *recipient = json_array_get(json_object_get(message, "recipients"), 0);
	const char *state = cli_text(recipient, "state");

	return state == NULL ? "" : state;
}

static bool
is_under_way(const char *state)
{
	return strcmp(state, "queued") == 0 || strcmp(state, "sending") == 0;
}

static int
follow(const struct cli *cli, const char *id, json_t **ret)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
	bool show = !cli->json && isatty(STDERR_FILENO);
	int status = EX_OK;

	for (int i = 0; i < FOLLOW_SECONDS * 1000 / FOLLOW_PAUSE_MS; i++) {
		json_decref(*ret);
		*ret = NULL;
		status = verb_queue_load(cli, id, ret);
		if (status != EX_OK || !is_under_way(state_of(*ret)))
			break;
		if (show)
			(void)fprintf(stderr, "\r%s: %s... ", id, state_of(*ret));
		(void)nanosleep(&pause, NULL);
	}
	if (show)
		(void)fputs("\r\033[K", stderr);
	return status;
}

static int
conclude(const struct cli *cli, json_t *message)
{
	static const struct {
		const char *state, *words;
		int status;
	} ends[] = {
	    {"delivered", "The provider accepted the message.", EX_OK},
	    {"bounced", "The message was refused for good, and its sender got a report.",
		EX_UNAVAILABLE},
	    {"failed", "The message was refused for good.", EX_UNAVAILABLE},
	    {"deferred", "The message is kept, and Frank will try again.", EX_TEMPFAIL},
	};
	const char *state = state_of(message), *words = "The message is kept.";
	int status = EX_TEMPFAIL;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(ends[i].state, state) == 0) {
			words = ends[i].words;
			status = ends[i].status;
		}
	}
	if (cli->json)
		return cli_print_json(message, status);
	verb_queue_print(cli, message);
	(void)puts(words);
	if (status != EX_OK)
		(void)printf(
		    "Next: frank transcript %s shows what was said.\n", cli_text(message, "id"));
	json_decref(message);
	return status;
}

/* An account whose mail waits for a person sends nothing, so there is nothing to test: why, and what to do. */
static int
refuse_waiting(const struct cli *cli, const json_t *account)
{
	static const char *const waiting[] = {"held", "needs-authorization", "client-error"};
	const char *state = cli_text(account, "state");
	const char *text = cli_text(account, "text");
	const char *next = cli_text(account, "next");

	for (size_t i = 0; state != NULL && i < ARRAY_SIZE(waiting); i++)
		if (strcmp(state, waiting[i]) == 0)
			return cli_fail(cli, strcmp(state, "held") == 0 ? EX_TEMPFAIL : EX_NOPERM,
			    next, "%s sends nothing now (%s): %s", cli_text(account, "account"),
			    state, text == NULL ? "its mail is waiting" : text);
	return EX_OK;
}

int
verb_test(const struct cli *cli, const struct arguments *args)
{
	const char *account = args->words[1], *mailbox, *recipient;
	json_t *known = NULL, *message = NULL;
	char id[ID_MAX];
	int status = verb_status_of_account(cli, account, &known);

	if (status != EX_OK)
		return status;
	mailbox = cli_text(known, "mailbox");
	recipient = args->count > 2 ? args->words[2] : mailbox;
	if (mailbox == NULL || !is_plain(mailbox))
		status = cli_fail(cli, EX_CONFIG, "set mailbox in its block of the configuration",
		    "%s has no mailbox to send from", account);
	else if (!is_plain(recipient))
		status = cli_fail(cli, EX_USAGE, NULL, "%s is not an address", recipient);
	else
		status = refuse_waiting(cli, known);
	if (status == EX_OK)
		status = submit(cli, account, mailbox, recipient, id, sizeof(id));
	json_decref(known);
	if (status == EX_OK)
		status = follow(cli, id, &message);
	if (status != EX_OK) {
		json_decref(message);
		return status;
	}
	return conclude(cli, message);
}

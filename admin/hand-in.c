/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * hand-in.c: see hand-in.h: one ESMTP session over a Unix socket, one command at a time. The whole of it is bounded by
 * SUBMIT_PATIENCE.
 */
#include "admin/hand-in.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/codec.h"
#include "base/smtp/smtp.h"

enum {
	CONNECT_PATIENCE = 10,
	SUBMIT_PATIENCE = 60, /* seconds for the whole session */
	COMMAND_MAX = 8 * 1024,
};

struct hand_in_session {
	const struct cli *cli;
	const struct hand_in *what;
	struct hand_in_answer *answer; /* of the first refusal, or the last */
	int sock;                      /* owned; -1: none */
	uint64_t end;                  /* of link_clock */
	size_t held;                   /* octets of replies that were read */
	char input[SMTP_REPLY_LINE_MAX];
};

static int
become(const struct passwd *who)
{
	return initgroups(who->pw_name, who->pw_gid) < 0 || setegid(who->pw_gid) < 0 ||
		       seteuid(who->pw_uid) < 0
		   ? -errno
		   : 0;
}

/* frankd asks the kernel who connects, so root is that user for the call. Where that cannot be undone the program ends:
 * it must not go on as somebody else. */
static int
connect_as(const struct hand_in_session *s, const struct sockaddr_un *a)
{
	const struct passwd *who = s->what->as_user ? getpwuid(s->what->uid) : NULL;
	CLEANUP_FREE gid_t *groups = calloc(NGROUPS_MAX, sizeof(*groups));
	int count, r;

	if (!s->what->as_user)
		return connect(s->sock, (const struct sockaddr *)a, sizeof(*a)) < 0 ? -errno : 0;
	count = groups == NULL ? -1 : getgroups(NGROUPS_MAX, groups);
	if (who == NULL || count < 0)
		return -ESRCH;
	r = become(who);
	if (r == 0 && connect(s->sock, (const struct sockaddr *)a, sizeof(*a)) < 0)
		r = -errno;
	if (seteuid(getuid()) < 0 || setegid(getgid()) < 0 ||
	    (getuid() == 0 && setgroups((size_t)count, groups) < 0))
		_exit(EX_OSERR);
	return r;
}

static int
open_session(struct hand_in_session *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = CONNECT_PATIENCE};
	const char *path = s->what->socket;
	int r;

	if (strlen(path) >= sizeof(a.sun_path))
		return cli_fail(
		    s->cli, EX_CONFIG, NULL, "%s: the path is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the limit bounds connect as well */
	if (s->sock < 0 || setsockopt(s->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return cli_fail(
		    s->cli, EX_OSERR, NULL, "cannot make a socket: %s", strerror(errno));
	r = connect_as(s, &a);
	return r == 0 ? EX_OK
		      : cli_fail(s->cli, EX_UNAVAILABLE, "start it (systemctl start frank)",
			    "frankd accepts no mail: %s: %s", path, strerror(-r));
}

/* One line without its end, into SMTP_REPLY_LINE_MAX octets: its length, or negative errno. */
static int
read_line(struct hand_in_session *s, char *line)
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
read_reply(struct hand_in_session *s, struct smtp_reply *ret)
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
		    "frankd does not answer on %s", s->what->socket);
	return r < 0 ? cli_fail(s->cli, EX_TEMPFAIL, "read the log of frankd",
			   "frankd broke off the session")
		     : EX_OK;
}

static int
read_answer(struct hand_in_session *s)
{
	struct smtp_reply reply = {0};
	int status = read_reply(s, &reply);

	if (status == EX_OK) {
		hand_in_answer_clear(s->answer);
		s->answer->code = reply.code;
		(void)snprintf(
		    s->answer->enhanced, sizeof(s->answer->enhanced), "%s", reply.enhanced);
		s->answer->text = reply.text == NULL ? NULL : strdup(reply.text);
	}
	smtp_reply_clear(&reply);
	return status;
}

static bool
is_refused(const struct hand_in_session *s)
{
	return s->answer->code < 200 || s->answer->code >= 300;
}

/* Writes one command and reads what is said to it. Nothing follows a refusal. */
static int
command(struct hand_in_session *s, const struct buf *line)
{
	size_t at = 0;
	ssize_t n = 0;

	if (is_refused(s))
		return EX_OK;
	while (at < line->len && n >= 0) {
		n = send(s->sock, buf_str(line) + at, line->len - at, MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return cli_fail(
		    s->cli, EX_TEMPFAIL, "read the log of frankd", "frankd broke off the session");
	return read_answer(s);
}

static int
envelope(struct hand_in_session *s, struct buf *line)
{
	const struct hand_in *w = s->what;
	int status;

	(void)buf_append_str(line, "EHLO frank\r\n");
	status = command(s, line);
	buf_clear(line);
	(void)buf_printf(line, "MAIL FROM:<%s>", w->sender);
	if (w->account != NULL) {
		(void)buf_append_str(line, " XACCOUNT=");
		(void)xtext_encode(line, w->account, strlen(w->account));
	}
	(void)buf_append_str(line, "\r\n");
	if (status == EX_OK)
		status = command(s, line);
	for (size_t i = 0; i < w->count && status == EX_OK; i++) {
		buf_clear(line);
		(void)buf_printf(line, "RCPT TO:<%s>\r\n", w->recipients[i]);
		status = command(s, line);
	}
	return status;
}

static int
converse(struct hand_in_session *s)
{
	const struct hand_in *w = s->what;
	CLEANUP_BUF struct buf line = BUF_INIT(COMMAND_MAX), data = BUF_INIT(w->len + COMMAND_MAX);
	int status = read_answer(s);

	if (status == EX_OK)
		status = envelope(s, &line);
	(void)buf_printf(&data, "BDAT %zu LAST\r\n", w->len);
	(void)buf_append(&data, w->content, w->len);
	if (data.failed)
		return cli_fail(s->cli, EX_OSERR, NULL, "memory ran out");
	return status == EX_OK ? command(s, &data) : status;
}

bool
hand_in_is_plain(const char *address)
{
	return address[strcspn(address, "<> \t\r\n")] == '\0' && *address != '\0';
}

int
hand_in(const struct cli *cli, const struct hand_in *what, struct hand_in_answer *ret)
{
	struct hand_in_session s = {.cli = cli,
	    .what = what,
	    .answer = ret,
	    .sock = -1,
	    .end = link_clock() + SUBMIT_PATIENCE * UINT64_C(1000)};
	const char *as;
	int status;

	*ret = (struct hand_in_answer){0};
	status = open_session(&s);
	if (status == EX_OK)
		status = converse(&s);
	cleanup_close(&s.sock);
	if (status != EX_OK || is_refused(&s))
		return status;
	/* "queued as 5F3A" */
	as = ret->text == NULL ? NULL : strstr(ret->text, " as ");
	if (as == NULL)
		return cli_fail(cli, EX_PROTOCOL, "look at frank queue",
		    "frankd took the message, but did not say under which ID");
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", (int)strcspn(as + 4, " "), as + 4);
	return EX_OK;
}

void
hand_in_answer_clear(struct hand_in_answer *a)
{
	free(a->text);
	*a = (struct hand_in_answer){0};
}

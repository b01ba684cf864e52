/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server.c: the SMTP server engine's input, output and replies; see server.h.
 *
 * Input is parsed where it lies. What cannot be parsed yet (half a line, or anything behind a
 * decision that is awaited) is kept in `in` and parsed later, so that the result does not depend on
 * how the stream was cut. Parsing also stops while much output is unwritten: a peer that sends
 * without reading fills its own socket, not our memory.
 *
 * mail() and reset() are called in turn: whatever comes of a transaction, reset() ends it.
 */
#include "base/smtp/server-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

/* ---- replies ---- */

static void
reply_line(
    struct smtp_server *s, int code, const char *enhanced, const char *text, size_t len, bool last)
{
	(void)buf_printf(&s->out, "%03d%c", code, last ? ' ' : '-');
	if (enhanced != NULL && *enhanced != '\0' &&
	    (s->config.extensions & SMTP_EXT_ENHANCED) != 0)
		(void)buf_printf(&s->out, "%s ", enhanced);
	/* Words may come from outside: nothing in them may look like another reply. */
	for (size_t i = 0; i < len; i++)
		(void)buf_append_char(
		    &s->out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
	(void)buf_append_str(&s->out, "\r\n");
}

void
server_reply(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	const char *stop;

	if (s->closing)
		return;
	while ((stop = strchr(text, '\n')) != NULL) {
		reply_line(s, code, enhanced, text, (size_t)(stop - text), false);
		text = stop + 1;
	}
	reply_line(s, code, enhanced, text, strlen(text), true);
	if (code == 421) {
		s->closing = true;
		server_end_transaction(s);
	}
}

void
server_reply_lines(struct smtp_server *s, struct buf *lines)
{
	if (lines->len > 0 && lines->data[lines->len - 1] == '\n')
		lines->data[lines->len - 1] = '\0';
	server_reply(s, 250, NULL, buf_str(lines));
}

void
server_bad(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	s->bad_commands++;
	if (s->config.bad_commands_max > 0 && s->bad_commands > s->config.bad_commands_max)
		server_reply(s, 421, "4.7.0", "Too many errors");
	else
		server_reply(s, code, enhanced, text);
}

void
server_words_set(struct server_words *w, int code, const char *enhanced, const char *text)
{
	if (w->code != 0)
		return;
	w->code = code;
	(void)snprintf(w->enhanced, sizeof(w->enhanced), "%s", enhanced == NULL ? "" : enhanced);
	(void)snprintf(w->text, sizeof(w->text), "%s", text);
}

void
server_words_too_large(const struct smtp_server *s, struct server_words *w)
{
	char text[SERVER_WORDS_MAX];

	(void)snprintf(text, sizeof(text), "The message is larger than the limit of %llu octets",
	    (unsigned long long)s->config.size_max);
	server_words_set(w, 552, "5.3.4", text);
}

void
server_reply_refusal(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	if (s->said.code >= 400)
		server_reply(s, s->said.code, s->said.enhanced, s->said.text);
	else
		server_reply(s, code, enhanced, text);
	s->said.code = 0;
}

void
server_reply_accept(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	if (s->said.code >= 200 && s->said.code < 400)
		server_reply(s, s->said.code, s->said.enhanced, s->said.text);
	else
		server_reply(s, code, enhanced, text);
	s->said.code = 0;
}

void
server_end_transaction(struct smtp_server *s)
{
	bool open = s->transaction;

	s->transaction = s->smtputf8 = s->binary = s->chunks = s->all_or_nothing = false;
	s->recipients = 0;
	s->octets = 0;
	s->refused_recipient.code = s->failure.code = 0;
	s->text[0] = '\0';
	if (open)
		s->ops->reset(s->arg);
}

/* ---- input ---- */

static bool
blocked(const struct smtp_server *s)
{
	return s->closing || s->pending != SERVER_NOTHING || s->state == SERVER_TLS ||
	       s->out.len >= SERVER_OUTPUT_HIGH;
}

static void
line_too_long(struct smtp_server *s)
{
	if (s->state == SERVER_AUTH)
		server_auth_abort(s, 500, "5.5.6", "Line too long");
	else
		server_bad(s, 500, "5.5.2", "Line too long");
}

/* Takes one line from the input; returns the octets taken, 0 when the line is not complete. */
static size_t
line_input(struct smtp_server *s, const char *bytes, size_t len)
{
	const char *lf = memchr(bytes, '\n', len);
	size_t line = lf == NULL ? len : (size_t)(lf - bytes);
	bool cr = lf != NULL && line > 0 && lf[-1] == '\r';

	if (lf == NULL) {
		/* One octet more may be the CR of a line that just fits. */
		if (!s->overlong && len <= SMTP_AUTH_LINE_MAX - 1)
			return 0;
		s->overlong = true;
		return len;
	}
	if (s->overlong || line - cr > SMTP_AUTH_LINE_MAX - 2) {
		s->overlong = false;
		line_too_long(s);
	} else if (s->state == SERVER_AUTH) {
		server_auth_line(s, bytes, line - cr);
	} else {
		s->line_bare = !cr;
		server_command(s, bytes, line - cr);
	}
	return line + 1;
}

/* RFC 3207 and CVE-2011-0411: what was sent before TLS must not be taken for what came through it.
 */
static void
check_tls_switch(struct smtp_server *s, size_t left)
{
	if (s->state != SERVER_TLS)
		return;
	if (left > 0) {
		s->state = SERVER_COMMAND;
		server_reply(s, 554, "5.5.0", "Nothing may follow STARTTLS");
		s->closing = true;
		return;
	}
	server_reply(s, 220, "2.0.0", "Ready to start TLS");
	s->ops->starttls(s->arg);
}

/* Parses as far as possible; returns the octets taken. */
static size_t
parse(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t at = 0, n;

	s->running = true;
	while (at < len && !blocked(s)) {
		if (s->state == SERVER_DATA)
			n = server_data_input(s, bytes + at, len - at);
		else if (s->state == SERVER_CHUNK)
			n = server_chunk_input(s, bytes + at, len - at);
		else
			n = line_input(s, bytes + at, len - at);
		if (n == 0)
			break;
		at += n;
		check_tls_switch(s, len - at);
	}
	s->running = false;
	return s->closing ? len : at;
}

static void
finish(struct smtp_server *s)
{
	if (s->out.failed && s->error == 0)
		s->error = -ENOMEM;
	if (s->eof && (!blocked(s) || s->state == SERVER_TLS)) {
		s->closing = true;
		server_end_transaction(s);
	}
}

/* Goes on with the input that waited. */
static void
resume(struct smtp_server *s)
{
	if (s->running)
		return;
	if (s->in.len > 0)
		buf_consume(&s->in, parse(s, s->in.data, s->in.len));
	finish(s);
}

int
smtp_server_input(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t taken = 0;
	int r;

	if (s->closing)
		return s->error;
	if (s->state == SERVER_TLS) {
		s->closing = true;
		return 0;
	}
	if (s->in.len == 0)
		taken = parse(s, bytes, len);
	if (taken < len) {
		r = buf_append(&s->in, bytes + taken, len - taken);
		if (r < 0)
			s->error = r;
		else if (taken == 0)
			resume(s);
	}
	finish(s);
	return s->error;
}

/* ---- the rest of the interface ---- */

struct smtp_server *
smtp_server_new(
    const struct smtp_server_config *config, const struct smtp_server_ops *ops, void *arg)
{
	struct smtp_server *s = calloc(1, sizeof(*s));
	char greeting[SERVER_WORDS_MAX];

	if (s == NULL)
		return NULL;
	s->config = *config;
	s->ops = ops;
	s->arg = arg;
	s->tls = config->tls_active;
	s->size_offered = config->size_max;
	/* The input wipes, because passwords and tokens of clients pass through it. */
	s->in = (struct buf)BUF_INIT_WIPE(SERVER_INPUT_MAX + SMTP_AUTH_LINE_MAX);
	s->out = (struct buf)BUF_INIT(SERVER_OUTPUT_MAX);
	(void)snprintf(
	    greeting, sizeof(greeting), "%s ESMTP %s", config->hostname, config->software);
	server_reply(s, 220, NULL, greeting);
	if (s->out.failed)
		return smtp_server_free(s);
	return s;
}

struct smtp_server *
smtp_server_free(struct smtp_server *s)
{
	if (s == NULL)
		return NULL;
	server_end_transaction(s);
	buf_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->listing);
	free(s);
	return NULL;
}

void
smtp_server_eof(struct smtp_server *s)
{
	s->eof = true;
	if (!s->running)
		finish(s);
}

const struct buf *
smtp_server_output(const struct smtp_server *s)
{
	return &s->out;
}

void
smtp_server_wrote(struct smtp_server *s, size_t len)
{
	buf_consume(&s->out, len);
	resume(s);
}

bool
smtp_server_waiting(const struct smtp_server *s)
{
	return blocked(s) && !s->closing;
}

bool
smtp_server_closing(const struct smtp_server *s)
{
	return s->closing;
}

bool
smtp_server_idle(const struct smtp_server *s)
{
	return !s->transaction && s->in.len == 0 && !s->overlong && s->state == SERVER_COMMAND &&
	       s->pending == SERVER_NOTHING;
}

void
smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced, const char *format, ...)
{
	char text[SERVER_WORDS_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	s->said.code = 0;
	server_words_set(&s->said, code, enhanced, text);
}

void
smtp_server_answer(struct smtp_server *s, enum smtp_decision decision)
{
	enum server_pending what = s->pending;

	if (what == SERVER_NOTHING || decision == SMTP_LATER)
		return;
	s->pending = SERVER_NOTHING;
	server_decide(s, what, decision);
	resume(s);
}

void
smtp_server_answer_lines(struct smtp_server *s, const char *lines)
{
	CLEANUP_BUF struct buf copy = BUF_INIT(SERVER_LISTING_MAX);

	if (s->pending != SERVER_PENDING_ALIASES)
		return;
	s->pending = SERVER_NOTHING;
	if (buf_append_str(&copy, lines) < 0)
		server_reply(s, 451, "4.3.0", "Out of memory");
	else
		server_reply_lines(s, &copy);
	resume(s);
}

void
smtp_server_offer_size(struct smtp_server *s, uint64_t octets)
{
	s->size_offered = octets;
}

void
smtp_server_reply_text(struct smtp_server *s, const char *text)
{
	(void)snprintf(s->text, sizeof(s->text), "%s", text);
}

void
smtp_server_challenge(struct smtp_server *s, const void *bytes, size_t len)
{
	if (s->closing)
		return;
	(void)buf_append_str(&s->out, "334 ");
	(void)base64_encode(&s->out, bytes, len);
	(void)buf_append_str(&s->out, "\r\n");
	s->challenged = true;
	if (s->pending == SERVER_PENDING_AUTH) {
		s->pending = SERVER_NOTHING;
		s->state = SERVER_AUTH;
		resume(s);
	}
}

void
smtp_server_tls_started(struct smtp_server *s)
{
	if (s->state != SERVER_TLS)
		return;
	/* RFC 3207 section 4.2: everything learned from the client before is forgotten. */
	buf_clear(&s->in);
	s->state = SERVER_COMMAND;
	s->tls = true;
	s->hello = s->authenticated = false;
}

void
smtp_server_close(struct smtp_server *s, const char *enhanced, const char *words)
{
	s->pending = SERVER_NOTHING;
	server_reply(s, 421, enhanced, words);
}

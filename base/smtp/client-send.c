/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client-send.c: what goes out: the commands and the content of jobs, in order, as far as the
 * server's offer, the window and the replies allow.
 *
 * The output is filled when the owner asks for it, so that whatever may go together goes together.
 * Nothing is sent while a reply is awaited where PIPELINING is not offered. With CHUNKING the
 * content follows its envelope in the same flight, except where that would be a pity: a big
 * message, which waits until the envelope is accepted, and the first message after the connection
 * stood idle, whose server may be gone.
 */
#include "base/smtp/client-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"

enum {
	OUT_FULL = 64 * 1024, /* the output is filled up to this */
	OUT_LOW = 16 * 1024,  /* when no more than this is left of it: what TLS takes at once */
	CONTENT_PIECE = 16 * 1024,
	EAGER_MAX = 64 * 1024, /* content up to this size follows its envelope at once */
	IDLE_DOUBT = 2000,     /* ms without a reply: the server is asked before it gets content */
	COMMAND_ROOM = 2048,
	PARAMS_MAX = 1000,
	ENVID_MAX = 100,
};

bool
client_put(struct smtp_client *c, const char *bytes, size_t len)
{
	if (c->phase == PHASE_CLOSED)
		return false;
	if (buf_append(&c->out, bytes, len) < 0) {
		client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
		return false;
	}
	c->produced += len;
	return true;
}

static bool PRINTF_LIKE(3, 0)
    put_command(struct smtp_client *c, struct job *j, const char *format, va_list ap)
{
	char line[COMMAND_ROOM];
	int len = vsnprintf(line, sizeof(line) - 2, format, ap);

	if (len < 0 || (size_t)len >= sizeof(line) - 2) {
		client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, "A command is too long.");
		return false;
	}
	client_note(c, j, j == NULL, "C: ", line, (size_t)len);
	line[len] = '\r';
	line[len + 1] = '\n';
	return client_put(c, line, (size_t)len + 2);
}

void
client_command(struct smtp_client *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)put_command(c, NULL, format, ap);
	va_end(ap);
}

/* The command of the step at j->sent. */
static bool PRINTF_LIKE(3, 4)
    step_command(struct smtp_client *c, struct job *j, const char *format, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, format);
	ok = put_command(c, j, format, ap);
	va_end(ap);
	if (ok)
		j->sent++;
	return ok;
}

/* ---- before a job begins ---- */

static bool
text_is_sendable(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

/* What was taken is an address by the same grammar, and every command fits into its line. */
_Static_assert(ADDRESS_MAX + PARAMS_MAX + 16 < COMMAND_ROOM, "RCPT must fit");
_Static_assert(ADDRESS_MAX + ENVID_MAX + 128 < COMMAND_ROOM, "MAIL must fit");

static bool
address_is_sendable(const char *s)
{
	return address_is_valid(s, strlen(s), true);
}

bool
client_job_is_sendable(const struct smtp_client_job *spec)
{
	if (spec->recipient_count == 0 || !text_is_sendable(spec->envid, ENVID_MAX))
		return false;
	if (spec->sender[0] != '\0' && !address_is_sendable(spec->sender))
		return false;
	for (size_t i = 0; i < spec->recipient_count; i++)
		if (!address_is_sendable(spec->recipients[i].address) ||
		    !text_is_sendable(spec->recipients[i].params, PARAMS_MAX))
			return false;
	return true;
}

void
client_job_set_patience(struct smtp_client *c, struct job *j)
{
	bool idle = c->jobs == NULL && c->jobs_done > 0 && c->now - c->heard > IDLE_DOUBT;

	j->patient = idle || j->spec.body_len > EAGER_MAX;
}

/* ---- steps ---- */

static bool
begin(struct smtp_client *c, struct job *j, const struct job *before)
{
	/* Behind another job's: as far as the window in octets goes. */
	if (before != NULL && c->bytes_in_flight + j->spec.body_len > c->config.window_bytes)
		return false;
	j->begun = true;
	j->start = c->produced;
	c->bytes_in_flight += j->spec.body_len;
	if (before != NULL ? before->bdat : c->dirty)
		return step_command(c, j, "RSET");
	j->sent = j->got = STEP_MAIL;
	return true;
}

static bool
send_mail(struct smtp_client *c, struct job *j)
{
	static const char *const ret[] = {
	    [SMTP_RET_NONE] = "", [SMTP_RET_FULL] = " RET=FULL", [SMTP_RET_HDRS] = " RET=HDRS"};
	const struct smtp_client_job *m = &j->spec;
	bool dsn = (c->extensions & SMTP_EXT_DSN) != 0, envid = dsn && m->envid[0] != '\0';
	char size[32] = "";

	if ((c->extensions & SMTP_EXT_SIZE) != 0)
		(void)snprintf(size, sizeof(size), " SIZE=%zu", m->body_len);
	return step_command(c, j, "MAIL FROM:<%s>%s%s%s%s%s%s%s", m->sender, size,
	    m->eight_bit ? " BODY=8BITMIME" : "", m->smtputf8 ? " SMTPUTF8" : "",
	    m->requiretls ? " REQUIRETLS" : "", dsn ? ret[m->ret] : "", envid ? " ENVID=" : "",
	    envid ? m->envid : "");
}

static bool
send_rcpt(struct smtp_client *c, struct job *j)
{
	const struct smtp_client_recipient *r = &j->spec.recipients[j->sent - STEP_RCPT];

	return step_command(c, j, "RCPT TO:<%s>%s", r->address,
	    (c->extensions & SMTP_EXT_DSN) != 0 ? r->params : "");
}

static bool
send_bdat(struct smtp_client *c, struct job *j)
{
	if (j->patient && j->got < job_step_data(j))
		return false;
	if (!step_command(c, j, "BDAT %zu LAST", j->spec.body_len))
		return false;
	client_note_format(c, j, false, "%zu octets of content", j->spec.body_len);
	j->streaming = true;
	return true;
}

/* The content behind DATA. The server asks for it even where it refused every recipient (RFC 2920
 * section 3.1): it then gets an empty message, which it refuses in turn. */
static bool
start_content(struct smtp_client *c, struct job *j)
{
	if (!j->go_ahead)
		return false;
	if (job_is_refused(j)) {
		j->body_at = j->spec.body_len;
		client_note_format(c, j, false, "no content: nobody is left to take it");
	} else {
		client_note_format(
		    c, j, false, "%zu octets of content, and the final dot", j->spec.body_len);
	}
	j->sent++;
	j->streaming = true;
	return true;
}

/* A piece of content with its dots doubled (RFC 5321 section 4.5.2). */
static bool
put_stuffed(struct smtp_client *c, struct job *j, const char *p, size_t len)
{
	while (len > 0) {
		const char *lf = memchr(p, '\n', len);
		size_t take = lf == NULL ? len : (size_t)(lf - p) + 1;

		if (j->at_line_start && *p == '.' && !client_put(c, ".", 1))
			return false;
		if (!client_put(c, p, take))
			return false;
		j->at_line_start = lf != NULL;
		p += take;
		len -= take;
	}
	return true;
}

/* The next piece, or the end. */
static bool
stream(struct smtp_client *c, struct job *j)
{
	size_t left = j->spec.body_len - j->body_at,
	       take = left < CONTENT_PIECE ? left : CONTENT_PIECE;
	const char *p = j->spec.body + j->body_at;

	if (take > 0) {
		if (!(j->bdat ? client_put(c, p, take) : put_stuffed(c, j, p, take)))
			return false;
		j->body_at += take;
		if (take < left)
			return true;
	}
	if (!j->bdat &&
	    !client_put(c, j->at_line_start ? ".\r\n" : "\r\n.\r\n", j->at_line_start ? 3 : 5))
		return false;
	j->streaming = false;
	j->content_done = true;
	j->end = c->produced;
	client_finish_jobs(c);
	return true;
}

/* Sends the next step of a job. False when it has to wait, is cut short, or the session is over. */
static bool
send_step(struct smtp_client *c, struct job *j, const struct job *before)
{
	if (j->streaming)
		return stream(c, j);
	if ((c->extensions & SMTP_EXT_PIPELINING) == 0 && client_awaited_job(c) != NULL)
		return false;
	if (!j->begun)
		return begin(c, j, before);
	if (j->sent == STEP_MAIL)
		return send_mail(c, j);
	if (j->sent < job_step_data(j))
		return send_rcpt(c, j);
	if (j->spec.trial) {
		j->cut = true;
		return false;
	}
	if (j->bdat)
		return send_bdat(c, j);
	if (j->sent == job_step_data(j))
		return step_command(c, j, "DATA");
	return start_content(c, j);
}

/* The first job with something left to send, and the one in front of it. */
static struct job *
sending_job(const struct smtp_client *c, struct job **before)
{
	struct job *j = c->jobs;

	*before = NULL;
	while (j != NULL && (j->cut || j->content_done)) {
		*before = j;
		j = j->next;
	}
	return j;
}

static bool
may_quit(const struct smtp_client *c)
{
	bool wanted = c->quitting || c->draining || (c->phase == PHASE_READY && c->mails_left == 0);

	return wanted && c->jobs == NULL && !c->awaiting && c->phase != PHASE_TLS &&
	       c->phase < PHASE_QUIT;
}

void
client_produce(struct smtp_client *c)
{
	struct job *j, *before;

	if (c->out.len - c->out_at > OUT_LOW || c->phase == PHASE_CLOSED)
		return;
	if (c->out_at > 0) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
	while (c->phase == PHASE_READY && c->out.len < OUT_FULL) {
		j = sending_job(c, &before);
		if (j == NULL || !send_step(c, j, before))
			break;
	}
	if (may_quit(c)) {
		c->phase = PHASE_QUIT;
		c->awaiting = true;
		c->since = c->now;
		c->event = SMTP_CLIENT_NONE;
		client_command(c, "QUIT");
	}
}

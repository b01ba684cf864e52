/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* event.c: see event.h. */
#include "broker/queue/notify/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "broker/message/own-mail.h"
#include "broker/queue/common/clock.h"

const char event_service[] = "(notice)"; /* a name on disk */

enum { TEXT_MAX = 16 * 1024 };

/* ---- JSON ---- */

/* Octets that are no UTF-8 become U+FFFD: a receiver would refuse the whole document. */
static void
put_text(struct buf *out, const char *text)
{
	(void)buf_append_char(out, '"');
	for (const char *end = text + strlen(text); text < end;) {
		size_t n = utf8_length(text, (size_t)(end - text), NULL);

		if (n == 0) {
			(void)buf_append_str(out, "\\ufffd");
			text++;
			continue;
		}
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			(void)buf_printf(out, "\\u%04x", (unsigned char)*text);
		else if (*text == '"' || *text == '\\')
			(void)buf_printf(out, "\\%c", *text);
		else
			(void)buf_append(out, text, n);
		text += n;
	}
	(void)buf_append_char(out, '"');
}

/* "jane@example.com" becomes "*@example.com", also within other words: the local part ends where no mailbox, quoted
 * or not, can go on (RFC 5321 section 4.1.2). */
static void
redact(const char *text, struct buf *out)
{
	const char *at;

	for (; (at = strchr(text, '@')) != NULL; text = at + 1) {
		const char *from = at;

		if (from > text && from[-1] == '"')
			for (from--; from > text && from[-1] != '"';)
				from--;
		while (from > text && strchr(" \t\n<>()[],;:=", from[-1]) == NULL)
			from--;
		(void)buf_append(out, text, (size_t)(from - text));
		(void)buf_append_str(out, from == at ? "@" : "*@");
	}
	(void)buf_append_str(out, text);
}

static void
put_field(struct buf *out, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	(void)buf_printf(out, ",\"%s\":", key);
	put_text(out, value);
}

/* A text that may have addresses in it. */
static void
put_words(struct buf *out, const char *key, const char *value, bool addresses)
{
	CLEANUP_BUF struct buf redacted = BUF_INIT(TEXT_MAX);

	if (!addresses && value != NULL)
		redact(value, &redacted);
	put_field(out, key, addresses || redacted.failed ? value : buf_str(&redacted));
	if (redacted.failed)
		out->failed = true;
}

static void
put_number(struct buf *out, const char *key, uint64_t value)
{
	if (value > 0)
		(void)buf_printf(out, ",\"%s\":%" PRIu64, key, value);
}

static void
put_recipients(struct buf *out, const char *lines, bool addresses)
{
	CLEANUP_BUF struct buf all = BUF_INIT(TEXT_MAX);
	const char *separator = ",\"recipients\":[";
	char *rest, *name;

	if (lines == NULL)
		return;
	if (addresses)
		(void)buf_append_str(&all, lines);
	else
		redact(lines, &all);
	if (all.failed) {
		out->failed = true;
		return;
	}
	rest = all.data;
	while ((name = strsep(&rest, "\n")) != NULL) {
		(void)buf_append_str(out, separator);
		put_text(out, name);
		separator = ",";
	}
	(void)buf_append_char(out, ']');
}

/* What events of messages have besides. */
static void
put_message(const struct spool_event *e, bool addresses, struct buf *out)
{
	put_field(out, "service", e->service);
	if (e->sender != NULL && *e->sender == '\0')
		(void)buf_append_str(out, ",\"sender\":\"\""); /* the null sender */
	put_words(out, "sender", e->sender, addresses);
	put_recipients(out, e->recipients, addresses);
	put_number(out, "recipient_count", e->recipient_count);
	put_field(out, "message_id", e->message_id);
	put_number(out, "attempt", e->attempt);
	put_number(out, "code", e->code);
	put_field(out, "enhanced", e->enhanced);
	put_words(out, "reply", e->reply, addresses);
	put_field(out, "verdict", e->verdict);
}

int
event_json(const struct spool_event *e, const char *host, bool addresses, struct buf *out)
{
	char id[SPOOL_ID_LEN];

	(void)buf_printf(out, "{\"id\":\"%" PRIu64 "\",\"time\":%" PRId64, e->id, e->at);
	put_field(out, "host", host);
	put_field(out, "kind", e->kind);
	put_field(out, "account", e->account);
	if (e->of_message)
		put_words(out, "text", e->text, addresses);
	else
		put_field(out, "text", e->text == NULL ? "" : e->text);
	put_field(out, "next", e->next);
	if (e->message != 0)
		put_field(out, "queue_id", spool_id_text(e->message, id));
	if (e->of_message)
		put_message(e, addresses, out);
	(void)buf_append_str(out, "}\n");
	return out->failed ? -ENOMEM : 0;
}

/* ---- mail ---- */

int
event_mail(const struct spool_event *e, const char *host, const char *from, char *const *to,
    size_t to_count, struct buf *out, struct buf *id)
{
	CLEANUP_BUF struct buf date = BUF_INIT(64), subject = BUF_INIT(1024);
	char unique[40], extra[60];
	int r;

	(void)snprintf(unique, sizeof(unique), "event.%" PRIu64, e->id);
	(void)snprintf(extra, sizeof(extra), "X-Frank-Event: %" PRIu64 "\r\n", e->id);
	r = own_mail_id(id, unique, from, host);
	if (r == 0)
		r = clock_date(&date);
	if (r == 0)
		r = buf_printf(
		    &subject, "[frank] %s: %s", e->account == NULL ? host : e->account, e->kind);
	if (r == 0)
		r = own_mail_header(out, &(struct own_mail){.name = "Frank",
					     .from = from,
					     .to = (const char *const *)to,
					     .to_count = to_count,
					     .subject = buf_str(&subject),
					     .date = buf_str(&date),
					     .id = buf_str(id),
					     .extra = extra,
					     .type = "text/plain; charset=utf-8",
					     .encoding = "8bit"});
	if (r < 0)
		return r;
	if (e->account != NULL)
		(void)buf_printf(out, "Account: %s\r\n\r\n", e->account);
	own_mail_line(out, e->text == NULL ? "" : e->text);
	if (e->next != NULL) {
		(void)buf_append_str(out, "\r\n\r\nNext step: ");
		own_mail_line(out, e->next);
	}
	(void)buf_printf(
	    out, "\r\n\r\nFrank on %s. All of it: frank status, frank events\r\n", host);
	return out->failed ? -ENOMEM : 0;
}

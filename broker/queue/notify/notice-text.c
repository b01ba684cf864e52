/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notice-text.c: an event as JSON, for programs and webhooks, and as a message, for people.
 *
 * The JSON object: "id" (text, the same whenever and wherever the event goes: whoever gets it twice can
 * tell), "time" (seconds since 1970), "host", "kind", "text", and where there is one "account", "next",
 * "queue_id".
 */
#include "broker/queue/notify/notice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/address.h"
#include "base/codec.h"

enum { MAIL_MAX = 64 * 1024, RANDOM_OCTETS = 16 };

const char notice_service[] = "(notice)";

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

static void
put_field(struct buf *out, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	(void)buf_printf(out, ",\"%s\":", key);
	put_text(out, value);
}

int
notice_json(const struct queue *q, const struct spool_event *e, struct buf *out)
{
	char id[SPOOL_ID_LEN];

	(void)buf_printf(out, "{\"id\":\"%" PRIu64 "\",\"time\":%" PRId64, e->id, e->at);
	put_field(out, "host", q->settings->hostname);
	put_field(out, "kind", e->kind);
	put_field(out, "account", e->account);
	put_field(out, "text", e->text == NULL ? "" : e->text);
	put_field(out, "next", e->next);
	if (e->message != 0)
		put_field(out, "queue_id", spool_id_text(e->message, id));
	(void)buf_append_str(out, "}\n");
	return out->failed ? -ENOMEM : 0;
}

/* ---- mail ---- */

/* A text of ours may hold what a server said: no line of it may become a header or end the message. */
static void
put_line(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		(void)buf_append_char(out, (unsigned char)*text < 0x20 ? ' ' : *text);
}

static int
write_mail(
    struct queue *q, const char *from, const struct spool_event *e, const char *id, struct buf *out)
{
	const struct policy_strings *to = &q->settings->notify.mail_to;
	CLEANUP_BUF struct buf date = BUF_INIT(64);

	if (queue_date(&date) < 0)
		return -ENOMEM;
	(void)buf_printf(out, "Date: %s\r\nFrom: Frank <%s>\r\nTo: ", buf_str(&date), from);
	for (size_t i = 0; i < to->count; i++)
		(void)buf_printf(out, "%s%s", i == 0 ? "" : ",\r\n ", to->items[i]);
	(void)buf_printf(out, "\r\nSubject: [frank] %s: %s\r\nMessage-ID: %s\r\n",
	    e->account == NULL ? q->settings->hostname : e->account, e->kind, id);
	(void)buf_printf(out,
	    "Auto-Submitted: auto-generated\r\nX-Frank-Event: %" PRIu64
	    "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n",
	    e->id);
	if (e->account != NULL)
		(void)buf_printf(out, "Account: %s\r\n\r\n", e->account);
	put_line(out, e->text == NULL ? "" : e->text);
	if (e->next != NULL) {
		(void)buf_append_str(out, "\r\n\r\nNext step: ");
		put_line(out, e->next);
	}
	(void)buf_printf(out, "\r\n\r\nFrank on %s. All of it: frank status, frank events\r\n",
	    q->settings->hostname);
	return out->failed ? -ENOMEM : 0;
}

/* The same event has the same Message-ID: whoever gets it twice can tell. */
static int
message_id(const struct queue *q, const struct spool_event *e, const char *from, struct buf *ret)
{
	const char *domain = address_domain(from);

	return buf_printf(
	    ret, "<event.%" PRIu64 "@%s>", e->id, domain == NULL ? q->settings->hostname : domain);
}

static int
fill(struct queue *q, const struct queue_account *a, const char *from, struct buf *text,
    const char *id, struct spool_message *m)
{
	const struct policy_strings *to = &q->settings->notify.mail_to;
	const char *end = strstr(buf_str(text), "\r\n\r\n");
	int64_t now = clock_now(&q->clock);
	bool good;

	*m = (struct spool_message){
	    .id = spool_new_id(q->spool, clock_now_us(&q->clock)),
	    .account = strdup(a->name),
	    .service = strdup(notice_service),
	    .uid = getuid(),
	    .sender = strdup(from),
	    .return_to = strdup(""),
	    .envid = strdup(""),
	    .subject = strdup("What an administrator should know"),
	    .message_id = strdup(id),
	    .received = now,
	    .expires = now + q->settings->lifetime,
	    .next = now,
	    .size = text->len,
	    .header_size = end == NULL ? 0 : (uint64_t)(end + 2 - text->data),
	    .flags = SPOOL_REPORT,
	    .recipients = calloc(to->count, sizeof(struct spool_recipient)),
	};
	good = m->account != NULL && m->service != NULL && m->sender != NULL &&
	       m->return_to != NULL && m->envid != NULL && m->subject != NULL &&
	       m->message_id != NULL && m->recipients != NULL;
	for (size_t i = 0; i < text->len; i++)
		if ((unsigned char)text->data[i] >= 0x80)
			m->flags |= SPOOL_8BIT;
	for (size_t i = 0; good && i < to->count; i++, m->count++) {
		m->recipients[i] = (struct spool_recipient){
		    .address = strdup(to->items[i]), .notify = SMTP_NOTIFY_NEVER, .next = now};
		good = m->recipients[i].address != NULL;
	}
	m->body_len = text->len;
	m->body = buf_take(text);
	return good && m->body != NULL ? 0 : -ENOMEM;
}

struct spool_message *
notice_mail(struct queue *q, const struct queue_account *a, const struct spool_event *e)
{
	CLEANUP_BUF struct buf text = BUF_INIT(SPOOL_INLINE_MAX), id = BUF_INIT(512);
	struct spool_message *m = calloc(1, sizeof(*m));
	const char *from = a->conf.mailbox;

	if (m == NULL)
		return NULL;
	if (message_id(q, e, from, &id) < 0 || write_mail(q, from, e, buf_str(&id), &text) < 0 ||
	    fill(q, a, from, &text, buf_str(&id), m) < 0)
		return spool_message_free(m);
	return m;
}

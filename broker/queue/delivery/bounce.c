/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * bounce.c: see bounce.h. Three parts: words for a person; message/delivery-status with one block
 * for the message and one per recipient; the message or its header section.
 */
#include "broker/queue/delivery/bounce.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "broker/message/fields.h"
#include "broker/message/own-mail.h"

enum {
	TEXT_WIDTH = 76,
	EXPLAINED_MAX = 100, /* recipients; the delivery status has all */
};

static const struct {
	const char *subject, *opening, *action;
} kinds[] = {
    [BOUNCE_FAILED] = {"Undelivered mail returned to sender",
	"Your message could not be delivered to the following recipients.", "failed"},
    [BOUNCE_DELAYED] = {"Delayed mail (still being retried)",
	"Your message could not be delivered yet to the following recipients. It is tried again; "
	"you "
	"need not send it once more.",
	"delayed"},
    [BOUNCE_RELAYED] = {"Mail handed on",
	"Your message was taken by the mail provider for the following recipients. The provider "
	"does not "
	"report its delivery.",
	"relayed"},
};

/* Lines with CRLF as quoted-printable (RFC 2045 section 6.7). */
static int
append_quoted(struct buf *out, const char *text, size_t len)
{
	size_t column = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		unsigned char c = (unsigned char)text[i];
		bool end = i + 1 >= len || text[i + 1] == '\r';
		bool plain = c == '\t' || c == ' ' ? !end : c > ' ' && c < 0x7f && c != '=';
		size_t width = plain ? 1 : 3;

		if (c == '\r' && i + 1 < len && text[i + 1] == '\n') {
			r = buf_append_str(out, "\r\n");
			column = 0;
			i++;
			continue;
		}
		if (column + width > TEXT_WIDTH - 1) {
			r = buf_append_str(out, "=\r\n");
			column = 0;
		}
		if (r == 0)
			r = plain ? buf_append_char(out, (char)c) : buf_printf(out, "=%02X", c);
		column += width;
	}
	return r;
}

/* An address that is not ASCII, for a delivery status that is (RFC 6533 section 3, utf-8-addr-xtext); what is
 * so written already stays. Octets that are no UTF-8 become '?'. */
static int
append_utf8_address(struct buf *out, const char *address)
{
	size_t len = strlen(address);
	int r = 0;

	for (size_t i = 0; i < len && r == 0;) {
		uint32_t point;
		size_t n = utf8_length(address + i, len - i, &point);

		if (n > 1)
			r = buf_printf(out, "\\x{%X}", point);
		else
			r = buf_append_char(
			    out, address[i] < ' ' || address[i] > '~' ? '?' : address[i]);
		i += n > 1 ? n : 1;
	}
	return r;
}

/* Text from outside, on one line: what is no printable ASCII becomes '?'. */
static int
append_ascii(struct buf *out, const char *text)
{
	int r = 0;

	for (; *text != '\0' && r == 0; text++)
		r = buf_append_char(out, *text < ' ' || *text > '~' ? '?' : *text);
	return r;
}

/* A paragraph wrapped at spaces, each line after `indent`. */
static int
append_wrapped(struct buf *out, const char *indent, const char *text)
{
	int r = 0;

	while (*text != '\0' && r == 0) {
		size_t len = strlen(text), most = TEXT_WIDTH - strlen(indent), n = len;

		if (len > most) {
			n = most;
			while (n > 0 && text[n] != ' ')
				n--;
			if (n == 0)
				n = fields_cut(text, len, most);
		}
		r = buf_printf(out, "%s", indent);
		for (size_t i = 0; i < n && r == 0; i++)
			r = buf_append_char(
			    out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
		if (r == 0)
			r = buf_append_str(out, "\r\n");
		text += n;
		while (*text == ' ')
			text++;
	}
	return r;
}

static int
append_reply(struct buf *out, const struct smtp_reply *reply)
{
	int r = 0;

	if (reply->code != 0)
		r = buf_printf(out, "%d%s%s ", reply->code, reply->enhanced[0] != '\0' ? " " : "",
		    reply->enhanced);
	else
		r = buf_printf(out, "%s ", smtp_fault_name(reply->fault));
	return r < 0 || reply->text == NULL ? r : append_ascii(out, reply->text);
}

static bool
has_reply(const struct bounce_recipient *r)
{
	return r->reply != NULL && (r->reply->code != 0 || r->reply->fault != SMTP_FAULT_NONE);
}

/* The enhanced status code of a report (RFC 3463), its class agreeing with the kind. */
static void
make_status(enum bounce_kind kind, const struct bounce_recipient *r, char ret[12])
{
	static const char classes[] = {'5', '4', '2'};
	const char *from = r->reply != NULL ? r->reply->enhanced : "";

	if (kind == BOUNCE_RELAYED)
		from = "2.0.0";
	else if (kind == BOUNCE_FAILED && r->expired)
		from = "4.4.7";
	else if (from[0] == '\0')
		from = "5.0.0";
	(void)snprintf(ret, 12, "%.11s", from);
	ret[0] = classes[kind];
	if (kind == BOUNCE_FAILED && r->expired)
		ret[0] = '4';
}

/* A message within a message may not be encoded (RFC 2046 section 5.2.1), unless it is message/global. */
static bool
stays_eight_bit(const struct bounce *b)
{
	return !b->headers_only && !b->global && text_has_eight_bit(b->original, b->original_len);
}

static int
write_header(struct buf *out, const struct bounce *b)
{
	CLEANUP_BUF struct buf type = BUF_INIT(200), references = BUF_INIT(2000);

	(void)buf_printf(&type,
	    "multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"", b->boundary);
	if (b->original_id[0] == '<' && !text_has_eight_bit(b->original_id, strlen(b->original_id)))
		(void)buf_printf(&references, "References: %s\r\n", b->original_id);
	return own_mail_header(out, &(struct own_mail){.name = "Mail Delivery System",
					.from = b->from,
					.to = &b->to,
					.to_count = 1,
					.subject = kinds[b->kind].subject,
					.date = b->date,
					.id = b->message_id,
					.is_reply = true,
					.extra = buf_str(&references),
					.type = buf_str(&type),
					.encoding = stays_eight_bit(b) ? "8bit" : "7bit"});
}

static int
make_words(struct buf *out, const struct bounce *b)
{
	int r = buf_printf(out, "This is the mail system of %s.\r\n\r\n", b->hostname);

	if (r == 0)
		r = append_wrapped(out, "", kinds[b->kind].opening);
	for (size_t i = 0; i < b->count && i < EXPLAINED_MAX && r == 0; i++) {
		const struct bounce_recipient *p = &b->recipients[i];

		r = buf_printf(out, "\r\n<%s>\r\n", p->address);
		if (r == 0 && p->expired)
			r = append_wrapped(
			    out, "    ", "It was given up: its time in the queue is over.");
		if (r == 0 && p->text != NULL)
			r = append_wrapped(out, "    ", p->text);
		if (r == 0 && p->next != NULL)
			r = append_wrapped(out, "    ", p->next);
		if (r == 0 && has_reply(p) && b->kind != BOUNCE_RELAYED) {
			CLEANUP_BUF struct buf reply = BUF_INIT(4096);

			r = append_reply(&reply, p->reply);
			if (r == 0)
				r = append_wrapped(out, "    ", buf_str(&reply));
		}
	}
	if (r == 0 && b->count > EXPLAINED_MAX)
		r = buf_printf(out,
		    "\r\nRecipients that are named only in the delivery status below: %zu.\r\n",
		    b->count - EXPLAINED_MAX);
	return r < 0 ? r : buf_printf(out, "\r\nQueue id: %s\r\n", b->queue_id);
}

static int
write_words(struct buf *out, const struct bounce *b)
{
	CLEANUP_BUF struct buf words = BUF_INIT(out->max);
	int r = make_words(&words, b);
	bool quoted = r == 0 && text_has_eight_bit(words.data, words.len);

	if (r == 0)
		r = buf_printf(out,
		    "--%s\r\nContent-Type: text/plain; charset=%s\r\n"
		    "Content-Transfer-Encoding: %s\r\n\r\n",
		    b->boundary, quoted ? "utf-8" : "us-ascii",
		    quoted ? "quoted-printable" : "7bit");
	if (r == 0)
		r = quoted ? append_quoted(out, words.data, words.len)
			   : buf_append(out, words.data, words.len);
	return r;
}

static int
write_date(struct buf *out, const char *name, int64_t when, int offset)
{
	int r = buf_printf(out, "%s: ", name);

	if (r == 0)
		r = fields_date(out, when, offset);
	return r < 0 ? r : buf_append_str(out, "\r\n");
}

static int
write_original_recipient(struct buf *out, const char *orcpt)
{
	const char *semicolon = strchr(orcpt, ';');
	CLEANUP_BUF struct buf address = BUF_INIT(1024);
	bool utf8 = strncasecmp(orcpt, "utf-8;", 6) == 0;
	int r;

	/* RFC 6533 section 3: the address of this type has an encoding of its own */
	if (semicolon == NULL ||
	    (!utf8 && xtext_decode(&address, semicolon + 1, strlen(semicolon + 1)) < 0))
		return 0;
	r = buf_printf(out, "Original-Recipient: %.*s; ", (int)(semicolon - orcpt), orcpt);
	if (r == 0)
		r = utf8 ? append_utf8_address(out, semicolon + 1)
			 : append_ascii(out, buf_str(&address));
	return r < 0 ? r : buf_append_str(out, "\r\n");
}

static int
write_final_recipient(struct buf *out, const char *address)
{
	bool utf8 = text_has_eight_bit(address, strlen(address));
	int r = buf_printf(out, "Final-Recipient: %s; ", utf8 ? "utf-8" : "rfc822");

	if (r == 0)
		r = utf8 ? append_utf8_address(out, address) : append_ascii(out, address);
	return r < 0 ? r : buf_append_str(out, "\r\n");
}

/* RFC 3464 section 2.3.6: an HTTP status is no SMTP code, and what we found ourselves is neither. */
static const char *
diagnostic_type(const struct smtp_reply *r)
{
	if (r->code == 0)
		return "x-frank";
	return r->stage == SMTP_STAGE_API ? "x-http" : "smtp";
}

static int
write_recipient(struct buf *out, const struct bounce *b, const struct bounce_recipient *p)
{
	char status[12];
	int r = buf_append_str(out, "\r\n");

	make_status(b->kind, p, status);
	if (r == 0 && p->orcpt != NULL)
		r = write_original_recipient(out, p->orcpt);
	if (r == 0)
		r = write_final_recipient(out, p->address);
	if (r == 0)
		r = buf_printf(out, "Action: %s\r\nStatus: %s\r\n", kinds[b->kind].action, status);
	/* RFC 3464 section 2.3.5: the one that said so, and none where nobody did */
	if (r == 0 && b->remote[0] != '\0' && p->reply != NULL && p->reply->code != 0)
		r = buf_printf(out, "Remote-MTA: dns; %s\r\n", b->remote);
	if (r == 0 && has_reply(p) && b->kind != BOUNCE_RELAYED) {
		CLEANUP_BUF struct buf field = BUF_INIT(8192);
		bool split = false;

		r = buf_printf(&field, "Diagnostic-Code: %s; ", diagnostic_type(p->reply));
		if (r == 0)
			r = append_reply(&field, p->reply);
		if (r == 0)
			r = buf_append_str(&field, "\r\n");
		if (r == 0)
			r = fields_fold(out, field.data, field.len, &split);
	}
	if (r == 0 && p->at != 0)
		r = write_date(out, "Last-Attempt-Date", p->at, b->offset);
	if (r == 0 && b->kind == BOUNCE_DELAYED)
		r = write_date(out, "Will-Retry-Until", b->retry_until, b->offset);
	return r;
}

static int
write_status(struct buf *out, const struct bounce *b)
{
	CLEANUP_BUF struct buf envid = BUF_INIT(200);
	int r = buf_printf(out,
	    "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; %s\r\n",
	    b->boundary, b->hostname);

	if (r == 0 && b->envid[0] != '\0' &&
	    xtext_decode(&envid, b->envid, strlen(b->envid)) == 0) {
		r = buf_append_str(out, "Original-Envelope-Id: ");
		if (r == 0)
			r = append_ascii(out, buf_str(&envid));
		if (r == 0)
			r = buf_append_str(out, "\r\n");
	}
	if (r == 0)
		r = write_date(out, "Arrival-Date", b->arrival, b->offset);
	for (size_t i = 0; i < b->count && r == 0; i++)
		r = write_recipient(out, b, &b->recipients[i]);
	return r;
}

/* The message, or its header section (RFC 6522 section 3; RFC 6533 sections 5 and 6 for UTF-8 in it). */
static int
write_original(struct buf *out, const struct bounce *b)
{
	static const char *const types[2][2] = {{"message/rfc822", "text/rfc822-headers"},
	    {"message/global", "message/global-headers"}};
	bool eight_bit = text_has_eight_bit(b->original, b->original_len),
	     stays = stays_eight_bit(b);
	bool global = b->global && eight_bit;
	int r =
	    buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		b->boundary, types[global][b->headers_only],
		stays       ? "8bit"
		: eight_bit ? "quoted-printable"
			    : "7bit");

	if (r == 0)
		r = eight_bit && !stays ? append_quoted(out, b->original, b->original_len)
					: buf_append(out, b->original, b->original_len);
	return r < 0 ? r : buf_printf(out, "\r\n--%s--\r\n", b->boundary);
}

int
bounce_write(struct buf *out, const struct bounce *b)
{
	int r = write_header(out, b);

	if (r == 0)
		r = write_words(out, b);
	if (r == 0)
		r = write_status(out, b);
	return r < 0 ? r : write_original(out, b);
}

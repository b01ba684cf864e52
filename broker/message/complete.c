/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * complete.c: see complete.h.
 *
 * Two stages. The first makes lines of whatever came in: from there on every line ends in CRLF and
 * no octet is CR, LF or NUL otherwise. The second collects lines until the header section is over,
 * asks the owner for its plan, writes the header anew, and then passes the body through.
 *
 * Header text that is not UTF-8 is labelled with the charset that the message declares. A multipart
 * message declares none itself, so there the first text part is asked: the header section is held back
 * until that part's own header is read, which is the only time that the body is looked at first.
 *
 * A line's first octets tell whether it can be a field, so a body without header that is one huge
 * line is not collected.
 */
#include "broker/message/complete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/header.h"
#include "broker/message/fields.h"
#include "broker/message/mime.h"
#include "broker/message/reading.h"

enum {
	OUT_SIZE = 8192,
	PROBE_MAX = 40, /* "Content-Transfer-Encoding: binary", with some white space */
	ADDRESSES_MAX = 64,
	/* A line of this length that is no field yet will not become one. */
	NAME_MAX_LEN = 1000,
	/* Encoded words make a field, and a header section, longer. */
	FIELD_MAX = 4 * COMPLETE_HEADER_MAX,
	WRITTEN_MAX = 8 * COMPLETE_HEADER_MAX,
	/* Octets of the body in which the charset of the first text part is looked for. */
	PEEK_MAX = 64 * 1024,
	READ_MAX = COMPLETE_HEADER_MAX + 2 * NAME_MAX_LEN + PEEK_MAX,
};

/* What is known of a field by its name. */
enum kind {
	KIND_TEXT,       /* free text */
	KIND_STRUCTURED, /* left as it is */
	KIND_ADDRESSES,
	KIND_FROM,
	KIND_SENDER,
	KIND_RESENT, /* by whom */
	KIND_REPLY_TO,
	KIND_TO, /* To, Cc: dropped when empty */
	KIND_DATE,
	KIND_MESSAGE_ID,
	KIND_SUBJECT,
	KIND_MIME,
	KIND_ENCODING,
	KIND_RECEIVED,
	KIND_SIGNATURE, /* names the fields that it covers */
	KIND_ARC,       /* goes with one */
	KIND_DROPPED,
};

static const struct {
	const char *name;
	enum kind kind;
} kinds[] = {
    {"From", KIND_FROM},
    {"To", KIND_TO},
    {"Cc", KIND_TO},
    {"Subject", KIND_SUBJECT},
    {"Date", KIND_DATE},
    {"Message-ID", KIND_MESSAGE_ID},
    {"MIME-Version", KIND_MIME},
    {"Content-Type", KIND_MIME},
    {"Bcc", KIND_DROPPED},
    {"Resent-Bcc", KIND_DROPPED},
    {"Return-Path", KIND_DROPPED},
    {"Content-Length", KIND_DROPPED},
    {"Sender", KIND_SENDER},
    {"Reply-To", KIND_REPLY_TO},
    {"Received", KIND_RECEIVED},
    {"DKIM-Signature", KIND_SIGNATURE},
    {"Resent-From", KIND_RESENT},
    {"Resent-Sender", KIND_RESENT},
    {"Resent-To", KIND_ADDRESSES},
    {"Resent-Cc", KIND_ADDRESSES},
    {"Resent-Reply-To", KIND_ADDRESSES},
    {"Disposition-Notification-To", KIND_ADDRESSES},
    {"Content-Transfer-Encoding", KIND_ENCODING},
    {"Content-Disposition", KIND_STRUCTURED},
    {"Content-ID", KIND_STRUCTURED},
    {"References", KIND_STRUCTURED},
    {"In-Reply-To", KIND_STRUCTURED},
    {"Resent-Date", KIND_STRUCTURED},
    {"Resent-Message-ID", KIND_STRUCTURED},
    {"ARC-Seal", KIND_ARC},
    {"ARC-Message-Signature", KIND_SIGNATURE},
    {"ARC-Authentication-Results", KIND_ARC},
    {"Authentication-Results", KIND_STRUCTURED},
};

/* What is found in the header section before it is written. */
struct found {
	struct dkim_names covered;
	bool signature;       /* there is one */
	bool covered_dropped; /* it covers a field that must not go out */
	unsigned from_fields;
	char charset[MIME_CHARSET_MAX + 1]; /* that the message declares; "": none */
	char *from[ADDRESSES_MAX];
	size_t from_count, first_from_count; /* of all From fields, of the first */
	char *sender;
	char *resent[ADDRESSES_MAX];
	size_t resent_count;
	bool resent_unreadable;
	bool from_unreadable, from_double,
	    from_phrase; /* phrase: it has words that are no address */
	bool date, message_id, reply_to, resent_seen;
	bool binary_type, binary, encoded; /* what the body says of itself */
	unsigned received;
};

struct complete {
	const char *mail_name;
	const struct complete_ops *ops;
	void *arg;
	int error;
	enum {
		STAGE_FRONT, /* what may stand in front of the header section is not dropped yet */
		STAGE_HEADER,
		STAGE_PEEK, /* the body, while the header section waits for the charset of a part */
		STAGE_BODY,
		STAGE_RAW, /* the body, whose octets pass as they are */
	} stage;
	/* lines */
	size_t crs;      /* CRs seen whose meaning the next octet decides */
	bool line_begun; /* octets of an unended line were passed on */
	/* header */
	struct buf header; /* whole lines, then the one that is being read */
	size_t line;       /* where that one begins */
	bool line_known;   /* that one is known to belong to the header section */
	/* STAGE_PEEK: the body lies in `header`, from `line` on */
	bool in_part;
	size_t peeked, part; /* where the next line of it begins, and the header of the part */
	char part_charset[MIME_CHARSET_MAX + 1];
	/* body */
	uint64_t line_len;
	char probe[PROBE_MAX]; /* the beginning of the line */
	size_t probe_len;
	unsigned continuation; /* octets that the UTF-8 sequence still lacks */
	size_t out_len;
	struct complete_facts facts;
	char out[OUT_SIZE];
};

struct complete *
complete_new(const char *mail_name, const struct complete_ops *ops, void *arg)
{
	struct complete *c = malloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	memset(c, 0, offsetof(struct complete, out));
	c->mail_name = mail_name;
	c->ops = ops;
	c->arg = arg;
	c->header = (struct buf)BUF_INIT(READ_MAX);
	c->facts.body_is_utf8 = true;
	return c;
}

struct complete *
complete_free(struct complete *c)
{
	if (c != NULL) {
		buf_free(&c->header);
		free(c);
	}
	return NULL;
}

/* ---- output ---- */

static int
flush(struct complete *c)
{
	int r = c->out_len == 0 ? 0 : c->ops->write(c->arg, c->out, c->out_len);

	c->facts.size += c->out_len;
	c->out_len = 0;
	return r;
}

static int
put(struct complete *c, const char *bytes, size_t len)
{
	int r = 0;

	if (len > OUT_SIZE - c->out_len)
		r = flush(c);
	if (r == 0 && len >= OUT_SIZE) {
		c->facts.size += len;
		return c->ops->write(c->arg, bytes, len);
	}
	if (r == 0 && len > 0) {
		memcpy(c->out + c->out_len, bytes, len);
		c->out_len += len;
	}
	return r;
}

/* ---- the header section: what is in it ---- */

static enum kind
kind_of(const struct header_field *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (header_is(f, kinds[i].name))
			return kinds[i].kind;
	return KIND_TEXT;
}

static bool
is_empty(const struct header_field *f)
{
	for (size_t i = 0; i < f->value_len; i++)
		if (strchr(" \t\r\n", f->value[i]) == NULL)
			return false;
	return true;
}

static bool
is_of_addresses(enum kind k)
{
	return k == KIND_FROM || k == KIND_SENDER || k == KIND_RESENT || k == KIND_REPLY_TO ||
	       k == KIND_TO || k == KIND_ADDRESSES;
}

/* Types of content that is never text, whatever it says of its encoding. */
static bool
is_binary_type(const struct header_field *f)
{
	static const char *const types[] = {"image/", "audio/", "video/", "font/",
	    "application/octet-stream", "application/pdf", "application/zip", "application/gzip"};

	if (mime_value_begins(f, "text/"))
		return !mime_is_text(f);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (mime_value_begins(f, types[i]))
			return true;
	return false;
}

static bool
is_binary_encoding(const struct header_field *f)
{
	return mime_value_begins(f, "binary");
}

/* Does a signature cover the field, or that there is none? */
static bool
is_covered(const struct found *found, const char *name)
{
	return found->signature && dkim_names_have(&found->covered, name, strlen(name));
}

static bool
is_covered_field(const struct found *found, const struct header_field *f)
{
	return found->signature && dkim_names_have(&found->covered, f->name, f->name_len);
}

/* Is the field left out of the finished message? */
static bool
is_dropped(const struct found *found, const struct header_field *f, enum kind k)
{
	bool useless = is_empty(f) && (k == KIND_DROPPED || is_of_addresses(k) || k == KIND_DATE ||
					  k == KIND_MESSAGE_ID);

	return useless ? !is_covered_field(found, f) : k == KIND_DROPPED;
}

static int
qualify(struct buf *out, const struct complete *c, const char *address)
{
	int r = buf_append_str(out, address);

	if (r == 0 && address_domain(address) == NULL)
		r = buf_printf(out, "@%s", c->mail_name);
	return r;
}

/* Is it no address, but a name, or a part of one? In a field of a sender, a word without '@' is a local
 * user only where it stands `alone`: "Doe, Jane" are no two of them. */
static bool
is_name(const struct address_item *item, bool alone)
{
	return item->phrase || (!alone && item->bare && address_domain(item->address) == NULL);
}

static int
count_item(void *arg, const struct address_item *item)
{
	++*(size_t *)arg;
	return 0;
}

static bool
is_alone(const struct header_field *f)
{
	size_t count = 0, at;

	(void)address_list_parse(f->value, f->value_len, count_item, &count, &at);
	return count == 1;
}

struct collector {
	const struct complete *c;
	char **list;
	size_t count, max;
	bool alone, phrase;
};

static int
collect(void *arg, const struct address_item *item)
{
	struct collector *k = arg;
	CLEANUP_BUF struct buf address = BUF_INIT(2048);
	int r;

	if (k->count == k->max)
		return -EBADMSG;
	if (is_name(item, k->alone)) {
		k->phrase = true;
		return 0;
	}
	r = qualify(&address, k->c, item->address);
	if (r == 0 && !address_is_valid(address.data, address.len, false))
		r = -EBADMSG;
	if (r < 0)
		return r == -ENOBUFS ? -EBADMSG : r;
	k->list[k->count] = buf_take(&address);
	if (k->list[k->count] == NULL)
		return -ENOMEM;
	k->count++;
	return 0;
}

static int
find_from(struct complete *c, const struct header_field *f, struct found *found)
{
	struct collector k = {c, found->from, found->from_count, ADDRESSES_MAX, is_alone(f), false};
	size_t before = found->from_count, at;
	int r = address_list_parse(f->value, f->value_len, collect, &k, &at);

	if (found->from_fields++ == 0)
		found->first_from_count = k.count;
	found->from_count = k.count;
	found->from_phrase = found->from_phrase || k.phrase;
	/* Others may take words beside an address for one more. */
	found->from_double = found->from_double || (k.phrase && k.count > before) ||
			     reading_is_double(f->value, f->value_len);
	if (r == -EBADMSG || (r == 0 && k.count == before)) {
		found->from_unreadable = true;
		return 0;
	}
	return r;
}

static int
find_sender(struct complete *c, const struct header_field *f, struct found *found)
{
	char *one[1] = {NULL};
	struct collector k = {c, one, 0, 1, is_alone(f), false};
	size_t at;
	int r = -EBADMSG; /* a second Sender leaves it open which of them counts */

	if (found->sender == NULL)
		r = address_list_parse(f->value, f->value_len, collect, &k, &at);
	free(found->sender);
	if (r == 0 && (k.count != 1 || reading_is_double(f->value, f->value_len)))
		r = -EBADMSG;
	found->sender = r == 0 ? TAKE_PTR(one[0]) : strdup("");
	free(one[0]);
	return found->sender == NULL ? -ENOMEM : 0;
}

static int
find_resent(struct complete *c, const struct header_field *f, struct found *found)
{
	struct collector k = {
	    c, found->resent, found->resent_count, ADDRESSES_MAX, is_alone(f), false};
	size_t before = found->resent_count, at;
	int r = address_list_parse(f->value, f->value_len, collect, &k, &at);

	found->resent_seen = true;
	found->resent_count = k.count;
	if (r == 0 && (k.count == before || reading_is_double(f->value, f->value_len)))
		r = -EBADMSG;
	if (r == -EBADMSG) {
		found->resent_unreadable = true;
		return 0;
	}
	return r;
}

static void
copy_value(char *to, const struct header_field *f)
{
	size_t n = 0, i = 0;

	while (i < f->value_len && strchr(" \t\r\n", f->value[i]) != NULL)
		i++;
	for (; i < f->value_len && n < COMPLETE_SUBJECT_MAX; i++)
		if (f->value[i] != '\r' && f->value[i] != '\n')
			to[n++] = f->value[i];
	/* Not in the midst of a UTF-8 sequence. */
	for (; i < f->value_len && n > 0 && ((unsigned char)f->value[i] & 0xc0) == 0x80; i--)
		n--;
	to[n] = '\0';
}

static int
look_at(struct complete *c, const struct header_field *f, struct found *found)
{
	enum kind k = kind_of(f);

	if (is_dropped(found, f, k)) {
		found->covered_dropped = found->covered_dropped || is_covered_field(found, f);
		return 0;
	}
	switch (k) {
	case KIND_FROM:
		return find_from(c, f, found);
	case KIND_SENDER:
		return find_sender(c, f, found);
	case KIND_RESENT:
		return find_resent(c, f, found);
	case KIND_REPLY_TO:
		found->reply_to = true;
		break;
	case KIND_DATE:
		found->date = true;
		break;
	case KIND_MESSAGE_ID:
		found->message_id = true;
		copy_value(c->facts.message_id, f);
		break;
	case KIND_SUBJECT:
		if (c->facts.subject[0] == '\0')
			copy_value(c->facts.subject, f);
		break;
	case KIND_MIME:
		c->facts.mime = true;
		if (header_is(f, "Content-Type") && found->charset[0] == '\0')
			mime_charset(f, found->charset);
		if (header_is(f, "Content-Type") && mime_is_signed(f))
			c->facts.content_signed = true;
		if (header_is(f, "Content-Type") && is_binary_type(f))
			found->binary_type = true;
		break;
	case KIND_RECEIVED:
		if (++found->received > COMPLETE_RECEIVED_MAX)
			return -ELOOP;
		break;
	case KIND_ENCODING:
		found->binary = is_binary_encoding(f);
		found->encoded = !found->binary && !mime_value_begins(f, "7bit") &&
				 !mime_value_begins(f, "8bit");
		break;
	default:
		break;
	}
	return 0;
}

/* What is covered must be known before any field is judged. */
static int
find_signatures(struct complete *c, struct found *found)
{
	struct header_field f;
	size_t at = 0;
	int r = 0;

	while (r == 0 && header_next(c->header.data, c->line, true, &at, &f) == 1) {
		if (kind_of(&f) != KIND_SIGNATURE)
			continue;
		found->signature = true;
		r = dkim_names_add(&found->covered, f.value, f.value_len);
		if (header_is(&f, "DKIM-Signature"))
			dkim_read(f.value, f.value_len, c->facts.signed_with);
	}
	dkim_names_sort(&found->covered);
	return r;
}

/* A signature that the plan breaks is none any more. */
static void
judge_signatures(struct complete *c, struct found *found, const struct complete_plan *plan)
{
	bool broken =
	    found->signature &&
	    (plan->from != NULL || found->from_fields != 1 || found->covered_dropped ||
		c->facts.header_mended ||
		(plan->drop_sender && found->sender != NULL && is_covered(found, "Sender")) ||
		(plan->resent_from != NULL && found->resent_seen &&
		    (is_covered(found, "Resent-From") || is_covered(found, "Resent-Sender"))));

	c->facts.signature_broken = broken;
	c->facts.is_signed = found->signature && !broken;
	found->signature = c->facts.is_signed;
	if (broken)
		c->facts.signed_with[0] = '\0';
}

/* ---- the header section: written anew ---- */

struct writer {
	struct complete *c;
	const struct complete_plan *plan;
	const struct found *found;
	const char *charset;
	struct buf out;      /* fields ready to be written */
	struct buf reply_to; /* addresses of a From that was replaced */
	struct buf later;    /* fields that come behind all others */
	bool from_written, resent_written;
};

struct qualified {
	const struct complete *c;
	const struct header_field *f;
	struct buf out; /* the value, up to `taken` */
	size_t taken;
	bool alone;
};

static int
qualify_item(void *arg, const struct address_item *item)
{
	struct qualified *q = arg;
	int r;

	if (is_name(item, q->alone) || address_domain(item->address) != NULL)
		return 0;
	r = buf_append(&q->out, q->f->value + q->taken, item->local_end - q->taken);
	q->taken = item->local_end;
	return r < 0 ? r : buf_printf(&q->out, "@%s", q->c->mail_name);
}

/*
 * The value of a field of addresses: who has no domain gets one where the name stands, and what is
 * not ASCII becomes encoded words. Everything else stays octet by octet, also where it cannot be
 * read.
 */
static int
write_addresses(struct writer *w, const struct header_field *f, struct buf *out)
{
	enum kind k = kind_of(f);
	bool sender = k == KIND_FROM || k == KIND_SENDER || k == KIND_RESENT;
	struct qualified q = {w->c, f, BUF_INIT(FIELD_MAX), 0, !sender || is_alone(f)};
	bool utf8 = false;
	size_t at;
	int r = address_list_parse(f->value, f->value_len, qualify_item, &q, &at);

	if (r == -EBADMSG) {
		buf_clear(&q.out);
		q.taken = 0;
		r = 0;
	}
	if (r == 0)
		r = buf_append(&q.out, f->value + q.taken, f->value_len - q.taken);
	if (r == 0)
		r = fields_encode_addresses(out, buf_str(&q.out), q.out.len, w->charset, &utf8);
	if (utf8)
		w->c->facts.smtputf8 = true;
	buf_free(&q.out);
	return r;
}

/* `Name:value` CRLF, folded where it must be. */
static int
write_folded(struct writer *w, struct buf *to, const char *name, size_t name_len, const char *value,
    size_t len)
{
	CLEANUP_BUF struct buf field = BUF_INIT(FIELD_MAX);
	int r = buf_append(&field, name, name_len);

	if (r == 0)
		r = buf_append_char(&field, ':');
	if (r == 0 && len > 0 && *value != ' ' && *value != '\t' && *value != '\r')
		r = buf_append_char(&field, ' ');
	if (r == 0)
		r = buf_append(&field, value, len);
	if (r == 0)
		r = buf_append_str(&field, "\r\n");
	return r < 0 ? r : fields_fold(to, field.data, field.len, &w->c->facts.header_split);
}

static int
write_as(struct writer *w, struct buf *to, const char *name, const struct header_field *f,
    bool addresses)
{
	CLEANUP_BUF struct buf value = BUF_INIT(FIELD_MAX);
	int r = addresses ? write_addresses(w, f, &value)
			  : fields_encode_text(&value, f->value, f->value_len, w->charset);

	return r < 0 ? r : write_folded(w, to, name, strlen(name), buf_str(&value), value.len);
}

struct name_reader {
	struct buf *name;
	bool alone, found;
};

/* The display name of the first address; words in front of it that are no address are one as well. */
static int
first_name(void *arg, const struct address_item *item)
{
	struct name_reader *n = arg;
	int r = 0;

	if (is_name(item, n->alone)) {
		if (n->name->len > 0)
			r = buf_append_char(n->name, ' ');
		return r < 0 ? r : buf_append_str(n->name, item->address);
	}
	n->found = true;
	if (item->name[0] != '\0') {
		buf_clear(n->name);
		r = buf_append_str(n->name, item->name);
	}
	return r < 0 ? r : 1;
}

/* The text in front of any brackets, one that is quoted without its quotes. */
static int
read_text(const struct header_field *f, struct buf *text)
{
	const char *at = f->value, *end = memchr(at, '<', f->value_len);
	bool quoted;
	int r = 0;

	if (end == NULL)
		end = at + f->value_len;
	while (at < end && strchr(" \t\r\n", *at) != NULL)
		at++;
	while (at < end && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	quoted = end - at >= 2 && *at == '"' && end[-1] == '"';
	for (at += quoted, end -= quoted; at < end && r == 0; at++) {
		at += quoted && *at == '\\' && at + 1 < end;
		if (*at != '\r' && *at != '\n')
			r = buf_append_char(text, *at);
	}
	return r;
}

/* The display name in a field of a sender. One without an address is all name, if it can be read. */
static int
read_name(const struct header_field *f, struct buf *name)
{
	struct name_reader n = {name, is_alone(f), false};
	size_t at;
	int r = address_list_parse(f->value, f->value_len, first_name, &n, &at);

	if (n.found || (r < 0 && r != -EBADMSG))
		return r < 0 ? r : 0;
	buf_clear(name);
	return r == -EBADMSG ? 0 : read_text(f, name);
}

/* The field `field` with this address, and the display name that was there or is known. */
static int
write_replaced(
    struct writer *w, const char *field, const char *address, const struct header_field *f)
{
	CLEANUP_BUF struct buf name = BUF_INIT(COMPLETE_HEADER_MAX);
	CLEANUP_BUF struct buf value = BUF_INIT(FIELD_MAX);
	int r = 0;

	if (f != NULL)
		r = read_name(f, &name);
	else if (w->plan->full_name != NULL)
		r = buf_append_str(&name, w->plan->full_name);
	if (r < 0)
		return r;
	if (!reading_fits(buf_str(&name), address))
		buf_clear(&name);
	r = fields_mailbox(&value, buf_str(&name), w->charset, address);
	if (address_is_utf8(address, strlen(address)))
		w->c->facts.smtputf8 = true;
	return r < 0 ? r
		     : write_folded(w, &w->out, field, strlen(field), buf_str(&value), value.len);
}

/* The resent fields are not the caller's to write. Blocks of them stand in front of each other, the
 * latest first (RFC 5322 section 3.6.6): that one is now by whoever may send. */
static int
write_resent(struct writer *w, const struct header_field *f)
{
	bool from = header_is(f, "Resent-From");
	int r = 0;

	if (from && !w->resent_written) {
		w->resent_written = true;
		r = write_replaced(w, "Resent-From", w->plan->resent_from, f);
	}
	if (r < 0)
		return r;
	return write_as(
	    w, &w->later, from ? "X-Original-Resent-From" : "X-Original-Resent-Sender", f, false);
}

/* Who was to be the sender gets the replies: as it was written, or where that has more than addresses,
 * or two readings, the addresses alone. */
static int
write_reply_to(struct writer *w, const struct header_field *f)
{
	const struct found *found = w->found;
	CLEANUP_BUF struct buf list = BUF_INIT(FIELD_MAX);
	int r = 0;

	if (found->reply_to || found->first_from_count == 0 ||
	    (found->first_from_count == 1 && strcmp(found->from[0], w->plan->from) == 0))
		return 0;
	if (!found->from_phrase && !found->from_double && !found->from_unreadable)
		return write_as(w, &w->reply_to, "Reply-To", f, true);
	for (size_t i = 0; i < found->first_from_count && r == 0; i++)
		r = buf_printf(&list, "%s%s", i > 0 ? ",\r\n " : " ", found->from[i]);
	return r < 0 ? r : write_folded(w, &w->reply_to, "Reply-To", 8, list.data, list.len);
}

/* A From that does not stay as it is. */
static int
write_from(struct writer *w, const struct header_field *f)
{
	bool first = !w->from_written;
	int r;

	w->from_written = true;
	if (!first)
		return write_as(w, &w->later, "X-Original-From", f, false);
	r = write_replaced(w, "From", w->plan->from, f);
	if (r < 0 || !w->plan->from_replaced)
		return r;
	r = write_reply_to(w, f);
	return r < 0 ? r : write_as(w, &w->later, "X-Original-From", f, false);
}

/* What a signature covers goes out octet by octet, where its lines fit the wire. */
static int
write_covered(struct writer *w, const struct header_field *f, enum kind k)
{
	CLEANUP_BUF struct buf value = BUF_INIT(FIELD_MAX);
	bool utf8 = false;
	int r = 0;

	if (is_of_addresses(k))
		r = fields_encode_addresses(&value, f->value, f->value_len, "", &utf8);
	if (utf8)
		w->c->facts.smtputf8 = true;
	return r < 0 ? r
		     : fields_fold_long(&w->out, f->whole, f->whole_len, &w->c->facts.header_split);
}

/* A signature that the plan breaks, or what goes with it. */
static int
put_aside(struct writer *w, const struct header_field *f)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "X-Original-%.*s", (int)f->name_len, f->name);
	return write_as(w, &w->later, name, f, false);
}

static int
write_field(struct writer *w, const struct header_field *f)
{
	enum kind k = kind_of(f);
	CLEANUP_BUF struct buf value = BUF_INIT(FIELD_MAX);
	int r;

	if (is_dropped(w->found, f, k))
		return 0;
	if ((k == KIND_SIGNATURE || k == KIND_ARC) && w->c->facts.signature_broken)
		return put_aside(w, f);
	if (k == KIND_FROM && (w->from_written || w->plan->from != NULL))
		return write_from(w, f);
	if (k == KIND_SENDER && w->plan->drop_sender)
		return write_as(w, &w->later, "X-Original-Sender", f, false);
	if (k == KIND_RESENT && w->plan->resent_from != NULL)
		return write_resent(w, f);
	w->from_written = w->from_written || k == KIND_FROM;
	if (is_covered_field(w->found, f))
		return write_covered(w, f, k);
	if (is_of_addresses(k))
		r = write_addresses(w, f, &value);
	else if (k == KIND_TEXT || k == KIND_SUBJECT)
		r = fields_encode_text(&value, f->value, f->value_len, w->charset);
	else
		r = buf_append(&value, f->value, f->value_len);
	if (r < 0)
		return r;
	if (value.len == f->value_len && memcmp(buf_str(&value), f->value, value.len) == 0)
		return fields_fold(&w->out, f->whole, f->whole_len, &w->c->facts.header_split);
	return write_folded(w, &w->out, f->name, f->name_len, buf_str(&value), value.len);
}

static int
write_missing(struct writer *w)
{
	const struct complete_plan *p = w->plan;
	int r = 0;

	if (w->found->from_fields == 0)
		r = write_replaced(w, "From", w->plan->from, NULL);
	if (r == 0 && p->from == NULL && w->found->first_from_count > 1 &&
	    (w->found->sender == NULL || p->drop_sender) && !is_covered(w->found, "Sender"))
		r = write_folded(w, &w->out, "Sender", strlen("Sender"), w->found->from[0],
		    strlen(w->found->from[0]));
	if (r == 0 && !w->found->date && !is_covered(w->found, "Date"))
		r = buf_printf(&w->out, "Date: %s\r\n", p->date);
	if (r == 0 && !w->found->message_id && !is_covered(w->found, "Message-ID")) {
		struct header_field f = {
		    .value = p->message_id, .value_len = strlen(p->message_id)};

		r = buf_printf(&w->out, "Message-ID: %s\r\n", p->message_id);
		copy_value(w->c->facts.message_id, &f);
	}
	if (r == 0)
		r = buf_append(&w->out, buf_str(&w->reply_to), w->reply_to.len);
	if (r == 0)
		r = buf_append(&w->out, buf_str(&w->later), w->later.len);
	return r;
}

static int
write_header(struct complete *c, const struct found *found, const struct complete_plan *plan)
{
	struct writer w = {c, plan, found, found->charset, BUF_INIT(WRITTEN_MAX),
	    BUF_INIT(WRITTEN_MAX), BUF_INIT(WRITTEN_MAX), false, false};
	struct header_field f;
	size_t at = 0;
	int r = 0;

	if (plan->received != NULL)
		r = buf_printf(&w.out, "Received: %s\r\n", plan->received);
	while (r == 0 && header_next(c->header.data, c->line, true, &at, &f) == 1)
		r = write_field(&w, &f);
	if (r == 0)
		r = write_missing(&w);
	if (r == 0)
		r = put(c, w.out.data, w.out.len);
	if (r == 0) {
		c->facts.header_size = w.out.len;
		for (size_t i = 0; i < w.out.len; i++)
			if ((unsigned char)w.out.data[i] >= 0x80)
				c->facts.eight_bit_header = true;
		r = put(c, "\r\n", 2);
	}
	buf_free(&w.out);
	buf_free(&w.reply_to);
	buf_free(&w.later);
	return r;
}

/* The header section ends where the line begins that is being read. */
static int
end_header(struct complete *c)
{
	struct found found = {0};
	struct complete_plan plan = {0};
	struct header_field f;
	size_t at = 0;
	int r = buf_reserve(&c->header, 0);

	/* Those of the first line, of which it was not known what it is. */
	for (size_t i = 0; i + 1 < c->line; i++)
		if (c->header.data[i] == '\r' && c->header.data[i + 1] != '\n') {
			c->header.data[i] = ' ';
			c->facts.header_mended = true;
		}
	if (r == 0)
		r = find_signatures(c, &found);
	while (r == 0 && header_next(c->header.data, c->line, true, &at, &f) == 1)
		r = look_at(c, &f, &found);
	if (found.charset[0] == '\0')
		memcpy(found.charset, c->part_charset, sizeof(found.charset));
	if (r == 0) {
		struct complete_claim claim = {(const char *const *)found.from, found.from_count,
		    found.from_unreadable, found.from_double, found.sender,
		    (const char *const *)found.resent, found.resent_count, found.resent_unreadable};

		r = c->ops->plan(c->arg, &claim, &plan);
	}
	if (r == 0) {
		judge_signatures(c, &found, &plan);
		c->facts.raw_body = c->facts.mime && !c->facts.is_signed &&
				    (found.binary || (found.binary_type && !found.encoded));
		r = write_header(c, &found, &plan);
	}
	dkim_names_clear(&found.covered);
	for (size_t i = 0; i < found.from_count; i++)
		free(found.from[i]);
	for (size_t i = 0; i < found.resent_count; i++)
		free(found.resent[i]);
	free(found.sender);
	c->stage = c->facts.raw_body ? STAGE_RAW : STAGE_BODY;
	return r;
}

/* ---- the body ---- */

static void
look_at_body(struct complete *c, const char *bytes, size_t len)
{
	struct complete_facts *f = &c->facts;

	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)bytes[i];

		if (b < 0x80 && c->continuation == 0)
			continue;
		f->eight_bit_body = true;
		if (c->continuation > 0 && (b & 0xc0) == 0x80)
			c->continuation--;
		else if (c->continuation == 0 && b >= 0xc2 && b <= 0xf4)
			c->continuation = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
		else
			f->body_is_utf8 = false, c->continuation = 0;
	}
}

/* Is the line a field that says that the octets of a part are to stay as they are? */
static bool
line_says_binary(const char *line, size_t len)
{
	struct header_field f;
	size_t at = 0;

	return (*line == 'C' || *line == 'c') && header_next(line, len, true, &at, &f) == 1 &&
	       header_is(&f, "Content-Transfer-Encoding") && is_binary_encoding(&f);
}

/* Looks at a piece of a line of the body; `ends`: it is the last. */
static void
probe_line(struct complete *c, const char *bytes, size_t len, bool ends)
{
	size_t n = sizeof(c->probe) - c->probe_len;

	memcpy(c->probe + c->probe_len, bytes, n < len ? n : len);
	c->probe_len += n < len ? n : len;
	if (!ends)
		return;
	if (line_says_binary(c->probe, c->probe_len)) {
		c->stage = STAGE_RAW;
		c->facts.raw_body = true;
	}
	c->probe_len = 0;
}

static int peek(struct complete *c, const char *bytes, size_t len);

/* Octets of the body as they came in. */
static int
raw_body(struct complete *c, const char *bytes, size_t len)
{
	look_at_body(c, bytes, len);
	return put(c, bytes, len);
}

/* Whole or partial lines of the body, CRLF their line ends. */
static int
body(struct complete *c, const char *bytes, size_t len)
{
	if (c->stage == STAGE_PEEK)
		return peek(c, bytes, len);
	if (c->stage == STAGE_RAW)
		return raw_body(c, bytes, len);
	for (size_t at = 0; at < len;) {
		const char *lf = memchr(bytes + at, '\n', len - at);
		size_t end = lf == NULL ? len : (size_t)(lf - bytes) + 1;
		uint64_t line = c->line_len + (end - at);

		if (lf != NULL) {
			line -= 2;
			c->line_len = 0;
		} else {
			c->line_len = line;
		}
		if (line > c->facts.longest_line)
			c->facts.longest_line = line;
		if (c->facts.mime && !c->facts.is_signed)
			probe_line(c, bytes + at, end - at, lf != NULL);
		if (c->stage == STAGE_RAW)
			break; /* lines mean nothing any more */
		at = end;
	}
	look_at_body(c, bytes, len);
	return put(c, bytes, len);
}

/* ---- the charset of the first text part ---- */

/* Does header text need a charset that only a part can tell? */
static bool
needs_part_charset(const struct complete *c)
{
	char charset[MIME_CHARSET_MAX + 1] = "";
	bool multipart = false, unlabelled = false;
	struct header_field f;
	size_t at = 0;

	while (header_next(c->header.data, c->line, true, &at, &f) == 1) {
		enum kind k = kind_of(&f);

		unlabelled = unlabelled || !fields_is_utf8(f.value, f.value_len);
		if (k == KIND_ENCODING && is_binary_encoding(&f))
			return false;
		if (k == KIND_MIME && header_is(&f, "Content-Type") && charset[0] == '\0') {
			multipart = mime_value_begins(&f, "multipart/");
			mime_charset(&f, charset);
		}
	}
	return multipart && unlabelled && charset[0] == '\0';
}

/* The header section of a part lies at [c->part, end). Is it that of a text? Then its charset is taken. */
static bool
take_part_charset(struct complete *c, size_t end)
{
	struct header_field f;
	size_t at = 0;

	while (header_next(c->header.data + c->part, end - c->part, true, &at, &f) == 1)
		if (header_is(&f, "Content-Type") && mime_value_begins(&f, "text/")) {
			mime_charset(&f, c->part_charset);
			return true;
		}
	return false;
}

/* Looks at the whole lines that came since the last call: true when no more need be seen. */
static bool
peek_lines(struct complete *c)
{
	const char *lf;

	while ((lf = memchr(c->header.data + c->peeked, '\n', c->header.len - c->peeked)) != NULL) {
		const char *line = c->header.data + c->peeked;
		size_t begin = c->peeked, len = (size_t)(lf - line) + 1;

		c->peeked += len;
		if (len > 2 && line[0] == '-' && line[1] == '-') {
			c->in_part = true;
			c->part = c->peeked;
		} else if (c->in_part && len == 2) {
			if (take_part_charset(c, begin))
				return true;
			c->in_part = false;
		} else if (line_says_binary(line, len)) {
			return true; /* line ends mean nothing behind it: body() has to know at once */
		}
	}
	return false;
}

/* Writes the header section, and passes on what was held back of the body. */
static int
end_peek(struct complete *c)
{
	int r;

	r = end_header(c);
	if (r == 0)
		r = body(c, c->header.data + c->line, c->header.len - c->line);
	buf_free(&c->header);
	return r;
}

static int
peek(struct complete *c, const char *bytes, size_t len)
{
	size_t room = PEEK_MAX - (c->header.len - c->line), n = len < room ? len : room;
	int r;

	if (n > 0 && n < len && bytes[n] == '\n')
		n--; /* a line end is never torn */
	r = buf_append(&c->header, bytes, n);
	if (r < 0 || (n == len && !peek_lines(c)))
		return r;
	r = end_peek(c);
	return r < 0 || n == len ? r : body(c, bytes + n, len - n);
}

/* ---- the header section: where it ends ---- */

static bool
is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* Does the line that is being read go on with the header section? `whole`: it is complete. 1 yes, 0
 * no, -EAGAIN when more of it must be seen. */
static int
line_is_header(const struct complete *c, bool whole)
{
	const char *line = c->header.data + c->line;
	size_t len = c->header.len - c->line, at = 0;
	struct header_field f;
	int r;

	if (is_blank(*line))
		return c->line > 0;
	if (len >= NAME_MAX_LEN)
		len = NAME_MAX_LEN;
	r = header_next(line, len, whole || len == NAME_MAX_LEN, &at, &f);
	if (r == -EAGAIN && memchr(line, ':', len) != NULL)
		return 1;
	return r;
}

/* The line being read is the first of the body; a blank one only separates. */
static int
begin_body(struct complete *c, bool whole)
{
	bool blank = whole && c->header.len - c->line == 2;
	int r = 0;

	if (blank)
		c->header.len = c->line;
	if (needs_part_charset(c)) {
		c->stage = STAGE_PEEK;
		c->facts.mime = true;
		c->peeked = c->line;
	} else {
		r = end_header(c);
	}
	for (size_t i = c->line; i < c->header.len; i++)
		if (c->header.data[i] == '\r' &&
		    (i + 1 == c->header.len || c->header.data[i + 1] != '\n'))
			c->facts.odd_octets = true;
	if (c->stage == STAGE_PEEK)
		return peek_lines(c) ? end_peek(c) : 0;
	if (r == 0)
		r = body(c, c->header.data + c->line, c->header.len - c->line);
	buf_free(&c->header);
	return r;
}

/* Drops what stands in front of the header section: 0, or -EAGAIN while more must be seen. */
static int
begin_header(struct complete *c, bool eof)
{
	size_t front;
	int r = header_skip_envelope(buf_str(&c->header), c->header.len, eof, &front);

	if (r == 0) {
		buf_consume(&c->header, front);
		c->stage = STAGE_HEADER;
	}
	return r;
}

/* A piece of one line of the header section; `whole`: it ends in CRLF. */
static int
header_piece(struct complete *c, const char *bytes, size_t len, bool whole)
{
	int r = buf_append(&c->header, bytes, len);

	if (r == 0 && c->stage == STAGE_FRONT && begin_header(c, false) < 0)
		return 0;
	if (r == 0 && !c->line_known) {
		r = line_is_header(c, whole);
		if (r == 0)
			return begin_body(c, whole);
		c->line_known = r == 1;
	}
	if (c->line_known && c->header.len > COMPLETE_HEADER_MAX)
		return -E2BIG;
	if (r < 0 && r != -EAGAIN)
		return r;
	if (whole) {
		c->line = c->header.len;
		c->line_known = false;
	}
	return 0;
}

size_t
complete_memory(const struct complete *c)
{
	return c->header.len;
}

/*
 * Whole or partial lines, CRLF their line ends, never torn, in either part. While it is not known
 * whether a line is one of the header section, it is looked at when NAME_MAX_LEN octets of it are
 * there, however they came.
 */
static int
lines(struct complete *c, const char *bytes, size_t len)
{
	int r = 0;

	while (len > 0 && c->stage < STAGE_PEEK && r == 0) {
		const char *lf = memchr(bytes, '\n', len);
		size_t n = lf == NULL ? len : (size_t)(lf - bytes) + 1;
		size_t seen = c->header.len - c->line;

		if (n > NAME_MAX_LEN)
			n = NAME_MAX_LEN;
		if (!c->line_known && seen < NAME_MAX_LEN && n > NAME_MAX_LEN - seen)
			n = NAME_MAX_LEN - seen;
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): n is not 0 */
		if (bytes[n - 1] == '\r' && n < len && bytes[n] == '\n')
			n++;
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
		r = header_piece(c, bytes, n, bytes[n - 1] == '\n');
		bytes += n;
		len -= n;
	}
	return r < 0 || len == 0 ? r : body(c, bytes, len);
}

/* ---- lines out of anything ---- */

/* CRs that no LF followed. The first line may be one of a body without header. */
static int
bare_crs(struct complete *c)
{
	int r = 0;

	for (; c->crs > 0 && r == 0; c->crs--) {
		bool header = c->stage < STAGE_PEEK && (c->line > 0 || c->line_known);

		c->facts.header_mended = c->facts.header_mended || header;
		c->facts.odd_octets = c->facts.odd_octets || c->stage >= STAGE_PEEK;
		c->line_begun = true;
		r = lines(c, header ? " " : "\r", 1);
	}
	return r;
}

static int
nul(struct complete *c)
{
	if (c->stage >= STAGE_PEEK && c->facts.mime) {
		int r = bare_crs(c);

		c->facts.odd_octets = c->line_begun = true;
		return r < 0 ? r : lines(c, "", 1);
	}
	c->facts.nuls++;
	c->facts.header_mended = c->facts.header_mended || c->stage < STAGE_PEEK;
	return 0;
}

/* Length of the run of octets that need no change: text and CRLF. */
static size_t
clean_run(const char *bytes, size_t len)
{
	size_t i = 0;

	for (; i < len; i++) {
		if (bytes[i] == '\r') {
			if (i + 1 == len || bytes[i + 1] != '\n')
				break;
			i++;
		} else if (bytes[i] == '\n' || bytes[i] == '\0') {
			break;
		}
	}
	return i;
}

static int
input(struct complete *c, const char *bytes, size_t len)
{
	int r = 0;

	for (size_t at = 0, run; at < len && r == 0; at += run) {
		if (c->stage == STAGE_RAW)
			return raw_body(c, bytes + at, len - at);
		run = c->crs > 0 && (bytes[at] == '\r' || bytes[at] == '\n' || bytes[at] == '\0')
			  ? 0
			  : clean_run(bytes + at, len - at);
		if (run > 0) {
			r = bare_crs(c);
			if (r == 0)
				r = lines(c, bytes + at, run);
			c->line_begun = bytes[at + run - 1] != '\n';
			continue;
		}
		run = 1;
		if (bytes[at] == '\r') {
			c->crs++;
		} else if (bytes[at] == '\0') {
			r = nul(c);
		} else {
			c->crs = 0;
			c->line_begun = false;
			r = lines(c, "\r\n", 2);
		}
	}
	return r;
}

int
complete_input(struct complete *c, const char *bytes, size_t len)
{
	if (c->error == 0)
		c->error = input(c, bytes, len);
	return c->error;
}

int
complete_end(struct complete *c, struct complete_facts *ret)
{
	if (c->error == 0 && c->stage != STAGE_RAW && (c->line_begun || c->crs > 0)) {
		c->crs = 0;
		c->error = lines(c, "\r\n", 2);
	}
	if (c->error == 0 && c->stage == STAGE_FRONT)
		c->error = begin_header(c, true);
	if (c->error == 0 && c->stage < STAGE_PEEK)
		c->error = c->header.len > c->line ? begin_body(c, true) : end_header(c);
	if (c->error == 0 && c->stage == STAGE_PEEK)
		c->error = end_peek(c);
	if (c->error == 0)
		c->error = flush(c);
	if (c->continuation > 0)
		c->facts.body_is_utf8 = false;
	*ret = c->facts;
	return c->error;
}

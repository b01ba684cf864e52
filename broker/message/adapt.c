/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* adapt.c: see adapt.h. */
#include "broker/message/adapt.h"

#include <errno.h>
#include <idn2.h>
#include <string.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/header.h"
#include "broker/message/dkim.h"
#include "broker/message/fields.h"
#include "broker/message/recode.h"

enum {
	HEADER_MAX = 16 * COMPLETE_HEADER_MAX,
	/* An octet takes three in quoted-printable, and each 25 of these a soft break of three more; with room
	 * for new header fields. */
	GROWTH = 4,
	GROWTH_MORE = 1024 * 1024,
};

static const char local_part[] = "a local part is not ASCII, and has no other form";
static const char no_domain[] = "a domain is not ASCII, and is no name that could be written so";
static const char covered[] = "a signature covers an address that is not ASCII";

/* The body is `text` from now on. */
static int
replace_body(struct job *j, struct buf *text)
{
	size_t len = text->len;
	char *body = buf_take(text);

	if (body == NULL)
		return -ENOMEM;
	free(j->own_body);
	j->own_body = body;
	j->spec.body = body;
	j->spec.body_len = len;
	return 0;
}

/* ---- domains ---- */

/* Appends the A-label form of a domain: 0, -EILSEQ with *ret_why, or -ENOMEM. */
static int
append_domain(const char *domain, struct buf *out, const char **ret_why)
{
	char *ascii = NULL;
	int e = idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL), r;

	if (e != IDN2_OK) {
		*ret_why = no_domain;
		return e == IDN2_MALLOC ? -ENOMEM : -EILSEQ;
	}
	r = buf_append_str(out, ascii);
	idn2_free(ascii);
	return r;
}

/* The same for an address. */
static int
append_address(const char *address, struct buf *out, const char **ret_why)
{
	const char *domain = address_domain(address);
	size_t local = domain == NULL ? strlen(address) : (size_t)(domain - address);
	int r = buf_append(out, address, local);

	if (text_has_eight_bit(address, local)) {
		*ret_why = local_part;
		return -EILSEQ;
	}
	return r < 0 || domain == NULL ? r : append_domain(domain, out, ret_why);
}

struct rewriting {
	const struct header_field *f;
	struct buf *out; /* the field, up to `taken` of its value */
	size_t taken;
	const char **why;
};

static int
rewrite_item(void *arg, const struct address_item *item)
{
	struct rewriting *x = arg;
	const char *domain = address_domain(item->address);
	int r;

	if (!address_is_utf8(item->address, strlen(item->address)))
		return 0;
	if (domain == NULL || address_is_utf8(item->address, (size_t)(domain - item->address))) {
		*x->why = local_part;
		return -EILSEQ;
	}
	r = buf_append(x->out, x->f->value + x->taken, item->local_end - x->taken);
	if (r == 0)
		r = buf_append_char(x->out, '@');
	x->taken = item->end;
	return r < 0 ? r : append_domain(domain, x->out, x->why);
}

/* A field of addresses, its domains in ASCII. */
static int
rewrite_field(const struct header_field *f, struct buf *out, const char **ret_why)
{
	CLEANUP_BUF struct buf field = BUF_INIT(HEADER_MAX);
	struct rewriting x = {f, &field, 0, ret_why};
	size_t before = (size_t)(f->value - f->whole), at;
	bool cut = false;
	int r = buf_append(&field, f->whole, before);

	if (r == 0)
		r = address_list_parse(f->value, f->value_len, rewrite_item, &x, &at);
	if (r == 0)
		r = buf_append(&field, f->value + x.taken, f->whole_len - before - x.taken);
	if (r == 0 && text_has_eight_bit(field.data, field.len))
		r = -EBADMSG;
	if (r == -EBADMSG) {
		*ret_why = local_part;
		return -EILSEQ;
	}
	return r < 0 ? r : fields_fold(out, field.data, field.len, &cut);
}

static bool
is_of_addresses(const struct header_field *f)
{
	static const char *const names[] = {"From", "To", "Cc", "Sender", "Reply-To", "Resent-From",
	    "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Reply-To",
	    "Disposition-Notification-To"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (header_is(f, names[i]))
			return true;
	return false;
}

static int
find_covered(const struct job *j, struct dkim_names *names)
{
	struct header_field f;
	size_t at = 0;
	int r = 0;

	while (r == 0 && header_next(j->spec.body, j->spec.body_len, true, &at, &f) == 1)
		if (header_is(&f, "DKIM-Signature") || header_is(&f, "ARC-Message-Signature"))
			r = dkim_names_add(names, f.value, f.value_len);
	dkim_names_sort(names);
	return r;
}

/* The message with its header's domains in ASCII. */
static int
rewrite_header(const struct job *j, struct buf *out, const char **ret_why)
{
	struct dkim_names names = {0};
	struct header_field f;
	size_t at = 0, end = 0;
	int r = find_covered(j, &names);

	while (r == 0 && header_next(j->spec.body, j->spec.body_len, true, &at, &f) == 1) {
		end = at;
		if (!is_of_addresses(&f) || !text_has_eight_bit(f.value, f.value_len)) {
			r = buf_append(out, f.whole, f.whole_len);
		} else if (dkim_names_have(&names, f.name, f.name_len)) {
			*ret_why = covered;
			r = -EILSEQ;
		} else {
			r = rewrite_field(&f, out, ret_why);
		}
	}
	dkim_names_clear(&names);
	return r < 0 ? r : buf_append(out, j->spec.body + end, j->spec.body_len - end);
}

/* Each address of the envelope behind the other, with its NUL: the sender first. */
static int
rewrite_envelope(const struct job *j, struct buf *out, const char **ret_why)
{
	int r = append_address(j->spec.sender, out, ret_why);

	for (size_t i = 0; i < j->spec.recipient_count && r == 0; i++) {
		r = buf_append(out, "", 1);
		if (r == 0)
			r = append_address(j->recipients[i].address, out, ret_why);
	}
	return r < 0 ? r : buf_append(out, "", 1);
}

static int
to_ascii(struct job *j)
{
	CLEANUP_BUF struct buf message = BUF_INIT(j->spec.body_len + HEADER_MAX);
	CLEANUP_BUF struct buf envelope =
	    BUF_INIT((j->spec.recipient_count + 1) * (ADDRESS_MAX * 2 + 1));
	int r = rewrite_envelope(j, &envelope, &j->spec.unfit);
	const char *at;

	if (r == 0)
		r = rewrite_header(j, &message, &j->spec.unfit);
	if (r == 0)
		r = replace_body(j, &message);
	if (r < 0)
		return r;
	free(j->own_strings);
	j->own_strings = buf_take(&envelope);
	if (j->own_strings == NULL)
		return -ENOMEM;
	at = j->spec.sender = j->own_strings;
	for (size_t i = 0; i < j->spec.recipient_count; i++)
		at = j->recipients[i].address = at + strlen(at) + 1;
	j->spec.smtputf8 = false;
	j->spec.eight_bit = text_has_eight_bit(j->spec.body, j->spec.body_len);
	return 0;
}

/* ---- 7 bits ---- */

static int
write_to(void *arg, const char *bytes, size_t len)
{
	return buf_append(arg, bytes, len);
}

static int
to_seven_bit(struct job *j)
{
	CLEANUP_BUF struct buf message = BUF_INIT(GROWTH * j->spec.body_len + GROWTH_MORE);
	struct complete_facts facts = {.eight_bit_body = true};
	struct recode *recode = recode_new(RECODE_SEVEN_BIT, &facts, write_to, &message);
	enum recode_way way;
	bool is_signed = false;
	int r = recode == NULL ? -ENOMEM : recode_input(recode, j->spec.body, j->spec.body_len);

	if (r == 0)
		r = recode_end(recode, &facts, &way, &is_signed);
	(void)recode_free(recode);
	if (r == 0 && text_has_eight_bit(message.data, message.len)) {
		j->spec.unfit = "a header field holds octets that are not ASCII";
		return -EILSEQ;
	}
	if (r == -ENOBUFS) {
		j->spec.unfit = "encoded it would be many times as large";
		return -EILSEQ;
	}
	if (r == -EILSEQ)
		j->spec.unfit = is_signed ? "a signature covers the content, so it is not encoded"
					  : "the content is in a form that may not be encoded";
	if (r == 0)
		r = replace_body(j, &message);
	if (r == 0)
		j->spec.eight_bit = false;
	return r;
}

int
adapt_job(struct job *j, unsigned extensions)
{
	int r = 0;

	j->spec.unfit = NULL;
	if (j->spec.smtputf8 && (extensions & SMTP_EXT_SMTPUTF8) == 0)
		r = to_ascii(j);
	if (r == 0 && j->spec.eight_bit && (extensions & SMTP_EXT_8BITMIME) == 0)
		r = to_seven_bit(j);
	return r == -ENOMEM || r == -ENOBUFS ? -ENOMEM : 0;
}

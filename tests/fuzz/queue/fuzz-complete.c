/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-complete: any octets, in any splits, make the same message; and it is one that the wire can
 * take: CRLF line ends alone, no NUL, no line over 998 octets, one From, Date and Message-ID, no
 * Bcc. The first octets of the input choose the plan and the split.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/header.h"
#include "broker/message/mime.h"
#include "broker/message/recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	unsigned flags;
	struct buf out;
};

static int
on_plan(void *arg, const struct complete_claim *claim, struct complete_plan *ret)
{
	const struct run *run = arg;
	bool replace = (run->flags & 1) != 0;

	*ret = (struct complete_plan){
	    .from = replace || (claim->from_count == 0 && !claim->from_unreadable)
			? "me@example.com"
			: NULL,
	    .from_replaced = replace && (claim->from_count > 0 || claim->from_unreadable),
	    .full_name = (run->flags & 2) != 0 ? "M\xc3\xbcller, \"X\"" : NULL,
	    .drop_sender = (run->flags & 4) != 0,
	    .resent_from = (run->flags & 16) != 0 ? "me@example.com" : NULL,
	    .date = "Mon, 23 Nov 2026 10:00:00 +0000",
	    .message_id = "<1@example.com>",
	    .received = (run->flags & 8) != 0 ? "by host" : NULL,
	};
	return 0;
}

static int
on_write(void *arg, const char *bytes, size_t len)
{
	return buf_append(&((struct run *)arg)->out, bytes, len);
}

static int
write_to(void *arg, const char *bytes, size_t len)
{
	return buf_append(arg, bytes, len);
}

static const struct complete_ops ops = {on_plan, on_write};

static int
complete_in(struct run *run, const char *in, size_t len, size_t piece, struct complete_facts *facts)
{
	struct complete *c = complete_new("mail.example", &ops, run);

	if (c == NULL)
		abort();
	buf_init(&run->out, 64 * 1024 * 1024);
	for (size_t at = 0; at < len; at += piece)
		if (complete_input(c, in + at, len - at < piece ? len - at : piece) < 0)
			break;
	{
		int r = complete_end(c, facts);

		(void)complete_free(c);
		return r;
	}
}

/* What became of it: 0, or -EILSEQ where it may not be changed. */
static int
recode_in(enum recode_need need, const struct buf *in, size_t piece, struct complete_facts facts,
    struct buf *out, enum recode_way *ret_way)
{
	bool is_signed;
	int e;

	struct recode *r = recode_new(need, &facts, write_to, out);

	if (r == NULL)
		abort();
	for (size_t at = 0; at < in->len; at += piece)
		if (recode_input(r, in->data + at, in->len - at < piece ? in->len - at : piece) < 0)
			abort();
	e = recode_end(r, &facts, ret_way, &is_signed);
	if ((e < 0 && e != -EILSEQ) || (e == 0 && facts.size != out->len))
		abort();
	(void)recode_free(r);
	return e;
}

/* `kept`: lines may be too long, for the sake of a signature. */
static void
check(const struct buf *out, bool kept)
{
	unsigned from = 0, date = 0, id = 0, dropped = 0;
	bool is_signed = false;
	struct header_field f;
	size_t line = 0, at = 0;

	for (size_t i = 0; i < out->len; i++) {
		char c = out->data[i];

		if (c == '\0' || (c == '\n' && (i == 0 || out->data[i - 1] != '\r')) ||
		    (c == '\r' && (i + 1 == out->len || out->data[i + 1] != '\n')))
			abort();
		line = c == '\n' ? 0 : line + 1;
		if (line > 999 && !kept)
			abort();
	}
	while (header_next(out->data, out->len, true, &at, &f) == 1) {
		from += header_is(&f, "From");
		date += header_is(&f, "Date");
		id += header_is(&f, "Message-ID");
		dropped += header_is(&f, "Bcc") || header_is(&f, "Return-Path");
		is_signed = is_signed || header_is(&f, "DKIM-Signature") ||
			    header_is(&f, "ARC-Message-Signature");
	}
	/* what a signature covers may be absent, or empty */
	if (from != 1 || (!is_signed && (date < 1 || id < 1 || dropped > 0)))
		abort();
}

/* Header sections keep their octets: those of parts as well. */
static void
check_seven_bit(const struct buf *out)
{
	struct header_field f;
	size_t at = 0;
	bool parts = false;

	while (header_next(out->data, out->len, true, &at, &f) == 1)
		parts = parts ||
			(header_is(&f, "Content-Type") && (mime_value_begins(&f, "multipart/") ||
							      mime_value_begins(&f, "message/")));
	for (; at < out->len && !parts; at++)
		if ((unsigned char)out->data[at] >= 0x80)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run a, b;
	struct complete_facts facts_a, facts_b;
	const char *in = (const char *)data + 2;
	size_t len, piece;
	int r;

	if (size < 2)
		return 0;
	len = size - 2;
	piece = (size_t)data[1] + 1;
	a.flags = b.flags = data[0];
	r = complete_in(&a, in, len, len + 1, &facts_a);
	if (complete_in(&b, in, len, piece, &facts_b) != r)
		abort();
	if (r == 0) {
		if (a.out.len != b.out.len || memcmp(a.out.data, b.out.data, a.out.len) != 0 ||
		    facts_a.size != a.out.len || facts_a.longest_line != facts_b.longest_line ||
		    facts_a.eight_bit_body != facts_b.eight_bit_body ||
		    facts_a.body_is_utf8 != facts_b.body_is_utf8)
			abort();
		enum recode_need need = recode_needed(&facts_a);

		/* as it is for a server that takes 7 bits */
		if (need == RECODE_NONE && (a.flags & 32) != 0)
			need = RECODE_SEVEN_BIT;
		if (need == RECODE_NONE) {
			check(&a.out, false);
		} else {
			struct buf x = BUF_INIT(256 * 1024 * 1024), y = BUF_INIT(256 * 1024 * 1024);

			enum recode_way way, again;
			int e = recode_in(need, &a.out, a.out.len, facts_a, &x, &way);

			if (recode_in(need, &a.out, piece, facts_a, &y, &again) != e ||
			    x.len != y.len || memcmp(x.data, y.data, x.len) != 0)
				abort();
			if (e == 0)
				check(&x, way == RECODE_WAY_KEPT);
			if (e == 0 && need == RECODE_SEVEN_BIT)
				check_seven_bit(&x);
			buf_free(&x);
			buf_free(&y);
		}
	}
	buf_free(&a.out);
	buf_free(&b.out);
	return 0;
}

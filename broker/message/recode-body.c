/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recode-body.c: bodies, octet by octet, each in one way.
 *
 * But for base64, which takes octets as they are, a body is lines: LF, CRLF and CR CR LF each end one,
 * and are written as CRLF. A CR that ends no line and a NUL are written where the way has words for
 * them. Quoted-printable (RFC 2045 section 6.7) lines are at most 76 octets with the soft break's "=";
 * white space at the end of a line is encoded.
 */
#include "broker/message/recode-internal.h"

#include <string.h>

#include "base/codec.h"

enum {
	ENCODED_LINE_MAX = 76,
	BASE64_OCTETS = ENCODED_LINE_MAX / 4 * 3,
	SPLIT_AT = 990,
};

static void
note_line(struct recode *r, size_t len)
{
	if (len > r->longest)
		r->longest = len;
}

/* What stands here cannot pass, and may not be changed. */
static void
refuse(struct recode *r)
{
	r->refused = true;
	r->refused_signed = r->refused_signed || r->way == RECODE_WAY_KEPT;
}

static int
put_line(struct recode *r, const char *bytes, size_t len)
{
	int e = recode_put(r, bytes, len);

	note_line(r, len);
	return e < 0 ? e : recode_put(r, "\r\n", 2);
}

/* ---- quoted-printable ---- */

static int
qp_octet(struct recode *r, char c, bool encode)
{
	static const char hex[] = "0123456789ABCDEF";
	char code[3] = {'=', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15]};
	size_t n = encode ? 3 : 1;
	int e = 0;

	/* One column is kept for the "=" of a soft break. */
	if (r->column + n > ENCODED_LINE_MAX - 1) {
		e = recode_put(r, "=\r\n", 3);
		r->column = 0;
	}
	r->column += n;
	return e < 0 ? e : recode_put(r, encode ? code : &c, n);
}

static int
qp_blank(struct recode *r, bool line_ends)
{
	char blank = r->blank;

	r->blank = 0;
	return blank == 0 ? 0 : qp_octet(r, blank, line_ends);
}

static int
qp_text(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t i = 0; i < len && e == 0; i++) {
		char c = bytes[i];

		e = qp_blank(r, false);
		if (c == ' ' || c == '\t')
			r->blank = c;
		else if (e == 0)
			e = qp_octet(r, c, c < '!' || c > '~' || c == '=');
	}
	note_line(r, ENCODED_LINE_MAX);
	return e;
}

/* ---- base64 ---- */

static int
base64_line(struct recode *r)
{
	CLEANUP_BUF struct buf text = BUF_INIT(ENCODED_LINE_MAX);
	int e = base64_encode(&text, r->line.data, r->line.len);

	buf_clear(&r->line);
	return e < 0 ? e : put_line(r, text.data, text.len);
}

static int
base64_octets(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t n; len > 0 && e == 0; bytes += n, len -= n) {
		n = BASE64_OCTETS - r->line.len < len ? BASE64_OCTETS - r->line.len : len;
		e = buf_append(&r->line, bytes, n);
		if (e == 0 && r->line.len == BASE64_OCTETS)
			e = base64_line(r);
	}
	return e;
}

/* A line end is held until it is known not to be the boundary's: r->crs CRs, and behind them an LF where
 * r->column is not 0. */
static int
base64_held(struct recode *r)
{
	int e = 0;

	for (; r->crs > 0 && e == 0; r->crs--)
		e = base64_octets(r, "\r", 1);
	if (e == 0 && r->column > 0)
		e = base64_octets(r, "\n", 1);
	r->column = 0;
	return e;
}

static int
base64_input(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t i = 0, n; i < len && e == 0; i += n) {
		n = 1;
		if (bytes[i] == '\n') {
			if (r->column > 0)
				e = base64_held(r);
			while (r->crs > 1 && e == 0) {
				r->crs--;
				e = base64_octets(r, "\r", 1);
			}
			r->column = 1;
		} else if (bytes[i] == '\r') {
			if (r->column > 0)
				e = base64_held(r);
			r->crs++;
		} else {
			e = base64_held(r);
			while (i + n < len && bytes[i + n] != '\n' && bytes[i + n] != '\r')
				n++;
			if (e == 0)
				e = base64_octets(r, bytes + i, n);
		}
	}
	return e;
}

/* ---- lines that are held until they are known to fit ---- */

/* Where to cut the held line so that what stays is a line of its own. */
static size_t
cut_at(const struct recode *r)
{
	const char *line = r->line.data;
	size_t cut = fields_cut(line, r->line.len, SPLIT_AT);

	if (r->way == RECODE_WAY_SOFT_BREAKS) {
		/* Not within "=XX". */
		for (size_t back = 1; back <= 2 && back < cut; back++)
			if (line[cut - back] == '=')
				return cut - back;
		return cut;
	}
	if (r->way == RECODE_WAY_REFLOW)
		return SPLIT_AT / 4 * 4;
	for (size_t i = cut; i > SPLIT_AT / 2; i--)
		if (line[i - 1] == ' ' || line[i - 1] == '\t')
			return i;
	return cut;
}

static int
cut_line(struct recode *r)
{
	size_t cut = cut_at(r);
	int e;

	if (r->way == RECODE_WAY_SOFT_BREAKS) {
		e = recode_put(r, r->line.data, cut);
		if (e == 0)
			e = put_line(r, "=", 1);
		note_line(r, cut + 1);
	} else {
		if (r->way == RECODE_WAY_OPAQUE)
			refuse(r);
		r->split = r->split || r->way == RECODE_WAY_SPLIT;
		e = put_line(r, r->line.data, cut);
	}
	buf_consume(&r->line, cut);
	return e;
}

static int
hold(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t n; len > 0 && e == 0; bytes += n, len -= n) {
		n = FIELDS_LINE_MAX + 1 - r->line.len < len ? FIELDS_LINE_MAX + 1 - r->line.len
							    : len;
		e = buf_append(&r->line, bytes, n);
		if (e == 0 && r->line.len > FIELDS_LINE_MAX)
			e = cut_line(r);
	}
	return e;
}

/* ---- lines ---- */

/* A piece of a line. */
static int
text(struct recode *r, const char *bytes, size_t len)
{
	r->open = true;
	if (r->way == RECODE_WAY_QUOTED_PRINTABLE)
		return qp_text(r, bytes, len);
	if (r->need == RECODE_SEVEN_BIT && text_has_eight_bit(bytes, len))
		refuse(r);
	if (r->way != RECODE_WAY_LABEL && r->way != RECODE_WAY_KEPT)
		return hold(r, bytes, len);
	r->column += len;
	note_line(r, r->column);
	r->kept = r->kept || (r->way == RECODE_WAY_KEPT && r->column > FIELDS_LINE_MAX);
	return recode_put(r, bytes, len);
}

/* A NUL, or a CR that ends no line. */
static int
odd_octet(struct recode *r, char c)
{
	int e;

	switch (r->way) {
	case RECODE_WAY_QUOTED_PRINTABLE:
		r->open = true;
		e = qp_blank(r, false);
		return e < 0 ? e : qp_octet(r, c, true);
	case RECODE_WAY_SOFT_BREAKS:
		return text(r, c == '\0' ? "=00" : "=0D", 3);
	case RECODE_WAY_REFLOW:
		return 0; /* decoders pass it over (RFC 2045 section 6.8) */
	default:
		refuse(r);
		return 0;
	}
}

static int
lone_crs(struct recode *r)
{
	int e = 0;

	for (; r->crs > 0 && e == 0; r->crs--)
		e = odd_octet(r, '\r');
	return e;
}

static int
line_end(struct recode *r)
{
	int e = r->way == RECODE_WAY_QUOTED_PRINTABLE ? qp_blank(r, true) : 0;

	if (e == 0)
		e = put_line(r, buf_str(&r->line), r->line.len);
	buf_clear(&r->line);
	r->column = 0;
	r->open = false;
	return e;
}

static int
lines_input(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t i = 0, n; i < len && e == 0; i += n) {
		n = 1;
		if (bytes[i] == '\n') {
			r->crs = 0;
			e = line_end(r);
		} else if (bytes[i] == '\r') {
			r->crs++;
		} else {
			e = lone_crs(r);
			while (bytes[i] != '\0' && i + n < len && bytes[i + n] != '\n' &&
			       bytes[i + n] != '\r' && bytes[i + n] != '\0')
				n++;
			if (e == 0)
				e = bytes[i] == '\0' ? odd_octet(r, '\0') : text(r, bytes + i, n);
		}
	}
	return e;
}

/* ---- bodies ---- */

void
recode_body_begin(struct recode *r, enum recode_way way)
{
	r->way = way;
	r->column = r->crs = 0;
	r->blank = 0;
	r->open = false;
	buf_clear(&r->line);
}

int
recode_body(struct recode *r, const char *bytes, size_t len)
{
	return r->way == RECODE_WAY_BASE64 ? base64_input(r, bytes, len)
					   : lines_input(r, bytes, len);
}

int
recode_body_end(struct recode *r, bool boundary)
{
	int e = 0;

	if (r->way == RECODE_WAY_BASE64) {
		/* The last line end is the boundary's, and no more than that. */
		if (boundary && r->column > 0) {
			r->column = 0;
			r->crs = r->lf_ends ? r->crs : 0;
		}
		e = base64_held(r);
		return e == 0 && r->line.len > 0 ? base64_line(r) : e;
	}
	e = lone_crs(r);
	return e == 0 && r->open ? line_end(r) : e;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recode.c: see recode.h.
 *
 * A message is read as entities: a header section, and a body, which may hold entities in turn. A header
 * is written before its body is seen, so every body that may be encoded is encoded. The boundaries of
 * multipart entities (RFC 2046 section 5.1) form a stack with the innermost on top; the boundary of an
 * outer entity ends all inner ones.
 *
 * A body consists of lines: LF, CRLF and CR CR LF each end one, and are written as CRLF. Base64 alone takes
 * octets as they are. A CR that ends no line, and a NUL, are written if the encoding can express them. Quoted-printable (RFC 2045 section 6.7) lines are at most 76 octets with the soft break's "=";
 * white space at the end of a line is encoded.
 */
#include "broker/message/recode.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/header.h"
#include "broker/message/fields.h"
#include "broker/message/mime.h"

enum {
	OUT_SIZE = 4096,
	BOUNDARY_MAX = 200, /* RFC 2046 says 70 */
	DEPTH_MAX = 16,
	ENCODED_LINE_MAX = 76,
	BASE64_OCTETS = ENCODED_LINE_MAX / 4 * 3,
	SPLIT_AT = 990,
	START_MAX = FIELDS_LINE_MAX + 2,
	/* Completing may have made it longer than what came in: encoded words. */
	HEADER_MAX = 8 * COMPLETE_HEADER_MAX,
};

struct level {
	char boundary[BOUNDARY_MAX + 1];
	size_t len;
	bool digest; /* its parts are messages unless they say otherwise */
};

struct recode {
	enum recode_need need;
	struct complete_facts facts; /* of the message that comes in */
	int (*write)(void *arg, const char *bytes, size_t len);
	void *arg;
	int error;
	/* entities */
	struct level stack[DEPTH_MAX];
	unsigned depth;
	struct buf start; /* the beginning of a line that may be a boundary, or of a header */
	bool lf_ends;     /* the header in front of this body ended in LF alone: so does the body */
	bool line_passed; /* the rest of that line follows */
	bool top;         /* the header section of the message itself is still to come */
	bool in_header;
	struct buf header;
	enum recode_way top_way;
	/* the body that is coming in */
	enum recode_way way;
	size_t column;
	char blank; /* quoted-printable: white space whose place in the line is not known yet */
	size_t crs; /* CRs whose meaning the next octet decides */
	bool open;  /* a line that has not ended */
	struct buf line; /* the line, as far as it must be held; base64: octets of a line to come */
	/* what was done */
	bool split, kept, refused, refused_signed, eight_bit;
	uint64_t size, longest, header_size;
	size_t out_len;
	char out[OUT_SIZE];
};

enum recode_need
recode_needed(const struct complete_facts *f)
{
	if (f->longest_line > FIELDS_LINE_MAX || f->odd_octets || f->raw_body)
		return RECODE_ENCODE;
	return f->eight_bit_body && !f->mime && !f->is_signed ? RECODE_LABEL : RECODE_NONE;
}

struct recode *
recode_new(enum recode_need need, const struct complete_facts *facts,
    int (*write)(void *arg, const char *bytes, size_t len), void *arg)
{
	struct recode *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->need = need;
	r->facts = *facts;
	r->write = write;
	r->arg = arg;
	r->top = r->in_header = true;
	r->header = (struct buf)BUF_INIT(HEADER_MAX);
	r->start = (struct buf)BUF_INIT(START_MAX);
	r->line = (struct buf)BUF_INIT(FIELDS_LINE_MAX + 1);
	return r;
}

struct recode *
recode_free(struct recode *r)
{
	if (r != NULL) {
		buf_free(&r->header);
		buf_free(&r->start);
		buf_free(&r->line);
		free(r);
	}
	return NULL;
}

/* ---- output ---- */

static int
flush(struct recode *r)
{
	int e = r->out_len == 0 ? 0 : r->write(r->arg, r->out, r->out_len);

	r->out_len = 0;
	return e;
}

static int
put(struct recode *r, const char *bytes, size_t len)
{
	r->size += len;
	for (size_t i = 0; !r->top && i < len && !r->eight_bit; i++)
		r->eight_bit = ((unsigned char)bytes[i] & 0x80) != 0;
	while (len > 0) {
		size_t n = OUT_SIZE - r->out_len < len ? OUT_SIZE - r->out_len : len;

		memcpy(r->out + r->out_len, bytes, n);
		r->out_len += n;
		bytes += n;
		len -= n;
		if (r->out_len == OUT_SIZE) {
			int e = flush(r);

			if (e < 0)
				return e;
		}
	}
	return 0;
}

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
	int e = put(r, bytes, len);

	note_line(r, len);
	return e < 0 ? e : put(r, "\r\n", 2);
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
		e = put(r, "=\r\n", 3);
		r->column = 0;
	}
	r->column += n;
	return e < 0 ? e : put(r, encode ? code : &c, n);
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
		e = put(r, r->line.data, cut);
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
	return put(r, bytes, len);
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

/* ---- bodies: each in one way ---- */

/* A body begins, at the beginning of a line, to be passed in this way. */
static void
begin_body(struct recode *r, enum recode_way way)
{
	r->way = way;
	r->column = r->crs = 0;
	r->blank = 0;
	r->open = false;
	buf_clear(&r->line);
}

/* The next octets of it, in whatever line ends. */
static int
pass_body(struct recode *r, const char *bytes, size_t len)
{
	return r->way == RECODE_WAY_BASE64 ? base64_input(r, bytes, len)
					   : lines_input(r, bytes, len);
}

/* The body is over. `boundary`: a boundary follows, to which the line end in front of it belongs (RFC
 * 2046 section 5.1.1). */
static int
end_body(struct recode *r, bool boundary)
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

/* ---- what is to be done with an entity ---- */

struct entity {
	struct header_field type; /* name NULL: it has none */
	bool version, typed;
	bool whole; /* all of its header section is fields */
	bool message;
	enum recode_way way;
};

/* The way for a type; QUOTED_PRINTABLE and BASE64 leave it to the encoding. */
static enum recode_way
way_of_type(const struct header_field *f, bool *ret_message)
{
	*ret_message =
	    mime_value_begins(f, "message/rfc822") || mime_value_begins(f, "message/global");
	if (mime_is_signed(f))
		return RECODE_WAY_KEPT;
	if (mime_value_begins(f, "multipart/") || *ret_message)
		return RECODE_WAY_PARTS;
	/* RFC 2046 section 5.2: these may not be encoded. */
	if (mime_value_begins(f, "message/"))
		return RECODE_WAY_OPAQUE;
	return mime_is_text(f) ? RECODE_WAY_QUOTED_PRINTABLE : RECODE_WAY_BASE64;
}

static enum recode_way
way_of_encoding(const struct header_field *f)
{
	if (mime_value_begins(f, "quoted-printable"))
		return RECODE_WAY_SOFT_BREAKS;
	if (mime_value_begins(f, "base64"))
		return RECODE_WAY_REFLOW;
	return mime_value_begins(f, "7bit") || mime_value_begins(f, "8bit") ||
		       mime_value_begins(f, "binary")
		   ? RECODE_WAY_PARTS /* none */
		   : RECODE_WAY_OPAQUE;
}

/* Reads the header section in r->header, up to and with its blank line. */
static void
read_entity(const struct recode *r, struct entity *ret)
{
	enum recode_way type = RECODE_WAY_QUOTED_PRINTABLE, encoding = RECODE_WAY_PARTS;
	bool is_signed = false;
	struct header_field f;
	size_t at = 0;

	*ret = (struct entity){.message = r->depth > 0 && r->stack[r->depth - 1].digest};
	if (ret->message)
		type = RECODE_WAY_PARTS;
	while (header_next(r->header.data, r->header.len, true, &at, &f) == 1) {
		ret->version = ret->version || header_is(&f, "MIME-Version");
		/* Of this message, or of one that is attached. */
		is_signed = is_signed || header_is(&f, "DKIM-Signature") ||
			    header_is(&f, "ARC-Message-Signature");
		if (header_is(&f, "Content-Type")) {
			type = way_of_type(&f, &ret->message);
			ret->type = f;
			ret->typed = true;
		} else if (header_is(&f, "Content-Transfer-Encoding")) {
			encoding = way_of_encoding(&f);
		}
	}
	ret->whole = at == r->header.len;
	if (is_signed || type == RECODE_WAY_KEPT)
		ret->way = RECODE_WAY_KEPT;
	else if (!ret->whole)
		ret->way = RECODE_WAY_OPAQUE;
	else if (encoding == RECODE_WAY_PARTS || type == RECODE_WAY_OPAQUE)
		ret->way = type;
	else /* composite types are not encoded themselves (RFC 2045 section 6.4) */
		ret->way = type == RECODE_WAY_PARTS ? RECODE_WAY_OPAQUE : encoding;
}

static bool
find_boundary(const struct header_field *type, struct level *ret)
{
	ret->digest = mime_value_begins(type, "multipart/digest");
	if (!mime_parameter(type, "boundary", ret->boundary, sizeof(ret->boundary)))
		return false;
	ret->len = strlen(ret->boundary);
	/* White space at its end would be lost on the way (RFC 2046 section 5.1.1). */
	while (ret->len > 0 && ret->boundary[ret->len - 1] == ' ')
		ret->boundary[--ret->len] = '\0';
	return ret->len > 0;
}

/* ---- header sections ---- */

static const char *
charset(const struct recode *r)
{
	if (!r->facts.eight_bit_body)
		return "us-ascii";
	return r->facts.body_is_utf8 ? "utf-8" : "unknown-8bit";
}

/* The fields that say how the body is encoded. */
static int
write_encoding(struct recode *r, const struct entity *x, struct buf *out)
{
	int e = 0;

	if (r->top && !x->version)
		e = buf_append_str(out, "MIME-Version: 1.0\r\n");
	if (e == 0 && r->top && !x->typed)
		e = buf_printf(out, "Content-Type: text/plain; charset=%s\r\n", charset(r));
	if (e == 0)
		e = buf_printf(out, "Content-Transfer-Encoding: %s\r\n",
		    x->way == RECODE_WAY_LABEL    ? "8bit"
		    : x->way == RECODE_WAY_BASE64 ? "base64"
						  : "quoted-printable");
	r->facts.mime = r->facts.mime || r->top;
	return e;
}

/* The header section of a part comes in any line ends, that of the message was made by complete.h. */
static int
normalise_header(struct recode *r)
{
	char *data = r->header.data;
	CLEANUP_BUF struct buf out = BUF_INIT(2 * (size_t)HEADER_MAX);
	int e = 0;

	for (size_t i = 0; i < r->header.len && e == 0; i++) {
		if (data[i] == '\n') {
			e = buf_append_str(&out, "\r\n");
		} else if (data[i] == '\r' || data[i] == '\0') {
			size_t next = i;

			while (next < r->header.len && data[next] == '\r')
				next++;
			r->refused = r->refused || next == r->header.len || data[next] != '\n';
			i = next > i ? next - 1 : i; /* a run of them is looked over once */
		} else {
			e = buf_append_char(&out, data[i]);
		}
	}
	if (e < 0)
		return e;
	buf_clear(&r->header);
	return buf_append(&r->header, buf_str(&out), out.len);
}

/* Does the field not say any more how the body is encoded? Nothing is binary behind this, and a server that takes 7
 * bits gets these. */
static bool
is_encoding_stale(const struct recode *r, const struct entity *x, const struct header_field *f)
{
	if (x->way == RECODE_WAY_PARTS)
		return r->need == RECODE_SEVEN_BIT || mime_value_begins(f, "binary");
	return x->way == RECODE_WAY_QUOTED_PRINTABLE || x->way == RECODE_WAY_BASE64;
}

/* Writes r->header with the fields that its way makes necessary, and empties it. */
static int
write_header(struct recode *r, const struct entity *x)
{
	bool encode = x->way == RECODE_WAY_QUOTED_PRINTABLE || x->way == RECODE_WAY_BASE64,
	     cut = false, binary = false;
	CLEANUP_BUF struct buf out = BUF_INIT(2 * (size_t)HEADER_MAX);
	struct header_field f;
	size_t at = 0;
	int e = 0;

	while (e == 0 && header_next(r->header.data, r->header.len, true, &at, &f) == 1) {
		if (header_is(&f, "Content-Transfer-Encoding") && is_encoding_stale(r, x, &f)) {
			binary = x->way == RECODE_WAY_PARTS;
			continue;
		}
		e = r->top || x->way == RECODE_WAY_KEPT
			? buf_append(&out, f.whole, f.whole_len)
			: fields_fold(&out, f.whole, f.whole_len, &cut);
	}
	r->refused = r->refused || cut;
	if (e == 0 && (encode || x->way == RECODE_WAY_LABEL))
		e = write_encoding(r, x, &out);
	else if (e == 0 && binary && r->need != RECODE_SEVEN_BIT)
		e = buf_append_str(&out, "Content-Transfer-Encoding: 8bit\r\n");
	if (r->top)
		r->header_size = out.len;
	/* What is no field follows, or the blank line. */
	if (e == 0 && x->whole)
		e = buf_append_str(&out, "\r\n");
	if (e == 0)
		e = put(r, buf_str(&out), out.len);
	r->top = false;
	if (e == 0 && !x->whole) {
		begin_body(r, x->way);
		e = pass_body(r, r->header.data + at, r->header.len - at);
	}
	buf_clear(&r->header);
	return e;
}

/* The header section is there, with its blank line: what becomes of its body? */
static int
end_header(struct recode *r)
{
	bool top = r->top;
	struct entity x;
	int e = top ? 0 : normalise_header(r);

	if (e < 0)
		return e;
	read_entity(r, &x);
	if (top && r->need == RECODE_LABEL)
		x.way = RECODE_WAY_LABEL;
	if (x.way == RECODE_WAY_PARTS && !x.message &&
	    (r->depth == DEPTH_MAX || !find_boundary(&x.type, &r->stack[r->depth])))
		x.way = RECODE_WAY_OPAQUE;
	if (top)
		r->top_way = x.way;
	r->depth += x.way == RECODE_WAY_PARTS && !x.message;
	/* An attached message begins with a header section of its own. */
	r->in_header = x.way == RECODE_WAY_PARTS && x.message;
	e = write_header(r, &x);
	/* What stands before the first part is none. */
	if (x.whole)
		begin_body(r, x.way == RECODE_WAY_PARTS ? RECODE_WAY_SPLIT : x.way);
	return e;
}

/* A header section that does not end: at a boundary, or with the message. */
static int
cut_header(struct recode *r)
{
	const struct entity x = {.way = RECODE_WAY_OPAQUE};
	int e = normalise_header(r);

	r->in_header = false;
	return e < 0 ? e : write_header(r, &x);
}

/* ---- lines ---- */

/* Which boundary of the stack the line is: its index, or -1. */
static int
boundary_of(const struct recode *r, const char *line, size_t len, bool *ret_last)
{
	if (len < 2 || line[0] != '-' || line[1] != '-')
		return -1;
	for (int i = (int)r->depth - 1; i >= 0; i--) {
		const struct level *b = &r->stack[i];
		size_t at = 2 + b->len;

		if (len < at || memcmp(line + 2, b->boundary, b->len) != 0)
			continue;
		*ret_last = len - at >= 2 && line[at] == '-' && line[at + 1] == '-';
		at += *ret_last ? 2 : 0;
		while (at < len && strchr(" \t\r\n", line[at]) != NULL)
			at++;
		if (at == len)
			return i;
	}
	return -1;
}

static bool
is_blank_line(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && line[i] == '\r')
		i++;
	return i + 1 == len && line[i] == '\n';
}

static int
take_boundary(struct recode *r, unsigned level, bool last, const char *line, size_t len)
{
	int e = r->in_header ? cut_header(r) : 0;

	if (e == 0)
		e = end_body(r, true);
	r->depth = level + !last;
	r->in_header = !last;
	begin_body(r, RECODE_WAY_SPLIT);
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	if (e == 0)
		e = put(r, line, len);
	return e < 0 ? e : put(r, "\r\n", 2);
}

/* A piece of a line that is no boundary. */
static int
take_text(struct recode *r, const char *bytes, size_t len)
{
	int e;

	if (!r->in_header)
		return pass_body(r, bytes, len);
	if (r->header.len + len <= HEADER_MAX)
		return buf_append(&r->header, bytes, len);
	e = cut_header(r);
	return e < 0 ? e : pass_body(r, bytes, len);
}

/* A line with its end, or a message's last one without. */
static int
take_line(struct recode *r, const char *line, size_t len)
{
	bool last = false;
	int level = r->top ? -1 : boundary_of(r, line, len, &last), e;

	if (level >= 0)
		return take_boundary(r, (unsigned)level, last, line, len);
	e = take_text(r, line, len);
	if (e < 0 || !r->in_header || !is_blank_line(line, len))
		return e;
	r->lf_ends = len == 1;
	return end_header(r);
}

static int
input(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t at = 0, n; at < len && e == 0; at += n) {
		const char *lf;

		if (!r->in_header && r->depth == 0) /* nothing but this body is left */
			return pass_body(r, bytes + at, len - at);
		lf = memchr(bytes + at, '\n', len - at);
		n = lf == NULL ? len - at : (size_t)(lf - bytes) + 1 - at;
		if (r->line_passed) {
			e = take_text(r, bytes + at, n);
			r->line_passed = lf == NULL;
			continue;
		}
		if (n > START_MAX - r->start.len) {
			n = START_MAX - r->start.len;
			lf = NULL;
		}
		e = buf_append(&r->start, bytes + at, n);
		if (e < 0 || (lf == NULL && r->start.len < START_MAX))
			continue;
		r->line_passed = lf == NULL;
		e = lf == NULL ? take_text(r, r->start.data, r->start.len)
			       : take_line(r, r->start.data, r->start.len);
		buf_clear(&r->start);
	}
	return e;
}

int
recode_input(struct recode *r, const char *bytes, size_t len)
{
	if (r->error == 0)
		r->error = input(r, bytes, len);
	return r->error;
}

/* What is to be told of it, the worst first. */
static enum recode_way
summary(const struct recode *r)
{
	if (r->kept)
		return RECODE_WAY_KEPT;
	return r->split ? RECODE_WAY_SPLIT : r->top_way;
}

int
recode_end(
    struct recode *r, struct complete_facts *facts, enum recode_way *ret_way, bool *ret_signed)
{
	if (r->error == 0 && r->top)
		r->error = -EBADMSG;
	if (r->error == 0 && r->start.len > 0)
		r->error = take_line(r, r->start.data, r->start.len);
	if (r->error == 0 && r->in_header)
		r->error = cut_header(r);
	if (r->error == 0)
		r->error = end_body(r, false);
	if (r->error == 0)
		r->error = flush(r);
	*ret_signed = r->refused_signed;
	if (r->error == 0 && r->refused)
		r->error = -EILSEQ;
	if (r->error < 0)
		return r->error;
	facts->size = r->size;
	facts->header_size = r->header_size;
	facts->mime = r->facts.mime;
	if (r->need != RECODE_LABEL) {
		facts->longest_line = r->longest;
		facts->eight_bit_body = facts->eight_bit_body && r->eight_bit;
		facts->odd_octets = facts->raw_body = false;
	}
	*ret_way = summary(r);
	return 0;
}

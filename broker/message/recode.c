/*
 * recode.c: see recode.h.
 *
 * The header section is collected, its MIME fields are read and replaced, then the body streams
 * through one of the encoders; of a message of several parts, each part (recode-parts.c). Quoted-printable (RFC 2045 section 6.7) lines are at most 76 octets
 * with the soft break's "="; white space at the end of a line is encoded.
 */
#include "broker/message/recode-internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/header.h"

enum {
	QP_LINE_MAX = 76,
	SPLIT_AT = 990,
	/* Completing may have made it longer than what came in: encoded words. */
	HEADER_MAX = 8 * COMPLETE_HEADER_MAX,
};

enum recode_need
recode_needed(const struct complete_facts *f)
{
	if (f->longest_line > FIELDS_LINE_MAX)
		return RECODE_LINES;
	return f->eight_bit_body && !f->mime ? RECODE_LABEL : RECODE_NONE;
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
	r->header = (struct buf)BUF_INIT(HEADER_MAX);
	r->line = (struct buf)BUF_INIT(RECODE_COLLECT_MAX);
	return r;
}

struct recode *
recode_free(struct recode *r)
{
	if (r != NULL) {
		buf_free(&r->header);
		buf_free(&r->line);
		recode_parts_free(r->parts);
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

int
recode_put(struct recode *r, const char *bytes, size_t len)
{
	r->size += len;
	for (size_t i = 0; r->in_body && i < len && !r->eight_bit; i++)
		r->eight_bit = ((unsigned char)bytes[i] & 0x80) != 0;
	while (len > 0) {
		size_t n = RECODE_OUT_SIZE - r->out_len < len ? RECODE_OUT_SIZE - r->out_len : len;

		memcpy(r->out + r->out_len, bytes, n);
		r->out_len += n;
		bytes += n;
		len -= n;
		if (r->out_len == RECODE_OUT_SIZE) {
			int e = flush(r);

			if (e < 0)
				return e;
		}
	}
	return 0;
}

static int
put_line(struct recode *r, const char *bytes, size_t len)
{
	int e = recode_put(r, bytes, len);

	if (len > r->longest)
		r->longest = len;
	return e < 0 ? e : recode_put(r, "\r\n", 2);
}

/* ---- the header ---- */

/* The way for a type; QUOTED_PRINTABLE leaves it to the encoding. */
static enum recode_way
way_of_type(const struct header_field *f)
{
	/* Whose content a signature or an encryption covers octet for octet. */
	if (mime_is_signed(f))
		return RECODE_WAY_KEPT;
	if (mime_value_begins(f, "multipart/"))
		return RECODE_WAY_PARTS;
	return mime_value_begins(f, "message/") ? RECODE_WAY_SPLIT : RECODE_WAY_QUOTED_PRINTABLE;
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
		   ? RECODE_WAY_QUOTED_PRINTABLE
		   : RECODE_WAY_SPLIT;
}

enum recode_way
recode_choose(const char *header, size_t len, enum recode_way without_type,
    struct header_field *ret_type, bool *ret_whole)
{
	enum recode_way type = without_type, encoding = RECODE_WAY_QUOTED_PRINTABLE;
	struct header_field f;
	size_t at = 0;

	while (header_next(header, len, true, &at, &f) == 1) {
		if (header_is(&f, "Content-Type")) {
			type = way_of_type(&f);
			*ret_type = f;
		} else if (header_is(&f, "Content-Transfer-Encoding")) {
			encoding = way_of_encoding(&f);
		}
	}
	*ret_whole = at == len;
	/* Composite types are not encoded themselves (RFC 2045 section 6.4). */
	return type == RECODE_WAY_QUOTED_PRINTABLE ? encoding
	       : encoding == RECODE_WAY_QUOTED_PRINTABLE || type == RECODE_WAY_KEPT
		   ? type
		   : RECODE_WAY_SPLIT;
}

/* What the MIME fields allow. */
static enum recode_way
choose_way(struct recode *r)
{
	struct header_field type = {0};
	enum recode_way way;
	bool whole;

	if (r->need == RECODE_LABEL)
		return RECODE_WAY_LABEL;
	way = recode_choose(
	    r->header.data, r->header.len, RECODE_WAY_QUOTED_PRINTABLE, &type, &whole);
	if (way == RECODE_WAY_PARTS && !recode_parts_begin(r, &type))
		way = RECODE_WAY_SPLIT;
	return way;
}

static const char *
charset(const struct recode *r)
{
	if (!r->facts.eight_bit_body)
		return "us-ascii";
	return r->facts.body_is_utf8 ? "utf-8" : "unknown-8bit";
}

static int
write_header(struct recode *r)
{
	bool encode = r->way == RECODE_WAY_QUOTED_PRINTABLE, version = false, type = false;
	CLEANUP_BUF struct buf added = BUF_INIT(512);
	struct header_field f;
	size_t at = 0;
	int e = 0;

	while (e == 0 && header_next(r->header.data, r->header.len, true, &at, &f) == 1) {
		version = version || header_is(&f, "MIME-Version");
		type = type || header_is(&f, "Content-Type");
		if (encode && header_is(&f, "Content-Transfer-Encoding"))
			continue;
		e = recode_put(r, f.whole, f.whole_len);
	}
	if (e == 0 && (encode || r->way == RECODE_WAY_LABEL)) {
		if (!version)
			e = buf_append_str(&added, "MIME-Version: 1.0\r\n");
		if (e == 0 && !type)
			e = buf_printf(
			    &added, "Content-Type: text/plain; charset=%s\r\n", charset(r));
		if (e == 0)
			e = buf_printf(&added, "Content-Transfer-Encoding: %s\r\n",
			    encode ? "quoted-printable" : "8bit");
		if (e == 0)
			e = recode_put(r, buf_str(&added), added.len);
		r->facts.mime = true;
	}
	r->header_size = r->size;
	return e < 0 ? e : recode_put(r, "\r\n", 2);
}

/* Collects the header section, which ends in a blank line. */
static int
header_input(struct recode *r, const char *bytes, size_t len, size_t *ret_taken)
{
	size_t taken = 0;

	while (taken < len) {
		const char *lf = memchr(bytes + taken, '\n', len - taken);
		size_t n = lf == NULL ? len - taken : (size_t)(lf - bytes) + 1 - taken;
		int e = buf_append(&r->header, bytes + taken, n);

		if (e < 0)
			return e;
		taken += n;
		if (lf == NULL || !(r->header.len == 2 || memcmp(r->header.data + r->header.len - 4,
							      "\r\n\r\n", 4) == 0))
			continue;
		r->way = choose_way(r);
		e = write_header(r);
		if (e < 0)
			return e;
		r->in_body = true;
		/* What stands before the first part is none. */
		if (r->parts != NULL)
			recode_body_anew(r, RECODE_WAY_SPLIT);
		break;
	}
	*ret_taken = taken;
	return 0;
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
	if (r->column + n > QP_LINE_MAX - 1) {
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
qp_input(struct recode *r, const char *bytes, size_t len)
{
	int e = 0;

	for (size_t i = 0; i < len && e == 0; i++) {
		char c = bytes[i];

		if (c == '\r') {
			r->cr = true;
		} else if (c == '\n' && r->cr) {
			r->cr = false;
			e = qp_blank(r, true);
			if (e == 0)
				e = recode_put(r, "\r\n", 2);
			r->column = 0;
		} else {
			e = qp_blank(r, false);
			if (c == ' ' || c == '\t')
				r->blank = c;
			else if (e == 0)
				e = qp_octet(r, c, c < '!' || c > '~' || c == '=');
		}
	}
	if (r->longest < QP_LINE_MAX)
		r->longest = QP_LINE_MAX;
	return e;
}

/* ---- the other ways: lines that are too long are cut ---- */

/* Where to cut the collected line so that what stays is a line of its own. */
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
cut_input(struct recode *r, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len;) {
		const char *lf = memchr(bytes + i, '\n', len - i);
		size_t n = lf == NULL ? len - i : (size_t)(lf - bytes) + 1 - i;
		int e;

		if (r->line.len + n > RECODE_COLLECT_MAX && n > RECODE_COLLECT_MAX - r->line.len)
			n = RECODE_COLLECT_MAX - r->line.len;
		e = buf_append(&r->line, bytes + i, n);
		if (e < 0)
			return e;
		i += n;
		if (r->line.data[r->line.len - 1] == '\n') {
			e = put_line(r, r->line.data, r->line.len - 2);
			buf_clear(&r->line);
		} else if (r->line.len == RECODE_COLLECT_MAX) {
			size_t cut = cut_at(r);

			if (r->way == RECODE_WAY_SOFT_BREAKS) {
				e = recode_put(r, r->line.data, cut);
				if (e == 0)
					e = put_line(r, "=", 1);
				if (cut + 1 > r->longest)
					r->longest = cut + 1;
			} else {
				r->split = r->split || r->way == RECODE_WAY_SPLIT;
				e = put_line(r, r->line.data, cut);
			}
			buf_consume(&r->line, cut);
		}
		if (e < 0)
			return e;
	}
	return 0;
}

/* ---- the whole ---- */

/* As it is; longer lines than are allowed are noted. */
static int
kept_input(struct recode *r, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		r->column = bytes[i] == '\n' ? 0 : r->column + 1;
		/* with the CR of its end */
		if (r->column > r->longest + 1)
			r->longest = r->column - 1;
	}
	r->kept = r->kept || r->longest > FIELDS_LINE_MAX;
	return recode_put(r, bytes, len);
}

int
recode_body(struct recode *r, const char *bytes, size_t len)
{
	switch (r->way) {
	case RECODE_WAY_LABEL:
		return recode_put(r, bytes, len);
	case RECODE_WAY_QUOTED_PRINTABLE:
		return qp_input(r, bytes, len);
	case RECODE_WAY_KEPT:
		return kept_input(r, bytes, len);
	default:
		return cut_input(r, bytes, len);
	}
}

void
recode_body_anew(struct recode *r, enum recode_way way)
{
	r->way = way;
	r->column = 0;
	r->blank = 0;
	r->cr = false;
}

int
recode_input(struct recode *r, const char *bytes, size_t len)
{
	size_t taken = 0;

	if (r->error == 0 && !r->in_body)
		r->error = header_input(r, bytes, len, &taken);
	if (r->error == 0 && r->in_body && taken < len)
		r->error = r->parts != NULL ? recode_parts_input(r, bytes + taken, len - taken)
					    : recode_body(r, bytes + taken, len - taken);
	return r->error;
}

/* What is to be told of it, the worst first. */
static enum recode_way
summary(const struct recode *r)
{
	if (r->kept)
		return RECODE_WAY_KEPT;
	if (r->split)
		return RECODE_WAY_SPLIT;
	return r->parts != NULL ? RECODE_WAY_PARTS : r->way;
}

int
recode_end(struct recode *r, struct complete_facts *facts, enum recode_way *ret_way)
{
	if (r->error == 0 && !r->in_body)
		r->error = -EBADMSG;
	if (r->error == 0 && r->parts != NULL)
		r->error = recode_parts_end(r);
	if (r->error == 0)
		r->error = flush(r);
	if (r->error < 0)
		return r->error;
	facts->size = r->size;
	facts->header_size = r->header_size;
	facts->mime = r->facts.mime;
	if (r->need == RECODE_LINES) {
		facts->longest_line = r->longest;
		facts->eight_bit_body = facts->eight_bit_body && r->eight_bit;
	}
	*ret_way = summary(r);
	return 0;
}

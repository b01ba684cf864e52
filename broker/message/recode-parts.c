/*
 * recode-parts.c: a message of several parts (RFC 2046 section 5.1), each mended in its own way.
 *
 * Whether a part has a line that is too long is known only behind it, and its header stands before
 * it. So every part without an encoding becomes quoted-printable, which loses nothing; parts that
 * are encoded keep their encoding, and only lines that are too long change. What is signed or
 * encrypted is not touched, with all parts inside; nor is a message that is attached, but for lines
 * that have to be split. The end of a line before a boundary belongs to the boundary.
 *
 * Boundaries stand in a stack, the innermost on top: that of an outer one ends all inner ones.
 */
#include "broker/message/recode-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	DEPTH_MAX = 16,
	BOUNDARY_MAX = 200, /* RFC 2046 says 70 */
	PART_HEADER_MAX = 256 * 1024,
};

struct boundary {
	char text[BOUNDARY_MAX + 1];
	size_t len;
	bool digest; /* its parts are messages unless they say otherwise */
};

struct recode_parts {
	struct boundary stack[DEPTH_MAX];
	unsigned depth;
	struct buf line;  /* the beginning of a line that may be a boundary */
	bool line_passed; /* it is none: the rest of the line follows */
	bool in_header;   /* of a part */
	struct buf header;
};

void
recode_parts_free(struct recode_parts *p)
{
	if (p == NULL)
		return;
	buf_free(&p->line);
	buf_free(&p->header);
	free(p);
}

/* ---- the boundary that a Content-Type names ---- */

static bool
find_boundary(const struct header_field *type, struct boundary *ret)
{
	ret->digest = mime_value_begins(type, "multipart/digest");
	if (!mime_parameter(type, "boundary", ret->text, sizeof(ret->text)))
		return false;
	ret->len = strlen(ret->text);
	/* White space at its end would be lost on the way (RFC 2046 section 5.1.1). */
	while (ret->len > 0 && ret->text[ret->len - 1] == ' ')
		ret->text[--ret->len] = '\0';
	return ret->len > 0;
}

bool
recode_parts_begin(struct recode *r, const struct header_field *type)
{
	struct recode_parts *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return false;
	p->line = (struct buf)BUF_INIT(RECODE_COLLECT_MAX);
	p->header = (struct buf)BUF_INIT(PART_HEADER_MAX);
	if (!find_boundary(type, &p->stack[0])) {
		recode_parts_free(p);
		return false;
	}
	p->depth = 1;
	r->parts = p;
	return true;
}

/* ---- lines ---- */

/* Which boundary of the stack the line is: its index, or -1. */
static int
boundary_of(const struct recode_parts *p, const char *line, size_t len, bool *ret_last)
{
	if (len < 2 || line[0] != '-' || line[1] != '-')
		return -1;
	for (int i = (int)p->depth - 1; i >= 0; i--) {
		const struct boundary *b = &p->stack[i];
		size_t at = 2 + b->len;

		if (len < at || memcmp(line + 2, b->text, b->len) != 0)
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

/* Writes the header section of a part that becomes quoted-printable. */
static int
write_encoded_header(struct recode *r, const struct buf *header)
{
	CLEANUP_BUF struct buf out = BUF_INIT((size_t)2 * PART_HEADER_MAX);
	struct header_field f;
	size_t at = 0;
	bool cut = false;
	int e = 0;

	while (e == 0 && header_next(header->data, header->len, true, &at, &f) == 1)
		if (!header_is(&f, "Content-Transfer-Encoding"))
			e = fields_fold(&out, f.whole, f.whole_len, &cut);
	if (e == 0)
		e = buf_append_str(&out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	return e < 0 ? e : recode_put(r, buf_str(&out), out.len);
}

/* As it is, but for lines that are too long. */
static int
pass_header(struct recode *r)
{
	struct recode_parts *p = r->parts;
	int e;

	p->in_header = false;
	recode_body_anew(r, RECODE_WAY_SPLIT);
	e = recode_body(r, buf_str(&p->header), p->header.len);
	buf_clear(&p->header);
	return e;
}

/* The header section of a part is there, with its blank line: what becomes of its body? */
static int
begin_part(struct recode *r)
{
	struct recode_parts *p = r->parts;
	const struct boundary *in = &p->stack[p->depth - 1];
	struct header_field type = {0};
	bool whole;
	enum recode_way way = recode_choose(p->header.data, p->header.len,
	    in->digest ? RECODE_WAY_SPLIT : RECODE_WAY_QUOTED_PRINTABLE, &type, &whole);
	int e;

	if (!whole)
		way = RECODE_WAY_SPLIT;
	if (way == RECODE_WAY_PARTS) {
		/* What stands before its first part, and where none is found all of it, is text. */
		way = RECODE_WAY_SPLIT;
		if (p->depth < DEPTH_MAX && find_boundary(&type, &p->stack[p->depth]))
			p->depth++;
	}
	if (way == RECODE_WAY_QUOTED_PRINTABLE) {
		e = write_encoded_header(r, &p->header);
		buf_clear(&p->header);
		p->in_header = false;
	} else {
		e = pass_header(r);
	}
	recode_body_anew(r, way);
	return e;
}

/* A piece of a line that is no boundary. */
static int
take_text(struct recode *r, const char *bytes, size_t len)
{
	struct recode_parts *p = r->parts;
	int e;

	if (!p->in_header)
		return recode_body(r, bytes, len);
	if (p->header.len + len > PART_HEADER_MAX) {
		e = pass_header(r);
		return e < 0 ? e : recode_body(r, bytes, len);
	}
	return buf_append(&p->header, bytes, len);
}

static int
take_line(struct recode *r, const char *line, size_t len)
{
	struct recode_parts *p = r->parts;
	bool last = false;
	int level = boundary_of(p, line, len, &last), e = 0;

	if (level < 0) {
		bool blank = p->in_header && len == 2;

		e = take_text(r, line, len);
		return e == 0 && blank && p->in_header ? begin_part(r) : e;
	}
	if (p->in_header)
		e = pass_header(r);
	p->depth = (unsigned)level + !last;
	p->in_header = !last;
	recode_body_anew(r, RECODE_WAY_SPLIT);
	return e < 0 ? e : recode_put(r, line, len);
}

int
recode_parts_input(struct recode *r, const char *bytes, size_t len)
{
	struct recode_parts *p = r->parts;
	int e = 0;

	for (size_t at = 0, n; at < len && e == 0; at += n) {
		const char *lf = memchr(bytes + at, '\n', len - at);

		n = lf == NULL ? len - at : (size_t)(lf - bytes) + 1 - at;
		if (p->line_passed) {
			e = take_text(r, bytes + at, n);
			p->line_passed = lf == NULL;
			continue;
		}
		if (n > RECODE_COLLECT_MAX - p->line.len) {
			n = RECODE_COLLECT_MAX - p->line.len;
			lf = NULL;
		}
		e = buf_append(&p->line, bytes + at, n);
		if (e == 0 && lf != NULL) {
			e = take_line(r, p->line.data, p->line.len);
			buf_clear(&p->line);
		} else if (e == 0 && p->line.len == RECODE_COLLECT_MAX) {
			e = take_text(r, p->line.data, p->line.len);
			buf_clear(&p->line);
			p->line_passed = true;
		}
	}
	return e;
}

int
recode_parts_end(struct recode *r)
{
	return r->parts->in_header ? pass_header(r) : 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * mail-content.c: see mail-content.h. Where the message breaks the rules, what can be read is read: a
 * text whose charset is unknown comes as it is, a multipart without an end ends with the message.
 */
#include "admin/mail-content.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/codec.h"
#include "broker/message/mime.h"

enum { NAME_MAX_OCTETS = 1024, BOUNDARY_MAX = 200, SECTIONS_MAX = 50 };

struct reader {
	const struct mail_visit *visit;
	void *arg;
	unsigned parts;
	size_t room; /* octets of the message: bounds what is made of it */
};

/* ---- charsets ---- */

static bool
is_unicode(const char *charset)
{
	return *charset == '\0' || strcasecmp(charset, "utf-8") == 0 ||
	       strcasecmp(charset, "us-ascii") == 0;
}

/* Appends text of a charset as UTF-8; what that charset has no meaning for becomes '?'. */
static int
append_text(struct buf *out, const char *charset, const char *text, size_t len)
{
	iconv_t cd = is_unicode(charset) ? (iconv_t)-1 : iconv_open("UTF-8", charset);
	char chunk[1024], *in = (char *)text; /* iconv does not write there */
	int r = 0;

	if (cd == (iconv_t)-1)
		return buf_append(out, text, len);
	while (r == 0 && len > 0) {
		char *to = chunk;
		size_t left = sizeof(chunk), n = iconv(cd, &in, &len, &to, &left);

		r = buf_append(out, chunk, (size_t)(to - chunk));
		if (n != (size_t)-1 || errno == E2BIG || r < 0)
			continue;
		if (errno == EINVAL)
			break;
		in++;
		len--;
		r = buf_append_char(out, '?');
	}
	(void)iconv_close(cd);
	return r;
}

/* ---- fields ---- */

static bool
is_blank(const char *s, const char *end)
{
	while (s < end && strchr(" \t\r\n", *s) != NULL)
		s++;
	return s == end;
}

/* Appends text without its line ends. */
static int
append_unfolded(struct buf *out, const char *s, const char *end)
{
	int r = 0;

	for (; s < end && r == 0; s++)
		if (*s != '\r' && *s != '\n' && *s != '\0')
			r = buf_append_char(out, *s == '\t' ? ' ' : *s);
	return r;
}

/* White space between two encoded words is dropped (RFC 2047 section 6.2). */
static int
decode_value(struct buf *out, const struct header_field *f)
{
	struct mime_word w = {.text = BUF_INIT(f->value_len)};
	const char *at = f->value, *end = at + f->value_len;
	bool behind_word = false;
	int r = 0;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (r == 0 && mime_next_word(at, end, &w) == 1) {
		if (!behind_word || !is_blank(at, w.begin))
			r = append_unfolded(out, at, w.begin);
		if (r == 0)
			r = append_text(out, w.charset, buf_str(&w.text), w.text.len);
		at = w.end;
		behind_word = true;
	}
	if (r == 0)
		r = append_unfolded(out, at, end);
	buf_free(&w.text);
	return r;
}

static int
visit_field(struct reader *x, const struct header_field *f)
{
	/* three octets of UTF-8 for each of the charset, and no more */
	CLEANUP_BUF struct buf value = BUF_INIT(4 * x->room + 16);
	char name[80];
	int r;

	if (f->name_len >= sizeof(name))
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)f->name_len, f->name);
	r = decode_value(&value, f);
	return r < 0 ? r : x->visit->field(x->arg, name, buf_str(&value));
}

/* ---- file names ---- */

/* charset'language'text, percent-encoded (RFC 2231 section 4); `first` has the charset. */
static int
append_extended(struct buf *out, const char *value, char *charset, bool first)
{
	CLEANUP_BUF struct buf text = BUF_INIT(NAME_MAX_OCTETS);
	const char *quote = strchr(value, '\''), *second;

	second = quote == NULL ? NULL : strchr(quote + 1, '\'');
	if (first && second != NULL && quote - value <= MIME_CHARSET_MAX) {
		(void)snprintf(charset, MIME_CHARSET_MAX + 1, "%.*s", (int)(quote - value), value);
		value = second + 1;
	}
	for (; *value != '\0'; value++) {
		bool hex = *value == '%' && hex_value(value[1]) >= 0 && hex_value(value[2]) >= 0;

		if (buf_append_char(&text,
			hex ? (char)(hex_value(value[1]) << 4 | hex_value(value[2])) : *value) < 0)
			return -ENOMEM;
		value += hex ? 2 : 0;
	}
	return append_text(out, charset, buf_str(&text), text.len);
}

/* The parameter in any of the forms of RFC 2231: whole, extended, or in sections. Nothing is appended where it is not
 * there. */
static int
append_parameter(struct buf *out, const struct header_field *f, const char *parameter)
{
	char value[NAME_MAX_OCTETS], name[40], charset[MIME_CHARSET_MAX + 1] = "";
	struct header_field plain = {.value = value};
	int r = 0;

	(void)snprintf(name, sizeof(name), "%s*", parameter);
	if (mime_parameter(f, name, value, sizeof(value)))
		return append_extended(out, value, charset, true);
	if (mime_parameter(f, parameter, value, sizeof(value))) {
		plain.value_len = strlen(value);
		return decode_value(out, &plain);
	}
	for (unsigned i = 0; i < SECTIONS_MAX && r == 0; i++) {
		(void)snprintf(name, sizeof(name), "%s*%u", parameter, i);
		if (mime_parameter(f, name, value, sizeof(value))) {
			r = buf_append_str(out, value);
			continue;
		}
		(void)snprintf(name, sizeof(name), "%s*%u*", parameter, i);
		if (!mime_parameter(f, name, value, sizeof(value)))
			break;
		r = append_extended(out, value, charset, i == 0);
	}
	return r;
}

static int
visit_file(
    struct reader *x, const struct header_field *disposition, const struct header_field *type)
{
	CLEANUP_BUF struct buf name = BUF_INIT(8 * NAME_MAX_OCTETS);
	int r = 0;

	if (x->visit->file == NULL)
		return 0;
	if (disposition->value != NULL)
		r = append_parameter(&name, disposition, "filename");
	if (r == 0 && name.len == 0 && type->value != NULL)
		r = append_parameter(&name, type, "name");
	/* a name that is too long is none */
	return r < 0 || name.len == 0 ? 0 : x->visit->file(x->arg, buf_str(&name));
}

/* ---- parts ---- */

static int
visit_text(struct reader *x, const struct header_field *type, const struct header_field *encoding,
    const char *content, size_t len)
{
	CLEANUP_BUF struct buf octets =
				   BUF_INIT(2 * len + 16), /* lines may end in LF, and get CRLF */
	    text = BUF_INIT(8 * len + 16);
	char charset[MIME_CHARSET_MAX + 1] = "";
	int r;

	if (x->visit->text == NULL)
		return 0;
	r = mime_decode(encoding->value == NULL ? NULL : encoding, content, len, &octets);
	if (type->value != NULL)
		(void)mime_parameter(type, "charset", charset, sizeof(charset));
	if (r == 0)
		r = append_text(&text, charset, buf_str(&octets), octets.len);
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\0')
			text.data[i] = ' '; /* nobody hides what is behind it */
	return r < 0 ? r : x->visit->text(x->arg, buf_str(&text), text.len);
}

static int read_part(struct reader *x, const char *part, size_t len, unsigned depth);

/* The next line of [at, end) that is the boundary, or `end`; *ret_behind is behind that line, or NULL where it ends the
 * multipart. */
static const char *
find_boundary(const char *at, const char *end, const char *boundary, const char **ret_behind)
{
	size_t n = strlen(boundary);

	for (; at < end; at = *ret_behind) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		*ret_behind = lf == NULL ? end : lf + 1;
		if ((size_t)(end - at) < n + 2 || memcmp(at, "--", 2) != 0 ||
		    memcmp(at + 2, boundary, n) != 0)
			continue;
		if ((size_t)(end - at) >= n + 4 && memcmp(at + 2 + n, "--", 2) == 0)
			*ret_behind = NULL;
		else if (!is_blank(at + 2 + n, *ret_behind))
			continue;
		return at;
	}
	*ret_behind = NULL;
	return end;
}

static int
read_multipart(
    struct reader *x, const char *boundary, const char *content, size_t len, unsigned depth)
{
	const char *end = content + len, *behind, *at;
	int r = 0;

	(void)find_boundary(content, end, boundary, &behind);
	while (r == 0 && behind != NULL && x->parts < MAIL_PARTS_MAX) {
		const char *part = behind;

		at = find_boundary(part, end, boundary, &behind);
		r = read_part(x, part, (size_t)(at - part), depth + 1);
	}
	return r;
}

static int
read_part(struct reader *x, const char *part, size_t len, unsigned depth)
{
	struct header_field f, type = {0}, encoding = {0}, disposition = {0};
	char boundary[BOUNDARY_MAX];
	size_t at = 0;
	int r = 0;

	if (depth > MAIL_DEPTH_MAX || ++x->parts > MAIL_PARTS_MAX)
		return 0;
	while (r == 0 && header_next(part, len, true, &at, &f) == 1) {
		if (header_is(&f, "Content-Type"))
			type = f;
		else if (header_is(&f, "Content-Transfer-Encoding"))
			encoding = f;
		else if (header_is(&f, "Content-Disposition"))
			disposition = f;
		if (depth == 0 && x->visit->field != NULL)
			r = visit_field(x, &f);
	}
	if (r == 0)
		r = visit_file(x, &disposition, &type);
	if (r != 0)
		return r;
	if (type.value != NULL && mime_value_begins(&type, "multipart/") &&
	    mime_parameter(&type, "boundary", boundary, sizeof(boundary)))
		return read_multipart(x, boundary, part + at, len - at, depth);
	if (type.value != NULL && mime_value_begins(&type, "message/rfc822"))
		return read_part(x, part + at, len - at, depth + 1);
	if (type.value == NULL || mime_value_begins(&type, "text/"))
		return visit_text(x, &type, &encoding, part + at, len - at);
	return 0;
}

int
mail_read(const char *message, size_t len, const struct mail_visit *visit, void *arg)
{
	struct reader x = {.visit = visit, .arg = arg, .room = len};

	return read_part(&x, message, len, 0);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* mime.c: see mime.h. */
#include "broker/message/mime.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/codec.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
mime_value_begins(const struct header_field *f, const char *word)
{
	size_t i = 0, n = strlen(word);

	while (i < f->value_len && is_space(f->value[i]))
		i++;
	return f->value_len - i >= n && strncasecmp(f->value + i, word, n) == 0;
}

bool
mime_is_text(const struct header_field *type)
{
	char charset[MIME_CHARSET_MAX + 1];

	return mime_value_begins(type, "text/") &&
	       !(mime_parameter(type, "charset", charset, sizeof(charset)) &&
		   (strncasecmp(charset, "utf-16", 6) == 0 ||
		       strncasecmp(charset, "utf-32", 6) == 0 ||
		       strncasecmp(charset, "ucs-", 4) == 0));
}

bool
mime_is_signed(const struct header_field *type)
{
	static const char *const types[] = {"multipart/signed", "multipart/encrypted",
	    "application/pkcs7-mime", "application/x-pkcs7-mime"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (mime_value_begins(type, types[i]))
			return true;
	return false;
}

/* The value at text[0..len): a quoted string or a token. */
static bool
read_value(const char *text, size_t len, char *ret, size_t size)
{
	bool quoted = len > 0 && *text == '"';
	size_t n = 0;

	for (size_t i = quoted; i < len; i++) {
		char c = text[i];

		if (quoted ? c == '"' : is_space(c) || c == ';' || c == '(')
			break;
		if (quoted && c == '\\' && i + 1 < len)
			c = text[++i];
		if (c == '\r' || c == '\n')
			continue;
		if (n + 1 == size)
			return false;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return n > 0;
}

/* The next parameter behind `at`: its first octet, or `len`. Quoted strings are one thing. */
static size_t
next_parameter(const char *value, size_t len, size_t at)
{
	bool quoted = false;

	for (; at < len; at++) {
		if (quoted && value[at] == '\\')
			at++;
		else if (value[at] == '"')
			quoted = !quoted;
		else if (value[at] == ';' && !quoted)
			break;
	}
	for (at++; at < len && is_space(value[at]); at++)
		continue;
	return at < len ? at : len;
}

bool
mime_parameter(const struct header_field *type, const char *name, char *ret, size_t size)
{
	const char *value = type->value;
	size_t len = type->value_len, at = next_parameter(value, len, 0), n = strlen(name);

	for (; at < len; at = next_parameter(value, len, at)) {
		size_t i = at + n;

		if (len - at <= n || strncasecmp(value + at, name, n) != 0)
			continue;
		while (i < len && is_space(value[i]))
			i++;
		if (i == len || value[i] != '=')
			continue;
		for (i++; i < len && is_space(value[i]); i++)
			continue;
		return read_value(value + i, len - i, ret, size);
	}
	return false;
}

void
mime_charset(const struct header_field *type, char *ret)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+";

	if (!mime_parameter(type, "charset", ret, MIME_CHARSET_MAX + 1) ||
	    ret[strspn(ret, plain)] != '\0' || strcasecmp(ret, "us-ascii") == 0 ||
	    strncasecmp(ret, "utf-", 4) == 0 || strncasecmp(ret, "iso-2022-", 9) == 0)
		ret[0] = '\0';
}

/* ---- what is encoded ---- */

/* Quoted-printable; `word`: the Q encoding of encoded words. */
static int
decode_q(const char *s, size_t len, bool word, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		char c = word && s[i] == '_' ? ' ' : s[i];

		if (c == '=' && i + 2 < len && hex_value(s[i + 1]) >= 0 &&
		    hex_value(s[i + 2]) >= 0) {
			c = (char)(hex_value(s[i + 1]) << 4 | hex_value(s[i + 2]));
			i += 2;
		}
		r = buf_append_char(out, c);
	}
	return r;
}

int
mime_next_word(const char *at, const char *end, struct mime_word *w)
{
	const char *q[4];
	size_t n, len;

	buf_clear(&w->text);
	for (; (at = memmem(at, (size_t)(end - at), "=?", 2)) != NULL; at += 2) {
		q[0] = at + 1;
		for (n = 0; n < 3; n++) {
			q[n + 1] = memchr(q[n] + 1, '?', (size_t)(end - q[n] - 1));
			if (q[n + 1] == NULL)
				return 0;
		}
		if (q[2] - q[1] != 2 || q[3] + 1 == end || q[3][1] != '=' ||
		    strchr("bBqQ", q[1][1]) == NULL)
			continue;
		len = (size_t)(q[1] - q[0]) - 1;
		if (len > MIME_CHARSET_MAX)
			return -EBADMSG;
		memcpy(w->charset, q[0] + 1, len);
		w->charset[len] = '\0';
		w->begin = at;
		w->end = q[3] + 2;
		len = (size_t)(q[3] - q[2]) - 1;
		n = (size_t)(q[1][1] == 'b' || q[1][1] == 'B'
				 ? base64_decode(&w->text, q[2] + 1, len)
				 : decode_q(q[2] + 1, len, true, &w->text));
		return n == 0 ? 1 : -EBADMSG;
	}
	return 0;
}

static int
decode_base64(const char *s, size_t len, struct buf *out)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned count = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0 && s[i] != '='; i++) {
		const char *at = s[i] == '\0' ? NULL : strchr(alphabet, s[i]);

		if (at == NULL)
			continue;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		count += 6;
		if (count >= 8) {
			count -= 8;
			r = buf_append_char(out, (char)(bits >> count & 0xff));
		}
	}
	return r;
}

/* Decodes quoted-printable line by line: white space at the end of a line is dropped, and a "=" there joins it with the next (RFC
 * 2045 section 6.7). */
static int
decode_lines(const char *s, size_t len, struct buf *out)
{
	int r = 0;

	while (len > 0 && r == 0) {
		const char *lf = memchr(s, '\n', len);
		size_t whole = lf == NULL ? len : (size_t)(lf - s) + 1, n = whole;
		bool soft;

		while (n > 0 && is_space(s[n - 1]))
			n--;
		soft = n > 0 && s[n - 1] == '=';
		r = decode_q(s, n - soft, false, out);
		if (r == 0 && lf != NULL && !soft)
			r = buf_append_str(out, "\r\n");
		s += whole;
		len -= whole;
	}
	return r;
}

int
mime_decode(const struct header_field *encoding, const char *content, size_t len, struct buf *out)
{
	if (encoding != NULL && mime_value_begins(encoding, "base64"))
		return decode_base64(content, len, out);
	if (encoding != NULL && mime_value_begins(encoding, "quoted-printable"))
		return decode_lines(content, len, out);
	return buf_append(out, content, len);
}

/* ---- characters of several octets ---- */

enum family { FAMILY_UTF8, FAMILY_DOUBLE, FAMILY_GB, FAMILY_EUC, FAMILY_SJIS, FAMILY_ISO_2022 };

/* How names of charsets begin; all others have one octet for each character. */
static const struct {
	const char *name;
	enum family family;
} families[] = {
    {"utf-8", FAMILY_UTF8},
    {"gb", FAMILY_GB},
    {"big5", FAMILY_DOUBLE},
    {"euc-", FAMILY_EUC},
    {"ks_c_5601", FAMILY_DOUBLE},
    {"cp936", FAMILY_GB},
    {"cp949", FAMILY_DOUBLE},
    {"cp950", FAMILY_DOUBLE},
    {"shift_jis", FAMILY_SJIS},
    {"sjis", FAMILY_SJIS},
    {"x-sjis", FAMILY_SJIS},
    {"windows-31j", FAMILY_SJIS},
    {"cp932", FAMILY_SJIS},
    {"iso-2022-", FAMILY_ISO_2022},
};

static size_t
family_length(enum family family, const char *s, size_t len)
{
	unsigned char c = (unsigned char)*s;
	const char *back;

	if (family == FAMILY_ISO_2022) {
		if (c != 0x1b || len < 2 || s[1] != '$')
			return 1;
		back = memmem(s + 2, len - 2, "\x1b(", 2);
		return back == NULL ? len : (size_t)(back - s) + 3;
	}
	if (c < 0x80)
		return 1;
	switch (family) {
	case FAMILY_UTF8:
		return utf8_length(s, len, NULL);
	case FAMILY_GB:
		return len > 1 && s[1] >= '0' && s[1] <= '9' ? 4 : 2;
	case FAMILY_EUC:
		return c == 0x8f ? 3 : 2;
	case FAMILY_SJIS:
		return c >= 0xa1 && c <= 0xdf ? 1 : 2;
	default:
		return 2;
	}
}

size_t
mime_char_length(const char *charset, const char *s, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (strncasecmp(charset, families[i].name, strlen(families[i].name)) == 0) {
			n = family_length(families[i].family, s, len);
			break;
		}
	return n == 0 ? 1 : n < len ? n : len;
}

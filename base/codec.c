/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * codec.c: see codec.h. Every function leaves the buffer as it was when it fails: what was appended
 * until then is taken back, and wiped where the buffer is one that wipes.
 */
#include "base/codec.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_upper[] = "0123456789ABCDEF";
static const char hex_lower[] = "0123456789abcdef";

static int
take_back(struct buf *out, size_t len, int error)
{
	if (out->len > len) {
		if (out->wipe)
			mem_wipe(out->data + len, out->len - len);
		out->len = len;
		out->data[len] = '\0';
	}
	if (error == -ENOBUFS || error == -ENOMEM)
		out->failed = true;
	return error;
}

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int
sextet_value(unsigned char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

static int
encode64(struct buf *out, const uint8_t *in, size_t len, const char *alphabet, bool pad)
{
	size_t groups = len / 3, rest = len % 3;
	uint32_t v;
	char *to;
	int r;

	if (groups > (SIZE_MAX - 4) / 4)
		return take_back(out, out->len, -ENOBUFS);
	r = buf_reserve(out, groups * 4 + (rest == 0 ? 0 : pad ? 4 : rest + 1));
	if (r < 0)
		return r;
	to = out->data + out->len;
	for (; len >= 3; len -= 3, in += 3) {
		v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = alphabet[v >> 6 & 63];
		*to++ = alphabet[v & 63];
	}
	if (rest > 0) {
		v = (uint32_t)in[0] << 16 | (rest == 2 ? (uint32_t)in[1] << 8 : 0);
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		if (rest == 2)
			*to++ = alphabet[v >> 6 & 63];
		for (size_t i = rest; pad && i < 3; i++)
			*to++ = '=';
	}
	*to = '\0';
	out->len = (size_t)(to - out->data);
	return 0;
}

/* Decodes `len` characters without padding. The unused bits of the last one must be zero, so that
 * every run of octets has one spelling only. */
static int
decode64(struct buf *out, const char *text, size_t len, bool url)
{
	size_t before = out->len, rest = len % 4;
	uint32_t v = 0;
	char *to;
	int r;

	if (rest == 1)
		return -EBADMSG;
	r = buf_reserve(out, len / 4 * 3 + (rest == 0 ? 0 : rest - 1));
	if (r < 0)
		return r;
	to = out->data + before;
	for (size_t i = 0; i < len; i++) {
		int s = sextet_value((unsigned char)text[i], url);

		if (s < 0)
			break;
		v = v << 6 | (uint32_t)s;
		if (i % 4 != 0)
			*to++ = (char)(v >> (6 - 2 * (i % 4)) & 0xff);
		if (i + 1 == len) {
			if ((rest == 2 && (v & 15) != 0) || (rest == 3 && (v & 3) != 0))
				break;
			len = 0;
		}
	}
	out->len = (size_t)(to - out->data);
	*to = '\0';
	return len == 0 ? 0 : take_back(out, before, -EBADMSG);
}

int
base64_encode(struct buf *out, const void *data, size_t len)
{
	return encode64(out, data, len, base64_alphabet, true);
}

int
base64_decode(struct buf *out, const char *text, size_t len)
{
	if (len % 4 != 0)
		return -EBADMSG;
	for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
		len--;
	return decode64(out, text, len, false);
}

int
base64url_encode(struct buf *out, const void *data, size_t len)
{
	return encode64(out, data, len, base64url_alphabet, false);
}

int
base64url_decode(struct buf *out, const char *text, size_t len)
{
	return decode64(out, text, len, true);
}

/* Appends each octet as it is, or as `mark` and two upper-case digits. */
static int
encode_marked(
    struct buf *out, const uint8_t *in, size_t len, char mark, bool (*plain)(unsigned char))
{
	size_t before = out->len;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		char code[3] = {mark, hex_upper[in[i] >> 4], hex_upper[in[i] & 15]};

		r = plain(in[i]) ? buf_append_char(out, (char)in[i])
				 : buf_append(out, code, sizeof(code));
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

/* The octet that the two digits behind a mark stand for, or -1. */
static int
decode_digits(const char *text, size_t left)
{
	int high, low;

	if (left < 3)
		return -1;
	high = hex_value(text[1]);
	low = hex_value(text[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool
is_xchar(unsigned char c)
{
	return c >= 0x21 && c <= 0x7e && c != '+' && c != '=';
}

int
xtext_encode(struct buf *out, const char *text, size_t len)
{
	return encode_marked(out, (const uint8_t *)text, len, '+', is_xchar);
}

int
xtext_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len, i = 0;
	int r = 0, c;

	while (i < len && r == 0) {
		c = (unsigned char)text[i];
		if (c == '+') {
			/* RFC 3461 allows upper-case digits only; senders are not all that exact.
			 */
			c = decode_digits(text + i, len - i);
			i += 3;
		} else {
			c = is_xchar((unsigned char)c) ? c : -1;
			i++;
		}
		r = c < 0 ? -EBADMSG : buf_append_char(out, (char)c);
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

static bool
is_unreserved(unsigned char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int
form_encode(struct buf *out, const void *data, size_t len)
{
	return encode_marked(out, data, len, '%', is_unreserved);
}

int
form_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len, i = 0;
	int r = 0, c;

	while (i < len && r == 0) {
		c = (unsigned char)text[i];
		if (c == '%') {
			c = decode_digits(text + i, len - i);
			i += 3;
		} else {
			if (c == '+')
				c = ' ';
			i++;
		}
		r = c < 0 ? -EBADMSG : buf_append_char(out, (char)c);
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

int
hex_encode(struct buf *out, const void *data, size_t len)
{
	const uint8_t *in = data;
	int r = len > SIZE_MAX / 2 ? take_back(out, out->len, -ENOBUFS) : buf_reserve(out, len * 2);

	for (size_t i = 0; i < len && r == 0; i++) {
		char pair[2] = {hex_lower[in[i] >> 4], hex_lower[in[i] & 15]};

		r = buf_append(out, pair, sizeof(pair));
	}
	return r;
}

bool
text_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

bool
text_number(const char *text, size_t len, uint64_t *ret)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			return false;
	if (len > 0)
		*ret = n;
	return len > 0;
}

bool
text_has_eight_bit(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return true;
	return false;
}

size_t
utf8_length(const char *s, size_t len, uint32_t *ret_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *u = (const uint8_t *)s;
	uint32_t point;
	size_t n;

	if (len == 0)
		return 0;
	n = u[0] < 0x80             ? 1
	    : (u[0] & 0xe0) == 0xc0 ? 2
	    : (u[0] & 0xf0) == 0xe0 ? 3
	    : (u[0] & 0xf8) == 0xf0 ? 4
				    : 0;
	if (n == 0 || n > len)
		return 0;
	point = n == 1 ? u[0] : u[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (u[i] & 0x3f);
	}
	if (n > 1 && (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)))
		return 0;
	if (ret_point != NULL)
		*ret_point = point;
	return n;
}

int
utf8_append(struct buf *out, uint32_t c)
{
	char b[4];
	size_t n = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		b[n++] = (char)(0x80 | (c & 0x3f));
	return buf_append(out, b, n);
}

/* Controls of either half, and the characters that end or turn round a line: they would let one
 * value pass for another on a terminal. */
bool
text_is_printable(uint32_t p)
{
	return p >= 0x20 && !(p >= 0x7f && p <= 0x9f) && !(p >= 0x200b && p <= 0x200f) &&
	       !(p >= 0x2028 && p <= 0x202e) && !(p >= 0x2060 && p <= 0x206f) && p != 0x061c &&
	       p != 0xfeff && (p & 0xfffe) != 0xfffe;
}

int
text_escape(struct buf *out, const void *data, size_t len, bool quotes)
{
	const char *in = data;
	size_t before = out->len, n;
	uint32_t point;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += n) {
		uint8_t c = (uint8_t)in[i];
		char code[4] = {'\\', 'x', hex_lower[c >> 4], hex_lower[c & 15]};

		n = utf8_length(in + i, len - i, &point);
		if (n == 0 || !text_is_printable(point)) {
			n = 1;
			r = buf_append(out, code, sizeof(code));
			continue;
		}
		if (c == '\\' || (quotes && c == '"'))
			r = buf_append_char(out, '\\');
		if (r == 0)
			r = buf_append(out, in + i, n);
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

/* What stands for the `n` octets of a character at `s`: itself, "" where it is left out, " " for white space; `n` 0
 * is no character. */
static const char *
plain_of(const char *s, size_t n, uint32_t point, size_t *ret_len)
{
	*ret_len = 1;
	if (n == 0)
		return "?";
	if (point <= 0x20 || (point >= 0x7f && point <= 0xa0) || point == 0x2028 || point == 0x2029)
		return " ";
	*ret_len = text_is_printable(point) ? n : 0;
	return s;
}

int
text_plain(struct buf *out, const char *text, size_t len, size_t max)
{
	size_t before = out->len, n, plain_len;
	bool space = false;
	uint32_t point = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += n == 0 ? 1 : n) {
		const char *plain;

		n = utf8_length(text + i, len - i, &point);
		plain = plain_of(text + i, n, point, &plain_len);
		if (plain_len == 1 && *plain == ' ') {
			space = out->len > before;
			continue;
		}
		if (plain_len == 0)
			continue;
		if (out->len - before + space + plain_len > max) {
			r = buf_append_str(out, "...");
			break;
		}
		if (space)
			r = buf_append_char(out, ' ');
		if (r == 0)
			r = buf_append(out, plain, plain_len);
		space = false;
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

int
text_clean(struct buf *out, const char *text)
{
	size_t before = out->len, n;
	uint32_t point;
	int r = 0;

	for (size_t len = strlen(text); len > 0 && r == 0; text += n, len -= n) {
		n = utf8_length(text, len, &point);
		if (n > 0 && (point == '\n' || text_is_printable(point))) {
			r = buf_append(out, text, n);
		} else {
			n = 1;
			r = buf_append_char(out, '?');
		}
	}
	return r < 0 ? take_back(out, before, r) : 0;
}

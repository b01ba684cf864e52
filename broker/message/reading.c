/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reading.c: see reading.h.
 *
 * Signs are counted: each '@' must belong to an address that the parser gave. Encoded words (RFC 2047) are decoded, and
 * looked at character by character.
 */
#include "broker/message/reading.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"
#include "broker/message/mime.h"

/* The signs that are read as '@': itself, and its full-width and small forms. */
static const char *const signs[] = {"@", "\xef\xbc\xa0", "\xef\xb9\xab"};

static size_t
count_signs(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(signs); k++) {
		const char *at = s, *end = s + len;

		while ((at = memmem(at, (size_t)(end - at), signs[k], strlen(signs[k]))) != NULL) {
			at += strlen(signs[k]);
			n++;
		}
	}
	return n;
}

/* Is the text the address, perhaps in quotes or brackets? */
static bool
is_address(const char *text, size_t len, const char *address)
{
	static const char around[] = "\"'<> ";

	while (len > 0 && strchr(around, *text) != NULL) {
		text++;
		len--;
	}
	while (len > 0 && strchr(around, text[len - 1]) != NULL)
		len--;
	return len == strlen(address) && strncasecmp(text, address, len) == 0;
}

/* ---- encoded words ---- */

/* Charsets in which ASCII octets may stand for other characters, an '@' among them. */
static bool
hides_ascii(const char *charset)
{
	static const char *const names[] = {
	    "utf-7", "unicode-1-1-utf-7", "csunicode11utf7", "hz-gb-2312"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncasecmp(charset, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Does the word hold an address other than `address`, or a control character? */
static bool
word_is_suspect(const struct mime_word *w, const char *address)
{
	const char *s = buf_str(&w->text);
	size_t found = 0, n;

	if (hides_ascii(w->charset))
		return true;
	for (size_t i = 0; i < w->text.len; i += n) {
		n = mime_char_length(w->charset, s + i, w->text.len - i);
		if (n == 1 && ((unsigned char)s[i] < ' ' || s[i] == 0x7f) &&
		    (s[i] != 0x1b || strncasecmp(w->charset, "iso-2022-", 9) != 0))
			return true;
		found += n == 1 ? s[i] == '@' : n == 3 && count_signs(s + i, n) > 0;
	}
	return found > 0 && !is_address(s, w->text.len, address);
}

/* What cannot be decoded may be read as anything. */
static bool
words_are_suspect(const char *s, size_t len, const char *address)
{
	struct mime_word w = {.text = BUF_INIT(len)};
	bool suspect = false;
	int r = 0;

	for (const char *at = s; !suspect && (r = mime_next_word(at, s + len, &w)) == 1; at = w.end)
		suspect = word_is_suspect(&w, address);
	buf_free(&w.text);
	return suspect || r < 0;
}

/* ---- the whole ---- */

struct seen {
	size_t signs; /* of the addresses, and of names that repeat theirs */
	bool suspect;
	struct buf first; /* the first address: encoded words may repeat it */
};

static int
see(void *arg, const struct address_item *item)
{
	struct seen *x = arg;

	x->signs += count_signs(item->address, strlen(item->address));
	if (is_address(item->name, strlen(item->name), item->address))
		x->signs += count_signs(item->name, strlen(item->name));
	x->suspect = x->suspect || strstr(item->address, "=?") != NULL;
	return x->first.len > 0 ? 0 : buf_append_str(&x->first, item->address);
}

bool
reading_is_double(const char *value, size_t len)
{
	struct seen x = {.first = BUF_INIT(ADDRESS_MAX)};
	size_t at;
	bool twice = address_list_parse(value, len, see, &x, &at) < 0 || x.suspect ||
		     count_signs(value, len) > x.signs ||
		     words_are_suspect(value, len, buf_str(&x.first));

	buf_free(&x.first);
	return twice;
}

bool
reading_fits(const char *name, const char *address)
{
	size_t len = strlen(name);

	return (count_signs(name, len) == 0 || is_address(name, len, address)) &&
	       !words_are_suspect(name, len, address);
}

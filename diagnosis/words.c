/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * words.c: does a text say a thing? The language of the table's `words` (rule.h), with the sets of
 * words that rules name with @ (rules/words.def).
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

static const struct {
	const char *name, *words;
} sets[] = {
#define SET(name, words) {name, words},
#include "diagnosis/rules/words.def"
};

/* Four numbers with dots between them. */
static bool
has_ipv4(const char *text)
{
	for (const char *s = text; *s != '\0'; s++) {
		size_t at = 0, groups = 0, digits;

		/* "https://example.org/lookup?ip=192.0.2.1" says where to read more */
		if (*s == '=')
			s += 1 + strspn(s + 1, "0123456789.");
		/* "smtp.example.org[192.0.2.1]" is the server's own */
		if (s > text + 1 && s[-1] == '[' && isalnum((unsigned char)s[-2]))
			s += strspn(s, "0123456789.");
		while (groups < 4 && (digits = strspn(s + at, "0123456789")) >= 1 && digits <= 3) {
			at += digits;
			if (++groups < 4 && s[at] == '.')
				at++;
			else
				break;
		}
		if (groups == 4)
			return true;
	}
	return false;
}

/* Would a part that ends in `edge` go on with `next`? One that asks for it ends at a word's end, and a
 * number at its last digit. */
static bool
goes_on(char edge, char next, bool whole_word)
{
	if (whole_word)
		return isalnum((unsigned char)next) ||
		       (next != '\0' && strchr("=-@", next) != NULL);
	return isdigit((unsigned char)edge) && isdigit((unsigned char)next);
}

/* Most of the time is spent here: so the first character is looked for before anything is compared. */
static bool
has_part(const char *text, const char *part, size_t len)
{
	bool from_start = len > 1 && part[0] == '_', to_end = len > 1 && part[len - 1] == '_';
	char lower, upper;

	part += from_start;
	len -= (size_t)from_start + to_end;
	lower = (char)(part[0] >= 'A' && part[0] <= 'Z' ? part[0] + ('a' - 'A') : part[0]);
	upper = (char)(lower >= 'a' && lower <= 'z' ? lower - ('a' - 'A') : lower);
	for (const char *at = text; *at != '\0'; at++) {
		if ((*at != lower && *at != upper) || strncasecmp(at, part, len) != 0)
			continue;
		if (at > text && goes_on(part[0], at[-1], from_start))
			continue;
		if (!goes_on(part[len - 1], at[len], to_end))
			return true;
	}
	return false;
}

static bool
in_set(const char *text, const char *name, size_t len)
{
	if (len == 4 && memcmp(name, "ipv4", len) == 0)
		return has_ipv4(text);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (strlen(sets[i].name) == len && memcmp(sets[i].name, name, len) == 0)
			return words_say(text, sets[i].words);
	return false;
}

static bool
has_all(const char *text, const char *fragment, size_t len)
{
	const char *end = fragment + len;

	while (fragment < end) {
		const char *stop = memchr(fragment, '&', (size_t)(end - fragment));
		size_t part = (size_t)((stop != NULL ? stop : end) - fragment);
		bool absent = part > 1 && fragment[0] == '!', set;

		fragment += absent;
		part -= absent;
		set = part > 1 && fragment[0] == '@';
		if (part > 0 && absent == (set ? in_set(text, fragment + 1, part - 1)
					       : has_part(text, fragment, part)))
			return false;
		fragment += part + 1;
	}
	return true;
}

size_t
words_next(const char **list, const char **ret)
{
	const char *s = *list + strspn(*list, " ");

	*ret = s;
	*list = s + strcspn(s, " ");
	return (size_t)(*list - s);
}

bool
words_say(const char *text, const char *words)
{
	while (*words != '\0') {
		size_t len = strcspn(words, "|");

		if (len > 0 && has_all(text, words, len))
			return true;
		words += len + (words[len] == '|');
	}
	return false;
}

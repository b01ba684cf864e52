/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* paste.c: see paste.h. */
#include "admin/paste.h"

#include <string.h>

/* Is there a parameter of this name in the query? */
static bool
has_parameter(const char *query, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *end = query + len;

	while ((size_t)(end - query) > n) {
		const char *next = memchr(query, '&', (size_t)(end - query));

		if (memcmp(query, name, n) == 0 && query[n] == '=')
			return true;
		if (next == NULL)
			break;
		query = next + 1;
	}
	return false;
}

static bool
is_wrapping(char c)
{
	return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '<' || c == '>';
}

/* Is it the answer of an authorization server, in what browsers leave in an address bar? */
static bool
is_answer(const char *query, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (query[i] <= ' ' || query[i] == 0x7f)
			return false;
	return has_parameter(query, len, "error") ||
	       (has_parameter(query, len, "state") && has_parameter(query, len, "code"));
}

bool
paste_query(const char *line, size_t len, const char **ret, size_t *ret_len)
{
	const char *mark, *fragment;
	size_t fragment_len = 0;

	while (len > 0 && is_wrapping(*line)) {
		line++;
		len--;
	}
	while (len > 0 && is_wrapping(line[len - 1]))
		len--;
	fragment = memchr(line, '#', len);
	if (fragment != NULL) {
		fragment_len = len - (size_t)(fragment + 1 - line);
		len = (size_t)(fragment - line);
	}
	mark = memchr(line, '?', len);
	if (mark != NULL) {
		len -= (size_t)(mark + 1 - line);
		line = mark + 1;
	}
	if (is_answer(line, len)) {
		*ret = line;
		*ret_len = len;
		return true;
	}
	if (fragment == NULL || !is_answer(fragment + 1, fragment_len))
		return false;
	*ret = fragment + 1;
	*ret_len = fragment_len;
	return true;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* dkim.c: see dkim.h. */
#include "broker/message/dkim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* The value of a tag, without the white space that folds leave around it and in it. False: it is empty, or no
 * host name. */
static bool
read_name(const char *at, const char *end, char name[DKIM_NAME_MAX + 1])
{
	size_t n = 0;

	for (; at < end; at++) {
		if (is_space(*at))
			continue;
		if (!is_word(*at) || n == DKIM_NAME_MAX)
			return false;
		name[n++] = *at;
	}
	name[n] = '\0';
	return n > 0;
}

static const char *
skip_space(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

/* RFC 6376 section 3.2: name=value, separated by semicolons. The value, up to *ret_end; NULL: it is not there. */
static const char *
find_tag(const char *value, size_t len, char tag, const char **ret_end)
{
	const char *at = value, *end = value + len;

	while (at < end) {
		const char *semicolon = memchr(at, ';', (size_t)(end - at));
		const char *stop = semicolon == NULL ? end : semicolon;

		at = skip_space(at, stop);
		if (at < stop && *at == tag) {
			at = skip_space(at + 1, stop);
			*ret_end = stop;
			if (at < stop && *at == '=')
				return at + 1;
		}
		at = semicolon == NULL ? end : semicolon + 1;
	}
	return NULL;
}

/* False: the tag is not there, or is no host name. */
static bool
read_tag(const char *value, size_t len, char tag, char name[DKIM_NAME_MAX + 1])
{
	const char *end, *at = find_tag(value, len, tag, &end);

	return at != NULL && read_name(at, end, name);
}

/* Puts one line of a list, `len` octets without its LF, in front of it. True: it was not there. */
static bool
put_in_front(char *list, const char *line, size_t len)
{
	char all[DKIM_LIST];
	size_t used = 0, count = 1;
	bool is_new = true;

	if (len > 2 * DKIM_NAME_MAX + 1)
		return false;
	memcpy(all, line, len);
	used = len;
	all[used++] = '\n';
	for (const char *at = list, *next; *at != '\0'; at = next) {
		size_t n = strcspn(at, "\n");

		next = at + n + (at[n] == '\n');
		if (n == len && strncmp(at, line, n) == 0) {
			is_new = false;
		} else if (count < DKIM_KEYS_MAX && n > 0 && n <= 2 * DKIM_NAME_MAX + 1) {
			memcpy(all + used, at, n);
			used += n;
			all[used++] = '\n';
			count++;
		}
	}
	memcpy(list, all, used);
	list[used] = '\0';
	return is_new;
}

void
dkim_read(const char *value, size_t len, char *list)
{
	char selector[DKIM_NAME_MAX + 1], domain[DKIM_NAME_MAX + 1], line[2 * DKIM_NAME_MAX + 2];
	int n;

	if (!read_tag(value, len, 's', selector) || !read_tag(value, len, 'd', domain))
		return;
	n = snprintf(line, sizeof(line), "%s %s", selector, domain);
	(void)put_in_front(list, line, (size_t)n);
}

bool
dkim_merge(char *list, const char *more)
{
	const char *lines[DKIM_KEYS_MAX];
	size_t count = 0;
	bool news = false;

	for (const char *at = more; *at != '\0' && count < DKIM_KEYS_MAX;) {
		lines[count++] = at;
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	/* the last first, so that the order stays */
	while (count > 0) {
		const char *line = lines[--count];

		news |= put_in_front(list, line, strcspn(line, "\n"));
	}
	return news;
}

/* ---- what is signed ---- */

static int
add_name(struct dkim_names *n, const char *at, const char *end)
{
	at = skip_space(at, end);
	while (end > at && is_space(end[-1]))
		end--;
	if (at == end)
		return 0;
	if (n->count == n->room) {
		size_t room = n->room == 0 ? 16 : n->room * 2;
		struct dkim_name *more = reallocarray(n->list, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		n->list = more;
		n->room = room;
	}
	n->list[n->count++] = (struct dkim_name){at, (size_t)(end - at)};
	return 0;
}

int
dkim_names_add(struct dkim_names *n, const char *value, size_t len)
{
	const char *end, *at = find_tag(value, len, 'h', &end);
	size_t before = n->count;
	int r = 0;

	while (at != NULL && at < end && r == 0) {
		const char *colon = memchr(at, ':', (size_t)(end - at));
		const char *stop = colon == NULL ? end : colon;

		r = add_name(n, at, stop);
		at = colon == NULL ? end : colon + 1;
	}
	n->all = n->all || (r == 0 && n->count == before);
	return r;
}

static int
compare_names(const void *a, const void *b)
{
	const struct dkim_name *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return strncasecmp(x->at, y->at, x->len);
}

void
dkim_names_sort(struct dkim_names *n)
{
	if (n->count > 0)
		qsort(n->list, n->count, sizeof(*n->list), compare_names);
}

bool
dkim_names_have(const struct dkim_names *n, const char *name, size_t len)
{
	struct dkim_name key = {name, len};

	return n->all || (n->count > 0 &&
			     bsearch(&key, n->list, n->count, sizeof(key), compare_names) != NULL);
}

void
dkim_names_clear(struct dkim_names *n)
{
	free(n->list);
	*n = (struct dkim_names){0};
}

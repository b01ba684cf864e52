/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* scope.c: see scope.h. */
#include "broker/keeper/accounts/scope.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

/* A piece of a list, not NUL-terminated. */
struct scope_part {
	const char *at;
	size_t len;
};

static bool
piece_is(struct scope_part p, const char *text)
{
	return strlen(text) == p.len && strncasecmp(text, p.at, p.len) == 0;
}

static bool
piece_equal(struct scope_part a, struct scope_part b)
{
	return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static bool
piece_is_one_of(struct scope_part p, const char *const *list)
{
	for (; *list != NULL; list++)
		if (piece_is(p, *list))
			return true;
	return false;
}

/* The next piece of *text, moving past it, between any of `separators`; false at the end. */
static bool
next_piece(const char **text, const char *end, const char *separators, struct scope_part *ret)
{
	while (*text < end && strchr(separators, **text) != NULL)
		(*text)++;
	*ret = (struct scope_part){.at = *text};
	while (*text < end && strchr(separators, **text) == NULL)
		(*text)++;
	ret->len = (size_t)(*text - ret->at);
	return ret->len > 0;
}

static bool
next_scope(const char **list, struct scope_part *ret)
{
	return next_piece(list, *list + strlen(*list), " ", ret);
}

bool
scope_is_listed(const char *scopes, const char *wanted)
{
	struct scope_part p;

	while (scopes != NULL && next_scope(&scopes, &p))
		if (strlen(wanted) == p.len && memcmp(wanted, p.at, p.len) == 0)
			return true;
	return false;
}

/* ---- what a scope means ---- */

static bool
is_about_the_person(struct scope_part scope)
{
	static const char *const list[] = {"openid", "email", "profile", "address", "phone",
	    "https://www.googleapis.com/auth/userinfo.email",
	    "https://www.googleapis.com/auth/userinfo.profile", NULL};

	return piece_is_one_of(scope, list);
}

static bool
is_for_mail(struct scope_part scope)
{
	static const char everything[] = "/.default";
	size_t n = sizeof(everything) - 1;

	return !is_about_the_person(scope) && !piece_is(scope, "offline_access") &&
	       !(scope.len >= n && strncasecmp(scope.at + scope.len - n, everything, n) == 0);
}

/* "resource/right": what stands before the last segment, without the slashes between, and the segment itself. An
 * address without a path is a right of its own. */
static void
split(struct scope_part scope, struct scope_part *ret_resource, struct scope_part *ret_right)
{
	const char *scheme = memmem(scope.at, scope.len, "://", 3), *start, *slash;

	while (scope.len > 0 && scope.at[scope.len - 1] == '/')
		scope.len--;
	*ret_resource = (struct scope_part){.at = scope.at};
	*ret_right = scope;
	start = scheme == NULL || scheme + 3 > scope.at + scope.len ? scope.at : scheme + 3;
	slash = memrchr(start, '/', (size_t)(scope.at + scope.len - start));
	if (slash == NULL)
		return;
	*ret_right =
	    (struct scope_part){.at = slash + 1, .len = (size_t)(scope.at + scope.len - slash - 1)};
	while (slash > start && slash[-1] == '/')
		slash--;
	ret_resource->len = (size_t)(slash - scope.at);
}

/* Names of one resource each: Microsoft's Graph and Exchange Online, and their application ids. */
static bool
is_same_resource(struct scope_part a, struct scope_part b)
{
	static const char *const resources[][6] = {
	    {"https://graph.microsoft.com", "graph.microsoft.com",
		"00000003-0000-0000-c000-000000000000", NULL},
	    {"https://outlook.office.com", "https://outlook.office365.com",
		"00000002-0000-0ff1-ce00-000000000000", NULL},
	};

	if (a.len == 0 || b.len == 0 || piece_equal(a, b))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		if (piece_is_one_of(a, resources[i]) && piece_is_one_of(b, resources[i]))
			return true;
	return false;
}

/* Does `got` hold the right `asked`? */
static bool
holds(struct scope_part got, struct scope_part asked)
{
	static const char *const sends[] = {
	    "https://mail.google.com", "gmail.modify", "gmail.compose", NULL};
	struct scope_part got_resource, got_right, asked_resource, asked_right;

	split(got, &got_resource, &got_right);
	split(asked, &asked_resource, &asked_right);
	if (piece_is(asked_right, "gmail.send") && piece_is_one_of(got_right, sends))
		return true;
	return piece_equal(got_right, asked_right) &&
	       is_same_resource(got_resource, asked_resource);
}

/* Some servers put commas between what they granted. */
static bool
is_granted(struct scope_part asked, const char *granted)
{
	struct scope_part got, part;

	while (next_scope(&granted, &got)) {
		const char *at = got.at;

		if (holds(got, asked))
			return true;
		while (next_piece(&at, got.at + got.len, ",", &part))
			if (holds(part, asked))
				return true;
	}
	return false;
}

bool
scope_lacking(const char *asked, const char *granted, struct buf *ret)
{
	struct scope_part scope;

	if (asked == NULL || granted == NULL)
		return false;
	while (next_scope(&asked, &scope))
		if (is_for_mail(scope) && !is_granted(scope, granted)) {
			(void)buf_append(ret, scope.at, scope.len);
			return true;
		}
	return false;
}

/* ---- too much ---- */

/* Does a right of this name let its holder read mail? */
static bool
reads_mail(struct scope_part scope)
{
	static const char *const parts[] = {"imap", "pop.", "mail.read", "gmail.readonly",
	    "gmail.modify", "mail.google.com", "full_access"};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i]);

		for (size_t at = 0; at + n <= scope.len; at++)
			if (strncasecmp(scope.at + at, parts[i], n) == 0)
				return true;
	}
	return false;
}

static void
warn_one(struct scope_part scope, const char *of, struct buf *ret)
{
	(void)buf_append_str(ret, ret->len == 0 ? "The token " : " It also ");
	(void)buf_append_str(ret, of);
	(void)buf_append(ret, scope.at, scope.len);
	(void)buf_append_char(ret, '.');
}

/* Is the right one of those that were asked for, and no broader one? */
static bool
was_asked(struct scope_part got, const char *asked)
{
	struct scope_part scope;

	while (next_scope(&asked, &scope))
		if (holds(got, scope) && holds(scope, got))
			return true;
	return false;
}

static void
warn_about(struct scope_part scope, const char *asked, struct buf *ret)
{
	if (!is_for_mail(scope))
		return;
	if (asked != NULL && !was_asked(scope, asked))
		warn_one(scope, "grants more than was asked for: ", ret);
	else if (reads_mail(scope))
		warn_one(scope, "lets whoever holds it read the mailbox too: ", ret);
}

void
scope_warn(const char *asked, const char *granted, struct buf *ret)
{
	const char *list = granted != NULL ? granted : asked;
	struct scope_part scope, part;

	while (list != NULL && next_scope(&list, &scope)) {
		const char *at = scope.at;

		if (asked == NULL || was_asked(scope, asked))
			warn_about(scope, asked, ret);
		else
			while (next_piece(&at, scope.at + scope.len, ",", &part))
				warn_about(part, asked, ret);
	}
}

int
scope_for_refresh(const char *asked, struct buf *ret)
{
	struct scope_part scope;
	int r = 0;

	while (asked != NULL && r == 0 && next_scope(&asked, &scope)) {
		if (is_about_the_person(scope))
			continue;
		if (ret->len > 0)
			(void)buf_append_char(ret, ' ');
		r = buf_append(ret, scope.at, scope.len);
	}
	return ret->failed ? -ENOMEM : r;
}

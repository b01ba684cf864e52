/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* authres.c: see authres.h. Comments may stand, nested, between any two tokens. */
#include "deliverability/authres.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

struct authres_input {
	const char *at, *end;
};

/* Spaces, line ends and comments. */
static void
skip(struct authres_input *in)
{
	unsigned depth = 0;

	for (; in->at < in->end; in->at++) {
		char c = *in->at;

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0 && in->at + 1 < in->end)
			in->at++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return;
	}
}

static bool
take(struct authres_input *in, char c)
{
	skip(in);
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

/* A word up to a space, a comment, ';' or one of `stops`, or a quoted string; one that is longer than `size` is cut to nothing. False:
 * there is none. */
static bool
take_word(struct authres_input *in, const char *stops, char *out, size_t size)
{
	const char *start;
	size_t len = 0;
	bool quoted;

	skip(in);
	start = in->at;
	quoted = in->at < in->end && *in->at == '"';
	in->at += quoted;
	for (; in->at < in->end; in->at++) {
		char c = *in->at;

		if (quoted ? c == '"' : strchr(" \t\r\n(;", c) != NULL || strchr(stops, c) != NULL)
			break;
		if (quoted && c == '\\' && in->at + 1 < in->end)
			c = *++in->at;
		if (len < size)
			out[len] = c == '\0' || (unsigned char)c >= 0x80 ? '?' : c;
		len++;
	}
	if (quoted && in->at < in->end)
		in->at++;
	out[len < size ? len : 0] = '\0';
	return in->at > start;
}

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)tolower((unsigned char)*s);
}

/* "name=value", the name without a version ("dkim/1"). */
static bool
take_pair(struct authres_input *in, char name[AUTHRES_NAME_MAX], char *value, size_t size)
{
	char version[AUTHRES_NAME_MAX];

	if (!take_word(in, "=/", name, AUTHRES_NAME_MAX))
		return false;
	if (take(in, '/') && !take_word(in, "=", version, sizeof(version)))
		return false;
	lower(name);
	return take(in, '=') && take_word(in, "", value, size);
}

static void
take_properties(struct authres_input *in, struct authres_result *r)
{
	char name[AUTHRES_NAME_MAX], value[AUTHRES_VALUE_MAX];

	for (;;) {
		const char *before = in->at;

		skip(in);
		if (in->at == in->end || *in->at == ';')
			return;
		if (take_pair(in, name, value, sizeof(value))) {
			if (strchr(name, '.') != NULL && value[0] != '\0' &&
			    r->property_count < AUTHRES_PROPERTIES_MAX) {
				memcpy(r->properties[r->property_count].name, name, sizeof(name));
				memcpy(
				    r->properties[r->property_count++].value, value, sizeof(value));
			}
		} else if (in->at == before) {
			in->at++; /* a stray character */
		}
	}
}

/* The first part is the id, unless it is a result already (Microsoft). */
static void
take_id(struct authres_input *in, struct authres *ret)
{
	struct authres_input ahead = *in;
	char name[AUTHRES_NAME_MAX], value[AUTHRES_NAME_MAX];

	if (take_pair(&ahead, name, value, sizeof(value)))
		return;
	(void)take_word(in, "", ret->id, sizeof(ret->id));
	lower(ret->id);
	while (in->at < in->end && *in->at != ';') {
		skip(in); /* a version, or what should not be here */
		if (in->at < in->end && *in->at != ';')
			in->at++;
	}
}

int
authres_parse(const char *value, size_t len, struct authres *ret)
{
	struct authres_input in = {.at = value, .end = value + len};

	*ret = (struct authres){.count = 0};
	take_id(&in, ret);
	for (;;) {
		struct authres_result r = {.property_count = 0};

		while (take(&in, ';'))
			continue;
		if (in.at == in.end)
			break;
		if (take_pair(&in, r.method, r.result, sizeof(r.result))) {
			lower(r.result);
			take_properties(&in, &r);
			if (r.result[0] != '\0' && ret->count < AUTHRES_RESULTS_MAX)
				ret->results[ret->count++] = r;
		} else {
			while (in.at < in.end && *in.at != ';') /* "none", or none of ours */
				in.at++;
		}
	}
	return ret->id[0] == '\0' && ret->count == 0 ? -EBADMSG : 0;
}

const char *
authres_property(const struct authres_result *r, const char *name)
{
	for (size_t i = 0; i < r->property_count; i++)
		if (strcmp(r->properties[i].name, name) == 0)
			return r->properties[i].value;
	return NULL;
}

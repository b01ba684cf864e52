/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* token-answer.c: see token-answer.h. */
#include "broker/https/token-answer.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "broker/https/document.h"

static const struct token_response none = {.expires_in = -1,
    .expires_on = -1,
    .refresh_expires_in = -1,
    .id.expires = -1,
    .access.expires = -1};

void
token_answer_clear(struct token_response *a)
{
	free(a->error);
	free(a->description);
	free(a->token_type);
	free(a->scope);
	(void)secret_free(a->access_token);
	(void)secret_free(a->refresh_token);
	id_token_clear(&a->id);
	id_token_clear(&a->access);
	*a = none;
}

static int64_t
life_of_digits(const char *s, int64_t max)
{
	static const char digits[] = "0123456789";
	size_t len = strspn(s, digits);
	int64_t life = 0;

	/* a fraction is let go, as it is of a number */
	if (len == 0 ||
	    (s[len] != '\0' && (s[len] != '.' || s[len + 1 + strspn(s + len + 1, digits)] != '\0')))
		return -1;
	for (const char *end = s + len; s < end && life < max; s++)
		life = life * 10 + (*s - '0');
	return life;
}

/* Compared as a double, so that 1e300 and the like never reach an integer. */
static int64_t
life_of_number(double seconds, int64_t max)
{
	if (seconds < 0)
		return 0;
	return seconds < (double)max ? (int64_t)seconds : max;
}

/* A number, or a text of digits; -1: neither. No more than `max`. */
static int64_t
read_number(const json_t *d, const char *key, int64_t max)
{
	const json_t *value = json_object_get(d, key);
	int64_t life = -1;

	if (json_is_string(value))
		life = life_of_digits(json_string_value(value), max);
	else if (json_is_number(value))
		life = life_of_number(json_number_value(value), max);
	return life < max ? life : max;
}

/* A token as RFC 6749 appendix A.12 allows it, and without the space, which no server uses and RFC
 * 6750 forbids. */
static int
read_token(const json_t *d, const char *key, struct secret **ret, const char **ret_fault)
{
	const char *s = document_text(d, key);
	struct secret *token;

	if (s == NULL)
		return 0;
	if (strlen(s) > TOKEN_ANSWER_TOKEN_MAX) {
		*ret_fault = "a token that is longer than 24 kB";
		return 0;
	}
	token = secret_new(s, strlen(s));
	if (token == NULL)
		return -ENOMEM;
	if (!secret_is_printable(token, false)) {
		(void)secret_free(token);
		*ret_fault = "a token that holds forbidden characters";
		return 0;
	}
	*ret = token;
	return 0;
}

static int
read_text(const json_t *d, const char *key, size_t max, char **ret)
{
	const char *s = document_text(d, key);

	if (s == NULL)
		return 0;
	*ret = document_plain(s, max);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
read_id(const json_t *d, struct token_response *a)
{
	const char *jwt = document_text(d, "id_token");
	int r;

	if (jwt == NULL)
		return 0;
	r = id_token_parse(jwt, strlen(jwt), &a->id, &a->id_fault);
	if (r == 0)
		a->id_fault = NULL;
	return r == -ENOMEM ? r : 0;
}

/* An access token is opaque to its client (RFC 6749 section 1.4); where it can be read all the same,
 * its audience tells a token for another service before a mail server refuses it without a reason. */
static int
read_access(struct token_response *a)
{
	const char *why;

	if (a->access_token == NULL)
		return 0;
	return id_token_parse((const char *)secret_bytes(a->access_token),
		   secret_len(a->access_token), &a->access, &why) == -ENOMEM
		   ? -ENOMEM
		   : 0;
}

static int
read_success(const json_t *d, struct token_response *a)
{
	int r = read_token(d, "access_token", &a->access_token, &a->fault);

	if (r == 0)
		r = read_token(d, "refresh_token", &a->refresh_token, &a->fault);
	if (r == 0)
		r = read_text(d, "token_type", 64, &a->token_type);
	if (r == 0)
		r = read_text(d, "scope", 8192, &a->scope);
	if (r == 0)
		r = read_id(d, a);
	if (r == 0)
		r = read_access(a);
	a->expires_in = read_number(d, "expires_in", TOKEN_ANSWER_LIFE_MAX);
	a->expires_on = read_number(d, "expires_on", TOKEN_ANSWER_TIME_MAX);
	if (a->expires_on < 0)
		a->expires_on = read_number(d, "expires_at", TOKEN_ANSWER_TIME_MAX);
	a->refresh_expires_in =
	    read_number(d, "refresh_token_expires_in", TOKEN_ANSWER_REFRESH_LIFE_MAX);
	if (a->refresh_expires_in < 0)
		a->refresh_expires_in =
		    read_number(d, "refresh_expires_in", TOKEN_ANSWER_REFRESH_LIFE_MAX);
	if (a->fault == NULL && a->access_token == NULL)
		a->fault = "neither an access token nor an error";
	if (a->fault == NULL && a->token_type != NULL && strcasecmp(a->token_type, "Bearer") != 0)
		a->fault = "a token that is no bearer token";
	return r;
}

int
token_answer_parse(long status, const char *body, size_t len, struct token_response *ret)
{
	CLEANUP_DOCUMENT json_t *d = NULL;
	int r = 0;

	*ret = none;
	d = document_parse(body, len, &ret->fault);
	if (d == NULL)
		return 0;
	ret->is_json = true;
	r = document_error(d, &ret->error, &ret->description);
	if (r == 0 && ret->error == NULL && status >= 200 && status < 300)
		r = read_success(d, ret);
	else if (r == 0 && ret->error == NULL)
		ret->fault = "JSON that names no error";
	if (r < 0)
		token_answer_clear(ret);
	return r;
}

int64_t
token_answer_life(const struct token_response *a, int64_t now)
{
	if (a->expires_in >= 0 || a->expires_on < 0)
		return a->expires_in;
	if (a->expires_on <= now)
		return 0;
	return a->expires_on - now < TOKEN_ANSWER_LIFE_MAX ? a->expires_on - now
							   : TOKEN_ANSWER_LIFE_MAX;
}

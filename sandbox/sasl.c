/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sasl.c: see sasl.h.
 *
 * XOAUTH2:     user=ADDRESS ^A auth=Bearer TOKEN ^A ^A
 * OAUTHBEARER: n,a=ADDRESS, ^A host=H ^A port=P ^A auth=Bearer TOKEN ^A ^A    (a= with '=2C' and
 * '=3D') PLAIN:       AUTHZID NUL AUTHCID NUL PASSWORD LOGIN:       "Username:" ADDRESS "Password:"
 * PASSWORD
 */
#include "sandbox/sasl.h"

#include <stdio.h>
#include <string.h>

enum { TOKEN_MAX = 8192 };

bool
sasl_exchange_begin(struct sasl_exchange *x, const char *mechanism)
{
	*x = (struct sasl_exchange){
	    .mechanism = sasl_mechanism_by_name(mechanism, strlen(mechanism))};
	if ((x->mechanism & SASL_SCRAM_MECHANISMS) != 0) /* which the sandbox does not play */
		x->mechanism = SASL_NONE;
	return x->mechanism != SASL_NONE;
}

/* Copies text without NUL into a string of `size`; false where it does not fit. */
static bool
take(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size || (len > 0 && memchr(from, '\0', len) != NULL))
		return false;
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* The saslname of RFC 5801 section 4: '=2C' is a comma and '=3D' an equals sign. */
static bool
take_saslname(char *to, size_t size, const char *from, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len && n + 1 < size; i++) {
		to[n] = from[i];
		if (from[i] == '=') {
			if (len - i < 3 ||
			    (memcmp(from + i, "=2C", 3) != 0 && memcmp(from + i, "=3D", 3) != 0))
				return false;
			to[n] = from[i + 2] == 'C' ? ',' : '=';
			i += 2;
		}
		n++;
	}
	to[n] = '\0';
	return i == len && memchr(to, '\0', n) == NULL;
}

/* Finds "key=value" among the ^A-ended pairs, which must end in an empty one. */
static const char *
find_pair(const char *pairs, size_t len, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);

	if (len < 2 || pairs[len - 1] != '\1' || pairs[len - 2] != '\1')
		return NULL;
	while (len > 1) {
		const char *end = memchr(pairs, '\1', len);
		size_t n;

		if (end == NULL)
			return NULL;
		n = (size_t)(end - pairs);
		if (n >= key_len && memcmp(pairs, key, key_len) == 0) {
			*ret_len = n - key_len;
			return pairs + key_len;
		}
		pairs += n + 1;
		len -= n + 1;
	}
	return NULL;
}

static bool
take_bearer(char token[TOKEN_MAX], const char *pairs, size_t len)
{
	size_t n = 0;
	const char *value = find_pair(pairs, len, "auth=", &n);

	return value != NULL && n > 7 && strncasecmp(value, "Bearer ", 7) == 0 &&
	       take(token, TOKEN_MAX, value + 7, n - 7);
}

static bool
parse_token(struct sasl_exchange *x, const char *response, size_t len, char token[TOKEN_MAX])
{
	const char *value, *end;
	size_t n = 0;

	if (x->mechanism == SASL_XOAUTH2) {
		value = find_pair(response, len, "user=", &n);
		return value == response + 5 && take(x->user, sizeof(x->user), value, n) &&
		       take_bearer(token, response, len);
	}
	end = memchr(response, '\1', len);
	if (end == NULL || end - response < 5 || memcmp(response, "n,a=", 4) != 0 || end[-1] != ',')
		return false;
	return take_saslname(
		   x->user, sizeof(x->user), response + 4, (size_t)(end - response) - 5) &&
	       take_bearer(token, end + 1, len - (size_t)(end + 1 - response));
}

static enum sasl_next
step_token(struct sasl_exchange *x, const struct sasl_checks *checks, void *arg,
    const char *response, size_t len)
{
	char token[TOKEN_MAX];
	enum sasl_next next = SASL_NEXT_CHALLENGE;

	if (x->challenged)
		return SASL_NEXT_REFUSED;
	x->challenge[0] = '\0';
	if (response == NULL)
		return SASL_NEXT_CHALLENGE;
	if (!parse_token(x, response, len, token)) {
		next = SASL_NEXT_BAD;
	} else if (checks->token(arg, x->user, token)) {
		next = SASL_NEXT_OK;
	} else if (checks->challenge == NULL) {
		next = SASL_NEXT_REFUSED;
	} else {
		x->challenged = true;
		(void)snprintf(x->challenge, sizeof(x->challenge), "%s", checks->challenge);
	}
	mem_wipe(token, sizeof(token));
	return next;
}

static enum sasl_next
step_plain(struct sasl_exchange *x, const struct sasl_checks *checks, void *arg,
    const char *response, size_t len)
{
	const char *authcid, *password;
	char secret[1024], authzid[ADDRESS_MAX + 1];
	enum sasl_next next;

	x->challenge[0] = '\0';
	if (response == NULL)
		return SASL_NEXT_CHALLENGE;
	authcid = memchr(response, '\0', len);
	password = authcid == NULL
		       ? NULL
		       : memchr(authcid + 1, '\0', len - (size_t)(authcid + 1 - response));
	if (password == NULL ||
	    !take(authzid, sizeof(authzid), response, (size_t)(authcid - response)) ||
	    !take(x->user, sizeof(x->user), authcid + 1, (size_t)(password - authcid) - 1) ||
	    !take(secret, sizeof(secret), password + 1, len - (size_t)(password + 1 - response)))
		return SASL_NEXT_BAD;
	next = (authzid[0] == '\0' || address_equal_nocase(authzid, x->user)) &&
		       checks->password(arg, x->user, secret)
		   ? SASL_NEXT_OK
		   : SASL_NEXT_REFUSED;
	mem_wipe(secret, sizeof(secret));
	return next;
}

static enum sasl_next
step_login(struct sasl_exchange *x, const struct sasl_checks *checks, void *arg,
    const char *response, size_t len)
{
	char secret[1024];
	enum sasl_next next;

	if (response == NULL) {
		(void)snprintf(x->challenge, sizeof(x->challenge), "Username:");
		return SASL_NEXT_CHALLENGE;
	}
	if (x->user[0] == '\0') {
		(void)snprintf(x->challenge, sizeof(x->challenge), "Password:");
		return len > 0 && take(x->user, sizeof(x->user), response, len)
			   ? SASL_NEXT_CHALLENGE
			   : SASL_NEXT_BAD;
	}
	if (!take(secret, sizeof(secret), response, len))
		return SASL_NEXT_BAD;
	next = checks->password(arg, x->user, secret) ? SASL_NEXT_OK : SASL_NEXT_REFUSED;
	mem_wipe(secret, sizeof(secret));
	return next;
}

enum sasl_next
sasl_exchange_step(struct sasl_exchange *x, const struct sasl_checks *checks, void *arg,
    const char *response, size_t len)
{
	enum sasl_next next = SASL_NEXT_BAD;

	switch (x->mechanism) {
	case SASL_XOAUTH2:
	case SASL_OAUTHBEARER:
		next = step_token(x, checks, arg, response, len);
		break;
	case SASL_PLAIN:
		next = step_plain(x, checks, arg, response, len);
		break;
	case SASL_LOGIN:
		next = step_login(x, checks, arg, response, len);
		break;
	default:
		break;
	}
	if (next != SASL_NEXT_CHALLENGE) {
		x->ended = x->mechanism;
		x->mechanism = SASL_NONE;
	}
	return next;
}

bool
sasl_exchange_refuse(struct sasl_exchange *x, const char *challenge)
{
	if ((x->ended & SASL_TOKEN_MECHANISMS) == 0 || challenge == NULL)
		return false;
	x->mechanism = x->ended;
	x->challenged = true;
	(void)snprintf(x->challenge, sizeof(x->challenge), "%s", challenge);
	return true;
}

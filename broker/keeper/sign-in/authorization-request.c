/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorization-request.c: see authorization-request.h.
 */
#include "broker/keeper/sign-in/authorization-request.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "broker/keeper/accounts/scope.h"
#include "tokenstore/seal.h"

static int
make_one(const uint8_t random[AUTHORIZATION_REQUEST_RANDOM], struct secret **ret)
{
	struct buf text CLEANUP_BUF = BUF_INIT_WIPE(64);
	int r = base64url_encode(&text, random, AUTHORIZATION_REQUEST_RANDOM);

	if (r < 0)
		return -ENOMEM;
	*ret = secret_new(text.data, text.len);
	return *ret == NULL ? -ENOMEM : 0;
}

int
authorization_request_make_secrets(
    const uint8_t random[3 * AUTHORIZATION_REQUEST_RANDOM], struct authorization_secrets *ret)
{
	*ret = (struct authorization_secrets){0};
	if (make_one(random, &ret->state) < 0 ||
	    make_one(random + AUTHORIZATION_REQUEST_RANDOM, &ret->verifier) < 0 ||
	    make_one(random + (size_t)2 * AUTHORIZATION_REQUEST_RANDOM, &ret->nonce) < 0) {
		authorization_request_clear_secrets(ret);
		return -ENOMEM;
	}
	return 0;
}

void
authorization_request_clear_secrets(struct authorization_secrets *s)
{
	s->state = secret_free(s->state);
	s->verifier = secret_free(s->verifier);
	s->nonce = secret_free(s->nonce);
}

/* base64url(SHA-256(verifier)): the S256 challenge of RFC 7636 section 4.2. */
static int
put_challenge(const struct secret *verifier, struct buf *ret)
{
	uint8_t hash[SEAL_HASH];
	int r = seal_sha256(secret_bytes(verifier), secret_len(verifier), NULL, 0, hash);

	return r < 0 ? r : base64url_encode(ret, hash, sizeof(hash));
}

static void
put(struct buf *url, const char *key, const void *value, size_t len)
{
	char last = url->len > 0 ? url->data[url->len - 1] : '?';

	if (last != '?' && last != '&')
		(void)buf_append_char(url, '&');
	(void)buf_append_str(url, key);
	(void)buf_append_char(url, '=');
	if (form_encode(url, value, len) < 0)
		url->failed = true;
}

static void
put_text(struct buf *url, const char *key, const char *value)
{
	if (value != NULL && *value != '\0')
		put(url, key, value, strlen(value));
}

/* Parameters that are ours to say. */
static bool
is_ours(const char *pair)
{
	static const char *const ours[] = {"response_type", "client_id", "redirect_uri", "scope",
	    "state", "code_challenge", "code_challenge_method", "nonce"};
	size_t len = strcspn(pair, "=");

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strlen(ours[i]) == len && memcmp(ours[i], pair, len) == 0)
			return true;
	return false;
}

/* The provider's own (access_type, prompt, ...); one that is set to nothing is left out, and takes
 * away a default of ours. */
static void
put_extra(struct buf *url, const struct account_conf *c)
{
	bool hint = false;

	for (size_t i = 0; i < c->extra_parameters.count; i++) {
		const char *pair = c->extra_parameters.items[i], *equals = strchr(pair, '=');

		hint |= strncmp(pair, "login_hint=", strlen("login_hint=")) == 0;
		if (equals == NULL || equals[1] == '\0' || is_ours(pair))
			continue;
		(void)buf_append_char(url, '&');
		if (form_encode(url, pair, (size_t)(equals - pair)) < 0 ||
		    buf_append_char(url, '=') < 0 ||
		    form_encode(url, equals + 1, strlen(equals + 1)) < 0)
			url->failed = true;
	}
	if (!hint && *account_conf_login(c) != '\0')
		put_text(url, "login_hint", account_conf_login(c));
}

int
authorization_request_url(const struct account_conf *c, const char *endpoint,
    const char *redirect_uri, const struct authorization_secrets *s, struct buf *ret)
{
	struct buf challenge CLEANUP_BUF = BUF_INIT_WIPE(64);
	int r = put_challenge(s->verifier, &challenge);

	if (r < 0)
		return -ENOMEM;
	(void)buf_append(ret, endpoint, strcspn(endpoint, "#"));
	if (strchr(buf_str(ret), '?') == NULL)
		(void)buf_append_char(ret, '?');
	put_text(ret, "response_type", "code");
	put_text(ret, "client_id", c->client_id);
	put_text(ret, "redirect_uri", redirect_uri);
	put_text(ret, "scope", c->scopes);
	put(ret, "state", secret_bytes(s->state), secret_len(s->state));
	put(ret, "code_challenge", buf_str(&challenge), challenge.len);
	put_text(ret, "code_challenge_method", "S256");
	if (scope_is_listed(c->scopes, "openid"))
		put(ret, "nonce", secret_bytes(s->nonce), secret_len(s->nonce));
	put_extra(ret, c);
	return ret->failed ? -ENOBUFS : 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorization-request.h: what one attempt to sign in needs to know and to say: state, PKCE verifier, nonce, the
 * address to open. Sans-IO.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZATION_REQUEST_H
#define FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZATION_REQUEST_H

#include "base/buf.h"
#include "broker/keeper/accounts/account-conf.h"

enum { ATTEMPT_RANDOM = 32 }; /* octets of state, verifier and nonce each */

struct attempt_secrets {
	struct secret *state, *verifier, *nonce; /* base64url of ATTEMPT_RANDOM random octets */
};

/* New ones out of fresh random octets. 0 or -ENOMEM. */
int attempt_secrets_make(const uint8_t random[3 * ATTEMPT_RANDOM], struct attempt_secrets *ret);
void attempt_secrets_clear(struct attempt_secrets *s);

/* base64url(SHA-256(verifier)): the S256 challenge of RFC 7636 section 4.2. */
int attempt_challenge(const struct secret *verifier, struct buf *ret);

/* The authorization request (RFC 6749 section 4.1.1) as an address; `ret` wipes. 0, -ENOMEM,
 * -ENOBUFS. */
int attempt_url(const struct account_conf *c, const char *endpoint, const char *redirect_uri,
    const struct attempt_secrets *s, struct buf *ret);

#endif

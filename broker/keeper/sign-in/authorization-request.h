/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorization-request.h: the request with which a sign-in begins: state, PKCE verifier and nonce, and
 * the address to open in a browser. Sans-IO.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZATION_REQUEST_H
#define FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZATION_REQUEST_H

#include "base/buf.h"
#include "broker/keeper/accounts/account-conf.h"

enum { AUTHORIZATION_REQUEST_RANDOM = 32 }; /* octets of state, verifier and nonce each */

struct authorization_secrets {
	struct secret *state, *verifier,
	    *nonce; /* base64url of AUTHORIZATION_REQUEST_RANDOM random octets */
};

/* Makes the three out of fresh random octets. 0 or -ENOMEM. */
int authorization_request_make_secrets(
    const uint8_t random[3 * AUTHORIZATION_REQUEST_RANDOM], struct authorization_secrets *ret);
void authorization_request_clear_secrets(struct authorization_secrets *s);

/* The authorization request (RFC 6749 section 4.1.1) as an address; `ret` wipes. 0, -ENOMEM,
 * -ENOBUFS. */
int authorization_request_url(const struct account_conf *c, const char *endpoint,
    const char *redirect_uri, const struct authorization_secrets *s, struct buf *ret);

#endif

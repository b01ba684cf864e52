/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * assertion.h: signed statements by which a client proves who it is (private_key_jwt, RFC 7523
 * section 2.2) or asks for a token in a mailbox's name (section 2.1): a JWT made with a key that
 * never leaves the keeper. Sans-IO.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_ASSERTION_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_ASSERTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"

enum { ASSERTION_JTI = 16, ASSERTION_LIFE = 600 /* seconds */, ASSERTION_LEEWAY = 60 };

/* The claims. NULL strings are left out. */
struct assertion {
	const char *issuer, *subject, *audience, *scope;
	const char *key_id;    /* "kid" of the header */
	const char *algorithm; /* PS256, RS256 or ES256; NULL: PS256 for RSA, ES256 for P-256 */
	const void
	    *certificate; /* PEM: its SHA-256 thumbprint is the header's "x5t#S256"; NULL: none */
	size_t certificate_len;
	const uint8_t *jti; /* ASSERTION_JTI random octets; NULL: none */
	int64_t now;        /* seconds since 1970 */
	/* Issued at `now` - leeway, against clocks that differ; it ends `life` after `now` (seconds). */
	unsigned leeway, life;
};

/*
 * Signs. `key` is a private key in PEM that no passphrase protects: RSA of 2048 bits or more, or EC
 * on P-256; certificates may stand beside it. 0 with *ret; -EINVAL with *ret_why, a constant
 * sentence; -ENOMEM; -EIO (libcrypto).
 */
int assertion_sign(
    const struct assertion *a, const struct secret *key, struct secret **ret, const char **ret_why);

/* Could assertion_sign use this key? 0, or -EINVAL with *ret_why. */
int assertion_check_key(const struct secret *key, const char **ret_why);

/* When the first certificate in this PEM ends, in seconds since 1970; -EINVAL where there is none. */
int assertion_certificate_end(const void *pem, size_t len, int64_t *ret);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * jwt.h: signs ID tokens (ES256: RFC 7515, RFC 7518 section 3.4) and publishes the key (RFC 7517).
 */
#ifndef FRANK_SANDBOX_JWT_H
#define FRANK_SANDBOX_JWT_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/buf.h"

struct jwt_key;

/* A fresh P-256 key with a random key id. NULL: no memory or no random numbers. */
struct jwt_key *jwt_key_new(void);
struct jwt_key *jwt_key_free(struct jwt_key *k);

/* The key set with this one public key: a new reference, or NULL. */
json_t *jwt_key_set(const struct jwt_key *k);

/* Makes HEADER.CLAIMS.SIGNATURE in `out`, which must be empty. `claims` is borrowed. 0, -ENOMEM,
 * -ENOBUFS or -EIO (the crypto library refused). */
int jwt_sign(const struct jwt_key *k, const json_t *claims, struct buf *out);

/* Checks HEADER.CLAIMS.SIGNATURE (RS256, PS256 or ES256, as fits the key) and returns the claims, a new reference; NULL: it is not
 * signed by this key, or is none. What the claims say is the caller's to check. */
json_t *jwt_verify(EVP_PKEY *key, const char *text);

#endif

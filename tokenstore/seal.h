/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * seal.h: the four primitives that the store is built of: HKDF-SHA256, AES-256-GCM, HMAC-SHA256,
 * SHA-256.
 *
 * Thin over libcrypto. Every function returns 0 or negative errno: -EBADMSG where octets are not
 * authentic, -EIO where libcrypto itself fails (memory).
 */
#ifndef FRANK_TOKENSTORE_SEAL_H
#define FRANK_TOKENSTORE_SEAL_H

#include <stddef.h>
#include <stdint.h>

enum { SEAL_KEY = 32, SEAL_NONCE = 12, SEAL_TAG = 16, SEAL_HASH = 32 };

/* Readies libcrypto without its configuration file, and so that no private key stays in its memory
 * after use. To be called before anything of libcrypto's, and before a role confines itself. */
int seal_init(void);

/* HKDF (RFC 5869) with SHA-256: extract with `salt`, expand with the text `info`. */
int seal_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
    void *out, size_t out_len);

/* scrypt (RFC 7914): SEAL_KEY octets out of a passphrase. Takes 128 * r * 2^log2n octets of memory;
 * the caller bounds that. */
int seal_scrypt(const void *passphrase, size_t len, const void *salt, size_t salt_len,
    unsigned log2n, unsigned r, unsigned p, uint8_t out[SEAL_KEY]);

/* AES-256-GCM. `out` has room for `len` octets and may be `in`. A key must never meet the same
 * nonce twice. */
int seal_encrypt(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const void *ad,
    size_t ad_len, const void *in, size_t len, void *out, uint8_t tag[SEAL_TAG]);
/* On -EBADMSG `out` holds zeros. */
int seal_decrypt(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const void *ad,
    size_t ad_len, const void *in, size_t len, void *out, const uint8_t tag[SEAL_TAG]);

int seal_hmac(const uint8_t key[SEAL_KEY], const void *data, size_t len, uint8_t out[SEAL_HASH]);

/* SHA-256 of the parts one after the other; `more` may be NULL. */
int seal_sha256(
    const void *data, size_t len, const void *more, size_t more_len, uint8_t out[SEAL_HASH]);

#endif

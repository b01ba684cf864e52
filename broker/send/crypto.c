/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* crypto.c: see crypto.h. */
#include "broker/send/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static bool
random_octets(uint8_t *to, size_t len)
{
	return RAND_bytes(to, (int)len) == 1;
}

static bool
hash(const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	return EVP_Digest(data, len, to, NULL, EVP_sha256(), NULL) == 1;
}

static bool
hmac(const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	return HMAC(EVP_sha256(), key, (int)key_len, data, len, to, NULL) != NULL;
}

static bool
stretch(const uint8_t *password, size_t password_len, const uint8_t *salt, size_t salt_len,
    unsigned iterations, uint8_t to[SCRAM_HASH])
{
	return PKCS5_PBKDF2_HMAC((const char *)password, (int)password_len, salt, (int)salt_len,
		   (int)iterations, EVP_sha256(), SCRAM_HASH, to) == 1;
}

const struct scram_crypto crypto_for_scram = {
    .random = random_octets, .hash = hash, .hmac = hmac, .stretch = stretch};

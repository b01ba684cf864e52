/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-toys.h: stands in for the hashes of SCRAM: fast, and of fixed results. */
#ifndef FRANK_TESTS_FUZZ_TOYS_H
#define FRANK_TESTS_FUZZ_TOYS_H

#include <string.h>

#include "base/codec.h"
#include "base/smtp/scram.h"

static bool
toy_random(uint8_t *to, size_t len)
{
	memset(to, 0, len); /* "AAAA..." */
	return true;
}

static bool
toy_hash(const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	memset(to, 0x5a, SCRAM_HASH);
	return true;
}

static bool
toy_hmac(const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	return toy_hash(data, len, to);
}

static bool
toy_stretch(const uint8_t *password, size_t password_len, const uint8_t *salt, size_t salt_len,
    unsigned iterations, uint8_t to[SCRAM_HASH])
{
	return toy_hash(salt, salt_len, to);
}

static const struct scram_crypto toy_crypto = {
    .random = toy_random, .hash = toy_hash, .hmac = toy_hmac, .stretch = toy_stretch};

/* Is the toy's signature in it? */
static inline bool
toy_signed(const char *text, size_t len)
{
	return memmem(text, len, "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=", 44) != NULL;
}

#endif

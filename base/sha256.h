/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sha256.h: SHA-256 (FIPS 180-4) of a short text, for a process that links no cryptographic
 * library: queue keeps digests of the passwords that it makes.
 *
 * Those have 160 random bits, so that nothing slower than this is needed, and nothing but a digest
 * is ever made from them.
 */
#ifndef FRANK_BASE_SHA256_H
#define FRANK_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32 };

void sha256(const void *bytes, size_t len, uint8_t digest[SHA256_LEN]);

#endif

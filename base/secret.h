/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * secret.h: the one type in which an opened secret lives.
 *
 * A token, a password, a key is held in pages of its own that are locked into memory, left out of
 * core dumps and of children, and wiped when released. The type is opaque and is no string, so that
 * printing or logging one does not compile.
 */
#ifndef FRANK_BASE_SECRET_H
#define FRANK_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { SECRET_MAX = 48 * 1024 };

struct secret;

/* Copies `len` bytes (at most SECRET_MAX) into a new secret; the caller wipes its own copy. NULL
 * with errno ENOMEM or EMSGSIZE. The bytes are followed by a NUL that does not count. */
struct secret *secret_new(const void *bytes, size_t len);

/* A new secret of `len` zero bytes, to be filled through secret_fill. */
struct secret *secret_new_zero(size_t len);

/* Another reference to the same secret; every reference is released by secret_free. Takes and
 * returns NULL. */
struct secret *secret_ref(struct secret *s);

/* Drops a reference; the last one wipes and unmaps. Takes NULL; returns NULL. */
struct secret *secret_free(struct secret *s);

/* The bytes, borrowed while the reference is held. For the wire, the cipher and the comparison
 * only. */
const uint8_t *secret_bytes(const struct secret *s);
uint8_t *secret_fill(struct secret *s);
size_t secret_len(const struct secret *s);

/* Equal length and bytes, in a time that depends on the length alone. NULL equals nothing. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* True where the bytes hold no control character, space or NUL: what a token or a password in a
 * SASL or HTTP field must satisfy (RFC 6749 appendix A.12: VSCHAR). With `spaces`, U+0020 and
 * octets above 0x7F are allowed. */
bool secret_is_printable(const struct secret *s, bool spaces);

static inline void
cleanup_secret(struct secret **s)
{
	(void)secret_free(*s);
}
#define CLEANUP_SECRET CLEANUP(cleanup_secret)

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * vault.c: see vault.h. The nonce is a counter: one process, one key, no repetition in 2^64 seals.
 */
#include "broker/keeper/accounts/vault.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "tokenstore/seal.h"

struct vault {
	struct secret *key;
	uint64_t count;
};

struct sealed {
	uint64_t nonce;
	size_t len;
	uint8_t tag[SEAL_TAG];
	uint8_t bytes[];
};

struct vault *
vault_new(int (*random)(void *arg, void *to, size_t len), void *arg)
{
	struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return NULL;
	v->key = secret_new_zero(SEAL_KEY);
	r = v->key == NULL ? -ENOMEM : random(arg, secret_fill(v->key), SEAL_KEY);
	if (r < 0) {
		(void)vault_free(v);
		errno = -r;
		return NULL;
	}
	return v;
}

struct vault *
vault_free(struct vault *v)
{
	if (v != NULL) {
		(void)secret_free(v->key);
		free(v);
	}
	return NULL;
}

static void
make_nonce(uint64_t count, uint8_t ret[SEAL_NONCE])
{
	memset(ret, 0, SEAL_NONCE);
	memcpy(ret, &count, sizeof(count));
}

struct sealed *
vault_seal(struct vault *v, const struct secret *s)
{
	size_t len = s == NULL ? 0 : secret_len(s);
	struct sealed *sealed = s == NULL ? NULL : malloc(sizeof(*sealed) + len);
	uint8_t nonce[SEAL_NONCE];

	if (sealed == NULL)
		return NULL;
	sealed->nonce = v->count++;
	sealed->len = len;
	make_nonce(sealed->nonce, nonce);
	if (seal_encrypt(secret_bytes(v->key), nonce, "", 0, secret_bytes(s), len, sealed->bytes,
		sealed->tag) < 0)
		return vault_drop(sealed);
	return sealed;
}

struct secret *
vault_open(const struct vault *v, const struct sealed *s)
{
	struct secret *open = s == NULL ? NULL : secret_new_zero(s->len);
	uint8_t nonce[SEAL_NONCE];

	if (open == NULL)
		return NULL;
	make_nonce(s->nonce, nonce);
	if (seal_decrypt(secret_bytes(v->key), nonce, "", 0, s->bytes, s->len, secret_fill(open),
		s->tag) < 0)
		return secret_free(open);
	return open;
}

struct sealed *
vault_drop(struct sealed *s)
{
	free(s);
	return NULL;
}

void
vault_replace(struct sealed **to, struct sealed *s)
{
	(void)vault_drop(*to);
	*to = s;
}

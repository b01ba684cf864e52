/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * vault.h: secrets at rest in memory, sealed under a key that lives as long as the process.
 *
 * The keeper holds the tokens of every account for hours, and needs one of them for a moment. So tokens
 * lie on the heap sealed by AES-256-GCM, and only the key and the open secrets are in locked pages.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_VAULT_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_VAULT_H

#include "base/secret.h"

struct vault;
struct sealed;

/* `random` fills with random octets: 0 or negative errno. NULL with errno. */
struct vault *vault_new(int (*random)(void *arg, void *to, size_t len), void *arg);
/* Nothing that it sealed can be opened again. Takes NULL; returns NULL. */
struct vault *vault_free(struct vault *v);

/* A sealed copy; NULL where `s` is NULL or memory is out. */
struct sealed *vault_seal(struct vault *v, const struct secret *s);
/* Opens into a new secret; NULL where `s` is NULL or memory is out. */
struct secret *vault_open(const struct vault *v, const struct sealed *s);

/* Takes NULL; returns NULL. */
struct sealed *vault_drop(struct sealed *s);
/* Frees *to and puts `s` (taken) there. */
void vault_replace(struct sealed **to, struct sealed *s);

static inline void
cleanup_sealed(struct sealed **s)
{
	(void)vault_drop(*s);
}
#define CLEANUP_SEALED CLEANUP(cleanup_sealed)

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * slot.h: one sealed record in one slot of an account's file. Sans-IO; the format stands at the
 * head of slot.c.
 */
#ifndef FRANK_TOKENSTORE_SLOT_H
#define FRANK_TOKENSTORE_SLOT_H

#include "base/secret.h"
#include "tokenstore/seal.h"

enum {
	SLOT_HEADER = 160,
	SLOT_MARK = 8,
	SLOT_SALT = 32,
	SLOT_SMALL = 16 * 1024, /* octets of a slot */
	SLOT_LARGE = 48 * 1024,
	SLOT_OVERHEAD = SLOT_HEADER + SEAL_TAG + SLOT_MARK,
	STORE_ID = 16,
	STORE_KEY_ID = 8,
};

/* What seals the records of one account. */
struct slot_keys {
	const struct secret *master;
	uint8_t store_id[STORE_ID];
	uint8_t key_id[STORE_KEY_ID]; /* names the master key */
	uint8_t account[SEAL_HASH];   /* names the account: slot_account_tag */
};

struct slot_content {
	uint64_t sequence;       /* counts the writes of one account */
	uint64_t generation;     /* of the credential */
	uint8_t mark[SLOT_MARK]; /* names this write */
	struct secret *payload;  /* the caller's to free; NULL unless SLOT_GOOD */
};

enum slot_verdict {
	SLOT_GOOD,
	SLOT_EMPTY,       /* zeros: never written */
	SLOT_TORN,        /* a write that did not finish */
	SLOT_DAMAGED,     /* octets changed after they were written */
	SLOT_SWAPPED,     /* authentic, but of another account or another slot */
	SLOT_OTHER_STORE, /* of another token store */
	SLOT_OTHER_KEY,   /* sealed under another master key */
	SLOT_FAILED,      /* memory or libcrypto: nothing is known */
};

/* Octets of payload that a slot of this size holds. */
static inline size_t
slot_capacity(size_t slot_size)
{
	return slot_size - SLOT_OVERHEAD;
}

/* SHA-256 over the store's id and the account's name. */
int slot_account_tag(const uint8_t store_id[STORE_ID], const char *account, uint8_t ret[SEAL_HASH]);

/* Seals `payload` into `slot_size` octets at `to`. `salt` and `mark` must be fresh random octets.
 * 0, -E2BIG, -ENOMEM, -EIO. */
int slot_pack(const struct slot_keys *keys, unsigned slot, uint64_t sequence, uint64_t generation,
    const struct secret *payload, const uint8_t salt[SLOT_SALT], const uint8_t mark[SLOT_MARK],
    uint8_t *to, size_t slot_size);

/* Judges and opens the slot at `from`. `ret` is filled as far as the header could be trusted. */
enum slot_verdict slot_unpack(const struct slot_keys *keys, unsigned slot, const uint8_t *from,
    size_t slot_size, struct slot_content *ret);

#endif

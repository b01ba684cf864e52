/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keyslots.h: the master key, wrapped once for every way by which it can be opened. Sans-IO; the
 * format stands at the head of keyslots.c.
 */
#ifndef FRANK_TOKENSTORE_KEYSLOTS_H
#define FRANK_TOKENSTORE_KEYSLOTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/secret.h"
#include "tokenstore/slot.h"

/* Numbers on disk: for good. Of the first three the provider gives octets that need no stretching.
 */
enum keyslot_kind {
	KEYSLOT_KEY_FILE = 1,
	KEYSLOT_CREDENTIAL = 2, /* systemd */
	KEYSLOT_KEYRING = 3,
	KEYSLOT_PASSPHRASE = 4, /* scrypt: parameters stand in the slot */
	KEYSLOT_COMMAND = 5,
};

enum {
	KEYSLOTS_MAX = 16,  /* slots of one file */
	KEYSLOT_SIZE = 256, /* octets of a slot */
	KEYSLOTS_HEADER = 32,
	KEYSLOTS_PREVIOUS = 64, /* octets of the key before, while the store is re-sealed */
	KEYSLOTS_TRAILER = 2 * SEAL_HASH,
	KEYSLOTS_FILE_MAX =
	    KEYSLOTS_HEADER + KEYSLOTS_MAX * KEYSLOT_SIZE + KEYSLOTS_PREVIOUS + KEYSLOTS_TRAILER,
	KEYSLOT_PROVIDER_MIN = 16, /* octets that a provider must give at least */
	PASSPHRASE_MIN = 8,        /* octets of a passphrase at least */
	PASSPHRASE_MAX = 1024,
	MASTER_KEY = 32,
};

/* What scrypt costs where a passphrase is stretched anew: 128 MiB and about half a second. */
enum { SCRYPT_LOG2N = 17, SCRYPT_R = 8, SCRYPT_P = 1 };

enum keyslots_verdict {
	KEYSLOTS_GOOD,
	KEYSLOTS_WRONG_KEY, /* the file is sound and no slot opens with what the provider gave */
	KEYSLOTS_DAMAGED,   /* cut short, or octets changed */
	KEYSLOTS_FORGED, /* a slot opens, and the whole is not authentic: somebody wrote it who has
			    not the key */
	KEYSLOTS_NEWER,  /* a format of a later release */
	KEYSLOTS_FAILED, /* memory or libcrypto */
};

/* "key-file", "credential", "keyring", "passphrase", "command" to its kind and back; 0 for another
 * word, "unknown" for another number. */
enum keyslot_kind keyslot_kind_by_name(const char *name);
const char *keyslot_kind_name(enum keyslot_kind kind);

/* Is this what may be wrapped under: 16 octets from a provider, 8 to 1,024 of a passphrase? */
bool keyslot_key_fits(enum keyslot_kind kind, const struct secret *key);

/* Octets of randomness that a new slot takes: its salt and nonce; and a new file: master key, the
 * store's id, and one slot. */
enum {
	KEYSLOT_RANDOM = SLOT_SALT + SEAL_NONCE,
	KEYSLOTS_RANDOM = MASTER_KEY + STORE_ID + KEYSLOT_RANDOM
};

/* The octets of a new file with one slot. 0, -EINVAL for a key that does not fit, -ENOMEM, -EIO. */
int keyslots_create(enum keyslot_kind kind, const struct secret *key,
    const uint8_t random[KEYSLOTS_RANDOM], uint64_t wall, struct buf *ret);

/* What an opened file gives. */
struct keys {
	uint8_t store_id[STORE_ID];
	struct secret *master;
	struct secret *previous; /* the master key before, where re-sealing is under way, or NULL */
	unsigned slot;           /* that opened, from 0 */
};
void keyslots_clear(struct keys *k);

/*
 * Opens a file by what a provider gave, or by a passphrase (scrypt: up to a second and 256 MiB for
 * each passphrase slot). Of the slots that need no stretching every one is tried, so that the same
 * octets may move from a key file to a credential. `ret` is overwritten, and empty unless
 * KEYSLOTS_GOOD.
 */
enum keyslots_verdict keyslots_open(
    const uint8_t *bytes, size_t len, const struct secret *key, bool passphrase, struct keys *ret);

struct keyslot_info {
	enum keyslot_kind kind;
	uint64_t made_at; /* seconds since 1970 */
};

/* The slots of a sound file, without its key: what is told here is authentic only once it opened. */
enum keyslots_verdict keyslots_list(
    const uint8_t *bytes, size_t len, struct keyslot_info ret[KEYSLOTS_MAX], unsigned *ret_count);

/*
 * The octets of a changed file; `from` is one that opened as `keys`. 0; -EINVAL for a key that does
 * not fit or no such slot; -ENOSPC where there are 16 slots; -EPERM for the last slot; -ENOMEM, -EIO.
 */
int keyslots_add(const struct buf *from, const struct keys *keys, enum keyslot_kind kind,
    const struct secret *key, const uint8_t random[KEYSLOT_RANDOM], uint64_t wall, struct buf *ret);
int keyslots_remove(
    const struct buf *from, const struct keys *keys, unsigned slot, struct buf *ret);

/*
 * The same slots around a new master key, the present one kept as the one before: `by` has for each
 * slot what opens it (borrowed; NULL: then -ENOKEY), `random` KEYSLOT_RANDOM octets for each slot
 * and for the key before. -EALREADY where a key before is still there.
 */
int keyslots_rotate(const struct buf *from, const struct keys *keys, const struct secret *master,
    const struct secret *const by[KEYSLOTS_MAX], const uint8_t *random, uint64_t wall,
    struct buf *ret);
/* Without the key before. */
int keyslots_finish(const struct buf *from, const struct keys *keys, struct buf *ret);

/* Which slot does this key open? -1: none. Costs what keyslots_open costs. */
int keyslots_match(
    const struct buf *from, const struct secret *key, bool passphrase, unsigned not_before);

#endif

/*
 * keyslots.h: the master key, wrapped once for every way by which it can be opened. Sans-IO; the
 * format stands at the head of keyslots.c.
 */
#ifndef FRANK_TOKENSTORE_KEYSLOTS_H
#define FRANK_TOKENSTORE_KEYSLOTS_H

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
	KEYSLOTS_TRAILER = 2 * SEAL_HASH,
	KEYSLOTS_FILE_MAX = KEYSLOTS_HEADER + KEYSLOTS_MAX * KEYSLOT_SIZE + KEYSLOTS_TRAILER,
	KEYSLOT_PROVIDER_MIN = 16, /* octets that a provider must give at least */
	MASTER_KEY = 32,
};

enum keyslots_verdict {
	KEYSLOTS_GOOD,
	KEYSLOTS_WRONG_KEY, /* the file is sound and no slot opens with what the provider gave */
	KEYSLOTS_DAMAGED,   /* cut short, or octets changed */
	KEYSLOTS_FORGED, /* a slot opens, and the whole is not authentic: somebody wrote it who has
			    not the key */
	KEYSLOTS_NEWER,  /* a format of a later release */
	KEYSLOTS_FAILED, /* memory or libcrypto */
};

/* "key-file", "credential", "keyring" to its kind; 0 for another word. */
enum keyslot_kind keyslot_kind_by_name(const char *name);

/* The octets of a new file with one slot. `random` is 32 (master key) + 16 (store id) + 32 (salt) +
 * 12 (nonce) fresh random octets. 0, -EINVAL for too short a key, -ENOMEM, -EIO. */
enum { KEYSLOTS_RANDOM = MASTER_KEY + STORE_ID + SLOT_SALT + SEAL_NONCE };
int keyslots_create(enum keyslot_kind kind, const struct secret *provider,
    const uint8_t random[KEYSLOTS_RANDOM], uint64_t wall, struct buf *ret);

/* Opens a file: the master key (the caller's) and the store's id. Every slot that needs no
 * stretching is tried, so that the same octets may move from a key file to a credential. */
enum keyslots_verdict keyslots_open(const uint8_t *bytes, size_t len, const struct secret *provider,
    struct secret **ret_master, uint8_t ret_store_id[STORE_ID]);

#endif

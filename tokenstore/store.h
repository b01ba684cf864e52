/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store.h: sealed records on disk, one file per account, below one directory.
 *
 * A record is written in the place of the one before the last, so that the last stays whole
 * whatever happens; once the file is there, a write needs no new block and no new name (on file
 * systems that overwrite in place: ext4, xfs; a copy-on-write file system may still run out of
 * space). Nothing that cannot be explained is ever written over: it is set aside under another
 * name, and only when its account gets a new credential.
 *
 * Not thread-safe; calls block on the disk. One process has the directory for itself (the state
 * folder's lock).
 */
#ifndef FRANK_TOKENSTORE_STORE_H
#define FRANK_TOKENSTORE_STORE_H

#include "base/secret.h"
#include "tokenstore/file-ops.h"
#include "tokenstore/keyslots.h"

struct store;

enum store_trouble {
	STORE_FINE,
	STORE_WRONG_KEY,        /* the provider's key opens no key slot */
	STORE_WRONG_PASSPHRASE, /* the same for a passphrase that a person gave */
	STORE_LOCKED,           /* its key is a passphrase, and nobody gave it yet */
	STORE_NO_PASSPHRASE,    /* the same, and there is no store yet: the first one makes it */
	STORE_SHORT_KEY,        /* it gave fewer than KEYSLOT_PROVIDER_MIN octets */
	STORE_KEYS_DAMAGED,     /* keyslots: changed or cut short */
	STORE_KEYS_FORGED,
	STORE_KEYS_NEWER,
	STORE_KEYS_MISSING, /* records are there and no keyslots */
	STORE_UNREADABLE,   /* the disk, memory: see the errno */
};

/*
 * Opens the store in `dir` (borrowed), or makes a new one where the directory holds no record.
 * `ops` is borrowed. `kind` and `wall` describe the first key slot of a new store; *ret_new tells
 * that one was made. 0, or negative errno with *ret_trouble.
 */
int store_open(const struct file_ops *ops, int dir, enum keyslot_kind kind,
    const struct secret *provider, uint64_t wall, struct store **ret, bool *ret_new,
    enum store_trouble *ret_trouble);
struct store *store_free(struct store *s);

/* Would this key open the store? For a reload: 0, -EKEYREJECTED, other negative errno. */
int store_try_key(const struct store *s, enum keyslot_kind kind, const struct secret *provider);

/* Does the directory hold a store, or what is left of one? 1, 0, or negative errno. */
int store_exists(const struct file_ops *ops, int dir);

/* A sentence for a person and a next step. */
const char *store_trouble_text(enum store_trouble t);
const char *store_trouble_next(enum store_trouble t);

/* Entries of the ledger that were not authentic when the store was opened. */
unsigned store_ledger_bad(const struct store *s);

enum file_status {
	FILE_GOOD,
	FILE_ABSENT,      /* no file, and none was ever written */
	FILE_TORN,        /* the last write did not finish; the one before it is whole and used */
	FILE_DAMAGED,     /* octets changed: the other record is used, where there is one */
	FILE_TRUNCATED,   /* not of a size that the store writes */
	FILE_SWAPPED,     /* the file of another account */
	FILE_OTHER_STORE, /* of another token store */
	FILE_OTHER_KEY,   /* sealed under another master key */
	FILE_ROLLED_BACK, /* older than what was last written: a copy was put back */
	FILE_LOST,        /* was written once and is not there any more */
	FILE_UNREADABLE,  /* the disk says no */
};

/* "good", "torn", ... and a sentence for a person; never NULL. */
const char *store_file_status_name(enum file_status s);
const char *store_file_status_text(enum file_status s);

struct store_account;

/* Reads and judges an account's file. 0 with *ret, whatever the verdict; negative errno only for
 * want of memory. */
int store_account_open(struct store *s, const char *account, struct store_account **ret);
struct store_account *store_account_free(struct store_account *a);

/* The same by the name of a file in the directory, for whoever walks over them all. -EINVAL for one
 * that is no record: its name is none that the store gives. */
int store_account_open_file(struct store *s, const char *file, struct store_account **ret);
/* The account that a record's file is named after. 0; -EINVAL for a file that is no record or whose
 * account's name was too long to stand in it; -ENAMETOOLONG. */
int store_file_account(const char *file, char *ret, size_t size);

enum file_status store_account_status(const struct store_account *a);
const char *store_account_file(const struct store_account *a);
uint64_t store_account_generation(const struct store_account *a);

/* The record that may be used, or NULL; the caller's. Gives it once. */
struct secret *store_account_take(struct store_account *a);

/* The record was authentic and could not be understood: from now on the file counts as one that must
 * not be written over. */
void store_account_distrust(struct store_account *a);

/*
 * Writes the next record and returns when it is durable. Where the file on disk is not what was
 * last seen there: -ESTALE, nothing written. Where its status forbids to write over it: -EUCLEAN,
 * unless `replace` (a new credential was given): then the file is first kept under another name,
 * NAME.aside-N. After any error the last durable record stands, and the call may be repeated.
 */
int store_account_write(
    struct store_account *a, uint64_t generation, const struct secret *payload, bool replace);

/* An error of the ledger since the last call (the records are not affected), or 0. */
int store_ledger_error(struct store *s);

/* ---- keys ---- */

struct store_keys {
	struct keyslot_info slots[KEYSLOTS_MAX];
	unsigned count;
	unsigned opened; /* the slot that opened the store */
	bool resealing;  /* a new master key is in force and not every record under it yet */
};
int store_keys_list(const struct store *s, struct store_keys *ret);
/* The same of a store that is not open: not authentic, `opened` and `resealing` unknown. */
int store_keys_peek(const struct file_ops *ops, int dir, struct store_keys *ret);
/* The slot that a key opens, or -1. */
int store_key_slot(const struct store *s, const struct secret *key, bool passphrase);

/* One more key slot, or one less, durable when it returns. add: 0; -EEXIST where the key opens a
 * slot already; -EINVAL for a key that does not fit; -ENOSPC for a 17th. remove (slot from 0): 0;
 * -EINVAL for no such slot; -EPERM for the last. Else negative errno: nothing has changed. */
int store_key_add(struct store *s, enum keyslot_kind kind, const struct secret *key, uint64_t wall);
int store_key_remove(struct store *s, unsigned slot);

/* What opens a slot. */
struct store_opener {
	const struct secret *key;
	bool passphrase;
};

/*
 * A new master key, wrapped for every slot. Each slot must be opened by one of `by`, or -ENOKEY with
 * its number in *ret_slot: whoever knows the old master key must not be left a slot around which the
 * new one could be found. Durable when it returns 0; from then on the store is re-sealing: each record
 * is written under the new key by its next write or by store_reseal, and the key before is kept until
 * store_reseal_end. -EALREADY while the store is re-sealing.
 */
int store_rotate(struct store *s, const struct store_opener *by, size_t count, uint64_t wall,
    unsigned *ret_slot);

/*
 * Writes the record in `file` under the present master key, into a file of its own that replaces the
 * one before. `open` is the account where it is open (it may be NULL): it goes on with the new file.
 * 0; 1 where there was nothing to do; -EINVAL for a file that is no record; -EUCLEAN for one whose
 * record cannot be used, whatever the key; else negative errno: the record before stands.
 */
int store_reseal(struct store *s, const char *file, struct store_account *open);

/* Forgets the key before. To be called when every file was re-sealed or can never be. 0 or negative
 * errno: then it is still there. */
int store_reseal_end(struct store *s);

/* Sets space aside, where there is some, of which a new account's file is made when the disk is full.
 * Without it a full disk takes no new account; nothing else fails. To be called now and then. */
void store_keep_spares(struct store *s);

/* Calls `visit` for each file that is a record or was one; a non-zero return ends the walk and is
 * returned. Files may be written meanwhile only after it. */
int store_walk(struct store *s, int (*visit)(void *arg, const char *file), void *arg);

#endif

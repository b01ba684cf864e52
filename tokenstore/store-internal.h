/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store-internal.h: what store.c (records) and store-keys.c (key slots, a new master key) share.
 */
#ifndef FRANK_TOKENSTORE_STORE_INTERNAL_H
#define FRANK_TOKENSTORE_STORE_INTERNAL_H

#include "base/buf.h"
#include "tokenstore/ledger.h"
#include "tokenstore/store.h"

enum { NAME_LONGEST = 200, NAME_SIZE = NAME_LONGEST + 8 };

/* A master key and the name by which records know it. */
struct store_key {
	struct secret *master;
	uint8_t id[STORE_KEY_ID];
};

struct store {
	const struct file_ops *ops;
	int dir;
	uint8_t store_id[STORE_ID];
	struct store_key key;
	struct store_key
	    old;       /* the master key before, while the store is re-sealed; else no master */
	unsigned slot; /* the key slot that opened the store */
	struct ledger *ledger;
	unsigned ledger_bad;
	int ledger_error;
	bool has_spares; /* they are all there */
};

struct store_account {
	struct store *store;
	uint8_t tag[SEAL_HASH]; /* names the account */
	char file[NAME_SIZE];
	enum file_status status;
	size_t slot_size; /* of the file on disk; 0: none to write into */
	unsigned slot;    /* that holds the last record */
	uint64_t sequence, generation;
	uint8_t mark[SLOT_MARK];      /* of the last record */
	uint8_t key_id[STORE_KEY_ID]; /* of the key that the last record is sealed under */
	bool seen;                    /* slot, mark and key_id are of a record on disk */
	bool kept;                    /* the present file already has its second name */
	bool unsynced; /* the present file was renamed, and the directory not synced */
	struct secret *payload;
};

/* Names a master key. 0 or negative errno; `master` is taken on success. */
int store_key_set(struct store_key *k, struct secret *master, const uint8_t store_id[STORE_ID]);
void store_key_clear(struct store_key *k);

/* 0 with the octets of "keyslots", -ENOENT, or negative errno. A file too long is read one octet
 * further than any sound one. */
int store_read_keyslots(const struct file_ops *ops, int dir, struct buf *ret);
/* Puts octets in the place of "keyslots", whole and synced. 0 or negative errno: then the file is the
 * one before or the new one, and both are whole. */
int store_write_keyslots(const struct file_ops *ops, int dir, const struct buf *bytes);

#endif

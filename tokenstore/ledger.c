/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ledger.c: see ledger.h.
 *
 * File "ledger": entries of 64 octets, in the order of their accounts' first write, each rewritten
 * in place:
 *
 *       0      32  the account (slot_account_tag)
 *      32       8  sequence, little-endian
 *      40       8  zero
 *      48      16  first octets of HMAC-SHA256 over octets 0 to 47 and the store's id
 *
 * Key: HKDF-SHA256(master key, store id, "frank ledger 1"). In memory: a hash table with open
 * addressing; an account's tag is a hash already. A table never gets more than three quarters full.
 */
#include "tokenstore/ledger.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"

enum {
	ENTRY = 64,
	ENTRY_MAC = 16,
	FIRST_ROOM = 64,
	ENTRIES_MAX = 4 * 1024 * 1024,
	READ_AT_ONCE = 256
};

struct ledger_entry {
	uint8_t account[SEAL_HASH];
	uint64_t sequence;
	uint64_t zero;
	uint8_t mac[ENTRY_MAC];
};
_Static_assert(sizeof(struct ledger_entry) == ENTRY, "the entry's layout is the format");

struct ledger_place {
	uint8_t account[SEAL_HASH];
	uint64_t sequence; /* 0: a free place of the table */
	uint32_t index;    /* in the file */
};

struct ledger {
	const struct file_ops *ops;
	int fd;
	struct secret *key;
	uint8_t store_id[STORE_ID];
	struct ledger_place *table;
	size_t room, used;
	uint32_t entries; /* in the file, sound or not */
};

static int
entry_mac(const struct ledger *l, const struct secret *key, const struct ledger_entry *e,
    uint8_t ret[ENTRY_MAC])
{
	uint8_t input[offsetof(struct ledger_entry, mac) + STORE_ID], mac[SEAL_HASH];
	int r;

	memcpy(input, e, offsetof(struct ledger_entry, mac));
	memcpy(input + offsetof(struct ledger_entry, mac), l->store_id, STORE_ID);
	r = seal_hmac(secret_bytes(key), input, sizeof(input), mac);
	memcpy(ret, mac, ENTRY_MAC);
	return r;
}

/* The place of an account, or the free one where it belongs. */
static struct ledger_place *
find_place(struct ledger_place *table, size_t room, const uint8_t account[SEAL_HASH])
{
	uint64_t hash;

	memcpy(&hash, account, sizeof(hash));
	for (size_t i = hash % room;; i = (i + 1) % room)
		if (table[i].sequence == 0 || memcmp(table[i].account, account, SEAL_HASH) == 0)
			return &table[i];
}

static int
make_room(struct ledger *l)
{
	size_t room = l->room == 0 ? FIRST_ROOM : l->room * 2;
	struct ledger_place *table;

	if (l->room != 0 && l->used + 1 <= l->room / 4 * 3)
		return 0;
	table = calloc(room, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < l->room; i++)
		if (l->table[i].sequence != 0)
			*find_place(table, room, l->table[i].account) = l->table[i];
	free(l->table);
	l->table = table;
	l->room = room;
	return 0;
}

static int
remember(struct ledger *l, const uint8_t account[SEAL_HASH], uint64_t sequence, uint32_t index,
    struct ledger_place **ret)
{
	struct ledger_place *p;
	int r = make_room(l);

	if (r < 0)
		return r;
	p = find_place(l->table, l->room, account);
	if (p->sequence == 0) {
		memcpy(p->account, account, SEAL_HASH);
		p->index = index;
		l->used++;
	}
	if (sequence > p->sequence)
		p->sequence = sequence;
	*ret = p;
	return 0;
}

/* Its key, derived from a master key. */
static int
derive(const struct ledger *l, const struct secret *master, struct secret **ret)
{
	struct secret *key = secret_new_zero(SEAL_KEY);
	int r = key == NULL ? -ENOMEM
			    : seal_hkdf(secret_bytes(master), secret_len(master), l->store_id,
				  STORE_ID, "frank ledger 1", secret_fill(key), SEAL_KEY);

	if (r < 0) {
		(void)secret_free(key);
		return r;
	}
	(void)secret_free(*ret);
	*ret = key;
	return 0;
}

/* 1, 0, or negative errno. */
static int
is_authentic(const struct ledger *l, const struct secret *key, const struct ledger_entry *e)
{
	uint8_t mac[ENTRY_MAC];
	int r = key == NULL ? 0 : entry_mac(l, key, e, mac);

	if (key == NULL || r < 0)
		return r;
	return mem_equal_ct(mac, e->mac, ENTRY_MAC);
}

static int
load(struct ledger *l, const struct secret *old, unsigned *ret_bad)
{
	struct ledger_entry entries[READ_AT_ONCE];
	struct ledger_place *p;

	for (;;) {
		ssize_t n = file_read_full(
		    l->ops, l->fd, entries, sizeof(entries), (off_t)l->entries * ENTRY);

		if (n < 0)
			return (int)n;
		for (size_t i = 0; i < (size_t)n / ENTRY; i++, l->entries++) {
			int r = entries[i].sequence == 0 ? 0 : is_authentic(l, l->key, &entries[i]);

			if (r == 0 && entries[i].sequence != 0)
				r = is_authentic(l, old, &entries[i]);
			if (r < 0)
				return r;
			if (r == 0) {
				(*ret_bad)++;
				continue;
			}
			r = remember(
			    l, entries[i].account, le64toh(entries[i].sequence), l->entries, &p);
			if (r < 0)
				return r;
		}
		if ((size_t)n < sizeof(entries) || l->entries >= ENTRIES_MAX)
			return 0;
	}
}

int
ledger_open(const struct file_ops *ops, int dir, const struct secret *master,
    const struct secret *old, const uint8_t store_id[STORE_ID], struct ledger **ret,
    unsigned *ret_bad)
{
	CLEANUP_SECRET struct secret *old_key = NULL;
	struct ledger *l = calloc(1, sizeof(*l));
	int r;

	*ret_bad = 0;
	if (l == NULL)
		return -ENOMEM;
	l->ops = ops;
	memcpy(l->store_id, store_id, STORE_ID);
	l->fd = ops->openat(ops->arg, dir, "ledger", O_RDWR | O_CREAT, 0600);
	r = l->fd < 0 ? l->fd : derive(l, master, &l->key);
	if (r == 0 && old != NULL)
		r = derive(l, old, &old_key);
	if (r == 0)
		r = make_room(l);
	if (r == 0)
		r = load(l, old_key, ret_bad);
	if (r < 0) {
		(void)ledger_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct ledger *
ledger_free(struct ledger *l)
{
	if (l != NULL) {
		if (l->fd >= 0)
			(void)l->ops->close(l->ops->arg, l->fd);
		(void)secret_free(l->key);
		free(l->table);
		free(l);
	}
	return NULL;
}

uint64_t
ledger_get(const struct ledger *l, const uint8_t account[SEAL_HASH])
{
	return find_place(l->table, l->room, account)->sequence;
}

static int
make_entry(const struct ledger *l, const struct ledger_place *p, struct ledger_entry *ret)
{
	*ret = (struct ledger_entry){.sequence = htole64(p->sequence)};
	memcpy(ret->account, p->account, SEAL_HASH);
	return entry_mac(l, l->key, ret, ret->mac);
}

int
ledger_set(struct ledger *l, const uint8_t account[SEAL_HASH], uint64_t sequence)
{
	struct ledger_entry e;
	struct ledger_place *p;
	int r = remember(l, account, sequence, l->entries, &p);

	if (r < 0)
		return r;
	if (p->index == l->entries)
		l->entries++;
	r = make_entry(l, p, &e);
	if (r < 0)
		return r;
	return file_write_full(l->ops, l->fd, &e, sizeof(e), (off_t)p->index * ENTRY);
}

int
ledger_rekey(struct ledger *l, const struct secret *master)
{
	int r = derive(l, master, &l->key);

	for (size_t i = 0; i < l->room && r == 0; i++) {
		struct ledger_entry e;

		if (l->table[i].sequence == 0)
			continue;
		r = make_entry(l, &l->table[i], &e);
		if (r == 0)
			r = file_write_full(
			    l->ops, l->fd, &e, sizeof(e), (off_t)l->table[i].index * ENTRY);
	}
	return r < 0 ? r : l->ops->fdatasync(l->ops->arg, l->fd);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store-keys.c: the keys of a store: more key slots and fewer, and a new master key for every record.
 * See store.h; the formats are those of keyslots.c and slot.c.
 *
 * A new master key, and the crash at each step:
 *
 *   1. "keyslots" is replaced by one in which the new key stands in every slot and the key before is
 *      sealed under the new one (FRANKKS2). Before the rename the store is as it was; after it every
 *      record still opens, by the key before.
 *   2. Each record is written anew, whole, under the new key, by renaming a file over the one before:
 *      a file holds records of one key only, and none of the key before stays in it. The order does not
 *      matter, nor does it matter how often this is interrupted.
 *   3. The ledger is written anew in place. Its entries count under either key meanwhile.
 *   4. "keyslots" is replaced by one without the key before (FRANKKS1).
 *
 * A file whose record cannot be used under either key (torn to pieces, of another store, an old copy put
 * back) stays as it is; it could not be opened before either.
 */
#include "tokenstore/store-internal.h"

#include <errno.h>
#include <string.h>

/* The present file, opened keys for changing it: the store's own. */
static int
read_present(const struct store *s, struct buf *file, struct keys *ret)
{
	*ret = (struct keys){.master = s->key.master, .previous = s->old.master, .slot = s->slot};
	memcpy(ret->store_id, s->store_id, STORE_ID);
	return store_read_keyslots(s->ops, s->dir, file);
}

int
store_keys_peek(const struct file_ops *ops, int dir, struct store_keys *ret)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	int r = store_read_keyslots(ops, dir, &file);

	*ret = (struct store_keys){.opened = KEYSLOTS_MAX};
	if (r == 0 && keyslots_list((const uint8_t *)buf_str(&file), file.len, ret->slots,
			  &ret->count) != KEYSLOTS_GOOD)
		r = -EBADMSG;
	return r;
}

int
store_key_slot(const struct store *s, const struct secret *key, bool passphrase)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);

	if (store_read_keyslots(s->ops, s->dir, &file) < 0)
		return -1;
	return keyslots_match(&file, key, passphrase, 0);
}

int
store_keys_list(const struct store *s, struct store_keys *ret)
{
	int r = store_keys_peek(s->ops, s->dir, ret);

	ret->opened = s->slot;
	ret->resealing = s->old.master != NULL;
	return r;
}

int
store_key_add(struct store *s, enum keyslot_kind kind, const struct secret *key, uint64_t wall)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	uint8_t random[KEYSLOT_RANDOM];
	struct keys keys;
	int r = read_present(s, &file, &keys);

	if (r == 0 && !keyslot_key_fits(kind, key))
		r = -EINVAL;
	if (r == 0 && keyslots_match(&file, key, kind == KEYSLOT_PASSPHRASE, 0) >= 0)
		r = -EEXIST;
	if (r == 0)
		r = s->ops->random(s->ops->arg, random, sizeof(random));
	if (r == 0)
		r = keyslots_add(&file, &keys, kind, key, random, wall, &next);
	return r < 0 ? r : store_write_keyslots(s->ops, s->dir, &next);
}

int
store_key_remove(struct store *s, unsigned slot)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct keys keys;
	int r = read_present(s, &file, &keys);

	if (r == 0)
		r = keyslots_remove(&file, &keys, slot, &next);
	if (r == 0)
		r = store_write_keyslots(s->ops, s->dir, &next);
	if (r == 0 && slot == s->slot)
		s->slot = KEYSLOTS_MAX; /* what opened the store opens it no more */
	else if (r == 0 && slot < s->slot && s->slot < KEYSLOTS_MAX)
		s->slot--;
	return r;
}

/* Finds for every slot what opens it. */
static int
match_slots(const struct buf *file, const struct store_opener *by, size_t count, unsigned slots,
    const struct secret *ret[KEYSLOTS_MAX], unsigned *ret_slot)
{
	for (size_t i = 0; i < count; i++)
		for (int at = 0; at >= 0 && (unsigned)at < slots; at++) {
			at = keyslots_match(file, by[i].key, by[i].passphrase, (unsigned)at);
			if (at < 0)
				break;
			ret[at] = by[i].key;
		}
	for (unsigned i = 0; i < slots; i++)
		if (ret[i] == NULL) {
			*ret_slot = i;
			return -ENOKEY;
		}
	return 0;
}

static int
write_rotated(struct store *s, const struct buf *file, const struct keys *keys,
    const struct secret *const by[KEYSLOTS_MAX], const struct secret *master, uint64_t wall)
{
	struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	uint8_t random[(KEYSLOTS_MAX + 1) * KEYSLOT_RANDOM];
	int r = s->ops->random(s->ops->arg, random, sizeof(random));

	if (r == 0)
		r = keyslots_rotate(file, keys, master, by, random, wall, &next);
	return r < 0 ? r : store_write_keyslots(s->ops, s->dir, &next);
}

/*
 * Whether the rename reached the disk is not known after a failed sync of the folder: what is in the
 * file now decides which key is the present one. 1: the new one.
 */
static int
look_which(const struct store *s, const struct store_opener *by)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct keys keys = {0};
	int r = store_read_keyslots(s->ops, s->dir, &file);

	if (r == 0 && keyslots_open((const uint8_t *)buf_str(&file), file.len, by->key,
			  by->passphrase, &keys) != KEYSLOTS_GOOD)
		r = -EBADMSG;
	if (r == 0)
		r = !secret_equal(keys.master, s->key.master);
	keys_clear(&keys);
	return r;
}

int
store_rotate(
    struct store *s, const struct store_opener *by, size_t count, uint64_t wall, unsigned *ret_slot)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	CLEANUP_SECRET struct secret *master = secret_new_zero(MASTER_KEY);
	const struct secret *openers[KEYSLOTS_MAX] = {0};
	struct store_keys list;
	struct store_key fresh = {0};
	struct keys keys;
	int r, written;

	if (s->old.master != NULL)
		return -EALREADY;
	r = master == NULL ? -ENOMEM : s->ops->random(s->ops->arg, secret_fill(master), MASTER_KEY);
	if (r == 0)
		r = read_present(s, &file, &keys);
	if (r == 0)
		r = store_keys_list(s, &list);
	if (r == 0)
		r = match_slots(&file, by, count, list.count, openers, ret_slot);
	if (r == 0)
		r = store_key_set(&fresh, secret_ref(master), s->store_id);
	if (r < 0)
		return r;
	written = write_rotated(s, &file, &keys, openers, master, wall);
	r = written == 0 ? 1 : look_which(s, &by[0]);
	if (r != 1) {
		store_key_clear(&fresh);
		return written;
	}
	s->old = s->key;
	s->key = fresh;
	/* A failure here is made good by store_reseal_end; the entries count under either key. */
	(void)ledger_rekey(s->ledger, s->key.master);
	return 0;
}

/* What `open` knows of its file becomes what is there now. */
static void
follow(struct store_account *open, const struct store_account *now)
{
	open->status = now->status;
	open->slot_size = now->slot_size;
	open->slot = now->slot;
	open->sequence = now->sequence;
	memcpy(open->mark, now->mark, SLOT_MARK);
	memcpy(open->key_id, now->key_id, STORE_KEY_ID);
	open->seen = now->seen;
	open->kept = now->kept;
	open->unsynced = now->unsynced;
}

int
store_reseal(struct store *s, const char *file, struct store_account *open)
{
	CLEANUP_SECRET struct secret *payload = NULL;
	struct store_account *a;
	uint64_t generation;
	int r = store_account_open_file(s, file, &a);

	if (r < 0)
		return r;
	payload = store_account_take(a);
	generation = a->generation;
	if (a->status == FILE_UNREADABLE)
		r = -EIO;
	else if (payload == NULL)
		r = -EUCLEAN;
	else if (memcmp(a->key_id, s->key.id, STORE_KEY_ID) == 0)
		r = 1;
	else if (open != NULL && open->seen && memcmp(open->mark, a->mark, SLOT_MARK) != 0)
		r = -ESTALE; /* changed under our feet: the account's next write sorts that out */
	else
		r = store_account_write(a, generation, payload, false);
	if (r == 0 && open != NULL && open->seen)
		follow(open, a);
	(void)store_account_free(a);
	return r;
}

int
store_reseal_end(struct store *s)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	struct keys keys;
	int r;

	if (s->old.master == NULL)
		return 0;
	r = ledger_rekey(s->ledger, s->key.master);
	if (r == 0)
		r = read_present(s, &file, &keys);
	if (r == 0)
		r = keyslots_finish(&file, &keys, &next);
	if (r == 0)
		r = store_write_keyslots(s->ops, s->dir, &next);
	if (r == 0)
		store_key_clear(&s->old);
	return r;
}

struct walk {
	int (*visit)(void *arg, const char *file);
	void *arg;
};

static int
visit_record(void *arg, const char *name)
{
	const struct walk *w = arg;

	return strstr(name, ".cred") == NULL ? 0 : w->visit(w->arg, name);
}

int
store_walk(struct store *s, int (*visit)(void *arg, const char *file), void *arg)
{
	struct walk w = {.visit = visit, .arg = arg};

	return s->ops->list(s->ops->arg, s->dir, visit_record, &w);
}

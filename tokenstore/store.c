/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store.c: see store.h. Formats: slot.c, credential.c, keyslots.c, ledger.c.
 *
 * The directory:
 *
 *     keyslots                     the wrapped master key
 *     ledger                       how often each account was written
 *     NAME.cred                    an account: two slots, of 16 KiB each or of 48 KiB each, and nothing else
 *     NAME.cred.new                a file being written whole, before it is renamed
 *     .spare-small, .spare-large   zeros, of which the file of an account is made on a full disk
 *     NAME.cred.aside-N            kept because it could not be explained; the store never looks at it again
 *
 * NAME is the account's name; octets other than letters, digits, '-', '_', '@' and '.' (not first)
 * are %HH. Where that is longer than 200 octets it is "%h" and the account's tag in hexadecimal.
 *
 * Rules of writing:
 *
 *   - Sequence n+1 goes into the slot that does not hold n, in one pwrite of the whole slot, then
 *     fdatasync. Only after that is n+1 the last record. A write that failed is repeated into the
 *     same slot, never into the other.
 *   - A first record, a record too large for the slots, and one that must not touch the present file
 *     are written as a whole new file: both slots written (the other one as zeros, so that its blocks
 *     exist), fdatasync, rename, fsync of the directory.
 *   - A file that is set aside first gets a second name by link(2), then rename(2) replaces its
 *     first: at no moment is the name without a file, and nothing is deleted.
 *
 * Judging a file: the record is the authentic one with the highest sequence. The other slot may hold
 * the record before it, zeros, or a torn write. The ledger's sequence is at most that of the last
 * durable record; where it is higher than what is found, a damaged slot explains it (then the one
 * that is left is used) or an older copy was put back (then nothing is used: its refresh token has
 * probably been replaced since, and presenting it could end the newer one).
 *
 * A new master key, and the crash at each step:
 *
 *   1. "keyslots" is replaced by one in which the new key stands in every slot and the key before is
 *      sealed under the new one (FRANKKS2). Before the rename the store is as it was; after it every
 *      record still opens, by the key before.
 *   2. Each record is written anew, whole, under the new key, by renaming a file over the one before:
 *      a file holds records of one key only, and none of the key before stays in it. The order does
 *      not matter, nor does it matter how often this is interrupted.
 *   3. The ledger is written anew in place. Its entries count under either key meanwhile.
 *   4. "keyslots" is replaced by one without the key before (FRANKKS1).
 *
 * A file whose record cannot be used under either key (torn to pieces, of another store, an old copy
 * put back) stays as it is; it could not be opened before either.
 */
#include "tokenstore/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tokenstore/ledger.h"

enum { NAME_LONGEST = 200, NAME_SIZE = NAME_LONGEST + 8, ASIDE_MAX = 1000 };
enum { FILE_SMALL = 2 * SLOT_SMALL, FILE_LARGE = 2 * SLOT_LARGE };

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

static const char record_suffix[] = ".cred";

/*
 * Files of zeros, as large as the two slots of an account, with all of their octets on the disk: on a
 * full disk the file of a new account, or of a record that outgrew its slots, is made out of one.
 */
static const struct spare {
	const char *name;
	size_t slot_size;
} spares[] = {{".spare-small", SLOT_SMALL}, {".spare-large", SLOT_LARGE}};

/* ---- the store ---- */

static int
is_record(void *arg, const char *name)
{
	return strstr(name, record_suffix) != NULL;
}

/* Puts octets in the place of "keyslots", whole and synced. 0 or negative errno: then the file is the one before
 * or the new one, and both are whole. */
static int
write_keyslots(const struct file_ops *ops, int dir, const struct buf *bytes)
{
	int r = file_put(ops, dir, "keyslots.new", O_CREAT | O_TRUNC, bytes->data, bytes->len);

	if (r == 0)
		r = ops->renameat(ops->arg, dir, "keyslots.new", "keyslots");
	if (r == 0)
		r = ops->syncdir(ops->arg, dir);
	return r;
}

static int
make_keyslots(const struct file_ops *ops, int dir, enum keyslot_kind kind,
    const struct secret *provider, uint64_t wall, struct buf *ret)
{
	uint8_t random[KEYSLOTS_RANDOM];
	int r = ops->random(ops->arg, random, sizeof(random));

	if (r == 0)
		r = keyslots_create(kind, provider, random, wall, ret);
	mem_wipe(random, sizeof(random));
	return r < 0 ? r : write_keyslots(ops, dir, ret);
}

/* 0 with the octets of "keyslots", -ENOENT, or negative errno. A file too long is read one octet further
 * than any sound one. */
static int
read_keyslots(const struct file_ops *ops, int dir, struct buf *ret)
{
	int fd = ops->openat(ops->arg, dir, "keyslots", O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = buf_reserve(ret, KEYSLOTS_FILE_MAX + 1);
	if (n == 0)
		n = file_read_full(ops, fd, ret->data, KEYSLOTS_FILE_MAX + 1, 0);
	(void)ops->close(ops->arg, fd);
	if (n < 0)
		return (int)n;
	ret->len = (size_t)n;
	return 0;
}

static int
read_or_make_keyslots(const struct file_ops *ops, int dir, enum keyslot_kind kind,
    const struct secret *provider, uint64_t wall, struct buf *ret, bool *ret_new,
    enum store_trouble *ret_trouble)
{
	int r = read_keyslots(ops, dir, ret);

	if (r != -ENOENT)
		return r;
	r = ops->list(ops->arg, dir, is_record, NULL);
	if (r > 0) {
		*ret_trouble = STORE_KEYS_MISSING;
		return -ENOKEY;
	}
	if (r < 0)
		return r;
	if (!keyslot_key_fits(kind, provider)) {
		*ret_trouble = STORE_SHORT_KEY;
		return -EKEYREJECTED;
	}
	buf_clear(ret);
	r = make_keyslots(ops, dir, kind, provider, wall, ret);
	*ret_new = r == 0;
	return r;
}

static int
open_keyslots(const struct buf *file, enum keyslot_kind kind, const struct secret *provider,
    struct keys *ret, enum store_trouble *ret_trouble)
{
	static const struct {
		enum store_trouble trouble;
		int error;
	} meaning[] = {
	    [KEYSLOTS_GOOD] = {STORE_FINE, 0},
	    [KEYSLOTS_WRONG_KEY] = {STORE_WRONG_KEY, -EKEYREJECTED},
	    [KEYSLOTS_DAMAGED] = {STORE_KEYS_DAMAGED, -EBADMSG},
	    [KEYSLOTS_FORGED] = {STORE_KEYS_FORGED, -EBADMSG},
	    [KEYSLOTS_NEWER] = {STORE_KEYS_NEWER, -ENOTSUP},
	    [KEYSLOTS_FAILED] = {STORE_UNREADABLE, -ENOMEM},
	};
	enum keyslots_verdict v = keyslots_open(
	    (const uint8_t *)buf_str(file), file->len, provider, kind == KEYSLOT_PASSPHRASE, ret);

	*ret_trouble = meaning[v].trouble;
	if (v == KEYSLOTS_WRONG_KEY && kind == KEYSLOT_PASSPHRASE)
		*ret_trouble = STORE_WRONG_PASSPHRASE;
	return meaning[v].error;
}

/* Names a master key. 0 or negative errno; `master` is taken on success. */
static int
key_set(struct store_key *k, struct secret *master, const uint8_t store_id[STORE_ID])
{
	int r = seal_hkdf(secret_bytes(master), MASTER_KEY, store_id, STORE_ID, "frank key id 1",
	    k->id, STORE_KEY_ID);

	if (r == 0)
		k->master = master;
	return r;
}

static void
key_clear(struct store_key *k)
{
	(void)secret_free(k->master);
	*k = (struct store_key){0};
}

/* Takes over what the key slots gave. */
static int
take_keys(struct store *s, struct keys *keys)
{
	int r;

	memcpy(s->store_id, keys->store_id, STORE_ID);
	s->slot = keys->slot;
	r = key_set(&s->key, keys->master, s->store_id);
	if (r < 0)
		return r;
	keys->master = NULL;
	if (keys->previous == NULL)
		return 0;
	r = key_set(&s->old, keys->previous, s->store_id);
	if (r == 0)
		keys->previous = NULL;
	return r;
}

static const char *
spare_of(size_t slot_size)
{
	return spares[slot_size == SLOT_SMALL ? 0 : 1].name;
}

static int
make_spare(struct store *s, const struct spare *spare)
{
	const struct file_ops *ops = s->ops;
	CLEANUP_FREE uint8_t *zeros = calloc(2, spare->slot_size);
	int fd = ops->openat(ops->arg, s->dir, spare->name, O_RDONLY, 0), r;
	int64_t size = fd < 0 ? 0 : ops->size(ops->arg, fd);

	if (fd >= 0)
		(void)ops->close(ops->arg, fd);
	if (size == (int64_t)(2 * spare->slot_size))
		return 0;
	if (zeros == NULL)
		return -ENOMEM;
	r = file_put(ops, s->dir, ".spare.new", O_CREAT | O_TRUNC, zeros, 2 * spare->slot_size);
	return r < 0 ? r : ops->renameat(ops->arg, s->dir, ".spare.new", spare->name);
}

void
store_keep_spares(struct store *s)
{
	bool missing = false;

	for (size_t i = 0; i < ARRAY_SIZE(spares) && !s->has_spares; i++)
		missing = make_spare(s, &spares[i]) < 0 || missing;
	s->has_spares = !missing;
}

int
store_open(const struct file_ops *ops, int dir, enum keyslot_kind kind,
    const struct secret *provider, uint64_t wall, struct store **ret, bool *ret_new,
    enum store_trouble *ret_trouble)
{
	struct buf file CLEANUP_BUF = BUF_INIT_WIPE(KEYSLOTS_FILE_MAX + 1);
	struct store *s = calloc(1, sizeof(*s));
	struct keys keys = {0};
	int r;

	*ret_new = false;
	*ret_trouble = STORE_UNREADABLE;
	if (s == NULL)
		return -ENOMEM;
	s->ops = ops;
	s->dir = dir;
	r = read_or_make_keyslots(ops, dir, kind, provider, wall, &file, ret_new, ret_trouble);
	if (r == 0)
		r = open_keyslots(&file, kind, provider, &keys, ret_trouble);
	if (r == 0) {
		*ret_trouble = STORE_UNREADABLE;
		r = take_keys(s, &keys);
	}
	keyslots_clear(&keys);
	if (r == 0)
		r = ledger_open(ops, dir, s->key.master, s->old.master, s->store_id, &s->ledger,
		    &s->ledger_bad);
	if (r < 0) {
		(void)store_free(s);
		return r;
	}
	*ret_trouble = STORE_FINE;
	*ret = s;
	return 0;
}

struct store *
store_free(struct store *s)
{
	if (s != NULL) {
		(void)ledger_free(s->ledger);
		key_clear(&s->key);
		key_clear(&s->old);
		free(s);
	}
	return NULL;
}

int
store_try_key(const struct store *s, enum keyslot_kind kind, const struct secret *provider)
{
	struct buf file CLEANUP_BUF = BUF_INIT_WIPE(KEYSLOTS_FILE_MAX + 1);
	struct keys keys = {0};
	enum store_trouble trouble;
	int r = read_keyslots(s->ops, s->dir, &file);

	if (r == 0)
		r = open_keyslots(&file, kind, provider, &keys, &trouble);
	keyslots_clear(&keys);
	return r;
}

int
store_exists(const struct file_ops *ops, int dir)
{
	struct buf file CLEANUP_BUF = BUF_INIT_WIPE(KEYSLOTS_FILE_MAX + 1);
	int r = read_keyslots(ops, dir, &file);

	if (r == -ENOENT)
		r = ops->list(ops->arg, dir, is_record, NULL);
	else if (r == 0)
		r = 1;
	return r;
}

const char *
store_trouble_text(enum store_trouble t)
{
	static const char *const texts[] = {
	    [STORE_FINE] = "The token store is open.",
	    [STORE_WRONG_KEY] = "The master key that is configured does not open the token store.",
	    [STORE_WRONG_PASSPHRASE] = "The passphrase is wrong: it opens no key slot.",
	    [STORE_LOCKED] = "The token store is locked: its key is a passphrase.",
	    [STORE_NO_PASSPHRASE] =
		"There is no token store yet: its key is a passphrase, and nobody has chosen it.",
	    [STORE_SHORT_KEY] =
		"The master key has fewer than 16 octets, or the passphrase fewer than 8.",
	    [STORE_KEYS_DAMAGED] = "The file keyslots of the token store is damaged or cut short.",
	    [STORE_KEYS_FORGED] = ("The file keyslots of the token store was put together by "
				   "somebody who does not have its key."),
	    [STORE_KEYS_NEWER] = "The token store was made by a later release of Frank.",
	    [STORE_KEYS_MISSING] =
		"The token store holds sealed records, but its file keyslots is gone.",
	    [STORE_UNREADABLE] = "The token store cannot be read.",
	};

	return texts[t];
}

const char *
store_trouble_next(enum store_trouble t)
{
	static const char *const texts[] = {
	    [STORE_FINE] = "",
	    [STORE_WRONG_KEY] = ("Put back the key that the store was made with (see the key "
				 "setting of the tokens block), then reload."),
	    [STORE_WRONG_PASSPHRASE] = "Try again: frank unlock",
	    [STORE_LOCKED] = "Open it: frank unlock",
	    [STORE_NO_PASSPHRASE] = "Choose it: frank unlock",
	    [STORE_SHORT_KEY] =
		"Give a key of 32 random octets, then reload; or a longer passphrase.",
	    [STORE_KEYS_DAMAGED] = "Put the file keyslots back from a backup, then reload.",
	    [STORE_KEYS_FORGED] =
		"Put the file keyslots back from a backup, and find out who wrote this one.",
	    [STORE_KEYS_NEWER] = "Install that release again.",
	    [STORE_KEYS_MISSING] =
		("Put the file keyslots back from a backup. Without it the "
		 "records cannot be opened: move the folder away to begin anew."),
	    [STORE_UNREADABLE] =
		"Look at the error, at the disk, and at the folder's owner and mode.",
	};

	return texts[t];
}

unsigned
store_ledger_bad(const struct store *s)
{
	return s->ledger_bad;
}

int
store_ledger_error(struct store *s)
{
	int r = s->ledger_error;

	s->ledger_error = 0;
	return r;
}

/* ---- reading an account ---- */

static const char *const status_names[] = {
    [FILE_GOOD] = "good",
    [FILE_ABSENT] = "absent",
    [FILE_TORN] = "torn",
    [FILE_DAMAGED] = "damaged",
    [FILE_TRUNCATED] = "truncated",
    [FILE_SWAPPED] = "swapped",
    [FILE_OTHER_STORE] = "other-store",
    [FILE_OTHER_KEY] = "other-key",
    [FILE_ROLLED_BACK] = "rolled-back",
    [FILE_LOST] = "lost",
    [FILE_UNREADABLE] = "unreadable",
};

static const char *const status_texts[] = {
    [FILE_GOOD] = "The account's sealed record is sound.",
    [FILE_ABSENT] = "Nothing is stored for this account.",
    [FILE_TORN] =
	("The last write of the account's sealed record did not finish; the record before "
	 "it is used."),
    [FILE_DAMAGED] =
	"The account's sealed file is damaged: octets have changed since they were written.",
    [FILE_TRUNCATED] =
	"The account's sealed file was cut short or does not have a size that Frank writes.",
    [FILE_SWAPPED] = "The account's sealed file belongs to another account.",
    [FILE_OTHER_STORE] = "The account's sealed file belongs to another token store.",
    [FILE_OTHER_KEY] = "The account's sealed file was sealed under another master key.",
    [FILE_ROLLED_BACK] =
	"The account's sealed file is older than what was last written: an old copy was put back.",
    [FILE_LOST] = "The account's sealed file is gone: it was written before.",
    [FILE_UNREADABLE] = "The account's sealed file cannot be read from the disk.",
};

const char *
store_file_status_name(enum file_status s)
{
	return status_names[s];
}

const char *
store_file_status_text(enum file_status s)
{
	return status_texts[s];
}

static const char hex[] = "0123456789abcdef";

/* What two digits of a file's name stand for; -1 where they are none. */
static int
hex_octet(const char *digits)
{
	const char *high = memchr(hex, digits[0], 16);
	const char *low = high == NULL ? NULL : memchr(hex, digits[1], 16);

	return low == NULL ? -1 : (int)((high - hex) * 16 + (low - hex));
}

static void
file_name(const char *account, const uint8_t tag[SEAL_HASH], char ret[NAME_SIZE])
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@.";
	size_t at = 0;

	for (const char *p = account; *p != '\0' && at <= NAME_LONGEST; p++) {
		if (strchr(plain, *p) != NULL && !(*p == '.' && p == account)) {
			ret[at++] = *p;
		} else {
			ret[at++] = '%';
			ret[at++] = hex[(unsigned char)*p >> 4];
			ret[at++] = hex[(unsigned char)*p & 15];
		}
	}
	if (at > NAME_LONGEST) {
		ret[0] = '%';
		ret[1] = 'h';
		at = 2;
		for (size_t i = 0; i < SEAL_HASH; i++) {
			ret[at++] = hex[tag[i] >> 4];
			ret[at++] = hex[tag[i] & 15];
		}
	}
	memcpy(ret + at, record_suffix, sizeof(record_suffix));
}

/* Reads both slots of the open file. 0 with their octets (the caller's) and size; -ENODATA for a
 * size we never write. */
static int
read_slots(struct store *s, int fd, uint8_t **ret, size_t *ret_slot_size)
{
	CLEANUP_FREE uint8_t *bytes = NULL;
	int64_t size = s->ops->size(s->ops->arg, fd);
	ssize_t n;

	if (size < 0)
		return (int)size;
	if (size != FILE_SMALL && size != FILE_LARGE)
		return -ENODATA;
	bytes = malloc((size_t)size);
	if (bytes == NULL)
		return -ENOMEM;
	n = file_read_full(s->ops, fd, bytes, (size_t)size, 0);
	if (n < 0)
		return (int)n;
	if (n != size)
		return -ENODATA;
	*ret_slot_size = (size_t)size / 2;
	*ret = TAKE_PTR(bytes);
	return 0;
}

/* A status that a slot's verdict forces upon the whole file, or FILE_GOOD. */
static enum file_status
foreign_status(enum slot_verdict v)
{
	switch (v) {
	case SLOT_SWAPPED:
		return FILE_SWAPPED;
	case SLOT_OTHER_STORE:
		return FILE_OTHER_STORE;
	case SLOT_OTHER_KEY:
		return FILE_OTHER_KEY;
	default:
		return FILE_GOOD;
	}
}

static enum file_status
judge_pair(
    const enum slot_verdict v[2], const struct slot_content c[2], uint64_t noted, int *ret_best)
{
	bool good0 = v[0] == SLOT_GOOD, good1 = v[1] == SLOT_GOOD;
	int best = good0 && good1 ? c[1].sequence > c[0].sequence : good0 ? 0 : good1 ? 1 : -1;
	enum slot_verdict other;

	*ret_best = -1;
	for (int i = 0; i < 2; i++)
		if (foreign_status(v[i]) != FILE_GOOD)
			return foreign_status(v[i]);
	if (best < 0)
		return FILE_DAMAGED;
	other = v[!best];
	if (other == SLOT_DAMAGED) {
		*ret_best = best;
		return FILE_DAMAGED;
	}
	if (c[best].sequence < noted)
		return FILE_ROLLED_BACK;
	*ret_best = best;
	return other == SLOT_TORN ? FILE_TORN : FILE_GOOD;
}

static struct slot_keys
slot_keys(const struct store_account *a, const struct store_key *key)
{
	struct slot_keys k = {.master = key->master};

	memcpy(k.store_id, a->store->store_id, STORE_ID);
	memcpy(k.key_id, key->id, STORE_KEY_ID);
	memcpy(k.account, a->tag, SEAL_HASH);
	return k;
}

static void
unpack_pair(const struct store_account *a, const struct store_key *key, const uint8_t *bytes,
    size_t slot_size, enum slot_verdict v[2], struct slot_content c[2])
{
	struct slot_keys keys = slot_keys(a, key);

	for (unsigned i = 0; i < 2; i++)
		v[i] = slot_unpack(&keys, i, bytes + i * slot_size, slot_size, &c[i]);
}

static void
judge(struct store_account *a, const uint8_t *bytes, size_t slot_size)
{
	const struct store *s = a->store;
	uint64_t noted = ledger_get(s->ledger, a->tag);
	const struct store_key *key = &s->key;
	struct slot_content c[2];
	enum slot_verdict v[2];
	int best;

	unpack_pair(a, key, bytes, slot_size, v, c);
	if (s->old.master != NULL && (v[0] == SLOT_OTHER_KEY || v[1] == SLOT_OTHER_KEY)) {
		/* not re-sealed yet; no file holds records of both keys */
		(void)secret_free(c[0].payload);
		(void)secret_free(c[1].payload);
		key = &s->old;
		unpack_pair(a, key, bytes, slot_size, v, c);
	}
	if (v[0] == SLOT_FAILED || v[1] == SLOT_FAILED) {
		a->status = FILE_UNREADABLE;
	} else {
		a->status = judge_pair(v, c, noted, &best);
		if (best >= 0) {
			a->slot_size = slot_size;
			a->slot = (unsigned)best;
			a->sequence = c[best].sequence;
			a->generation = c[best].generation;
			memcpy(a->mark, c[best].mark, SLOT_MARK);
			memcpy(a->key_id, key->id, STORE_KEY_ID);
			a->seen = true;
			a->payload = TAKE_PTR(c[best].payload);
		}
	}
	(void)secret_free(c[0].payload);
	(void)secret_free(c[1].payload);
	if (noted > a->sequence)
		a->sequence = noted;
}

static void
read_account(struct store_account *a)
{
	const struct file_ops *ops = a->store->ops;
	CLEANUP_FREE uint8_t *bytes = NULL;
	size_t slot_size = 0;
	int fd = ops->openat(ops->arg, a->store->dir, a->file, O_RDONLY, 0), r;

	a->sequence = ledger_get(a->store->ledger, a->tag);
	if (fd == -ENOENT) {
		a->status = a->sequence > 0 ? FILE_LOST : FILE_ABSENT;
		return;
	}
	a->status = FILE_UNREADABLE;
	if (fd < 0)
		return;
	r = read_slots(a->store, fd, &bytes, &slot_size);
	(void)ops->close(ops->arg, fd);
	if (r == -ENODATA)
		a->status = FILE_TRUNCATED;
	else if (r == 0)
		judge(a, bytes, slot_size);
}

/* An account that was not read yet. */
static struct store_account *
account_new(struct store *s)
{
	struct store_account *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->store = s;
	return a;
}

int
store_account_open(struct store *s, const char *account, struct store_account **ret)
{
	struct store_account *a = account_new(s);

	if (a == NULL || slot_account_tag(s->store_id, account, a->tag) < 0) {
		free(a);
		return -ENOMEM;
	}
	file_name(account, a->tag, a->file);
	read_account(a);
	*ret = a;
	return 0;
}

/* The account that a file's name stands for, or -EINVAL for a file that is no record. */
static int
name_of_file(const char *file, char ret[NAME_SIZE])
{
	size_t len = strlen(file), at = 0, end;

	if (len < sizeof(record_suffix) || len >= NAME_SIZE)
		return -EINVAL;
	end = len - (sizeof(record_suffix) - 1);
	if (memcmp(file + end, record_suffix, sizeof(record_suffix)) != 0 ||
	    memcmp(file, "%h", 2) == 0)
		return -EINVAL;
	for (size_t i = 0; i < end; i++) {
		int octet = (unsigned char)file[i];

		if (file[i] == '%') {
			octet = i + 2 < end ? hex_octet(file + i + 1) : -1;
			i += 2;
		}
		if (octet < 0)
			return -EINVAL;
		ret[at++] = (char)octet;
	}
	ret[at] = '\0';
	return strlen(ret) == at ? 0 : -EINVAL;
}

/* The tag in the name of a file whose account's name was too long for one. */
static int
tag_of_file(const char *file, uint8_t ret[SEAL_HASH])
{

	if (memcmp(file, "%h", 2) != 0 ||
	    strlen(file) != 2 + 2 * SEAL_HASH + strlen(record_suffix) ||
	    strcmp(file + 2 + 2 * SEAL_HASH, record_suffix) != 0)
		return -EINVAL;
	for (size_t i = 0; i < SEAL_HASH; i++) {
		int octet = hex_octet(file + 2 + 2 * i);

		if (octet < 0)
			return -EINVAL;
		ret[i] = (uint8_t)octet;
	}
	return 0;
}

int
store_account_open_file(struct store *s, const char *file, struct store_account **ret)
{
	char name[NAME_SIZE];
	struct store_account *a;
	int r = name_of_file(file, name);

	if (r == 0) {
		r = store_account_open(s, name, ret);
		if (r < 0 || strcmp((*ret)->file, file) == 0)
			return r;
		*ret = store_account_free(*ret); /* not as we write it: not ours */
		return -EINVAL;
	}
	a = account_new(s);
	if (a == NULL)
		return -ENOMEM;
	r = tag_of_file(file, a->tag);
	if (r < 0) {
		free(a);
		return r;
	}
	memcpy(a->file, file, strlen(file) + 1);
	read_account(a);
	*ret = a;
	return 0;
}

int
store_file_account(const char *file, char *ret, size_t size)
{
	char name[NAME_SIZE];
	int r = name_of_file(file, name);

	if (r == 0 && strlen(name) >= size)
		r = -ENAMETOOLONG;
	if (r == 0)
		memcpy(ret, name, strlen(name) + 1);
	return r;
}

struct store_account *
store_account_free(struct store_account *a)
{
	if (a != NULL) {
		(void)secret_free(a->payload);
		free(a);
	}
	return NULL;
}

enum file_status
store_account_status(const struct store_account *a)
{
	return a->status;
}

const char *
store_account_file(const struct store_account *a)
{
	return a->file;
}

uint64_t
store_account_generation(const struct store_account *a)
{
	return a->generation;
}

struct secret *
store_account_take(struct store_account *a)
{
	return TAKE_PTR(a->payload);
}

void
store_account_distrust(struct store_account *a)
{
	a->status = FILE_DAMAGED;
	a->seen = false;
	a->kept = false;
}

/* ---- writing an account ---- */

/* Is the last record still where and what it was? */
static int
check_unchanged(const struct store_account *a, int fd)
{
	const struct file_ops *ops = a->store->ops;
	int64_t size = ops->size(ops->arg, fd);
	uint8_t mark[SLOT_MARK];
	ssize_t n;

	if (size < 0)
		return (int)size;
	if ((size_t)size != 2 * a->slot_size)
		return -ESTALE;
	n = file_read_full(ops, fd, mark, sizeof(mark),
	    (off_t)(a->slot * a->slot_size + a->slot_size - SLOT_MARK));
	if (n < 0)
		return (int)n;
	return n == sizeof(mark) && memcmp(mark, a->mark, sizeof(mark)) == 0 ? 0 : -ESTALE;
}

/* One new record as the octets of a slot. `ret` has room for slot_size. */
static int
pack(struct store_account *a, unsigned slot, uint64_t generation, const struct secret *payload,
    size_t slot_size, uint8_t *ret, uint8_t ret_mark[SLOT_MARK])
{
	const struct file_ops *ops = a->store->ops;
	struct slot_keys keys = slot_keys(a, &a->store->key);
	uint8_t salt[SLOT_SALT];
	int r = ops->random(ops->arg, salt, sizeof(salt));

	if (r == 0)
		r = ops->random(ops->arg, ret_mark, SLOT_MARK);
	if (r == 0)
		r = slot_pack(&keys, slot, a->sequence + 1, generation, payload, salt, ret_mark,
		    ret, slot_size);
	return r;
}

/* The record of this sequence and mark is on disk now, in this slot. */
static void
note_written(struct store_account *a, unsigned slot, size_t slot_size, uint64_t generation,
    const uint8_t mark[SLOT_MARK])
{
	a->status = FILE_GOOD;
	a->slot = slot;
	a->slot_size = slot_size;
	a->sequence++;
	a->generation = generation;
	memcpy(a->mark, mark, SLOT_MARK);
	memcpy(a->key_id, a->store->key.id, STORE_KEY_ID);
	a->seen = true;
	a->kept = false;
}

static int
write_in_place(
    struct store_account *a, uint64_t generation, const struct secret *payload, uint8_t *bytes)
{
	const struct file_ops *ops = a->store->ops;
	unsigned slot = !a->slot;
	uint8_t mark[SLOT_MARK];
	int fd, r;

	fd = ops->openat(ops->arg, a->store->dir, a->file, O_RDWR, 0);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	r = check_unchanged(a, fd);
	if (r == 0)
		r = pack(a, slot, generation, payload, a->slot_size, bytes, mark);
	if (r == 0)
		r = file_write_full(ops, fd, bytes, a->slot_size, (off_t)(slot * a->slot_size));
	if (r == 0)
		r = ops->fdatasync(ops->arg, fd);
	(void)ops->close(ops->arg, fd);
	if (r == 0)
		note_written(a, slot, a->slot_size, generation, mark);
	return r;
}

/* Gives the present file a second name. */
static int
set_aside(struct store_account *a)
{
	const struct file_ops *ops = a->store->ops;
	char name[NAME_SIZE + 16];

	if (a->kept)
		return 0;
	for (unsigned i = 1; i < ASIDE_MAX; i++) {
		int r;

		(void)snprintf(name, sizeof(name), "%s.aside-%u", a->file, i);
		r = ops->linkat(ops->arg, a->store->dir, a->file, name);
		if (r == -EEXIST)
			continue;
		a->kept = r == 0;
		return r == -ENOENT ? 0 : r;
	}
	return -EMFILE;
}

/* Writes the whole file under this name; where that needs more than the disk has, over a spare one. */
static int
write_file(struct store_account *a, const char *name, const uint8_t *bytes, size_t slot_size)
{
	const struct file_ops *ops = a->store->ops;
	int dir = a->store->dir,
	    r = file_put(ops, dir, name, O_CREAT | O_TRUNC, bytes, 2 * slot_size);

	if ((r != -ENOSPC && r != -EDQUOT) ||
	    ops->renameat(ops->arg, dir, spare_of(slot_size), name) < 0)
		return r;
	a->store->has_spares = false;
	return file_put(ops, dir, name, 0, bytes, 2 * slot_size);
}

static int
write_whole(struct store_account *a, uint64_t generation, const struct secret *payload,
    size_t slot_size, uint8_t *bytes, bool keep)
{
	const struct file_ops *ops = a->store->ops;
	char name[NAME_SIZE + 8];
	uint8_t mark[SLOT_MARK];
	int r = pack(a, 0, generation, payload, slot_size, bytes, mark);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s.new", a->file);
	memset(bytes + slot_size, 0, slot_size);
	r = write_file(a, name, bytes, slot_size);
	if (r == 0 && keep)
		r = set_aside(a);
	if (r == 0)
		r = ops->renameat(ops->arg, a->store->dir, name, a->file);
	if (r < 0)
		return r;
	note_written(a, 0, slot_size, generation, mark);
	a->unsynced = true;
	return 0;
}

/* Makes the present file's name durable. */
static int
sync_name(struct store_account *a)
{
	int r = a->unsynced ? a->store->ops->syncdir(a->store->ops->arg, a->store->dir) : 0;

	if (r == 0)
		a->unsynced = false;
	return r;
}

/* The present file, where it was seen, must still be the one that was seen, before another takes
 * its name. */
static int
check_before_replacing(struct store_account *a)
{
	const struct file_ops *ops = a->store->ops;
	int fd = ops->openat(ops->arg, a->store->dir, a->file, O_RDONLY, 0), r;

	if (fd == -ENOENT)
		return a->seen ? -ESTALE : 0;
	if (fd < 0)
		return fd;
	r = a->seen ? check_unchanged(a, fd) : -ESTALE;
	(void)ops->close(ops->arg, fd);
	return r;
}

/* May the account be written, and must the file that is there be kept under another name? */
static int
how_to_write(const struct store_account *a, bool replace, bool *ret_keep)
{
	switch (a->status) {
	case FILE_GOOD:
	case FILE_TORN:
	case FILE_ABSENT:
		*ret_keep = false;
		return 0;
	case FILE_DAMAGED:
		*ret_keep = true;
		return a->seen || replace ? 0 : -EUCLEAN;
	case FILE_UNREADABLE:
		return -EUCLEAN;
	default:
		*ret_keep = true;
		return replace ? 0 : -EUCLEAN;
	}
}

/* A record under the key before is replaced by a whole file, so that none of it stays. */
static bool
has_present_key(const struct store_account *a)
{
	return memcmp(a->key_id, a->store->key.id, STORE_KEY_ID) == 0;
}

int
store_account_write(
    struct store_account *a, uint64_t generation, const struct secret *payload, bool replace)
{
	CLEANUP_FREE uint8_t *bytes = NULL;
	size_t need = secret_len(payload),
	       slot_size = need > slot_capacity(SLOT_SMALL) ? SLOT_LARGE : SLOT_SMALL;
	bool keep = false;
	int r = how_to_write(a, replace, &keep);

	if (r < 0)
		return r;
	if (need > slot_capacity(SLOT_LARGE))
		return -E2BIG;
	if (a->slot_size > slot_size)
		slot_size = a->slot_size;
	bytes = malloc(2 * slot_size);
	if (bytes == NULL)
		return -ENOMEM;
	r = sync_name(a);
	if (r < 0)
		return r;
	if (a->seen && !keep && slot_size == a->slot_size && has_present_key(a)) {
		r = write_in_place(a, generation, payload, bytes);
	} else {
		r = keep ? 0 : check_before_replacing(a);
		if (r == 0)
			r = write_whole(a, generation, payload, slot_size, bytes, keep);
		if (r == 0)
			r = sync_name(a);
	}
	if (r < 0)
		return r;
	r = ledger_set(a->store->ledger, a->tag, a->sequence);
	if (r < 0)
		a->store->ledger_error = r;
	return 0;
}

/* ---- keys ---- */

/* The present file, opened keys for changing it: the store's own. */
static int
read_present(const struct store *s, struct buf *file, struct keys *ret)
{
	*ret = (struct keys){.master = s->key.master, .previous = s->old.master, .slot = s->slot};
	memcpy(ret->store_id, s->store_id, STORE_ID);
	return read_keyslots(s->ops, s->dir, file);
}

int
store_keys_peek(const struct file_ops *ops, int dir, struct store_keys *ret)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX + 1);
	int r = read_keyslots(ops, dir, &file);

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

	if (read_keyslots(s->ops, s->dir, &file) < 0)
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
	return r < 0 ? r : write_keyslots(s->ops, s->dir, &next);
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
		r = write_keyslots(s->ops, s->dir, &next);
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
	return r < 0 ? r : write_keyslots(s->ops, s->dir, &next);
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
	int r = read_keyslots(s->ops, s->dir, &file);

	if (r == 0 && keyslots_open((const uint8_t *)buf_str(&file), file.len, by->key,
			  by->passphrase, &keys) != KEYSLOTS_GOOD)
		r = -EBADMSG;
	if (r == 0)
		r = !secret_equal(keys.master, s->key.master);
	keyslots_clear(&keys);
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
		r = key_set(&fresh, secret_ref(master), s->store_id);
	if (r < 0)
		return r;
	written = write_rotated(s, &file, &keys, openers, master, wall);
	r = written == 0 ? 1 : look_which(s, &by[0]);
	if (r != 1) {
		key_clear(&fresh);
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
		r = write_keyslots(s->ops, s->dir, &next);
	if (r == 0)
		key_clear(&s->old);
	return r;
}

struct record_walk {
	int (*visit)(void *arg, const char *file);
	void *arg;
};

static int
visit_record(void *arg, const char *name)
{
	const struct record_walk *w = arg;

	return strstr(name, ".cred") == NULL ? 0 : w->visit(w->arg, name);
}

int
store_walk(struct store *s, int (*visit)(void *arg, const char *file), void *arg)
{
	struct record_walk w = {.visit = visit, .arg = arg};

	return s->ops->list(s->ops->arg, s->dir, visit_record, &w);
}

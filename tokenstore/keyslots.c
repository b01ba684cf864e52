/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keyslots.c: the master key, wrapped. See keyslots.h.
 *
 * The file "keyslots", all numbers little-endian:
 *
 *      at  octets
 *       0       8  "FRANKKS1"; "FRANKKS2" while the store is re-sealed under a new master key
 *       8       4  count of slots, 1 to 16
 *      12       4  zero
 *      16      16  id of the store (random, for good)
 *      32     256  for each slot
 *     end-128  64  in "FRANKKS2" only: the master key before, see below
 *     end-64   32  HMAC-SHA256 over all before
 *     end-32   32  SHA-256 over all before
 *
 * A slot:
 *       0       4  kind (enum keyslot_kind)
 *       4       4  zero
 *       8       8  made at, seconds since 1970
 *      16      32  salt
 *      48      12  nonce
 *      60      32  the master key, sealed by AES-256-GCM
 *      92      16  its tag
 *     108      20  zero
 *     128       4  passphrase: log2 N of scrypt; else zero
 *     132       4  passphrase: r
 *     136       4  passphrase: p
 *     140     116  zero
 *
 * Key of a slot: HKDF-SHA256(what the provider gave, salt, "frank key slot 1"); of a passphrase
 * slot, the 32 octets of scrypt(passphrase, salt, N, r, p) take the place of what the provider gave.
 * Associated data: the file's first 32 octets with "FRANKKS1" and without the count (as zero), and
 * the slot's with the nonce, sealed key and tag as zeros. Key of the HMAC: HKDF-SHA256(master key,
 * store id, "frank key slots 1"). A file that asks scrypt for more than 256 MiB or 16 passes is
 * damaged: its parameters are read before anything of it is known to be authentic.
 *
 * The master key before:
 *       0      12  nonce
 *      12      32  the key, sealed by AES-256-GCM
 *      44      16  its tag
 *      60       4  zero
 * Its key: HKDF-SHA256(master key, store id, "frank previous key 1"); associated data: the store id.
 * The file with it replaces the one without before the first record is re-sealed, and is replaced
 * when the last one is, so that at every moment each record's key is in the file.
 *
 * The plain SHA-256 tells an accident from a wrong key; the HMAC tells a file that was put together
 * by somebody without the key. The file is written whole under another name, synced and renamed.
 */
#include "tokenstore/keyslots.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

struct head {
	uint8_t magic[8];
	uint32_t count;
	uint32_t zero;
	uint8_t store_id[STORE_ID];
};

struct keyslot {
	uint32_t kind;
	uint32_t zero;
	uint64_t made_at;
	uint8_t salt[SLOT_SALT];
	uint8_t nonce[SEAL_NONCE];
	uint8_t wrapped[MASTER_KEY];
	uint8_t tag[SEAL_TAG];
	uint8_t zeros[20];
	uint32_t scrypt[3];
	uint8_t more_zeros[116];
};
_Static_assert(sizeof(struct head) == KEYSLOTS_HEADER, "the head's layout is the format");
_Static_assert(sizeof(struct keyslot) == KEYSLOT_SIZE, "the slot's layout is the format");

struct previous {
	uint8_t nonce[SEAL_NONCE];
	uint8_t wrapped[MASTER_KEY];
	uint8_t tag[SEAL_TAG];
	uint8_t zeros[4];
};
_Static_assert(sizeof(struct previous) == KEYSLOTS_PREVIOUS, "its layout is the format");

/* A file taken apart. */
struct file {
	struct head head;
	unsigned count;
	struct keyslot slots[KEYSLOTS_MAX];
	bool has_previous;
	struct previous previous;
};

enum { SCRYPT_LOG2N_MAX = 18, SCRYPT_R_MAX = 16, SCRYPT_P_MAX = 16, SCRYPT_KIB_MAX = 256 * 1024 };

static const uint8_t magic[8] = {'F', 'R', 'A', 'N', 'K', 'K', 'S', '1'},
		     magic_rotating[8] = {'F', 'R', 'A', 'N', 'K', 'K', 'S', '2'};

static const struct {
	const char *name;
	enum keyslot_kind kind;
} kinds[] = {{"key-file", KEYSLOT_KEY_FILE}, {"credential", KEYSLOT_CREDENTIAL},
    {"keyring", KEYSLOT_KEYRING}, {"passphrase", KEYSLOT_PASSPHRASE}, {"command", KEYSLOT_COMMAND}};

enum keyslot_kind
keyslot_kind_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	return 0;
}

const char *
keyslot_kind_name(enum keyslot_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return kind == 0 ? "command" : "unknown"; /* as commands were noted at first */
}

bool
keyslot_key_fits(enum keyslot_kind kind, const struct secret *key)
{
	if (kind == KEYSLOT_PASSPHRASE)
		return secret_len(key) >= PASSPHRASE_MIN && secret_len(key) <= PASSPHRASE_MAX;
	return secret_len(key) >= KEYSLOT_PROVIDER_MIN;
}

/* What the wrapped key is bound to: the store, and everything in the slot that is not the sealing
 * itself. */
struct binding {
	struct head head;
	struct keyslot slot;
};

static void
bind_slot(const struct head *head, const struct keyslot *slot, struct binding *ret)
{
	ret->head = *head;
	memcpy(ret->head.magic, magic, sizeof(magic));
	ret->head.count = 0;
	ret->slot = *slot;
	memset(ret->slot.nonce, 0, sizeof(ret->slot.nonce));
	memset(ret->slot.wrapped, 0, sizeof(ret->slot.wrapped));
	memset(ret->slot.tag, 0, sizeof(ret->slot.tag));
}

/* -EBADMSG for parameters that no file of ours has. */
static int
stretch(const struct keyslot *slot, const struct secret *passphrase, uint8_t ret[SEAL_KEY])
{
	uint32_t log2n = le32toh(slot->scrypt[0]), r = le32toh(slot->scrypt[1]),
		 p = le32toh(slot->scrypt[2]);

	if (log2n < 1 || log2n > SCRYPT_LOG2N_MAX || r < 1 || r > SCRYPT_R_MAX || p < 1 ||
	    p > SCRYPT_P_MAX || ((uint64_t)r << log2n) / 8 > SCRYPT_KIB_MAX)
		return -EBADMSG;
	return seal_scrypt(secret_bytes(passphrase), secret_len(passphrase), slot->salt,
	    sizeof(slot->salt), log2n, r, p, ret);
}

static int
slot_key(const struct keyslot *slot, const struct secret *key, uint8_t ret[SEAL_KEY])
{
	uint8_t stretched[SEAL_KEY];
	int r;

	if (le32toh(slot->kind) != KEYSLOT_PASSPHRASE)
		return seal_hkdf(secret_bytes(key), secret_len(key), slot->salt, sizeof(slot->salt),
		    "frank key slot 1", ret, SEAL_KEY);
	r = stretch(slot, key, stretched);
	if (r == 0)
		r = seal_hkdf(stretched, sizeof(stretched), slot->salt, sizeof(slot->salt),
		    "frank key slot 1", ret, SEAL_KEY);
	mem_wipe(stretched, sizeof(stretched));
	return r;
}

static int
wrap(const struct head *head, struct keyslot *slot, const struct secret *key,
    const struct secret *master)
{
	uint8_t wrapping[SEAL_KEY];
	struct binding b;
	int r = slot_key(slot, key, wrapping);

	bind_slot(head, slot, &b);
	if (r == 0)
		r = seal_encrypt(wrapping, slot->nonce, &b, sizeof(b), secret_bytes(master),
		    MASTER_KEY, slot->wrapped, slot->tag);
	mem_wipe(wrapping, sizeof(wrapping));
	return r;
}

static int
unwrap(const struct head *head, const struct keyslot *slot, const struct secret *key,
    struct secret *master)
{
	uint8_t wrapping[SEAL_KEY];
	struct binding b;
	int r = slot_key(slot, key, wrapping);

	bind_slot(head, slot, &b);
	if (r == 0)
		r = seal_decrypt(wrapping, slot->nonce, &b, sizeof(b), slot->wrapped, MASTER_KEY,
		    secret_fill(master), slot->tag);
	mem_wipe(wrapping, sizeof(wrapping));
	return r;
}

/* A new slot around the master key. */
static int
make_slot(const struct head *head, enum keyslot_kind kind, const struct secret *key,
    const struct secret *master, const uint8_t random[KEYSLOT_RANDOM], uint64_t wall,
    struct keyslot *ret)
{
	*ret = (struct keyslot){.kind = htole32((uint32_t)kind), .made_at = htole64(wall)};
	if (!keyslot_key_fits(kind, key))
		return -EINVAL;
	if (kind == KEYSLOT_PASSPHRASE) {
		ret->scrypt[0] = htole32(SCRYPT_LOG2N);
		ret->scrypt[1] = htole32(SCRYPT_R);
		ret->scrypt[2] = htole32(SCRYPT_P);
	}
	memcpy(ret->salt, random, sizeof(ret->salt));
	memcpy(ret->nonce, random + sizeof(ret->salt), sizeof(ret->nonce));
	return wrap(head, ret, key, master);
}

static int
previous_key(const struct head *head, const struct secret *master, uint8_t ret[SEAL_KEY])
{
	return seal_hkdf(secret_bytes(master), MASTER_KEY, head->store_id, STORE_ID,
	    "frank previous key 1", ret, SEAL_KEY);
}

static int
whole_mac(const struct secret *master, const uint8_t store_id[STORE_ID], const void *bytes,
    size_t len, uint8_t ret[SEAL_HASH])
{
	uint8_t key[SEAL_KEY];
	int r = seal_hkdf(secret_bytes(master), MASTER_KEY, store_id, STORE_ID, "frank key slots 1",
	    key, sizeof(key));

	if (r == 0)
		r = seal_hmac(key, bytes, len, ret);
	mem_wipe(key, sizeof(key));
	return r;
}

/* ---- a file and its octets ---- */

static size_t
file_size(unsigned count, bool has_previous)
{
	return KEYSLOTS_HEADER + count * KEYSLOT_SIZE + (has_previous ? KEYSLOTS_PREVIOUS : 0) +
	       KEYSLOTS_TRAILER;
}

/* The octets of a file, authentic under `master`. */
static int
write_file(struct file *f, const struct secret *master, struct buf *ret)
{
	uint8_t hash[SEAL_HASH];
	int r;

	memcpy(f->head.magic, f->has_previous ? magic_rotating : magic, sizeof(magic));
	f->head.count = htole32(f->count);
	buf_clear(ret);
	(void)buf_append(ret, &f->head, sizeof(f->head));
	(void)buf_append(ret, f->slots, f->count * sizeof(f->slots[0]));
	if (f->has_previous)
		(void)buf_append(ret, &f->previous, sizeof(f->previous));
	if (ret->failed)
		return -ENOMEM;
	r = whole_mac(master, f->head.store_id, ret->data, ret->len, hash);
	if (r < 0)
		return r;
	if (buf_append(ret, hash, sizeof(hash)) < 0)
		return -ENOMEM;
	r = seal_sha256(ret->data, ret->len, NULL, 0, hash);
	if (r < 0)
		return r;
	return buf_append(ret, hash, sizeof(hash)) < 0 ? -ENOMEM : 0;
}

/* Is this a sound file, whoever has the key? */
static enum keyslots_verdict
read_file(const uint8_t *bytes, size_t len, struct file *ret)
{
	uint8_t hash[SEAL_HASH];
	uint32_t count;

	*ret = (struct file){0};
	if (len < file_size(1, false) || len > KEYSLOTS_FILE_MAX)
		return KEYSLOTS_DAMAGED;
	if (seal_sha256(bytes, len - SEAL_HASH, NULL, 0, hash) < 0)
		return KEYSLOTS_FAILED;
	if (memcmp(hash, bytes + len - SEAL_HASH, SEAL_HASH) != 0)
		return KEYSLOTS_DAMAGED;
	memcpy(&ret->head, bytes, sizeof(ret->head));
	ret->has_previous = memcmp(ret->head.magic, magic_rotating, sizeof(magic)) == 0;
	if (!ret->has_previous && memcmp(ret->head.magic, magic, sizeof(magic)) != 0)
		return memcmp(ret->head.magic, magic, sizeof(magic) - 1) == 0 ? KEYSLOTS_NEWER
									      : KEYSLOTS_DAMAGED;
	count = le32toh(ret->head.count);
	if (count < 1 || count > KEYSLOTS_MAX || len != file_size(count, ret->has_previous))
		return KEYSLOTS_DAMAGED;
	ret->count = count;
	memcpy(ret->slots, bytes + KEYSLOTS_HEADER, count * sizeof(ret->slots[0]));
	if (ret->has_previous)
		memcpy(&ret->previous, bytes + KEYSLOTS_HEADER + count * KEYSLOT_SIZE,
		    sizeof(ret->previous));
	return KEYSLOTS_GOOD;
}

static enum keyslots_verdict
read_buf(const struct buf *from, struct file *ret)
{
	return read_file((const uint8_t *)buf_str(from), from->len, ret);
}

/* The first slot from `at` on that the key opens. 0, -EBADMSG for none, other negative errno. */
static int
find_slot(const struct file *f, const struct secret *key, bool passphrase, unsigned at,
    struct secret *master, unsigned *ret)
{
	for (unsigned i = at; i < f->count; i++) {
		int r;

		if ((le32toh(f->slots[i].kind) == KEYSLOT_PASSPHRASE) != passphrase)
			continue;
		r = unwrap(&f->head, &f->slots[i], key, master);
		if (r != -EBADMSG) {
			*ret = i;
			return r;
		}
	}
	return -EBADMSG;
}

static int
open_previous(const struct file *f, struct keys *k)
{
	uint8_t key[SEAL_KEY];
	int r;

	if (!f->has_previous)
		return 0;
	k->previous = secret_new_zero(MASTER_KEY);
	if (k->previous == NULL)
		return -ENOMEM;
	r = previous_key(&f->head, k->master, key);
	if (r == 0)
		r = seal_decrypt(key, f->previous.nonce, f->head.store_id, STORE_ID,
		    f->previous.wrapped, MASTER_KEY, secret_fill(k->previous), f->previous.tag);
	mem_wipe(key, sizeof(key));
	return r;
}

void
keyslots_clear(struct keys *k)
{
	(void)secret_free(k->master);
	(void)secret_free(k->previous);
	*k = (struct keys){0};
}

static enum keyslots_verdict
open_file(const struct file *f, const uint8_t *bytes, size_t len, const struct secret *key,
    bool passphrase, struct keys *ret)
{
	uint8_t mac[SEAL_HASH];
	int r;

	ret->master = secret_new_zero(MASTER_KEY);
	if (ret->master == NULL)
		return KEYSLOTS_FAILED;
	r = find_slot(f, key, passphrase, 0, ret->master, &ret->slot);
	if (r < 0)
		return r == -EBADMSG ? KEYSLOTS_WRONG_KEY : KEYSLOTS_FAILED;
	if (whole_mac(ret->master, f->head.store_id, bytes, len - KEYSLOTS_TRAILER, mac) < 0)
		return KEYSLOTS_FAILED;
	if (!mem_equal_ct(mac, bytes + len - KEYSLOTS_TRAILER, SEAL_HASH))
		return KEYSLOTS_FORGED;
	r = open_previous(f, ret);
	if (r < 0)
		return r == -EBADMSG ? KEYSLOTS_FORGED : KEYSLOTS_FAILED;
	memcpy(ret->store_id, f->head.store_id, STORE_ID);
	return KEYSLOTS_GOOD;
}

enum keyslots_verdict
keyslots_open(
    const uint8_t *bytes, size_t len, const struct secret *key, bool passphrase, struct keys *ret)
{
	enum keyslots_verdict verdict;
	struct file f;

	*ret = (struct keys){0};
	verdict = read_file(bytes, len, &f);
	if (verdict == KEYSLOTS_GOOD)
		verdict = open_file(&f, bytes, len, key, passphrase, ret);
	if (verdict != KEYSLOTS_GOOD)
		keyslots_clear(ret);
	return verdict;
}

enum keyslots_verdict
keyslots_list(
    const uint8_t *bytes, size_t len, struct keyslot_info ret[KEYSLOTS_MAX], unsigned *ret_count)
{
	struct file f;
	enum keyslots_verdict verdict = read_file(bytes, len, &f);

	*ret_count = 0;
	if (verdict != KEYSLOTS_GOOD)
		return verdict;
	for (; *ret_count < f.count; (*ret_count)++)
		ret[*ret_count] = (struct keyslot_info){.kind = le32toh(f.slots[*ret_count].kind),
		    .made_at = le64toh(f.slots[*ret_count].made_at)};
	return KEYSLOTS_GOOD;
}

int
keyslots_match(
    const struct buf *from, const struct secret *key, bool passphrase, unsigned not_before)
{
	CLEANUP_SECRET struct secret *master = secret_new_zero(MASTER_KEY);
	unsigned slot;
	struct file f;

	if (master == NULL || read_buf(from, &f) != KEYSLOTS_GOOD ||
	    find_slot(&f, key, passphrase, not_before, master, &slot) < 0)
		return -1;
	return (int)slot;
}

/* ---- changing a file ---- */

int
keyslots_create(enum keyslot_kind kind, const struct secret *key,
    const uint8_t random[KEYSLOTS_RANDOM], uint64_t wall, struct buf *ret)
{
	CLEANUP_SECRET struct secret *master = secret_new(random, MASTER_KEY);
	struct file f = {.count = 1};
	int r = -ENOMEM;

	memcpy(f.head.store_id, random + MASTER_KEY, STORE_ID);
	if (master != NULL)
		r = make_slot(
		    &f.head, kind, key, master, random + MASTER_KEY + STORE_ID, wall, &f.slots[0]);
	return r < 0 ? r : write_file(&f, master, ret);
}

int
keyslots_add(const struct buf *from, const struct keys *keys, enum keyslot_kind kind,
    const struct secret *key, const uint8_t random[KEYSLOT_RANDOM], uint64_t wall, struct buf *ret)
{
	struct file f;
	int r;

	if (read_buf(from, &f) != KEYSLOTS_GOOD)
		return -EIO;
	if (f.count == KEYSLOTS_MAX)
		return -ENOSPC;
	r = make_slot(&f.head, kind, key, keys->master, random, wall, &f.slots[f.count]);
	f.count++;
	return r < 0 ? r : write_file(&f, keys->master, ret);
}

int
keyslots_remove(const struct buf *from, const struct keys *keys, unsigned slot, struct buf *ret)
{
	struct file f;

	if (read_buf(from, &f) != KEYSLOTS_GOOD)
		return -EIO;
	if (slot >= f.count)
		return -EINVAL;
	if (f.count == 1)
		return -EPERM;
	f.count--;
	for (unsigned i = slot; i < f.count; i++)
		f.slots[i] = f.slots[i + 1];
	return write_file(&f, keys->master, ret);
}

int
keyslots_rotate(const struct buf *from, const struct keys *keys, const struct secret *master,
    const struct secret *const by[KEYSLOTS_MAX], const uint8_t *random, uint64_t wall,
    struct buf *ret)
{
	uint8_t key[SEAL_KEY];
	struct file f;
	int r = 0;

	if (read_buf(from, &f) != KEYSLOTS_GOOD)
		return -EIO;
	if (f.has_previous)
		return -EALREADY;
	for (unsigned i = 0; i < f.count && r == 0; i++, random += KEYSLOT_RANDOM)
		r = by[i] == NULL ? -ENOKEY
				  : make_slot(&f.head, le32toh(f.slots[i].kind), by[i], master,
					random, wall, &f.slots[i]);
	if (r < 0)
		return r;
	f.has_previous = true;
	memcpy(f.previous.nonce, random, sizeof(f.previous.nonce));
	r = previous_key(&f.head, master, key);
	if (r == 0)
		r = seal_encrypt(key, f.previous.nonce, f.head.store_id, STORE_ID,
		    secret_bytes(keys->master), MASTER_KEY, f.previous.wrapped, f.previous.tag);
	mem_wipe(key, sizeof(key));
	return r < 0 ? r : write_file(&f, master, ret);
}

int
keyslots_finish(const struct buf *from, const struct keys *keys, struct buf *ret)
{
	struct file f;

	if (read_buf(from, &f) != KEYSLOTS_GOOD)
		return -EIO;
	f.has_previous = false;
	f.previous = (struct previous){0};
	return write_file(&f, keys->master, ret);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * slot.c: a sealed record. See slot.h.
 *
 * A slot, all numbers little-endian, `size` is 16,384 or 49,152:
 *
 *      at  octets
 *       0       8  "FRANKTK1"
 *       8       4  number of the slot: 0 or 1
 *      12       4  length of the payload
 *      16       8  sequence: counts the writes of this account, from 1
 *      24       8  generation of the credential
 *      32      16  id of the store
 *      48       8  id of the master key
 *      56      32  the account: SHA-256 of the store's id and the account's name
 *      88      32  salt of this write
 *     120       8  mark of this write
 *     128      24  zero
 *     152       8  first octets of SHA-256 over octets 0 to 151
 *     160       n  sealed: the payload, then zeros; n = size - 184
 *  size-24      16  tag of AES-256-GCM
 *   size-8       8  the mark again
 *
 * Key and nonce of a write: 44 octets of HKDF-SHA256(master key, salt, "frank record 1").
 * Associated data: the whole header. So every octet of a slot is covered: the header by its own
 * check and by the tag, the rest by the tag, the last eight by being equal to the mark.
 *
 * What slot_unpack tells apart:
 *
 *   torn       the header is sound, the tag is not, and the mark at the end is another: the write did
 *              not get there
 *   damaged    anything else that is not authentic
 *   swapped, other store, other key
 *              the header says so; swapped is believed of an authentic record alone
 *
 * A tear inside the header or the last eight octets (a disk writes each as one sector), or one that
 * left out a part in the middle, counts as damaged too. That is the careful side: a damaged slot is
 * never written over, a torn one is.
 */
#include "tokenstore/slot.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"

struct slot_header {
	uint8_t magic[8];
	uint32_t slot;
	uint32_t length;
	uint64_t sequence;
	uint64_t generation;
	uint8_t store_id[STORE_ID];
	uint8_t key_id[STORE_KEY_ID];
	uint8_t account[SEAL_HASH];
	uint8_t salt[SLOT_SALT];
	uint8_t mark[SLOT_MARK];
	uint8_t zero[24];
	uint8_t check[8];
};
_Static_assert(sizeof(struct slot_header) == SLOT_HEADER, "the header's layout is the format");

static const uint8_t magic[8] = {'F', 'R', 'A', 'N', 'K', 'T', 'K', '1'};

int
slot_account_tag(const uint8_t store_id[STORE_ID], const char *account, uint8_t ret[SEAL_HASH])
{
	return seal_sha256(store_id, STORE_ID, account, strlen(account), ret);
}

static int
header_check(const struct slot_header *h, uint8_t ret[8])
{
	uint8_t hash[SEAL_HASH];
	int r = seal_sha256(h, offsetof(struct slot_header, check), NULL, 0, hash);

	memcpy(ret, hash, 8);
	return r;
}

struct write_key {
	uint8_t key[SEAL_KEY];
	uint8_t nonce[SEAL_NONCE];
};

static int
derive(const struct slot_keys *keys, const uint8_t salt[SLOT_SALT], struct write_key *ret)
{
	return seal_hkdf(secret_bytes(keys->master), secret_len(keys->master), salt, SLOT_SALT,
	    "frank record 1", ret, sizeof(*ret));
}

int
slot_pack(const struct slot_keys *keys, unsigned slot, uint64_t sequence, uint64_t generation,
    const struct secret *payload, const uint8_t salt[SLOT_SALT], const uint8_t mark[SLOT_MARK],
    uint8_t *to, size_t slot_size)
{
	size_t capacity = slot_capacity(slot_size), len = secret_len(payload);
	CLEANUP_SECRET struct secret *padded = NULL;
	struct slot_header h = {.slot = htole32(slot),
	    .length = htole32((uint32_t)len),
	    .sequence = htole64(sequence),
	    .generation = htole64(generation)};
	struct write_key key;
	int r;

	if (len > capacity)
		return -E2BIG;
	memcpy(h.magic, magic, sizeof(h.magic));
	memcpy(h.store_id, keys->store_id, sizeof(h.store_id));
	memcpy(h.key_id, keys->key_id, sizeof(h.key_id));
	memcpy(h.account, keys->account, sizeof(h.account));
	memcpy(h.salt, salt, sizeof(h.salt));
	memcpy(h.mark, mark, sizeof(h.mark));
	r = header_check(&h, h.check);
	if (r < 0)
		return r;
	padded = secret_new_zero(capacity);
	if (padded == NULL)
		return -ENOMEM;
	memcpy(secret_fill(padded), secret_bytes(payload), len);
	r = derive(keys, salt, &key);
	if (r == 0)
		r = seal_encrypt(key.key, key.nonce, &h, sizeof(h), secret_bytes(padded), capacity,
		    to + SLOT_HEADER, to + SLOT_HEADER + capacity);
	mem_wipe(&key, sizeof(key));
	if (r < 0)
		return r;
	memcpy(to, &h, sizeof(h));
	memcpy(to + slot_size - SLOT_MARK, mark, SLOT_MARK);
	return 0;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

/* Opens what follows a sound header of ours. */
static enum slot_verdict
open_payload(const struct slot_keys *keys, const struct slot_header *h, const uint8_t *from,
    size_t slot_size, struct secret **ret)
{
	size_t capacity = slot_capacity(slot_size), len = le32toh(h->length);
	CLEANUP_SECRET struct secret *padded = secret_new_zero(capacity);
	struct write_key key;
	int r = -ENOMEM;

	if (padded == NULL)
		return SLOT_FAILED;
	r = derive(keys, h->salt, &key);
	if (r == 0)
		r = seal_decrypt(key.key, key.nonce, h, sizeof(*h), from + SLOT_HEADER, capacity,
		    secret_fill(padded), from + SLOT_HEADER + capacity);
	mem_wipe(&key, sizeof(key));
	if (r == -EBADMSG)
		return memcmp(h->mark, from + slot_size - SLOT_MARK, SLOT_MARK) != 0 ? SLOT_TORN
										     : SLOT_DAMAGED;
	if (r < 0)
		return SLOT_FAILED;
	if (memcmp(h->mark, from + slot_size - SLOT_MARK, SLOT_MARK) != 0 || len > capacity)
		return SLOT_DAMAGED;
	*ret = secret_new(secret_bytes(padded), len);
	return *ret == NULL ? SLOT_FAILED : SLOT_GOOD;
}

enum slot_verdict
slot_unpack(const struct slot_keys *keys, unsigned slot, const uint8_t *from, size_t slot_size,
    struct slot_content *ret)
{
	CLEANUP_SECRET struct secret *payload = NULL;
	enum slot_verdict verdict;
	struct slot_header h;
	uint8_t check[8];

	*ret = (struct slot_content){0};
	if (is_zero(from, slot_size))
		return SLOT_EMPTY;
	memcpy(&h, from, sizeof(h));
	if (header_check(&h, check) < 0)
		return SLOT_FAILED;
	if (memcmp(h.magic, magic, sizeof(h.magic)) != 0 ||
	    memcmp(h.check, check, sizeof(check)) != 0)
		return SLOT_DAMAGED;
	ret->sequence = le64toh(h.sequence);
	ret->generation = le64toh(h.generation);
	memcpy(ret->mark, h.mark, sizeof(h.mark));
	if (memcmp(h.store_id, keys->store_id, sizeof(h.store_id)) != 0)
		return SLOT_OTHER_STORE;
	if (memcmp(h.key_id, keys->key_id, sizeof(h.key_id)) != 0)
		return SLOT_OTHER_KEY;
	verdict = open_payload(keys, &h, from, slot_size, &payload);
	if (verdict != SLOT_GOOD)
		return verdict;
	if (le32toh(h.slot) != slot || memcmp(h.account, keys->account, sizeof(h.account)) != 0)
		return SLOT_SWAPPED;
	ret->payload = TAKE_PTR(payload);
	return SLOT_GOOD;
}

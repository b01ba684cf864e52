/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-keyslots.c: the file of key slots, as a disk may give it back, and the operations on one. The first octet chooses:
 *
 *   0  the octets are the file; its plain hash is made right, so that what stands behind that check is reached
 *   1  a sound file is changed at the places that the octets name (offset, two octets; then the new octet), and its
 *      HMAC and hash are made right, as one can who has the key
 *   2  each octet is an operation; what must open the file then opens it, and nothing else does
 */
#include <stdlib.h>
#include <string.h>

#include "tokenstore/keyslots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MAX = 64 };

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static struct secret *
key(uint8_t fill)
{
	struct secret *s = secret_new_zero(MASTER_KEY);

	memset(secret_fill(s), fill, MASTER_KEY);
	return s;
}

static enum keyslots_verdict
open_file(const struct buf *file, uint8_t fill, struct keys *keys)
{
	CLEANUP_SECRET struct secret *k = key(fill);

	return keyslots_open((const uint8_t *)file->data, file->len, k, false, keys);
}

/* A file whose master key, store id and salts are all ones. */
static void
create(struct buf *file)
{
	CLEANUP_SECRET struct secret *k = key('k');
	uint8_t random[KEYSLOTS_RANDOM];

	memset(random, 1, sizeof(random));
	must(keyslots_create(KEYSLOT_KEY_FILE, k, random, 1, file) == 0);
}

static void
read_file(const struct buf *file)
{
	struct keyslot_info infos[KEYSLOTS_MAX];
	unsigned count = 0;
	struct keys keys;
	enum keyslots_verdict listed =
	    keyslots_list((const uint8_t *)file->data, file->len, infos, &count);

	must(listed != KEYSLOTS_GOOD || (count >= 1 && count <= KEYSLOTS_MAX));
	if (open_file(file, 'k', &keys) == KEYSLOTS_GOOD)
		must(listed == KEYSLOTS_GOOD && keys.slot < count && keys.master != NULL);
	else
		must(keys.master == NULL && keys.previous == NULL);
	keyslots_clear(&keys);
}

static void
mend_hash(struct buf *file)
{
	uint8_t *bytes = (uint8_t *)file->data;

	if (file->len > SEAL_HASH)
		must(seal_sha256(bytes, file->len - SEAL_HASH, NULL, 0,
			 bytes + file->len - SEAL_HASH) == 0);
}

static void
mend_hmac(struct buf *file)
{
	uint8_t master[MASTER_KEY], store_id[STORE_ID], hmac_key[SEAL_KEY];
	uint8_t *trailer = (uint8_t *)file->data + file->len - KEYSLOTS_TRAILER;

	memset(master, 1, sizeof(master));
	memset(store_id, 1, sizeof(store_id));
	must(seal_hkdf(master, sizeof(master), store_id, sizeof(store_id), "frank key slots 1",
		 hmac_key, sizeof(hmac_key)) == 0 &&
	     seal_hmac(hmac_key, file->data, file->len - KEYSLOTS_TRAILER, trailer) == 0);
}

static void
change(struct buf *file, const uint8_t *data, size_t size)
{
	for (; size >= 3; data += 3, size -= 3)
		file->data[(size_t)(data[0] << 8 | data[1]) % (file->len - KEYSLOTS_TRAILER)] =
		    (char)data[2];
	mend_hmac(file);
	mend_hash(file);
}

/* `slots` has the key of each slot, as its octet. */
static void
operate(struct buf *file, const uint8_t *data, size_t size)
{
	uint8_t slots[KEYSLOTS_MAX + 1] = {'k'}, random[(KEYSLOTS_MAX + 1) * KEYSLOT_RANDOM] = {0};
	unsigned count = 1;

	for (size_t i = 0; i < size && i < OPERATIONS_MAX; i++) {
		CLEANUP_BUF struct buf next = BUF_INIT(KEYSLOTS_FILE_MAX);
		CLEANUP_SECRET struct secret *more = key((uint8_t)i);
		struct secret *by[KEYSLOTS_MAX] = {NULL};
		unsigned slot = data[i] >> 2;
		struct keys keys;
		int r;

		must(open_file(file, slots[slot % count], &keys) == KEYSLOTS_GOOD);
		random[0] = (uint8_t)i;
		switch (data[i] & 3) {
		case 0:
			r = keyslots_add(file, &keys, KEYSLOT_COMMAND, more, random, i, &next);
			must((r == 0) == (count < KEYSLOTS_MAX));
			if (r == 0)
				slots[count++] = (uint8_t)i;
			break;
		case 1:
			r = keyslots_remove(file, &keys, slot, &next);
			must((r == 0) == (slot < count && count > 1));
			if (r == 0)
				memmove(slots + slot, slots + slot + 1, --count - slot);
			break;
		case 2:
			for (unsigned n = 0; n < count; n++)
				by[n] = key(slots[n]);
			r = keyslots_rotate(
			    file, &keys, more, (const struct secret *const *)by, random, i, &next);
			must((r == 0) == (keys.previous == NULL));
			for (unsigned n = 0; n < count; n++)
				(void)secret_free(by[n]);
			break;
		default:
			r = keyslots_finish(file, &keys, &next);
		}
		keyslots_clear(&keys);
		if (r == 0) {
			buf_clear(file);
			must(buf_append(file, next.data, next.len) == 0);
		}
		must(open_file(file, 'x', &keys) == KEYSLOTS_WRONG_KEY);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf file = BUF_INIT(2 * KEYSLOTS_FILE_MAX);

	if (size < 1 || size > KEYSLOTS_FILE_MAX + 64)
		return 0;
	switch (data[0] % 3) {
	case 0:
		must(buf_append(&file, data + 1, size - 1) == 0);
		read_file(&file);
		mend_hash(&file);
		break;
	case 1:
		create(&file);
		change(&file, data + 1, size - 1);
		break;
	default:
		create(&file);
		operate(&file, data + 1, size - 1);
	}
	read_file(&file);
	return 0;
}

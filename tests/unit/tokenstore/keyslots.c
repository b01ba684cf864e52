/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of tokenstore/keyslots.c and seal.c: the master key opens with its key, and nothing
 * else passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tokenstore/keyslots.h"

static struct secret *
key(uint8_t fill)
{
	struct secret *s = secret_new_zero(32);

	memset(secret_fill(s), fill, 32);
	return s;
}

static void
make(struct buf *file, uint8_t fill)
{
	CLEANUP_SECRET struct secret *k = key(fill);
	uint8_t random[KEYSLOTS_RANDOM];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(keyslots_create(KEYSLOT_KEY_FILE, k, random, 1767225600, file), 0);
}

static enum keyslots_verdict
open_with(const struct buf *file, uint8_t fill, size_t len)
{
	CLEANUP_SECRET struct secret *k = key(fill);
	struct keys keys;
	enum keyslots_verdict v = keyslots_open((const uint8_t *)file->data, len, k, false, &keys);

	keyslots_clear(&keys);
	return v;
}

/* RFC 5869 appendix A.1. */
static void
test_hkdf_vector(void **state)
{
	uint8_t ikm[22], salt[13], okm[42];
	static const uint8_t want[] = {0x7a, 0x27, 0xe9, 0x25, 0x54, 0x35, 0x6a, 0xb5};

	memset(ikm, 0x0b, sizeof(ikm));
	for (uint8_t i = 0; i < sizeof(salt); i++)
		salt[i] = i;
	/* The vector's info holds octets that no text of ours has; that of A.3 (no salt, no info)
	 * pins the rest. */
	assert_int_equal(seal_hkdf(ikm, sizeof(ikm), "", 0, "", okm, sizeof(okm)), 0);
	static const uint8_t want3[] = {
	    0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a};
	assert_memory_equal(okm, want3, sizeof(want3));
	assert_int_equal(seal_hkdf(ikm, sizeof(ikm), salt, sizeof(salt), "x", okm, sizeof(okm)), 0);
	assert_memory_not_equal(okm, want, sizeof(want));
}

static void
test_opens_with_its_key(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	CLEANUP_SECRET struct secret *k = key(1);
	struct keys keys;

	make(&file, 1);
	assert_int_equal(file.len, KEYSLOTS_HEADER + KEYSLOT_SIZE + KEYSLOTS_TRAILER);
	assert_int_equal(
	    keyslots_open((const uint8_t *)file.data, file.len, k, false, &keys), KEYSLOTS_GOOD);
	for (size_t i = 0; i < MASTER_KEY; i++)
		assert_int_equal(secret_bytes(keys.master)[i], (uint8_t)(i * 7 + 1));
	assert_int_equal(keys.store_id[0], (uint8_t)(MASTER_KEY * 7 + 1));
	/* The key itself is nowhere in the clear. */
	assert_null(memmem(file.data, file.len, secret_bytes(keys.master), 8));
	assert_null(memmem(file.data, file.len, secret_bytes(k), 8));
	keyslots_clear(&keys);
}

static void
test_wrong_key_and_damage_are_told_apart(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);

	make(&file, 1);
	assert_int_equal(open_with(&file, 2, file.len), KEYSLOTS_WRONG_KEY);
	for (size_t len = 0; len < file.len; len++)
		assert_int_equal(open_with(&file, 1, len), KEYSLOTS_DAMAGED);
	for (size_t i = 0; i < file.len; i++) {
		file.data[i] ^= 0x20;
		assert_int_equal(open_with(&file, 1, file.len), KEYSLOTS_DAMAGED);
		file.data[i] ^= 0x20;
	}
	assert_int_equal(open_with(&file, 1, file.len), KEYSLOTS_GOOD);
}

static void
rehash(struct buf *file)
{
	uint8_t hash[SEAL_HASH];

	assert_int_equal(seal_sha256(file->data, file->len - SEAL_HASH, NULL, 0, hash), 0);
	memcpy(file->data + file->len - SEAL_HASH, hash, SEAL_HASH);
}

/* Somebody who can compute a plain hash, and no more, is found out whatever octet they change. */
static void
test_forgery(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);

	make(&file, 1);
	for (size_t i = 0; i < file.len - SEAL_HASH; i++) {
		file.data[i] ^= 1;
		rehash(&file);
		assert_int_not_equal(open_with(&file, 1, file.len), KEYSLOTS_GOOD);
		file.data[i] ^= 1;
	}
	file.data[file.len - KEYSLOTS_TRAILER] ^= 1;
	rehash(&file);
	assert_int_equal(open_with(&file, 1, file.len), KEYSLOTS_FORGED);
}

static void
test_short_key_and_names(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	CLEANUP_SECRET struct secret *k = secret_new("fifteen octets!", 15);
	uint8_t random[KEYSLOTS_RANDOM] = {1};

	assert_int_equal(keyslots_create(KEYSLOT_KEY_FILE, k, random, 0, &file), -EINVAL);
	assert_int_equal(keyslot_kind_by_name("credential"), KEYSLOT_CREDENTIAL);
	assert_int_equal(keyslot_kind_by_name("tape"), 0);
}

static struct secret *
passphrase(const char *text)
{
	return secret_new(text, strlen(text));
}

static enum keyslots_verdict
open_secret(const struct buf *file, const struct secret *k, bool is_passphrase, struct keys *keys)
{
	return keyslots_open((const uint8_t *)file->data, file->len, k, is_passphrase, keys);
}

/* A passphrase beside the key, the key taken away, and the last slot that cannot be. */
static void
test_slots_come_and_go(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	struct buf two CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	struct buf one CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	CLEANUP_SECRET struct secret *k = key(1), *word = passphrase("correct horse"),
				     *wrong = passphrase("correct hors"),
				     *brief = passphrase("horse");
	uint8_t random[KEYSLOT_RANDOM] = {7};
	struct keyslot_info infos[KEYSLOTS_MAX];
	struct keys keys, again;
	unsigned count;

	make(&file, 1);
	assert_int_equal(open_secret(&file, k, false, &keys), KEYSLOTS_GOOD);
	assert_int_equal(
	    keyslots_add(&file, &keys, KEYSLOT_PASSPHRASE, brief, random, 5, &two), -EINVAL);
	assert_int_equal(keyslots_add(&file, &keys, KEYSLOT_PASSPHRASE, word, random, 5, &two), 0);
	assert_int_equal(
	    keyslots_list((const uint8_t *)two.data, two.len, infos, &count), KEYSLOTS_GOOD);
	assert_int_equal(count, 2);
	assert_int_equal(infos[1].kind, KEYSLOT_PASSPHRASE);
	assert_int_equal(infos[1].made_at, 5);
	assert_int_equal(open_secret(&two, wrong, true, &again), KEYSLOTS_WRONG_KEY);
	assert_null(again.master);
	assert_int_equal(open_secret(&two, word, false, &again), KEYSLOTS_WRONG_KEY);
	assert_int_equal(open_secret(&two, word, true, &again), KEYSLOTS_GOOD);
	assert_int_equal(again.slot, 1);
	assert_true(secret_equal(again.master, keys.master));
	assert_int_equal(keyslots_match(&two, k, false, 0), 0);
	assert_int_equal(keyslots_match(&two, k, false, 1), -1);

	assert_int_equal(keyslots_remove(&two, &keys, 2, &one), -EINVAL);
	assert_int_equal(keyslots_remove(&two, &keys, 0, &one), 0);
	keyslots_clear(&keys);
	assert_int_equal(open_secret(&one, k, false, &keys), KEYSLOTS_WRONG_KEY);
	assert_int_equal(open_secret(&one, word, true, &keys), KEYSLOTS_GOOD);
	assert_int_equal(keyslots_remove(&one, &again, 0, &two), -EPERM);
	keyslots_clear(&keys);
	keyslots_clear(&again);
}

static void
test_no_more_than_sixteen(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	uint8_t random[KEYSLOT_RANDOM] = {0};
	struct keys keys;

	make(&file, 1);
	assert_int_equal(open_with(&file, 1, file.len), KEYSLOTS_GOOD);
	for (uint8_t i = 1; i <= KEYSLOTS_MAX; i++) {
		struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
		CLEANUP_SECRET struct secret *first = key(1), *k = key((uint8_t)(i + 1));
		int r;

		random[0] = i;
		assert_int_equal(open_secret(&file, first, false, &keys), KEYSLOTS_GOOD);
		r = keyslots_add(&file, &keys, KEYSLOT_KEY_FILE, k, random, 0, &next);
		keyslots_clear(&keys);
		assert_int_equal(r, i == KEYSLOTS_MAX ? -ENOSPC : 0);
		if (r < 0)
			break;
		buf_clear(&file);
		assert_int_equal(buf_append(&file, next.data, next.len), 0);
		assert_int_equal(open_with(&file, (uint8_t)(i + 1), file.len), KEYSLOTS_GOOD);
	}
}

/* A new master key needs what opens each slot, and keeps the one before until told otherwise. */
static void
test_rotation(void **state)
{
	struct buf file CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	struct buf next CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	struct buf end CLEANUP_BUF = BUF_INIT(KEYSLOTS_FILE_MAX);
	CLEANUP_SECRET struct secret *k = key(1), *fresh = key(9);
	const struct secret *by[KEYSLOTS_MAX] = {0};
	uint8_t random[(KEYSLOTS_MAX + 1) * KEYSLOT_RANDOM] = {3};
	struct keys before, after;

	make(&file, 1);
	assert_int_equal(open_secret(&file, k, false, &before), KEYSLOTS_GOOD);
	assert_int_equal(keyslots_rotate(&file, &before, fresh, by, random, 0, &next), -ENOKEY);
	by[0] = k;
	assert_int_equal(keyslots_rotate(&file, &before, fresh, by, random, 0, &next), 0);
	assert_int_equal(open_secret(&next, k, false, &after), KEYSLOTS_GOOD);
	assert_true(secret_equal(after.master, fresh));
	assert_true(secret_equal(after.previous, before.master));
	assert_int_equal(keyslots_rotate(&next, &after, fresh, by, random, 0, &end), -EALREADY);
	for (size_t i = 0; i < next.len - SEAL_HASH; i++) {
		struct keys none;

		next.data[i] ^= 1;
		rehash(&next);
		assert_int_not_equal(open_secret(&next, k, false, &none), KEYSLOTS_GOOD);
		next.data[i] ^= 1;
	}
	rehash(&next);
	assert_int_equal(keyslots_finish(&next, &after, &end), 0);
	keyslots_clear(&after);
	assert_int_equal(open_secret(&end, k, false, &after), KEYSLOTS_GOOD);
	assert_true(secret_equal(after.master, fresh));
	assert_null(after.previous);
	assert_int_equal(end.len, file.len);
	keyslots_clear(&after);
	keyslots_clear(&before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hkdf_vector),
	    cmocka_unit_test(test_opens_with_its_key),
	    cmocka_unit_test(test_wrong_key_and_damage_are_told_apart),
	    cmocka_unit_test(test_forgery),
	    cmocka_unit_test(test_short_key_and_names),
	    cmocka_unit_test(test_slots_come_and_go),
	    cmocka_unit_test(test_no_more_than_sixteen),
	    cmocka_unit_test(test_rotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	CLEANUP_SECRET struct secret *k = key(fill), *master = NULL;
	uint8_t id[STORE_ID];

	return keyslots_open((const uint8_t *)file->data, len, k, &master, id);
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
	CLEANUP_SECRET struct secret *k = key(1), *master = NULL;
	uint8_t id[STORE_ID];

	make(&file, 1);
	assert_int_equal(file.len, KEYSLOTS_HEADER + KEYSLOT_SIZE + KEYSLOTS_TRAILER);
	assert_int_equal(
	    keyslots_open((const uint8_t *)file.data, file.len, k, &master, id), KEYSLOTS_GOOD);
	for (size_t i = 0; i < MASTER_KEY; i++)
		assert_int_equal(secret_bytes(master)[i], (uint8_t)(i * 7 + 1));
	assert_int_equal(id[0], (uint8_t)(MASTER_KEY * 7 + 1));
	/* The key itself is nowhere in the clear. */
	assert_null(memmem(file.data, file.len, secret_bytes(master), 8));
	assert_null(memmem(file.data, file.len, secret_bytes(k), 8));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hkdf_vector),
	    cmocka_unit_test(test_opens_with_its_key),
	    cmocka_unit_test(test_wrong_key_and_damage_are_told_apart),
	    cmocka_unit_test(test_forgery),
	    cmocka_unit_test(test_short_key_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

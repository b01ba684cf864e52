/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of tokenstore/credential.c: what goes in comes out, and nothing else is taken for a
 * record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tokenstore/credential.h"

static struct secret *
sample(void)
{
	struct credential c CLEANUP_CREDENTIAL = {
	    .refresh_token = secret_new("refresh", 7),
	    .previous_token = secret_new("older", 5),
	    .access_token = secret_new("access", 6),
	    .issuer = strdup("https://issuer.example"),
	    .scope = strdup(""),
	    .condition = CREDENTIAL_CLIENT_ERROR,
	    .intent = 1,
	    .access_expires = UINT64_MAX,
	};
	struct secret *packed = NULL;

	assert_int_equal(credential_pack(&c, &packed), 0);
	return packed;
}

static void
test_round_trip(void **state)
{
	CLEANUP_SECRET struct secret *packed = sample();
	struct credential c CLEANUP_CREDENTIAL = {0};

	assert_int_equal(credential_unpack(secret_bytes(packed), secret_len(packed), &c), 0);
	assert_int_equal(secret_len(c.refresh_token), 7);
	assert_memory_equal(secret_bytes(c.refresh_token), "refresh", 7);
	assert_memory_equal(secret_bytes(c.previous_token), "older", 5);
	assert_null(c.password);
	assert_string_equal(c.issuer, "https://issuer.example");
	assert_string_equal(c.scope, "");
	assert_null(c.client_id);
	assert_int_equal(c.intent, 1);
	assert_true(c.access_expires == UINT64_MAX);
	assert_int_equal(c.refreshed_at, 0);
}

static void
test_cut_short(void **state)
{
	CLEANUP_SECRET struct secret *packed = sample();
	unsigned whole = 0;

	for (size_t len = 0; len < secret_len(packed); len++) {
		struct credential c CLEANUP_CREDENTIAL = {0};
		int r = credential_unpack(secret_bytes(packed), len, &c);

		/* Between two fields a record may end; anywhere else it may not. */
		if (r == 0)
			whole++;
		else
			assert_int_equal(r, -EBADMSG);
	}
	assert_int_equal(whole, 8);
}

static void
test_refused(void **state)
{
	static const struct {
		uint8_t bytes[32];
		size_t len;
		int want;
	} cases[] = {
	    {{99, 0, 0, 0, 0, 0, 0, 0}, 8, -ENOTSUP},        /* a field of a later release */
	    {{1, 0, 1, 0, 0, 0, 0, 0}, 8, -EBADMSG},         /* not zero */
	    {{1, 0, 0, 0, 9, 0, 0, 0, 'x'}, 9, -EBADMSG},    /* longer than what is there */
	    {{1, 0, 0, 0, 255, 255, 255, 255}, 8, -EBADMSG}, /* as long as can be */
	    {{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, 16, -EBADMSG}, /* twice */
	    {{16, 0, 0, 0, 2, 0, 0, 0, 'a', 0}, 10, -EBADMSG},                /* NUL in a text */
	    {{33, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0}, 12, -EBADMSG},            /* a short number */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct credential c CLEANUP_CREDENTIAL = {0};

		assert_int_equal(
		    credential_unpack(cases[i].bytes, cases[i].len, &c), cases[i].want);
		assert_null(c.refresh_token);
	}
}

static void
test_too_much(void **state)
{
	struct credential c CLEANUP_CREDENTIAL = {
	    .refresh_token = secret_new_zero(30000),
	    .access_token = secret_new_zero(30000),
	};
	struct secret *packed = NULL;

	assert_int_equal(credential_pack(&c, &packed), -E2BIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_cut_short),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/smtp/sasl.c: published and recomputed vectors, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/smtp/sasl.h"

static int
respond(enum sasl_mechanism m, unsigned step, const char *user, const void *secret, size_t len,
    struct buf *encoded)
{
	CLEANUP_SECRET struct secret *s = secret_new(secret, len);
	CLEANUP_BUF struct buf raw = BUF_INIT_WIPE(16384);
	int r = sasl_response(m, step, user, s, "smtp.example.com", 587, &raw);

	buf_clear(encoded);
	return r < 0 ? r : base64_encode(encoded, raw.data, raw.len);
}

static void
test_vectors(void **state)
{
	static const struct {
		enum sasl_mechanism mechanism;
		unsigned step;
		const char *user, *secret, *encoded;
	} vectors[] = {
	    {SASL_XOAUTH2, 0, "someuser@example.com",
		"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
		"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbG"
		"NrQmhkSFJoZG1se"
		"mRHRXVZMjl0Q2cBAQ=="},
	    {SASL_XOAUTH2, 0, "test@contoso.onmicrosoft.com",
		"EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
		"dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVU"
		"FvN0ozVmUwYmpMQ"
		"ldaV0NjbFJDM0VvQUEBAQ=="},
	    {SASL_OAUTHBEARER, 0, "user@example.com", "mF_9.B5f-4.1JqM",
		"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c210cC5leGFtcGxlLmNvbQFwb3J0PTU4NwFhdXRoPUJlYX"
		"JlciBtRl85LkI1Zi"
		"00LjFKcU0BAQ=="},
	    {SASL_OAUTHBEARER, 0, "a,b=c@example.com", "mF_9.B5f-4.1JqM",
		"bixhPWE9MkNiPTNEY0BleGFtcGxlLmNvbSwBaG9zdD1zbXRwLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dG"
		"g9QmVhcmVyIG1GXz"
		"kuQjVmLTQuMUpxTQEB"},
	    {SASL_PLAIN, 0, "user@example.com", "s3cr,et=1",
		"AHVzZXJAZXhhbXBsZS5jb20AczNjcixldD0x"},
	    {SASL_LOGIN, 0, "user@example.com", "s3cr,et=1", "dXNlckBleGFtcGxlLmNvbQ=="},
	    {SASL_LOGIN, 1, "user@example.com", "s3cr,et=1", "czNjcixldD0x"},
	};
	CLEANUP_BUF struct buf encoded = BUF_INIT_WIPE(32768);

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		assert_int_equal(respond(vectors[i].mechanism, vectors[i].step, vectors[i].user,
				     vectors[i].secret, strlen(vectors[i].secret), &encoded),
		    0);
		assert_string_equal(buf_str(&encoded), vectors[i].encoded);
	}
}

static void
test_what_cannot_be_carried(void **state)
{
	CLEANUP_BUF struct buf encoded = BUF_INIT_WIPE(32768);

	for (unsigned m = SASL_XOAUTH2; m <= SASL_LOGIN; m <<= 1) {
		assert_int_equal(respond(m, 0, "", "x", 1, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "", 0, &encoded), -EINVAL);
		assert_int_equal(
		    respond(m, sasl_response_count(m), "u", "x", 1, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "a\0b", 3, &encoded), -EINVAL);
	}
	for (unsigned m = SASL_XOAUTH2; m <= SASL_OAUTHBEARER; m <<= 1) {
		assert_int_equal(respond(m, 0,
				     "u\x01"
				     "auth=Bearer evil",
				     "x", 1, &encoded),
		    -EINVAL);
		assert_int_equal(respond(m, 0, "u\x7f", "x", 1, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "a\x01", 2, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "a b", 3, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "a\r\n", 3, &encoded), -EINVAL);
		assert_int_equal(respond(m, 0, "u", "\xc3\xa9", 2, &encoded), -EINVAL);
	}
	/* Passwords may hold what tokens may not. */
	assert_int_equal(respond(SASL_PLAIN, 0, "u", "a b\xc3\xa9", 5, &encoded), 0);
	assert_int_equal(respond(SASL_NONE, 0, "u", "x", 1, &encoded), -EINVAL);
}

static void
test_bound(void **state)
{
	CLEANUP_SECRET struct secret *s = secret_new("token", 5);
	CLEANUP_BUF struct buf raw = BUF_INIT_WIPE(16);

	assert_int_equal(
	    sasl_response(SASL_XOAUTH2, 0, "user@example.com", s, "h", 25, &raw), -ENOBUFS);
	assert_int_equal(raw.len, 0);
}

static void
test_names(void **state)
{
	for (unsigned m = SASL_XOAUTH2; m <= SASL_LOGIN; m <<= 1)
		assert_int_equal(
		    sasl_mechanism_by_name(sasl_mechanism_name(m), strlen(sasl_mechanism_name(m))),
		    m);
	assert_int_equal(sasl_mechanism_by_name("xoauth2", 7), SASL_XOAUTH2);
	assert_int_equal(sasl_mechanism_by_name("XOAUTH", 6), SASL_NONE);
	assert_int_equal(sasl_mechanism_by_name("PLAIN-CLIENTTOKEN", 17), SASL_NONE);
	assert_string_equal(sasl_mechanism_name(SASL_NONE), "");
	assert_string_equal(sasl_error_answer(SASL_XOAUTH2), "");
	assert_string_equal(sasl_error_answer(SASL_OAUTHBEARER), "\x01");
	assert_null(sasl_error_answer(SASL_PLAIN));
	assert_null(sasl_error_answer(SASL_LOGIN));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_what_cannot_be_carried),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("smtp/sasl", tests, NULL, NULL);
}

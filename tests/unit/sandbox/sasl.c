/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sasl.c: the server's side of the mechanisms, response by response.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/sasl.h"

static bool
token_good(void *arg, const char *user, const char *token)
{
	return strcmp(user, "a@example.test") == 0 && strcmp(token, "good") == 0;
}

static bool
password_good(void *arg, const char *user, const char *password)
{
	return strcmp(user, "a@example.test") == 0 && strcmp(password, "pass word") == 0;
}

static const struct sasl_checks checks = {token_good, password_good,
    "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail.send\"}"};

#define TEXT(s) s, sizeof(s) - 1

struct one {
	const char *mechanism;
	const char *response;
	size_t len;
	enum sasl_next next;
};

static void
test_one_response(void **state)
{
	static const struct one cases[] = {
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=Bearer good\1\1"), SASL_NEXT_OK},
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=bearer good\1\1"), SASL_NEXT_OK},
	    {"XOAUTH2", TEXT("user=b@example.test\1auth=Bearer good\1\1"), SASL_NEXT_CHALLENGE},
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=Bearer bad\1\1"), SASL_NEXT_CHALLENGE},
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=Bearer good\1"), SASL_NEXT_BAD},
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=Bearer go\0od\1\1"), SASL_NEXT_BAD},
	    {"XOAUTH2", TEXT("auth=Bearer good\1user=a@example.test\1\1"), SASL_NEXT_BAD},
	    {"XOAUTH2", TEXT("user=a@example.test\1auth=Basic good\1\1"), SASL_NEXT_BAD},
	    {"XOAUTH2", TEXT(""), SASL_NEXT_BAD},
	    {"OAUTHBEARER", TEXT("n,a=a@example.test,\1host=h\1port=587\1auth=Bearer good\1\1"),
		SASL_NEXT_OK},
	    {"OAUTHBEARER", TEXT("n,a=a@example.test,\1auth=Bearer good\1\1"), SASL_NEXT_OK},
	    {"OAUTHBEARER", TEXT("n,a=a=2Cb@example.test,\1auth=Bearer good\1\1"),
		SASL_NEXT_CHALLENGE},
	    {"OAUTHBEARER", TEXT("n,a=a=2@example.test,\1auth=Bearer good\1\1"), SASL_NEXT_BAD},
	    {"OAUTHBEARER", TEXT("y,a=a@example.test,\1auth=Bearer good\1\1"), SASL_NEXT_BAD},
	    {"OAUTHBEARER", TEXT("n,a=a@example.test\1auth=Bearer good\1\1"), SASL_NEXT_BAD},
	    {"PLAIN", TEXT("\0a@example.test\0pass word"), SASL_NEXT_OK},
	    {"PLAIN", TEXT("a@example.test\0a@example.test\0pass word"), SASL_NEXT_OK},
	    {"PLAIN", TEXT("b@example.test\0a@example.test\0pass word"), SASL_NEXT_REFUSED},
	    {"PLAIN", TEXT("\0a@example.test\0pass"), SASL_NEXT_REFUSED},
	    {"PLAIN", TEXT("\0a@example.test"), SASL_NEXT_BAD},
	    {"PLAIN", TEXT("\0a@example.test\0pass\0word"), SASL_NEXT_BAD},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sasl_exchange x;
		char *exact =
		    malloc(cases[i].len + 1); /* so that reading beyond is seen by the sanitizer */
		enum sasl_next next;

		assert_non_null(exact);
		memcpy(exact, cases[i].response, cases[i].len);
		assert_true(sasl_exchange_begin(&x, cases[i].mechanism));
		next = sasl_exchange_step(&x, &checks, NULL, exact, cases[i].len);
		free(exact);
		if (next != cases[i].next)
			fail_msg("case %zu: %d instead of %d", i, (int)next, (int)cases[i].next);
	}
}

static void
test_refused_token(void **state)
{
	struct sasl_exchange x;

	assert_true(sasl_exchange_begin(&x, "xoauth2"));
	assert_int_equal(sasl_exchange_step(&x, &checks, NULL, NULL, 0), SASL_NEXT_CHALLENGE);
	assert_string_equal(x.challenge, "");
	assert_int_equal(
	    sasl_exchange_step(&x, &checks, NULL, TEXT("user=a@example.test\1auth=Bearer old\1\1")),
	    SASL_NEXT_CHALLENGE);
	assert_non_null(strstr(x.challenge, "\"status\":\"401\""));
	/* not even the right token helps after the challenge */
	assert_int_equal(sasl_exchange_step(
			     &x, &checks, NULL, TEXT("user=a@example.test\1auth=Bearer good\1\1")),
	    SASL_NEXT_REFUSED);
	assert_int_equal(x.mechanism, SASL_NONE);
}

static void
test_login(void **state)
{
	struct sasl_exchange x;

	assert_true(sasl_exchange_begin(&x, "LOGIN"));
	assert_int_equal(sasl_exchange_step(&x, &checks, NULL, NULL, 0), SASL_NEXT_CHALLENGE);
	assert_string_equal(x.challenge, "Username:");
	assert_int_equal(
	    sasl_exchange_step(&x, &checks, NULL, TEXT("a@example.test")), SASL_NEXT_CHALLENGE);
	assert_string_equal(x.challenge, "Password:");
	assert_int_equal(sasl_exchange_step(&x, &checks, NULL, TEXT("pass word")), SASL_NEXT_OK);
	assert_string_equal(x.user, "a@example.test");
	/* the user name as initial response, then a wrong password */
	assert_true(sasl_exchange_begin(&x, "LOGIN"));
	assert_int_equal(
	    sasl_exchange_step(&x, &checks, NULL, TEXT("a@example.test")), SASL_NEXT_CHALLENGE);
	assert_int_equal(sasl_exchange_step(&x, &checks, NULL, TEXT("word")), SASL_NEXT_REFUSED);
	assert_false(sasl_exchange_begin(&x, "CRAM-MD5"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_response),
	    cmocka_unit_test(test_refused_token),
	    cmocka_unit_test(test_login),
	};

	return cmocka_run_group_tests_name("sandbox-sasl", tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/queue/inbound/login.c and of how broker/queue/inbound/password.c spells a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "broker/queue/inbound/login.h"

#define BYTES(text) text, sizeof(text) - 1

static void
check_plain(const char *response, size_t len, const char *name, const char *password)
{
	struct login l = {0};
	const char *prompt = NULL;
	enum login_step step = login_take(&l, "PLAIN", response, len, &prompt);

	assert_int_equal(step, name == NULL ? LOGIN_BAD : LOGIN_DONE);
	if (name != NULL) {
		assert_string_equal(l.name, name);
		assert_int_equal(secret_len(l.password), strlen(password));
		assert_memory_equal(secret_bytes(l.password), password, strlen(password));
	}
	login_clear(&l);
	assert_null(l.password);
}

static void
test_plain(void **state)
{
	char long_name[300] = "";

	check_plain(BYTES("\0grafana\0secret"), "grafana", "secret");
	check_plain(BYTES("grafana\0grafana\0secret"), "grafana", "secret");
	check_plain(BYTES("root\0grafana\0secret"), NULL, NULL);
	check_plain(BYTES(""), NULL, NULL);
	check_plain(BYTES("\0"), NULL, NULL);
	check_plain(BYTES("\0\0"), NULL, NULL);
	check_plain(BYTES("\0\0secret"), NULL, NULL);
	check_plain(BYTES("\0grafana\0"), NULL, NULL);
	check_plain(BYTES("\0grafana"), NULL, NULL);
	check_plain(BYTES("grafana\0secret"), NULL, NULL);
	check_plain(BYTES("\0grafana\0sec\0ret"), NULL, NULL);
	memset(long_name + 1, 'x', 280);
	memcpy(long_name + 282, "secret", 6);
	check_plain(long_name, 288, NULL, NULL);
}

static void
test_prompts(void **state)
{
	struct login l = {0};
	const char *prompt = NULL;

	assert_int_equal(login_take(&l, "PLAIN", NULL, 0, &prompt), LOGIN_ASK);
	assert_string_equal(prompt, "");
	assert_int_equal(login_take(&l, "PLAIN", NULL, 0, &prompt), LOGIN_BAD);
	login_clear(&l);
	assert_int_equal(login_take(&l, "LOGIN", NULL, 0, &prompt), LOGIN_ASK);
	assert_string_equal(prompt, "Username:");
	assert_int_equal(login_take(&l, "LOGIN", BYTES("grafana"), &prompt), LOGIN_ASK);
	assert_string_equal(prompt, "Password:");
	assert_int_equal(login_take(&l, "LOGIN", BYTES("secret"), &prompt), LOGIN_DONE);
	assert_string_equal(l.name, "grafana");
	assert_memory_equal(secret_bytes(l.password), "secret", 6);
	login_clear(&l);
	/* the name with the command */
	assert_int_equal(login_take(&l, "LOGIN", BYTES("jenkins"), &prompt), LOGIN_ASK);
	assert_string_equal(prompt, "Password:");
	assert_int_equal(login_take(&l, "LOGIN", BYTES(""), &prompt), LOGIN_BAD);
	login_clear(&l);
	assert_int_equal(login_take(&l, "LOGIN", BYTES(""), &prompt), LOGIN_BAD);
	assert_int_equal(login_take(&l, "LOGIN", BYTES("a\0b"), &prompt), LOGIN_BAD);
	login_clear(&l);
}

static void
test_spelling(void **state)
{
	unsigned char bytes[PASSWORD_BITS / 8] = {0};
	char text[PASSWORD_TEXT_LEN + 1], other[PASSWORD_TEXT_LEN + 1];

	login_password_text(bytes, text);
	assert_string_equal(text, "aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaaaaa");
	memset(bytes, 0xff, sizeof(bytes));
	login_password_text(bytes, text);
	assert_string_equal(text, "99999999-99999999-99999999-99999999");
	/* every bit counts, and in its place */
	for (size_t bit = 0; bit < PASSWORD_BITS; bit++) {
		size_t letter = bit / 5;

		memset(bytes, 0, sizeof(bytes));
		login_password_text(bytes, text);
		bytes[bit / 8] = (unsigned char)(0x80 >> bit % 8);
		login_password_text(bytes, other);
		for (size_t i = 0; i < 32; i++)
			assert_int_equal(text[i + i / 8] != other[i + i / 8], i == letter);
	}
	assert_null(strpbrk("abcdefghijkmnpqrstuvwxyz23456789", "lo01"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_prompts),
	    cmocka_unit_test(test_spelling),
	};

	return cmocka_run_group_tests_name("queue/login", tests, NULL, NULL);
}

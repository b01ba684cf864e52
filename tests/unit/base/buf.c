/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/buf.c: the bound, what a failed append leaves behind, and wiping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"

static void
test_text(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1000);
	char *taken;

	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_append_str(&b, "one"), 0);
	assert_int_equal(buf_append_char(&b, ' '), 0);
	assert_int_equal(buf_printf(&b, "%d/%s", 2, "x"), 0);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_string_equal(buf_str(&b), "one 2/x");
	assert_int_equal(b.len, 7);
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "2/x");
	buf_consume(&b, 100);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_append_str(&b, "again"), 0);
	taken = buf_take(&b);
	assert_string_equal(taken, "again");
	free(taken);
	assert_null(b.data);
	taken = buf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
}

static void
test_bound(void **state)
{
	for (size_t max = 0; max < 600; max++) {
		CLEANUP_BUF struct buf b = BUF_INIT(max);

		for (size_t i = 0; i < max; i++)
			assert_int_equal(buf_append_char(&b, 'x'), 0);
		assert_false(b.failed);
		assert_int_equal(buf_append_char(&b, 'y'), -ENOBUFS);
		assert_int_equal(buf_printf(&b, "%s", "zz"), -ENOBUFS);
		assert_true(b.failed);
		assert_int_equal(b.len, max);
		assert_int_equal(strlen(buf_str(&b)), max);
		assert_null(strchr(buf_str(&b), 'y'));
		buf_clear(&b);
		assert_false(b.failed);
		assert_int_equal(b.len, 0);
	}
}

static void
test_absurd_lengths(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT(100), endless = BUF_INIT(SIZE_MAX);

	assert_int_equal(buf_append_str(&b, "x"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -ENOBUFS);
	assert_int_equal(buf_reserve(&endless, 1), -ENOBUFS);
	assert_string_equal(buf_str(&b), "x");
}

static bool
all_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void
test_wipe(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT_WIPE(10000);

	assert_int_equal(buf_append_str(&b, "top secret"), 0);
	buf_consume(&b, 4);
	assert_string_equal(b.data, "secret");
	assert_true(all_zero(b.data + 6, 4));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_append_char(&b, 's'), 0);
	assert_int_equal(b.len, 1006);
	buf_clear(&b);
	assert_true(all_zero(b.data, 1006));
}

static void
test_constant_time_equal(void **state)
{
	assert_true(mem_equal_ct("abc", "abc", 3));
	assert_false(mem_equal_ct("abc", "abd", 3));
	assert_false(mem_equal_ct("xbc", "abc", 3));
	assert_true(mem_equal_ct("a", "b", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_absurd_lengths),
	    cmocka_unit_test(test_wipe),
	    cmocka_unit_test(test_constant_time_equal),
	};

	return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}

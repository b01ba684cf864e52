/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/secret.c: bounds, references, comparison, and what becomes of the pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/secret.h"

static void
test_bytes(void **state)
{
	CLEANUP_SECRET struct secret *s = secret_new("pass\0word", 9), *zero = secret_new_zero(4);
	CLEANUP_SECRET struct secret *empty = secret_new(NULL, 0);

	assert_non_null(s);
	assert_int_equal(secret_len(s), 9);
	assert_memory_equal(secret_bytes(s), "pass\0word", 10);
	assert_memory_equal(secret_bytes(zero), "\0\0\0\0", 5);
	memcpy(secret_fill(zero), "abcd", 4);
	assert_memory_equal(secret_bytes(zero), "abcd", 5);
	assert_int_equal(secret_len(empty), 0);
}

static void
test_bounds(void **state)
{
	CLEANUP_SECRET struct secret *most = secret_new_zero(SECRET_MAX);

	assert_non_null(most);
	assert_int_equal(secret_bytes(most)[SECRET_MAX], 0);
	errno = 0;
	assert_null(secret_new_zero(SECRET_MAX + 1));
	assert_int_equal(errno, EMSGSIZE);
}

static void
test_references(void **state)
{
	struct secret *s = secret_new("x", 1), *again = secret_ref(s);

	assert_ptr_equal(s, again);
	assert_null(secret_free(s));
	assert_int_equal(secret_bytes(again)[0], 'x');
	assert_null(secret_free(again));
	assert_null(secret_free(NULL));
	assert_null(secret_ref(NULL));
}

static void
test_equal(void **state)
{
	CLEANUP_SECRET struct secret *a = secret_new("abc", 3), *b = secret_new("abc", 3),
				     *c = secret_new("abd", 3), *d = secret_new("ab", 2);

	assert_true(secret_equal(a, b));
	assert_false(secret_equal(a, c));
	assert_false(secret_equal(a, d));
	assert_false(secret_equal(a, NULL));
	assert_false(secret_equal(NULL, NULL));
}

static void
test_printable(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool plain, spaces;
	} rows[] = {
	    {"ya29.abc-_~", 11, true, true},
	    {"", 0, true, true},
	    {"pass word", 9, false, true},
	    {"p\xc3\xa4ss", 5, false, true},
	    {"a\nb", 3, false, false},
	    {"a\0b", 3, false, false},
	    {"a\x01", 2, false, false},
	    {"a\x7f", 2, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_SECRET struct secret *s = secret_new(rows[i].bytes, rows[i].len);

		assert_int_equal(secret_is_printable(s, false), rows[i].plain);
		assert_int_equal(secret_is_printable(s, true), rows[i].spaces);
	}
}

/* A child sees zeroes, if it looks at all: MADV_WIPEONFORK. */
static void
test_not_inherited(void **state)
{
	CLEANUP_SECRET struct secret *s = secret_new("hidden", 6);
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(memcmp(secret_bytes(s), "\0\0\0\0\0\0", 6) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_memory_equal(secret_bytes(s), "hidden", 6);
}

/* The pages are left out of core dumps: "dd" among the flags of the mapping (proc(5)). */
static void
test_not_dumped(void **state)
{
	CLEANUP_SECRET struct secret *s = secret_new("hidden", 6);
	uintptr_t at = (uintptr_t)secret_bytes(s);
	FILE *maps = fopen("/proc/self/smaps", "r");
	bool here = false, found = false;
	char line[1024];

	if (maps == NULL)
		skip();
	while (fgets(line, sizeof(line), maps) != NULL) {
		uintptr_t from, to;

		if (sscanf(line, "%lx-%lx ", (unsigned long *)&from, (unsigned long *)&to) == 2)
			here = at >= from && at < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL && strstr(line, " wf") != NULL;
	}
	(void)fclose(maps);
	assert_true(found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_printable),
	    cmocka_unit_test(test_not_inherited),
	    cmocka_unit_test(test_not_dumped),
	};

	return cmocka_run_group_tests_name("base/secret", tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/dkim.c: keys out of DKIM-Signature fields as signers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/message/dkim.h"

static void
test_fields(void **state)
{
	static const struct {
		const char *value, *list;
	} rows[] = {
	    /* RFC 6376 section 3.5, its example */
	    {" v=1; a=rsa-sha256; d=example.net; s=brisbane;\r\n c=simple; q=dns/txt; "
	     "i=@eng.example.net;\r\n h=from:to:subject:date; bh=MTIz; b=dzdVyOfA",
		"brisbane example.net\n"},
	    {"v=1;s=a.b;d=E.com", "a.b E.com\n"},
	    {"v=1; d = example.com ;\r\n\ts =\r\n sel_1-x; b=d=no.example;s=no",
		"sel_1-x example.com\n"},
	    {"dd=no.example; sx=no; d=example.com; s=x", "x example.com\n"},
	    {"d=example.com; s=", ""},
	    {"d=example.com", ""},
	    {"s=x", ""},
	    {"s=x y; d=a", "xy a\n"}, /* white space is of folds */
	    {"s=x\"; d=example.com", ""},
	    {"s=x; d=example.com\n", "x example.com\n"},
	    {"s=x; d=\xc3\xbc.example", ""},
	    {"", ""},
	    {";;;=;s;d", ""},
	    {"s", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].value);
		/* exactly as long, so that a sanitizer sees the octet behind it */
		char *value = malloc(len + (len == 0)), list[DKIM_LIST] = "";

		memcpy(value, rows[i].value, len);
		dkim_read(value, len, list);
		assert_string_equal(list, rows[i].list);
		free(value);
	}
}

static void
test_long_names(void **state)
{
	char value[3 * DKIM_NAME_MAX], list[DKIM_LIST] = "", name[DKIM_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[DKIM_NAME_MAX] = '\0';
	for (size_t i = 0; i < DKIM_KEYS_MAX + 2; i++) {
		name[0] = (char)('a' + i);
		(void)snprintf(value, sizeof(value), "d=%s;s=%s", name, name);
		dkim_read(value, strlen(value), list);
	}
	assert_int_equal(strlen(list), DKIM_LIST - 1);
	name[DKIM_NAME_MAX] = 'a';
	name[DKIM_NAME_MAX + 1] = '\0';
	(void)snprintf(value, sizeof(value), "d=x;s=%s", name);
	list[0] = '\0';
	dkim_read(value, strlen(value), list);
	assert_string_equal(list, "");
}

static void
test_merge(void **state)
{
	char list[DKIM_LIST] = "";

	assert_false(dkim_merge(list, ""));
	assert_true(dkim_merge(list, "a x\nb x\n"));
	assert_string_equal(list, "a x\nb x\n");
	assert_false(dkim_merge(list, "b x\n")); /* known: only the order changes */
	assert_string_equal(list, "b x\na x\n");
	assert_true(dkim_merge(list, "c x\nd x\ne x\n"));
	assert_string_equal(list, "c x\nd x\ne x\nb x\n");
	assert_false(dkim_merge(list, "e x")); /* without its line end */
	assert_string_equal(list, "e x\nc x\nd x\nb x\n");
}

static void
test_names(void **state)
{
	static const char one[] = " v=1; a=rsa-sha256; h=From : to:\r\n\tSubject::; b=h=x",
			  two[] = "h=Date";
	struct dkim_names n = {0};

	assert_false(dkim_names_have(&n, "From", 4));
	assert_int_equal(dkim_names_add(&n, one, strlen(one)), 0);
	assert_int_equal(dkim_names_add(&n, two, strlen(two)), 0);
	dkim_names_sort(&n);
	assert_true(dkim_names_have(&n, "FROM", 4));
	assert_true(dkim_names_have(&n, "to", 2));
	assert_true(dkim_names_have(&n, "Subject", 7));
	assert_true(dkim_names_have(&n, "date", 4));
	assert_false(dkim_names_have(&n, "x", 1));
	assert_false(dkim_names_have(&n, "Dat", 3));
	assert_false(dkim_names_have(&n, "", 0));
	/* what does not say which may mean all */
	assert_int_equal(dkim_names_add(&n, "v=1", 3), 0);
	dkim_names_sort(&n);
	assert_true(dkim_names_have(&n, "x", 1));
	dkim_names_clear(&n);
	assert_false(dkim_names_have(&n, "x", 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_merge),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("queue/dkim", tests, NULL, NULL);
}

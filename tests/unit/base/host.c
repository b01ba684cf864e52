/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/host.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/host.h"

static void
test_what_is_this_machine(void **state)
{
	static const struct {
		const char *host;
		bool localhost, loopback;
	} cases[] = {
	    {"localhost", true, true},
	    {"LocalHost", true, true},
	    {"localhost.", true, true},
	    {"mail.localhost", true, true},
	    {"a.b.LOCALHOST.", true, true},
	    {"127.0.0.1", false, true},
	    {"127.254.3.2", false, true},
	    {"::1", false, true},
	    {"0:0:0:0:0:0:0:1", false, true},
	    {"", false, false},
	    {".", false, false},
	    {"localhos", false, false},
	    {"notlocalhost", false, false},
	    {"localhost.example.org", false, false},
	    {"localhost..", false, false},
	    {"localhost.localdomain", false, false},
	    {"127.example.org", false, false},
	    {"127.0.0.1.example.org", false, false},
	    {"128.0.0.1", false, false},
	    {"::2", false, false},
	    {"::ffff:192.0.2.1", false, false},
	    {"[::1]", false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%s\n", cases[i].host);
		assert_int_equal(host_is_localhost(cases[i].host), cases[i].localhost);
		assert_int_equal(host_is_loopback(cases[i].host), cases[i].loopback);
	}
}

static void
test_what_does_not_exist(void **state)
{
	assert_true(host_is_invalid("invalid"));
	assert_true(host_is_invalid("smtp.Invalid."));
	assert_false(host_is_invalid("invalid.example.org"));
	assert_false(host_is_invalid("notinvalid"));
	assert_false(host_is_invalid(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_this_machine),
	    cmocka_unit_test(test_what_does_not_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

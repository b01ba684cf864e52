/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * environment.c: options from the environment.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "sandbox/environment.h"

static const struct option options[] = {
    {"account", required_argument, NULL, 1},
    {"submission-port", required_argument, NULL, 2},
    {"no-rotation", no_argument, NULL, 3},
    {NULL, 0, NULL, 0},
};

static int
run(const char *const *environment, struct buf *out)
{
	static const char *const several[] = {"account", NULL};
	static char *const argv[] = {
	    (char *)"sandbox", (char *)"--submission-port", (char *)"2", NULL};
	const char *wrong = NULL;
	char **arguments = NULL;
	int count = 0, r = environment_arguments((char *const *)environment, options, several, 3,
			   argv, &arguments, &count, &wrong);

	buf_clear(out);
	if (r < 0) {
		(void)buf_append_str(out, wrong);
		return r;
	}
	for (int i = 0; i < count; i++)
		(void)buf_printf(out, "%s|", arguments[i]);
	assert_null(arguments[count]);
	environment_free(arguments);
	return r;
}

static void
test_options(void **state)
{
	struct buf out CLEANUP_BUF = BUF_INIT(4096);

	assert_int_equal(run((const char *const[]){"PATH=/bin", "FRANK_SANDBOX=x", NULL}, &out), 0);
	assert_string_equal(buf_str(&out), "sandbox|--submission-port|2|");
	assert_int_equal(run((const char *const[]){"FRANK_SANDBOX_SUBMISSION_PORT=587",
				 "FRANK_SANDBOX_ACCOUNT= a@b  c@d:/run/f ",
				 "FRANK_SANDBOX_NO_ROTATION=yes", NULL},
			     &out),
	    0);
	assert_string_equal(buf_str(&out), "sandbox|--submission-port=587|--account=a@b|--account="
					   "c@d:/run/f|--no-rotation|--submission-port|2|");
	assert_int_equal(run((const char *const[]){"FRANK_SANDBOX_SUBMISSION_PORT=",
				 "FRANK_SANDBOX_NO_ROTATION=0", NULL},
			     &out),
	    0);
	assert_string_equal(buf_str(&out), "sandbox|--submission-port|2|");
	assert_int_equal(
	    run((const char *const[]){"FRANK_SANDBOX_NO_ROTATION=maybe", NULL}, &out), -EINVAL);
	assert_int_equal(
	    run((const char *const[]){"FRANK_SANDBOX_ACCOUNTS=a@b", NULL}, &out), -EINVAL);
	assert_string_equal(buf_str(&out), "FRANK_SANDBOX_ACCOUNTS=a@b");
	assert_int_equal(
	    run((const char *const[]){"FRANK_SANDBOX_submission_port=1", NULL}, &out), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_options)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

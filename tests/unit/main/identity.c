/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.h: a user database that does not answer is told from one that says "there is no such
 * user": the second has a role run as the state folder's owner, the first must not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/main/identity.h"

/* What the database answers next. */
static struct {
	int error;
	bool found;
	size_t wants; /* octets of room */
} answer;

uid_t __wrap_geteuid(void);
int __wrap_getpwnam_r(
    const char *name, struct passwd *row, char *room, size_t size, struct passwd **ret);

uid_t
__wrap_geteuid(void)
{
	return 0;
}

int
__wrap_getpwnam_r(
    const char *name, struct passwd *row, char *room, size_t size, struct passwd **ret)
{
	*ret = NULL;
	if (size < answer.wants)
		return ERANGE;
	if (answer.found) {
		*row = (struct passwd){.pw_uid = 1001, .pw_gid = 1002};
		*ret = row;
	}
	return answer.error;
}

static const struct identity owner = {.uid = 55, .gid = 56};

static void
test_found(void **state)
{
	struct identity who;

	answer.error = 0;
	answer.found = true;
	for (answer.wants = 0; answer.wants < 100000; answer.wants += 20000) {
		assert_int_equal(identity_of(ROLE_KEEPER, false, &owner, &who), 0);
		assert_int_equal(who.uid, 1001);
		assert_int_equal(who.gid, 1002);
		assert_true(who.drop);
	}
}

static void
test_absent(void **state)
{
	static const int errors[] = {0, ENOENT, ESRCH};
	struct identity who;

	answer.found = false;
	answer.wants = 0;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		answer.error = errors[i];
		assert_int_equal(identity_of(ROLE_KEEPER, false, &owner, &who), 0);
		assert_int_equal(who.uid, 55);
		assert_true(who.drop);
	}
}

static void
test_no_answer(void **state)
{
	static const int errors[] = {EIO, EMFILE, ENOMEM, EAGAIN};
	struct identity who;

	answer.found = false;
	answer.wants = 0;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		answer.error = errors[i];
		assert_int_equal(identity_of(ROLE_KEEPER, false, &owner, &who), -errors[i]);
	}
}

static void
test_one_user(void **state)
{
	struct identity who;

	answer.error = EIO;
	assert_int_equal(identity_of(ROLE_KEEPER, true, &owner, &who), 0);
	assert_false(who.drop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_one_user),
	};

	return cmocka_run_group_tests_name("main/identity", tests, NULL, NULL);
}

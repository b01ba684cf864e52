/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * late-user.c: a user database in which "late-user" is known from when the file that $FRANK_TEST_LATE names is there, as where a
 * directory server answers late. For a frankd that is linked with --wrap=getpwnam.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);

struct passwd *
__wrap_getpwnam(const char *name)
{
	const char *file = secure_getenv("FRANK_TEST_LATE");

	if (strcmp(name, "late-user") != 0)
		return __real_getpwnam(name);
	return file != NULL && access(file, F_OK) == 0 ? __real_getpwnam("nobody") : NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.c: see program.h. */
#include "admin/program.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

int
program_become(
    const struct cli *cli, const char *name, const char *built, const char *const *arguments)
{
	char path[PATH_MAX] = "";
	const char *argv[PROGRAM_ARGUMENTS_MAX + 2] = {name};
	char *const *given = (char *const *)(uintptr_t)argv;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) / 2);
	char *slash;

	for (size_t i = 0; i < PROGRAM_ARGUMENTS_MAX && arguments[i] != NULL; i++)
		argv[i + 1] = arguments[i];
	path[len < 0 ? 0 : len] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		(void)snprintf(
		    slash, sizeof(path) - (size_t)(slash - path), "/../%s/%s", built, name);
	(void)fflush(stdout);
	if (slash != NULL)
		(void)execv(path, given);
	(void)snprintf(path, sizeof(path), "%s/%s", FRANK_LIBEXEC_DIR, name);
	(void)execv(path, given);
	return cli_fail(cli, EX_OSFILE, "install Frank whole", "%s: %s", path, strerror(errno));
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.c: see program.h. */
#include "admin/program.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

int
program_become(const struct cli *cli, const char *name, const char *built, const char *argument)
{
	char path[PATH_MAX] = "", own_name[64], own_argument[PATH_MAX];
	char *const argv[] = {own_name, own_argument, NULL};
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) / 2);
	char *slash;

	(void)snprintf(own_name, sizeof(own_name), "%s", name);
	if ((size_t)snprintf(own_argument, sizeof(own_argument), "%s", argument) >=
	    sizeof(own_argument))
		return cli_fail(cli, EX_USAGE, NULL, "an argument is too long");
	path[len < 0 ? 0 : len] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		(void)snprintf(
		    slash, sizeof(path) - (size_t)(slash - path), "/../%s/%s", built, name);
	(void)fflush(stdout);
	if (slash != NULL)
		(void)execv(path, argv);
	(void)snprintf(path, sizeof(path), "%s/%s", FRANK_LIBEXEC_DIR, name);
	(void)execv(path, argv);
	return cli_fail(cli, EX_OSFILE, "install Frank whole", "%s: %s", path, strerror(errno));
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.c: see program.h. */
#include "admin/program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

void
program_find(char ret[PATH_MAX], const char *name, const char *built, const char *installed)
{
	char here[PATH_MAX / 2];
	ssize_t len = readlink("/proc/self/exe", here, sizeof(here));

	while (len > 0 && here[len - 1] != '/')
		len--;
	(void)snprintf(ret, PATH_MAX, "%.*s../%s/%s", len < 0 ? 0 : (int)len, here, built, name);
	if (len <= 0 || access(ret, X_OK) < 0)
		(void)snprintf(ret, PATH_MAX, "%s/%s", installed, name);
}

int
program_become(
    const struct cli *cli, const char *name, const char *built, const char *const *arguments)
{
	char path[PATH_MAX];
	const char *argv[PROGRAM_ARGUMENTS_MAX + 2] = {name};

	for (size_t i = 0; i < PROGRAM_ARGUMENTS_MAX && arguments[i] != NULL; i++)
		argv[i + 1] = arguments[i];
	program_find(path, name, built, FRANK_LIBEXEC_DIR);
	(void)fflush(stdout);
	(void)execv(path, (char *const *)argv);
	return cli_fail(cli, EX_OSFILE, "install Frank whole", "%s: %s", path, strerror(errno));
}

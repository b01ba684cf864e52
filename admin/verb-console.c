/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verb-console.c: `frank console`: a page, served by a program of its own with the rights of the caller. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "admin/program.h"
#include "admin/verbs.h"

int
verb_console(const struct cli *cli, const struct arguments *args)
{
	const char *where = args->values[OPTION_LISTEN];
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	const char *arguments[] = {own, where != NULL ? where : "127.0.0.1:0",
	    arguments_has(args, OPTION_NO_BROWSER) ? "no-browser" : "browser", NULL};

	if (len < 0)
		return cli_fail(cli, EX_OSERR, NULL, "/proc/self/exe: %s", strerror(errno));
	own[len] = '\0';
	return program_become(cli, "frank-console", "console", arguments);
}

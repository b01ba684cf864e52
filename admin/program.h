/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.h: the other programs of Frank, which frank becomes or starts, so that what they link costs nobody else. */
#ifndef FRANK_ADMIN_PROGRAM_H
#define FRANK_ADMIN_PROGRAM_H

#include <limits.h>

#include "admin/cli.h"

enum { PROGRAM_ARGUMENTS_MAX = 4 };

/* The path of the program `name`: in the folder `built` of the build that this program is of, or else in `installed`. */
void program_find(char ret[PATH_MAX], const char *name, const char *built, const char *installed);

/* Becomes the program `name`, found as above, installed in Frank's folder below libexec.
 * `arguments` ends with NULL, and has at most PROGRAM_ARGUMENTS_MAX. Returns only where that fails: the exit status, after saying why. */
int program_become(
    const struct cli *cli, const char *name, const char *built, const char *const *arguments);

#endif

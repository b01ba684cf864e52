/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.h: programs that frank becomes, so that what they link costs nobody else. */
#ifndef FRANK_ADMIN_PROGRAM_H
#define FRANK_ADMIN_PROGRAM_H

#include "admin/cli.h"

enum { PROGRAM_ARGUMENTS_MAX = 4 };

/* Becomes the program `name`, which is in Frank's folder below libexec, or in the folder `built` of the build that this program is of.
 * `arguments` ends with NULL, and has at most PROGRAM_ARGUMENTS_MAX. Returns only where that fails: the exit status, after saying why. */
int program_become(
    const struct cli *cli, const char *name, const char *built, const char *const *arguments);

#endif

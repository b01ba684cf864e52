/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* program.h: programs that frank becomes, so that what they link costs nobody else. */
#ifndef FRANK_ADMIN_PROGRAM_H
#define FRANK_ADMIN_PROGRAM_H

#include "admin/cli.h"

/* Becomes the program `name`, which is in Frank's folder below libexec, or in the folder `built` of the build that this program is of.
 * `argument` is its only argument. Returns only where that fails: the exit status, after saying why. */
int program_become(
    const struct cli *cli, const char *name, const char *built, const char *argument);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * landlock.h: the step of confine.c that governs files. Needs no_new_privs.
 */
#ifndef FRANK_BROKER_ROLE_LANDLOCK_H
#define FRANK_BROKER_ROLE_LANDLOCK_H

#include <stddef.h>

/* Leaves the process the files that `rights` and `dirs` (borrowed) name. 0, also where the kernel
 * has no Landlock; negative errno. */
int landlock_confine(unsigned rights, const int *dirs, size_t count);

#endif

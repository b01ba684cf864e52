/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * syscalls.h: the step of confine.c that governs system calls. Needs no_new_privs.
 */
#ifndef FRANK_BROKER_ROLE_SYSCALLS_H
#define FRANK_BROKER_ROLE_SYSCALLS_H

/* Leaves the process the system calls that `rights` name. 0; negative errno, -EOPNOTSUPP where this
 * build has no libseccomp. */
int syscalls_confine(unsigned rights);

#endif

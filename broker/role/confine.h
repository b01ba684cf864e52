/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * confine.h: takes from a process, for good, whatever its role does not need.
 *
 * In this order: no core files and no debugger, no new privileges, no capabilities, Landlock for
 * files and TCP ports, and seccomp for everything else. Landlock can only be narrowed later, so the
 * directories must be open by then.
 *
 * A system call that a role does not need fails with EPERM and is logged by the kernel's audit; one
 * that only an intruder makes (execve, ptrace, mount, ...) kills the process. Executable memory is
 * refused.
 */
#ifndef FRANK_BROKER_ROLE_CONFINE_H
#define FRANK_BROKER_ROLE_CONFINE_H

#include <stddef.h>

#include "broker/ipc/message.h"

/* What a role may touch; everything else is refused. */
enum role_right {
	ROLE_MAY_CONNECT = 1 << 0,     /* make and connect Internet sockets; resolve names */
	ROLE_MAY_ACCEPT = 1 << 1,      /* accept on sockets handed to it */
	ROLE_MAY_WRITE_STATE = 1 << 2, /* files below the directories handed to it */
	ROLE_MAY_THREAD = 1 << 3,      /* libcurl's resolver */
	ROLE_MAY_READ_ETC = 1 << 4,    /* resolv.conf, hosts, nsswitch.conf, CA certificates */
};

/* The one table of rights: enum role_right of each role; 0 for a role that is no confined process.
 */
unsigned role_rights(enum role_id role);

/*
 * Makes the calling process undumpable and forbids it core files and new privileges: what needs no
 * knowledge of the role, and is done first. 0 or negative errno.
 */
int confine_early(void);

/*
 * Confines the calling process, which has one thread, to `rights` and to the `dirs` (borrowed). 0;
 * negative errno with the step that failed in *ret_step (a constant string): the process must then
 * end. A kernel without Landlock is no error.
 */
int confine(unsigned rights, const int *dirs, size_t count, const char **ret_step);

/* The version of the kernel's Landlock; 0 where there is none. */
int confine_landlock_version(void);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * host.h: host names and addresses that mean this machine.
 */
#ifndef FRANK_BASE_HOST_H
#define FRANK_BASE_HOST_H

#include <stdbool.h>

/* Is `name` localhost, or a name below it? Such a name is loopback always, and nobody is asked about it
 * (RFC 6761 section 6.3). Letter case and a dot at the end do not matter. */
bool host_is_localhost(const char *name);

/* Is `name` invalid, or a name below it? Such a name does not exist, and nobody is asked about it
 * (section 6.4). */
bool host_is_invalid(const char *name);

/* Is `host` loopback: such a name as host_is_localhost takes, or an address in 127.0.0.0/8 or ::1, without
 * brackets? */
bool host_is_loopback(const char *host);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* start.h: starts frankd by the system's service manager. */
#ifndef FRANK_ADMIN_START_H
#define FRANK_ADMIN_START_H

#include <stdbool.h>

/*
 * Does systemd run this system with a unit for frankd, and may the caller start it? Only root may
 * without being asked for a password.
 */
bool start_is_possible(void);

/*
 * Starts frankd now and at each boot, and waits until it is ready or has failed; systemd's own time
 * limit for the start of a unit bounds that (TimeoutStartSec). What systemctl says goes to standard error. 0;
 * -ECHILD where it did not start; another negative errno where systemctl could not be run.
 */
int start_frankd(void);

#endif

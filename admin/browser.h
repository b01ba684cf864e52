/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * browser.h: opens the sign-in's address in the person's browser.
 *
 * The browser is never started as root. Under sudo it is started as the person who called sudo
 * (SUDO_UID), with an environment made for them. Root without sudo gets no browser, and the caller
 * prints the address.
 */
#ifndef FRANK_ADMIN_BROWSER_H
#define FRANK_ADMIN_BROWSER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is there a desktop (X11 or Wayland) on which a user other than root could open a browser? */
bool browser_is_there(void);

/* Lists the users whose browser may connect: this process's user, and under sudo or pkexec the person
 * who called it. At most `max`; returns how many. */
size_t browser_users(uid_t *ret, size_t max);

/*
 * Starts xdg-open and returns its process id, or negative errno. The address is in its arguments,
 * where other users can see the state and the challenge while it runs. Neither is enough to finish a
 * sign-in: the code comes back to this process only, works once, and only together with the verifier,
 * which never leaves the keeper (RFC 7636).
 */
pid_t browser_open(char *url);

/* Has xdg-open failed by now? Reaps the process if it has ended. */
bool browser_failed(pid_t pid);

#endif

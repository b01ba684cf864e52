/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * browser.h: opens the sign-in's address in the person's browser.
 *
 * The browser is never started as root. Under sudo it is started as the person who called sudo
 * (SUDO_UID), with an environment made for them; as root otherwise there is none to start, and the
 * caller prints the address.
 */
#ifndef FRANK_ADMIN_BROWSER_H
#define FRANK_ADMIN_BROWSER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is there a desktop (X11 or Wayland) on which a browser could be opened as somebody else than root? */
bool browser_is_there(void);

/* The users whose browser may come back: this process's, and under sudo or pkexec the person's who
 * called it. At most `max`; returns how many. */
size_t browser_users(uid_t *ret, size_t max);

/*
 * Starts xdg-open and returns its process id, or negative errno. The address is in its arguments,
 * where other users can see it while it runs: they see the state and a challenge. Neither ends a
 * sign-in: the code comes back to this process alone, works once, and only together with the
 * verifier that never left the keeper (RFC 7636).
 */
pid_t browser_open(char *url);

/* Has it ended by now without opening anything? Reaps it where it has ended. */
bool browser_failed(pid_t pid);

#endif

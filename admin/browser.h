/*
 * browser.h: opens the sign-in's address in the person's browser.
 */
#ifndef FRANK_ADMIN_BROWSER_H
#define FRANK_ADMIN_BROWSER_H

#include <stdbool.h>
#include <sys/types.h>

/* Is there a desktop (X11 or Wayland) that a browser could open on? */
bool browser_is_there(void);

/*
 * Starts xdg-open and returns its process id, or negative errno. The address is in its arguments,
 * where other users can see it while it runs: they see the state and a challenge. Neither ends a
 * sign-in: the code comes back to this process alone, works once, and only together with the
 * verifier that never left the keeper (RFC 7636).
 */
pid_t browser_open(const char *url);

/* Has it ended by now without opening anything? Reaps it where it has ended. */
bool browser_failed(pid_t pid);

#endif

/*
 * host.h: host names and addresses that mean this machine.
 */
#ifndef FRANK_BASE_HOST_H
#define FRANK_BASE_HOST_H

#include <stdbool.h>

/* Is `name` localhost, or a name below it? Such a name is loopback always, and nobody is asked about it
 * (RFC 6761 section 6.3). Letter case and a dot at the end do not matter. */
bool host_is_localhost(const char *name);

/* Is `host` such a name, or an address of the loopback network: 127.0.0.0/8 or ::1, without brackets? */
bool host_is_loopback(const char *host);

#endif

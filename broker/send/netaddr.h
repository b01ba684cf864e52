/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * netaddr.h: the network address of a server: IPv4 or IPv6, with a port.
 */
#ifndef FRANK_BROKER_SEND_NETADDR_H
#define FRANK_BROKER_SEND_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct netaddr {
	struct sockaddr_storage sockaddr;
	socklen_t len;
};

void netaddr_set_port(struct netaddr *a, unsigned port);

/* "192.0.2.1" or "2001:db8::1", without the port; cut at `size`. */
void netaddr_text(const struct netaddr *a, char *to, size_t size);

/* Is it in 127.0.0.0/8, or ::1? */
bool netaddr_is_loopback(const struct netaddr *a);

/* A non-blocking TCP socket that connects to `a`, or has connected already: poll for writing, then read
 * SO_ERROR. The caller's. Negative errno where it failed at once. */
int netaddr_connect(const struct netaddr *a);

/*
 * The name for EHLO on a connection from `own` (RFC 5321 section 4.1.1.1): `hostname` where it is a
 * fully qualified name of letters, digits and hyphens; else the address literal (section 4.1.3), an IPv6
 * address in full: some servers refuse "[IPv6:::1]", which holds a run of three colons. NULL is no name.
 */
void netaddr_ehlo_name(const struct netaddr *own, const char *hostname, char *to, size_t size);

#endif

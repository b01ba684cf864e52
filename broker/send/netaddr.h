/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * netaddr.h: the network address of a server: IPv4 or IPv6, with a port.
 */
#ifndef FRANK_BROKER_SEND_NETADDR_H
#define FRANK_BROKER_SEND_NETADDR_H

#include <stdbool.h>
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

#endif

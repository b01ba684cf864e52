/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* netaddr.c: see netaddr.h. */
#include "broker/send/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

void
netaddr_set_port(struct netaddr *a, unsigned port)
{
	if (a->sockaddr.ss_family == AF_INET)
		((struct sockaddr_in *)&a->sockaddr)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)&a->sockaddr)->sin6_port = htons((uint16_t)port);
}

void
netaddr_text(const struct netaddr *a, char *to, size_t size)
{
	const void *bits =
	    a->sockaddr.ss_family == AF_INET
		? (const void *)&((const struct sockaddr_in *)&a->sockaddr)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)&a->sockaddr)->sin6_addr;

	if (inet_ntop(a->sockaddr.ss_family, bits, to, (socklen_t)size) == NULL)
		(void)snprintf(to, size, "?");
}

bool
netaddr_is_loopback(const struct netaddr *a)
{
	if (a->sockaddr.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sockaddr;

		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (a->sockaddr.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sockaddr;

		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	return false;
}

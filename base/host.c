/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* host.c: see host.h. */
#include "base/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* Is `name` this domain, or a name below it? */
static bool
is_within(const char *name, const char *domain)
{
	size_t len = strlen(name), n = strlen(domain);

	if (len > 0 && name[len - 1] == '.')
		len--;
	return len >= n && strncasecmp(name + len - n, domain, n) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

bool
host_is_localhost(const char *name)
{
	return is_within(name, "localhost");
}

bool
host_is_invalid(const char *name)
{
	return is_within(name, "invalid");
}

bool
host_is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return host_is_localhost(host);
}

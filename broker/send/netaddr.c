/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* netaddr.c: see netaddr.h. */
#include "broker/send/netaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int
netaddr_connect(const struct netaddr *a)
{
	int one = 1, error,
	    fd = socket(a->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Output is gathered before it is written, so holding it back (RFC 896) only costs time. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&a->sockaddr, a->len) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	(void)close(fd);
	return -error;
}

/* ---- EHLO ---- */

/* Labels of letters, digits and inner hyphens, two at least (RFC 5321 section 4.1.2); a last label of
 * digits alone belongs to an address. */
static bool
is_fqdn(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
			  digits[] = "0123456789";
	const char *label = name;
	size_t len = 0;

	for (unsigned n = 0;; n++) {
		len = strcspn(label, ".");
		if (len == 0 || len > 63 || label[0] == '-' || label[len - 1] == '-')
			return false;
		for (size_t i = 0; i < len; i++)
			if (label[i] != '-' && strchr(letters, label[i]) == NULL &&
			    strchr(digits, label[i]) == NULL)
				return false;
		if (label[len] == '\0')
			return n > 0 && strspn(label, digits) < len;
		label += len + 1;
	}
}

void
netaddr_ehlo_name(const struct netaddr *own, const char *hostname, char *to, size_t size)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&own->sockaddr;
	const uint8_t *a = six->sin6_addr.s6_addr;
	char text[64];

	if (hostname != NULL && is_fqdn(hostname)) {
		(void)snprintf(to, size, "%s", hostname);
	} else if (own->sockaddr.ss_family != AF_INET6) {
		netaddr_text(own, text, sizeof(text));
		(void)snprintf(to, size, "[%s]", text);
	} else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		(void)snprintf(to, size, "[%u.%u.%u.%u]", a[12], a[13], a[14], a[15]);
	} else {
		int n = snprintf(to, size, "[IPv6");

		for (size_t i = 0; i < 16 && n > 0 && (size_t)n < size; i += 2)
			n += snprintf(to + n, size - (size_t)n, ":%x", a[i] << 8 | a[i + 1]);
		if (n > 0 && (size_t)n < size)
			(void)snprintf(to + n, size - (size_t)n, "]");
	}
}

/* host.c: see host.h. */
#include "base/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool
host_is_localhost(const char *name)
{
	static const char top[] = "localhost";
	const size_t n = sizeof(top) - 1;
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		len--;
	return len >= n && strncasecmp(name + len - n, top, n) == 0 &&
	       (len == n || name[len - n - 1] == '.');
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

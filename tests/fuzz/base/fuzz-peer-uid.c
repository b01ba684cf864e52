/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-peer-uid: what claims to be the kernel's answer about a connection (base/peer-uid.h). The
 * first octet chooses the family of the question. A uid comes only out of an answer about that very
 * connection. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* with its inside: what is asked and answered */
#include "base/peer-uid.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_storage
end_at(int family, uint16_t port)
{
	struct sockaddr_storage a = {.ss_family = (sa_family_t)family};

	if (family == AF_INET) {
		((struct sockaddr_in *)&a)->sin_port = htons(port);
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		((struct sockaddr_in6 *)&a)->sin6_port = htons(port);
		((struct sockaddr_in6 *)&a)->sin6_addr = in6addr_loopback;
	}
	return a;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int family = size > 0 && (data[0] & 1) != 0 ? AF_INET6 : AF_INET;
	struct sockaddr_storage from = end_at(family, 40112), to = end_at(family, 2525);
	struct inet_diag_msg is;
	uint32_t uid = 0;

	if (size == 0 || judge_answer(data + 1, size - 1, &from, &to, 7, &uid) != 0)
		return 0;
	if (size < 1 + NLMSG_HDRLEN + sizeof(is))
		abort();
	memcpy(&is, data + 1 + NLMSG_HDRLEN, sizeof(is));
	if (is.idiag_inode == 0 || is.idiag_uid != uid || ntohs(is.id.idiag_sport) != 40112 ||
	    ntohs(is.id.idiag_dport) != 2525)
		abort();
	return 0;
}

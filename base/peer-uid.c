/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* peer-uid.c: see peer-uid.h. */
#include "base/peer-uid.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"

enum { REQUEST_MAX = 128, ANSWERS_MAX = 8, ACCEPTS_MAX = 16 };

/* A socket's end as sock_diag has it: IPv6, IPv4 in its mapped form. */
struct end {
	struct in6_addr address;
	uint16_t port; /* network order */
};

static void
map_v4(struct in6_addr *to, const void *v4)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(to->s6_addr, prefix, sizeof(prefix));
	memcpy(to->s6_addr + sizeof(prefix), v4, sizeof(struct in_addr));
}

static bool
end_of(const struct sockaddr_storage *a, struct end *ret)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET) {
		map_v4(&ret->address, &v4->sin_addr);
		ret->port = v4->sin_port;
		return true;
	}
	if (a->ss_family != AF_INET6)
		return false;
	ret->address = v6->sin6_addr;
	ret->port = v6->sin6_port;
	return true;
}

static bool
is_end(const struct end *want, uint8_t family, const __be32 *address, __be16 port)
{
	struct in6_addr is;

	if (family == AF_INET)
		map_v4(&is, address);
	else
		memcpy(&is, address, sizeof(is));
	return port == want->port && memcmp(&is, &want->address, sizeof(is)) == 0;
}

/* ---- the question ---- */

static void
put_address(__be32 *to, const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		memcpy(to, &((const struct sockaddr_in *)a)->sin_addr, sizeof(struct in_addr));
	else
		memcpy(to, &((const struct sockaddr_in6 *)a)->sin6_addr, sizeof(struct in6_addr));
}

/* Writes the question whose the socket from `from` to `to` is; both of one family, AF_INET or
 * AF_INET6. Returns its length. 0: no such addresses. */
static size_t
write_request(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
    uint32_t sequence, uint8_t request[REQUEST_MAX])
{
	struct end source, target;
	struct nlmsghdr head = {
	    .nlmsg_len = NLMSG_LENGTH(sizeof(struct inet_diag_req_v2)),
	    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
	    .nlmsg_flags = NLM_F_REQUEST,
	    .nlmsg_seq = sequence,
	};
	struct inet_diag_req_v2 body = {
	    .sdiag_protocol = IPPROTO_TCP,
	    .idiag_states = UINT32_MAX,
	    .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};

	if (from->ss_family != to->ss_family || !end_of(from, &source) || !end_of(to, &target))
		return 0;
	body.sdiag_family = (uint8_t)from->ss_family;
	body.id.idiag_sport = source.port;
	body.id.idiag_dport = target.port;
	put_address(body.id.idiag_src, from);
	put_address(body.id.idiag_dst, to);
	memcpy(request, &head, sizeof(head));
	memcpy(request + NLMSG_HDRLEN, &body, sizeof(body));
	return head.nlmsg_len;
}

/* ---- the answer ---- */

/* States in which the connection is still its process's own: FIN_WAIT where it only said that it
 * will write no more. */
static bool
is_connected(uint8_t state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2;
}

/*
 * Reads what came for it. 0 with the uid; -ENOENT: nobody has that socket; -EAGAIN: an answer to an
 * earlier question, to be read over; -EPROTO: none that can be trusted.
 */
static int
judge_answer(const void *bytes, size_t len, const struct sockaddr_storage *from,
    const struct sockaddr_storage *to, uint32_t sequence, uint32_t *ret_uid)
{
	struct nlmsghdr head;
	struct inet_diag_msg is;
	struct end source, target;

	if (len < NLMSG_HDRLEN || !end_of(from, &source) || !end_of(to, &target))
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	if (head.nlmsg_len > len || head.nlmsg_len < NLMSG_HDRLEN)
		return -EPROTO;
	if (head.nlmsg_seq != sequence)
		return -EAGAIN;
	if (head.nlmsg_type == NLMSG_ERROR)
		return -ENOENT;
	if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    head.nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return -EPROTO;
	memcpy(&is, (const uint8_t *)bytes + NLMSG_HDRLEN, sizeof(is));
	if ((is.idiag_family != AF_INET && is.idiag_family != AF_INET6) ||
	    !is_end(&source, is.idiag_family, is.id.idiag_src, is.id.idiag_sport) ||
	    !is_end(&target, is.idiag_family, is.id.idiag_dst, is.id.idiag_dport))
		return -EPROTO;
	if (is.idiag_inode == 0 || !is_connected(is.idiag_state))
		return -ENOENT;
	*ret_uid = is.idiag_uid;
	return 0;
}

/* ---- asking ---- */

/* Our end was not reset: then the socket that was asked about cannot have been another's. */
static bool
still_stands(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && len > 0 &&
	       (info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_CLOSE_WAIT);
}

static int
receive(int diag, const struct sockaddr_storage *from, const struct sockaddr_storage *to,
    uint32_t sequence, uint32_t *ret_uid)
{
	for (int i = 0; i < ANSWERS_MAX; i++) {
		union {
			struct nlmsghdr align;
			uint8_t bytes[4096];
		} answer;
		struct sockaddr_nl sender = {0};
		socklen_t size = sizeof(sender);
		ssize_t n = recvfrom(diag, answer.bytes, sizeof(answer.bytes), MSG_DONTWAIT,
		    (struct sockaddr *)&sender, &size);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (sender.nl_pid != 0)
			continue; /* not of the kernel */
		r = judge_answer(answer.bytes, (size_t)n, from, to, sequence, ret_uid);
		if (r != -EAGAIN)
			return r;
	}
	return -EPROTO;
}

int
peer_uid_ask(int diag, int fd, uint32_t *ret_uid)
{
	static uint32_t sequence;
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct sockaddr_storage ours = {0}, peer = {0};
	socklen_t ours_len = sizeof(ours), peer_len = sizeof(peer);
	uint8_t request[REQUEST_MAX];
	size_t len;
	int r;

	if (getsockname(fd, (struct sockaddr *)&ours, &ours_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return -errno;
	len = write_request(&peer, &ours, ++sequence, request);
	if (len == 0)
		return -EAFNOSUPPORT;
	if (sendto(diag, request, len, MSG_DONTWAIT, (const struct sockaddr *)&kernel,
		sizeof(kernel)) < 0)
		return -errno;
	r = receive(diag, &peer, &ours, sequence, ret_uid);
	return r == 0 && !still_stands(fd) ? -ENOENT : r;
}

/* The connection that came from `client`, among those that wait at `listener`; -1. */
static int
accept_from(int listener, const struct sockaddr_in *client)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_in peer = {0};
		socklen_t len = sizeof(peer);
		int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

		if (fd < 0 || (peer.sin_port == client->sin_port &&
				  peer.sin_addr.s_addr == client->sin_addr.s_addr))
			return fd;
		(void)close(fd);
	}
	return -1;
}

bool
peer_uid_is_known(int diag)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
			       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   client = {0};
	socklen_t here_len = sizeof(here), client_len = sizeof(client);
	CLEANUP_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP_CLOSE int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP_CLOSE int fd = -1;
	uint32_t uid = UINT32_MAX;

	/* no call here waits: the connection is queued when connect() returns */
	if (listener < 0 || ours < 0 ||
	    bind(listener, (const struct sockaddr *)&here, sizeof(here)) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&here, &here_len) < 0 ||
	    connect(ours, (const struct sockaddr *)&here, sizeof(here)) < 0 ||
	    getsockname(ours, (struct sockaddr *)&client, &client_len) < 0)
		return false;
	fd = accept_from(listener, &client);
	return fd >= 0 && peer_uid_ask(diag, fd, &uid) == 0 && uid == geteuid();
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of base/peer-uid.c: what counts as the kernel's word about a connection, made up
 * answer by answer, and then the kernel itself about connections of this process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
/* with its inside: what is asked and answered */
#include "base/peer-uid.c"

enum { SEQUENCE = 7, CLIENT_PORT = 40112, OUR_PORT = 2525 };

static struct sockaddr_storage
address(int family, const char *text, unsigned port)
{
	struct sockaddr_storage a = {.ss_family = (sa_family_t)family};

	if (family == AF_INET) {
		((struct sockaddr_in *)&a)->sin_port = htons((uint16_t)port);
		(void)inet_pton(family, text, &((struct sockaddr_in *)&a)->sin_addr);
	} else {
		((struct sockaddr_in6 *)&a)->sin6_port = htons((uint16_t)port);
		(void)inet_pton(family, text, &((struct sockaddr_in6 *)&a)->sin6_addr);
	}
	return a;
}

/* ---- the question ---- */

static void
test_question(void **state)
{
	const struct sockaddr_storage from = address(AF_INET, "127.0.0.1", CLIENT_PORT),
				      to = address(AF_INET, "127.0.0.2", OUR_PORT),
				      other = address(AF_INET6, "::1", OUR_PORT);
	uint8_t bytes[REQUEST_MAX];
	struct inet_diag_req_v2 asked;
	struct nlmsghdr head;
	size_t len = write_request(&from, &to, SEQUENCE, bytes);

	assert_int_equal(len, sizeof(head) + sizeof(asked));
	memcpy(&head, bytes, sizeof(head));
	memcpy(&asked, bytes + sizeof(head), sizeof(asked));
	assert_int_equal(head.nlmsg_len, len);
	assert_int_equal(head.nlmsg_seq, SEQUENCE);
	assert_int_equal(head.nlmsg_flags, NLM_F_REQUEST); /* one socket, no dump of all */
	assert_int_equal(asked.sdiag_family, AF_INET);
	assert_int_equal(ntohs(asked.id.idiag_sport), CLIENT_PORT);
	assert_int_equal(ntohs(asked.id.idiag_dport), OUR_PORT);
	assert_int_equal(ntohl(asked.id.idiag_src[0]), 0x7f000001);
	assert_int_equal(ntohl(asked.id.idiag_dst[0]), 0x7f000002);
	assert_int_equal(write_request(&from, &other, SEQUENCE, bytes), 0);
	assert_int_equal(write_request(&(struct sockaddr_storage){0}, &to, SEQUENCE, bytes), 0);
}

/* ---- answers ---- */

struct answer {
	struct nlmsghdr head;
	struct inet_diag_msg body;
};

static struct answer
good(int family)
{
	struct answer a = {.head = {.nlmsg_len = sizeof(a),
			       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			       .nlmsg_seq = SEQUENCE},
	    .body = {.idiag_family = (uint8_t)family,
		.idiag_state = TCP_ESTABLISHED,
		.idiag_uid = 1234,
		.idiag_inode = 99,
		.id = {.idiag_sport = htons(CLIENT_PORT), .idiag_dport = htons(OUR_PORT)}}};

	if (family == AF_INET) {
		a.body.id.idiag_src[0] = a.body.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
	} else {
		a.body.id.idiag_src[3] = a.body.id.idiag_dst[3] = htonl(1);
	}
	return a;
}

static int
read_answer(const struct answer *a, size_t len, int family, uint32_t *uid)
{
	const char *text = family == AF_INET ? "127.0.0.1" : "::1";
	const struct sockaddr_storage from = address(family, text, CLIENT_PORT),
				      to = address(family, text, OUR_PORT);

	*uid = 77;
	return judge_answer(a, len, &from, &to, SEQUENCE, uid);
}

static void
test_answers(void **state)
{
	struct answer a = good(AF_INET);
	uint32_t uid;

	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), 0);
	assert_int_equal(uid, 1234);
	a = good(AF_INET6);
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET6, &uid), 0);
	assert_int_equal(uid, 1234);
	/* a client with an IPv6 socket that speaks IPv4 */
	a.body.id.idiag_src[2] = a.body.id.idiag_dst[2] = htonl(0xffff);
	a.body.id.idiag_src[3] = a.body.id.idiag_dst[3] = htonl(INADDR_LOOPBACK);
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), 0);
	assert_int_equal(uid, 1234);
	for (int s = 0; s < 16; s++) {
		bool connected = s == TCP_ESTABLISHED || s == TCP_FIN_WAIT1 || s == TCP_FIN_WAIT2;

		a = good(AF_INET);
		a.body.idiag_state = (uint8_t)s;
		assert_int_equal(
		    read_answer(&a, sizeof(a), AF_INET, &uid), connected ? 0 : -ENOENT);
	}
}

static void
test_no_identity(void **state)
{
	struct answer a = good(AF_INET);
	uint32_t uid;

	/* what the kernel says of a socket that nobody has */
	a.body.idiag_inode = 0;
	a.body.idiag_uid = 0;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -ENOENT);
	a = good(AF_INET);
	a.head.nlmsg_type = NLMSG_ERROR;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -ENOENT);
	a = good(AF_INET);
	a.head.nlmsg_seq = SEQUENCE - 1;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EAGAIN);
	a = good(AF_INET);
	a.head.nlmsg_type = NLMSG_DONE;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EPROTO);
	/* the other end of the same connection: ours */
	a = good(AF_INET);
	a.body.id.idiag_sport = htons(OUR_PORT);
	a.body.id.idiag_dport = htons(CLIENT_PORT);
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EPROTO);
	/* a listener on the client's port */
	a = good(AF_INET);
	a.body.id.idiag_dport = 0;
	a.body.id.idiag_dst[0] = 0;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EPROTO);
	a = good(AF_INET);
	a.body.id.idiag_src[0] = htonl(0x7f000002);
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EPROTO);
	a = good(AF_INET);
	a.body.idiag_family = AF_UNIX;
	assert_int_equal(read_answer(&a, sizeof(a), AF_INET, &uid), -EPROTO);
	for (size_t len = 0; len < sizeof(a); len++) {
		a = good(AF_INET);
		a.head.nlmsg_len = (uint32_t)len;
		assert_true(read_answer(&a, len, AF_INET, &uid) < 0);
		assert_true(read_answer(&a, sizeof(a), AF_INET, &uid) < 0);
		a.head.nlmsg_len = sizeof(a);
		assert_true(read_answer(&a, len, AF_INET, &uid) < 0);
		assert_int_equal(uid, 77);
	}
}

/* ---- the kernel ---- */

static int
listen_at(int family, const char *text, struct sockaddr_storage *a, socklen_t *len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*a = address(family, text, 0);
	*len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (fd < 0 || bind(fd, (const struct sockaddr *)a, *len) < 0 || listen(fd, 1) < 0)
		return -1;
	assert_int_equal(getsockname(fd, (struct sockaddr *)a, len), 0);
	return fd;
}

static void
check_live(int diag, int family, const char *text, bool mapped)
{
	struct sockaddr_storage a, via;
	socklen_t len;
	int server = listen_at(family, text, &a, &len), client, ours;
	uint32_t uid = 77;

	if (server < 0) {
		print_message("no %s here\n", text);
		return;
	}
	via = a;
	if (mapped) {
		via = address(AF_INET6, "::ffff:127.0.0.1", 0);
		((struct sockaddr_in6 *)&via)->sin6_port = ((struct sockaddr_in *)&a)->sin_port;
		len = sizeof(struct sockaddr_in6);
	}
	client = socket(mapped ? AF_INET6 : family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&via, len), 0);
	ours = accept(server, NULL, NULL);
	assert_true(ours >= 0);
	assert_int_equal(peer_uid_ask(diag, ours, &uid), 0);
	assert_int_equal(uid, geteuid());
	/* one that says no more is still there */
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(peer_uid_ask(diag, ours, &uid), 0);
	assert_int_equal(uid, geteuid());
	/* one that is gone is nobody, and not root */
	close(client);
	uid = 77;
	assert_true(peer_uid_ask(diag, ours, &uid) < 0);
	assert_int_equal(uid, 77);
	close(ours);
	close(server);
}

/* The client's end as good as there, our own reset: what the kernel says then may be about
 * somebody else. */
static void
test_reset(void **state)
{
	const struct linger at_once = {1, 0};
	struct sockaddr_storage a;
	socklen_t len;
	int diag = *(int *)*state, server, client, ours;
	uint32_t uid = 77;

	if (diag < 0)
		skip();
	server = listen_at(AF_INET, "127.0.0.1", &a, &len);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&a, len), 0);
	ours = accept(server, NULL, NULL);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(client);
	assert_true(peer_uid_ask(diag, ours, &uid) < 0);
	assert_int_equal(uid, 77);
	close(ours);
	close(server);
}

static void
test_kernel(void **state)
{
	int diag = *(int *)*state;

	if (diag < 0)
		skip();
	check_live(diag, AF_INET, "127.0.0.1", false);
	check_live(diag, AF_INET6, "::1", false);
	check_live(diag, AF_INET, "127.0.0.1", true);
}

/* Answers to questions that nobody waited for are read over. */
static void
test_late_answers(void **state)
{
	struct sockaddr_storage a, peer;
	socklen_t len, peer_len = sizeof(peer);
	int diag = *(int *)*state, server, client, ours;
	uint8_t request[REQUEST_MAX];
	uint32_t uid = 77;
	size_t size;

	if (diag < 0)
		skip();
	server = listen_at(AF_INET, "127.0.0.1", &a, &len);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&a, len), 0);
	ours = accept(server, (struct sockaddr *)&peer, &peer_len);
	size = write_request(&peer, &a, 4000000000u, request);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(diag, request, size, 0), size);
	assert_int_equal(peer_uid_ask(diag, ours, &uid), 0);
	assert_int_equal(uid, geteuid());
	close(client);
	close(ours);
	close(server);
}

static void
test_told(void **state)
{
	int diag = *(int *)*state;

	if (diag < 0)
		skip();
	assert_true(peer_uid_is_known(diag));
	assert_false(peer_uid_is_known(-1));
}

static int
setup(void **state)
{
	static int diag;

	diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	*state = &diag;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_question),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_no_identity),
	    cmocka_unit_test(test_kernel),
	    cmocka_unit_test(test_reset),
	    cmocka_unit_test(test_late_answers),
	    cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests_name("base/peer-uid", tests, setup, NULL);
}

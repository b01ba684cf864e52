/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/ipc/message.c: what the table allows passes, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/ipc/reply.h"

static int
check(struct message *m, enum role_id from, enum role_id to, bool fd)
{
	const char *why;

	return message_check(m, from, to, fd, &why);
}

static void
test_fields_come_back(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_LEASE);
	CLEANUP_MESSAGE struct message *got = NULL;
	int pair[2], fd;

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_u64(m, F_WANTED, 1);
	assert_int_equal(message_error(m), 0);
	assert_int_equal(check(m, ROLE_QUEUE, ROLE_KEEPER, false), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(message_write(pair[0], m, -1), 0);
	assert_int_equal(message_read(pair[1], &got, &fd), 1);
	assert_int_equal(fd, -1);
	assert_int_equal(message_type(got), M_LEASE);
	assert_string_equal(message_str(got, F_ACCOUNT), "billing");
	assert_int_equal(message_u64(got, F_WANTED, 9), 1);
	assert_null(message_str(got, F_NAME));
	close(pair[0]);
	got = message_free(got);
	assert_int_equal(message_read(pair[1], &got, &fd), 0);
	close(pair[1]);
}

static void
test_only_the_table(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_LEASE);

	message_put_str(m, F_ACCOUNT, "billing");
	assert_int_equal(check(m, ROLE_QUEUE, ROLE_KEEPER, false), -EPROTO); /* WANTED is missing */
	message_put_u64(m, F_WANTED, 1);
	assert_int_equal(check(m, ROLE_SEND, ROLE_KEEPER, false), -EPROTO); /* not this sender's */
	assert_int_equal(check(m, ROLE_QUEUE, ROLE_SEND, false), -EPROTO); /* not this receiver's */
	assert_int_equal(
	    check(m, ROLE_QUEUE, ROLE_KEEPER, true), -EPROTO); /* no descriptor allowed */
	message_put_u64(m, F_WANTED, 1);
	assert_int_equal(check(m, ROLE_QUEUE, ROLE_KEEPER, false), -EPROTO); /* twice */
}

static void
test_foreign_field_and_type(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_LEASE);
	CLEANUP_MESSAGE struct message *n = message_new(M_LEASE);

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_u64(m, F_WANTED, 1);
	message_put_str(m, F_MAILBOX, "x");
	assert_int_equal(check(m, ROLE_QUEUE, ROLE_KEEPER, false), -EPROTO);
	message_put_u64(n, F_ACCOUNT, 1);
	assert_int_equal(message_error(n), -EINVAL);
}

static void
test_cut_packets(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_LEASE);
	char packet[256];
	int pair[2];
	ssize_t size;

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_u64(m, F_WANTED, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(message_write(pair[0], m, -1), 0);
	size = recv(pair[1], packet, sizeof(packet), 0);
	assert_true(size > 0);
	for (ssize_t cut = 1; cut < size; cut++) {
		struct message *got = NULL;
		int fd, r;

		assert_int_equal(send(pair[0], packet, (size_t)cut, 0), cut);
		r = message_read(pair[1], &got, &fd);
		if (r == 1)
			assert_int_equal(check(got, ROLE_QUEUE, ROLE_KEEPER, false), -EPROTO);
		else
			assert_int_equal(r, -EPROTO);
		(void)message_free(got);
	}
	close(pair[0]);
	close(pair[1]);
}

static void
test_bounds(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_JOB);
	CLEANUP_FREE char *big = calloc(1, MESSAGE_MAX);

	message_put_bytes(m, F_BODY, big, MESSAGE_MAX);
	assert_int_equal(message_error(m), -EMSGSIZE);
}

static void
test_descriptor(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_PEER);
	CLEANUP_MESSAGE struct message *got = NULL;
	int pair[2], fd = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	message_put_u64(m, F_ROLE, ROLE_SEND);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(message_write(pair[0], m, null), 0);
	assert_int_equal(message_read(pair[1], &got, &fd), 1);
	assert_true(fd >= 0);
	assert_int_equal(check(got, ROLE_MAIN, ROLE_QUEUE, true), 0);
	assert_int_equal(check(got, ROLE_MAIN, ROLE_QUEUE, false), -EPROTO);
	close(fd);
	close(null);
	close(pair[0]);
	close(pair[1]);
}

static void
test_reply_round_trip(void **state)
{
	struct smtp_reply r = {.code = 535,
			      .enhanced = "5.7.8",
			      .stage = SMTP_STAGE_AUTH,
			      .text = (char *)"no"},
			  back;
	CLEANUP_MESSAGE struct message *m = message_new(M_JOB_DONE);
	const uint8_t *bytes;
	size_t at = 0, len;

	reply_put(m, F_RESULT, &r);
	assert_true(message_next(m, F_RESULT, &at, &bytes, &len));
	assert_int_equal(reply_get(bytes, len, &back), 0);
	assert_int_equal(back.code, 535);
	assert_string_equal(back.enhanced, "5.7.8");
	assert_string_equal(back.text, "no");
	assert_int_equal(back.stage, SMTP_STAGE_AUTH);
	smtp_reply_clear(&back);
	for (size_t cut = 0; cut < 6; cut++)
		assert_int_equal(reply_get(bytes, cut, &back), -EPROTO);
}

/* A long text is cut between characters: half of one would make a verdict that JSON cannot hold. */
static void
test_reply_is_cut(void **state)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_JOB_DONE);
	struct smtp_reply r = {.code = 550}, back;
	char text[2401] = "";
	const uint8_t *bytes;
	size_t len;

	for (size_t i = 0; i < 800; i++)
		memcpy(text + 3 * i, "\xe2\x82\xac", 3);
	r.text = text;
	reply_put(m, F_RESULT, &r);
	bytes = message_bytes(m, F_RESULT, &len);
	assert_int_equal(reply_get(bytes, len, &back), 0);
	assert_int_equal(strlen(back.text), 1998);
	smtp_reply_clear(&back);
	assert_int_equal(reply_cut("abc", 3), 3);
	assert_int_equal(reply_cut("abc", 2), 2);
	assert_int_equal(reply_cut("", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields_come_back),
	    cmocka_unit_test(test_only_the_table),
	    cmocka_unit_test(test_foreign_field_and_type),
	    cmocka_unit_test(test_cut_packets),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_descriptor),
	    cmocka_unit_test(test_reply_round_trip),
	    cmocka_unit_test(test_reply_is_cut),
	};

	return cmocka_run_group_tests_name("ipc/message", tests, NULL, NULL);
}

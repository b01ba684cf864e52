/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/ipc/channel.c: order, bounds, back-pressure, descriptors, rule-breakers,
 * freeing at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "broker/ipc/channel.h"

/* One end under test: queue's, with the keeper at the other. */
struct end {
	struct channel *channel;
	unsigned messages, closed, writable;
	uint64_t last;
	int fd;                      /* the last descriptor that came, or -1 */
	void (*then)(struct end *e); /* done in the message callback */
};

static struct event_base *base;

static void
on_message(void *arg, struct channel *c, const struct message *m, int fd)
{
	struct end *e = arg;

	e->messages++;
	e->last = message_u64(m, message_type(m) == M_PEER ? F_ROLE : F_WANTED, 0);
	if (fd >= 0) {
		if (e->fd >= 0)
			(void)close(e->fd);
		e->fd = fd;
	}
	if (e->then != NULL)
		e->then(e);
}

static void
on_closed(void *arg, struct channel *c)
{
	struct end *e = arg;

	e->closed++;
	e->channel = channel_free(e->channel);
}

static void
on_writable(void *arg, struct channel *c)
{
	((struct end *)arg)->writable++;
}

static const struct channel_ops ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

static struct message *
lend(uint64_t number)
{
	struct message *m = message_new(M_LEASE);

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_u64(m, F_WANTED, number);
	return m;
}

static void
make_pair(struct end *queue, struct end *keeper)
{
	int pair[2];

	*queue = *keeper = (struct end){.fd = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	queue->channel = channel_new(base, pair[0], ROLE_QUEUE, ROLE_KEEPER, &ops, queue);
	keeper->channel = channel_new(base, pair[1], ROLE_KEEPER, ROLE_QUEUE, &ops, keeper);
	assert_non_null(queue->channel);
	assert_non_null(keeper->channel);
}

static unsigned
count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
turn(void)
{
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
test_order_and_back_pressure(void **state)
{
	struct end queue, keeper;
	uint64_t sent = 0, taken;
	int r;

	make_pair(&queue, &keeper);
	channel_pause(keeper.channel, true);
	while ((r = channel_send(queue.channel, lend(sent + 1), -1)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_true(sent >= 2048);
	turn();
	assert_int_equal(keeper.messages, 0);
	assert_int_equal(queue.writable, 0);
	channel_pause(keeper.channel, false);
	do {
		taken = keeper.last;
		turn();
		assert_true(keeper.last >= taken);
		assert_int_equal(keeper.last, keeper.messages); /* in order, none left out */
	} while (keeper.last < sent);
	assert_int_equal(keeper.messages, sent); /* the one that was refused never came */
	assert_int_equal(queue.writable, 1);
	assert_int_equal(channel_send(queue.channel, lend(sent + 1), -1), 0);
	turn();
	assert_int_equal(keeper.last, sent + 1);
	(void)channel_free(queue.channel);
	(void)channel_free(keeper.channel);
}

static struct channel *polled;

static void
poll_the_other(struct end *e)
{
	channel_poll(polled);
}

/* What arrived on another channel is handled within a callback, and only where its owner lets it. */
static void
test_poll_within_a_callback(void **state)
{
	struct end first[2], other[2];

	make_pair(&first[0], &first[1]);
	make_pair(&other[0], &other[1]);
	polled = other[1].channel;
	assert_int_equal(channel_send(other[0].channel, lend(7), -1), 0);
	channel_poll(polled);
	assert_int_equal(other[1].messages, 1);
	channel_pause(polled, true);
	assert_int_equal(channel_send(other[0].channel, lend(8), -1), 0);
	assert_int_equal(channel_send(first[0].channel, lend(1), -1), 0);
	first[1].then = poll_the_other;
	turn();
	assert_int_equal(first[1].messages, 1);
	assert_int_equal(other[1].messages, 1);
	channel_pause(polled, false);
	poll_the_other(&first[1]);
	assert_int_equal(other[1].last, 8);
	other[0].channel = channel_free(other[0].channel);
	poll_the_other(&first[1]);
	assert_int_equal(other[1].closed, 1);
	(void)channel_free(first[0].channel);
	(void)channel_free(first[1].channel);
}

static void
test_busy_leaves_room(void **state)
{
	struct end queue, keeper;
	uint64_t sent = 0;

	make_pair(&queue, &keeper);
	channel_pause(keeper.channel, true);
	while (!channel_is_busy(queue.channel)) {
		assert_int_equal(channel_send(queue.channel, lend(sent + 1), -1), 0);
		sent++;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(channel_send(queue.channel, lend(++sent), -1), 0);
	channel_pause(keeper.channel, false);
	do
		turn();
	while (keeper.messages < sent);
	assert_int_equal(queue.writable, 1);
	assert_false(channel_is_busy(queue.channel));
	(void)channel_free(queue.channel);
	(void)channel_free(keeper.channel);
}

static void
test_what_was_queued_comes_before_the_end(void **state)
{
	struct end queue, keeper;

	make_pair(&queue, &keeper);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(channel_send(queue.channel, lend(i), -1), 0);
	queue.channel = channel_free(queue.channel);
	turn();
	turn();
	assert_int_equal(keeper.messages, 3);
	assert_int_equal(keeper.closed, 1);
	assert_null(keeper.channel);
}

/* The kernel tells of the unread packets before it hands out the answers. */
static void
test_answers_of_an_end_that_left_packets_unread(void **state)
{
	struct end queue, keeper;

	make_pair(&queue, &keeper);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(channel_send(queue.channel, lend(i), -1), 0);
	assert_int_equal(channel_send(keeper.channel, message_new(M_RELOAD_RESULT), -1), 0);
	queue.channel = channel_free(queue.channel);
	turn();
	turn();
	assert_int_equal(keeper.messages, 3);
	assert_int_equal(keeper.closed, 1);
	/* the same where this end finds out by writing */
	make_pair(&queue, &keeper);
	assert_int_equal(channel_send(queue.channel, lend(1), -1), 0);
	assert_int_equal(channel_send(keeper.channel, message_new(M_RELOAD_RESULT), -1), 0);
	queue.channel = channel_free(queue.channel);
	assert_int_equal(channel_send(keeper.channel, message_new(M_RELOAD_RESULT), -1), -EPIPE);
	turn();
	turn();
	assert_int_equal(keeper.messages, 1);
	assert_int_equal(keeper.closed, 1);
}

static void
test_descriptor(void **state)
{
	struct end queue;
	struct message *m = message_new(M_PEER);
	int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	queue = (struct end){.fd = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	queue.channel = channel_new(base, pair[0], ROLE_QUEUE, ROLE_MAIN, &ops, &queue);
	message_put_u64(m, F_ROLE, ROLE_SEND);
	assert_int_equal(message_write(pair[1], m, null), 0);
	(void)message_free(m);
	turn();
	assert_int_equal(queue.messages, 1);
	assert_true(queue.fd >= 0);
	assert_true(fcntl(queue.fd, F_GETFD) & FD_CLOEXEC);
	(void)close(queue.fd);
	(void)close(null);
	(void)close(pair[1]);
	turn();
	assert_int_equal(queue.closed, 1);
}

/* Whatever the table does not list for this pair ends the channel; nothing that came with it stays
 * open. */
static void
test_rule_breakers(void **state)
{
	static const char noise[] = "no packet of ours";
	struct message *wrong = message_new(M_SHUTDOWN);

	for (int i = 0; i < 3; i++) {
		struct end keeper = {.fd = -1};
		int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		unsigned before = count_descriptors();

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		keeper.channel = channel_new(base, pair[0], ROLE_KEEPER, ROLE_QUEUE, &ops, &keeper);
		if (i == 0) {
			assert_int_equal(message_write(pair[1], wrong, -1), 0); /* main's to say */
		} else if (i == 1) {
			assert_int_equal(send(pair[1], noise, sizeof(noise), 0), sizeof(noise));
		} else {
			struct message *m = lend(1);

			assert_int_equal(message_write(pair[1], m, null), 0); /* it bears none */
			(void)message_free(m);
		}
		turn();
		assert_int_equal(keeper.messages, 0);
		assert_int_equal(keeper.closed, 1);
		(void)close(pair[1]);
		assert_int_equal(count_descriptors(), before);
		(void)close(null);
	}
	(void)message_free(wrong);
}

static void
free_it(struct end *e)
{
	e->channel = channel_free(e->channel);
}

static void
test_freed_in_its_own_callback(void **state)
{
	struct end queue, keeper;

	make_pair(&queue, &keeper);
	keeper.then = free_it;
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(channel_send(queue.channel, lend(i), -1), 0);
	turn();
	assert_int_equal(keeper.messages, 1);
	assert_null(keeper.channel);
	turn();
	assert_int_equal(queue.closed, 1);
}

static void
pause_it(struct end *e)
{
	channel_pause(e->channel, true);
}

static void
test_paused_in_its_own_callback(void **state)
{
	struct end queue, keeper;

	make_pair(&queue, &keeper);
	keeper.then = pause_it;
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(channel_send(queue.channel, lend(i), -1), 0);
	turn();
	turn();
	assert_int_equal(keeper.messages, 1);
	channel_pause(keeper.channel, false);
	turn();
	assert_int_equal(keeper.messages, 2);
	keeper.then = NULL;
	channel_pause(keeper.channel, false);
	turn();
	assert_int_equal(keeper.messages, 3);
	(void)channel_free(queue.channel);
	(void)channel_free(keeper.channel);
}

static void
test_writers_error_is_told(void **state)
{
	struct end queue, keeper;
	struct message *m;
	static const char big[MESSAGE_MAX];

	make_pair(&queue, &keeper);
	m = message_new(M_JOB);
	message_put_bytes(m, F_BODY, big, sizeof(big));
	assert_int_equal(channel_send(queue.channel, m, -1), -EMSGSIZE);
	assert_int_equal(channel_send(queue.channel, NULL, -1), -ENOMEM);
	keeper.channel = channel_free(keeper.channel);
	assert_int_equal(channel_send(queue.channel, lend(1), -1), -EPIPE);
	(void)channel_free(queue.channel);
}

static int
make_base(void **state)
{
	log_open("test", LOG_LEVEL_ERROR);
	base = event_base_new();
	return base == NULL ? -1 : 0;
}

static int
free_base(void **state)
{
	event_base_free(base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order_and_back_pressure),
	    cmocka_unit_test(test_poll_within_a_callback),
	    cmocka_unit_test(test_busy_leaves_room),
	    cmocka_unit_test(test_what_was_queued_comes_before_the_end),
	    cmocka_unit_test(test_answers_of_an_end_that_left_packets_unread),
	    cmocka_unit_test(test_descriptor),
	    cmocka_unit_test(test_rule_breakers),
	    cmocka_unit_test(test_freed_in_its_own_callback),
	    cmocka_unit_test(test_paused_in_its_own_callback),
	    cmocka_unit_test(test_writers_error_is_told),
	};

	return cmocka_run_group_tests_name("ipc/channel", tests, make_base, free_base);
}

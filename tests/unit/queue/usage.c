/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* broker/queue/usage: records of callers come and go while main is asked who they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "broker/queue/inbound/usage.h"

/* A uid without a name, whose record is in the same chain of the table as that of all of them: they are
 * 256 chains, and CALLER_UID_OVERFLOW is 65534. */
enum { NAMELESS = 100094 };

static void
on_message(void *arg, struct channel *c, const struct message *m, int fd)
{
}

static void
on_closed(void *arg, struct channel *c)
{
}

static const struct channel_ops channel_ops = {.message = on_message, .closed = on_closed};

static void
answer(struct users *users, uint32_t uid, const char *name)
{
	struct message *m = message_new(M_USER_ANSWER);

	message_put_u64(m, F_UID, uid);
	message_put_str(m, F_USER_NAME, name);
	users_answer(users, m);
	(void)message_free(m);
}

static void
on_crowded(void *arg)
{
}

struct bench {
	struct inbound in;
	struct conf conf;
	struct queue_settings settings;
	struct event_base *base;
	struct channel *channel;
	int main;
};

static int
setup(void **state)
{
	static struct bench bench; /* the records in it live until the end */
	struct bench *b = &bench;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	b->base = event_base_new();
	b->main = ends[1];
	b->channel = channel_new(b->base, ends[0], ROLE_QUEUE, ROLE_MAIN, &channel_ops, b);
	assert_non_null(b->channel);
	b->conf = (struct conf){.user_connections = 10, .user_rate = 10, .user_in_flight = 1000};
	b->settings.conf = &b->conf;
	b->in.settings = &b->settings;
	b->in.users = users_new(b->channel);
	b->in.usages = usages_new(on_crowded, NULL);
	assert_true(b->in.users != NULL && b->in.usages != NULL);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	(void)users_free(b->in.users);
	(void)channel_free(b->channel);
	event_base_free(b->base);
	(void)close(b->main);
	return 0;
}

/* It was nobody's when the answer came, so it could have been forgotten by the very look for its group. */
static void
test_answer_for_one_who_has_gone(void **state)
{
	struct bench *b = *state;
	const struct caller caller = {.uid = NAMELESS}, another = {.uid = NAMELESS + 1};
	struct usage *first = usage_take(&b->in, &another), *u = usage_take(&b->in, &caller);

	assert_true(first != NULL && u != NULL);
	usage_drop(u);
	answer(b->in.users, NAMELESS, "");
	u = usage_take(&b->in, &caller);
	assert_non_null(u);
	assert_true(usage_connect(u));
	assert_int_equal(usage_connections(u), 1);
	assert_int_equal(usage_own_connections(u), 1);
	usage_disconnect(u);
	usage_drop(u);
	usage_drop(first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_answer_for_one_who_has_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

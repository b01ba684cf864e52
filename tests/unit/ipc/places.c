/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Places of a socket: users without a name share theirs, whoever has few gets one from whoever has
 * most, some are kept, and idle clients end. Main is the test's end of a socketpair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "broker/role/places.h"

enum { MOST = 12, KEPT = 2, EACH = 3, CLIENTS = 64, NAMED_BELOW = 1000 };

struct client {
	struct place place;
	bool here, busy;
};

static struct world {
	struct event_base *base;
	struct channel *to_main;
	int main;
	struct users *users;
	struct client_places places;
	struct client clients[CLIENTS];
} w;

static bool
is_idle(const struct place *p)
{
	return !((const struct client *)p)->busy;
}

static void
end(struct place *p)
{
	((struct client *)p)->here = false;
	place_leave(p);
}

static void
on_message(void *arg, struct channel *c, const struct message *m, int fd)
{
	users_answer(w.users, m);
}

static void
on_closed(void *arg, struct channel *c)
{
}

static const struct channel_ops channel_ops = {.message = on_message, .closed = on_closed};
static const struct places_ops ops = {is_idle, end};
static struct places_config config = {
    .most = MOST, .kept = KEPT, .most_each = EACH, .idle_seconds = 1000};

static int
begin(void **state)
{
	int ends[2];

	memset(&w, 0, sizeof(w));
	config.idle_seconds = 1000;
	w.base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	w.main = ends[1];
	w.to_main = channel_new(w.base, ends[0], ROLE_QUEUE, ROLE_MAIN, &channel_ops, NULL);
	w.users = users_new(w.to_main);
	places_init(&w.places, w.users, &config, &ops);
	return 0;
}

static int
finish(void **state)
{
	for (size_t i = 0; i < CLIENTS; i++)
		place_leave(&w.clients[i].place);
	w.users = users_free(w.users);
	w.to_main = channel_free(w.to_main);
	(void)close(w.main);
	event_base_free(w.base);
	return 0;
}

/* Main answers all questions: uids below NAMED_BELOW have a name. Returns how many there were. */
static unsigned
answer(void)
{
	struct message *m;
	unsigned n = 0;
	int fd;

	(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
	while (message_read(w.main, &m, &fd) == 1) {
		struct message *out = message_new(M_USER_ANSWER);
		uint64_t uid = message_u64(m, F_UID, 0);

		message_put_u64(out, F_UID, uid);
		if (uid < NAMED_BELOW)
			message_put_str(out, F_USER_NAME, "somebody");
		assert_int_equal(message_write(w.main, out, -1), 0);
		(void)message_free(out);
		(void)message_free(m);
		n++;
	}
	(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
	return n;
}

static bool
come(size_t i, uint32_t uid, enum caller_kind kind)
{
	w.clients[i].here = place_take(
	    &w.places, &w.clients[i].place, w.base, uid, caller_rights(CALLER_CONTROL, kind));
	return w.clients[i].here;
}

static unsigned
here(size_t from, size_t to)
{
	unsigned n = 0;

	for (size_t i = from; i < to; i++)
		n += w.clients[i].here;
	return n;
}

static void
a_user_has_so_many(void **state)
{
	for (size_t i = 0; i < EACH; i++)
		assert_true(come(i, 5, CALLER_USER));
	assert_int_equal(answer(), 1);
	place_touch(&w.clients[0].place);
	assert_true(come(10, 5, CALLER_USER));
	/* the one that was silent longest went */
	assert_false(w.clients[1].here);
	assert_true(w.clients[0].here && w.clients[2].here);
	for (size_t i = 0; i < CLIENTS; i++)
		w.clients[i].busy = true;
	assert_false(come(11, 5, CALLER_USER));
	assert_true(come(12, 6, CALLER_USER));
}

static void
uids_without_a_name_share(void **state)
{
	for (size_t i = 0; i < 8; i++)
		assert_true(come(i, 100000 + (uint32_t)i, CALLER_USER));
	assert_int_equal(answer(), 8);
	assert_int_equal(here(0, 8), EACH);
	assert_true(come(8, 200000, CALLER_USER));
	assert_int_equal(answer(), 1);
	assert_int_equal(here(0, 9), EACH);
	assert_int_equal(place_bucket(&w.clients[8].place), CALLER_UID_OVERFLOW);
	/* nobody is one of them, without a question */
	assert_true(come(9, CALLER_UID_OVERFLOW, CALLER_NOBODY));
	assert_int_equal(answer(), 0);
	assert_int_equal(here(0, 10), EACH);
	assert_true(come(10, 7, CALLER_USER));
	assert_int_equal(answer(), 1);
	assert_int_equal(place_bucket(&w.clients[10].place), 7);
}

/* All come before main has said anything. */
static void
a_crowd_keeps_nobody_out(void **state)
{
	for (size_t i = 0; i < CLIENTS; i++)
		w.clients[i].busy = i % 2 == 0;
	for (size_t i = 0; i < 40; i++)
		(void)come(i, 100000 + (uint32_t)i, CALLER_USER);
	assert_int_equal(here(0, 40), MOST - KEPT);
	assert_true(come(40, 5, CALLER_USER));
	assert_true(come(41, 0, CALLER_ROOT));
	assert_true(come(42, 9, CALLER_ADMIN));
	assert_int_equal(here(0, 43), MOST);
	/* the kept places are taken: one of the crowd goes */
	assert_true(come(43, 0, CALLER_ROOT));
	(void)answer();
	assert_int_equal(here(0, 40), EACH);
	assert_true(
	    w.clients[40].here && w.clients[41].here && w.clients[42].here && w.clients[43].here);
}

static void
many_users_leave_the_kept_places(void **state)
{
	for (size_t i = 0; i < CLIENTS; i++)
		w.clients[i].busy = true;
	for (size_t i = 0; i < MOST - KEPT; i++)
		assert_true(come(i, 10 + (uint32_t)i, CALLER_USER));
	(void)answer();
	assert_false(come(50, 99, CALLER_USER));
	assert_true(come(51, 0, CALLER_ROOT));
	assert_true(come(52, 0, CALLER_ROOT));
	assert_int_equal(here(0, MOST - KEPT), MOST - KEPT);
}

static void
idle_clients_end(void **state)
{
	config.idle_seconds = 1;
	w.clients[1].busy = true;
	assert_true(come(0, 5, CALLER_USER) && come(1, 5, CALLER_USER) && come(2, 0, CALLER_ROOT));
	while (w.clients[0].here || w.clients[2].here)
		(void)event_base_loop(w.base, EVLOOP_ONCE);
	assert_false(w.clients[0].here);
	assert_true(w.clients[1].here);
	assert_false(w.clients[2].here);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
	const struct CMUnitTest tests[] = {
	    TEST(a_user_has_so_many),
	    TEST(uids_without_a_name_share),
	    TEST(a_crowd_keeps_nobody_out),
	    TEST(many_users_leave_the_kept_places),
	    TEST(idle_clients_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

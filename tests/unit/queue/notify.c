/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * What people are told of an account, and how often: once, not at each restart; again after a day; of a
 * recovery; and the command that tells them is run until it took the event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/queue/harness.h"

enum { STEP = 100 /* ms */, STEPS = 150, DAY = 24 * 3600 };

struct events {
	unsigned count, recovered;
	char last[64], text[256];
};

/* The text of a field that has no quotes in it; "" where there is none. */
static void
take_field(const char *json, const char *name, char *to, size_t size)
{
	char key[32];
	const char *at;

	(void)snprintf(key, sizeof(key), "\"%s\":\"", name);
	at = strstr(json, key);
	at = at == NULL ? "" : at + strlen(key);
	(void)snprintf(to, size, "%.*s", (int)strcspn(at, "\""), at);
}

static void
on_event(void *arg, const struct message *m)
{
	struct events *e = arg;
	size_t len;
	const char *json = (const char *)message_bytes(m, F_BODY, &len);

	e->count++;
	take_field(json, "kind", e->last, sizeof(e->last));
	take_field(json, "text", e->text, sizeof(e->text));
	e->recovered += strcmp(e->last, "recovered") == 0;
}

static struct events
events(struct harness *h)
{
	struct events e = {0};
	CLEANUP_MESSAGE struct message *done =
	    harness_ask(h, 0, message_new(M_EVENTS), on_event, &e);

	assert_non_null(done);
	assert_null(message_str(done, F_ERROR));
	return e;
}

/* Waits until there are so many, and then a little for one too many. */
static struct events
expect(struct harness *h, unsigned count)
{
	struct events e = events(h);

	for (int i = 0; i < STEPS && e.count < count; i++) {
		harness_serve(h, STEP);
		e = events(h);
	}
	harness_serve(h, 3 * STEP);
	e = events(h);
	assert_int_equal(e.count, count);
	return e;
}

static void
again(struct harness *h, const char *state)
{
	harness_kill(h);
	harness_start(h);
	harness_account_state(h, state);
}

static void
test_once_and_daily(void **state)
{
	struct harness *h = *state;
	struct events e;

	h->notify = true;
	harness_start(h);
	harness_account_state(h, "needs-authorization");
	e = expect(h, 1);
	assert_string_equal(e.last, "needs-authorization");
	assert_string_equal(e.text, "The password is wrong.");
	assert_int_equal(h->told, 1);
	harness_account_state(h, "needs-authorization");
	(void)expect(h, 1);
	again(h, "needs-authorization"); /* a restart repeats nothing */
	(void)expect(h, 1);
	assert_int_equal(h->told, 1);
	harness_set_clock(DAY - 600);
	again(h, "needs-authorization");
	(void)expect(h, 1);
	harness_set_clock(DAY + 600);
	again(h, "needs-authorization");
	(void)expect(h, 2);
	assert_int_equal(h->told, 2);
}

static void
test_recovery(void **state)
{
	struct harness *h = *state;
	struct events e;

	h->notify = true;
	harness_start(h);
	harness_account_state(h, "active");
	(void)expect(h, 0); /* what always was well is no recovery */
	harness_account_state(h, "client-error");
	e = expect(h, 1);
	assert_string_equal(e.last, "client-error");
	harness_kill(h); /* well again while nobody looked */
	harness_start(h);
	harness_serve(h, 3 * STEP);
	(void)expect(h, 1); /* the keeper has not spoken yet: nothing is known */
	harness_account_state(h, "active");
	e = expect(h, 2);
	assert_string_equal(e.last, "recovered");
	again(h, "active");
	(void)expect(h, 2);
	harness_account_state(h, "client-error");
	e = expect(h, 3);
	assert_int_equal(e.recovered, 1);
}

static void
test_command_is_tried_again(void **state)
{
	struct harness *h = *state;

	h->notify = true;
	h->command_status = EX_TEMPFAIL;
	harness_start(h);
	harness_account_state(h, "needs-authorization");
	(void)expect(h, 1);
	assert_int_equal(h->told, 1);
	harness_kill(h); /* the outbox has it */
	h->command_status = 0;
	harness_set_clock(3600);
	harness_start(h);
	harness_account_state(h, "needs-authorization");
	for (int i = 0; i < STEPS && h->told < 2; i++)
		harness_serve(h, STEP);
	(void)expect(h, 1);
	assert_int_equal(h->told, 2);
	again(h, "needs-authorization");
	(void)expect(h, 1);
	assert_int_equal(h->told, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_once_and_daily),
	    HARNESS_TEST(test_recovery),
	    HARNESS_TEST(test_command_is_tried_again),
	};

	harness_hurry = 10; /* so that one event too many comes while it is waited for */
	return cmocka_run_group_tests_name("queue/notice", tests, NULL, NULL);
}

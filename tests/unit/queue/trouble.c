/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The queue role when things go wrong: processes die, clocks jump, lifetimes end. What
 * was taken is there afterwards, and is tried again, held or reported as configured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/queue/view.h"

enum { SHORT = 300, LONG = 5000, DAY = 24 * 3600 };

static const struct smtp_reply doubt = {.fault = SMTP_FAULT_CLOSED,
    .stage = SMTP_STAGE_EOM,
    .in_doubt = true,
    .text = (char *)"closed"};

static void
test_crash_of_send(void **state)
{
	CLEANUP_MESSAGE struct message *last = NULL;
	struct harness *h = *state;
	char id[32] = "";

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	for (int i = 1; i <= 3; i++) {
		CLEANUP_MESSAGE struct message *job = harness_job(h, LONG, NULL);

		assert_non_null(job);
		view_copy_id(job, id);
		close(h->send);
		h->send = -1;
		(void)view_settled(h, id, i < 3 ? "queued" : "held");
		if (i < 3)
			assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
	}
	assert_null(harness_job(h, SHORT, NULL));
	assert_int_equal(view_show(h, id).attempts, 3);
	assert_int_equal(view_act(h, 0, "release", id, NULL), EX_OK);
	last = harness_job(h, LONG, NULL);
	assert_non_null(last);
}

static void
test_crash_of_queue_in_flight(void **state)
{
	struct harness *h = *state;
	char id[32] = "";

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	for (int i = 1; i <= 3; i++) {
		CLEANUP_MESSAGE struct message *job = NULL;

		if (i == 3) /* it waits for the burst of crashes to be over */
			assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
		job = harness_job(h, LONG, NULL);
		assert_non_null(job);
		view_copy_id(job, id);
		harness_kill(h);
		harness_start(h);
	}
	assert_string_equal(view_show(h, id).state, "held");
}

static void
test_in_doubt(void **state)
{
	struct harness *h = *state;

	for (int hold = 0; hold < 2; hold++) {
		CLEANUP_MESSAGE struct message *job = NULL;
		char id[32];

		h->in_doubt = hold ? "hold" : "retry";
		harness_start(h);
		assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
		job = harness_job(h, LONG, NULL);
		assert_non_null(job);
		view_copy_id(job, id);
		harness_job_done(h, job, &doubt);
		(void)view_settled(h, id, hold ? "held" : "deferred");
		assert_int_equal(view_act(h, 0, "delete", id, NULL), EX_OK);
		harness_kill(h);
	}
}

static void
test_lifetime_is_over(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *bounce = NULL;
	const uint8_t *body;
	size_t len;
	char id[32];

	h->lifetime = 1;
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_serve(h, 1100);
	harness_job_done(h, job, &harness_later);
	(void)view_settled(h, id, "bounced");
	bounce = harness_job(h, LONG, NULL);
	assert_non_null(bounce);
	body = message_bytes(bounce, F_BODY, &len);
	assert_non_null(strstr((const char *)body, "Status: 4.4.7"));
}

/* Time in which the account could not send is not the message's: it is tried, and not given up. */
static void
test_lifetime_does_not_run_out_on_the_account(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	char id[32];

	h->lifetime = 2;
	harness_start(h);
	harness_account_state(h, "needs-authorization");
	harness_serve(h, 100);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	harness_serve(h, 3100);
	harness_account_state(h, "active");
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_later);
	(void)view_settled(h, id, "deferred");
}

static void
test_shutdown_puts_back(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	assert_int_equal(harness_stop(h), 0);
	harness_start(h);
	assert_string_equal(view_show(h, id).state, "queued");
	assert_int_equal(view_show(h, id).attempts, 0); /* nobody crashed */
}

/* With in-doubt = "hold" nothing that was under way when a process died is sent again by itself. */
static void
test_crashes_leave_doubt(void **state)
{
	struct harness *h = *state;

	h->in_doubt = "hold";
	harness_start(h);
	for (int queue_dies = 0; queue_dies < 2; queue_dies++) {
		CLEANUP_MESSAGE struct message *job = NULL, *again = NULL;
		struct shown s;
		char id[32];

		assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
		job = harness_job(h, LONG, NULL);
		assert_non_null(job);
		view_copy_id(job, id);
		if (queue_dies) {
			harness_kill(h);
			harness_start(h);
		} else {
			close(h->send);
			h->send = -1;
		}
		s = view_settled(h, id, "held");
		assert_non_null(strstr(s.reply, "ended while the message was being sent"));
		assert_null(harness_job(h, SHORT, NULL));
		assert_int_equal(view_act(h, 0, "release", id, NULL), EX_OK);
		again = harness_job(h, LONG, NULL);
		assert_non_null(again);
		harness_job_done(h, again, &harness_ok);
		(void)view_settled(h, id, "delivered");
	}
}

/* A job that the network role was given and did not answer when Frank stopped is in doubt as well. */
static void
test_stop_leaves_doubt(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	char id[32];

	h->in_doubt = "hold";
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	assert_int_equal(harness_stop(h), 0);
	harness_start(h);
	assert_string_equal(view_show(h, id).state, "held");
}

static struct shown
shown_with_until(struct harness *h, const char *id, int64_t wanted)
{
	struct shown s = {0};

	for (int i = 0; i < 300; i++) {
		s = view_show(h, id);
		if ((int64_t)s.until > wanted - 5 && (int64_t)s.until < wanted + 5)
			return s;
		harness_serve(h, 50);
	}
	fail_msg("waits until %lld and not %lld", (long long)s.until, (long long)wanted);
	return s;
}

/* Somebody sets the clock, forth and back: waits and lifetimes stay as long as they were. */
static void
test_clock_is_set(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *again = NULL;
	int64_t until;
	char id[32];

	h->lifetime = 3600;
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_later);
	until = (int64_t)view_settled(h, id, "deferred").until;
	harness_set_clock(DAY);
	assert_string_equal(shown_with_until(h, id, until + DAY).state, "deferred");
	harness_set_clock(-DAY);
	assert_string_equal(shown_with_until(h, id, until - DAY).state, "deferred");
	assert_null(harness_job(h, SHORT, NULL));
	/* by the clock as it was, the message would be too old */
	harness_set_clock(2 * DAY);
	(void)shown_with_until(h, id, until + 2 * (int64_t)DAY);
	assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
	again = harness_job(h, LONG, NULL);
	assert_non_null(again);
	harness_job_done(h, again, &harness_later);
	harness_serve(h, SHORT);
	assert_string_equal(view_show(h, id).state, "deferred");
}

/* A machine boots with a clock of long ago, and learns the time: what waited since before the boot
 * is due. */
static void
test_clock_was_wrong_at_start(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *again = NULL;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_later);
	(void)view_settled(h, id, "deferred");
	harness_kill(h);
	harness_set_clock(-365 * (int64_t)DAY);
	harness_start(h);
	assert_null(harness_job(h, SHORT, NULL));
	harness_set_clock(3600);
	for (int i = 0; i < 10 && again == NULL; i++)
		again = harness_job(h, LONG, NULL);
	assert_non_null(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_crash_of_send),
	    HARNESS_TEST(test_crash_of_queue_in_flight),
	    HARNESS_TEST(test_in_doubt),
	    HARNESS_TEST(test_crashes_leave_doubt),
	    HARNESS_TEST(test_stop_leaves_doubt),
	    HARNESS_TEST(test_lifetime_is_over),
	    HARNESS_TEST(test_lifetime_does_not_run_out_on_the_account),
	    HARNESS_TEST(test_shutdown_puts_back),
	    HARNESS_TEST(test_clock_is_set),
	    HARNESS_TEST(test_clock_was_wrong_at_start),
	};

	harness_hurry = 10;
	return cmocka_run_group_tests_name("queue/trouble", tests, NULL, NULL);
}

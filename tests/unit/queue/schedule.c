/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/queue/common/schedule.c: waits, what outcomes mean, and the states of an account.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "broker/queue/common/schedule.h"

static void
test_retry_delays(void **state)
{
	static const int64_t minutes[] = {1, 5, 15, 30, 60, 120, 240, 240, 240};

	for (unsigned i = 0; i < ARRAY_SIZE(minutes); i++)
		for (uint32_t random = 0; random < 100000; random += 9973) {
			int64_t d = schedule_retry_delay(i + 1, random * 7919);

			assert_in_range(d, minutes[i] * 48, minutes[i] * 72);
		}
	assert_int_equal(schedule_retry_delay(1, 0), 48);
	assert_int_equal(schedule_retry_delay(1, 24), 72);
	assert_in_range(schedule_retry_delay(0, 5), 48, 72);
	assert_in_range(schedule_retry_delay(4000000000u, 5), 11520, 17280);
}

static void
test_verdicts(void **state)
{
	static const struct {
		struct smtp_reply reply;
		enum retry_class retry;
		enum schedule_recipient recipient;
		enum schedule_state account;
	} rows[] = {
	    {{.code = 250, .stage = SMTP_STAGE_EOM}, RETRY_TRANSIENT, SCHEDULE_DELIVERED,
		SCHEDULE_ACTIVE},
	    {{.fault = SMTP_FAULT_CLOSED, .stage = SMTP_STAGE_EOM, .in_doubt = true},
		RETRY_TRANSIENT, SCHEDULE_IN_DOUBT, SCHEDULE_ACTIVE},
	    {{.code = 450, .stage = SMTP_STAGE_RCPT}, RETRY_TRANSIENT, SCHEDULE_DEFERRED,
		SCHEDULE_ACTIVE},
	    {{.fault = SMTP_FAULT_REFUSED, .stage = SMTP_STAGE_CONNECT}, RETRY_TRANSIENT,
		SCHEDULE_REQUEUED, SCHEDULE_UNREACHABLE},
	    {{.code = 454, .stage = SMTP_STAGE_AUTH}, RETRY_TRANSIENT, SCHEDULE_REQUEUED,
		SCHEDULE_UNREACHABLE},
	    {{.fault = SMTP_FAULT_CLOSED, .stage = SMTP_STAGE_MAIL}, RETRY_TRANSIENT,
		SCHEDULE_DEFERRED, SCHEDULE_ACTIVE},
	    {{.code = 550, .stage = SMTP_STAGE_RCPT}, RETRY_PERMANENT_MESSAGE, SCHEDULE_BOUNCED,
		SCHEDULE_ACTIVE},
	    {{.code = 535, .stage = SMTP_STAGE_AUTH}, RETRY_NEEDS_AUTHORIZATION, SCHEDULE_REQUEUED,
		SCHEDULE_NEEDS_AUTHORIZATION},
	    {{.code = 553, .stage = SMTP_STAGE_RCPT}, RETRY_PERMANENT_ACCOUNT, SCHEDULE_REQUEUED,
		SCHEDULE_REFUSED},
	    {{.code = 432, .stage = SMTP_STAGE_MAIL}, RETRY_THROTTLED, SCHEDULE_REQUEUED,
		SCHEDULE_THROTTLED},
	    {{.fault = SMTP_FAULT_CERT_NAME, .stage = SMTP_STAGE_TLS}, RETRY_CONFIGURATION,
		SCHEDULE_REQUEUED, SCHEDULE_CONFIGURATION},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct diagnosis d = {.retry = rows[i].retry, .delay = 7};
		struct schedule_verdict v = schedule_verdict(&rows[i].reply, &d);

		if (v.recipient != rows[i].recipient || v.account != rows[i].account)
			fail_msg("row %zu", i);
	}
}

static struct schedule_verdict
verdict(enum schedule_state account, unsigned delay)
{
	return (struct schedule_verdict){.account = account, .delay = delay};
}

static void
test_account_refused_and_back(void **state)
{
	struct schedule_account a = {0};
	struct schedule_verdict no = verdict(SCHEDULE_REFUSED, 0),
				yes = verdict(SCHEDULE_ACTIVE, 0);
	int64_t now = 1000;
	static const int64_t minutes[] = {15, 30, 60, 120, 240, 360, 360};

	assert_int_equal(schedule_account_room(&a, now, 60), 60);
	for (unsigned i = 0; i < ARRAY_SIZE(minutes); i++) {
		bool changed = schedule_account_result(&a, a.round, &no, now, 0);

		assert_int_equal(changed, i == 0);
		assert_int_equal(schedule_account_state(&a), SCHEDULE_REFUSED);
		assert_int_equal(a.until - now, minutes[i] * 48);
		assert_int_equal(schedule_account_room(&a, a.until - 1, 60), 0);
		assert_int_equal(schedule_account_wake(&a, now), a.until);
		now = a.until;
		/* one alone sees whether the trouble is over */
		assert_int_equal(schedule_account_room(&a, now, 60), 1);
	}
	assert_true(schedule_account_result(&a, a.round, &yes, now, 0));
	assert_int_equal(schedule_account_room(&a, now, 60), 60);
	assert_int_equal(schedule_account_wake(&a, now), SCHEDULE_NEVER);
}

static void
test_one_trouble_counts_once(void **state)
{
	struct schedule_account a = {0};
	struct schedule_verdict no = verdict(SCHEDULE_NEEDS_AUTHORIZATION, 0),
				yes = verdict(SCHEDULE_ACTIVE, 0);
	unsigned round = a.round;
	int64_t until;

	assert_true(schedule_account_result(&a, round, &no, 1000, 0));
	until = a.until;
	for (int i = 0; i < 59; i++)
		assert_false(schedule_account_result(&a, round, &no, 1001, 0));
	assert_int_equal(a.until, until);
	assert_int_equal(a.failures, 1);
	/* a success that began before the trouble does not end it */
	assert_false(schedule_account_result(&a, round, &yes, 1002, 0));
	assert_int_equal(schedule_account_room(&a, 1002, 60), 0);
}

static void
test_throttle_and_unreachable(void **state)
{
	struct schedule_account a = {0};
	struct schedule_verdict slow = verdict(SCHEDULE_THROTTLED, 3600),
				gone = verdict(SCHEDULE_UNREACHABLE, 0);

	(void)schedule_account_result(&a, a.round, &slow, 0, 0);
	assert_int_equal(a.until, 3600); /* never less than the server asked for */
	assert_string_equal(schedule_state_name(schedule_account_state(&a)), "throttled");
	a = (struct schedule_account){0};
	for (int i = 0; i < 20; i++)
		(void)schedule_account_result(&a, a.round, &gone, 0, 0);
	assert_int_equal(a.until, 15 * 48);
	assert_string_equal(schedule_state_name(schedule_account_state(&a)), "unreachable");
}

static void
test_person_and_keeper(void **state)
{
	struct schedule_account a = {.held = true};
	struct schedule_verdict no = verdict(SCHEDULE_NEEDS_AUTHORIZATION, 0),
				config = verdict(SCHEDULE_CONFIGURATION, 0);

	assert_int_equal(schedule_account_room(&a, 0, 60), 0);
	assert_int_equal(schedule_account_state(&a), SCHEDULE_HELD);
	assert_false(schedule_account_keeper(&a, SCHEDULE_NEEDS_AUTHORIZATION));
	a.held = false;
	assert_int_equal(schedule_account_state(&a), SCHEDULE_NEEDS_AUTHORIZATION);
	assert_int_equal(schedule_account_room(&a, INT64_MAX, 60), 0);
	assert_true(schedule_account_keeper(&a, SCHEDULE_ACTIVE));
	assert_int_equal(schedule_account_room(&a, 0, 60), 60);

	/* a new credential ends what was learned of the old one, a wrong host it does not */
	(void)schedule_account_result(&a, a.round, &no, 0, 0);
	(void)schedule_account_keeper(&a, SCHEDULE_NEEDS_AUTHORIZATION);
	assert_true(schedule_account_keeper(&a, SCHEDULE_ACTIVE));
	assert_int_equal(schedule_account_state(&a), SCHEDULE_ACTIVE);
	(void)schedule_account_result(&a, a.round, &config, 0, 0);
	(void)schedule_account_keeper(&a, SCHEDULE_NEEDS_AUTHORIZATION);
	(void)schedule_account_keeper(&a, SCHEDULE_ACTIVE);
	assert_int_equal(schedule_account_state(&a), SCHEDULE_CONFIGURATION);
	assert_int_equal(schedule_account_room(&a, 0, 60), 0);
	schedule_account_retry(&a, 0);
	assert_int_equal(schedule_account_room(&a, 0, 60), 1);

	/* nor where the keeper never noticed that the old one was refused; but one given before the
	 * refusal is the one that was refused */
	a = (struct schedule_account){0};
	(void)schedule_account_result(&a, a.round, &no, 100, 0);
	assert_false(schedule_account_renewed(&a, 99));
	assert_int_equal(schedule_account_state(&a), SCHEDULE_NEEDS_AUTHORIZATION);
	assert_true(schedule_account_renewed(&a, 100));
	assert_int_equal(schedule_account_state(&a), SCHEDULE_ACTIVE);
	assert_int_equal(schedule_account_room(&a, 100, 60), 60);
	(void)schedule_account_result(&a, a.round, &config, 200, 0);
	assert_false(schedule_account_renewed(&a, 300));
}

static void
test_names(void **state)
{
	for (unsigned i = 0; i < SCHEDULE_STATE_COUNT; i++)
		if (i != SCHEDULE_UNREACHABLE)
			assert_int_equal(schedule_state_by_name(schedule_state_name(i)), i);
	assert_int_equal(schedule_state_by_name("empty"), SCHEDULE_NEEDS_AUTHORIZATION);
}

static bool
odd(void *arg, size_t i)
{
	return i % 2 == 1;
}

static bool
none(void *arg, size_t i)
{
	return false;
}

static void
test_turns(void **state)
{
	size_t cursor = 0;

	assert_int_equal(schedule_take_turn(&cursor, 5, odd, NULL), 1);
	assert_int_equal(schedule_take_turn(&cursor, 5, odd, NULL), 3);
	assert_int_equal(schedule_take_turn(&cursor, 5, odd, NULL), 1);
	assert_int_equal(schedule_take_turn(&cursor, 5, none, NULL), 5);
	assert_int_equal(schedule_take_turn(&cursor, 0, odd, NULL), 0);
	cursor = 99; /* accounts were taken away */
	assert_int_equal(schedule_take_turn(&cursor, 2, odd, NULL), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_retry_delays),
	    cmocka_unit_test(test_verdicts),
	    cmocka_unit_test(test_account_refused_and_back),
	    cmocka_unit_test(test_one_trouble_counts_once),
	    cmocka_unit_test(test_throttle_and_unreachable),
	    cmocka_unit_test(test_person_and_keeper),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_turns),
	};

	return cmocka_run_group_tests_name("queue/schedule", tests, NULL, NULL);
}

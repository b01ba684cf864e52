/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* broker/queue/rate-limit: no stretch of a period sees more than the rate, and nearly the whole rate gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "broker/queue/common/rate-limit.h"

enum { MINUTE = RATE_LIMIT_MINUTE, SENT_MAX = 20000 };

static uint64_t sent[SENT_MAX];

/* Who always wants to send, and looks again when it was told to or a little later, for `periods` periods. */
static size_t
send_greedily(struct rate_limit *l, unsigned rate, uint64_t begin, unsigned periods, unsigned late)
{
	uint64_t now = begin, wait;
	size_t count = 0;

	while (now < begin + (uint64_t)periods * MINUTE) {
		wait = rate_limit_wait(l, rate, MINUTE, now);
		assert_true(wait <= MINUTE + MINUTE / RATE_LIMIT_SLOTS);
		if (wait > 0) {
			assert_true(rate_limit_wait(l, rate, MINUTE, now + wait - 1) > 0);
			assert_int_equal(rate_limit_wait(l, rate, MINUTE, now + wait), 0);
			now += wait + (late == 0 ? 0 : (unsigned)rand() % late);
			continue;
		}
		rate_limit_spend(l, MINUTE, (int64_t)now, 1);
		assert_true(count < SENT_MAX);
		sent[count++] = now;
		now += late == 0 ? 0 : (unsigned)rand() % late;
	}
	return count;
}

static void
test_no_minute_exceeds_the_rate(void **state)
{
	static const unsigned rates[] = {1, 2, 7, 30, 100, 1000}, lateness[] = {0, 3, 500, 7000};

	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		for (size_t k = 0; k < sizeof(lateness) / sizeof(*lateness); k++) {
			struct rate_limit l = {0};
			unsigned rate = rates[i];
			size_t count =
			    send_greedily(&l, rate, (uint64_t)rand() % 1000000, 10, lateness[k]);

			for (size_t n = rate; n < count; n++)
				assert_true(sent[n] - sent[n - rate] >= MINUTE);
			/* who asks again at once loses a 32nd at most */
			if (lateness[k] == 0)
				assert_true(count >= 9 * rate);
		}
}

static void
test_what_was_spent_before_a_start_counts(void **state)
{
	struct rate_limit l = {0};

	/* the clock began two seconds ago; 20 went out before that, 10 of them long before */
	rate_limit_spend(&l, MINUTE, 2000 - 70000, 10);
	rate_limit_spend(&l, MINUTE, 2000 - 30000, 10);
	assert_int_equal(rate_limit_wait(&l, 30, MINUTE, 2000), 0);
	rate_limit_spend(&l, MINUTE, 2000, 20);
	assert_true(rate_limit_wait(&l, 30, MINUTE, 2000) >= 30000);
	assert_true(rate_limit_wait(&l, 30, MINUTE, 2000) <= 32000);
	/* in whatever order it is found */
	l = (struct rate_limit){0};
	rate_limit_spend(&l, MINUTE, 2000, 15);
	rate_limit_spend(&l, MINUTE, 2000 - 30000, 15);
	assert_true(rate_limit_wait(&l, 30, MINUTE, 2000) >= 30000);
	assert_true(rate_limit_wait(&l, 31, MINUTE, 2000) == 0);
}

static void
test_no_rate_and_more_than_the_rate(void **state)
{
	struct rate_limit l = {0};

	rate_limit_spend(&l, MINUTE, 5000, UINT32_MAX);
	rate_limit_spend(&l, MINUTE, 5000, UINT32_MAX);
	assert_int_equal(rate_limit_wait(&l, 0, MINUTE, 5000), 0);
	assert_true(rate_limit_wait(&l, 30, MINUTE, 5000) >= MINUTE);
	assert_int_equal(
	    rate_limit_wait(&l, 30, MINUTE, 5000 + MINUTE + MINUTE / RATE_LIMIT_SLOTS), 0);
}

static void
test_given_back(void **state)
{
	struct rate_limit l = {0};

	rate_limit_give_back(&l);
	assert_true(rate_limit_is_idle(&l, MINUTE, 0));
	rate_limit_spend(&l, MINUTE, 0, 1);
	rate_limit_spend(&l, MINUTE, 59000, 1);
	rate_limit_give_back(&l);
	assert_false(rate_limit_is_idle(&l, MINUTE, 59000));
	assert_int_equal(rate_limit_wait(&l, 2, MINUTE, 59000), 0);
	assert_true(rate_limit_wait(&l, 1, MINUTE, 59000) > 0);
	rate_limit_give_back(&l);
	assert_true(rate_limit_is_idle(&l, MINUTE, 59000));
	rate_limit_spend(&l, MINUTE, 59000, 1);
	assert_false(rate_limit_is_idle(&l, MINUTE, 59000 + MINUTE));
	assert_true(rate_limit_is_idle(&l, MINUTE, 59000 + 2 * MINUTE));
}

static void
test_added(void **state)
{
	struct rate_limit a = {0}, b = {0};

	rate_limit_spend(&a, MINUTE, 100000, 3);
	rate_limit_spend(&b, MINUTE, 70000, 2);
	rate_limit_spend(&b, MINUTE, 130000, 1);
	rate_limit_add(&a, &b);
	assert_int_equal(rate_limit_wait(&a, 7, MINUTE, 130000), 0);
	assert_true(rate_limit_wait(&a, 6, MINUTE, 130000) > 0);
	/* what is over is over */
	assert_int_equal(
	    rate_limit_wait(&a, 5, MINUTE, 70000 + MINUTE + MINUTE / RATE_LIMIT_SLOTS), 0);
	/* into one that is empty, and one that is long ahead */
	a = (struct rate_limit){0};
	rate_limit_add(&a, &b);
	assert_true(rate_limit_wait(&a, 3, MINUTE, 130000) > 0);
	a = (struct rate_limit){0};
	rate_limit_spend(&a, MINUTE, 900000, 1);
	rate_limit_add(&a, &b);
	assert_int_equal(rate_limit_wait(&a, 2, MINUTE, 900000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_minute_exceeds_the_rate),
	    cmocka_unit_test(test_what_was_spent_before_a_start_counts),
	    cmocka_unit_test(test_no_rate_and_more_than_the_rate),
	    cmocka_unit_test(test_given_back),
	    cmocka_unit_test(test_added),
	};

	return cmocka_run_group_tests_name("queue/rate-limit", tests, NULL, NULL);
}

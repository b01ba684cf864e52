/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* count.c: what became of an account's mail, in numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/queue/accounts/count.h"

/* The sample of this family and label in a row, and how many there are of the family. */
static uint64_t
sample(const struct count *c, enum metric metric, const char *label, size_t *ret_of_family)
{
	struct message *row = message_new(M_ROW_METRICS);
	size_t at_metric = 0, at_label = 0, at_value = 0;
	uint64_t m, value, found = UINT64_MAX;
	const char *l;

	*ret_of_family = 0;
	count_put(c, row);
	assert_int_equal(message_error(row), 0);
	while (message_next_u64(row, F_METRIC, &at_metric, &m)) {
		assert_true(message_next_str(row, F_LABEL, &at_label, &l));
		assert_true(message_next_u64(row, F_VALUE, &at_value, &value));
		*ret_of_family += m == metric;
		if (m == metric && strcmp(l, label) == 0)
			found = value;
	}
	(void)message_free(row);
	return found;
}

static uint64_t
value_of(const struct count *c, enum metric metric, const char *label)
{
	size_t of_family;

	return sample(c, metric, label, &of_family);
}

/* Each state of a recipient is counted once, in its place; those that are no outcome, in none. */
static void
test_outcomes(void **state)
{
	struct count c = {0};

	count_outcome(&c, SPOOL_DELIVERED, COUNT_TRANSIENT, 5);
	count_outcome(&c, SPOOL_BOUNCED, COUNT_TRANSIENT, 5);
	count_outcome(&c, SPOOL_FAILED, COUNT_TRANSIENT, 5);
	count_outcome(&c, SPOOL_FAILED, COUNT_TRANSIENT, 5);
	count_outcome(&c, SPOOL_HELD, COUNT_IN_DOUBT, 5);
	count_outcome(&c, SPOOL_SENDING, COUNT_TRANSIENT, 5);
	count_outcome(&c, SPOOL_CAPTURED, COUNT_TRANSIENT, 5);
	assert_int_equal(value_of(&c, METRIC_DELIVERED, ""), 1);
	assert_int_equal(value_of(&c, METRIC_BOUNCED, ""), 1);
	assert_int_equal(value_of(&c, METRIC_FAILED, ""), 2);
	assert_int_equal(value_of(&c, METRIC_HELD, ""), 1);
	for (enum count_cause x = 0; x < COUNT_CAUSES; x++)
		assert_int_equal(c.deferred[x], 0);
}

static void
test_causes(void **state)
{
	static const struct {
		struct schedule_verdict verdict;
		const char *name;
	} cases[] = {
	    {{.recipient = SCHEDULE_DEFERRED, .account = SCHEDULE_ACTIVE}, "transient"},
	    {{.recipient = SCHEDULE_IN_DOUBT, .account = SCHEDULE_UNREACHABLE}, "in-doubt"},
	    {{.recipient = SCHEDULE_REQUEUED, .account = SCHEDULE_THROTTLED}, "throttled"},
	    {{.recipient = SCHEDULE_REQUEUED, .account = SCHEDULE_NEEDS_AUTHORIZATION},
		"needs-authorization"},
	};
	struct count c = {0};
	size_t names;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		count_outcome(
		    &c, i == 0 ? SPOOL_DEFERRED : SPOOL_QUEUED, count_cause(&cases[i].verdict), 5);
		assert_int_equal(value_of(&c, METRIC_DEFERRED, cases[i].name), 1);
	}
	count_outcome(&c, SPOOL_QUEUED, COUNT_INTERRUPTED, 5);
	assert_int_equal(sample(&c, METRIC_DEFERRED, "interrupted", &names), 1);
	/* the three of a try, and the states in which an account sends nothing by itself */
	assert_int_equal(names, 3 + SCHEDULE_STATE_COUNT - 2);
	assert_int_equal(value_of(&c, METRIC_DEFERRED, "active"), UINT64_MAX);
}

/* A time that is a bound is in its bucket (le); one that went back, in the first; the longest, in the last. */
static void
test_times(void **state)
{
	struct count c = {0};
	size_t samples;

	count_outcome(&c, SPOOL_DELIVERED, COUNT_TRANSIENT, 100 * 1000);
	count_outcome(&c, SPOOL_DELIVERED, COUNT_TRANSIENT, 101 * 1000);
	count_outcome(&c, SPOOL_DELIVERED, COUNT_TRANSIENT, -5000000);
	count_outcome(&c, SPOOL_DELIVERED, COUNT_TRANSIENT, INT64_C(90000) * 1000000);
	assert_int_equal(c.buckets[0], 2);
	assert_int_equal(c.buckets[1], 1);
	assert_int_equal(c.buckets[METRIC_BOUNDS], 1);
	assert_int_equal(sample(&c, METRIC_DELIVERY, METRIC_SUM, &samples), 90000201);
	assert_int_equal(samples, METRIC_BOUNDS + 2);
}

static void
test_sessions(void **state)
{
	struct count c = {0};

	count_session(&c, "opened");
	count_session(&c, "opened");
	count_session(&c, "closed");
	count_session(&c, "failed");
	assert_int_equal(value_of(&c, METRIC_SESSIONS, ""), 1);
	assert_int_equal(value_of(&c, METRIC_OPENED, ""), 2);
	assert_int_equal(value_of(&c, METRIC_UNOPENED, ""), 1);
	c.sessions = 0; /* the role ended */
	count_session(&c, "closed");
	assert_int_equal(value_of(&c, METRIC_SESSIONS, ""), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_causes),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

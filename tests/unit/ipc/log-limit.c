/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Lines that callers cause: the first of each kind and caller are written, the rest is counted, and
 * nobody's flood hides what others do or makes the log grow without bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/role/log-limit.h"

static struct event_base *base;
static struct log_limit *limit;
static FILE *written;
static int stderr_kept;

static int
begin(void **state)
{
	base = event_base_new();
	limit = log_limit_new(base);
	written = tmpfile();
	assert_non_null(written);
	stderr_kept = dup(STDERR_FILENO);
	assert_true(dup2(fileno(written), STDERR_FILENO) >= 0);
	return 0;
}

static int
finish(void **state)
{
	limit = log_limit_free(limit);
	event_base_free(base);
	(void)dup2(stderr_kept, STDERR_FILENO);
	(void)close(stderr_kept);
	(void)fclose(written);
	return 0;
}

/* Lines that hold this. */
static unsigned
lines(const char *what)
{
	char line[4096];
	unsigned n = 0;

	rewind(written);
	while (fgets(line, sizeof(line), written) != NULL)
		n += strstr(line, what) != NULL;
	return n;
}

static void
say(const char *who, const char *sentence, const char *outcome)
{
	log_limited(limit, who, LOG_LEVEL_NOTICE, sentence,
	    LOG_PAIRS({LOG_UID, "7"}, {LOG_OUTCOME, outcome}));
}

static void
repeats_are_counted(void **state)
{
	for (int i = 0; i < 1000; i++) {
		char outcome[64];

		(void)snprintf(outcome, sizeof(outcome), "not allowed: %d@example.org", i);
		say("uid 7", "It is refused.", outcome);
	}
	say("uid 7", "It is refused.", "another reason");
	say("uid 8", "It is refused.", "not allowed: x");
	say("uid 7", "Something else.", NULL);
	assert_int_equal(lines("not allowed: "), LOG_LIMIT_LINES + 1);
	assert_int_equal(lines("another reason"), 1);
	assert_int_equal(lines("Something else."), 1);
	log_limit_flush(limit);
	assert_int_equal(lines("It is refused. 990 more like this, of uid 7."), 1);
	assert_int_equal(lines("more like this"), 1);
	say("uid 7", "It is refused.", "not allowed: afterwards");
	assert_int_equal(lines("afterwards"), 1);
	log_limit_flush(limit);
	assert_int_equal(lines("more like this"), 1);
}

static void
many_callers_are_bounded(void **state)
{
	for (int i = 0; i < 20000; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "192.0.2.%d", i / 20);
		say(who, "It is refused.", "no");
	}
	assert_in_range(lines("It is refused."), 100, 256 * LOG_LIMIT_LINES);
	/* another kind still has a row */
	say("uid 7", "Something else.", NULL);
	assert_int_equal(lines("Something else."), 1);
	log_limit_flush(limit);
	assert_int_equal(lines("of several callers"), 1);
	say("uid 9", "Afterwards.", NULL);
	assert_int_equal(lines("Afterwards."), 1);
}

static void
long_values_are_cut(void **state)
{
	char *name = calloc(1, 60001);

	memset(name, 'x', 60000);
	log_limited(limit, name, LOG_LEVEL_NOTICE, "It is refused.",
	    LOG_PAIRS({LOG_ACCOUNT, name}, {LOG_OUTCOME, name}, {LOG_UID, "7"}));
	free(name);
	(void)fseek(written, 0, SEEK_END);
	assert_in_range(ftell(written), 2 * LOG_LIMIT_VALUE_MAX, 1000);
	assert_int_equal(lines("xxx... outcome=x"), 1);
	assert_int_equal(lines("uid=7"), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
	const struct CMUnitTest tests[] = {
	    TEST(repeats_are_counted),
	    TEST(many_callers_are_bounded),
	    TEST(long_values_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

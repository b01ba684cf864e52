/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of admin/arguments.c and of the small words of cli.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "admin/cli.h"

/* Splits at spaces; returns the fault. */
static int
parse(const char *line, struct arguments *a, int *at)
{
	static char copy[512], *argv[64], *rest;
	int argc = 0;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return arguments_parse(argc, argv, a, at);
}

static void
test_good(void **state)
{
	struct arguments a;
	int at;

	assert_int_equal(parse("frank authorize billing --port 7000 --no-browser", &a, &at), 0);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.words[1], "billing");
	assert_string_equal(a.values[OPTION_PORT], "7000");
	assert_true(arguments_has(&a, OPTION_NO_BROWSER));
	assert_false(arguments_has(&a, OPTION_JSON));
	/* options anywhere; '=' too; an empty value; a value that looks like an option */
	assert_int_equal(parse("frank --json --port=7 status", &a, &at), 0);
	assert_string_equal(a.words[0], "status");
	assert_string_equal(a.values[OPTION_PORT], "7");
	assert_int_equal(parse("frank check --explain= --stage --json", &a, &at), 0);
	assert_string_equal(a.values[OPTION_EXPLAIN], "");
	assert_string_equal(a.values[OPTION_STAGE], "--json");
	assert_false(arguments_has(&a, OPTION_JSON));
	/* behind "--" all are words; a lone "-" is one */
	assert_int_equal(parse("frank token -- --json -", &a, &at), 0);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.words[1], "--json");
	assert_int_equal(parse("frank -h", &a, &at), 0);
	assert_true(arguments_has(&a, OPTION_HELP));
}

static void
test_bad(void **state)
{
	static const struct {
		const char *line;
		int fault, at;
	} rows[] = {
	    {"frank status --jsn", ARGUMENTS_UNKNOWN, 2},
	    {"frank -x", ARGUMENTS_UNKNOWN, 1},
	    {"frank --porty=7", ARGUMENTS_UNKNOWN, 1},
	    {"frank --por=7", ARGUMENTS_UNKNOWN, 1},
	    {"frank a --port", ARGUMENTS_NO_VALUE, 2},
	    {"frank --json=yes", ARGUMENTS_VALUE_TOO_MUCH, 1},
	    {"frank --port 1 --port 2", ARGUMENTS_TWICE, 3},
	    {"frank 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3",
		ARGUMENTS_TOO_MANY, 33},
	};
	struct arguments a;
	int at;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].line, &a, &at), rows[i].fault);
		assert_int_equal(at, rows[i].at);
	}
}

static void
test_numbers(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} rows[] = {{"0", -EINVAL, 0}, {"1", 0, 1}, {"65535", 0, 65535}, {"65536", -EINVAL, 0},
	    {"", -EINVAL, 0}, {"-1", -EINVAL, 0}, {"+1", -EINVAL, 0}, {"7x", -EINVAL, 0},
	    {" 7", -EINVAL, 0}, {"0x10", -EINVAL, 0}, {"99999999999999999999", -EINVAL, 0}};
	struct arguments a = {0};
	uint64_t value;

	assert_int_equal(arguments_number(&a, OPTION_PORT, 1, 65535, &value), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		a.values[OPTION_PORT] = rows[i].text;
		assert_int_equal(
		    arguments_number(&a, OPTION_PORT, 1, 65535, &value), rows[i].result);
		if (rows[i].result == 0)
			assert_int_equal(value, rows[i].value);
	}
}

static void
test_suggest(void **state)
{
	static const char *const names[] = {"authorize", "status", "queue", "token", "test"};
	static const struct {
		const char *word, *meant;
	} rows[] = {{"staus", "status"}, {"sttaus", "status"}, {"authorise", "authorize"},
	    {"quue", "queue"}, {"tokne", "token"}, {"tst", "test"}, {"stat", "status"},
	    {"banana", NULL}, {"x", NULL}, {"", NULL},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = arguments_suggest(rows[i].word, names, ARRAY_SIZE(names));

		print_message("%s: %s\n", rows[i].word, got == NULL ? "-" : got);
		if (rows[i].meant == NULL)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].meant);
	}
}

static void
test_words(void **state)
{
	char text[64];

	cli_relative_time(1000, 1000, text, sizeof(text));
	assert_string_equal(text, "now");
	cli_relative_time(1060, 1000, text, sizeof(text));
	assert_string_equal(text, "in 60 s");
	cli_relative_time(1000, 1000 + 3 * 60, text, sizeof(text));
	assert_string_equal(text, "3 min ago");
	cli_relative_time(1000 + 5 * 3600, 1000, text, sizeof(text));
	assert_string_equal(text, "in 5 h");
	cli_relative_time(0, 10 * 86400, text, sizeof(text));
	assert_string_equal(text, "10 days ago");
	cli_size(999, text, sizeof(text));
	assert_string_equal(text, "999");
	cli_size(2345, text, sizeof(text));
	assert_string_equal(text, "2.3k");
	cli_size(35882577, text, sizeof(text));
	assert_string_equal(text, "35.9M");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_suggest),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

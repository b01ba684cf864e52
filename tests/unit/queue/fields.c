/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/fields.c: dates, mailboxes, encoded words, folds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "broker/message/fields.h"

static void
test_dates(void **state)
{
	static const struct {
		int64_t seconds;
		int offset;
		const char *text;
	} rows[] = {
	    {0, 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
	    {1795514400, 60, "Tue, 24 Nov 2026 11:00:00 +0100"},
	    {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
	    {1709164799, -210, "Wed, 28 Feb 2024 20:29:59 -0330"},
	    {4102444799, 0, "Thu, 31 Dec 2099 23:59:59 +0000"},
	    {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(100);

		assert_int_equal(fields_date(&out, rows[i].seconds, rows[i].offset), 0);
		assert_string_equal(buf_str(&out), rows[i].text);
	}
	/* the same as the C library, over four centuries */
	for (int64_t t = -5000000000; t < 8000000000; t += 86400 * 17 + 3607) {
		CLEANUP_BUF struct buf out = BUF_INIT(100);
		char want[64];
		time_t seconds = (time_t)t;
		struct tm tm;

		assert_non_null(gmtime_r(&seconds, &tm));
		(void)strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S +0000", &tm);
		assert_int_equal(fields_date(&out, t, 0), 0);
		assert_string_equal(buf_str(&out), want);
	}
}

static void
test_mailboxes(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
	    {NULL, "a@b.example"},
	    {"", "a@b.example"},
	    {"Cron Daemon", "Cron Daemon <a@b.example>"},
	    {"Doe, Jane", "\"Doe, Jane\" <a@b.example>"},
	    {"a \"b\" \\c", "\"a \\\"b\\\" \\\\c\" <a@b.example>"},
	    {"x\r\nBcc: evil@else.example", "\"x  Bcc: evil@else.example\" <a@b.example>"},
	    {"M\xc3\xbcller", "=?UTF-8?B?TcO8bGxlcg==?= <a@b.example>"},
	    {"=?UTF-8?B?TcO8bGxlcg==?=", "=?UTF-8?B?TcO8bGxlcg==?= <a@b.example>"},
	    {"M\xfcller", "=?unknown-8bit?B?TfxsbGVy?= <a@b.example>"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);

		assert_int_equal(fields_mailbox(&out, rows[i].name, "", "a@b.example"), 0);
		assert_string_equal(buf_str(&out), rows[i].text);
	}
}

static void
test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {" plain  text", " plain  text"},
	    {" Gr\xc3\xbc\xc3\x9f"
	     "e there",
		" =?UTF-8?B?R3LDvMOfZQ==?= there"},
	    {" a \xc3\xa4 \xc3\xb6 b", " a =?UTF-8?B?w6Qgw7Y=?= b"},
	    {" a\r\n \xc3\xa4\r\n \xc3\xb6", " a\r\n =?UTF-8?B?w6Qgw7Y=?="},
	    {"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);

		assert_int_equal(fields_encode_text(&out, rows[i].in, strlen(rows[i].in), ""), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
	}
}

static void
test_long_words_are_cut_between_characters(void **state)
{
	CLEANUP_BUF struct buf in = BUF_INIT(1000), out = BUF_INIT(1000);

	for (int i = 0; i < 60; i++)
		assert_int_equal(buf_append_str(&in, "\xe2\x98\x83"), 0);
	assert_int_equal(fields_encode_text(&out, in.data, in.len, ""), 0);
	for (const char *line = out.data; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		assert_in_range(strcspn(line, "\r"), 20, 76);
		/* 39 octets: 13 snowmen */
		assert_memory_equal(line + (*line == ' '), "=?UTF-8?B?4piD", 14);
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *in, *out;
		bool utf8;
	} rows[] = {
	    {" a@b.example, \"x, y\" <c@d.example>", " a@b.example, \"x, y\" <c@d.example>", false},
	    {" J\xc3\xbcrgen <a@b.example>", " =?UTF-8?B?SsO8cmdlbg==?= <a@b.example>", false},
	    {" \"J, \xc3\xbc\" <a@b.example>, c@d.example",
		" =?UTF-8?B?Siwgw7w=?= <a@b.example>, c@d.example", false},
	    {" a@b.example (J\xc3\xbcrgen)", " a@b.example (=?UTF-8?B?SsO8cmdlbg==?=)", false},
	    {" j\xc3\xbcrgen@b.example", " j\xc3\xbcrgen@b.example", true},
	    {" J <j\xc3\xbc@b.example>", " J <j\xc3\xbc@b.example>", true},
	    {" \"j\xc3\xbc\"@b.example", " \"j\xc3\xbc\"@b.example", true},
	    {" Fr\xc3\xbchst\xc3\xbc"
	     "ck: a@b.example;",
		" =?UTF-8?B?RnLDvGhzdMO8Y2s=?=: a@b.example;", false},
	    {" \"\xc3\xbc unclosed", " \"\xc3\xbc unclosed", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);
		bool utf8 = false;

		assert_int_equal(
		    fields_encode_addresses(&out, rows[i].in, strlen(rows[i].in), "", &utf8), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
		assert_int_equal(utf8, rows[i].utf8);
	}
}

static void
check_fold(const char *word, size_t repeat, const char *lead, bool split)
{
	CLEANUP_BUF struct buf in = BUF_INIT(100000), out = BUF_INIT(100000);
	CLEANUP_BUF struct buf a = BUF_INIT(100000), b = BUF_INIT(100000);
	bool got = false;

	assert_int_equal(buf_append_str(&in, lead), 0);
	for (size_t i = 0; i < repeat; i++)
		assert_int_equal(buf_append_str(&in, word), 0);
	assert_int_equal(buf_append_str(&in, ".\r\n"), 0);
	assert_int_equal(fields_fold(&out, in.data, in.len, &got), 0);
	assert_int_equal(got, split);
	for (const char *line = out.data; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_in_range(strcspn(line, "\r"), 1, 998);
	/* nothing but line ends was added where it could be folded, nothing but a space otherwise
	 */
	for (size_t i = 0; i < in.len; i++)
		if (strchr("\r\n ", in.data[i]) == NULL || (!split && in.data[i] == ' '))
			assert_int_equal(buf_append_char(&a, in.data[i]), 0);
	for (size_t i = 0; i < out.len; i++)
		if (strchr("\r\n ", out.data[i]) == NULL || (!split && out.data[i] == ' '))
			assert_int_equal(buf_append_char(&b, out.data[i]), 0);
	assert_string_equal(buf_str(&a), buf_str(&b));
}

static void
test_folds(void **state)
{
	check_fold("short ", 10, "Subject: ", false);
	check_fold("x", 900, "Subject: ", false);
	check_fold(" <id@example.com>", 500, "References:", false);
	check_fold("x", 996, "R: ", false); /* the only place is behind the colon */
	check_fold("x", 5000, "Subject: ", true);
	check_fold("\xe2\x98\x83", 1500, "Subject: ", true);
	check_fold("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ",
	    40, "Subject: ", false);
}

static void
test_no_line_of_white_space(void **state)
{
	CLEANUP_BUF struct buf in = BUF_INIT(10000), out = BUF_INIT(10000);
	bool split = false;

	assert_int_equal(buf_append_str(&in, "Subject: x"), 0);
	for (int i = 0; i < 2500; i++)
		assert_int_equal(buf_append_char(&in, i % 2 ? ' ' : '\t'), 0);
	assert_int_equal(buf_append_str(&in, "\r\n \t\r\n y\r\n \r\n"), 0);
	assert_int_equal(fields_fold(&out, in.data, in.len, &split), 0);
	assert_string_equal(out.data, "Subject: x\r\n y\r\n");
	assert_false(split);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dates),
	    cmocka_unit_test(test_mailboxes),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_long_words_are_cut_between_characters),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_folds),
	    cmocka_unit_test(test_no_line_of_white_space),
	};

	return cmocka_run_group_tests_name("queue/fields", tests, NULL, NULL);
}

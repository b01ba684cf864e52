/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/header.c: every line ending, and every message cut at every octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/header.h"

static const struct {
	const char *message;
	const char *fields; /* name=value| for each, then the body */
} rows[] = {
    {"", "#"},
    {"A: b\n", "A= b|#"},
    {"A: b", "A= b|#"},
    {"A:", "A=|#"},
    {"A:\n", "A=|#"},
    {"A:\r\n\r\n", "A=|#"},
    {"A: b\n\nbody\n", "A= b|#body\n"},
    {"A: b\r\n\r\nbody", "A= b|#body"},
    {"A: b\r\r\n\r\r\nbody", "A= b|#body"},
    {"A: b\nC:d\r\nE : f\r\r\n\nbody", "A= b|C=d|E= f|#body"},
    {"A: b\rc\n\n", "A= b\rc|#"},
    {"A: b\n c\r\n\td\nE: f\n", "A= b\n c\r\n\td|E= f|#"},
    {"A: b\n \n\nbody", "A= b\n |#body"},
    {"bCc : x\n", "bCc= x|#"},
    {"A \t: x\n", "A= x|#"},
    {"From me@x Thu Jan  1\nA: b\n", "#From me@x Thu Jan  1\nA: b\n"},
    {"Disk usage: 91%\nx\n", "#Disk usage: 91%\nx\n"},
    {"Error: backup failed\nsee the log\n", "Error= backup failed|#see the log\n"},
    {"A: b\nno field\nC: d\n", "A= b|#no field\nC: d\n"},
    {"A: b\n\rx: y\n", "A= b|#\rx: y\n"},
    {": x\n", "#: x\n"},
    {" A: x\n", "# A: x\n"},
    {"\nA: b\n", "#A: b\n"},
    {"\r\nA: b\n", "#A: b\n"},
    {"\xc3\xa4: x\n", "#\xc3\xa4: x\n"},
    {"A\x7f: x\n", "#A\x7f: x\n"},
    {"A: b\nC", "A= b|#C"},
    {"A: b\n\r", "A= b|#\r"},
};

static void
read_all(const char *data, size_t len, struct buf *out)
{
	struct header_field f;
	size_t at = 0, before = 0;
	int r;

	while ((r = header_next(data, len, true, &at, &f)) == 1) {
		assert_ptr_equal(f.whole, data + before);
		assert_int_equal(f.whole_len, at - before);
		assert_ptr_equal(f.name, f.whole);
		assert_int_equal(buf_append(out, f.name, f.name_len), 0);
		assert_int_equal(buf_append_char(out, '='), 0);
		assert_int_equal(buf_append(out, f.value, f.value_len), 0);
		assert_int_equal(buf_append_char(out, '|'), 0);
		before = at;
	}
	assert_int_equal(r, 0);
	assert_int_equal(buf_append_char(out, '#'), 0);
	assert_int_equal(buf_append(out, data + at, len - at), 0);
}

static void
test_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);

		read_all(rows[i].message, strlen(rows[i].message), &out);
		assert_string_equal(buf_str(&out), rows[i].fields);
	}
}

/* The octets come one by one: what is answered before all are there stays true. */
static void
test_growing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);
		size_t len = strlen(rows[i].message), at = 0, have = 0;
		struct header_field f;
		int r;

		for (;;) {
			char *exact = malloc(have == 0 ? 1 : have);

			assert_non_null(exact);
			memcpy(exact, rows[i].message, have);
			r = header_next(exact, have, have == len, &at, &f);
			if (r == 1) {
				(void)buf_append(&out, f.name, f.name_len);
				(void)buf_append_char(&out, '=');
				(void)buf_append(&out, f.value, f.value_len);
				(void)buf_append_char(&out, '|');
			}
			free(exact);
			if (r == 0)
				break;
			if (r == -EAGAIN) {
				assert_true(have < len);
				have++;
			}
		}
		assert_int_equal(buf_append_char(&out, '#'), 0);
		assert_int_equal(buf_append(&out, rows[i].message + at, len - at), 0);
		assert_string_equal(buf_str(&out), rows[i].fields);
	}
}

/* A body without a line end is known for one by its first word. */
static void
test_no_search(void **state)
{
	struct header_field f;
	size_t at = 0;

	assert_int_equal(header_next("two words", 9, false, &at, &f), 0);
	assert_int_equal(at, 0);
	assert_int_equal(header_next("word", 4, false, &at, &f), -EAGAIN);
}

/* The lines in front of a message, seen octet by octet as well. */
static void
test_envelope_lines(void **state)
{
	static const struct {
		const char *in;
		size_t len;
	} lines[] = {
	    {"", 0},
	    {"From: a@b\n", 0},
	    {"From : a@b\n", 0},
	    {"From\n", 0},
	    {"From a@b\nTo: x\n", 9},
	    {"From a@b\r\nTo : x\n", 10},
	    {"From a@b\n>From c@d\n>From e\nTo: x\n", 27},
	    {">From a@b\nTo: x\n", 10},
	    {">From : a@b\nTo: x\n", 0},
	    {"From a@b Mon Jan  1 00:00:00 2024\n\ntext\n", 34},
	    {"From a@b 0:00\n>From here on\n\n", 14},
	    {"From here on\n\ntext: x\n", 0},
	    {"From here on\nthe text\n", 0},
	    {"From here on\n text: x\n", 0},
	    {"From here on", 0},
	    {"From a 0:00", 0},
	    {"From a 0:00\n", 12},
	    {"From a\nFrom: b\n", 7},
	    {"Fro", 0},
	    {">", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		size_t len = strlen(lines[i].in), got = 99;

		for (size_t have = 0; have <= len; have++) {
			char *exact = malloc(have == 0 ? 1 : have);
			int r;

			assert_non_null(exact);
			memcpy(exact, lines[i].in, have);
			r = header_skip_envelope(exact, have, have == len, &got);
			free(exact);
			assert_true(r == 0 || (r == -EAGAIN && have < len));
			if (r == 0 && got != lines[i].len)
				fail_msg("%s: %zu after %zu", lines[i].in, got, have);
		}
	}
}

/* However many such lines come, the answer is known after a few of them. */
static void
test_envelope_is_bounded(void **state)
{
	static const char line[] = ">From 0:00\n";
	size_t len = strlen(line), got = 99;
	char many[100 * (sizeof(line) - 1)];
	int r = -EAGAIN;

	for (size_t i = 0; i < 100 && r == -EAGAIN; i++) {
		memcpy(many + i * len, line, len);
		r = header_skip_envelope(many, (i + 1) * len, false, &got);
	}
	assert_int_equal(r, 0);
	assert_int_equal(got, 16 * len);
	assert_int_equal(header_skip_envelope(many, 10 * len, true, &got), 0);
	assert_int_equal(got, 10 * len);
}

static void
test_name(void **state)
{
	struct header_field f = {.name = "bCc : x", .name_len = 3};

	assert_true(header_is(&f, "Bcc"));
	assert_false(header_is(&f, "Bc"));
	assert_false(header_is(&f, "Bccc"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_growing),
	    cmocka_unit_test(test_no_search),
	    cmocka_unit_test(test_envelope_lines),
	    cmocka_unit_test(test_envelope_is_bounded),
	    cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests_name("base/header", tests, NULL, NULL);
}

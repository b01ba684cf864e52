/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/codec.c: known vectors, all that must be refused, and what a failure leaves in
 * the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/codec.h"

typedef int codec(struct buf *out, const char *text, size_t len);

#define CODEC(name)                                                       \
	static int name##_(struct buf *out, const char *text, size_t len) \
	{                                                                 \
		return name(out, text, len);                              \
	}
CODEC(base64_encode)
CODEC(base64url_encode)
CODEC(form_encode)
CODEC(hex_encode)

static int
escape(struct buf *out, const char *text, size_t len)
{
	return text_escape(out, text, len, false);
}

static int
escape_quotes(struct buf *out, const char *text, size_t len)
{
	return text_escape(out, text, len, true);
}

static void
test_vectors(void **state)
{
	static const struct {
		codec *function;
		const char *in, *out; /* out NULL: -EBADMSG */
	} rows[] = {
	    /* RFC 4648 section 10 */
	    {base64_encode_, "", ""},
	    {base64_encode_, "f", "Zg=="},
	    {base64_encode_, "fo", "Zm8="},
	    {base64_encode_, "foo", "Zm9v"},
	    {base64_encode_, "foob", "Zm9vYg=="},
	    {base64_encode_, "foobar", "Zm9vYmFy"},
	    {base64_encode_, "\xfb\xff\xfe", "+//+"},
	    {base64_decode, "", ""},
	    {base64_decode, "Zg==", "f"},
	    {base64_decode, "Zm8=", "fo"},
	    {base64_decode, "Zm9vYmFy", "foobar"},
	    {base64_decode, "+//+", "\xfb\xff\xfe"},
	    {base64_decode, "=", NULL},
	    {base64_decode, "====", NULL},
	    {base64_decode, "Z===", NULL},
	    {base64_decode, "Zg=", NULL},
	    {base64_decode, "Zg", NULL},
	    {base64_decode, "Zh==", NULL}, /* bits behind the last octet */
	    {base64_decode, "Zm9=", NULL},
	    {base64_decode, "Zg==Zg==", NULL},
	    {base64_decode, "Zm=v", NULL},
	    {base64_decode, "Zm 9v", NULL},
	    {base64_decode, "Zm9v\n", NULL},
	    {base64_decode, "Zm9-", NULL},
	    {base64_decode, "Zm9\xc3", NULL},
	    {base64url_encode_, "\xfb\xff\xfe", "-__-"},
	    {base64url_encode_, "f", "Zg"},
	    {base64url_encode_, "fo", "Zm8"},
	    {base64url_decode, "-__-", "\xfb\xff\xfe"},
	    {base64url_decode, "Zg", "f"},
	    {base64url_decode, "Zg==", NULL},
	    {base64url_decode, "Z", NULL},
	    {base64url_decode, "Zh", NULL},
	    {base64url_decode, "+/+/", NULL},
	    {xtext_encode, "user+tag=x@example.com", "user+2Btag+3Dx@example.com"},
	    {xtext_encode, "a b\xc3\xa4", "a+20b+C3+A4"},
	    {xtext_decode, "user+2Btag+3Dx@example.com", "user+tag=x@example.com"},
	    {xtext_decode, "+c3+A4", "\xc3\xa4"},
	    {xtext_decode, "a=b", NULL},
	    {xtext_decode, "a b", NULL},
	    {xtext_decode, "a+2", NULL},
	    {xtext_decode, "a+", NULL},
	    {xtext_decode, "a+G0", NULL},
	    {xtext_decode, "\xc3\xa4", NULL},
	    {form_encode_, "https://mail.google.com/ x~", "https%3A%2F%2Fmail.google.com%2F%20x~"},
	    {form_decode, "a%20b+c%2Bd%c3%A4", "a b c+d\xc3\xa4"},
	    {form_decode, "%", NULL},
	    {form_decode, "%2", NULL},
	    {form_decode, "%2x", NULL},
	    {hex_encode_, "\x01\xab\xff", "01abff"},
	    {escape, "a\\b\"c\n\x7f", "a\\\\b\"c\\x0a\\x7f"},
	    {escape_quotes, "a\"b", "a\\\"b"},
	    {escape, "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\xac",
		"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\xac"},
	    {escape, "\xc3", "\\xc3"},
	    {escape, "\xc3(", "\\xc3("},
	    {escape, "\xc0\x80", "\\xc0\\x80"},          /* overlong */
	    {escape, "\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
	    {escape, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	    {escape, "\xc2\x9b", "\\xc2\\x9b"},          /* a control of the upper half: CSI */
	    {escape, "\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* turns the line round */
	    {escape, "\xe2\x80\xa8", "\\xe2\\x80\\xa8"}, /* ends the line */
	    {escape, "\x1b[31m", "\\x1b[31m"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);

		assert_int_equal(buf_append_str(&out, "<"), 0);
		assert_int_equal(rows[i].function(&out, rows[i].in, strlen(rows[i].in)),
		    rows[i].out == NULL ? -EBADMSG : 0);
		assert_int_equal(buf_str(&out)[0], '<');
		assert_string_equal(buf_str(&out) + 1, rows[i].out == NULL ? "" : rows[i].out);
		assert_int_equal(strlen(buf_str(&out)), out.len);
	}
}

static void
test_nul(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT(100), back = BUF_INIT(100);

	assert_int_equal(base64_encode(&out, "\0user\0pass", 10), 0);
	assert_string_equal(out.data, "AHVzZXIAcGFzcw==");
	assert_int_equal(base64_decode(&back, out.data, out.len), 0);
	assert_int_equal(back.len, 10);
	assert_memory_equal(back.data, "\0user\0pass", 10);
	buf_clear(&out);
	assert_int_equal(text_escape(&out, "a\0b", 3, false), 0);
	assert_string_equal(out.data, "a\\x00b");
}

/* Octets of every length come back, and a buffer one octet too small is left as it was. */
static void
test_round_trip_and_bound(void **state)
{
	static codec *const pairs[][2] = {
	    {base64_encode_, base64_decode},
	    {base64url_encode_, base64url_decode},
	    {xtext_encode, xtext_decode},
	    {form_encode_, form_decode},
	};
	char octets[256];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(i * 37 + 11);
	for (size_t p = 0; p < ARRAY_SIZE(pairs); p++) {
		for (size_t len = 0; len <= sizeof(octets); len++) {
			CLEANUP_BUF struct buf out = BUF_INIT(1000), back = BUF_INIT(len);
			struct buf small;

			assert_int_equal(pairs[p][0](&out, octets, len), 0);
			assert_int_equal(pairs[p][1](&back, buf_str(&out), out.len), 0);
			assert_int_equal(back.len, len);
			assert_memory_equal(buf_str(&back), octets, len);
			if (len == 0)
				continue;
			buf_init(&small, out.len - 1);
			assert_int_equal(pairs[p][0](&small, octets, len), -ENOBUFS);
			assert_int_equal(small.len, 0);
			assert_true(small.failed);
			buf_free(&small);
			buf_init(&small, len - 1);
			assert_int_equal(pairs[p][1](&small, out.data, out.len), -ENOBUFS);
			assert_int_equal(small.len, 0);
			buf_free(&small);
		}
	}
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *s;
		size_t length;
		uint32_t point;
	} rows[] = {
	    {"a", 1, 'a'},
	    {"\xc3\xa4", 2, 0xe4},
	    {"\xe2\x82\xac", 3, 0x20ac},
	    {"\xf0\x9f\x93\xac", 4, 0x1f4ec},
	    {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
	    {"\x80", 0, 0},
	    {"\xc1\xbf", 0, 0},
	    {"\xe0\x9f\xbf", 0, 0},
	    {"\xf0\x8f\xbf\xbf", 0, 0},
	    {"\xf8\x88\x80\x80\x80", 0, 0},
	    {"\xff", 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t point = 0;

		assert_int_equal(utf8_length(rows[i].s, strlen(rows[i].s), &point), rows[i].length);
		assert_int_equal(point, rows[i].point);
		for (size_t cut = 0; cut < rows[i].length; cut++)
			assert_int_equal(utf8_length(rows[i].s, cut, NULL), 0);
	}
}

static void
test_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ""},
	    {"a\nb \\x1b \xc3\xa4", "a\nb \\x1b \xc3\xa4"},
	    {"cut \xc3", "cut ?"},
	    {"\xff\xe2\x80\xae\x1b[2J\r\x7f", "?????[2J??"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(100), small = BUF_INIT(2);

		assert_int_equal(text_clean(&out, cases[i].in), 0);
		assert_string_equal(buf_str(&out), cases[i].out);
		assert_int_equal(
		    text_clean(&small, cases[i].in), strlen(cases[i].out) > 2 ? -ENOBUFS : 0);
		assert_int_equal(small.len, 0);
	}
}

static void
test_plain(void **state)
{
	static const struct {
		const char *in, *out;
		size_t max;
	} cases[] = {
	    {"", "", 9},
	    {" \r\n ", "", 9},
	    {"\r\nAADSTS65004:\r\n\tdeclined.\r\n", "AADSTS65004: declined.", 99},
	    {"<b>DOMAIN\\user</b>", "<b>DOMAIN\\user</b>", 99},
	    {"\xc3\xa4\xc2\xa0\xe2\x80\xaeok\x1b[2J\xff\x7f\xe2\x80\xa8.", "\xc3\xa4 ok [2J? .",
		99},
	    {"abcdef", "abcdef", 6},
	    {"abcdef", "abcde...", 5},
	    {"ab \xc3\xa4", "ab...", 4},
	    {"ab   ", "ab", 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(100), small = BUF_INIT(2);

		assert_int_equal(
		    text_plain(&out, cases[i].in, strlen(cases[i].in), cases[i].max), 0);
		assert_string_equal(buf_str(&out), cases[i].out);
		assert_int_equal(text_plain(&small, cases[i].in, strlen(cases[i].in), cases[i].max),
		    strlen(cases[i].out) > 2 ? -ENOBUFS : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_round_trip_and_bound),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests_name("base/codec", tests, NULL, NULL);
}

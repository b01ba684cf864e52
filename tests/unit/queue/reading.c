/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/reading.c: what can be read as another sender. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "broker/message/reading.h"

static void
test_fields(void **state)
{
	static const struct {
		const char *value;
		bool twice;
	} rows[] = {
	    {"a@b.example", false},
	    {"A B <a@b.example>", false},
	    {"a@b.example <a@b.example>", false},
	    {"\"a@B.example\" <a@b.example>", false},
	    {"\"'a@b.example'\" <a@b.example>", false},
	    {"a@b.example (A B)", false},
	    {"a@b.example, c@d.example", false},
	    {"\"x@y\"@b.example", false},
	    {"=?utf-8?q?J=C3=BCrgen?= <a@b.example>", false},
	    {"=?utf-8?q?a=40b.example?= <a@b.example>", false},
	    {"=?ISO-2022-JP?B?GyRCJEAbKEI=?= <a@b.example>",
		false},                                    /* one character, ESC $ B $ @ ESC ( B */
	    {"=?Shift_JIS?B?g0A=?= <a@b.example>", false}, /* one of two octets, the second 0x40 */
	    {"=?x?y?z?= <a@b.example>", false},
	    {"root", false},
	    {"Backup Script", false},
	    {"ceo@evil.test <a@b.example>", true},
	    {"\"ceo@evil.test\" <a@b.example>", true},
	    {"\"CEO (ceo@evil.test)\" <a@b.example>", true},
	    {"<@evil.test:a@b.example>", true},
	    {"a@b.example (ceo@evil.test)", true},
	    {"a@(ceo@evil.test)b.example", true},
	    {"(ceo@evil.test) a@b.example", true},
	    {"<a@b.example> (ceo@evil.test)", true},
	    {"=?utf-8?q?ceo=40evil.test?= <a@b.example>", true},
	    {"=?utf-8?q?ceo@evil.test?= <a@b.example>", true},
	    {"=?utf-8?b?Y2VvQGV2aWwudGVzdA==?= <a@b.example>", true},
	    {"=?utf-8*en?b?Y2VvQGV2aWwudGVzdA==?= <a@b.example>", true},
	    {"\"=?utf-8?b?Y2VvQGV2aWwudGVzdA==?=\" <a@b.example>", true},
	    {"=?UTF-7?q?ceo+AEA-evil.test?= <a@b.example>", true},
	    {"=?utf-8?q?a=00b?= <a@b.example>", true},
	    {"=?utf-8?q?a=0Ab?= <a@b.example>", true},
	    {"=?utf-8?b?*?= <a@b.example>", true},
	    {"=?utf-8?q?ceo?=@b.example", true},
	    {"ceo\xef\xbc\xa0"
	     "evil.test <a@b.example>",
		true},
	    {"=?utf-8?q?ceo=EF=BC=A0evil.test?= <a@b.example>", true},
	    {"a@b.example> <c@d.example", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (reading_is_double(rows[i].value, strlen(rows[i].value)) != rows[i].twice)
			fail_msg("%s", rows[i].value);
}

static void
test_names(void **state)
{
	assert_true(reading_fits("", "a@b"));
	assert_true(reading_fits("J\xc3\xbcrgen, \"x\"", "a@b"));
	assert_true(reading_fits("a@b", "a@b"));
	assert_false(reading_fits("c@d", "a@b"));
	assert_false(reading_fits("=?utf-8?q?c=40d?=", "a@b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("queue/reading", tests, NULL, NULL);
}

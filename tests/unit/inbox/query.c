/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * query.c: Mailpit's search language.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "inbox/query.h"

static const struct {
	const char *text;
	enum inbox_field field;
	bool exclude;
	const char *value; /* NULL: the number */
	int64_t number;
} cases[] = {
    {"hello", INBOX_FIELD_TEXT, false, "hello", 0},
    {"\"Two  Words\"", INBOX_FIELD_TEXT, false, "two words", 0},
    {"-hello", INBOX_FIELD_TEXT, true, "hello", 0},
    {"!hello", INBOX_FIELD_TEXT, true, "hello", 0},
    {"from:Jane@Example.test", INBOX_FIELD_FROM, false, "jane@example.test", 0},
    {"TO:<a@example.test>", INBOX_FIELD_TO, false, "a@example.test", 0},
    {"-cc:\"Jane Doe\"", INBOX_FIELD_CC, true, "jane doe", 0},
    {"bcc:x", INBOX_FIELD_BCC, false, "x", 0},
    {"reply-to:x", INBOX_FIELD_REPLY_TO, false, "x", 0},
    {"addressed:x", INBOX_FIELD_ADDRESSED, false, "x", 0},
    {"subject:\"Gr\xC3\xBC\xC3\x9F"
     "e\"",
	INBOX_FIELD_SUBJECT, false,
	"gr\xC3\xBC\xC3\x9F"
	"e",
	0},
    {"subject:\xC3\x84RGER", INBOX_FIELD_SUBJECT, false, "\xC3\xA4rger", 0},
    {"message-id:<1@x>", INBOX_FIELD_MESSAGE_ID, false, "1@x", 0},
    {"tag:Urgent", INBOX_FIELD_TAG, false, "urgent", 0},
    {"mailbox:a@b", INBOX_FIELD_MAILBOX, false, "a@b", 0},
    {"is:read", INBOX_FIELD_READ, false, NULL, 0},
    {"-is:unread", INBOX_FIELD_UNREAD, true, NULL, 0},
    {"is:tagged", INBOX_FIELD_TAGGED, false, NULL, 0},
    {"has:attachments", INBOX_FIELD_ATTACHMENT, false, NULL, 0},
    {"has:inline", INBOX_FIELD_INLINE, false, NULL, 0},
    {"larger:2kb", INBOX_FIELD_LARGER, false, NULL, 2048},
    {"smaller:1.5M", INBOX_FIELD_SMALLER, false, NULL, 1572864},
    {"larger:12", INBOX_FIELD_LARGER, false, NULL, 12},
    {"larger:many", INBOX_FIELD_TEXT, false, "larger:many", 0},
    {"after:2026-12-01", INBOX_FIELD_AFTER, false, NULL, 1796083200},
    {"\"before:2026-12-01 12:30\"", INBOX_FIELD_BEFORE, false, NULL, 1796128200},
    {"before:2026-12-01T12:30:00Z", INBOX_FIELD_BEFORE, false, NULL, 1796128200},
    {"before:2026-12-01T12:30:00+01:00", INBOX_FIELD_BEFORE, false, NULL, 1796124600},
    {"unknown:x", INBOX_FIELD_TEXT, false, "unknown:x", 0},
};

static void
test_terms(void **state)
{
	struct inbox_query q;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		assert_int_equal(inbox_query_parse(&q, cases[n].text, strlen(cases[n].text)), 0);
		if (q.count != 1 || q.terms[0].field != cases[n].field)
			fail_msg("%s: %zu terms, field %d", cases[n].text, q.count,
			    q.count > 0 ? (int)q.terms[0].field : -1);
		assert_int_equal(q.terms[0].exclude, cases[n].exclude);
		if (cases[n].value != NULL)
			assert_string_equal(q.terms[0].text, cases[n].value);
		else
			assert_int_equal(q.terms[0].number, cases[n].number);
		inbox_query_clear(&q);
	}
}

static void
test_several(void **state)
{
	static const char text[] = "  from:a \"b c\"  -subject:\"d e\" after:never to: \"\" - ";
	struct inbox_query q;

	assert_int_equal(inbox_query_parse(&q, text, strlen(text)), 0);
	assert_int_equal(q.count,
	    4); /* a lone '-' is text; a date that is none, and an empty word, are left out */
	assert_string_equal(q.terms[1].text, "b c");
	assert_true(q.terms[2].exclude);
	assert_string_equal(q.terms[2].text, "d e");
	inbox_query_clear(&q);
	assert_int_equal(inbox_query_parse(&q, "", 0), 0);
	assert_int_equal(q.count, 0);
}

static void
test_bounds(void **state)
{
	char text[INBOX_QUERY_TEXT_MAX + 2];
	struct inbox_query q;

	memset(text, 'a', sizeof(text));
	assert_int_equal(inbox_query_parse(&q, text, INBOX_QUERY_TEXT_MAX), 0);
	inbox_query_clear(&q);
	assert_int_equal(inbox_query_parse(&q, text, INBOX_QUERY_TEXT_MAX + 1), -E2BIG);
	for (size_t n = 1; n < sizeof(text); n += 2)
		text[n] = ' ';
	assert_int_equal(inbox_query_parse(&q, text, 2 * INBOX_QUERY_TERMS_MAX), 0);
	inbox_query_clear(&q);
	assert_int_equal(inbox_query_parse(&q, text, 2 * INBOX_QUERY_TERMS_MAX + 1), -E2BIG);
	assert_int_equal(q.count, 0);
}

static void
test_dates(void **state)
{
	static const char *const none[] = {"", "2026", "2026-13-01", "2026-12-32",
	    "2026-12-01 25:00", "2026-12-01x", "12-01-2026", "2026-12/01",
	    "2026-12-01T12:00:00+99:00", "tomorrow"};
	int64_t seconds;
	bool zoned;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(none); n++)
		if (inbox_query_date(none[n], &seconds, &zoned))
			fail_msg("%s is taken for a date", none[n]);
	assert_true(inbox_query_date("2026/12/01", &seconds, &zoned));
	assert_false(zoned);
	assert_true(inbox_query_date("2026-12-01T00:00:00.123Z", &seconds, &zoned));
	assert_true(zoned);
	assert_int_equal(seconds, 1796083200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_terms),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

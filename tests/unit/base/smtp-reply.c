/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/smtp/reply.c: replies as servers really send them, and all that is no reply.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/smtp/smtp.h"

/* Feeds text as lines without their CRLF, each in memory of its own length. Returns what the last
 * line gave. */
static int
feed(struct smtp_reply_parser *p, const char *text)
{
	int r = 0;

	while (*text != '\0' && r == 0) {
		size_t len = strcspn(text, "\r");
		char *line = malloc(len == 0 ? 1 : len);

		assert_non_null(line);
		memcpy(line, text, len);
		r = smtp_reply_parser_line(p, line, len);
		free(line);
		text += len;
		text += text[0] == '\r' && text[1] == '\n' ? 2 : text[0] == '\r';
	}
	return r;
}

static void
test_replies(void **state)
{
	static const struct {
		const char *in;
		int code;
		const char *enhanced, *text, *raw;
	} rows[] = {
	    {"250 OK\r\n", 250, "", "OK", "OK"},
	    {"250\r\n", 250, "", "", ""},
	    {"250 \r\n", 250, "", "", ""},
	    {"334 \r\n", 334, "", "", ""},
	    {"250-mx.example\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n", 250, "",
		"mx.example / SIZE 1000 / AUTH PLAIN", "mx.example\nSIZE 1000\nAUTH PLAIN"},
	    {"535-5.7.8 Username and Password not accepted.\r\n535 5.7.8  "
	     "https://support.google.com/mail/?p=BadCredentials gsmtp\r\n",
		535, "5.7.8",
		"Username and Password not accepted. / "
		"https://support.google.com/mail/?p=BadCredentials gsmtp",
		NULL},
	    {"535 5.7.3\r\n", 535, "5.7.3", "", "5.7.3"},
	    {"550-first\r\n550 5.1.1 second\r\n", 550, "5.1.1", "first / second", NULL},
	    {"550-5.1.1 a\r\n550 5.7.1 b\r\n", 550, "5.1.1", "a / 5.7.1 b", NULL},
	    {"452 4.5.123 x\r\n", 452, "4.5.123", "x", NULL},
	    {"550 4.7.1 class differs\r\n", 550, "4.7.1", "class differs", NULL},
	    {"250 2.1234.1 no code\r\n", 250, "", "2.1234.1 no code", NULL},
	    {"250 3.1.1 no code\r\n", 250, "", "3.1.1 no code", NULL},
	    {"250 2.1 no code\r\n", 250, "", "2.1 no code", NULL},
	    {"250 2.1.0x\r\n", 250, "", "2.1.0x", NULL},
	    {"250 2.1.\r\n", 250, "", "2.1.", NULL},
	    {"250-\r\n250-\r\n250 x\r\n", 250, "", "x", "\n\nx"},
	    {"550 a\tb\x1b[31m\xff\xc3\xa4\\\r\n", 550, "", "a\\x09b\\x1b[31m\\xff\xc3\xa4\\\\",
		NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct smtp_reply_parser p = {0};
		struct smtp_reply r = {.text = strdup("old"), .in_doubt = true};

		assert_int_equal(feed(&p, rows[i].in), 1);
		assert_int_equal(p.code, rows[i].code);
		if (rows[i].raw != NULL)
			assert_string_equal(buf_str(&p.text), rows[i].raw);
		assert_int_equal(smtp_reply_parser_take(&p, SMTP_STAGE_RCPT, &r), 0);
		assert_int_equal(r.code, rows[i].code);
		assert_string_equal(r.enhanced, rows[i].enhanced);
		assert_string_equal(r.text, rows[i].text);
		assert_int_equal(r.stage, SMTP_STAGE_RCPT);
		assert_false(r.in_doubt);
		smtp_reply_clear(&r);
		/* Empty again. */
		assert_int_equal(p.lines, 0);
		assert_int_equal(feed(&p, "221 Bye\r\n"), 1);
		assert_int_equal(p.code, 221);
		smtp_reply_parser_free(&p);
	}
}

/* Cut at every octet, a reply is whole, wants more, or is none: it is never another one. */
static void
test_cut(void **state)
{
	static const char first[] = "550-5.7.60 SMTP; Client does not\r\n",
			  last[] = "550 5.7.60 have permissions";
	size_t lines = strlen(first), whole = lines + strlen(last);

	for (size_t cut = 0; cut <= whole; cut++) {
		/* Of the line that is cut. */
		size_t have = cut < lines ? cut : cut - lines;
		struct smtp_reply_parser p = {0};
		char part[100];
		int r;

		(void)snprintf(part, sizeof(part), "%s%s", first, last);
		part[cut] = '\0';
		r = feed(&p, part);
		if (have == 1 || have == 2)
			assert_int_equal(r, -EBADMSG);
		else
			assert_int_equal(r, (cut == 3 || cut > lines) ? 1 : 0);
		smtp_reply_parser_free(&p);
	}
}

static void
test_refused(void **state)
{
	static const char *const rows[] = {
	    "25",
	    "2500",
	    "250x",
	    "150 x",
	    "650 x",
	    "099 x",
	    "abc",
	    " 250 x",
	    "25a x",
	    "+50 x",
	    "250-a\r\n251 b",
	    "250-a\r\n\r\n",
	    ("\xb2"
	     "50 x"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct smtp_reply_parser p = {0};

		if (feed(&p, rows[i]) != -EBADMSG)
			fail_msg("%s", rows[i]);
		smtp_reply_parser_free(&p);
	}
}

static void
test_bounds(void **state)
{
	struct smtp_reply_parser p = {0};
	char line[SMTP_REPLY_LINE_MAX];
	int r = 0;

	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	assert_int_equal(smtp_reply_parser_line(&p, line, SMTP_REPLY_LINE_MAX - 2), 0);
	assert_int_equal(smtp_reply_parser_line(&p, line, SMTP_REPLY_LINE_MAX - 1), -EBADMSG);
	/* The octets of all lines. */
	for (unsigned i = 0; i < 20 && r == 0; i++)
		r = smtp_reply_parser_line(&p, line, SMTP_REPLY_LINE_MAX - 2);
	assert_int_equal(r, -EBADMSG);
	assert_true(p.text.len <= SMTP_REPLY_MAX);
	smtp_reply_parser_free(&p);
	/* Their count. */
	for (unsigned i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		assert_int_equal(smtp_reply_parser_line(&p, "250-x", 5), 0);
	assert_int_equal(smtp_reply_parser_line(&p, "250 x", 5), -EBADMSG);
	smtp_reply_parser_free(&p);
}

static void
test_copy(void **state)
{
	struct smtp_reply a = {
	    .code = 550, .enhanced = "5.1.1", .stage = SMTP_STAGE_RCPT, .text = strdup("no")};
	struct smtp_reply b = {.text = strdup("old")}, none = {.fault = SMTP_FAULT_TIMEOUT};

	assert_int_equal(smtp_reply_copy(&b, &a), 0);
	smtp_reply_clear(&a);
	assert_null(a.text);
	assert_string_equal(b.text, "no");
	assert_string_equal(b.enhanced, "5.1.1");
	assert_int_equal(smtp_reply_copy(&b, &none), 0);
	assert_null(b.text);
	assert_int_equal(b.fault, SMTP_FAULT_TIMEOUT);
	smtp_reply_clear(&b);
	smtp_reply_clear(NULL);
}

static void
test_names(void **state)
{
	for (int i = 0; i < SMTP_STAGE_COUNT; i++) {
		assert_non_null(smtp_stage_name((enum smtp_stage)i));
		assert_int_equal(smtp_stage_by_name(smtp_stage_name((enum smtp_stage)i)), i);
	}
	assert_int_equal(smtp_stage_by_name("elsewhere"), SMTP_STAGE_NONE);
	for (int i = 0; i < SMTP_FAULT_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(smtp_fault_name((enum smtp_fault)i),
			    smtp_fault_name((enum smtp_fault)j));
	assert_string_equal(smtp_fault_name(SMTP_FAULT_NONE), "");
	assert_string_equal(smtp_stage_name(SMTP_STAGE_EOM), "eom");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("base/smtp/reply", tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/smtp/command.c: the grammar of commands and of the parameters of MAIL and
 * RCPT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/smtp/smtp.h"

#define ALL (~0U)
#define ID "0123456789abcdef0123456789abcdef"
#define TEN "xxxxxxxxxx"
#define FIFTY TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY

static void
test_split(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *argument;
	} rows[] = {
	    {"EHLO a.b", SMTP_VERB_EHLO, "a.b"},
	    {"helo a", SMTP_VERB_HELO, "a"},
	    {"Mail From:<a@b> SIZE=1", SMTP_VERB_MAIL, "From:<a@b> SIZE=1"},
	    {"RCPT  TO:<a@b>  ", SMTP_VERB_RCPT, "TO:<a@b>"},
	    {"DATA", SMTP_VERB_DATA, ""},
	    {"bdat 10 LAST", SMTP_VERB_BDAT, "10 LAST"},
	    {"QUIT ", SMTP_VERB_QUIT, ""},
	    {"STARTTLS", SMTP_VERB_STARTTLS, ""},
	    {"AUTH PLAIN =", SMTP_VERB_AUTH, "PLAIN ="},
	    {"XFRANK " ID, SMTP_VERB_XFRANK, ID},
	    {"NOOP\tx", SMTP_VERB_NOOP, "x"},
	    {"", SMTP_VERB_UNKNOWN, ""},
	    {" QUIT", SMTP_VERB_UNKNOWN, "QUIT"},
	    {"QUI", SMTP_VERB_UNKNOWN, ""},
	    {"QUITS", SMTP_VERB_UNKNOWN, ""},
	    {"MAIL:", SMTP_VERB_UNKNOWN, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct smtp_command c;

		smtp_command_parse(rows[i].line, strlen(rows[i].line), &c);
		assert_int_equal(c.verb, rows[i].verb);
		assert_int_equal(c.argument_len, strlen(rows[i].argument));
		assert_memory_equal(c.argument, rows[i].argument, c.argument_len);
	}
}

static void
test_mail(void **state)
{
	static const struct {
		const char *argument;
		int code;
		const char *address;
	} rows[] = {
	    {"FROM:<a@b>", 0, "a@b"},
	    {"from:<a@b>", 0, "a@b"},
	    {"FROM: <a@b>", 0, "a@b"},
	    {"FROM:<>", 0, ""},
	    {"FROM:<root>", 0, "root"},
	    {"FROM:a@b", 0, "a@b"},
	    {"FROM: a@b", 0, "a@b"},
	    {"FROM: a@b SIZE=12", 0, "a@b"},
	    {"FROM:\"a b\"@c SIZE=12", 0, "\"a b\"@c"},
	    {"FROM:@r1:a@b", 0, "a@b"},
	    {"FROM: ", 501, ""},
	    {"FROM:a@b>", 553, ""},
	    {"FROM:a@b <c@d>", 555, "a@b"},
	    {"FROM:<\"a>b\"@c>", 0, "\"a>b\"@c"},
	    {"FROM:<\"a\\\">\"@c>", 0, "\"a\\\">\"@c"},
	    {"FROM:<@r1,@r2:a@b>", 0, "a@b"},
	    {"FROM:<a@b> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By REQUIRETLS AUTH=<>", 0,
		"a@b"},
	    {"FROM:<a@b>  size=0 ", 0, "a@b"},
	    {"FROM:<a@b> AUTH=a+40b", 0, "a@b"},
	    {"FROM:<> XID=" ID " XNAME=Joe+20Doe XCALLER", 0, ""},
	    {"FROM:<a@b> XNAME=", 0, "a@b"},
	    {"FROM:<a@b> SIZE=18446744073709551615", 0, "a@b"},
	    {"FROM:<a@b> ENVID=" HUNDRED, 0, "a@b"},
	    {"", 501, ""},
	    {"TO:<a@b>", 501, ""},
	    {"FROM:", 501, ""},
	    {"FROM:<a@b", 501, ""},
	    {"FROM:<\"a@b>", 501, ""},
	    {"FROM:<a@b>SIZE=1", 501, ""},
	    {"FROM:<a b@c>", 553, ""},
	    {"FROM:<a@b\r>", 553, ""},
	    {"FROM:<@r:>", 0, ""},
	    {"FROM:<@r>", 553, ""},
	    {"FROM:<a..b@c>", 0, "\"a..b\"@c"},
	    {"FROM:<\"a.b\"@c.>", 0, "a.b@c"},
	    {"FROM:<" HUNDRED HUNDRED HUNDRED "@b>", 0, HUNDRED HUNDRED HUNDRED "@b"},
	    {"FROM:<" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "@b>",
		553, ""},
	    {"FROM:<a@b> FOO", 555, ""},
	    {"FROM:<a@b> FOO=1", 555, ""},
	    {"FROM:<a@b> SIZE", 501, ""},
	    {"FROM:<a@b> SIZE=", 501, ""},
	    {"FROM:<a@b> SIZE=-1", 501, ""},
	    {"FROM:<a@b> SIZE=1x", 501, ""},
	    {"FROM:<a@b> SIZE=18446744073709551616", 501, ""},
	    {"FROM:<a@b> SIZE=000000000000000000001", 501, ""},
	    {"FROM:<a@b> SIZE=1 SIZE=1", 501, ""},
	    {"FROM:<a@b> BODY=9BIT", 501, ""},
	    {"FROM:<a@b> SMTPUTF8=1", 501, ""},
	    {"FROM:<a@b> SMTPUTF8=", 501, ""},
	    {"FROM:<a@b> RET=ALL", 501, ""},
	    {"FROM:<a@b> ENVID=" HUNDRED "x", 501, ""},
	    {"FROM:<a@b> ENVID=a+0Ab", 501, ""},
	    {"FROM:<a@b> ENVID=a=b", 501, ""},
	    {"FROM:<a@b> XID=" ID "0", 501, ""},
	    {"FROM:<a@b> XID=0123456789ABCDEF0123456789abcdef", 501, ""},
	    {"FROM:<a@b> XNAME=a+0Ab", 501, ""},
	    {"FROM:<a@b> XACCOUNT=a+00b", 501, ""},
	    {"FROM:<a@b> XACCOUNT=" HUNDRED HUNDRED FIFTY TEN, 501, ""},
	    {"FROM:<a@b> XNAME=+FF", 501, ""},
	    {"FROM:<a@b> XNAME=" HUNDRED HUNDRED FIFTY TEN, 501, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char address[ADDRESS_MAX + 1];
		struct smtp_mail_params p;
		const char *why = NULL;
		int code = smtp_mail_parse(
		    rows[i].argument, strlen(rows[i].argument), ALL, address, &p, &why);

		if (code != rows[i].code)
			fail_msg("%s: %d", rows[i].argument, code);
		if (code == 0)
			assert_string_equal(address, rows[i].address);
		else
			assert_non_null(why);
	}
}

static void
test_mail_values(void **state)
{
	static const char all[] =
	    "FROM:<a@b> SIZE=12 BODY=BINARYMIME SMTPUTF8 RET=FULL ENVID=x+2By REQUIRETLS XID=" ID
	    " XNAME=Zo+C3+AB+20+2B XACCOUNT=a+20b XCALLER";
	char address[ADDRESS_MAX + 1];
	struct smtp_mail_params p;
	const char *why;

	assert_int_equal(smtp_mail_parse(all, strlen(all), ALL, address, &p, &why), 0);
	assert_int_equal(p.size, 12);
	assert_int_equal(p.body, SMTP_BODY_BINARYMIME);
	assert_true(p.smtputf8 && p.requiretls && p.caller);
	assert_int_equal(p.ret, SMTP_RET_FULL);
	assert_string_equal(p.envid, "x+2By");
	assert_string_equal(p.submission_id, ID);
	assert_string_equal(p.full_name, "Zo\xc3\xab +");
	assert_string_equal(p.account, "a b");
	assert_int_equal(smtp_mail_parse("FROM:<>", 7, ALL, address, &p, &why), 0);
	assert_true(p.size == 0 && !p.smtputf8 && !p.caller && p.envid[0] == '\0');
}

/* A parameter of an extension that is not offered is unknown. */
static void
test_extensions(void **state)
{
	static const struct {
		const char *argument;
		unsigned needs;
		bool rcpt;
	} rows[] = {
	    {"FROM:<a@b> SIZE=1", SMTP_EXT_SIZE, false},
	    {"FROM:<a@b> BODY=8BITMIME", SMTP_EXT_8BITMIME, false},
	    {"FROM:<a@b> BODY=BINARYMIME", SMTP_EXT_BINARYMIME, false},
	    {"FROM:<a@b> SMTPUTF8", SMTP_EXT_SMTPUTF8, false},
	    {"FROM:<a@b> REQUIRETLS", SMTP_EXT_REQUIRETLS, false},
	    {"FROM:<a@b> RET=FULL", SMTP_EXT_DSN, false},
	    {"FROM:<a@b> ENVID=x", SMTP_EXT_DSN, false},
	    {"FROM:<a@b> AUTH=<>", SMTP_EXT_AUTH, false},
	    {"FROM:<a@b> XID=" ID, SMTP_EXT_XFRANK, false},
	    {"FROM:<a@b> XNAME=x", SMTP_EXT_XFRANK, false},
	    {"FROM:<a@b> XACCOUNT=x", SMTP_EXT_XFRANK, false},
	    {"FROM:<a@b> XCALLER", SMTP_EXT_XFRANK, false},
	    {"TO:<a@b> NOTIFY=NEVER", SMTP_EXT_DSN, true},
	    {"TO:<a@b> ORCPT=rfc822;a", SMTP_EXT_DSN, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].argument);
		char address[ADDRESS_MAX + 1];
		struct smtp_mail_params m;
		struct smtp_rcpt_params r;
		const char *why;

		if (rows[i].rcpt) {
			assert_int_equal(smtp_rcpt_parse(rows[i].argument, len, rows[i].needs,
					     address, &r, &why),
			    0);
			assert_int_equal(smtp_rcpt_parse(rows[i].argument, len, ~rows[i].needs,
					     address, &r, &why),
			    555);
		} else {
			assert_int_equal(smtp_mail_parse(rows[i].argument, len, rows[i].needs,
					     address, &m, &why),
			    0);
			assert_int_equal(smtp_mail_parse(rows[i].argument, len, ~rows[i].needs,
					     address, &m, &why),
			    555);
		}
	}
}

static void
test_rcpt(void **state)
{
	static const struct {
		const char *argument;
		int code;
		const char *address, *back; /* the parameters written again */
	} rows[] = {
	    {"TO:<a@b>", 0, "a@b", ""},
	    {"to: <Postmaster>", 0, "Postmaster", ""},
	    {"TO:<@r:a@b> NOTIFY=success,DELAY", 0, "a@b", " NOTIFY=SUCCESS,DELAY"},
	    {"TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a+2Bc@d", 0, "a@b",
		" NOTIFY=NEVER ORCPT=rfc822;a+2Bc@d"},
	    {"TO:<a@b> NOTIFY=FAILURE", 0, "a@b", " NOTIFY=FAILURE"},
	    {"TO:<>", 553, "", ""},
	    {"FROM:<a@b>", 501, "", ""},
	    {"TO:<a@b> NOTIFY=NEVER,DELAY", 501, "", ""},
	    {"TO:<a@b> NOTIFY=", 501, "", ""},
	    {"TO:<a@b> NOTIFY=DELAY,", 501, "", ""},
	    {"TO:<a@b> NOTIFY=,DELAY", 501, "", ""},
	    {"TO:<a@b> NOTIFY=SOON", 501, "", ""},
	    {"TO:<a@b> ORCPT=a@b", 501, "", ""},
	    {"TO:<a@b> ORCPT=;a@b", 501, "", ""},
	    {"TO:<a@b> ORCPT=rfc822;", 501, "", ""},
	    {"TO:<a@b> ORCPT=rfc822;a=b", 501, "", ""},
	    {"TO:<a@b> ORCPT=rfc822;a+0D+0Ab", 501, "", ""},
	    {"TO:<a@b> ORCPT=rf\xff;a", 501, "", ""},
	    {"TO:<a@b> ORCPT=rfc822;" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED, 501, "", ""},
	    {"TO:<a@b> SIZE=1", 555, "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf back = BUF_INIT(1000);
		char address[ADDRESS_MAX + 1];
		struct smtp_rcpt_params p;
		const char *why = NULL;
		int code = smtp_rcpt_parse(
		    rows[i].argument, strlen(rows[i].argument), ALL, address, &p, &why);

		if (code != rows[i].code)
			fail_msg("%s: %d", rows[i].argument, code);
		if (code != 0)
			continue;
		assert_string_equal(address, rows[i].address);
		assert_int_equal(smtp_rcpt_params_format(&back, &p), 0);
		assert_string_equal(buf_str(&back), rows[i].back);
	}
}

/* Every beginning of a command is parsed or refused without reading behind it. */
static void
test_cut(void **state)
{
	static const char line[] =
	    "FROM:<@r,@s:\"a\\\"b\"@c> SIZE=12 ENVID=+2Bx XNAME=+C3+AB NOTIFY=NEVER ORCPT=rfc822;x";

	for (size_t cut = 0; cut < sizeof(line); cut++) {
		CLEANUP_FREE char *exact = malloc(cut + 1);
		char address[ADDRESS_MAX + 1];
		struct smtp_mail_params m;
		struct smtp_rcpt_params r;
		const char *why;

		assert_non_null(exact);
		memcpy(exact + 1, line, cut);
		(void)smtp_mail_parse(exact + 1, cut, ALL, address, &m, &why);
		(void)smtp_rcpt_parse(exact + 1, cut, ALL, address, &r, &why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_mail),
	    cmocka_unit_test(test_mail_values),
	    cmocka_unit_test(test_extensions),
	    cmocka_unit_test(test_rcpt),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("base/smtp/command", tests, NULL, NULL);
}

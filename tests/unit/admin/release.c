/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * What `frank test` reads: messages, conditions, marks, files of release tests; and the XML that it writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "admin/captured.h"
#include "admin/conditions.h"
#include "admin/junit.h"
#include "admin/mail-content.h"
#include "admin/release-file.h"

/* ---- messages ---- */

struct seen {
	struct buf text; /* "Name=value\n", "text:...\n", "file:...\n" */
	unsigned calls, most;
};

static int
note(struct seen *s, const char *what, const char *value)
{
	(void)buf_printf(&s->text, "%s%s\n", what, value);
	return ++s->calls == s->most;
}

static int
on_field(void *arg, const char *name, const char *value)
{
	char what[100];

	(void)snprintf(what, sizeof(what), "%s=", name);
	return note(arg, what, value);
}

static int
on_text(void *arg, const char *text, size_t len)
{
	assert_int_equal(strlen(text), len);
	return note(arg, "text:", text);
}

static int
on_file(void *arg, const char *name)
{
	return note(arg, "file:", name);
}

static const struct mail_visit visit = {on_field, on_text, on_file};

static void
expect_reading(const char *message, const char *reading)
{
	struct seen s = {.text = BUF_INIT(1 << 20)};

	assert_int_equal(mail_read(message, strlen(message), &visit, &s), 0);
	assert_string_equal(buf_str(&s.text), reading);
	/* also cut off anywhere */
	for (size_t i = 0; i < strlen(message); i++) {
		char *part = strndup(message, i);

		s.calls = 0;
		assert_int_equal(mail_read(part, i, &visit, &s), 0);
		buf_clear(&s.text);
		free(part);
	}
	buf_free(&s.text);
}

static void
test_fields(void **state)
{
	expect_reading(
	    "Subject: =?utf-8?B?w7w=?= =?iso-8859-1?Q?=E4_x?=\r\n y\r\nX: \t a\r\n\r\nhi\r\n",
	    "Subject=\xc3\xbc\xc3\xa4 x y\nX=a\ntext:hi\r\n\n");
	expect_reading("Subject: =?x-unknown?Q?=41?= =?utf-8?Z?q?= =?\n\n",
	    "Subject=A =?utf-8?Z?q?= =?\ntext:\n");
	expect_reading("no header at all", "text:no header at all\n");
}

static void
test_parts(void **state)
{
	expect_reading(
	    "Content-Type: multipart/mixed; boundary=\"a b\"\n\npreamble\n--a b\n\none\n--a bc\n"
	    "--a b  \nContent-Type: multipart/alternative; boundary=c\n\n--c\n"
	    "Content-Type: text/html; charset=utf-16le\nContent-Transfer-Encoding: base64\n\n"
	    "PABiAD4A\n--c--\nepilogue\n--a b\n"
	    "Content-Type: application/zip; name=\"=?utf-8?Q?=C3=BC?=.zip\"\n\nzip\n--a b\n"
	    "Content-Type: message/rfc822\n\nSubject: inner\n\nwithin\n--a b--\nbehind\n",
	    "Content-Type=multipart/mixed; boundary=\"a b\"\ntext:one\n--a bc\n\ntext:<b>\n"
	    "file:\xc3\xbc.zip\ntext:within\n\n");
	expect_reading(
	    "Content-Disposition: attachment; filename*0*=utf-8''%c3%bc; filename*1=\".t\";"
	    " filename*2*=%78t\nContent-Transfer-Encoding: quoted-printable\n\n"
	    "a=\r\nb =3D \r\n",
	    "Content-Disposition=attachment; filename*0*=utf-8''%c3%bc; filename*1=\".t\"; "
	    "filename*2*=%78t\nContent-Transfer-Encoding=quoted-printable\nfile:\xc3\xbc.txt\n"
	    "text:ab =\r\n\n");
}

static void
test_deep_and_many(void **state)
{
	struct buf m = BUF_INIT(1 << 20);
	struct seen s = {.text = BUF_INIT(1 << 20)};

	for (int i = 0; i < 200; i++)
		(void)buf_printf(
		    &m, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	(void)buf_append_str(&m, "\ntoo deep\n");
	assert_int_equal(mail_read(buf_str(&m), m.len, &visit, &s), 0);
	assert_null(strstr(buf_str(&s.text), "too deep"));
	buf_clear(&m);
	buf_clear(&s.text);
	(void)buf_append_str(&m, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (int i = 0; i < 3000; i++)
		(void)buf_append_str(&m, "--b\n\nx\n");
	s.calls = 0;
	assert_int_equal(mail_read(buf_str(&m), m.len, &visit, &s), 0);
	assert_int_equal(s.calls, MAIL_PARTS_MAX);
	/* a visitor ends it */
	s.calls = 0;
	s.most = 3;
	assert_int_equal(mail_read(buf_str(&m), m.len, &visit, &s), 1);
	assert_int_equal(s.calls, 3);
	buf_free(&m);
	buf_free(&s.text);
}

/* ---- conditions ---- */

static void
test_conditions_are_refused(void **state)
{
	static const char *const bad[] = {"", "subject", "=x", "header=x", "header:=x",
	    "colour=red", "to:x=y", "subject~(", "subject~a{2", "!=x"};
	struct conditions c = {.count = 0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf why = BUF_INIT(4096);

		assert_int_equal(conditions_add(&c, NULL, bad[i], &why), -EINVAL);
		assert_true(why.len > 0);
		buf_free(&why);
	}
	assert_int_equal(c.count, 0);
}

static void
test_conditions_are_met(void **state)
{
	static const char message[] =
	    "From: A <a@Example.com>\nTo: b@example.com, C <c@example.com>\n"
	    "Subject: Order 7\nX-Y: one\nX-Y: two\n\nHello\n";
	static const struct {
		const char *condition;
		bool met;
	} cases[] = {{"to==c@example.com", true}, {"to==envelope@example.com", true},
	    {"to==d@example.com", false}, {"to!==d@example.com", true},
	    {"from==a@example.com", true}, {"subject=ORDER", true}, {"subject==order 7", false},
	    {"subject==Order 7", true}, {"subject~^order [0-9]$", true}, {"subject!~[0-9]", false},
	    {"header:x-y==two", true}, {"header:X-Y!=t", false}, {"header:X-Z!=t", true},
	    {"text=hello", true}, {"attachment=", false}, {"service==staging", true},
	    {"uid==7", true}, {"uid==70", false}, {"subject=a=b", false}, {"text==", false}};
	json_t *row = json_pack("{s:s, s:s, s:i, s:[{s:s}]}", "sender", "s@example.com", "service",
	    "staging", "uid", 7, "recipients", "recipient", "envelope@example.com");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conditions c = {.count = 0};
		struct buf why = BUF_INIT(4096);

		assert_int_equal(conditions_add(&c, NULL, "from=example", &why), 0);
		assert_int_equal(conditions_add(&c, NULL, cases[i].condition, &why), 0);
		assert_string_equal(conditions_text(&c, 1), cases[i].condition);
		if (conditions_missed(&c, row, message, strlen(message)) != (cases[i].met ? 0 : 2))
			fail_msg("%s", cases[i].condition);
		conditions_free(&c);
		buf_free(&why);
	}
	json_decref(row);
}

/* ---- marks ---- */

static void
test_marks(void **state)
{
	static const char *const bad[] = {"", "yesterday", "2026-12-01", "2026-12-01T10:00:00",
	    "2026-12-01T10:00:00+01:00", "1969-12-31T23:59:59Z", "12345678901234567", "5F3G"};
	char text[CAPTURED_MARK_SIZE];
	uint64_t mark;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(captured_mark_parse(bad[i], &mark), -EINVAL);
	assert_int_equal(captured_mark_parse("2026-12-01T10:00:00Z", &mark), 0);
	assert_int_equal(mark, UINT64_C(1796119200000000));
	assert_int_equal(captured_mark_parse("2026-12-01T10:00:00.0000019Z", &mark), 0);
	assert_int_equal(mark, UINT64_C(1796119200000001));
	captured_mark_text(mark, text);
	assert_string_equal(text, "2026-12-01T10:00:00.000001Z");
	assert_int_equal(captured_mark_parse("66189F31B4985", &mark), 0);
	assert_int_equal(mark, 0x66189F31B4985);
}

/* ---- files ---- */

static void
test_file(void **state)
{
	static const char text[] = "timeout = 5 # seconds\n"
				   "test one { from = a@b to = {\"c@d\", e@f,} expect = captured\n"
				   "  match = {\"subject=x\"} }\n"
				   "test 'two' { run = true expect = captured timeout = 7 }";
	struct buf report = BUF_INIT(4096);
	struct release_file f;

	assert_true(release_file_parse(&f, "f", text, strlen(text), &report));
	assert_int_equal(f.count, 2);
	assert_string_equal(f.tests[0].name, "one");
	assert_int_equal(f.tests[0].line, 2);
	assert_int_equal(f.tests[0].to.count, 2);
	assert_int_equal(f.tests[0].timeout, 5);
	assert_int_equal(f.tests[0].match.count, 1);
	assert_int_equal(f.tests[1].timeout, 7);
	assert_int_equal(report.len, 0);
	release_file_free(&f);
	/* cut off anywhere it is wrong, or has fewer tests */
	for (size_t i = 0; i + 1 < strlen(text); i++) {
		bool good = release_file_parse(&f, "f", text, i, &report);

		assert_true(good == (report.len == 0));
		assert_true(!good || f.count == 1);
		release_file_free(&f);
		buf_clear(&report);
	}
	buf_free(&report);
}

static void
test_all_errors_are_said(void **state)
{
	static const char text[] = "test a { from = x colour = red }\ntest b { expect = never }\n";
	struct buf report = BUF_INIT(4096);
	struct release_file f;

	assert_false(release_file_parse(&f, "f", text, strlen(text), &report));
	assert_non_null(strstr(buf_str(&report), "f:1: error: unknown key \"colour\""));
	assert_non_null(strstr(buf_str(&report), "f:1: error: a test needs from and to"));
	assert_non_null(strstr(buf_str(&report), "f:2: error: expect is"));
	release_file_free(&f);
	buf_free(&report);
}

/* ---- JUnit ---- */

static void
test_junit(void **state)
{
	static const struct junit_case cases[] = {
	    {.name = "good", .file = "f", .line = 1, .milliseconds = 1005},
	    {.name = "<\x01\"&\xff\xef\xbf\xbf",
		.file = "f",
		.line = 2,
		.result = JUNIT_FAILED,
		.message = "a\nb",
		.output = "]]>"}};
	struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(junit_write(&out, "s", 0, cases, 2), 0);
	assert_non_null(strstr(buf_str(&out), "tests=\"2\" failures=\"1\" errors=\"0\""));
	assert_non_null(strstr(buf_str(&out), "timestamp=\"1970-01-01T00:00:00\""));
	assert_non_null(strstr(buf_str(&out), "time=\"1.005\""));
	assert_non_null(
	    strstr(buf_str(&out), "name=\"&lt;\xef\xbf\xbd&quot;&amp;\xef\xbf\xbd\xef\xbf\xbd\""));
	assert_non_null(strstr(buf_str(&out), "message=\"a&#10;b\""));
	assert_non_null(strstr(buf_str(&out), "<system-out>]]&gt;</system-out>"));
	buf_free(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_deep_and_many),
	    cmocka_unit_test(test_conditions_are_refused),
	    cmocka_unit_test(test_conditions_are_met),
	    cmocka_unit_test(test_marks),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_all_errors_are_said),
	    cmocka_unit_test(test_junit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

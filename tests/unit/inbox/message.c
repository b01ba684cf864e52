/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message.c: reading a message: fields, text, HTML and parts, in good mail, in the conformance corpus and in hostile mail.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/buf.h"
#include "inbox/html.h"
#include "inbox/message.h"

static const char *corpus;

static const char mixed[] =
    "Return-Path: <bounce@example.test>\n"
    "From: =?utf-8?q?J=C3=BCrgen?= <jo@example.test>\n"
    "To: \"Doe, Jane\" <jane@example.test>, Team: a@example.test, b@example.test;\n"
    "Cc: c@example.test\n"
    "Reply-To: answers@example.test\n"
    "Subject: =?iso-8859-1?q?Gr=FC=DFe?=\n aus Wien\n"
    "Date: Tue, 1 Dec 2026 10:11:12 +0100\n"
    "Message-ID: <1@example.test>\n"
    "List-Unsubscribe: <https://example.test/u>, <mailto:u@example.test>\n"
    "X-Two: one\n"
    "x-two: two\n"
    "MIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=o\n\n"
    "--o\nContent-Type: multipart/related; boundary=r\n\n"
    "--r\nContent-Type: multipart/alternative; boundary=a\n\n"
    "--a\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: "
    "quoted-printable\n\n"
    "Gr=FC=DFe\n\n"
    "--a\nContent-Type: text/html; charset=utf-8\n\n"
    "<p>Hallo <img src=\"cid:logo%40x\"></p>\n\n"
    "--a--\n"
    "--r\nContent-Type: image/png\nContent-ID: <logo@x>\nContent-Disposition: inline\n"
    "Content-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
    "--r--\n"
    "--o\nContent-Type: application/pdf\nContent-Disposition: attachment;\n"
    " filename*=UTF-8''..%2Fb%C3%BCro.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n"
    "--o--\n";

static struct inbox_message *
read_text(const char *text, size_t len)
{
	int error = 0, fd = memfd_create("message", MFD_CLOEXEC);
	struct inbox_message *m;

	assert_int_equal(write(fd, text, len), len);
	m = inbox_message_read(fd, &error);
	(void)close(fd);

	assert_non_null(m);
	return m;
}

static const char *
text_at(const json_t *value, const char *list, size_t n, const char *key)
{
	return json_string_value(
	    json_object_get(json_array_get(json_object_get(value, list), n), key));
}

static void
test_mixed(void **state)
{
	struct inbox_message *m = read_text(mixed, strlen(mixed));
	json_t *s = inbox_message_summary(m), *d = inbox_message_details(m);
	json_t *h = inbox_message_headers(m);
	struct inbox_part part;
	size_t len;
	char *content;

	assert_string_equal(json_string_value(json_object_get(s, "Subject")), "Gr\xC3\xBC\xC3\x9F"
									      "e aus Wien");
	assert_string_equal(json_string_value(json_object_get(s, "MessageID")), "1@example.test");
	assert_string_equal(json_string_value(json_object_get(json_object_get(s, "From"), "Name")),
	    "J\xC3\xBCrgen");
	assert_int_equal(json_array_size(json_object_get(s, "To")), 3);
	assert_string_equal(text_at(s, "To", 0, "Name"), "Doe, Jane");
	assert_string_equal(text_at(s, "To", 2, "Address"), "b@example.test");
	assert_string_equal(text_at(s, "ReplyTo", 0, "Address"), "answers@example.test");
	assert_int_equal(json_integer_value(json_object_get(s, "Attachments")), 1);
	assert_int_equal(json_integer_value(json_object_get(s, "Size")), strlen(mixed));
	assert_string_equal(json_string_value(json_object_get(s, "Snippet")), "Hallo");
	assert_string_equal(inbox_message_text(m), "Gr\xC3\xBC\xC3\x9F"
						   "e\n");
	assert_string_equal(
	    json_string_value(json_object_get(d, "Date")), "2026-12-01T10:11:12+01:00");
	assert_string_equal(
	    json_string_value(json_object_get(d, "ReturnPath")), "bounce@example.test");
	assert_string_equal(text_at(d, "Attachments", 0, "PartID"), "2");
	assert_string_equal(text_at(d, "Attachments", 0, "FileName"), ".._b\xC3\xBCro.pdf");
	assert_string_equal(text_at(d, "Inline", 0, "PartID"), "1.2");
	assert_string_equal(text_at(d, "Inline", 0, "ContentID"), "logo@x");
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(d, "ListUnsubscribe"), "Links")), 2);
	assert_int_equal(json_array_size(json_object_get(h, "X-Two")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(h, "Subject"), 0)),
	    "=?iso-8859-1?q?Gr=FC=DFe?= aus Wien");
	assert_true(inbox_message_part_by_cid(m, "logo@x", &part));
	assert_string_equal(part.type, "image/png");
	content = inbox_message_part_content(m, "2", &len);
	assert_int_equal(len, 5);
	assert_memory_equal(content, "%PDF-", 5);
	free(content);
	assert_null(inbox_message_part_content(m, "7", &len));
	json_decref(s);
	json_decref(d);
	json_decref(h);
	assert_null(inbox_message_free(m));
}

/* What is not as it should be is shown somehow, and everything is UTF-8: jansson takes nothing else. */
static void
check_any(const char *bytes, size_t len)
{
	struct inbox_message *m = read_text(bytes, len);
	json_t *s = inbox_message_summary(m), *d = inbox_message_details(m);
	json_t *h = inbox_message_headers(m);
	char *text = inbox_message_header_text(m);
	size_t n;
	struct inbox_part part;

	assert_non_null(s);
	assert_non_null(d);
	assert_non_null(h);
	assert_non_null(text);
	for (n = 0; inbox_message_part(m, n, &part); n++) {
		size_t size;

		free(inbox_message_part_content(m, part.id, &size));
	}
	assert_true(n <= INBOX_PARTS_MAX);
	free(text);
	json_decref(s);
	json_decref(d);
	json_decref(h);
	(void)inbox_message_free(m);
}

static void
test_corpus(void **state)
{
	DIR *d = opendir(corpus);
	struct dirent *e;
	unsigned seen = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		int fd = openat(dirfd(d), e->d_name, O_RDONLY), error;
		struct inbox_message *m;
		size_t len;
		const char *raw;

		if (e->d_name[0] != '.' && fd >= 0) {
			m = inbox_message_read(fd, &error);
			assert_non_null(m);
			raw = inbox_message_raw(m, &len);
			check_any(raw, len);
			(void)inbox_message_free(m);
			seen++;
		}
		(void)close(fd);
	}
	(void)closedir(d);
	assert_true(seen > 20);
}

static void
test_charsets(void **state)
{
	static const struct {
		const char *mail, *text;
	} cases[] = {
	    {"Content-Type: text/plain; charset=koi8-r\n\n\xF0\xD2\xC9\xD7\xC5\xD4",
		"\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82"},
	    {"Content-Type: text/plain; charset=utf-8\n\n\xFFok", "\xEF\xBF\xBDok"},
	    {"Content-Type: text/plain\n\n\x80", "\xE2\x82\xAC"},
	    {"Content-Type: text/plain; charset=nonsense\n\nplain", "plain"},
	    {"Subject: none\n\nno type", "no type"},
	    {"Content-Type: text/html\n\n<p>one<br>two &amp; &#x263a;</p><script>x</script>",
		"one\ntwo & \xE2\x98\xBA"},
	};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		struct inbox_message *m = read_text(cases[n].mail, strlen(cases[n].mail));

		assert_string_equal(inbox_message_text(m), cases[n].text);
		(void)inbox_message_free(m);
	}
}

/* Hundreds of levels, thousands of parts, fields and addresses: bounded, and soon done. */
static void
test_hostile(void **state)
{
	static const char broken[] =
	    "From: \xff\xfe <\xff@\xff>\nSubject: =?utf-8?b?/////w==?=\n\n\xff";
	struct buf b CLEANUP_BUF = BUF_INIT(8 << 20);
	int n;

	(void)buf_append_str(&b, "From: a@b\n");
	for (n = 0; n < 500; n++)
		(void)buf_printf(
		    &b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", n, n);
	(void)buf_append_str(&b, "\nend");
	check_any(b.data, b.len);

	buf_clear(&b);
	(void)buf_append_str(&b, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (n = 0; n < 100000; n++)
		(void)buf_append_str(&b, "--b\nContent-Disposition: attachment\n\nx\n");
	check_any(b.data, b.len);

	buf_clear(&b);
	(void)buf_append_str(&b, "To: a@b");
	for (n = 0; n < 500000; n++)
		(void)buf_append_str(&b, ",a@b");
	(void)buf_append_str(&b, "\n\nx");
	check_any(b.data, b.len);

	buf_clear(&b);
	for (n = 0; n < 500000; n++)
		(void)buf_append_str(&b, "a: b\n");
	check_any(b.data, b.len);

	buf_clear(&b);
	for (n = 0; n < 20000; n++)
		(void)buf_append_str(&b, "Content-Type: message/rfc822\n\n");
	check_any(b.data, b.len);
	check_any("", 0);
	check_any("\0\0\n\n\0", 5);
	check_any(broken, sizeof(broken) - 1);
}

static bool
resolve(void *arg, const char *id, struct buf *out)
{
	return strcmp(id, "logo@x") == 0 && buf_append_str(out, "/part/1") == 0;
}

static void
test_view(void **state)
{
	static const struct {
		const char *html, *view;
	} cases[] = {
	    {"<img src=\"cid:logo%40x\">", "<img src=\"/part/1\">"},
	    {"<img src=CID:logo@x>", "<img src=/part/1>"},
	    {"<p style='background:url(cid:logo@x)'>", "<p style='background:url(/part/1)'>"},
	    {"<img src=\"cid:other\">acid:logo@x", "<img src=\"cid:other\">acid:logo@x"},
	    {"a<META http-equiv=refresh content='0;url=http://x>'>b", "a b"},
	    {"<me<meta >ta http-equiv=refresh>", "<me ta http-equiv=refresh>"},
	    {"a<base href=http://x/>b<link rel=dns-prefetch href=//x>c", "a b c"},
	    {"<metal>", "<metal>"},
	};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		struct buf out CLEANUP_BUF = BUF_INIT(4096);

		assert_int_equal(
		    html_for_view(&out, cases[n].html, strlen(cases[n].html), resolve, NULL), 0);
		assert_string_equal(buf_str(&out), cases[n].view);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mixed),
	    cmocka_unit_test(test_corpus),
	    cmocka_unit_test(test_charsets),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_view),
	};

	corpus = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

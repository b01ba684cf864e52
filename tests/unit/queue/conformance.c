/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tests/conformance/messages through the completion: each message as the shim passes it on, in
 * several splits, with what expected.tsv says must be added, must be gone, and must still be there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/header.h"
#include "broker/message/recode.h"

#define ID "<1@example.com>"

static int
on_plan(void *arg, const struct complete_claim *claim, struct complete_plan *ret)
{
	*ret = (struct complete_plan){.from = claim->from_count == 0 ? "me@example.com" : NULL,
	    .full_name = "Me",
	    .date = "Mon, 23 Nov 2026 10:00:00 +0000",
	    .message_id = ID};
	return 0;
}

static int
on_write(void *arg, const char *bytes, size_t len)
{
	return buf_append(arg, bytes, len);
}

static const struct complete_ops ops = {on_plan, on_write};

static void
read_file(const char *folder, const char *name, struct buf *out)
{
	char path[4096], piece[4096];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (f == NULL)
		fail_msg("%s", path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		assert_int_equal(buf_append(out, piece, n), 0);
	(void)fclose(f);
}

static void
finish(const struct buf *in, size_t piece, struct buf *out)
{
	CLEANUP_BUF struct buf first = BUF_INIT(1000000);
	struct complete *c = complete_new("mail.example", &ops, &first);
	struct complete_facts facts;
	enum recode_way way;
	struct recode *r;
	bool is_signed;

	assert_non_null(c);
	for (size_t at = 0; at < in->len; at += piece)
		assert_int_equal(
		    complete_input(c, in->data + at, in->len - at < piece ? in->len - at : piece),
		    0);
	assert_int_equal(complete_end(c, &facts), 0);
	(void)complete_free(c);
	if (recode_needed(&facts) == RECODE_NONE) {
		assert_int_equal(buf_append(out, first.data, first.len), 0);
		return;
	}
	r = recode_new(recode_needed(&facts), &facts, on_write, out);
	assert_int_equal(recode_input(r, first.data, first.len), 0);
	assert_int_equal(recode_end(r, &facts, &way, &is_signed), 0);
	(void)recode_free(r);
}

/* What the wire must never see. */
static void
check_wire(const char *name, const struct buf *out)
{
	size_t line = 0;

	for (size_t i = 0; i < out->len; i++) {
		char c = out->data[i];

		if (c == '\0' || (c == '\n' && (i == 0 || out->data[i - 1] != '\r')) ||
		    (c == '\r' && (i + 1 == out->len || out->data[i + 1] != '\n')))
			fail_msg("%s: a bare CR or LF, or a NUL, at %zu", name, i);
		line = c == '\n' ? 0 : line + 1;
		if (line > 999) /* the CR counts here */
			fail_msg("%s: a line is too long at %zu", name, i);
	}
	assert_true(out->len > 2 && memcmp(out->data + out->len - 2, "\r\n", 2) == 0);
}

static unsigned
count_field(const struct buf *out, const char *name)
{
	struct header_field f;
	unsigned n = 0;
	size_t at = 0;

	while (header_next(out->data, out->len, true, &at, &f) == 1)
		n += header_is(&f, name);
	return n;
}

static const char *
body_of(const struct buf *out)
{
	return strstr(out->data, "\r\n\r\n") + 4;
}

/* The bodies where something can go wrong. */
static const struct {
	const char *file, *body;
} bodies[] = {
    {"01-headerless-colon-space.txt", "Disk usage: 91% on /var\r\nInodes free: 12\r\n\r\nend\r\n"},
    {"02-headerless-colon-token.txt", "see the log\r\n"},
    {"03-mbox-from.eml",
	"From here on a body line starts with From\r\n>From quoted stays quoted\r\n"},
    {"04-crlf.eml", "line1\r\n\r\nline3\r\n"},
    {"05-mixed-eol.eml", "lf line\r\ncrlf line\r\nbare=0Dcr inside\r\nend\r\n"},
    {"06-lone-dot.eml", "before\r\n.\r\nafter\r\n"},
    {"07-dot-stuffed.eml", "..\r\n..two\r\n.x one dot, text\r\nend\r\n"},
    {"09-nul.eml", "beforeafter\r\nend\r\n"},
    {"10-utf8-headers.eml", "K\xc3\xb6rper \xe2\x98\x83\r\n"},
    {"11-resent.eml", "body\r\n"},
    {"12-bcc-folded.eml", "Bcc: not-a-header@example.org\r\n"},
    {"17-empty.eml", ""},
    {"21-no-final-newline.eml", "last line without newline\r\n"},
    {"22-headers-only.eml", ""},
    {"kind-body-only.txt", "hello\r\n\r\nsecond paragraph\r\n"},
    {"kind-headerless-with-colon.txt", "Disk usage: 91% on /var\r\n/dev/sda1: 91%\r\n"},
};

static void
check_row(const char *file, const char *add, const char *drop, const struct buf *out)
{
	static const char *const names[] = {"From", "Date", "Message-ID"};
	static const char *const gone[] = {"Bcc", "Resent-Bcc", "Return-Path", "Content-Length"};

	check_wire(file, out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		/* A row names what must be added: but each message has each of them, once. */
		if (count_field(out, names[i]) != 1)
			fail_msg("%s: %u fields %s (added: %s)", file, count_field(out, names[i]),
			    names[i], add);
	}
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (count_field(out, gone[i]) != 0)
			fail_msg("%s: %s is left (to be removed: %s)", file, gone[i], drop);
	if (strstr(add, "Message-ID") != NULL && strstr(out->data, "Message-ID: " ID) == NULL)
		fail_msg("%s: no Message-ID of ours", file);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (strcmp(bodies[i].file, file) == 0 && strcmp(bodies[i].body, body_of(out)) != 0)
			fail_msg("%s: the body is\n%s", file, body_of(out));
}

static void
test_table(void **state)
{
	const char *folder = *state;
	CLEANUP_BUF struct buf table = BUF_INIT(1000000);
	unsigned rows = 0;
	char *rest, *line;

	read_file(folder, "expected.tsv", &table);
	rest = table.data;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *file = strsep(&line, "\t"), *argv = strsep(&line, "\t"),
		     *rcpt = strsep(&line, "\t");
		char *rc = strsep(&line, "\t"), *add = strsep(&line, "\t"),
		     *drop = strsep(&line, "\t");
		CLEANUP_BUF struct buf in = BUF_INIT(1000000), whole = BUF_INIT(1000000);
		CLEANUP_BUF struct buf octets = BUF_INIT(1000000);

		/* What the shim refuses, and a session of SMTP commands, do not come here. */
		if (*file == '#' || drop == NULL || strcmp(file, "file") == 0 ||
		    strcmp(rc, "0") != 0 || strstr(argv, "-bs") != NULL || strcmp(rcpt, "-") == 0)
			continue;
		read_file(folder, file, &in);
		finish(&in, in.len + 1, &whole);
		finish(&in, 1, &octets);
		assert_int_equal(whole.len, octets.len);
		assert_memory_equal(whole.data, octets.data, whole.len);
		check_row(file, add, drop, &whole);
		rows++;
	}
	assert_in_range(rows, 25, 100);
}

static void
test_long_lines_keep_every_octet(void **state)
{
	CLEANUP_BUF struct buf in = BUF_INIT(1000000), out = BUF_INIT(1000000);
	const char *body, *original;
	size_t n = 0;

	read_file(*state, "08-long-line.eml", &in);
	finish(&in, 100, &out);
	assert_non_null(strstr(out.data, "Content-Transfer-Encoding: quoted-printable\r\n"));
	original = strstr(in.data, "\n\n") + 2;
	for (body = body_of(&out); *body != '\0'; body++) {
		if (memcmp(body, "=\r\n", 3) == 0) {
			body += 2;
			continue;
		}
		if (*body == '\r')
			continue;
		if (*body == '=') {
			const char code[] = {body[1], body[2], '\0'};

			assert_int_equal((char)strtol(code, NULL, 16), original[n]);
			body += 2;
		} else {
			assert_int_equal(*body, original[n]);
		}
		n++;
	}
	assert_int_equal(n, strlen(original));
}

static void
test_headers_stay(void **state)
{
	static const struct {
		const char *file, *text;
	} rows[] = {
	    {"13-group.eml", "To: undisclosed-recipients:;\r\n"},
	    {"14-quoted-comma.eml",
		"To: \"Doe, Jane\" <jane@example.org>, pat@example.org (Pat, the builder),\r\n "
		"\"Smith \\\"Jr, X\\\" <y@bad>\" <smith@example.org>\r\nCc: "
		"\"john,doe\"@example.org, Carol (a (nested, comma) b) <carol@example.org>\r\n"},
	    {"11-resent.eml",
		"Resent-From: me@example.com\r\nResent-To: rt@example.org\r\nResent-Cc: "
		"rc@example.org\r\nResent-Date:"},
	    {"09-nul.eml", "Subject: nul\r\n"},
	    {"02-headerless-colon-token.txt", "Error: backup failed\r\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf in = BUF_INIT(1000000), out = BUF_INIT(1000000);

		read_file(*state, rows[i].file, &in);
		finish(&in, 7, &out);
		if (strstr(out.data, rows[i].text) == NULL)
			fail_msg("%s:\n%s", rows[i].file, out.data);
	}
}

int
main(int argc, char **argv)
{
	char *folder = argc > 1 ? argv[1] : (char *)"tests/conformance/messages";
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(test_table, folder),
	    cmocka_unit_test_prestate(test_long_lines_keep_every_octet, folder),
	    cmocka_unit_test_prestate(test_headers_stay, folder),
	};

	return cmocka_run_group_tests_name("queue/conformance", tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/queue/delivery/bounce.c: reports that RFC 3464 readers understand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/queue/delivery/bounce.h"

static const struct smtp_reply refused = {.code = 550,
    .enhanced = "5.1.1",
    .stage = SMTP_STAGE_RCPT,
    .text = (char *)"no \x01such\xff user"};
static const struct smtp_reply bare = {.code = 554, .stage = SMTP_STAGE_EOM, .text = (char *)"no"};
static const struct smtp_reply later = {
    .code = 450, .enhanced = "4.2.0", .stage = SMTP_STAGE_RCPT, .text = (char *)"try again"};
static const struct smtp_reply fault = {
    .fault = SMTP_FAULT_TIMEOUT, .stage = SMTP_STAGE_EOM, .text = (char *)"No reply came in time."};

static void
test_status(void **state)
{
	static const struct {
		enum bounce_kind kind;
		const struct smtp_reply *reply;
		bool expired;
		const char *status;
	} rows[] = {
	    {BOUNCE_FAILED, &refused, false, "5.1.1"},
	    {BOUNCE_FAILED, &bare, false, "5.0.0"},
	    {BOUNCE_FAILED, &later, false, "5.2.0"}, /* the class agrees with the action */
	    {BOUNCE_FAILED, &later, true, "4.4.7"},
	    {BOUNCE_FAILED, &fault, false, "5.0.0"},
	    {BOUNCE_FAILED, NULL, true, "4.4.7"},
	    {BOUNCE_DELAYED, &later, false, "4.2.0"},
	    {BOUNCE_DELAYED, NULL, false, "4.0.0"},
	    {BOUNCE_DELAYED, &refused, false, "4.1.1"},
	    {BOUNCE_RELAYED, &later, false, "2.0.0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bounce_recipient r = {.address = "gone@example.org",
		    .reply = rows[i].reply,
		    .expired = rows[i].expired};
		struct bounce b = {.kind = rows[i].kind,
		    .hostname = "host.example",
		    .from = "box@example.com",
		    .to = "sender@example.com",
		    .message_id = "<r@example.com>",
		    .date = "Tue, 24 Nov 2026 10:00:00 +0000",
		    .boundary = "b0undary",
		    .envid = "",
		    .remote = "",
		    .original_id = "",
		    .queue_id = "3F2A",
		    .recipients = &r,
		    .count = 1,
		    .original = "Subject: hi\r\n",
		    .original_len = 13,
		    .headers_only = true};
		CLEANUP_BUF struct buf out = BUF_INIT(8192);
		char line[32];

		(void)snprintf(line, sizeof(line), "\r\nStatus: %s\r\n", rows[i].status);
		assert_int_equal(bounce_write(&out, &b), 0);
		assert_non_null(strstr(buf_str(&out), line));
	}
}

static void
write_one(enum bounce_kind kind, struct buf *out)
{
	static const struct bounce_recipient recipients[] = {
	    {.address = "gone@example.org",
		.orcpt = "rfc822;o+2Bx@example.net",
		.reply = &refused,
		.text = "The recipient does not exist at the provider, and this sentence is long "
			"enough to be "
			"wrapped at least once, or even twice.",
		.next = "Check the address.",
		.at = 1795514460},
	    {.address = "j\xc3\xbc@example.org",
		.reply = &fault,
		.at = 1795514460,
		.expired = true},
	};
	struct bounce b = {.kind = kind,
	    .hostname = "host.example",
	    .from = "box@example.com",
	    .to = "sender@example.com",
	    .message_id = "<r@example.com>",
	    .date = "Tue, 24 Nov 2026 10:00:00 +0000",
	    .boundary = "b0undary",
	    .envid = "QQ+3D1",
	    .remote = "smtp.example.com",
	    .original_id = "<o@example.com>",
	    .queue_id = "3F2A",
	    .arrival = 1795514400,
	    .retry_until = 1795946400,
	    .offset = 60,
	    .recipients = recipients,
	    .count = ARRAY_SIZE(recipients),
	    .original = "Subject: hi\r\nFrom: sender@example.com\r\n",
	    .original_len = 41,
	    .headers_only = true};

	b.original_len = strlen(b.original);
	assert_int_equal(bounce_write(out, &b), 0);
}

static void
check_lines(const struct buf *out)
{
	for (size_t i = 0, line = 0; i < out->len; i++) {
		if (out->data[i] == '\n')
			assert_true(i > 0 && out->data[i - 1] == '\r');
		line = out->data[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 999);
		assert_true((unsigned char)out->data[i] < 0x80);
		assert_true(
		    (unsigned char)out->data[i] >= ' ' || strchr("\r\n\t", out->data[i]) != NULL);
	}
}

static void
expect(const struct buf *out, const char *text)
{
	if (strstr(out->data, text) == NULL)
		fail_msg("no %s in\n%s", text, out->data);
}

static void
test_failure(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT(100000);

	write_one(BOUNCE_FAILED, &out);
	check_lines(&out);
	expect(&out, "From: Mail Delivery System <box@example.com>\r\nTo: sender@example.com\r\n");
	expect(&out, "\r\nAuto-Submitted: auto-replied\r\n");
	expect(&out, "\r\nReferences: <o@example.com>\r\n");
	expect(&out, "Content-Type: multipart/report; report-type=delivery-status;\r\n "
		     "boundary=\"b0undary\"\r\n");
	expect(&out,
	    "\r\n--b0undary\r\nContent-Type: message/delivery-status\r\n\r\n"
	    "Reporting-MTA: dns; host.example\r\nOriginal-Envelope-Id: QQ=1\r\n"
	    "Arrival-Date: Tue, 24 Nov 2026 11:00:00 +0100\r\n\r\n"
	    "Original-Recipient: rfc822; o+x@example.net\r\n"
	    "Final-Recipient: rfc822; gone@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; smtp.example.com\r\nDiagnostic-Code: smtp; 550 5.1.1 no ?such? "
	    "user\r\n"
	    "Last-Attempt-Date: Tue, 24 Nov 2026 11:01:00 +0100\r\n\r\n"
	    "Final-Recipient: utf-8; j\\x{FC}@example.org\r\nAction: failed\r\nStatus: 4.4.7\r\n");
	expect(&out, "Diagnostic-Code: x-frank; timeout No reply came in time.\r\n");
	expect(&out, "\r\n--b0undary\r\nContent-Type: text/rfc822-headers\r\n");
	expect(&out, "\r\nSubject: hi\r\nFrom: sender@example.com\r\n\r\n--b0undary--\r\n");
	expect(&out, "\r\n    Check the address.\r\n");
	expect(&out, "\r\nQueue id: 3F2A\r\n");
	assert_null(strstr(out.data, "Will-Retry-Until"));
}

/* What is not ASCII: the report is all the same, unless a whole message has to stay as it is. */
static void
test_eight_bit(void **state)
{
	static const char original[] = "Subject: Gr\xc3\xbc\xc3\x9f"
				       "e = \r\nFrom: a@b\r\n";
	static const struct {
		bool headers_only, global;
		const char *type, *encoding;
	} rows[] = {
	    {true, false, "text/rfc822-headers", "quoted-printable"},
	    {true, true, "message/global-headers", "quoted-printable"},
	    {false, true, "message/global", "quoted-printable"},
	    {false, false, "message/rfc822", "8bit"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(100000), part = BUF_INIT(200);
		struct bounce_recipient r = {.address = "j\xc3\xbc@example.org",
		    .orcpt = "utf-8;o\\x{FC}+@\xc3\xbc.example",
		    .reply = &fault};
		struct bounce b = {.hostname = "h",
		    .from = "a@b",
		    .to = "c@d",
		    .message_id = "<x@y>",
		    .date = "now",
		    .boundary = "bb",
		    .envid = "",
		    .remote = "smtp.example.com",
		    .original_id = "<\xc3\xbc@b>",
		    .queue_id = "1",
		    .recipients = &r,
		    .count = 1,
		    .original = original,
		    .original_len = strlen(original),
		    .headers_only = rows[i].headers_only,
		    .global = rows[i].global};

		assert_int_equal(bounce_write(&out, &b), 0);
		(void)buf_printf(&part,
		    "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\nSubject: Gr",
		    rows[i].type, rows[i].encoding);
		expect(&out, buf_str(&part));
		expect(&out, "Final-Recipient: utf-8; j\\x{FC}@example.org\r\n");
		expect(&out, "Original-Recipient: utf-8; o\\x{FC}+@\\x{FC}.example\r\n");
		expect(&out, "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n");
		expect(&out, "\r\n<j=C3=BC@example.org>\r\n");
		assert_null(strstr(out.data, "References"));
		/* nobody at the server said so */
		assert_null(strstr(out.data, "Remote-MTA"));
		if (strcmp(rows[i].encoding, "8bit") == 0) {
			expect(&out, "boundary=\"bb\"\r\nContent-Transfer-Encoding: 8bit\r\n");
			continue;
		}
		check_lines(&out);
		expect(&out, "boundary=\"bb\"\r\nContent-Transfer-Encoding: 7bit\r\n");
		expect(&out, "Subject: Gr=C3=BC=C3=9Fe =3D=20\r\nFrom: a@b\r\n");
	}
}

static void
test_delay(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT(100000);

	write_one(BOUNCE_DELAYED, &out);
	check_lines(&out);
	expect(&out, "Subject: Delayed mail");
	expect(&out, "Action: delayed\r\nStatus: 4.1.1\r\n");
	expect(&out, "\r\nWill-Retry-Until: Sun, 29 Nov 2026 11:00:00 +0100\r\n");
}

static void
test_bounds(void **state)
{
	/* A report that does not fit is none: never half of one. */
	for (size_t max = 0; max < 1500; max += 97) {
		CLEANUP_BUF struct buf out = BUF_INIT(max);
		struct bounce_recipient r = {.address = "a@example.org", .reply = &refused};
		struct bounce b = {.hostname = "h",
		    .from = "a@b",
		    .to = "c@d",
		    .message_id = "<x@y>",
		    .date = "now",
		    .boundary = "bb",
		    .envid = "",
		    .remote = "",
		    .original_id = "",
		    .queue_id = "1",
		    .recipients = &r,
		    .count = 1,
		    .original = "A: b\r\n",
		    .original_len = 6};
		int e = bounce_write(&out, &b);

		assert_true(e == -ENOBUFS || (e == 0 && strstr(out.data, "--bb--") != NULL));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_failure),
	    cmocka_unit_test(test_eight_bit),
	    cmocka_unit_test(test_delay),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("queue/bounce", tests, NULL, NULL);
}

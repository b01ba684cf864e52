/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/adapt.c: what becomes of a message for a server that takes less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/message/adapt.h"

#define B "b\xc3\xbc"
#define A "xn--b-eha"
#define UTF8 SMTP_EXT_SMTPUTF8
#define EIGHT SMTP_EXT_8BITMIME

struct row {
	unsigned extensions;
	const char *sender, *to, *body;             /* of a message that needs what it has */
	const char *new_sender, *new_to, *new_body; /* NULL: as it was */
	const char *unfit;                          /* a part of the reason; NULL: it is fit */
};

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

static void
check_row(const struct row *row)
{
	struct job *j = calloc(1, sizeof(*j));
	const char *wanted;

	assert_non_null(j);
	j->recipients = calloc(2, sizeof(*j->recipients));
	assert_non_null(j->recipients);
	j->recipients[0] = (struct smtp_client_recipient){row->to, " NOTIFY=NEVER"};
	j->recipients[1] = (struct smtp_client_recipient){"plain@b.example", ""};
	j->spec = (struct smtp_client_job){.sender = row->sender,
	    .recipients = j->recipients,
	    .recipient_count = 2,
	    .body = row->body,
	    .body_len = strlen(row->body),
	    .eight_bit = !is_ascii(row->body),
	    .smtputf8 = !is_ascii(row->sender) || !is_ascii(row->to) ||
			strstr(row->body, "To: a@" B) != NULL};
	assert_int_equal(adapt_job(j, row->extensions), 0);
	assert_string_equal(
	    j->spec.sender, row->new_sender == NULL ? row->sender : row->new_sender);
	assert_string_equal(
	    j->spec.recipients[0].address, row->new_to == NULL ? row->to : row->new_to);
	assert_string_equal(j->spec.recipients[0].params, " NOTIFY=NEVER");
	assert_string_equal(j->spec.recipients[1].address, "plain@b.example");
	wanted = row->new_body == NULL ? row->body : row->new_body;
	if (j->spec.body_len != strlen(wanted) || memcmp(j->spec.body, wanted, strlen(wanted)) != 0)
		fail_msg("%.*s instead of %s", (int)j->spec.body_len, j->spec.body, wanted);
	if (row->unfit == NULL) {
		assert_null(j->spec.unfit);
		assert_false(j->spec.smtputf8 && (row->extensions & UTF8) == 0);
		assert_false(j->spec.eight_bit && (row->extensions & EIGHT) == 0);
	} else {
		assert_non_null(j->spec.unfit);
		assert_non_null(strstr(j->spec.unfit, row->unfit));
		assert_true(j->spec.smtputf8 || j->spec.eight_bit);
	}
	(void)job_free(j);
}

static void
test_rows(void **state)
{
	static const struct row rows[] = {
	    /* nothing to do */
	    {0, "s@a.example", "t@b.example", "From: x\r\n\r\nx\r\n", NULL, NULL, NULL, NULL},
	    {UTF8 | EIGHT, "s@" B ".example", "\xc3\xa4@b.example", "From: x\r\n\r\n\xc3\xa4\r\n",
		NULL, NULL, NULL, NULL},
	    /* domains */
	    {EIGHT, "s@" B ".example", "\"t t\"@" B, "From: x\r\n\r\nx\r\n", "s@" A ".example",
		"\"t t\"@" A, NULL, NULL},
	    {EIGHT, "", "t@B\xc3\x9c.Example", "From: x\r\n\r\nx\r\n", NULL, "t@" A ".example",
		NULL, NULL},
	    {EIGHT, "s@a.example", "a@" B,
		"From: x\r\nTo: a@" B ",\r\n Team: b@c, \"X\" <d@" B
		"> (e);\r\nSubject: x\r\n\r\n" B "\r\n",
		NULL, "a@" A,
		"From: x\r\nTo: a@" A ",\r\n Team: b@c, \"X\" <d@" A
		"> (e);\r\nSubject: x\r\n\r\n" B "\r\n",
		NULL},
	    /* what has no other form, or is signed */
	    {EIGHT, "s@a.example", "\xc3\xa4@" B, "From: x\r\n\r\nx\r\n", NULL, NULL, NULL,
		"local part"},
	    {EIGHT, "s@a.example", "a@\xe2\x98\x83-\xef\xbf\xbd.example", "From: x\r\n\r\nx\r\n",
		NULL, NULL, NULL, "domain"},
	    {EIGHT, "s@a.example", "a@" B, "From: x\r\nTo: a@" B ", \xc3\xa4@c\r\n\r\nx\r\n", NULL,
		NULL, NULL, "local part"},
	    {EIGHT, "s@a.example", "a@" B, "DKIM-Signature: h=from:to\r\nTo: a@" B "\r\n\r\nx\r\n",
		NULL, NULL, NULL, "signature"},
	    {EIGHT, "s@a.example", "a@" B, "DKIM-Signature: h=from\r\nTo: a@" B "\r\n\r\nx\r\n",
		NULL, "a@" A, "DKIM-Signature: h=from\r\nTo: a@" A "\r\n\r\nx\r\n", NULL},
	    /* 7 bits */
	    {UTF8, "s@a.example", "t@b.example",
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" B "\r\n",
		NULL, NULL,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nb=C3=BC\r\n",
		NULL},
	    {0, "s@" B, "t@b.example", "MIME-Version: 1.0\r\nContent-Type: image/x\r\n\r\n\xff\r\n",
		"s@" A, NULL,
		"MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\n/w0K\r\n",
		NULL},
	    {0, "s@a.example", "t@b.example",
		"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" B "\r\n--b--\r\n",
		NULL, NULL, NULL, "signature"},
	    {0, "s@a.example", "t@b.example", "DKIM-Signature: h=from\r\n\r\n" B "\r\n", NULL, NULL,
		NULL, "signature"},
	    {0, "s@a.example", "t@b.example",
		"Content-Transfer-Encoding: x-uuencode\r\n\r\n" B "\r\n", NULL, NULL, NULL,
		"may not be encoded"},
	    {0, "s@a.example", "t@b.example",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Disposition: attachment; filename=\"" B "\"\r\n\r\nx\r\n--b--\r\n",
		NULL, NULL, NULL, "a header field"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

/* Text without any ASCII grows most: it is no reason to give up. */
static void
test_large(void **state)
{
	static const char head[] = "Content-Type: text/plain; charset=utf-8\r\n\r\n";
	enum { TEXT = 10 * 1024 * 1024 };
	char *body = malloc(sizeof(head) + TEXT);
	struct job *j = calloc(1, sizeof(*j));

	assert_true(body != NULL && j != NULL);
	memcpy(body, head, sizeof(head) - 1);
	memset(body + sizeof(head) - 1, 0xff, TEXT);
	j->spec = (struct smtp_client_job){.sender = "s@a.example",
	    .body = body,
	    .body_len = sizeof(head) - 1 + TEXT,
	    .eight_bit = true};
	assert_int_equal(adapt_job(j, UTF8), 0);
	assert_null(j->spec.unfit);
	assert_false(j->spec.eight_bit);
	assert_true(j->spec.body_len > 3 * (size_t)TEXT);
	(void)job_free(j);
	free(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows), cmocka_unit_test(test_large)};

	return cmocka_run_group_tests_name("message/adapt", tests, NULL, NULL);
}

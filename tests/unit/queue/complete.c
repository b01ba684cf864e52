/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/complete.c: what programs hand in, and what goes out; in every split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "broker/message/complete.h"

#define ADDED_DATE "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
#define ADDED_ID "Message-ID: <id@example.com>\r\n"
#define ADDED_FROM "From: Cron <me@example.com>\r\n"

struct run {
	struct complete_plan plan;
	struct buf out;
	char claimed[1000]; /* addresses of From, then "/" and that of Sender */
	int fails;          /* what the callbacks return */
};

static int
on_plan(void *arg, const struct complete_claim *claim, struct complete_plan *ret)
{
	struct run *run = arg;
	size_t n = 0;

	for (size_t i = 0; i < claim->from_count; i++)
		n += (size_t)snprintf(run->claimed + n, sizeof(run->claimed) - n, "%s%s",
		    i > 0 ? "," : "", claim->from[i]);
	if (claim->from_unreadable)
		n += (size_t)snprintf(run->claimed + n, sizeof(run->claimed) - n, "?");
	if (claim->from_double && !claim->from_unreadable)
		n += (size_t)snprintf(run->claimed + n, sizeof(run->claimed) - n, "!");
	if (claim->sender != NULL)
		(void)snprintf(run->claimed + n, sizeof(run->claimed) - n, "/%s", claim->sender);
	*ret = run->plan;
	if (claim->from_count == 0 && !claim->from_unreadable && ret->from == NULL)
		ret->from = "me@example.com";
	return run->fails;
}

static int
on_write(void *arg, const char *bytes, size_t len)
{
	return buf_append(&((struct run *)arg)->out, bytes, len);
}

static const struct complete_ops ops = {on_plan, on_write};

static const struct complete_plan plain = {.full_name = "Cron",
    .date = "Mon, 23 Nov 2026 10:00:00 +0000",
    .message_id = "<id@example.com>"};

/* Feeds `in` in pieces of `piece` octets. */
static int
complete_in(struct run *run, const char *in, size_t len, size_t piece, struct complete_facts *facts)
{
	struct complete *c = complete_new("mail.example", &ops, run);
	int r = 0, end;

	assert_non_null(c);
	run->out = (struct buf)BUF_INIT(10 * 1024 * 1024);
	run->claimed[0] = '\0';
	for (size_t at = 0; at < len && r == 0; at += piece)
		r = complete_input(c, in + at, len - at < piece ? len - at : piece);
	end = complete_end(c, facts);
	if (r != 0)
		assert_int_equal(end, r);
	(void)complete_free(c);
	return end;
}

/* In one piece, octet by octet, and cut in two at every place: always `want`. */
static void
expect(const struct complete_plan *plan, const char *in, size_t len, const char *want,
    size_t want_len, struct complete_facts *ret)
{
	struct complete_facts facts;

	for (size_t piece = len + 1; piece > 0; piece--) {
		struct run run = {.plan = *plan};

		assert_int_equal(complete_in(&run, in, len, piece, &facts), 0);
		if (run.out.len != want_len || memcmp(run.out.data, want, want_len) != 0)
			fail_msg("in pieces of %zu:\n<<%s>>\nwanted:\n<<%s>>", piece,
			    buf_str(&run.out), want);
		assert_int_equal(facts.size, want_len);
		if (ret != NULL && piece <= len)
			assert_memory_equal(ret, &facts, sizeof(facts));
		if (ret != NULL)
			*ret = facts;
		buf_free(&run.out);
	}
}

static const struct {
	const char *in, *out;
} messages[] = {
    /* nothing at all is a message */
    {"", ADDED_FROM ADDED_DATE ADDED_ID "\r\n"},
    /* body without header: the first line stays the first line of the body */
    {"Disk usage: 91% on /var\nInodes free: 12\n\nend\n", ADDED_FROM ADDED_DATE ADDED_ID
	"\r\nDisk usage: 91% on /var\r\nInodes free: 12\r\n\r\nend\r\n"},
    {"hello\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\nhello\r\n"},
    {"\nhello\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\nhello\r\n"},
    {" hello\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\n hello\r\n"},
    {"Error: backup failed\nsee the log\n",
	"Error: backup failed\r\n" ADDED_FROM ADDED_DATE ADDED_ID "\r\nsee the log\r\n"},
    /* header without body, without a last line end */
    {"From: a@b.example\nSubject: x",
	"From: a@b.example\r\nSubject: x\r\n" ADDED_DATE ADDED_ID "\r\n"},
    {"From: a@b.example\n\nlast line",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\nlast line\r\n"},
    {"From: a@b.example\n\nlast line\r",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\nlast line\r\n"},
    /* line ends of all kinds */
    {"From: a@b.example\r\nTo: x@y.example\r\r\n\r\nlf\ncrlf\r\nbare\rcr\r\r\nend\n",
	"From: a@b.example\r\nTo: x@y.example\r\n" ADDED_DATE ADDED_ID
	"\r\nlf\r\ncrlf\r\nbare\rcr\r\nend\r\n"},
    {"From: a@b.example\n\n.\r.\r\n\n.\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\n.\r.\r\n\r\n.\r\n"},
    /* what has no business there */
    {"Return-Path: <x@y.example>\nContent-Length: 5\nFrom: a@b.example\nBCC: c@d.example,\n"
     "\te@f.example\nbCc : g@h.example\nResent-Bcc: i@j.example\n\nBcc: body\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\nBcc: body\r\n"},
    {"To: \r\nFrom: a@b.example\r\nCc: \r\n\r\nx\r\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\nx\r\n"},
    /* what is there stays as it is */
    {"from : \"Me, Myself\" <me@example.com>\nDate: yesterday\nMESSAGE-ID: <x@y>\nTo: "
     "\"Doe, "
     "J\" <j@d.example>, p@d.example (Pat, the builder),\n \"Smith\" <s@d.example>\n\n",
	"from : \"Me, Myself\" <me@example.com>\r\nDate: yesterday\r\nMESSAGE-ID: "
	"<x@y>\r\nTo: \"Doe, "
	"J\" <j@d.example>, p@d.example (Pat, the builder),\r\n \"Smith\" "
	"<s@d.example>\r\n\r\n"},
    /* unqualified: where they stand */
    {"From: root (Cron Daemon)\nTo: alice, b@c.example\n\n",
	"From: root@mail.example (Cron Daemon)\r\nTo: alice@mail.example, "
	"b@c.example\r\n" ADDED_DATE ADDED_ID "\r\n"},
    {"From: a@b.example\nTo: Team: alice, (x) bob (the builder) ,\n\t\"Q\" <carol> ;, "
     "d@e.example, "
     "\"f.g\"\nCc: h..i, <j>\n\n",
	"From: a@b.example\r\nTo: Team: alice@mail.example, (x) bob@mail.example (the "
	"builder) "
	",\r\n\t\"Q\" <carol@mail.example> ;, d@e.example, \"f.g\"\r\nCc: "
	"h..i@mail.example, "
	"<j@mail.example>\r\n" ADDED_DATE ADDED_ID "\r\n"},
    {"From: a@b.example\nTo: Zo\xc3\xab <alice>, bob\n\n",
	"From: a@b.example\r\nTo: =?UTF-8?B?Wm/Dqw==?= <alice@mail.example>, "
	"bob@mail.example\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* words without '@' are a name, and what cannot be read stays */
    {"From: Backup Script\nTo: Undisclosed recipients\nCc: alice, <<\nReply-To: The "
     "Team\n\n",
	"From: Backup Script\r\nTo: Undisclosed recipients\r\nCc: alice, <<\r\nReply-To: "
	"The "
	"Team\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* encoded words */
    {"From: Zo\xc3\xab <me@example.com>\nSubject: \xe2\x98\x83 x\nX-Raw: \xff\n\n",
	"From: =?UTF-8?B?Wm/Dqw==?= <me@example.com>\r\nSubject: =?UTF-8?B?4piD?= x\r\n"
	"X-Raw: =?unknown-8bit?B?/w==?=\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* in the charset that the message declares */
    {"From: \xd6\xd0\xce\xc4 <a@b.example>\nContent-Type: text/plain; "
     "charset=gb2312\nSubject: "
     "\xd6\xd0\xce\xc4\nX-Utf-8: \xc3\xa4\n\n",
	"From: =?gb2312?B?1tDOxA==?= <a@b.example>\r\nContent-Type: text/plain; "
	"charset=gb2312\r\nSubject: =?gb2312?B?1tDOxA==?=\r\nX-Utf-8: "
	"=?UTF-8?B?w6Q=?=\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* ... or its first text part, wherever that stands */
    {"From: a@b.example\nSubject: gr\xfc\xdf\nContent-Type: multipart/mixed; "
     "boundary=b\n\npreamble\n--b\nContent-Type: multipart/alternative;\n boundary=i\n\n--i\n"
     "Content-ID: <1@x>\nContent-Type: text/plain;\n charset=iso-8859-1\n\n\xfc\n--i--\n"
     "--b\nContent-Type: text/plain; charset=koi8-r\n\nx\n--b--\n",
	"From: a@b.example\r\nSubject: =?iso-8859-1?B?Z3L83w==?=\r\nContent-Type: multipart/mixed; "
	"boundary=b\r\n" ADDED_DATE ADDED_ID "\r\npreamble\r\n--b\r\nContent-Type: "
	"multipart/alternative;\r\n boundary=i\r\n\r\n--i\r\nContent-ID: <1@x>\r\nContent-Type: "
	"text/plain;\r\n charset=iso-8859-1\r\n\r\n\xfc\r\n--i--\r\n--b\r\nContent-Type: "
	"text/plain; charset=koi8-r\r\n\r\nx\r\n--b--\r\n"},
    {"From: a@b.example\nSubject: \xfc\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n"
     "no type\n--b\nContent-Type: text/html; charset=iso-8859-15\n\nx\n--b--",
	"From: a@b.example\r\nSubject: =?iso-8859-15?B?/A==?=\r\nContent-Type: multipart/mixed; "
	"boundary=b\r\n" ADDED_DATE ADDED_ID "\r\n--b\r\n\r\nno type\r\n--b\r\nContent-Type: "
	"text/html; charset=iso-8859-15\r\n\r\nx\r\n--b--\r\n"},
    {"From: a@b.example\nSubject: \xfc\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
     "Content-Transfer-Encoding: binary\nContent-Type: text/plain; charset=koi8-r\n\na\rb\nc",
	"From: a@b.example\r\nSubject: =?unknown-8bit?B?/A==?=\r\nContent-Type: multipart/mixed; "
	"boundary=b\r\n" ADDED_DATE ADDED_ID "\r\n--b\r\nContent-Transfer-Encoding: binary\r\n"
	"Content-Type: text/plain; charset=koi8-r\n\na\rb\nc"},
    {"From: a@b.example\nSubject: \xfc\nContent-Type: multipart/mixed; boundary=b",
	"From: a@b.example\r\nSubject: =?unknown-8bit?B?/A==?=\r\nContent-Type: multipart/mixed; "
	"boundary=b\r\n" ADDED_DATE ADDED_ID "\r\n"},
    {"From: a@b.example\nSubject: \xe4\nContent-Type: text/plain; charset=\"us-ascii\"\n\n",
	"From: a@b.example\r\nSubject: =?unknown-8bit?B?5A==?=\r\nContent-Type: "
	"text/plain; "
	"charset=\"us-ascii\"\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* lines in front of the header section */
    {"From ops@b.example\nFrom: a@b.example\nSubject: x\n\nx\n",
	"From: a@b.example\r\nSubject: x\r\n" ADDED_DATE ADDED_ID "\r\nx\r\n"},
    {"From ops Mon Jan  1 00:00:00 2024\r\n>From me\r\nFrom: a@b.example\r\n\r\nFrom y\r\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\nFrom y\r\n"},
    {"From ops Mon Jan  1 00:00:00 2024\n\ntext\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\ntext\r\n"},
    {"From here on\nit is text\n",
	ADDED_FROM ADDED_DATE ADDED_ID "\r\nFrom here on\r\nit is text\r\n"},
    {"From here on\n\nX: y\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\nFrom here on\r\n\r\nX: y\r\n"},
    {"From here on", ADDED_FROM ADDED_DATE ADDED_ID "\r\nFrom here on\r\n"},
    /* what does not say what it covers may cover everything */
    {"DKIM-Signature: v=1\nFrom: a@b.example\nSubject: \xe2\x98\x83\n\n",
	"DKIM-Signature: v=1\r\nFrom: a@b.example\r\nSubject: \xe2\x98\x83\r\n\r\n"},
    /* what is covered stays, also empty or absent; the rest is mended */
    {"DKIM-Signature: v=1; h=From:To : cc\r\n :Subject:\tDate; b=x\nFrom:  "
     "a@b.example\nCc:\nTo: "
     "alice,  bob\n  (x)\n \nSubject: \xe2\x98\x83 \nReply-To: carol\nX-Y: "
     "\xe2\x98\x83\n\n",
	"DKIM-Signature: v=1; h=From:To : cc\r\n :Subject:\tDate; b=x\r\nFrom:  "
	"a@b.example\r\nCc:\r\nTo: alice,  bob\r\n  (x)\r\n \r\nSubject: \xe2\x98\x83 "
	"\r\nReply-To: "
	"carol@mail.example\r\nX-Y: =?UTF-8?B?4piD?=\r\n" ADDED_ID "\r\n"},
    {"ARC-Message-Signature: i=1; h=message-id:subject\nFrom: a@b.example\nSubject: "
     "\xe2\x98\x83\n\n",
	"ARC-Message-Signature: i=1; h=message-id:subject\r\nFrom: a@b.example\r\nSubject: "
	"\xe2\x98\x83\r\n" ADDED_DATE "\r\n"},
    /* two From fields, or a Bcc that it covers: it is broken, and nothing is covered */
    {"DKIM-Signature: v=1; h=from:subject\nFrom: a@b.example\nFrom: c@d.example\nSubject: "
     "\xe2\x98\x83\n\n",
	"From: a@b.example\r\nSubject: =?UTF-8?B?4piD?=\r\n" ADDED_DATE ADDED_ID
	"X-Original-DKIM-Signature: v=1; h=from:subject\r\nX-Original-From: "
	"c@d.example\r\n\r\n"},
    {"DKIM-Signature: v=1; h=from:bcc\nARC-Seal: i=1\nFrom: a@b.example\nBcc: "
     "c@d.example\n\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID
	"X-Original-DKIM-Signature: v=1; h=from:bcc\r\nX-Original-ARC-Seal: i=1\r\n\r\n"},
    /* a fold that holds nothing */
    {"From: a@b.example\n \t\nSubject: x\n\t\n y\n \n\nb\n",
	"From: a@b.example\r\nSubject: x\r\n y\r\n" ADDED_DATE ADDED_ID "\r\nb\r\n"},
    /* two From fields, several authors */
    {"From: a@b.example\nFrom: c@d.example\n\n",
	"From: a@b.example\r\n" ADDED_DATE ADDED_ID "X-Original-From: c@d.example\r\n\r\n"},
    {"From: a@b.example, c@d.example\n\n",
	"From: a@b.example, c@d.example\r\nSender: a@b.example\r\n" ADDED_DATE ADDED_ID "\r\n"},
    {"From: a@b.example, c@d.example\nSender: c@d.example\n\n",
	"From: a@b.example, c@d.example\r\nSender: c@d.example\r\n" ADDED_DATE ADDED_ID "\r\n"},
    /* resent: the block stays in order */
    {"Resent-From: me@example.com\nResent-Bcc: x@y.example\nFrom: o@example.net\nDate: "
     "d\nMessage-ID: <o@n>\n\nb\n",
	"Resent-From: me@example.com\r\nFrom: o@example.net\r\nDate: d\r\nMessage-ID: "
	"<o@n>\r\n\r\nb\r\n"},
};

static void
test_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		expect(&plain, messages[i].in, strlen(messages[i].in), messages[i].out,
		    strlen(messages[i].out), NULL);
}

static void
test_nul(void **state)
{
	static const char in[] = "From: a@b.example\nSubject: n\0ul\r\0\n\nbefore\0after\nend\0";
	static const char out[] = "From: a@b.example\r\nSubject: nul\r\n" ADDED_DATE ADDED_ID
				  "\r\nbeforeafter\r\nend\r\n";
	struct complete_facts facts;

	expect(&plain, in, sizeof(in) - 1, out, strlen(out), &facts);
	assert_int_equal(facts.nuls, 4);
}

#define MIME(type, encoding) \
	"From: a@b.example\nMIME-Version: 1.0\nContent-Type: " type "\n" encoding "\n"
#define MIME_OUT(type, encoding)                                        \
	"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: " type \
	"\r\n" encoding ADDED_DATE ADDED_ID "\r\n"
#define BINARY "Content-Transfer-Encoding: binary"
static const struct {
	const char *in;
	size_t in_len;
	const char *out;
	size_t out_len;
	bool odd, raw;
} octet_rows[] = {
#define ROW(in, out, odd, raw)                                     \
	{                                                          \
		in, sizeof(in) - 1, out, sizeof(out) - 1, odd, raw \
	}
    /* a text: line ends are line ends */
    ROW(MIME("text/plain", "") "a\0b\rc\nd\r\r\ne",
	MIME_OUT("text/plain", "") "a\0b\rc\r\nd\r\ne\r\n", true, false),
    /* no text: not an octet changes */
    ROW(MIME("image/jpeg", BINARY "\n") "a\0b\rc\nd\r\r\ne",
	MIME_OUT("image/jpeg", BINARY "\r\n") "a\0b\rc\nd\r\r\ne", false, true),
    ROW(MIME("application/pdf", "") "a\nb", MIME_OUT("application/pdf", "") "a\nb", false, true),
    ROW(MIME("application/pdf", "Content-Transfer-Encoding: base64\n") "YQ==\n",
	MIME_OUT("application/pdf", "Content-Transfer-Encoding: base64\r\n") "YQ==\r\n", false,
	false),
    /* from where a part says so */
    ROW(MIME("multipart/mixed; boundary=b",
	    "") "--b\n\na\n--b\ncontent-transfer-encoding : Binary\n\n\0\n",
	MIME_OUT("multipart/mixed; boundary=b", "") "--b\r\n\r\na\r\n--b\r\n"
						    "content-transfer-encoding : Binary\r\n\n\0\n",
	false, true),
    /* a message without MIME fields is text, also in its first line */
    ROW("a\rb", ADDED_FROM ADDED_DATE ADDED_ID "\r\na\rb\r\n", true, false),
    ROW("a\0b\rc\rd\n", ADDED_FROM ADDED_DATE ADDED_ID "\r\nab\rc\rd\r\n", true, false),
    ROW("From: a@b.example\rx\n\n", "From: a@b.example x\r\n" ADDED_DATE ADDED_ID "\r\n", false,
	false),
};

/* What only the second pass can mend is left as it is, and told of. */
static void
test_octets_of_bodies(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(octet_rows); i++) {
		struct complete_facts facts;

		expect(&plain, octet_rows[i].in, octet_rows[i].in_len, octet_rows[i].out,
		    octet_rows[i].out_len, &facts);
		assert_int_equal(facts.odd_octets, octet_rows[i].odd);
		assert_int_equal(facts.raw_body, octet_rows[i].raw);
	}
}

static const struct {
	const char *in, *out;
	bool replaced;
} rewritten[] = {
    {"From: \"Web, Site\" <www@host.example>\nSubject: x\n\n",
	"From: \"Web, Site\" <billing@example.com>\r\nSubject: x\r\n" ADDED_DATE ADDED_ID
	"Reply-To: \"Web, Site\" <www@host.example>\r\n"
	"X-Original-From: \"Web, Site\" <www@host.example>\r\n\r\n",
	true},
    {"From: www@host.example\nReply-To: r@s.example\n\n",
	"From: billing@example.com\r\nReply-To: r@s.example\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: www@host.example\r\n\r\n",
	true},
    {"From: www\n\n",
	"From: billing@example.com\r\n" ADDED_DATE ADDED_ID
	"Reply-To: www@mail.example\r\nX-Original-From: www\r\n\r\n",
	true},
    {"From: <<broken\n\n",
	"From: billing@example.com\r\n" ADDED_DATE ADDED_ID "X-Original-From: <<broken\r\n\r\n",
	true},
    {"Subject: x\n\n",
	"Subject: x\r\nFrom: Cron <billing@example.com>\r\n" ADDED_DATE ADDED_ID "\r\n", false},
    {"From:\n\n", "From: Cron <billing@example.com>\r\n" ADDED_DATE ADDED_ID "\r\n", false},
    /* words are a display name, and never an address */
    {"From: Backup Script\n\n",
	"From: Backup Script <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: Backup Script\r\n\r\n",
	true},
    {"From: \"Backup, Script\" <>\n\n",
	"From: \"Backup, Script\" <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: \"Backup, Script\" <>\r\n\r\n",
	true},
    {"From: Backup Script w@host.example\n\n",
	"From: Backup Script <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"Reply-To: w@host.example\r\nX-Original-From: Backup Script w@host.example\r\n\r\n",
	true},
    {"From: Doe, Jane\n\n",
	"From: \"Doe, Jane\" <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: Doe, Jane\r\n\r\n",
	true},
    {"From: =?utf-8?q?Backup?=\n\n",
	"From: =?utf-8?q?Backup?= <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: =?utf-8?q?Backup?=\r\n\r\n",
	true},
    {"From: Doe, Jane <w@host.example>\n\n",
	"From: Jane <billing@example.com>\r\n" ADDED_DATE ADDED_ID
	"Reply-To: w@host.example\r\nX-Original-From: Doe, Jane <w@host.example>\r\n\r\n",
	true},
    /* a display name that is another address would be read as the sender */
    {"From: ceo@evil.test <www@host.example>\n\n",
	"From: billing@example.com\r\n" ADDED_DATE ADDED_ID
	"Reply-To: www@host.example\r\nX-Original-From: ceo@evil.test "
	"<www@host.example>\r\n\r\n",
	true},
    {"From: ceo@evil.test <billing@example.com>\n\n",
	"From: billing@example.com\r\n" ADDED_DATE ADDED_ID
	"X-Original-From: ceo@evil.test <billing@example.com>\r\n\r\n",
	true},
    /* a signature does not survive it */
    {"DKIM-Signature: v=1; h=from\nFrom: w@host.example\n\n",
	"From: billing@example.com\r\n" ADDED_DATE ADDED_ID
	"Reply-To: w@host.example\r\nX-Original-DKIM-Signature: v=1; h=from\r\n"
	"X-Original-From: w@host.example\r\n\r\n",
	true},
};

static void
test_rewritten_from(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rewritten); i++) {
		struct complete_plan plan = plain;

		plan.from = "billing@example.com";
		plan.from_replaced = rewritten[i].replaced;
		expect(&plan, rewritten[i].in, strlen(rewritten[i].in), rewritten[i].out,
		    strlen(rewritten[i].out), NULL);
	}
}

static void
test_sender_and_received(void **state)
{
	struct complete_plan plan = plain;
	static const char in[] = "Sender: evil@else.example\nFrom: a@b.example\n\n";
	static const char out[] = "Received: by host\r\nFrom: a@b.example\r\n" ADDED_DATE ADDED_ID
				  "X-Original-Sender: evil@else.example\r\n\r\n";

	plan.drop_sender = true;
	plan.received = "by host";
	expect(&plan, in, strlen(in), out, strlen(out), NULL);
}

static void
test_resent_by_another(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"Resent-Date: d\nResent-From: \"E. Vil\" <evil@else.example>\nResent-Sender: "
	     "s@else.example\n"
	     "Resent-To: a@b.example\nResent-From: older@else.example\nFrom: a@b.example\n\n",
		"Resent-Date: d\r\nResent-From: \"E. Vil\" <billing@example.com>\r\n"
		"Resent-To: a@b.example\r\nFrom: a@b.example\r\n" ADDED_DATE ADDED_ID
		"X-Original-Resent-From: \"E. Vil\" <evil@else.example>\r\n"
		"X-Original-Resent-Sender: s@else.example\r\n"
		"X-Original-Resent-From: older@else.example\r\n\r\n"},
	    {"Resent-From: <<\nFrom: a@b.example\n\n",
		"Resent-From: billing@example.com\r\nFrom: a@b.example\r\n" ADDED_DATE ADDED_ID
		"X-Original-Resent-From: <<\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct complete_plan plan = plain;

		plan.resent_from = "billing@example.com";
		expect(
		    &plan, rows[i].in, strlen(rows[i].in), rows[i].out, strlen(rows[i].out), NULL);
	}
}

static void
test_claims(void **state)
{
	static const struct {
		const char *in, *claimed;
	} rows[] = {
	    {"From: a@b.example\nSender: x\n\n", "a@b.example/x@mail.example"},
	    {"From: a@b.example, root\n\n", "a@b.example!"},
	    {"From: a@b.example\nFrom: c@d.example\n\n", "a@b.example,c@d.example"},
	    {"From: a@b.example, <<\n\n", "a@b.example?"},
	    {"From: undisclosed:;\n\n", "?"},
	    {"From: Backup Script\n\n", "?"},
	    {"From: \"Backup\"\n\n", "?"},
	    {"From: Backup Script, a@b.example\n\n", "a@b.example!"},
	    {"From: a@b..c\n\n", "?"},
	    {"From: Doe, Jane\n\n", "?"},
	    {"From: M\xc3\xbcller\n\n", "?"},
	    {"From: Doe, Jane <a@b.example>\n\n", "a@b.example!"},
	    {"From: <root>, a@b.example\n\n", "root@mail.example,a@b.example"},
	    {"From: a..b@c.example\n\n", "\"a..b\"@c.example"},
	    {"From: ceo@evil.test <a@b.example>\n\n", "a@b.example!"},
	    {"From: <@evil.test:a@b.example>\n\n", "a@b.example!"},
	    {"From: A <a@b.example> (ceo@evil.test)\n\n", "a@b.example!"},
	    {"From: a@b.example\nSender: ceo@evil.test <x@b.example>\n\n", "a@b.example/"},
	    {"X: y\n\nFrom: a@b.example\n", ""},
	    {"Sender: <<\n\n", "/"},
	    {"Sender: a@b.example, c@d.example\n\n", "/"},
	    {"Sender: a@b.example junk\n\n", "/"},
	    {"Sender: a@b.example\nSender: c@d.example\n\n", "/"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run = {.plan = plain};
		struct complete_facts facts;

		assert_int_equal(
		    complete_in(&run, rows[i].in, strlen(rows[i].in), 1000, &facts), 0);
		assert_string_equal(run.claimed, rows[i].claimed);
		buf_free(&run.out);
	}
}

static void
test_facts(void **state)
{
	struct complete_facts facts;
	static const char in[] =
	    "Subject: =?x?= long\n way\nMIME-Version: 1.0\nFrom: \xc3\xa4@b.example\n\n"
	    "\xc3\xa4 12345\r\nabc\n";
	static const char out[] =
	    "Subject: =?x?= long\r\n way\r\nMIME-Version: 1.0\r\nFrom: "
	    "\xc3\xa4@b.example\r\n" ADDED_DATE ADDED_ID "\r\n\xc3\xa4 12345\r\nabc\r\n";

	expect(&plain, in, strlen(in), out, strlen(out), &facts);
	assert_string_equal(facts.subject, "=?x?= long way");
	assert_string_equal(facts.message_id, "<id@example.com>");
	assert_true(facts.mime);
	assert_true(facts.smtputf8);
	assert_true(facts.eight_bit_header);
	assert_true(facts.eight_bit_body);
	assert_true(facts.body_is_utf8);
	assert_int_equal(facts.longest_line, 8);
	assert_int_equal(facts.header_size, strstr(out, "\r\n\r\n") + 2 - out);
}

static void
test_utf8_or_not(void **state)
{
	static const struct {
		const char *body;
		bool utf8;
	} rows[] = {{"\xc3\xa4", true}, {"\xe4", false}, {"\xc3(", false},
	    {"\xf0\x9f\x98\x80", true}, {"\xe2\x98", false}, {"\x80", false}, {"x", true}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run = {.plan = plain};
		struct complete_facts facts;
		char in[20];

		(void)snprintf(in, sizeof(in), "\n%s", rows[i].body);
		assert_int_equal(complete_in(&run, in, strlen(in), 1, &facts), 0);
		assert_int_equal(facts.body_is_utf8, rows[i].utf8);
		buf_free(&run.out);
	}
}

/* One line of `n` octets, of a header field or of a body. */
static int
huge(const char *lead, char fill, size_t n, size_t piece, struct complete_facts *facts)
{
	CLEANUP_BUF struct buf in = BUF_INIT(4 * 1024 * 1024);
	struct run run = {.plan = plain};
	int r;

	assert_int_equal(buf_append_str(&in, lead), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_append_char(&in, fill), 0);
	r = complete_in(&run, in.data, in.len, piece, facts);
	buf_free(&run.out);
	return r;
}

static void
test_bounds(void **state)
{
	static const size_t pieces[] = {1, 7, 999, 1000, 1001, 4096, SIZE_MAX / 2};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct complete_facts facts;

		/* a body that is one line, from its first octet on or after some that could be a
		 * name */
		assert_int_equal(huge("no name ", 'x', 1000000, pieces[i], &facts), 0);
		assert_int_equal(facts.longest_line, 1000008);
		assert_int_equal(huge("", 'x', 1000000, pieces[i], &facts), 0);
		assert_int_equal(facts.longest_line, 1000000);
		/* a header section without end */
		assert_int_equal(
		    huge("X: ", 'x', COMPLETE_HEADER_MAX + 10, pieces[i], &facts), -E2BIG);
		assert_int_equal(huge("X: ", 'x', COMPLETE_HEADER_MAX - 10, pieces[i], &facts), 0);
		assert_true(facts.header_split);
		assert_int_equal(facts.longest_line, 0);
		/* a body that is held back for a charset which does not come soon */
		assert_int_equal(huge("From: \xfc <a@b.example>\nContent-Type: multipart/mixed; "
				      "boundary=b\n\n--b\nX: ",
				     'x', 200000, pieces[i], &facts),
		    0);
		assert_int_equal(facts.longest_line, 200003);
		assert_int_equal(facts.size - facts.header_size, 200000 + 2 + 5 + 5);
	}
}

static void
test_loops_end(void **state)
{
	CLEANUP_BUF struct buf in = BUF_INIT(100000);
	struct complete_facts facts;
	struct run run = {.plan = plain};

	for (int i = 0; i < COMPLETE_RECEIVED_MAX; i++)
		assert_int_equal(buf_append_str(&in, "Received: by x\n"), 0);
	assert_int_equal(complete_in(&run, in.data, in.len, 1000, &facts), 0);
	buf_free(&run.out);
	assert_int_equal(buf_append_str(&in, "Received: by x\n"), 0);
	assert_int_equal(complete_in(&run, in.data, in.len, 1000, &facts), -ELOOP);
	buf_free(&run.out);
}

static void
test_refusal_lasts(void **state)
{
	struct run run = {.plan = plain, .fails = -EPERM};
	struct complete_facts facts;

	assert_int_equal(complete_in(&run, "\n\nx\n", 4, 1, &facts), -EPERM);
	assert_int_equal(run.out.len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_octets_of_bodies),
	    cmocka_unit_test(test_rewritten_from),
	    cmocka_unit_test(test_sender_and_received),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_resent_by_another),
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_utf8_or_not),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_loops_end),
	    cmocka_unit_test(test_refusal_lasts),
	};

	return cmocka_run_group_tests_name("queue/complete", tests, NULL, NULL);
}

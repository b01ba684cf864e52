/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of the submission engine: sessions that go as they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "script.h"

#define BEFORE_TLS               \
	"S: 220 mx.test ESMTP\n" \
	"C: EHLO client.test\n"  \
	"S: 250-mx.test\n"       \
	"S: 250-SIZE 1\n"        \
	"S: 250-AUTH PLAIN\n"    \
	"S: 250 STARTTLS\n"      \
	"C: STARTTLS\n"          \
	"C=\n"                   \
	"S: 220 2.0.0 Ready\n"   \
	"E: START_TLS\n"         \
	"A: tls\n"               \
	"C: EHLO client.test\n"

#define TOKEN "0123456789abcdefghijklmnopqrstuvwxyz-token"

static void
play_with(unsigned mechanisms, enum sasl_mechanism first, const char *script)
{
	struct smtp_client_config config = script_config();

	config.mechanisms = mechanisms;
	config.order[0] = first;
	config.order[1] = SASL_NONE;
	script_play(&config, script);
}

static void
test_starttls_xoauth2(void **state)
{
	struct smtp_client_config config = script_config();

	script_play(&config, BEFORE_TLS "S: 250-mx.test\n"
					"S: 250-PIPELINING\n"
					"S: 250 auth login OAUTHBEARER xoauth2\n"
					"E: CREDENTIAL XOAUTH2\n"
					"C=\n"
					"A: token u@a.test " TOKEN "\n"
					"C: AUTH XOAUTH2 "
					"dXNlcj11QGEudGVzdAFhdXRoPUJlYXJlciAwMTIzNDU2Nzg5YWJjZGVmZ2"
					"hpamtsbW5vcHFyc3R1dnd4eXotdG9rZW4BAQ==\n"
					"C=\n"
					"S: 235 2.7.0 Accepted\n"
					"E: READY XOAUTH2\n"
					"t: * TLSv1.3 TEST\n"
					"t: C: AUTH XOAUTH2 <user=u@a.test, token 42 octets>\n"
					"A: quit\n"
					"C: QUIT\n"
					"S: 221 2.0.0 Bye\n"
					"E: CLOSED 221 2.0.0/quit\n");
}

static void
test_oauthbearer_in_order(void **state)
{
	play_with(SASL_TOKEN_MECHANISMS, SASL_OAUTHBEARER,
	    BEFORE_TLS "S: 250-mx.test\n"
		       "S: 250 AUTH XOAUTH2 OAUTHBEARER\n"
		       "E: CREDENTIAL OAUTHBEARER\n"
		       "A: token u@a.test tok\n"
		       "C: AUTH OAUTHBEARER "
		       "bixhPXVAYS50ZXN0LAFob3N0PW14LnRlc3QBcG9ydD01ODcBYXV0aD1CZWFyZXIgdG9rAQE=\n"
		       "S: 235 ok\n"
		       "E: READY OAUTHBEARER\n");
}

static void
test_plain_and_old_spelling(void **state)
{
	play_with(SASL_PASSWORD_MECHANISMS, SASL_NONE,
	    BEFORE_TLS "S: 250-mx.test\n"
		       "S: 250 AUTH=LOGIN PLAIN\n"
		       "E: CREDENTIAL PLAIN\n"
		       "A: token u@a.test pass-word\n"
		       "C: AUTH PLAIN AHVAYS50ZXN0AHBhc3Mtd29yZA==\n"
		       "S: 235 ok\n"
		       "E: READY PLAIN\n"
		       "t: C: AUTH PLAIN <user=u@a.test, password>\n");
}

/* By position, whatever the prompts say; no initial response. */
static void
test_login(void **state)
{
	play_with(SASL_PASSWORD_MECHANISMS, SASL_LOGIN,
	    BEFORE_TLS "S: 250-mx.test\n"
		       "S: 250 AUTH LOGIN PLAIN\n"
		       "E: CREDENTIAL LOGIN\n"
		       "A: token user@example.com s3cr,et=1\n"
		       "C: AUTH LOGIN\n"
		       "C=\n"
		       "S: 334 UGFzc3dvcmQA\n"
		       "C: dXNlckBleGFtcGxlLmNvbQ==\n"
		       "C=\n"
		       "S: 334\n"
		       "C: czNjcixldD0x\n"
		       "S: 235 ok\n"
		       "E: READY LOGIN\n"
		       "t: C: <user=user@example.com>\n"
		       "t: C: <password>\n");
}

static void
test_implicit_tls(void **state)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_IMPLICIT;
	script_play(&config, "E: START_TLS\n"
			     "C=\n"
			     "A: tls\n"
			     "C=\n"
			     "S: 220-mx.test\n"
			     "S: 220 ESMTP\n"
			     "C: EHLO client.test\n"
			     "S: 250-mx.test\n"
			     "S: 250 AUTH XOAUTH2\n"
			     "E: CREDENTIAL XOAUTH2\n"
			     "A: token u tok\n"
			     "C: AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB\n"
			     "S: 235 ok\n"
			     "E: READY XOAUTH2\n");
}

/* What the AUTH line is for a secret of `len` octets: its length with CRLF. */
static size_t
auth_line(unsigned mechanism, size_t len)
{
	struct smtp_client_config config = script_config();
	CLEANUP_SECRET struct secret *s = secret_new_zero(len);
	const char *out;
	size_t out_len, written;
	struct smtp_client_event e;
	struct smtp_client *c;
	char offer[64];

	memset(secret_fill(s), 'a', len);
	config.tls = SMTP_TLS_IMPLICIT;
	config.mechanisms = mechanism;
	c = smtp_client_new(&config, 0);
	smtp_client_tls_done(c, "TLS", 0);
	smtp_client_input(c, "220 x\r\n", 7, 0);
	assert_non_null(smtp_client_output(c, &written));
	smtp_client_wrote(c, written, 0);
	(void)snprintf(
	    offer, sizeof(offer), "250-x\r\n250 AUTH %s\r\n", sasl_mechanism_name(mechanism));
	smtp_client_input(c, offer, strlen(offer), 0);
	smtp_client_credential(c, "u", s, 0);
	out = smtp_client_output(c, &written);
	assert_non_null(out);
	assert_memory_equal(out + written - 2, "\r\n", 2);
	smtp_client_wrote(c, written, 0);
	if (written < 64) {
		/* the response then comes on a line of its own */
		smtp_client_input(c, "334 \r\n", 6, 0);
		out = smtp_client_output(c, &out_len);
		assert_true(out != NULL && out_len > 490);
	}
	while (smtp_client_next(c, &e))
		assert_int_not_equal(e.type, SMTP_CLIENT_CLOSED);
	(void)smtp_client_free(c);
	return written;
}

/* RFC 4954 section 4: the command line may have 512 octets with CRLF. "AUTH XOAUTH2 " and CRLF leave 497, so 496
 * of base64: 372 octets, 20 of which are framing and one the user. "AUTH PLAIN " leaves 499: 372 octets as well. */
static void
test_length_of_the_auth_line(void **state)
{
	for (size_t len = 340; len < 380; len++) {
		size_t line = auth_line(SASL_XOAUTH2, len);

		assert_int_equal(
		    line, len <= 351 ? 15 + (len + 21 + 2) / 3 * 4 : strlen("AUTH XOAUTH2\r\n"));
		line = auth_line(SASL_PLAIN, len);
		assert_int_equal(
		    line, len <= 369 ? 13 + (len + 3 + 2) / 3 * 4 : strlen("AUTH PLAIN\r\n"));
	}
}

static void
test_two_line_form_by_choice_of_the_server(void **state)
{
	play_with(SASL_TOKEN_MECHANISMS, SASL_XOAUTH2,
	    BEFORE_TLS "S: 250-mx.test\n"
		       "S: 250 AUTH XOAUTH2\n"
		       "E: CREDENTIAL XOAUTH2\n"
		       "A: token u tok\n"
		       "C: AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB\n"
		       "S: 235-2.7.0 ok\n"
		       "S: 235 2.7.0 really\n"
		       "E: READY XOAUTH2\n");
}

static struct smtp_client_config
plain_config(void)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	config.mechanisms = 0;
	return config;
}

/* Dots are doubled at the start of a line, and only there, also where content is taken in pieces. */
static void
test_dots_between_pieces(void **state)
{
	enum { PIECE = 16 * 1024 };
	static char body[2 * PIECE + 2];

	for (int line_start = 0; line_start < 2; line_start++) {
		struct smtp_client_config config = plain_config();
		struct smtp_client *c;
		struct smtp_client_recipient to = {.address = "r@b.test", .params = ""};
		struct smtp_client_job job = {.sender = "",
		    .envid = "",
		    .recipients = &to,
		    .recipient_count = 1,
		    .body = body,
		    .body_len = sizeof(body)};
		struct smtp_client_event e;
		size_t len, got = 0;
		const char *replies[] = {
		    "220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"};

		memset(body, 'x', sizeof(body));
		body[PIECE] = '.';
		memcpy(body + sizeof(body) - 2, "\r\n", 2);
		if (line_start)
			memcpy(body + PIECE - 2, "\r\n", 2);
		c = smtp_client_new(&config, 0);
		for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
			while (smtp_client_output(c, &len) != NULL)
				smtp_client_wrote(c, len, 0);
			smtp_client_input(c, replies[i], strlen(replies[i]), 0);
			while (smtp_client_next(c, &e))
				if (e.type == SMTP_CLIENT_READY)
					assert_int_equal(smtp_client_submit(c, &job, 0), 0);
		}
		while (smtp_client_output(c, &len) != NULL) {
			got += len;
			smtp_client_wrote(c, len, 0);
		}
		assert_int_equal(got, sizeof(body) + (size_t)line_start + 3);
		(void)smtp_client_free(c);
	}
}

/* One command at a time; the message is dot-stuffed. */
static void
test_lock_step(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("") "A: submit 1 2 dots\n"
					      "C: MAIL FROM:<s@a.test>\n"
					      "C=\n"
					      "S: 250 2.1.0 Ok\n"
					      "C: RCPT TO:<r1@b.test>\n"
					      "C=\n"
					      "S: 250 2.1.5 Ok\n"
					      "C: RCPT TO:<r2@b.test>\n"
					      "C=\n"
					      "S: 550 5.1.1 No such user\n"
					      "C: DATA\n"
					      "C=\n"
					      "S: 354 Go ahead\n"
					      "C: ..\n"
					      "C: ...\n"
					      "C: ..dot\n"
					      "C: in.side\n"
					      "C: \n"
					      "C: ..\n"
					      "C: .\n"
					      "C=\n"
					      "E=\n"
					      "S: 250 2.0.0 Ok: queued as 1\n"
					      "E: DONE 1 250 2.0.0/eom 550 5.1.1/rcpt\n"
					      "T: C: RCPT TO:<r2@b.test>\n"
					      "T: S: 550 5.1.1 No such user\n"
					      "T: S: 250 2.0.0 Ok: queued as 1\n"
					      "A: submit 2 1 open\n"
					      "C: MAIL FROM:<s@a.test>\n"
					      "S: 250 Ok\n"
					      "C: RCPT TO:<r1@b.test>\n"
					      "S: 251 Will forward\n"
					      "C: DATA\n"
					      "S: 354 Go ahead\n"
					      "C: no line end\n"
					      "C: .\n"
					      "S: 250 Ok\n"
					      "E: DONE 2 250/eom\n"
					      "A: quit\n"
					      "C: QUIT\n"
					      "S: 221 Bye\n"
					      "E: CLOSED 221/quit\n");
}

static void
test_parameters_where_offered(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config,
	    SCRIPT_PLAIN("S: 250-SIZE 1000\nS: 250-DSN\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: "
			 "250-PIPELINING\n") "A: submit 1 1 small dsn,8bit,utf8\n"
					     "C: MAIL FROM:<s@a.test> SIZE=21 BODY=8BITMIME "
					     "SMTPUTF8 RET=HDRS ENVID=id+2B1\n"
					     "C: RCPT TO:<r1@b.test> NOTIFY=NEVER\n"
					     "C: DATA\n"
					     "C=\n"
					     "S: 250 1\n"
					     "S: 250 2\n"
					     "S: 354 3\n"
					     "C~ 4\n"
					     "S: 250 4\n"
					     "E: DONE 1 250/eom\n"
					     "A: submit 2 1 small null\n"
					     "C: MAIL FROM:<> SIZE=21\n"
					     "C: RCPT TO:<r1@b.test>\n"
					     "C: DATA\n");
}

static void
test_no_parameters_where_not_offered(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("S: 250-PIPELINING\n") "A: submit 1 1 small dsn\n"
								 "C: MAIL FROM:<s@a.test>\n"
								 "C: RCPT TO:<r1@b.test>\n"
								 "C: DATA\n");
}

static void
test_helo(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, "S: 220 old.test\n"
			     "C: EHLO client.test\n"
			     "S: 502 What?\n"
			     "C: HELO client.test\n"
			     "S: 250 old.test\n"
			     "E: READY\n"
			     "A: submit 1 1 small\n"
			     "C: MAIL FROM:<s@a.test>\n"
			     "C=\n"
			     "A: submit 2 1 small full\n");
}

static void
test_mail_limit_of_the_server(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("S: 250-LIMITS NEW=1 MAILMAX=2 RCPTMAX=1 "
					  "RCPTDOMAINMAX=x\n") "A: submit 1 1 small\n"
							       "C: MAIL FROM:<s@a.test>\n"
							       "S: 250 Ok\n"
							       "C: RCPT TO:<r1@b.test>\n"
							       "S: 250 Ok\n"
							       "C: DATA\n"
							       "S: 354 Ok\n"
							       "C~ 4\n"
							       "S: 250 Ok\n"
							       "E: DONE 1 250/eom\n"
							       "A: submit 2 2 small\n"
							       "A: submit 3 1 small full\n"
							       "C: MAIL FROM:<s@a.test>\n"
							       "S: 250 Ok\n"
							       "C: RCPT TO:<r1@b.test>\n"
							       "S: 250 Ok\n"
							       "C: DATA\n" /* the second recipient
									      is over RCPTMAX */
							       "S: 354 Ok\n"
							       "C~ 4\n"
							       "S: 250 Ok\n"
							       "E: DONE 2 250/eom 452 4.5.3/rcpt\n"
							       "A: submit 3 1 small full\n"
							       "C: QUIT\n"
							       "S: 221 Bye\n"
							       "E: CLOSED 221/quit\n");
}

/* Inside TLS alone, and then said in MAIL. */
static void
test_requiretls(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("S: 250-REQUIRETLS\n") "A: submit 1 1 small requiretls\n"
								 "E: DONE 1 no-requiretls/mail\n");
	config.tls = SMTP_TLS_IMPLICIT;
	script_play(&config,
	    "E: START_TLS\n"
	    "A: tls\n" SCRIPT_PLAIN("S: 250-REQUIRETLS\n"
				    "S: 250-PIPELINING\n"
				    "S: 250-CHUNKING\n") "A: submit 1 1 small requiretls\n"
							 "C: MAIL FROM:<s@a.test> REQUIRETLS\n"
							 "C~ 5\n"
							 "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\n"
							 "E: DONE 1 250/eom\n");
}

/* Another session takes what has a domain too many for this one. */
static void
test_domain_limit(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("S: 250-LIMITS RCPTDOMAINMAX=1\n"
					  "S: 250-PIPELINING\n"
					  "S: 250-CHUNKING\n") "A: submit 1 2 small\n"
							       "C~ 7\n"
							       "S: 250 Ok\nS: 250 Ok\n"
							       "S: 250 Ok\nS: 250 Ok\n"
							       "E: DONE 1 250/eom 250/eom\n"
							       "A: submit 2 1 small\n"
							       "C~ 6\n"
							       "S: 250 Ok\nS: 250 Ok\n"
							       "S: 250 Ok\n"
							       "E: DONE 2 250/eom\n"
							       "A: submit 3 2 small elsewhere\n"
							       "E: DONE 3 untried 452 4.5.3/rcpt "
							       "452 4.5.3/rcpt\n"
							       "C: QUIT\n"
							       "S: 221 Bye\n"
							       "E: CLOSED 221/quit\n");
}

static void
test_mail_limit_of_ours(void **state)
{
	struct smtp_client_config config = plain_config();

	config.mails_max = 1;
	script_play(&config,
	    SCRIPT_PLAIN("S: 250-CHUNKING\nS: 250-PIPELINING\n") "A: submit 1 1 small\n"
								 "A: submit 2 1 small full\n"
								 "C: MAIL FROM:<s@a.test>\n"
								 "C: RCPT TO:<r1@b.test>\n"
								 "C: BDAT 21 LAST\n"
								 "C~ 3\n"
								 "S: 250 Ok\n"
								 "S: 250 Ok\n"
								 "S: 250 Ok\n"
								 "E: DONE 1 250/eom\n"
								 "C: QUIT\n"
								 "S: 221 Bye\n"
								 "E: CLOSED 221/quit\n");
}

static void
test_slow_replies_are_noted(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config, SCRIPT_PLAIN("") "A: submit 1 1 small\n"
					      "C: MAIL FROM:<s@a.test>\n"
					      "A: wait 4250\n"
					      "S: 550 No\n"
					      "E: DONE 1 550/mail\n"
					      "T: * 4.2 s later\n");
}

/* A trial ends behind RCPT, in a flight or in lock step, and leaves a session that goes on. */
static void
test_trials(void **state)
{
	struct smtp_client_config config = plain_config();

	script_play(&config,
	    SCRIPT_PLAIN("S: 250-PIPELINING\nS: 250-CHUNKING\n") "A: submit 1 1 small trial\n"
								 "C: MAIL FROM:<s@a.test>\n"
								 "C: RCPT TO:<r1@b.test>\n"
								 "C=\n"
								 "S: 250 2.1.0 Ok\n"
								 "S: 550 5.7.1 Not yours\n"
								 "E: DONE 1 550 5.7.1/rcpt\n"
								 "A: submit 2 1 small trial\n"
								 "C: RSET\n"
								 "C: MAIL FROM:<s@a.test>\n"
								 "C: RCPT TO:<r1@b.test>\n"
								 "S: 250 Ok\n"
								 "S: 250 Ok\n"
								 "S: 250 2.1.5 Ok\n"
								 "E: DONE 2 250 2.1.5/rcpt\n"
								 "A: quit\n"
								 "C: QUIT\n"
								 "S: 221 Bye\n"
								 "E: CLOSED 221/quit\n");
	script_play(&config, SCRIPT_PLAIN("") "A: submit 1 1 small trial\n"
					      "C: MAIL FROM:<s@a.test>\n"
					      "C=\n"
					      "S: 250 Ok\n"
					      "C: RCPT TO:<r1@b.test>\n"
					      "C=\n"
					      "S: 250 2.1.5 Ok\n"
					      "E: DONE 1 250 2.1.5/rcpt\n"
					      "A: submit 2 1 small trial\n"
					      "C: RSET\n"
					      "S: 250 Ok\n"
					      "C: MAIL FROM:<s@a.test>\n"
					      "S: 553 Not yours\n"
					      "E: DONE 2 553/mail\n");
}

/* ---- whatever the door takes, the engine writes ---- */

static void
write_envelope(const char *address)
{
	static const struct smtp_client_config config = {
	    .host = "mx.test", .ehlo_name = "client.test", .tls = SMTP_TLS_NONE};
	const struct smtp_client_recipient to = {address, ""};
	const struct smtp_client_job job = {.id = 1,
	    .sender = address,
	    .recipients = &to,
	    .recipient_count = 1,
	    .body = "",
	    .envid = ""};
	static const char offer[] = "250-mx.test\r\n250 PIPELINING\r\n";
	struct smtp_client *c = smtp_client_new(&config, 0);
	CLEANUP_BUF struct buf wanted = BUF_INIT(10000);
	struct smtp_client_event e;
	const char *out;
	size_t len;

	assert_non_null(c);
	smtp_client_input(c, "220 mx.test\r\n", 13, 0);
	(void)smtp_client_output(c, &len);
	smtp_client_wrote(c, len, 0);
	smtp_client_input(c, offer, strlen(offer), 0);
	assert_true(smtp_client_next(c, &e) && e.type == SMTP_CLIENT_READY);
	if (smtp_client_submit(c, &job, 0) != 0)
		fail_msg("taken, but not sent: %s", address);
	out = smtp_client_output(c, &len);
	assert_int_equal(
	    buf_printf(&wanted, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\n", address, address), 0);
	assert_non_null(out);
	if (len < wanted.len || memcmp(out, wanted.data, wanted.len) != 0)
		fail_msg("%s becomes %.*s", address, (int)len, out);
	(void)smtp_client_free(c);
}

static int
write_item(void *arg, const struct address_item *item)
{
	++*(unsigned *)arg;
	write_envelope(item->address);
	return 0;
}

/* Lists and paths of few different characters, each of which means something to somebody. */
static void
test_what_is_taken_is_sent(void **state)
{
	static const char alphabet[] = "ab..@@\"\\ <>(),;:\xc3\xa9\r\n-[]%!x";
	uint32_t random = 1;
	unsigned taken = 0;

	for (unsigned i = 0; i < 20000; i++) {
		char text[16], path[32], address[ADDRESS_MAX + 1];
		struct smtp_rcpt_params params;
		const char *why;
		size_t len = 1 + i % (sizeof(text) - 1), at;
		int n;

		for (size_t k = 0; k < len; k++) {
			random = random * 1664525 + 1013904223;
			text[k] = alphabet[(random >> 16) % (sizeof(alphabet) - 1)];
		}
		(void)address_list_parse(text, len, write_item, &taken, &at);
		n = snprintf(path, sizeof(path), "TO:<%.*s>", (int)len, text);
		if (smtp_rcpt_parse(path, (size_t)n, 0, address, &params, &why) == 0) {
			write_envelope(address);
			taken++;
		}
	}
	assert_in_range(taken, 500, 1000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starttls_xoauth2),
	    cmocka_unit_test(test_oauthbearer_in_order),
	    cmocka_unit_test(test_plain_and_old_spelling),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_implicit_tls),
	    cmocka_unit_test(test_length_of_the_auth_line),
	    cmocka_unit_test(test_two_line_form_by_choice_of_the_server),
	    cmocka_unit_test(test_dots_between_pieces),
	    cmocka_unit_test(test_lock_step),
	    cmocka_unit_test(test_parameters_where_offered),
	    cmocka_unit_test(test_no_parameters_where_not_offered),
	    cmocka_unit_test(test_helo),
	    cmocka_unit_test(test_mail_limit_of_the_server),
	    cmocka_unit_test(test_requiretls),
	    cmocka_unit_test(test_domain_limit),
	    cmocka_unit_test(test_mail_limit_of_ours),
	    cmocka_unit_test(test_slow_replies_are_noted),
	    cmocka_unit_test(test_trials),
	    cmocka_unit_test(test_what_is_taken_is_sent),
	};

	return cmocka_run_group_tests_name("smtp/client session", tests, NULL, NULL);
}

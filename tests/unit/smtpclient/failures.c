/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of the submission engine: nothing but failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "script.h"

#define TOKEN "0123456789abcdefghijklmnopqrstuvwxyz-token"
#define TOKEN_LINE                                                                                 \
	"dXNlcj11QGEudGVzdAFhdXRoPUJlYXJlciAwMTIzNDU2Nzg5YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXotdG9r" \
	"ZW4BAQ=="

#define GREETING "S: 220 mx.test\nC: EHLO client.test\n"
#define TLS_UP                                                                                  \
	"S: 250-mx.test\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Ready\nE: START_TLS\nA: tls\nC: " \
	"EHLO client.test\n"
#define OFFER(mechanisms) GREETING TLS_UP "S: 250-mx.test\nS: 250 AUTH " mechanisms "\n"

static void
play(const char *script)
{
	struct smtp_client_config config = script_config();

	script_play(&config, script);
}

static void
play_passwords(const char *script)
{
	struct smtp_client_config config = script_config();

	config.mechanisms = SASL_PASSWORD_MECHANISMS;
	config.order[0] = SASL_NONE;
	script_play(&config, script);
}

static void
play_plain(const char *script)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	config.mechanisms = 0;
	script_play(&config, script);
}

/* ---- before AUTH ---- */

static void
test_greeting(void **state)
{
	play("S: 554 5.7.1 No service for you\nE: CLOSED 554 5.7.1/greeting\n");
	play("S: 421 4.3.2 Too many connections\nE: CLOSED 421 4.3.2/greeting\n");
	play("S: 250 What a day\nE: CLOSED protocol-error/greeting\n");
	play("S: * OK IMAP4rev1\nE: CLOSED protocol-error/greeting\n");
	play("S: \nE: CLOSED protocol-error/greeting\n");
	play("A: lost\nE: CLOSED closed/greeting\n");
	play("A: wait 299999\nE=\nA: wait 1\nE: CLOSED timeout/greeting\n");
}

static void
test_ehlo(void **state)
{
	play(GREETING "S: 501 5.5.4 Bad name\nE: CLOSED 501 5.5.4/ehlo\n");
	play(GREETING "S: 421 4.3.2 No\nE: CLOSED 421 4.3.2/ehlo\n");
	play(GREETING "S: 354 Go\nE: CLOSED protocol-error/ehlo\n");
	play(GREETING "S: 250-a\nS: 251 b\nE: CLOSED protocol-error/ehlo\n");
	play(GREETING "S: 250-a\nA: wait 300000\nE: CLOSED timeout/ehlo\n");
	/* HELO would leave neither TLS nor AUTH */
	play(GREETING "S: 502 What?\nE: CLOSED 502/ehlo\n");
}

static void
test_starttls(void **state)
{
	play(GREETING "S: 250-mx.test\nS: 250 AUTH XOAUTH2\nE: CLOSED no-starttls/starttls\n");
	play(GREETING "S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 Not now\nE: CLOSED 454 "
		      "4.7.0/starttls\n");
	play(GREETING "S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 250 Ok\nE: CLOSED "
		      "protocol-error/starttls\n");
	play(GREETING "S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Ok\nE: START_TLS\nA: "
		      "lost\nE: CLOSED closed/tls\n");
	play(GREETING "S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Ok\nE: START_TLS\nA: wait "
		      "60000\nE: CLOSED timeout/tls\n");
}

/* Octets behind the reply to STARTTLS end the session, wherever input is cut; START_TLS may have
 * been asked for by then. */
static void
test_injection(void **state)
{
	static const char hello[] = "220 x\r\n", offer[] = "250-x\r\n250 STARTTLS\r\n";
	static const char *const injected[] = {
	    "220 Ready\r\n250-evil\r\n250 AUTH PLAIN\r\n", "220 Ready\r\n2", "220 Ready\r\n\n"};

	for (size_t i = 0; i < ARRAY_SIZE(injected); i++) {
		for (size_t cut = 1; cut <= strlen(injected[i]); cut++) {
			struct smtp_client_config config = script_config();
			struct smtp_client *c = smtp_client_new(&config, 0);
			struct smtp_client_event e;
			bool closed = false;
			size_t len;

			smtp_client_input(c, hello, strlen(hello), 0);
			(void)smtp_client_output(c, &len);
			smtp_client_wrote(c, len, 0);
			smtp_client_input(c, offer, strlen(offer), 0);
			(void)smtp_client_output(c, &len);
			smtp_client_wrote(c, len, 0);
			smtp_client_input(c, injected[i], cut, 0);
			smtp_client_input(c, injected[i] + cut, strlen(injected[i]) - cut, 0);
			while (smtp_client_next(c, &e)) {
				if (e.type != SMTP_CLIENT_CLOSED)
					continue;
				closed = true;
				assert_int_equal(e.reply->fault, SMTP_FAULT_INJECTION);
				assert_int_equal(e.reply->stage, SMTP_STAGE_STARTTLS);
			}
			assert_true(closed);
			assert_null(smtp_client_output(c, &len));
			(void)smtp_client_free(c);
		}
	}
}

/* What was offered before TLS counts for nothing inside. */
static void
test_offer_is_forgotten(void **state)
{
	play(GREETING "S: 250-x\nS: 250-AUTH XOAUTH2\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Ok\nE: "
		      "START_TLS\nA: tls\n"
		      "C: EHLO client.test\nS: 250 x\nE: CLOSED no-auth/auth\n");
}

static void
test_line_without_end(void **state)
{
	struct smtp_client_config config = script_config();
	struct smtp_client *c = smtp_client_new(&config, 0);
	struct smtp_client_event e;

	for (int i = 0; i < 5000; i++)
		smtp_client_input(c, "2", 1, 0);
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, SMTP_CLIENT_CLOSED);
	assert_int_equal(e.reply->fault, SMTP_FAULT_PROTOCOL);
	(void)smtp_client_free(c);
}

static void
test_reply_without_end(void **state)
{
	struct smtp_client_config config = script_config();
	struct smtp_client *c = smtp_client_new(&config, 0);
	struct smtp_client_event e;

	for (int i = 0; i < 100000 && !smtp_client_next(c, &e); i++)
		smtp_client_input(c, "220-x\r\n", 7, 0);
	assert_int_equal(e.type, SMTP_CLIENT_CLOSED);
	assert_int_equal(e.reply->fault, SMTP_FAULT_PROTOCOL);
	(void)smtp_client_free(c);
}

/* ---- AUTH ---- */

static void
test_no_mechanism(void **state)
{
	play(OFFER("PLAIN LOGIN CRAM-MD5") "E: CLOSED no-mechanism/auth\n");
	/* a password never goes by a token's mechanism, nor the reverse */
	play_passwords(OFFER("XOAUTH2 OAUTHBEARER") "E: CLOSED no-mechanism/auth\n");
}

static void
test_not_secure(void **state)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	script_play(&config, GREETING "S: 250-x\nS: 250 AUTH XOAUTH2\nE: CLOSED not-secure/auth\n");
	config.secret_without_tls = true;
	script_play(&config, GREETING "S: 250-x\nS: 250 AUTH XOAUTH2\nE: CREDENTIAL XOAUTH2\n");
}

#define XOAUTH2_SENT     \
	OFFER("XOAUTH2") \
	"E: CREDENTIAL XOAUTH2\nA: token u@a.test " TOKEN "\nC: AUTH XOAUTH2 " TOKEN_LINE "\n"

static void
test_xoauth2_refused_at_once(void **state)
{
	play(XOAUTH2_SENT "S: 535 5.7.3 Authentication unsuccessful\n"
			  "E: AUTH_FAILED XOAUTH2 535 5.7.3/auth\n"
			  "C=\n"
			  "A: token u@a.test other-token\n"
			  "C: AUTH XOAUTH2 dXNlcj11QGEudGVzdAFhdXRoPUJlYXJlciBvdGhlci10b2tlbgEB\n"
			  "S: 235 Ok\n"
			  "E: READY XOAUTH2\n");
}

/* Also where both replies come in one piece, the refusal is told: the end alone would pass for a failure that passes. */
static void
test_refusal_and_the_end_together(void **state)
{
	play(XOAUTH2_SENT "S: 535 5.7.8 Error: authentication failed\n"
			  "S: 421 4.7.0 Error: too many errors\n"
			  "E: AUTH_FAILED XOAUTH2 535 5.7.8/auth\n"
			  "E: CLOSED 421 4.7.0/auth\n"
			  "E=\n"
			  "C=\n");
}

/* {"status":"401","schemes":"bearer","scope":"https://mail.google.com/"} */
#define CHALLENGE                                                                                  \
	"eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNv" \
	"bS8ifQ=="

static void
test_xoauth2_challenge_gets_an_empty_line(void **state)
{
	play(XOAUTH2_SENT "S: 334 " CHALLENGE "\n"
			  "C: \n"
			  "C=\n"
			  "S: 535-5.7.8 Username and Password not accepted.\n"
			  "S: 535 5.7.8  https://support.google.com/mail/?p=BadCredentials\n"
			  "E: AUTH_FAILED XOAUTH2 535 5.7.8/auth\n"
			  "t: {\"status\":\"401\"\n"
			  "A: fail\n"
			  "E: CLOSED no-credential/token\n"
			  "C: QUIT\n");
}

static void
test_oauthbearer_challenge_gets_one_octet(void **state)
{
	play(OFFER(
	    "OAUTHBEARER") "E: CREDENTIAL OAUTHBEARER\nA: token u tok\n"
			   "C: AUTH OAUTHBEARER "
			   "bixhPXUsAWhvc3Q9bXgudGVzdAFwb3J0PTU4NwFhdXRoPUJlYXJlciB0b2sBAQ==\n"
			   "S: 334 " CHALLENGE "\n"
			   "C: AQ==\n"
			   "S: 535 5.7.8 No\n"
			   "E: AUTH_FAILED OAUTHBEARER 535 5.7.8/auth\n");
}

static void
test_challenge_of_any_kind(void **state)
{
	play(XOAUTH2_SENT
	    "S: 334 !!!not base64!!!\nC: \nS: 535 No\nE: AUTH_FAILED XOAUTH2 535/auth\n");
	play(XOAUTH2_SENT "S: 334 eyJz\nC: \nS: 535 No\nE: AUTH_FAILED XOAUTH2 535/auth\n");
	play(XOAUTH2_SENT "S: 334\nC: \nS: 535 No\nE: AUTH_FAILED XOAUTH2 535/auth\n");
}

/* A challenge longer than any reply line is still known for what it is. */
static void
test_challenge_of_any_length(void **state)
{
	struct smtp_client_config config = script_config();
	struct smtp_client *c;
	struct smtp_client_event e;
	static char challenge[30000];
	CLEANUP_SECRET struct secret *s = secret_new("tok", 3);
	const char *out;
	size_t len;

	config.tls = SMTP_TLS_IMPLICIT;
	c = smtp_client_new(&config, 0);
	smtp_client_tls_done(c, "TLS", 0);
	smtp_client_input(c, "220 x\r\n", 7, 0);
	(void)smtp_client_output(c, &len);
	smtp_client_wrote(c, len, 0);
	smtp_client_input(c, "250-x\r\n250 AUTH XOAUTH2\r\n", 25, 0);
	smtp_client_credential(c, "u", s, 0);
	(void)smtp_client_output(c, &len);
	smtp_client_wrote(c, len, 0);
	memset(challenge, 'e', sizeof(challenge));
	memcpy(challenge, "334 ", 4);
	memcpy(challenge + sizeof(challenge) - 2, "\r\n", 2);
	smtp_client_input(c, challenge, sizeof(challenge), 0);
	out = smtp_client_output(c, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(out, "\r\n", 2);
	while (smtp_client_next(c, &e))
		assert_int_not_equal(e.type, SMTP_CLIENT_CLOSED);
	(void)smtp_client_free(c);
}

static void
test_second_challenge_is_cancelled(void **state)
{
	play(XOAUTH2_SENT "S: 334 " CHALLENGE "\nC: \nS: 334 " CHALLENGE
			  "\nC: *\nC=\nS: 501 5.7.0 Cancelled\n"
			  "E: CLOSED protocol-error/auth\n");
	play(XOAUTH2_SENT "S: 334 " CHALLENGE "\nC: \nS: 334 " CHALLENGE
			  "\nC: *\nS: 334 more\nC: *\n");
	play_passwords(OFFER(
	    "PLAIN") "E: CREDENTIAL PLAIN\nA: token u pass-word\nC: AUTH PLAIN AHUAcGFzcy13b3Jk\n"
		     "S: 334 what?\nC: *\nS: 501 Cancelled\nE: CLOSED protocol-error/auth\n");
	play_passwords(OFFER("LOGIN") "E: CREDENTIAL LOGIN\nA: token u pass-word\nC: AUTH LOGIN\n"
				      "S: 334 a\nC: dQ==\nS: 334 b\nC: cGFzcy13b3Jk\nS: 334 c\nC: "
				      "*\nS: 501 Cancelled\nE: CLOSED protocol-error/auth\n");
}

/* Only "I do not do this one" leads to the next mechanism. */
static void
test_next_mechanism(void **state)
{
	play(OFFER("XOAUTH2 OAUTHBEARER") "E: CREDENTIAL XOAUTH2\nA: token u tok\nC: AUTH XOAUTH2 "
					  "dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB\n"
					  "S: 504 5.5.4 Unrecognized\n"
					  "E: CREDENTIAL OAUTHBEARER\nA: token u tok\n"
					  "C: AUTH OAUTHBEARER "
					  "bixhPXUsAWhvc3Q9bXgudGVzdAFwb3J0PTU4NwFhdXRoPUJlYXJlciB0"
					  "b2sBAQ==\n"
					  "S: 504 5.5.4 Unrecognized\n"
					  "E: AUTH_FAILED OAUTHBEARER 504 5.5.4/auth\n");
	play(OFFER("XOAUTH2 OAUTHBEARER") "E: CREDENTIAL XOAUTH2\nA: token u tok\nC: AUTH XOAUTH2 "
					  "dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB\n"
					  "S: 535 5.7.8 No\n"
					  "E: AUTH_FAILED XOAUTH2 535 5.7.8/auth\n");
	play_passwords(OFFER("LOGIN PLAIN") "E: CREDENTIAL PLAIN\nA: token u pass-word\nC: AUTH "
					    "PLAIN AHUAcGFzcy13b3Jk\n"
					    "S: 501 5.5.4 Syntax\n"
					    "E: CREDENTIAL LOGIN\n");
}

static void
test_auth_temporary(void **state)
{
	play(XOAUTH2_SENT "S: 454 4.7.0 Temporary authentication failure\nE: AUTH_FAILED XOAUTH2 "
			  "454 4.7.0/auth\n");
	play(XOAUTH2_SENT "S: 421 4.7.0 Too many\nE: CLOSED 421 4.7.0/auth\n");
	play(XOAUTH2_SENT "A: lost\nE: CLOSED closed/auth\n");
	play(XOAUTH2_SENT "A: wait 120000\nE: CLOSED timeout/auth\n");
	play(OFFER("XOAUTH2") "E: CREDENTIAL XOAUTH2\nS: 421 4.4.2 Waited too long\nE: CLOSED 421 "
			      "4.4.2/auth\n");
	play(OFFER(
	    "XOAUTH2") "E: CREDENTIAL XOAUTH2\nA: quit\nC: QUIT\nS: 221 Bye\nE: CLOSED 221/quit\n");
}

/* A server that repeats what it was sent must not carry it into a transcript (the harness looks for
 * it). */
static void
test_echo_is_blanked(void **state)
{
	play(XOAUTH2_SENT "S: 501 Bad argument: AUTH XOAUTH2 " TOKEN_LINE
			  "\nE: AUTH_FAILED XOAUTH2 501/auth\n");
	play(XOAUTH2_SENT "S: 535-bad token " TOKEN "\nS: 535 x" TOKEN
			  "y\nE: AUTH_FAILED XOAUTH2 535/auth\n"
			  "t: bad token ****\n");
	/* the token within the challenge: {"status":"400","x":"TOKEN"} */
	play(XOAUTH2_SENT
	    "S: 334 "
	    "eyJzdGF0dXMiOiI0MDAiLCJ4IjoiMDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6LXRva2VuIn"
	    "0=\nC: \n"
	    "S: 535 No\nE: AUTH_FAILED XOAUTH2 535/auth\nt: \"status\":\"400\",\"x\":\"****\n");
	play_passwords(
	    OFFER("LOGIN") "E: CREDENTIAL LOGIN\nA: token u@a.test pass-word\nC: AUTH LOGIN\n"
			   "S: 334 a\nC: dUBhLnRlc3Q=\nS: 334 b\nC: cGFzcy13b3Jk\n"
			   "S: 535 u@a.test with cGFzcy13b3Jk (pass-word) is wrong\nE: AUTH_FAILED "
			   "LOGIN 535/auth\n"
			   "t: S: 535 u@a.test with ************ (*********) is wrong\n");
}

static void
test_unfit_secret(void **state)
{
	struct smtp_client_config config = script_config();
	static const char *const bad[] = {"a\x01z", "a z", "a\nz"};

	config.tls = SMTP_TLS_IMPLICIT;
	for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
		struct smtp_client *c = smtp_client_new(&config, 0);
		struct smtp_client_event e;
		CLEANUP_SECRET struct secret *s = i < ARRAY_SIZE(bad)
						      ? secret_new(bad[i], strlen(bad[i]))
						      : secret_new_zero(10000);
		size_t len;
		const char *out;

		if (i == ARRAY_SIZE(bad))
			memset(secret_fill(s), 'a',
			    secret_len(s)); /* more than a line of 12288 octets takes */
		smtp_client_tls_done(c, "TLS", 0);
		smtp_client_input(c, "220 x\r\n", 7, 0);
		(void)smtp_client_output(c, &len);
		smtp_client_wrote(c, len, 0);
		smtp_client_input(c, "250-x\r\n250 AUTH XOAUTH2\r\n", 25, 0);
		while (smtp_client_next(c, &e))
			;
		smtp_client_credential(c, "u", s, 0);
		assert_true(smtp_client_next(c, &e));
		assert_int_equal(e.type, SMTP_CLIENT_CLOSED);
		assert_int_equal(e.reply->fault, SMTP_FAULT_NO_CREDENTIAL);
		assert_int_equal(e.reply->stage, SMTP_STAGE_TOKEN);
		out = smtp_client_output(c, &len);
		assert_int_equal(len, 6);
		assert_memory_equal(out, "QUIT\r\n", 6);
		(void)smtp_client_free(c);
	}
}

/* ---- jobs ---- */

#define ENVELOPE \
	"C: MAIL FROM:<s@a.test>\nC: RCPT TO:<r1@b.test>\nC: RCPT TO:<r2@b.test>\nC: DATA\n"
#define PIPELINING SCRIPT_PLAIN("S: 250-PIPELINING\n")

static void
test_refused_locally(void **state)
{
	play_plain(
	    SCRIPT_PLAIN("S: 250-SIZE 20\n") "A: submit 1 1 small\nE: DONE 1 too-big/mail\n"
					     "A: submit 2 1 small 8bit\nE: DONE 2 too-big/mail\n");
	play_plain(SCRIPT_PLAIN(
	    "S: 250-SIZE 21\n") "A: submit 1 1 small 8bit\nE: DONE 1 no-8bitmime/mail\n"
				"A: submit 2 2 small utf8\nE: DONE 2 no-smtputf8/mail "
				"no-smtputf8/mail\n"
				"A: submit 3 1 small bad\n"
				"A: submit 4 0 small bad\n"
				"C=\n");
	play_plain(SCRIPT_PLAIN(
	    "S: 250-SIZE 0\n") "A: submit 1 1 small\nC: MAIL FROM:<s@a.test> SIZE=21\n");
	play_plain(
	    SCRIPT_PLAIN("S: 250-SIZE\n") "A: submit 1 1 small\nC: MAIL FROM:<s@a.test> SIZE=21\n");
	play_plain(
	    SCRIPT_PLAIN("S: 250-SIZE 99999999999999999999999\n") "A: submit 1 1 small\nC: MAIL "
								  "FROM:<s@a.test> SIZE=21\n");
}

static void
test_mail_refused(void **state)
{
	play_plain(PIPELINING "A: submit 1 2 small\n" ENVELOPE
			      "S: 553 5.7.1 Not yours\nS: 503 No\nS: 503 No\nS: 503 No\n"
			      "E: DONE 1 553 5.7.1/mail 553 5.7.1/mail\n");
	play_plain(
	    SCRIPT_PLAIN("") "A: submit 1 2 small\nC: MAIL FROM:<s@a.test>\nS: 451 4.3.0 Later\n"
			     "E: DONE 1 451 4.3.0/mail 451 4.3.0/mail\nC=\n");
}

static void
test_recipients_refused(void **state)
{
	play_plain(
	    PIPELINING "A: submit 1 2 small\n" ENVELOPE
		       "S: 250 Ok\nS: 550 5.1.1 No\nS: 452 4.5.3 Too many\nS: 554 No recipients\n"
		       "E: DONE 1 550 5.1.1/rcpt 452 4.5.3/rcpt\n");
	play_plain(SCRIPT_PLAIN(
	    "") "A: submit 1 1 small\nC: MAIL FROM:<s@a.test>\nS: 250 Ok\nC: RCPT TO:<r1@b.test>\n"
		"S: 550 No\nE: DONE 1 550/rcpt\nC=\n");
}

static void
test_data_refused(void **state)
{
	play_plain(PIPELINING "A: submit 1 2 small\n" ENVELOPE
			      "S: 250 Ok\nS: 250 Ok\nS: 550 5.1.1 No\nS: 451 4.3.0 Later\n"
			      "E: DONE 1 451 4.3.0/data 550 5.1.1/rcpt\n");
	play_plain(PIPELINING
	    "A: submit 1 2 small\n" ENVELOPE "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\n"
	    "E: DONE 1 protocol-error/data protocol-error/data\nE: CLOSED protocol-error/data\n");
}

static void
test_content_refused(void **state)
{
	play_plain(
	    PIPELINING "A: submit 1 2 small\n" ENVELOPE
		       "S: 250 Ok\nS: 250 Ok\nS: 550 5.1.1 No\nS: 354 Go\nC~ 4\nS: 554 5.6.0 Bad\n"
		       "E: DONE 1 554 5.6.0/eom 550 5.1.1/rcpt\n");
}

/* A reply while the content is on its way counts if it is a refusal; the content is sent to its
 * end, since the server counts or waits for the dot. */
static void
test_early_refusal(void **state)
{
	play_plain(SCRIPT_PLAIN(
	    "S: 250-PIPELINING\nS: 250-CHUNKING\n") "A: submit 1 1 big\n"
						    "C: MAIL FROM:<s@a.test>\nC: RCPT "
						    "TO:<r1@b.test>\nS: 250 Ok\nS: 250 Ok\n"
						    "A: write 1000\n"
						    "S: 552 5.3.4 Too big\n"
						    "E=\n"
						    "C: BDAT 204799 LAST\n"
						    "C~ 4095\n"
						    "C!\n"
						    "E: DONE 1 552 5.3.4/data\n");
	play_plain(SCRIPT_PLAIN(
	    "S: 250-PIPELINING\nS: 250-CHUNKING\n") "A: submit 1 1 big\n"
						    "C: MAIL FROM:<s@a.test>\nC: RCPT "
						    "TO:<r1@b.test>\nS: 250 Ok\nS: 250 Ok\n"
						    "A: write 1000\n"
						    "S: 250 2.0.0 Taken, whatever it is\n"
						    "E: DONE 1 protocol-error/data\nE: CLOSED "
						    "protocol-error/data\nC!\n");
}

static void
test_unasked_replies(void **state)
{
	play_plain(PIPELINING "S: 250 Surprise\nE: CLOSED protocol-error/none\n");
	play_plain(PIPELINING
	    "A: submit 1 2 small\n" ENVELOPE "S: 354 Go\n"
	    "E: DONE 1 protocol-error/mail protocol-error/mail\nE: CLOSED protocol-error/mail\n");
	play_plain(PIPELINING
	    "A: submit 1 2 small\n" ENVELOPE "S: 250 Ok\nS: 220 Hello?\nS: 354 Go\n"
	    "E: DONE 1 protocol-error/rcpt protocol-error/rcpt\nE: CLOSED protocol-error/rcpt\n");
}

static void
test_421_anywhere(void **state)
{
	play_plain(
	    PIPELINING "A: submit 1 2 small\n" ENVELOPE "S: 421 4.3.2 No\n"
		       "E: DONE 1 421 4.3.2/mail 421 4.3.2/mail\nE: CLOSED 421 4.3.2/mail\n");
	play_plain(
	    PIPELINING "A: submit 1 2 small\n" ENVELOPE "S: 250 Ok\nS: 550 No\nS: 421 4.3.2 No\n"
		       "E: DONE 1 550/rcpt 421 4.3.2/rcpt\nE: CLOSED 421 4.3.2/rcpt\n");
	play_plain(PIPELINING
	    "A: submit 1 2 small\n" ENVELOPE "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 421 4.3.2 No\n"
	    "E: DONE 1 421 4.3.2/data 421 4.3.2/data\nE: CLOSED 421 4.3.2/data\n");
	play_plain(PIPELINING "A: submit 1 2 small\n" ENVELOPE
			      "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC~ 4\nS: 421 4.3.2 No\n"
			      "E: DONE 1 421 4.3.2/eom 421 4.3.2/eom\nE: CLOSED 421 4.3.2/eom\n");
	play_plain(PIPELINING "S: 421 4.3.2 No\nE: CLOSED 421 4.3.2/none\n");
}

static void
test_lost_anywhere(void **state)
{
	play_plain(PIPELINING "A: submit 1 2 small\nA: lost\n"
			      "E: DONE 1 untried closed/none closed/none\nE: CLOSED closed/none\n");
}

static void
test_timeouts_of_commands(void **state)
{
	play_plain(PIPELINING "A: submit 1 2 small\n" ENVELOPE "A: wait 299999\nE=\nA: wait 1\n"
			      "E: DONE 1 timeout/mail timeout/mail\nE: CLOSED timeout/mail\n");
	play_plain(PIPELINING "A: submit 1 2 small\n" ENVELOPE
			      "S: 250 Ok\nA: wait 299999\nS: 250 Ok\nS: 250 Ok\n"
			      "A: wait 119999\nE=\nA: wait 1\n"
			      "E: DONE 1 timeout/data timeout/data\nE: CLOSED timeout/data\n");
	/* the connection takes no more: three minutes for a block */
	play_plain(PIPELINING "A: submit 1 2 big\n" ENVELOPE
			      "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nA: write 5000\n"
			      "A: wait 179999\nE=\nA: wait 1\n"
			      "E: DONE 1 timeout/data timeout/data\nE: CLOSED timeout/data\nC!\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_greeting),
	    cmocka_unit_test(test_ehlo),
	    cmocka_unit_test(test_starttls),
	    cmocka_unit_test(test_injection),
	    cmocka_unit_test(test_offer_is_forgotten),
	    cmocka_unit_test(test_line_without_end),
	    cmocka_unit_test(test_reply_without_end),
	    cmocka_unit_test(test_no_mechanism),
	    cmocka_unit_test(test_not_secure),
	    cmocka_unit_test(test_xoauth2_refused_at_once),
	    cmocka_unit_test(test_refusal_and_the_end_together),
	    cmocka_unit_test(test_xoauth2_challenge_gets_an_empty_line),
	    cmocka_unit_test(test_oauthbearer_challenge_gets_one_octet),
	    cmocka_unit_test(test_challenge_of_any_kind),
	    cmocka_unit_test(test_challenge_of_any_length),
	    cmocka_unit_test(test_second_challenge_is_cancelled),
	    cmocka_unit_test(test_next_mechanism),
	    cmocka_unit_test(test_auth_temporary),
	    cmocka_unit_test(test_echo_is_blanked),
	    cmocka_unit_test(test_unfit_secret),
	    cmocka_unit_test(test_refused_locally),
	    cmocka_unit_test(test_mail_refused),
	    cmocka_unit_test(test_recipients_refused),
	    cmocka_unit_test(test_data_refused),
	    cmocka_unit_test(test_content_refused),
	    cmocka_unit_test(test_early_refusal),
	    cmocka_unit_test(test_unasked_replies),
	    cmocka_unit_test(test_421_anywhere),
	    cmocka_unit_test(test_lost_anywhere),
	    cmocka_unit_test(test_timeouts_of_commands),
	};

	return cmocka_run_group_tests_name("smtp/client failures", tests, NULL, NULL);
}

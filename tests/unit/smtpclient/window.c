/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of the submission engine: what goes together in one flight, and what became of it when
 * the line drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

#define CHUNKING SCRIPT_PLAIN("S: 250-PIPELINING\nS: 250-CHUNKING\n")
#define PIPELINING SCRIPT_PLAIN("S: 250-PIPELINING\n")

#define BDAT_OUT                    \
	"C: MAIL FROM:<s@a.test>\n" \
	"C: RCPT TO:<r1@b.test>\n"  \
	"C: BDAT 21 LAST\n"         \
	"C: Subject: x\n"           \
	"C: \n"                     \
	"C: hello\n"
#define OKS "S: 250 Ok\nS: 250 Ok\nS: 250 2.0.0 Taken\n"
#define RSET_OKS "S: 250 Flushed\n" OKS
#define FIRST_BDAT "A: submit 1 1 small\n" BDAT_OUT "C=\n" OKS "E: DONE 1 250 2.0.0/eom\n"

#define DATA_ENVELOPE               \
	"C: MAIL FROM:<s@a.test>\n" \
	"C: RCPT TO:<r1@b.test>\n"  \
	"C: DATA\n"
#define DATA_CONTENT      \
	"C: Subject: x\n" \
	"C: \n"           \
	"C: hello\n"      \
	"C: .\n"
#define DATA_OKS "S: 250 Ok\nS: 250 Ok\nS: 354 Go\n"
#define FIRST_DATA                                                                \
	"A: submit 1 1 small\n" DATA_ENVELOPE "C=\n" DATA_OKS DATA_CONTENT "C=\n" \
	"S: 250 2.0.0 Taken\n"                                                    \
	"E: DONE 1 250 2.0.0/eom\n"

static void
play(const char *script)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	config.mechanisms = 0;
	script_play(&config, script);
}

/* The window is one until a first message was accepted, then `window`. */
static void
test_window_opens(void **state)
{
	play(
	    CHUNKING "A: submit 1 1 small\n"
		     "A: submit 2 1 small full\n" BDAT_OUT "C=\n"
		     "S: 250 Ok\n"
		     "S: 250 Ok\n"
		     "A: submit 2 1 small full\n"
		     "S: 250 2.0.0 Taken\n"
		     "E: DONE 1 250 2.0.0/eom\n"
		     "A: submit 2 1 small\n"
		     "A: submit 3 1 small\n"
		     "A: submit 4 1 small\n"
		     "A: submit 5 1 small\n"
		     "A: submit 6 1 small full\n" BDAT_OUT "C: RSET\n" BDAT_OUT "C: RSET\n" BDAT_OUT
		     "C: RSET\n" BDAT_OUT "C=\n" OKS "E: DONE 2 250 2.0.0/eom\n"
		     "A: submit 6 1 small\n"
		     "C: RSET\n" BDAT_OUT "C=\n" RSET_OKS "E: DONE 3 250 2.0.0/eom\n" RSET_OKS
		     "E: DONE 4 250 2.0.0/eom\n" RSET_OKS "E: DONE 5 250 2.0.0/eom\n" RSET_OKS
		     "E: DONE 6 250 2.0.0/eom\n");
}

static void
test_window_stays_shut_after_a_refusal(void **state)
{
	play(CHUNKING "A: submit 1 1 small\n" BDAT_OUT "S: 250 Ok\nS: 250 Ok\nS: 550 5.7.1 Spam\n"
		      "E: DONE 1 550 5.7.1/eom\n"
		      "A: submit 2 1 small\n"
		      "A: submit 3 1 small full\n"
		      "C: RSET\n" BDAT_OUT "C=\n" RSET_OKS "E: DONE 2 250 2.0.0/eom\n"
		      "A: submit 3 1 small\n"
		      "A: submit 4 1 small\n" BDAT_OUT "C: RSET\n" BDAT_OUT);
}

/* Content of N and envelope of N+1 in one flight; no RSET: the final dot ends a transaction either
 * way. */
static void
test_data_across_messages(void **state)
{
	play(PIPELINING FIRST_DATA
	    "A: submit 2 1 small\n"
	    "A: submit 3 1 small\n"
	    "A: submit 4 1 small\n" DATA_ENVELOPE "C=\n" DATA_OKS DATA_CONTENT DATA_ENVELOPE "C=\n"
	    "S: 250 2.0.0 Taken\n"
	    "E: DONE 2 250 2.0.0/eom\n" DATA_OKS DATA_CONTENT DATA_ENVELOPE "C=\n"
	    "S: 451 4.3.0 Later\n"
	    "E: DONE 3 451 4.3.0/eom\n" DATA_OKS DATA_CONTENT "C=\n"
	    "S: 250 2.0.0 Taken\n"
	    "E: DONE 4 250 2.0.0/eom\n");
}

static void
test_bytes_bound_the_window(void **state)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	config.mechanisms = 0;
	config.window_bytes = 45; /* two messages of 21 octets */
	script_play(&config,
	    CHUNKING FIRST_BDAT "A: submit 2 1 small\n"
				"A: submit 3 1 small\n"
				"A: submit 4 1 small\n" BDAT_OUT "C: RSET\n" BDAT_OUT "C=\n" OKS
				"E: DONE 2 250 2.0.0/eom\n"
				"C: RSET\n" BDAT_OUT "C=\n" RSET_OKS
				"E: DONE 3 250 2.0.0/eom\n" RSET_OKS "E: DONE 4 250 2.0.0/eom\n");
}

/* A big message waits for its envelope's replies. */
static void
test_big_content_waits(void **state)
{
	struct smtp_client_config config = script_config();

	config.tls = SMTP_TLS_NONE;
	config.mechanisms = 0;
	script_play(&config, CHUNKING "A: submit 1 2 big\n"
				      "C: MAIL FROM:<s@a.test>\n"
				      "C: RCPT TO:<r1@b.test>\n"
				      "C: RCPT TO:<r2@b.test>\n"
				      "C=\n"
				      "S: 250 Ok\nS: 550 No\nS: 550 No\n"
				      "E: DONE 1 550/rcpt 550/rcpt\n"
				      "C=\n"
				      "A: submit 2 2 big\n"
				      "C: RSET\n"
				      "C: MAIL FROM:<s@a.test>\n"
				      "C: RCPT TO:<r1@b.test>\n"
				      "C: RCPT TO:<r2@b.test>\n"
				      "C=\n"
				      "S: 250 Ok\nS: 250 Ok\nS: 550 No\nS: 250 Ok\n"
				      "A: write 204000\n"
				      "A: lost\n"
				      "E: DONE 2 550/rcpt closed/data\n"
				      "E: CLOSED closed/data\n"
				      "C!\n");
}

/* So does the first message after the connection stood idle. */
static void
test_idle_connection_is_asked_first(void **state)
{
	play(CHUNKING FIRST_BDAT "A: wait 2001\n"
				 "A: submit 2 1 small\n"
				 "C: MAIL FROM:<s@a.test>\n"
				 "C: RCPT TO:<r1@b.test>\n"
				 "C=\n"
				 "S: 250 Ok\nS: 250 Ok\n"
				 "C: BDAT 21 LAST\nC~ 3\n"
				 "S: 250 Ok\n"
				 "E: DONE 2 250/eom\n"
				 "A: wait 1999\n"
				 "A: submit 3 1 small\n" BDAT_OUT);
}

static void
test_rset_follows_what_was_left_open(void **state)
{
	play(PIPELINING "A: submit 1 1 small\n" DATA_ENVELOPE
			"S: 250 Ok\nS: 550 5.1.1 No\nS: 554 5.5.1 No recipients\n"
			"E: DONE 1 550 5.1.1/rcpt\n"
			"A: submit 2 1 small\n"
			"C: RSET\n" DATA_ENVELOPE "S: 250 Ok\n" DATA_OKS DATA_CONTENT "S: 250 Ok\n"
			"E: DONE 2 250/eom\n"
			"A: submit 3 1 small\n" DATA_ENVELOPE);
}

/* RFC 2920 section 3.1: 354 although nobody is left: an empty message, whatever is said to it. */
static void
test_lone_dot(void **state)
{
	play(PIPELINING "A: submit 1 1 small\n" DATA_ENVELOPE
			"S: 250 Ok\nS: 550 5.1.1 No\nS: 354 Go\n"
			"C: .\n"
			"E=\n"
			"S: 554 5.5.1 No valid recipients\n"
			"E: DONE 1 550 5.1.1/rcpt\n"
			"A: submit 2 1 small\n"
			"C: RSET\n" DATA_ENVELOPE);
}

/* With CHUNKING the content was sent along: the server swallows it and says so. */
static void
test_bdat_behind_a_refusal(void **state)
{
	play(CHUNKING FIRST_BDAT
	    "A: submit 2 1 small\n"
	    "A: submit 3 1 small\n" BDAT_OUT "C: RSET\n" BDAT_OUT
	    "S: 553 5.7.1 Not yours\nS: 503 5.5.1 MAIL first\nS: 503 5.5.1 MAIL first\n"
	    "E: DONE 2 553 5.7.1/mail\n" RSET_OKS "E: DONE 3 250 2.0.0/eom\n");
}

/* ---- when the line drops ---- */

static void
test_in_doubt_needs_the_whole_content(void **state)
{
	/* all of it was written, and no reply */
	play(CHUNKING "A: submit 1 2 small\n"
		      "C: MAIL FROM:<s@a.test>\nC: RCPT TO:<r1@b.test>\nC: RCPT TO:<r2@b.test>\nC: "
		      "BDAT 21 LAST\nC~ 3\n"
		      "S: 250 Ok\nS: 550 No\n"
		      "A: lost\n"
		      "E: DONE 1 550/rcpt closed/rcpt?\n"
		      "E: CLOSED closed/rcpt\n");
	/* one octet is missing: MAIL 22, RCPT 21, BDAT 14, content 21 */
	play(CHUNKING "A: submit 1 1 small\n"
		      "A: write 77\n"
		      "A: lost\n"
		      "E: DONE 1 closed/mail\n"
		      "E: CLOSED closed/mail\n"
		      "C!\n");
}

static void
test_in_doubt_after_the_dot(void **state)
{
	play(PIPELINING "A: submit 1 1 small\n" DATA_ENVELOPE DATA_OKS DATA_CONTENT "A: lost\n"
			"E: DONE 1 closed/eom?\n"
			"T: may have been accepted\n"
			"E: CLOSED closed/eom\n");
	play(PIPELINING "A: submit 1 1 small\n" DATA_ENVELOPE DATA_OKS
			"A: write 23\n" /* all but the last octet of the final dot's line */
			"A: lost\n"
			"E: DONE 1 closed/data\n"
			"E: CLOSED closed/data\n"
			"C!\n");
}

static void
test_in_doubt_by_timeout(void **state)
{
	play(PIPELINING "A: submit 1 1 small\n" DATA_ENVELOPE DATA_OKS DATA_CONTENT
			"A: wait 599999\n"
			"E=\n"
			"A: wait 1\n"
			"E: DONE 1 timeout/eom?\n"
			"E: CLOSED timeout/eom\n");
}

static void
test_in_doubt_by_broken_reply(void **state)
{
	play(CHUNKING "A: submit 1 1 small\n" BDAT_OUT "S: 250 Ok\nS: 250 Ok\nS: yes\n"
		      "E: DONE 1 protocol-error/eom?\n"
		      "E: CLOSED protocol-error/eom\n");
}

/* All that were sent are in doubt, what was not sent is untried. */
static void
test_window_when_the_line_drops(void **state)
{
	play(CHUNKING FIRST_BDAT
	    "A: submit 2 1 small\n"
	    "A: submit 3 1 small\n"
	    "A: submit 4 1 small\n"
	    "A: write 202\n" /* 78 octets of the second, 84 of the third, 40 of the fourth */
	    "S: 250 Ok\n"
	    "A: lost\n"
	    "E: DONE 2 closed/rcpt?\n"
	    "E: DONE 3 closed/mail?\n"
	    "E: DONE 4 untried closed/mail\n"
	    "E: CLOSED closed/rcpt\n"
	    "C!\n");
}

/* A 421 says that the server went no further: nothing behind it is in doubt. */
static void
test_421_ends_doubt(void **state)
{
	play(CHUNKING FIRST_BDAT "A: submit 2 1 small\n"
				 "A: submit 3 1 small\n" BDAT_OUT "C: RSET\n" BDAT_OUT
				 "S: 250 Ok\nS: 421 4.3.2 Shutting down\n"
				 "E: DONE 2 421 4.3.2/rcpt\n"
				 "E: DONE 3 untried 421 4.3.2/mail\n"
				 "E: CLOSED 421 4.3.2/rcpt\n");
	play(CHUNKING "A: submit 1 1 small\n" BDAT_OUT
		      "S: 250 Ok\nS: 250 Ok\nS: 421 4.3.2 Shutting down\n"
		      "E: DONE 1 421 4.3.2/eom\n"
		      "E: CLOSED 421 4.3.2/eom\n");
}

/* Between two messages: the job goes to another session, without an attempt. On the first message
 * it counts. */
static void
test_421_between_messages(void **state)
{
	play(CHUNKING FIRST_BDAT "A: submit 2 1 small\n" BDAT_OUT
				 "S: 421 4.7.0 Enough for one connection\n"
				 "E: DONE 2 untried 421 4.7.0/mail\n"
				 "E: CLOSED 421 4.7.0/mail\n");
	play(CHUNKING "A: submit 1 1 small\n" BDAT_OUT "S: 421 4.7.0 Try later\n"
		      "E: DONE 1 421 4.7.0/mail\n"
		      "E: CLOSED 421 4.7.0/mail\n");
}

static void
test_closed_between_messages(void **state)
{
	play(PIPELINING FIRST_DATA "A: submit 2 1 small\n"
				   "A: submit 3 1 small\n" DATA_ENVELOPE "A: lost\n"
				   "E: DONE 2 untried closed/mail\n"
				   "E: DONE 3 untried closed/mail\n"
				   "E: CLOSED closed/mail\n");
	play(PIPELINING FIRST_DATA "A: submit 2 1 small\n" DATA_ENVELOPE "S: 250 Ok\n"
				   "A: lost\n"
				   "E: DONE 2 closed/rcpt\n"
				   "E: CLOSED closed/rcpt\n");
}

static void
test_idle_end(void **state)
{
	play(CHUNKING FIRST_BDAT "S: 421 4.4.2 Idle too long\n"
				 "E: CLOSED 421 4.4.2/none\n");
	play(CHUNKING FIRST_BDAT "A: lost\n"
				 "E: CLOSED closed/none\n");
}

static void
test_quit_waits_for_what_is_begun(void **state)
{
	play(CHUNKING FIRST_BDAT "A: submit 2 1 small\n"
				 "A: quit\n"
				 "A: submit 3 1 small full\n" BDAT_OUT "C=\n" OKS
				 "E: DONE 2 250 2.0.0/eom\n"
				 "C: QUIT\n"
				 "A: wait 10000\n"
				 "E: CLOSED timeout/quit\n");
}

static void
test_refused_rset_ends_the_session(void **state)
{
	play(CHUNKING "A: submit 1 1 small\n" BDAT_OUT "S: 250 Ok\nS: 250 Ok\nS: 550 5.7.1 Spam\n"
		      "E: DONE 1 550 5.7.1/eom\n"
		      "A: submit 2 1 small\n"
		      "C: RSET\n" BDAT_OUT "S: 502 No RSET\n"
		      "A: submit 3 1 small full\n" OKS "E: DONE 2 250 2.0.0/eom\n"
		      "C: QUIT\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_window_opens),
	    cmocka_unit_test(test_window_stays_shut_after_a_refusal),
	    cmocka_unit_test(test_data_across_messages),
	    cmocka_unit_test(test_bytes_bound_the_window),
	    cmocka_unit_test(test_big_content_waits),
	    cmocka_unit_test(test_idle_connection_is_asked_first),
	    cmocka_unit_test(test_rset_follows_what_was_left_open),
	    cmocka_unit_test(test_lone_dot),
	    cmocka_unit_test(test_bdat_behind_a_refusal),
	    cmocka_unit_test(test_in_doubt_needs_the_whole_content),
	    cmocka_unit_test(test_in_doubt_after_the_dot),
	    cmocka_unit_test(test_in_doubt_by_timeout),
	    cmocka_unit_test(test_in_doubt_by_broken_reply),
	    cmocka_unit_test(test_window_when_the_line_drops),
	    cmocka_unit_test(test_421_ends_doubt),
	    cmocka_unit_test(test_421_between_messages),
	    cmocka_unit_test(test_closed_between_messages),
	    cmocka_unit_test(test_idle_end),
	    cmocka_unit_test(test_quit_waits_for_what_is_begun),
	    cmocka_unit_test(test_refused_rset_ends_the_session),
	};

	return cmocka_run_group_tests_name("smtp/client window", tests, NULL, NULL);
}

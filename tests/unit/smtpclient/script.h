/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * script.h: plays a written dialogue against the submission engine.
 *
 * A script is lines:
 *   S: text          the server sends this line
 *   s: text          the same without a line end
 *   C: text          the engine's output goes on with this line (commands and content alike)
 *   C=               the engine has nothing more to send now
 *   C~ N             the output goes on with N lines, whatever they say
 *   C!               whatever was written so far is of no interest
 *   E: text          the next event is this one (see event_text in script.c)
 *   E=               there is no event waiting
 *   A: action        tls | token USER SECRET | submit ID RECIPIENTS BODY [flags] | quit | lost
 *                    | fail | wait MS | write N (the connection takes N octets only)
 *   T: text          the transcript of the job reported last has this in it
 *   t: text          the session's transcript has this in it
 *
 * It is played many times: lines one by one, all that the server says in a row at once, and with
 * the server's octets cut at every place; the engine must do the same each time. After each run
 * neither a transcript nor an event's text holds the secret.
 */
#ifndef FRANK_TESTS_SMTPCLIENT_SCRIPT_H
#define FRANK_TESTS_SMTPCLIENT_SCRIPT_H

#include "base/smtp/client.h"

/* The configuration that most scripts use: STARTTLS, XOAUTH2 then OAUTHBEARER, window 4. */
struct smtp_client_config script_config(void);

/* Plays it in every way; a difference fails the test with the line's number. */
void script_play(const struct smtp_client_config *config, const char *script);

/* The dialogue up to READY for a plain connection without AUTH, with these EHLO keywords ("" or
 * "250-X\n..." lines ready for the script). */
#define SCRIPT_PLAIN(keywords)                      \
	"S: 220 mx.test ESMTP\n"                    \
	"C: EHLO client.test\n"                     \
	"S: 250-mx.test\n" keywords "S: 250 HELP\n" \
	"E: READY\n"

#endif

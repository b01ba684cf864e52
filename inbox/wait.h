/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wait.h: the conditions of /api/v1/wait: what a test waits for, whether a message is it, and if none is, which came near.
 *
 * A condition is a parameter FIELD[.not][.contains|.equals|.regex]=VALUE; contains is what is meant without a word. All hold for
 * one message. Case does not matter. FIELD:
 *
 *   from to cc bcc reply-to addressed   "Name <address>" of each; equals: the address, or all of it
 *   mailbox account subject message-id text html
 *   header      VALUE is "Name: value"; one field of this name
 *   attachment  the name of a file
 *   query       Mailpit's search language; neither .not nor a word
 *
 * The same once more has a number behind it: header=A: 1, header.2=B: 2.
 *
 * And how often: count=N (at least; 1 where nothing is said), exactly=N (and no more in the quiet time, quiet=SECONDS, 1),
 * none=SECONDS (nothing comes that long). since=MARK|ID|TIME: what arrived later; without, all there is. timeout=SECONDS: 30 where nothing is
 * said, 3,600 at most; fractions are taken.
 */
#ifndef FRANK_INBOX_WAIT_H
#define FRANK_INBOX_WAIT_H

#include "inbox/inbox.h"

enum { WAIT_CONDITIONS_MAX = 32, WAIT_COUNT_MAX = 1000, WAIT_TIMEOUT_MAX = 3600 };

struct inbox_wait;

/* NULL: no memory. */
struct inbox_wait *wait_new(void);
/* Takes and returns NULL. */
struct inbox_wait *wait_free(struct inbox_wait *w);

/* Takes one parameter. False: it is wrong, and `why` says how. `zone` (parameter tz) is read too. */
bool wait_set(
    struct inbox_wait *w, struct inbox *i, const char *name, const char *value, char why[256]);

/* How long it waits, in milliseconds: at most, and for exactly=N the quiet time, 0 where there is none. */
unsigned wait_timeout(const struct inbox_wait *w);
unsigned wait_quiet(const struct inbox_wait *w);

enum wait_state {
	WAIT_OPEN,  /* may yet become true */
	WAIT_QUIET, /* true unless more comes in the quiet time */
	WAIT_TRUE,
	WAIT_FALSE, /* cannot become true any more */
};

/* Looks at what there is. */
enum wait_state wait_begin(struct inbox_wait *w, struct inbox *i);
/* Looks at a message that has arrived. */
enum wait_state wait_arrival(struct inbox_wait *w, struct inbox *i, const json_t *summary);
/* The time is up (timeout, or the quiet time): WAIT_TRUE or WAIT_FALSE. */
enum wait_state wait_end(struct inbox_wait *w);

/* The answer: {"found", "count", "mark", "messages": [summaries, oldest first], "reason"}, and where it was not found "arrived" and
 * "nearest": [{"ID", "From", "To", "Subject", "missed": ["subject contains \"x\""]}, ...]. NULL: no memory. */
json_t *wait_answer(struct inbox_wait *w, struct inbox *i, bool found);

#endif

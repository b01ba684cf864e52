/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * release.h: hands a captured message to a sendmail command, such as Frank's, which delivers it for real.
 */
#ifndef FRANK_INBOX_RELEASE_H
#define FRANK_INBOX_RELEASE_H

#include <event2/event.h>
#include <jansson.h>

#include "inbox/message.h"

enum { RELEASE_RECIPIENTS_MAX = 100, RELEASE_SECONDS = 60 };

struct release;

/* What came of it: `why` is NULL where the command took the message, else a sentence (its words, or what happened to it). */
typedef void release_done(void *arg, const char *why);

/* Does the list allow this address? Patterns as of fnmatch(3), without regard to case: "*@example.test"; an empty list allows
 * everything. */
bool release_allows(const char *const *allow, size_t count, const char *address);

/* Starts `command -i -f SENDER -- RECIPIENT...` with the message on its standard input, without Bcc and what the sandbox put in
 * front; the sender is that of Sender or From. `done` is called once from the loop, after which the release is gone. NULL:
 * *ret_error is a negative errno (-EDOM: the message names no sender). */
struct release *release_start(struct event_base *base, const char *command,
    const struct inbox_message *m, const json_t *recipients, release_done *done, void *arg,
    int *ret_error);
/* Ends the command and forgets it; `done` is not called. Takes and returns NULL. */
struct release *release_cancel(struct release *r);

#endif

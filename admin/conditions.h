/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conditions.h: what a test wants of a captured message: conditions that must all hold.
 *
 *   to from subject text attachment service uid header:NAME
 *
 * Each is followed by = (has it in it, without regard to ASCII case), == (is it; addresses without regard to
 * case) or ~ (matches the POSIX extended regular expression, without regard to case), and that by the value. A !
 * in front of it: no such thing may be there. "to" are the recipients of the envelope, and the addresses
 * in To and Cc; "from" the sender of the envelope, and From.
 */
#ifndef FRANK_ADMIN_CONDITIONS_H
#define FRANK_ADMIN_CONDITIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { CONDITIONS_MAX = 32 };

struct condition;

struct conditions {
	struct condition *list[CONDITIONS_MAX]; /* owned */
	size_t count;
};

/* Takes "subject=Invoice"; `where` (may be NULL) is put in front: a condition of that name with =. 0, or -EINVAL with a
 * sentence in `why`; -ENOMEM. */
int conditions_add(struct conditions *c, const char *where, const char *text, struct buf *why);
void conditions_free(struct conditions *c);

/* As it was given, for people. */
const char *conditions_text(const struct conditions *c, size_t at);

/* Appends them as parameters of the sandbox's /api/v1/wait, each with a & in front. 0; -EINVAL with a sentence in `why` where a
 * sandbox does not know such a thing. */
int conditions_query(const struct conditions *c, struct buf *out, struct buf *why);

/* Must the content be known, and not the row alone? */
bool conditions_want_content(const struct conditions *c);

/* Which conditions the message does not meet, as bits; 0: it matches. `row` is what `frank queue --json` says of it,
 * `content` the message itself. */
unsigned conditions_missed(
    const struct conditions *c, const json_t *row, const char *content, size_t len);

#endif

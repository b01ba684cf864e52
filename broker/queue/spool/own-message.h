/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * own-message.h: mail that Frank writes itself, as a message of the spool.
 *
 * Nobody is told what becomes of such a message (SPOOL_REPORT, NOTIFY=NEVER): a report about a report
 * would have no end.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_OWN_MESSAGE_H
#define FRANK_BROKER_QUEUE_SPOOL_OWN_MESSAGE_H

#include "broker/queue/spool/commit.h"

/* Everything is borrowed for the call. */
struct own_message {
	const char *account, *service; /* by which it goes, and whose it counts as */
	int64_t uid;                   /* as in struct spool_message */
	unsigned flags;                /* more than SPOOL_REPORT and what its text needs */
	const char *sender;            /* of the envelope */
	char *const *to;               /* its recipients */
	size_t to_count;
	const char *subject, *id; /* for people who look at the queue; its Message-ID */
	int64_t now_us, lifetime; /* microseconds since 1970; seconds */
};

/* Makes the message ready for spool_insert. `text` is the whole mail, which is taken; a large one goes
 * to a file in the folder of bodies. 0 or negative errno; the caller frees *ret either way. */
int own_message_make(struct spool *s, struct commit *c, const struct own_message *what,
    struct buf *text, struct spool_message *ret);

#endif

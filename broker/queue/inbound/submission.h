/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission.h: one SMTP session of a caller, whatever carries it.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_SUBMISSION_H
#define FRANK_BROKER_QUEUE_INBOUND_SUBMISSION_H

#include "base/smtp/server.h"
#include "broker/queue/inbound/entrance.h"

struct submission;

struct submission_ops {
	/* A decision that was awaited is made: there may be output, and input is taken again. */
	void (*proceed)(void *arg);
	/* STARTTLS was answered: when the output is written TLS begins. May be NULL where the
	 * caller has none. */
	void (*starttls)(void *arg);
	/* Has the caller gone without waiting for an answer? Its message is not stored then: it was
	 * told nothing, and may have handed it in elsewhere. May be NULL. */
	bool (*has_hung_up)(void *arg);
};

/* `caller` and `ops` are borrowed while it lives. */
struct submission *submission_new(
    struct inbound *in, const struct caller *caller, const struct submission_ops *ops, void *arg);
struct submission *submission_free(struct submission *s);
struct smtp_server *submission_engine(struct submission *s);
/* Outcome of the last transaction: its reply's code (250 stored, 4xx, 5xx), 0 before any. `words`
 * may be NULL. */
int submission_result(const struct submission *s, const char **words);

/* A user's own address at the mail domain. The caller frees. NULL: no memory. */
char *submission_user_address(const struct queue_settings *s, const struct user *u);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check.h: checks of accounts and servers that people ask for.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_CHECK_H
#define FRANK_BROKER_QUEUE_CONTROL_CHECK_H

#include "broker/queue/control/control.h"
#include "broker/queue/inbound/usage.h"

struct check;
struct checks; /* those that are under way */

/* NULL: no memory. */
struct checks *checks_new(const struct control_deps *deps);

struct check_ask {
	struct queue_account
	    *account; /* NULL: `host`, `port` and `tls` (starttls | implicit | none) */
	const char *host, *tls;
	unsigned port;
	const char *to, *selector; /* may be NULL */
	bool all_senders;          /* of all services, not the mailbox alone */
	bool send;                 /* a message goes out at the end */
	struct usage *usage;       /* of whoever asks, borrowed; NULL: an administrator */
};

struct check_ops {
	/* ROW_CHECK, then one ROW_VERDICT; taken. */
	void (*row)(void *arg, struct message *m);
	/* The end, after which the check is gone. `error` may be NULL. */
	void (*end)(void *arg, const char *error, int status);
};

/* Why whoever asks has to wait, a sentence; NULL: he need not. */
const char *check_barred(const struct checks *all, const struct check_ask *ask);
/* `ops` is borrowed for good. `ask->usage` is taken on success. 0 or -ENOMEM. May end within this call, *ret being set
 * before. */
int check_new(struct checks *all, const struct check_ask *ask, const struct check_ops *ops,
    void *arg, struct check **ret);
/* Nobody waits for it any more. */
void check_forget(struct check *c);
/* CHECK_STEP, CHECK_DONE. */
void checks_answer(struct checks *all, const struct message *m);
/* The send role is there, or gone. */
void checks_peer(struct checks *all, bool up);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * queue.h: the role as its parts see it. Private to this folder.
 *
 *   queue.c       the role: start, configuration, peers, end
 *   inbound/      how mail gets in
 *   scan.c        work that looks at every message, in steps
 *   commit.c      group commit: what one turn of the loop brought is one transaction
 *   report.c      bounces and warnings
 *   notice.c      what people are told of accounts
 *   notice-text.c ... in which words
 *   outbox.c      ... and by which ways
 *   control.c     control.sock
 *   control-ask.c ... its requests
 *   control-row.c ... and what it tells
 *   problem.c     ... of this host
 *   action.c      what people do to messages and accounts
 *   listing.c     mailq's list
 *   check.c       checks of accounts and servers that people ask for
 *   explain.c     what a service is, and why it answers as it does: for people
 *
 * A message's way: submission.c builds a struct spool_message and hands it to commit.c, which stores
 * it and says so; the session answers 250, and delivery.c sends jobs, at once or when their time
 * comes. A delivery lives from then until the last of its jobs is recorded.
 */
#ifndef FRANK_BROKER_QUEUE_QUEUE_H
#define FRANK_BROKER_QUEUE_QUEUE_H

#include <event2/event.h>

#include "broker/ipc/channel.h"
#include "broker/queue/accounts/account.h"
#include "broker/queue/accounts/mail-owner.h"
#include "broker/queue/accounts/service.h"
#include "broker/queue/common/local.h"
#include "broker/queue/delivery/delivery.h"
#include "broker/queue/inbound/inbound.h"
#include "broker/queue/inbound/usage.h"
#include "broker/queue/notify/notify.h"
#include "broker/queue/common/rate-limit.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/common/settings.h"
#include "broker/queue/spool/commit.h"
#include "broker/queue/spool/scan.h"
#include "broker/queue/spool/spool.h"
#include "broker/queue/spool/space.h"
#include "broker/role/caller.h"
#include "broker/role/log-limit.h"
#include "broker/role/role.h"
#include "broker/role/users.h"
#include "broker/queue/accounts/verdict.h"

struct queue;
struct control;
struct usage;

struct control *control_new(struct queue *q);
int control_listen(struct control *c, int fd);
void control_reload_result(struct control *c, const struct message *m);
/* LOOKED_UP; and the send role, which is asked, came or went. */
void control_looked_up(struct control *c, const struct message *m);
void control_send_peer(struct control *c, bool up);

/*
 * What mailq prints of the messages of `owner` (copied), written to `out` in steps; then `done`, never from within this
 * call, with false where memory or the disk failed. NULL: no memory. What is not shown for want of
 * room in `out` is counted.
 */
typedef void listing_done(void *arg, bool good);
struct listing *listing_new(struct queue *q, const struct mail_owner *owner, struct buf *out,
    listing_done *done, void *arg);
/* Also while it is being made. Takes NULL; returns NULL. */
struct listing *listing_free(struct listing *l);

/* explain.c: messages to a client; NULL: no memory. */
struct message *explain_service(struct queue *q, const struct service *v);
/* The service at this place of the order, to a caller whom the one at `matched` takes. */
struct message *explain_rule(
    const struct queue *q, size_t at, size_t matched, const struct policy_caller *who);
/* What becomes of a message from `sender` ("": the null sender), to `recipient` where that is not
 * NULL; `v` NULL: no service is for this caller. */
struct message *explain_decision(struct queue *q, const struct service *v, uint32_t uid,
    const char *sender, const char *recipient);

/* ---- checks ---- */

struct check;

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
const char *check_barred(const struct queue *q, const struct check_ask *ask);
/* `ops` is borrowed for good. `ask->usage` is taken on success. 0 or -ENOMEM. May end within this call, *ret being set
 * before. */
int check_new(struct queue *q, const struct check_ask *ask, const struct check_ops *ops, void *arg,
    struct check **ret);
/* Nobody waits for it any more. */
void check_forget(struct check *c);
/* CHECK_STEP, CHECK_DONE. */
void checks_answer(struct queue *q, const struct message *m);
/* The send role is there, or gone. */
void checks_peer(struct queue *q, bool up);

/* ---- actions of people: action.h, and XFRANK FLUSH ---- */

/* What may be tried is tried now, or as soon as a scan comes to it. `owner` is copied; `by` is the
 * uid that asks, for the log. */
void action_flush(struct queue *q, const struct mail_owner *owner, uint32_t by);

/* ---- the clock ---- */

/* This run, for what follows when the system's clock is set. */
struct run {
	int64_t since;  /* when it began, by the clock as it is now, in seconds */
	uint64_t first; /* the id from which on messages are of this run */
};

/* ---- the role ---- */

struct queue {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct settings *settings,
	    *coming; /* in force (its lists are moved out); being collected */
	struct queue_accounts accounts;
	struct services services;
	struct commit *commit;
	struct scans *scans;
	struct flush *flushes; /* under way, one per user */
	struct delivery *delivery;
	struct users *users;
	struct log_limit *log; /* lines that callers cause */
	struct inbound *inbound;
	struct space *space;
	struct scan octets, shrinking; /* counting what services have; giving space back */
	bool shrinking_failed;         /* the last time, which was logged */
	struct control *control;
	struct check *checks;
	uint64_t last_check;
	struct notify *notify;
	struct event *sweep, *tick, *stop;
	struct clock clock;
	struct run run;
	bool stopping;
	uint64_t stop_at; /* of clock_ms; when stopping: not later */
};

#endif

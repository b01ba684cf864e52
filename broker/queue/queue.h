/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * queue.h: the role as its parts see it. Private to this folder.
 *
 *   queue.c       the role: start, configuration, peers, end
 *   inbound/      how mail gets in
 *   scan.c        work that looks at every message, in steps
 *   commit.c      group commit: what one turn of the loop brought is one transaction
 *   dispatch.c    lanes, jobs to send
 *   outcome.c     what came of them
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
 * it and says so; the session answers 250, and dispatch.c sends jobs, at once or when their time
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

enum {
	JOBS_MAX = 1000,       /* outstanding in all */
	JOBS_PER_SESSION = 20, /* so that send can pipeline */
	JOB_RECIPIENTS_MAX = 100,
	SEND_IDLE_SECONDS = 60, /* without work before the role is dropped */
};

struct queue;
struct control;
struct usage;

/* Messages of one account and service that wait: when the first is due. */
struct lane {
	struct queue_account *account;
	char *service;
	int64_t next;
	bool served; /* in this run of dispatch_run */
};

/* ---- jobs ---- */

/* A message from the moment its recipients are to be sent until what came of all of them is on
 * disk. */
struct delivery_message {
	struct spool_message *message; /* owned */
	struct queue_account *account;
	struct delivery_job *unsent; /* until dispatch_begin */
	unsigned jobs;               /* not yet answered */
	unsigned records;            /* outcomes not yet on disk */
};

struct delivery_job {
	struct delivery_job *next; /* unsent */
	uint64_t id;
	struct delivery_message *delivery;
	enum role_id transport; /* the role that it is given to */
	unsigned round;         /* of the account's state when it was planned */
	size_t *index;          /* its recipients */
	size_t count;
};

struct dispatch {
	struct delivery_job *jobs[JOBS_MAX]; /* by the low part of their ids */
	uint64_t sequence;
	unsigned outstanding; /* planned or sent */
	unsigned starts;      /* deliveries taken from the spool whose start is not on disk yet */
	struct lane *lanes;
	size_t lane_count, lane_room, turn;
	struct event *timer;  /* something becomes due */
	struct event *idle;   /* looks for what is not needed any more */
	uint64_t count_after; /* of clock_ms: not to be counted again before */
	struct {
		unsigned outstanding;
		int64_t idle_since;
	} transports[ROLE_COUNT]; /* send and post */
};

/* The keeper may give the account's credential to the role that takes its mail out. */
void dispatch_lease(struct queue *q, struct queue_account *a);
int dispatch_init(struct queue *q);
/* Reads from the spool what waits, after start and after a new configuration. */
int dispatch_load(struct queue *q);
/* Counts the open messages of each account, unless that was done just now: with many it takes a
 * while, and anybody may ask. */
int dispatch_count(struct queue *q);
/* Hands out what is due and fits, and sets the timer. */
void dispatch_run(struct queue *q);
/* A message of this account and service is to be tried at `next`. */
void dispatch_wait(struct queue *q, struct queue_account *a, const char *service, int64_t next);
/* May a message that is just being stored be sent at once? Then its recipients become SENDING, room
 * for its jobs is kept, and the delivery is returned, to be begun by dispatch_begin once it is on
 * disk or dropped by dispatch_forget. `m` is taken then. NULL: it waits in the spool. */
struct delivery_message *dispatch_promise(
    struct queue *q, struct queue_account *a, struct spool_message *m);
void dispatch_begin(struct queue *q, struct delivery_message *d);
void dispatch_forget(struct queue *q, struct delivery_message *d);
/* A message got through: more of the account's may be under way at once. */
void dispatch_widen(struct queue_account *a);
/* The job was answered, or never will be: its slot and its account's room are free. The index stays
 * the caller's. */
void dispatch_release(struct queue *q, struct delivery_job *j);
/* The network role is used for something that is no job, or (by -1) no more: it is not dropped
 * meanwhile. */
void dispatch_use(struct queue *q, enum role_id transport, int by);
void dispatch_peer(struct queue *q, enum role_id peer, bool up);
/* Jobs that will not be waited for: their recipients wait again, and the try does not count. */
void dispatch_put_back(struct queue *q);
void dispatch_job_done(struct queue *q, const struct message *m);

/* outcome.c: what came of a job, which is taken. `results` has one per recipient, or is NULL for a
 * try that was interrupted (`interrupted`) or did not begin (`untried`). `unanswered`: it was handed
 * over, so that with in-doubt = "hold" it counts as begun. */
struct outcome {
	const struct smtp_reply *results;
	bool untried, interrupted, unanswered, dsn_passed;
	const char *endpoint, *tls, *mechanism, *transcript; /* may be NULL */
};
void outcome_record(struct queue *q, struct delivery_job *j, const struct outcome *o);
/* What a try that began in `round` of the account's schedule means for the account. `reply` may be NULL. */
void outcome_settle_account(struct queue *q, struct queue_account *a, unsigned round,
    const struct schedule_verdict *v, const struct smtp_reply *reply);
/* What becomes of a recipient that is refused for good: BOUNCED where the sender is told, or wants not
 * to be; FAILED where nobody can be. */
enum spool_state outcome_refused_state(
    const struct queue *q, const struct spool_message *m, const struct spool_recipient *r);
/* Looks, in steps, for messages that wait for longer than their lifetime, or long enough for a
 * warning. */
void outcome_sweep(struct queue *q);

struct sweep {
	struct scan scan;
	uint64_t after;
};

/* The account's state goes to disk, to the log and to the events. */
void account_changed(struct queue *q, struct queue_account *a);
/* ---- reports ---- */

enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_RELAYED };

/* No report uses more of the original than so many octets from its beginning. */
enum { REPORT_ORIGINAL_MAX = 256 * 1024 };

/*
 * The report on recipients of `m` (indices in `which`), ready to be stored; NULL where none is to
 * be made or memory is out. Whether one is wanted at all is report_wanted's business.
 */
struct spool_message *report_make(struct queue *q, const struct queue_account *a,
    const struct spool_message *m, enum report_kind kind, const size_t *which, size_t count);
/* Does somebody get a report of this kind on this recipient? */
bool report_wanted(const struct queue *q, const struct spool_message *m,
    const struct spool_recipient *r, enum report_kind kind);

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
	struct sweep sweeping;
	struct dispatch dispatch;
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

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * delivery.h: mail goes out: what is due is taken from the spool, cut into jobs, and given to a
 * transport, the role that speaks to servers (send) or to HTTP APIs (post). What came of it is
 * recorded, and the sender gets a report where one is due.
 */
#ifndef FRANK_BROKER_QUEUE_DELIVERY_DELIVERY_H
#define FRANK_BROKER_QUEUE_DELIVERY_DELIVERY_H

#include "broker/queue/delivery/report.h"
#include "broker/queue/notify/notify.h"
#include "broker/queue/spool/scan.h"

struct delivery;
struct delivery_message;

/* What delivery stands on, borrowed for good. */
struct delivery_deps {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct commit *commit;
	struct scans *scans;
	const struct clock *clock;
	struct queue_accounts *accounts;
	struct notify *notify;
};

/* NULL: no memory. */
struct delivery *delivery_new(const struct delivery_deps *deps);
/* A configuration is in force, and its accounts are taken: reads from the spool what waits. `s` is
 * borrowed until the next one is. 0 or negative errno. */
int delivery_configure(struct delivery *d, const struct queue_settings *s);
/* The role ends: nothing more is begun. */
void delivery_stop(struct delivery *d);
/* Are jobs under way? */
bool delivery_is_busy(const struct delivery *d);
/* Jobs that nobody waits for any more: their recipients wait again, and the try does not count. */
void delivery_put_back(struct delivery *d);
/* The clock was set, and the spool followed: what is under way does, too. 0, or negative errno where the
 * spool cannot be read. */
int delivery_shift(struct delivery *d, const struct spool_step *step);

/* ---- what is sent ---- */

/* Begins what is due and fits, and sets the timer for what comes next. */
void delivery_run(struct delivery *d);
/* A message of this account and service is to be tried at `next` (seconds). */
void delivery_wait(struct delivery *d, struct queue_account *a, const char *service, int64_t next);

/* May a message that is just being stored be sent at once? Then its recipients become SENDING, room for
 * its jobs is kept, and it is returned, to be begun by delivery_begin once it is on disk or dropped by
 * delivery_forget. `m` is taken then. NULL: it waits in the spool. `a` may be NULL. */
struct delivery_message *delivery_promise(
    struct delivery *d, struct queue_account *a, struct spool_message *m);
void delivery_begin(struct delivery *d, struct delivery_message *x);
void delivery_forget(struct delivery *d, struct delivery_message *x);

/* Looks, in steps, for messages that wait for longer than their lifetime, or long enough for a
 * warning. */
void delivery_sweep(struct delivery *d);
/* Counts the open messages of each account (queue_account.waiting): from memory, once all that was there at the start is counted; by
 * reading before, unless that was done just now, since it takes a while. 0 or negative errno. */
int delivery_count(struct delivery *d);

/* ---- transports ---- */

/* JOB_DONE. */
void delivery_job_done(struct delivery *d, const struct message *m);
/* The keeper or a transport came or went. */
void delivery_peer(struct delivery *d, enum role_id peer, bool up);
/* Adds `by` to the uses that keep an idle transport running; checks and webhooks are such. */
void delivery_use(struct delivery *d, enum role_id transport, int by);
/* The keeper may give the account's credential to its transport. */
void delivery_lease(struct delivery *d, struct queue_account *a);

/* ---- accounts and reports ---- */

/* The account's state changed: that goes to disk, to the log and to notify. */
void delivery_account_changed(struct delivery *d, struct queue_account *a);
/* What a try that began in `round` of the account's schedule means for the account. `reply` may be
 * NULL. */
void delivery_settle_account(struct delivery *d, struct queue_account *a, unsigned round,
    const struct schedule_verdict *v, const struct smtp_reply *reply);
/* For report.h's functions. Borrowed. */
const struct reports *delivery_reports(const struct delivery *d);

#endif

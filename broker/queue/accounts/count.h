/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * count.h: what became of the mail of an account since the role began: plain numbers, for `frank metrics` (ipc/metric.h).
 */
#ifndef FRANK_BROKER_QUEUE_ACCOUNTS_COUNT_H
#define FRANK_BROKER_QUEUE_ACCOUNTS_COUNT_H

#include "broker/ipc/metric.h"
#include "broker/queue/common/schedule.h"
#include "broker/queue/spool/spool.h"

/* What is in the way of a recipient that waits for another try: its own refusal for now, a try whose end nobody knows, a process that
 * died, or the account's state, as enum schedule_state counts on from there. */
enum count_cause {
	COUNT_TRANSIENT,
	COUNT_IN_DOUBT,
	COUNT_INTERRUPTED,
	COUNT_ACCOUNT,
	COUNT_CAUSES = COUNT_ACCOUNT + SCHEDULE_STATE_COUNT
};

/* Zero-initialised. */
struct count {
	uint64_t delivered, bounced, failed, held; /* recipients */
	uint64_t deferred[COUNT_CAUSES];
	uint64_t buckets[METRIC_BOUNDS + 1], milliseconds; /* how long deliveries took */
	uint64_t opened, unopened;                         /* SMTP sessions */
	unsigned sessions;                                 /* that are open now */
};

/* A recipient of a message that was accepted `age` microseconds ago came out of a try in this state; `cause` counts where it waits
 * for another. */
void count_outcome(struct count *c, enum spool_state state, enum count_cause cause, int64_t age);
/* Why a try made the recipient wait. */
enum count_cause count_cause(const struct schedule_verdict *v);
/* SESSION: "opened", "failed" or "closed". */
void count_session(struct count *c, const char *state);
/* Adds them to a row of metrics. */
void count_put(const struct count *c, struct message *row);

#endif

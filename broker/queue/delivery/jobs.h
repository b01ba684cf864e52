/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * jobs.h: what is under way. A message whose recipients are being sent is cut into jobs, each for one
 * transport role; a job has a slot until it is answered. How many jobs an account may have is bounded
 * here: few until the transport has shown that it delivers them, since all that are outstanding count
 * as interrupted when it dies. No I/O.
 */
#ifndef FRANK_BROKER_QUEUE_DELIVERY_JOBS_H
#define FRANK_BROKER_QUEUE_DELIVERY_JOBS_H

#include <sys/queue.h>

#include "broker/queue/accounts/account.h"

enum {
	JOBS_MAX = 1000,       /* outstanding in all */
	JOBS_PER_SESSION = 20, /* so that send can pipeline */
	JOBS_RECIPIENTS_MAX = 100,
};

struct delivery_job {
	STAILQ_ENTRY(delivery_job) entry;
	uint64_t id;
	struct delivery_message *delivery;
	enum role_id transport; /* the role that it is given to */
	bool begun;             /* it was given to it, or is just about to be */
	unsigned round;         /* of the account's state when it was planned */
	size_t *index;          /* its recipients */
	size_t count;
};

/* A message from the moment its recipients are to be sent until what came of all of them is on
 * disk. */
struct delivery_message {
	struct spool_message *message; /* owned */
	struct queue_account *account;
	STAILQ_HEAD(, delivery_job) planned; /* not begun */
	unsigned jobs;                       /* not yet answered */
	unsigned records;                    /* results not yet on disk */
};

struct jobs {
	struct delivery_job *list[JOBS_MAX]; /* by the low part of their ids */
	uint64_t sequence;
	unsigned outstanding; /* planned or begun */
	struct {
		unsigned uses;      /* jobs, checks, webhooks */
		int64_t idle_since; /* meaningful while there are none */
	} transports[ROLE_COUNT];
};

/* A message under way, without jobs; `m` is taken. NULL: no memory, `m` stays the caller's. */
struct delivery_message *jobs_message_new(struct spool_message *m, struct queue_account *a);
/* Frees it, with its jobs that have not begun. */
void jobs_message_free(struct jobs *x, struct delivery_message *d, int64_t now);

/* Plans jobs for the recipients that are due, as many as there is room for; these become SENDING. The
 * rest waits in the spool for the end of this message's jobs. -ENOMEM: what was planned stays. */
int jobs_plan(struct jobs *x, struct delivery_message *d, int64_t now);
/* How many more jobs the account may have now. */
unsigned jobs_room(const struct jobs *x, const struct queue_account *a, int64_t now);
/* NULL: there is no such job. */
struct delivery_job *jobs_find(const struct jobs *x, uint64_t id);
/* A message got through: more of the account's may be under way at once. */
void jobs_widen(struct queue_account *a);
/* The job was answered, or never will be: its slot and its account's room are free. Its index goes to
 * the caller. */
size_t *jobs_release(struct jobs *x, struct delivery_job *j, int64_t now);

/* The transport is used by `by` more (less, where negative): it is not dropped meanwhile. */
void jobs_use(struct jobs *x, enum role_id transport, int by, int64_t now);
/* Has the transport been without use since `before`? */
bool jobs_is_idle(const struct jobs *x, enum role_id transport, int64_t before);

#endif

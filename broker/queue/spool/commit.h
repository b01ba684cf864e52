/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * commit.h: group commit. What arrives in one turn of the event loop (messages handed in, results of
 * jobs, deliveries about to begin) is queued here, written in one transaction with one fsync, and
 * answered after it.
 *
 * When the disk fails, an operation that can be refused is given up, and its owner refuses (452 to a
 * caller, who still has its message). An operation that `must` be on record is kept and tried again
 * every few seconds; until it is written, commit_is_stuck is true and nothing new may begin.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_COMMIT_H
#define FRANK_BROKER_QUEUE_SPOOL_COMMIT_H

#include <event2/event.h>
#include <sys/queue.h>

#include "broker/queue/spool/spool.h"

struct commit;

/* Something to be written. Embed it as the first member of what it belongs to, and cast. */
struct commit_op {
	STAILQ_ENTRY(commit_op) entry;
	/* Writes within the transaction: 0 or negative errno. Is called again after a failure. */
	int (*write)(struct spool *s, struct commit_op *op);
	/* The transaction is on disk (r 0), or the operation is given up (negative errno). `done` owns
	 * `op` from now on. */
	void (*done)(struct commit_op *op, int r);
	void *arg;    /* for `write` and `done` */
	bool must;    /* never given up: it happened, and has to be on record */
	bool patient; /* may wait some milliseconds for company, since nobody waits for it */
};

/* What the owner of the commits is told. */
struct commit_ops {
	/* A commit that the event loop made is over, and all `done` were called. */
	void (*after)(void *arg);
	/* The disk does not take what must be on record (negative errno); called once until `recovered`. */
	void (*stuck)(void *arg, int error);
	/* It does again. */
	void (*recovered)(void *arg);
};

/* `s` and `ops` are borrowed for good. NULL: no memory. */
struct commit *commit_new(
    struct event_base *base, struct spool *s, const struct commit_ops *ops, void *arg);
/* Queues the operation for the transaction at the end of this turn. */
void commit_add(struct commit *c, struct commit_op *op);
/* An operation of the next transaction refers to a new file in the folder of bodies: the folder is
 * synced first. */
void commit_sync_bodies(struct commit *c);
/* Writes now what is queued. True when nothing is left over. */
bool commit_flush(struct commit *c);
bool commit_is_stuck(const struct commit *c);
/* At the end of the process: writes what is left; no `done` is called. Takes NULL. */
void commit_write_last(struct commit *c);

#endif

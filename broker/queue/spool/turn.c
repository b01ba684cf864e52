/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * turn.c: group commit. What arrives in one turn of the event loop (messages handed in, results of
 * jobs, deliveries about to begin) is queued here, written in one transaction with one fsync, and
 * answered after it.
 *
 * The commit runs from a timer of zero length: libevent runs timers that are due after the sockets
 * that are ready, so whatever came in during the last commit is in the next one. A message handed
 * in waits for no company: it is committed at once. A result, for which nobody waits, lets a few
 * milliseconds pass, so that it shares the commit of the next message instead of standing in its
 * way.
 *
 * When the disk fails, what can be refused is refused (452 to the caller, who still has its
 * message); what happened already (a result) is kept and tried again until it is on record, and
 * nothing new is begun meanwhile.
 */
#include "broker/queue/notify/notice.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

enum { RETRY_SECONDS = 2, SOON_US = 3000, PATIENT_MAX = 64 };

static void
list_add(struct op ***last, struct op *op)
{
	op->next = NULL;
	**last = op;
	*last = &op->next;
}

static int
write_once(struct queue *q, struct op *first)
{
	int r = q->turn.sync_bodies ? spool_bodies_sync(q->spool) : 0;

	if (r == 0)
		r = spool_begin(q->spool);
	if (r < 0)
		return r;
	for (struct op *op = first; op != NULL && r == 0; op = op->next)
		r = op->write(q, op);
	if (r < 0) {
		spool_rollback(q->spool);
		return r;
	}
	return spool_commit(q->spool);
}

static int
write_all(struct queue *q, struct op *first)
{
	int r = write_once(q, first);

	return r == -ENOSPC && spool_make_room(q->spool) ? write_once(q, first) : r;
}

static void
finish_all(struct queue *q, struct op *first, int r)
{
	while (first != NULL) {
		struct op *op = first;

		first = op->next;
		op->done(q, op, r);
	}
}

/* Takes the operations that must not be given up out of the list. */
static struct op *
split_must(struct op **first)
{
	struct op *must = NULL, **must_last = &must;

	for (struct op **at = first; *at != NULL;) {
		struct op *op = *at;

		if (!op->must) {
			at = &op->next;
			continue;
		}
		*at = op->next;
		list_add(&must_last, op);
	}
	return must;
}

static void
tell_stuck(struct queue *q, int r)
{
	if (q->turn.stuck)
		return;
	q->turn.stuck = true;
	log_line(LOG_LEVEL_ERROR,
	    "The spool cannot be written; nothing more is sent until results can be recorded.",
	    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
	/* it is on record once anything is */
	notices_happened(q, HAPPENED_SPOOL, "spool-error", 0,
	    "The spool cannot be written; nothing is sent or taken until it can.",
	    r == -ENOSPC ? "Free space on its disk." : "Look at its disk: journalctl -k");
}

static void
tell_going(struct queue *q)
{
	q->turn.sync_bodies = false;
	if (!q->turn.stuck)
		return;
	q->turn.stuck = false;
	notices_happened(
	    q, HAPPENED_SPOOL, "recovered", 0, "The spool can be written again.", NULL);
}

/* Writes a list, less what has to be given up. */
static void
commit(struct queue *q, struct op *first)
{
	static const struct timeval later = {RETRY_SECONDS, 0};
	struct op *must;
	int r = write_all(q, first);

	if (r == 0) {
		tell_going(q);
		finish_all(q, first, 0);
		return;
	}
	log_line(LOG_LEVEL_WARNING, "A transaction of the spool failed.",
	    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
	must = split_must(&first);
	if (must != NULL) {
		int again = first == NULL ? r : write_all(q, must);

		if (again == 0) {
			tell_going(q);
			finish_all(q, must, 0);
		} else {
			tell_stuck(q, again);
			while (must != NULL) {
				struct op *op = must;

				must = op->next;
				list_add(&q->turn.kept_last, op);
			}
			(void)event_add(q->turn.retry, &later);
		}
	}
	finish_all(q, first, r);
}

bool
turn_flush(struct queue *q)
{
	/* Answers bring new operations: those belong to the next turn. */
	struct op *first = q->turn.kept;

	*q->turn.kept_last = q->turn.first;
	if (first == NULL)
		first = q->turn.first;
	q->turn.first = NULL;
	q->turn.last = &q->turn.first;
	q->turn.kept = NULL;
	q->turn.kept_last = &q->turn.kept;
	q->turn.queued = q->turn.hurry = false;
	q->turn.patient = 0;
	if (first != NULL)
		commit(q, first);
	return q->turn.first == NULL && q->turn.kept == NULL;
}

static void
on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	(void)turn_flush(q);
	dispatch_run(q);
	/* Sending what dispatch_run took waits for its own commit. After answering, there is time
	 * for the log. */
	(void)spool_checkpoint(q->spool, false);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	on_commit(fd, what, arg);
}

void
turn_add(struct queue *q, struct op *op)
{
	static const struct timeval now = {0, 0}, soon = {0, SOON_US};
	bool hurry = !op->patient || ++q->turn.patient >= PATIENT_MAX;

	list_add(&q->turn.last, op);
	if (q->turn.hurry || (q->turn.queued && !hurry))
		return;
	q->turn.queued = true;
	q->turn.hurry = hurry;
	(void)event_add(q->turn.commit, hurry ? &now : &soon);
}

bool
turn_is_stuck(const struct queue *q)
{
	return q->turn.stuck;
}

int
turn_init(struct queue *q)
{
	q->turn.last = &q->turn.first;
	q->turn.kept_last = &q->turn.kept;
	q->turn.commit = evtimer_new(q->base, on_commit, q);
	q->turn.retry = evtimer_new(q->base, on_retry, q);
	return q->turn.commit == NULL || q->turn.retry == NULL ? -ENOMEM : 0;
}

void
turn_write_last(struct queue *q)
{
	struct op *first = q->turn.kept;
	int r;

	*q->turn.kept_last = q->turn.first;
	if (first == NULL)
		first = q->turn.first;
	r = first == NULL ? 0 : write_all(q, first);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "What was under way at the end is not on record.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
}

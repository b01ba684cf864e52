/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * commit.c: see commit.h.
 *
 * The commit runs from a timer of zero length: libevent runs timers that are due after the sockets
 * that are ready, so whatever came in during the last commit is in the next one. A message handed
 * in does not wait for company: it is committed at once. A result, for which nobody waits, lets a few
 * milliseconds pass, so that it shares the commit of the next message instead of delaying it.
 */
#include "broker/queue/spool/commit.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

enum { RETRY_SECONDS = 2, SOON_US = 3000, PATIENT_MAX = 64 };

STAILQ_HEAD(op_list, commit_op);

struct commit {
	struct spool *spool;
	const struct commit_ops *ops;
	void *arg;
	struct op_list queued, kept; /* kept: `must`, and could not be written */
	struct event *timer, *retry;
	unsigned patient;     /* queued operations that may wait */
	bool pending, urgent; /* the timer is set; without delay */
	bool stuck, sync_bodies;
};

static int
write_once(struct commit *c, struct op_list *list)
{
	struct commit_op *op;
	int r = c->sync_bodies ? spool_bodies_sync(c->spool) : 0;

	if (r == 0)
		r = spool_begin(c->spool);
	if (r < 0)
		return r;
	STAILQ_FOREACH (op, list, entry) {
		r = op->write(c->spool, op);
		if (r < 0) {
			spool_rollback(c->spool);
			return r;
		}
	}
	return spool_commit(c->spool);
}

static int
write_all(struct commit *c, struct op_list *list)
{
	int r = write_once(c, list);

	if (r == -ENOSPC && spool_make_room(c->spool))
		r = write_once(c, list);
	if (r < 0)
		return r;
	c->sync_bodies = false;
	if (c->stuck) {
		c->stuck = false;
		c->ops->recovered(c->arg);
	}
	return 0;
}

static void
finish_all(struct op_list *list, int r)
{
	struct commit_op *op;

	while ((op = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		op->done(op, r);
	}
}

/* Moves the operations that must not be given up from `all` to `must`. */
static void
split_must(struct op_list *all, struct op_list *must)
{
	struct op_list rest = STAILQ_HEAD_INITIALIZER(rest);
	struct commit_op *op;

	while ((op = STAILQ_FIRST(all)) != NULL) {
		STAILQ_REMOVE_HEAD(all, entry);
		if (op->must)
			STAILQ_INSERT_TAIL(must, op, entry);
		else
			STAILQ_INSERT_TAIL(&rest, op, entry);
	}
	STAILQ_CONCAT(all, &rest);
}

/* Keeps the operations for another try, and reports the first failure. */
static void
keep(struct commit *c, struct op_list *must, int error)
{
	static const struct timeval later = {RETRY_SECONDS, 0};

	STAILQ_CONCAT(&c->kept, must);
	(void)event_add(c->retry, &later);
	if (c->stuck)
		return;
	c->stuck = true;
	log_line(LOG_LEVEL_ERROR,
	    "The spool cannot be written; nothing more is sent until results can be recorded.",
	    LOG_PAIRS({LOG_ERROR, strerror(-error)}));
	c->ops->stuck(c->arg, error);
}

/* Writes a list. When that fails, writes the part that must be on record, and gives up the rest. */
static void
write_list(struct commit *c, struct op_list *list)
{
	struct op_list must = STAILQ_HEAD_INITIALIZER(must);
	int r = write_all(c, list), again;

	if (r < 0) {
		log_line(LOG_LEVEL_WARNING, "A transaction of the spool failed.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		split_must(list, &must);
		if (!STAILQ_EMPTY(&must)) {
			again = STAILQ_EMPTY(list) ? r : write_all(c, &must);
			if (again == 0)
				finish_all(&must, 0);
			else
				keep(c, &must, again);
		}
	}
	finish_all(list, r);
}

/* Takes all that is to be written: what is kept stands first. */
static void
take_all(struct commit *c, struct op_list *ret)
{
	STAILQ_INIT(ret);
	STAILQ_CONCAT(ret, &c->kept);
	STAILQ_CONCAT(ret, &c->queued);
}

bool
commit_flush(struct commit *c)
{
	struct op_list list;

	take_all(c, &list);
	c->pending = c->urgent = false;
	c->patient = 0;
	/* `done` may queue new operations: they belong to the next turn. */
	if (!STAILQ_EMPTY(&list))
		write_list(c, &list);
	return STAILQ_EMPTY(&c->queued) && STAILQ_EMPTY(&c->kept);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct commit *c = arg;

	(void)commit_flush(c);
	c->ops->after(c->arg);
	/* Everybody is answered: there is time to move the log. */
	(void)spool_checkpoint(c->spool, false);
}

void
commit_add(struct commit *c, struct commit_op *op)
{
	static const struct timeval now = {0, 0}, soon = {0, SOON_US};
	bool urgent = !op->patient || ++c->patient >= PATIENT_MAX;

	STAILQ_INSERT_TAIL(&c->queued, op, entry);
	if (c->urgent || (c->pending && !urgent))
		return;
	c->pending = true;
	c->urgent = urgent;
	(void)event_add(c->timer, urgent ? &now : &soon);
}

void
commit_sync_bodies(struct commit *c)
{
	c->sync_bodies = true;
}

bool
commit_is_stuck(const struct commit *c)
{
	return c->stuck;
}

struct commit *
commit_new(struct event_base *base, struct spool *s, const struct commit_ops *ops, void *arg)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->spool = s;
	c->ops = ops;
	c->arg = arg;
	STAILQ_INIT(&c->queued);
	STAILQ_INIT(&c->kept);
	c->timer = evtimer_new(base, on_timer, c);
	c->retry = evtimer_new(base, on_timer, c);
	if (c->timer != NULL && c->retry != NULL)
		return c;
	if (c->timer != NULL)
		event_free(c->timer);
	free(c);
	return NULL;
}

void
commit_write_last(struct commit *c)
{
	struct op_list list;
	int r;

	if (c == NULL)
		return;
	take_all(c, &list);
	r = STAILQ_EMPTY(&list) ? 0 : write_once(c, &list);
	if (r == -ENOSPC && spool_make_room(c->spool))
		r = write_once(c, &list);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "What was under way at the end is not on record.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
}

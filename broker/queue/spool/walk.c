/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * walk.c: work that looks at every message of the spool, done in short steps.
 *
 * Anybody may ask for a list of the queue, and the queue may be long. So a walk does a bounded part
 * at a time, and one walk alone takes one step in one turn of the event loop: between two steps
 * mail is taken, committed and answered as ever, however many people ask for however much.
 */
#include "broker/queue/queue.h"

#include <errno.h>

static void
run_later(struct queue *q)
{
	static const struct timeval now = {0, 0};

	if (q->walks.first != NULL)
		(void)event_add(q->walks.timer, &now);
}

static void
append(struct queue *q, struct walk *w)
{
	w->next = NULL;
	w->queued = true;
	*q->walks.last = w;
	q->walks.last = &w->next;
}

void
walk_begin(struct queue *q, struct walk *w, bool (*step)(struct queue *q, struct walk *w))
{
	w->step = step;
	if (w->queued)
		return;
	append(q, w);
	run_later(q);
}

void
walk_end(struct queue *q, struct walk *w)
{
	struct walk **at = &q->walks.first;

	if (!w->queued)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->next == NULL)
		q->walks.last = at;
	w->queued = false;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct walk *w = q->walks.first;

	if (w == NULL)
		return;
	walk_end(q, w);
	/* A step that is the last may have freed it. */
	if (w->step(q, w))
		append(q, w);
	run_later(q);
}

int
walks_init(struct queue *q)
{
	q->walks.last = &q->walks.first;
	q->walks.timer = evtimer_new(q->base, on_turn, q);
	return q->walks.timer == NULL ? -ENOMEM : 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * scan.c: see scan.h. The scans that are under way take their steps in turn.
 */
#include "broker/queue/spool/scan.h"

#include <stdlib.h>

struct scans {
	TAILQ_HEAD(, scan) list;
	struct event *timer;
};

static void
step_later(struct scans *all)
{
	static const struct timeval now = {0, 0};

	if (!TAILQ_EMPTY(&all->list))
		(void)event_add(all->timer, &now);
}

static void
append(struct scans *all, struct scan *s)
{
	s->all = all;
	TAILQ_INSERT_TAIL(&all->list, s, entry);
}

void
scan_begin(struct scans *all, struct scan *s, bool (*step)(void *arg), void *arg)
{
	s->step = step;
	s->arg = arg;
	if (s->all != NULL)
		return;
	append(all, s);
	step_later(all);
}

bool
scan_is_under_way(const struct scan *s)
{
	return s->all != NULL;
}

void
scan_end(struct scan *s)
{
	if (s->all != NULL)
		TAILQ_REMOVE(&s->all->list, s, entry);
	s->all = NULL;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct scans *all = arg;
	struct scan *s = TAILQ_FIRST(&all->list);

	if (s == NULL)
		return;
	scan_end(s);
	/* The last step may have freed it. */
	if (s->step(s->arg))
		append(all, s);
	step_later(all);
}

struct scans *
scans_new(struct event_base *base)
{
	struct scans *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	TAILQ_INIT(&all->list);
	all->timer = evtimer_new(base, on_timer, all);
	if (all->timer != NULL)
		return all;
	free(all);
	return NULL;
}

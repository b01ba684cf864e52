/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * received.c: see received.h. A receiver has what it takes of the events up to its position, but for
 * those in its outbox (notify/outbox.h).
 */
#include "broker/queue/control/received.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/queue/notify/filter.h"

struct question {
	const struct control_deps *deps;
	const struct conf_webhook *webhook;
	char receiver[300]; /* its name in the spool */
	uint64_t message, position;
	received_visit *visit;
	void *arg;
	uint64_t event; /* that is looked for in the outbox; */
	bool waits;     /* it is there */
};

static int
take_position(void *arg, const char *receiver, uint64_t position)
{
	struct question *q = arg;

	if (strcmp(receiver, q->receiver) == 0)
		q->position = position;
	return 0;
}

static int
is_this(void *arg, const struct spool_outbox *o)
{
	struct question *q = arg;

	q->waits = o->event.id == q->event;
	return q->waits;
}

static int
on_event(void *arg, const struct spool_event *e)
{
	struct question *q = arg;
	int r = 0;

	if (e->message != q->message || !filter_webhook(q->deps->settings->conf, q->webhook, e))
		return 0;
	q->event = e->id;
	q->waits = e->id > q->position;
	if (!q->waits)
		r = spool_each_outbox(q->deps->spool, q->receiver, is_this, q);
	return r < 0 ? r : q->visit(q->arg, e, !q->waits);
}

int
received_each(const struct control_deps *deps, const char *webhook, uint64_t message,
    received_visit *visit, void *arg)
{
	const struct spool_event_filter all = {0};
	struct question q = {.deps = deps,
	    .webhook =
		deps->settings == NULL ? NULL : settings_find_webhook(deps->settings, webhook),
	    .message = message,
	    .visit = visit,
	    .arg = arg};
	int r;

	if (q.webhook == NULL)
		return -ENOENT;
	(void)snprintf(q.receiver, sizeof(q.receiver), "webhook %s", webhook);
	r = spool_each_receiver(deps->spool, take_position, &q);
	/* ids of messages and of events come from one count, and the message's was first */
	return r < 0 ? r : spool_each_event(deps->spool, &all, message, RECEIVED_MAX, on_event, &q);
}

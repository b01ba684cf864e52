/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* jobs.c: see jobs.h. */
#include "broker/queue/delivery/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 10,
	FIRST_JOBS = 4,
	FIRST_JOBS_PER_SESSION = 2,
	PACKET_RESERVE = 4096, /* of a packet, for everything but body and recipients */
};

_Static_assert(JOBS_MAX <= 1 << SLOT_BITS, "a job's slot must fit its id");

struct delivery_message *
jobs_message_new(struct spool_message *m, struct queue_account *a)
{
	struct delivery_message *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->message = m;
	d->account = a;
	a->sending++;
	STAILQ_INIT(&d->planned);
	return d;
}

void
jobs_message_free(struct jobs *x, struct delivery_message *d, int64_t now)
{
	while (!STAILQ_EMPTY(&d->planned)) {
		struct delivery_job *j = STAILQ_FIRST(&d->planned);

		STAILQ_REMOVE_HEAD(&d->planned, entry);
		free(jobs_release(x, j, now));
	}
	d->account->sending--;
	(void)spool_message_free(d->message);
	free(d);
}

void
jobs_use(struct jobs *x, enum role_id transport, int by, int64_t now)
{
	x->transports[transport].uses += (unsigned)by;
	if (x->transports[transport].uses == 0)
		x->transports[transport].idle_since = now;
}

bool
jobs_is_idle(const struct jobs *x, enum role_id transport, int64_t before)
{
	return x->transports[transport].uses == 0 && x->transports[transport].idle_since <= before;
}

size_t *
jobs_release(struct jobs *x, struct delivery_job *j, int64_t now)
{
	struct queue_account *a = j->delivery->account;
	size_t *index = j->index;

	x->list[j->id & ((1 << SLOT_BITS) - 1)] = NULL;
	x->outstanding--;
	if (--a->outstanding == 0)
		a->idle_since = now;
	jobs_use(x, j->transport, -1, now);
	j->delivery->jobs--;
	free(j);
	return index;
}

static struct delivery_job *
add(struct jobs *x, struct delivery_message *d, size_t most, int64_t now)
{
	struct delivery_job *j = calloc(1, sizeof(*j));
	size_t slot = 0;

	if (j == NULL)
		return NULL;
	j->index = calloc(most, sizeof(*j->index));
	if (j->index == NULL) {
		free(j);
		return NULL;
	}
	while (x->list[slot] != NULL)
		slot++;
	x->list[slot] = j;
	j->id = ++x->sequence << SLOT_BITS | slot;
	j->delivery = d;
	j->transport = account_transport(d->account);
	j->round = d->account->schedule.round;
	x->outstanding++;
	jobs_use(x, j->transport, 1, now);
	d->account->outstanding++;
	d->jobs++;
	STAILQ_INSERT_TAIL(&d->planned, j, entry);
	return j;
}

struct delivery_job *
jobs_find(const struct jobs *x, uint64_t id)
{
	size_t slot = id & ((1 << SLOT_BITS) - 1);
	struct delivery_job *j = slot < JOBS_MAX ? x->list[slot] : NULL;

	return j != NULL && j->id == id ? j : NULL;
}

static unsigned
window_of(const struct queue_account *a)
{
	unsigned most = a->conf.sessions * JOBS_PER_SESSION;
	unsigned least = a->conf.sessions * FIRST_JOBS_PER_SESSION;

	if (least < FIRST_JOBS)
		least = FIRST_JOBS;
	if (a->window < least)
		return least;
	return a->window < most ? a->window : most;
}

void
jobs_widen(struct queue_account *a)
{
	a->window = window_of(a) + 2;
}

unsigned
jobs_room(const struct jobs *x, const struct queue_account *a, int64_t now)
{
	unsigned most = schedule_account_room(&a->schedule, now, window_of(a));
	unsigned room = most > a->outstanding ? most - a->outstanding : 0;
	unsigned all = JOBS_MAX - x->outstanding;

	return room < all ? room : all;
}

/* What a recipient takes of a packet. */
static size_t
recipient_size(const struct spool_recipient *r)
{
	return strlen(r->address) + (r->orcpt == NULL ? 0 : strlen(r->orcpt)) + 100;
}

int
jobs_plan(struct jobs *x, struct delivery_message *d, int64_t now)
{
	struct spool_message *m = d->message;
	size_t body = (m->flags & SPOOL_BODY_FILE) != 0 ? 0 : m->body_len;
	size_t most = JOBS_RECIPIENTS_MAX, size = 0;
	unsigned room = jobs_room(x, d->account, now);
	struct delivery_job *j = NULL;

	if (d->account->conf.recipients_max > 0 && d->account->conf.recipients_max < most)
		most = d->account->conf.recipients_max;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];

		if (!spool_recipient_waits(r) || r->next > now)
			continue;
		size += recipient_size(r);
		if (j == NULL || j->count == most || size > MESSAGE_MAX - PACKET_RESERVE - body) {
			if (room-- == 0)
				return 0;
			j = add(x, d, most, now);
			if (j == NULL)
				return -ENOMEM;
			size = recipient_size(r);
		}
		j->index[j->count++] = i;
		r->state = SPOOL_SENDING;
		r->next = SPOOL_NEVER;
	}
	return 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * clock.c: the role's clock.
 *
 * What is on disk is wall time. Within a run it is counted by CLOCK_BOOTTIME, from an offset that is
 * looked at again every few seconds: slow corrections are followed as they come. A step (a machine
 * without a battery that learns the time after boot, a person who sets it) is followed at one
 * point, here, together with all that waits: times that this run wrote move along, so that nothing
 * is tried late, nor given up or reported as delayed early, because somebody set the clock; times
 * of earlier runs were right, and what they say holds again.
 */
#include "broker/queue/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"

enum {
	STEP_US = 2 * 1000 * 1000, /* less is no step */
	LOOK_US = 100 * 1000,      /* longer between two looks at one clock: not looked at well */
	HALF_US = 500 * 1000,
	FLUSHES = 4,
	WAIT_MAX = 12 * 3600, /* seconds: no wait of any schedule is longer */
};

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
queue_now_us(const struct queue *q)
{
	return q->clock.offset_us + clock_us(CLOCK_BOOTTIME);
}

int64_t
queue_now(const struct queue *q)
{
	return queue_now_us(q) / 1000000;
}

uint64_t
queue_now_ms(void)
{
	return (uint64_t)(clock_us(CLOCK_BOOTTIME) / 1000);
}

uint32_t
queue_random(void)
{
	uint32_t random;

	/* For jitter alone: what the clock gives will do. */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = (uint32_t)clock_us(CLOCK_BOOTTIME);
	return random;
}

/* False where the process was kept waiting between the two clocks. */
static bool
read_offset(int64_t *ret)
{
	int64_t before = clock_us(CLOCK_BOOTTIME), wall = clock_us(CLOCK_REALTIME);
	int64_t after = clock_us(CLOCK_BOOTTIME);

	*ret = wall - before;
	return after - before < LOOK_US;
}

void
clock_start(struct queue *q)
{
	(void)read_offset(&q->clock.offset_us);
	q->clock.since = queue_now(q);
	q->clock.first = spool_new_id(q->spool, queue_now_us(q));
}

static bool
is_of_run(const struct spool_step *s, int64_t when)
{
	return when >= s->since && when <= s->until;
}

static void
shift(int64_t *when, const struct spool_step *s)
{
	if (is_of_run(s, *when))
		*when += s->delta;
}

/* What spool_shift does to the rows. */
static void
shift_message(struct spool_message *m, const struct spool_step *s)
{
	bool own = m->id >= s->first;

	if (own)
		m->expires += s->delta;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];

		if (r->next != SPOOL_NEVER && (own || is_of_run(s, r->at)))
			r->next += s->delta;
		shift(&r->at, s);
	}
}

/* Messages that are being sent: they are written back later. Several jobs may be of one. */
static void
shift_deliveries(struct queue *q, const struct spool_step *s)
{
	for (size_t i = 0; i < JOBS_MAX; i++) {
		const struct delivery_job *j = q->dispatch.jobs[i];
		size_t k = 0;

		if (j == NULL)
			continue;
		while (q->dispatch.jobs[k] == NULL || q->dispatch.jobs[k]->delivery != j->delivery)
			k++;
		if (k == i)
			shift_message(j->delivery->message, s);
	}
}

static void
shift_accounts(struct queue *q, const struct spool_step *s)
{
	for (size_t i = 0; i < q->account_count; i++) {
		struct queue_account *a = q->accounts[i];

		if (is_of_run(s, a->schedule.since))
			a->schedule.until += s->delta;
		else if (a->schedule.until > s->latest)
			a->schedule.until = s->latest;
		shift(&a->schedule.since, s);
		shift(&a->idle_since, s);
	}
	for (size_t i = 0; i < ROLE_COUNT; i++)
		shift(&q->dispatch.transports[i].idle_since, s);
}

/* Everything that is to be written by the old clock is; answering may bring more. */
static bool
flush(struct queue *q)
{
	for (int i = 0; i < FLUSHES; i++)
		if (turn_flush(q))
			return true;
	return false;
}

static void
step(struct queue *q, int64_t offset, int64_t delta)
{
	struct spool_step s = {.first = q->clock.first,
	    .since = q->clock.since,
	    .until = queue_now(q),
	    .delta = delta,
	    .latest = queue_now(q) + delta + WAIT_MAX};
	char seconds[32];
	int r = spool_shift(q->spool, &s);

	if (r < 0) {
		log_line(LOG_LEVEL_WARNING,
		    "The system's clock was set, and the spool cannot follow yet.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		return;
	}
	q->clock.offset_us = offset;
	q->clock.since += delta;
	shift_accounts(q, &s);
	shift_deliveries(q, &s);
	(void)snprintf(seconds, sizeof(seconds), "%+" PRId64, delta);
	log_line(LOG_LEVEL_NOTICE,
	    "The system's clock was set; what waits by its times goes along.",
	    LOG_PAIRS({LOG_OUTCOME, seconds}));
	if (dispatch_load(q) < 0)
		log_error("The spool cannot be read after the clock was set.");
	dispatch_run(q);
}

void
clock_follow(struct queue *q)
{
	int64_t offset, delta;

	if (!read_offset(&offset))
		return;
	delta = offset - q->clock.offset_us;
	if (delta > -STEP_US && delta < STEP_US)
		q->clock.offset_us = offset;
	else if (flush(q))
		step(q, offset, (delta + (delta > 0 ? HALF_US : -HALF_US)) / (2 * HALF_US));
}

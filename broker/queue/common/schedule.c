/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * schedule.c: see schedule.h.
 *
 * Many jobs of an account are under way at once, so one trouble comes back many times. Each job
 * carries the round in which it began; a change of the account's state begins a new round, and what
 * comes from an older one neither lengthens the wait again nor ends it.
 */
#include "broker/queue/common/schedule.h"

#include <string.h>

enum { MINUTE = 60, HOUR = 3600 };

static const int retry_delays[] = {
    1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR};

int64_t
schedule_jitter(int64_t delay, uint32_t random)
{
	int64_t spread = delay * 2 / 5;

	return delay - delay / 5 + (spread > 0 ? (int64_t)(random % (uint64_t)(spread + 1)) : 0);
}

int64_t
schedule_retry_delay(unsigned attempts, uint32_t random)
{
	size_t i = attempts == 0 ? 0 : attempts - 1;

	if (i >= ARRAY_SIZE(retry_delays))
		i = ARRAY_SIZE(retry_delays) - 1;
	return schedule_jitter(retry_delays[i], random);
}

int64_t
schedule_after_hold(int64_t lifetime)
{
	return lifetime < 24 * HOUR ? lifetime : 24 * HOUR;
}

int64_t
schedule_interrupted_delay(unsigned interrupted, uint32_t random)
{
	return interrupted < 2 ? random % 3
			       : SCHEDULE_INTERRUPTED_DELAY + random % SCHEDULE_INTERRUPTED_DELAY;
}

/* ---- outcomes ---- */

static const char *const state_names[SCHEDULE_STATE_COUNT] = {
    [SCHEDULE_ACTIVE] = "active",
    [SCHEDULE_UNREACHABLE] = "unreachable",
    [SCHEDULE_THROTTLED] = "throttled",
    [SCHEDULE_REFUSED] = "refused",
    [SCHEDULE_NEEDS_AUTHORIZATION] = "needs-authorization",
    [SCHEDULE_CLIENT_ERROR] = "client-error",
    [SCHEDULE_CONFIGURATION] = "configuration",
    [SCHEDULE_HELD] = "held",
};

const char *
schedule_state_name(enum schedule_state state)
{
	return (unsigned)state < SCHEDULE_STATE_COUNT ? state_names[state] : "unknown";
}

enum schedule_state
schedule_state_by_name(const char *name)
{
	for (unsigned i = 0; i < SCHEDULE_STATE_COUNT; i++)
		if (strcmp(state_names[i], name) == 0)
			return (enum schedule_state)i;
	return SCHEDULE_NEEDS_AUTHORIZATION;
}

/* Nothing was said about a message yet: whatever failed concerns all of the account's mail. */
static bool
before_mail(enum smtp_stage stage)
{
	return stage > SMTP_STAGE_NONE && stage < SMTP_STAGE_MAIL;
}

struct schedule_verdict
schedule_verdict(const struct smtp_reply *reply, const struct diagnosis *diagnosis)
{
	struct schedule_verdict v = {.recipient = SCHEDULE_REQUEUED, .account = SCHEDULE_ACTIVE};

	if (reply->code >= 200 && reply->code < 300) {
		v.recipient = SCHEDULE_DELIVERED;
		return v;
	}
	if (reply->in_doubt) {
		v.recipient = SCHEDULE_IN_DOUBT;
		return v;
	}
	v.delay = diagnosis->delay > reply->retry_after ? diagnosis->delay : reply->retry_after;
	switch (diagnosis->retry) {
	case RETRY_TRANSIENT:
		if (before_mail(reply->stage))
			v.account = SCHEDULE_UNREACHABLE;
		else
			v.recipient = SCHEDULE_DEFERRED;
		break;
	case RETRY_PERMANENT_MESSAGE:
		v.recipient = SCHEDULE_BOUNCED;
		break;
	case RETRY_PERMANENT_ACCOUNT:
		v.account = SCHEDULE_REFUSED;
		break;
	case RETRY_NEEDS_AUTHORIZATION:
		v.account = SCHEDULE_NEEDS_AUTHORIZATION;
		break;
	case RETRY_THROTTLED:
		v.account = SCHEDULE_THROTTLED;
		break;
	case RETRY_CONFIGURATION:
		v.account = SCHEDULE_CONFIGURATION;
		break;
	}
	return v;
}

/* ---- accounts ---- */

enum schedule_state
schedule_account_state(const struct schedule_account *a)
{
	if (a->held)
		return SCHEDULE_HELD;
	return a->keeper != SCHEDULE_ACTIVE ? a->keeper : a->server;
}

unsigned
schedule_account_room(const struct schedule_account *a, int64_t now, unsigned most)
{
	if (a->held || a->keeper != SCHEDULE_ACTIVE)
		return 0;
	if (a->server == SCHEDULE_ACTIVE)
		return most;
	return now >= a->until ? 1 : 0;
}

int64_t
schedule_account_wake(const struct schedule_account *a, int64_t now)
{
	if (a->held || a->keeper != SCHEDULE_ACTIVE || a->server == SCHEDULE_ACTIVE ||
	    a->until <= now)
		return SCHEDULE_NEVER;
	return a->until;
}

static int64_t
grow(int first, int most, unsigned failures)
{
	int64_t wait = first;

	for (unsigned i = 1; i < failures && wait < most; i++)
		wait *= 2;
	return wait < most ? wait : most;
}

static int64_t
wait_for(enum schedule_state state, unsigned delay, unsigned failures)
{
	int64_t wait;

	switch (state) {
	case SCHEDULE_UNREACHABLE:
		wait = grow(30, 15 * MINUTE, failures);
		break;
	case SCHEDULE_THROTTLED:
		/* Jitter must not make it less than what the server asked for. */
		if (delay > 0)
			return delay + delay / 4;
		wait = grow(MINUTE, HOUR, failures);
		break;
	default:
		wait = grow(15 * MINUTE, 6 * HOUR, failures);
		break;
	}
	return wait > (int64_t)delay ? wait : (int64_t)delay;
}

bool
schedule_account_result(struct schedule_account *a, unsigned round,
    const struct schedule_verdict *v, int64_t now, uint32_t random)
{
	bool changed = a->server != v->account;

	if (round != a->round)
		return false;
	if (v->account == SCHEDULE_ACTIVE) {
		if (!changed)
			return false;
		a->failures = 0;
		a->until = 0;
	} else {
		a->failures = changed && a->server != SCHEDULE_ACTIVE ? 1 : a->failures + 1;
		a->until =
		    now + schedule_jitter(wait_for(v->account, v->delay, a->failures), random);
	}
	if (changed)
		a->since = now;
	a->server = v->account;
	a->round++;
	return changed;
}

static bool
is_of_credential(enum schedule_state s)
{
	return s == SCHEDULE_NEEDS_AUTHORIZATION || s == SCHEDULE_REFUSED;
}

static void
forget_server(struct schedule_account *a)
{
	a->server = SCHEDULE_ACTIVE;
	a->failures = 0;
	a->until = 0;
	a->round++;
}

bool
schedule_account_renewed(struct schedule_account *a, int64_t when)
{
	enum schedule_state before = schedule_account_state(a);

	if (when >= a->since && is_of_credential(a->server))
		forget_server(a);
	return before != schedule_account_state(a);
}

bool
schedule_account_moved(struct schedule_account *a)
{
	enum schedule_state before = schedule_account_state(a);

	if (a->server != SCHEDULE_ACTIVE)
		forget_server(a);
	return before != schedule_account_state(a);
}

bool
schedule_account_keeper(struct schedule_account *a, enum schedule_state state)
{
	enum schedule_state before = schedule_account_state(a);
	bool usable_again = a->keeper != SCHEDULE_ACTIVE && state == SCHEDULE_ACTIVE;

	a->keeper = state;
	if (usable_again && is_of_credential(a->server))
		forget_server(a);
	return before != schedule_account_state(a);
}

void
schedule_account_retry(struct schedule_account *a, int64_t now)
{
	a->failures = 0;
	/* One that is trying already goes on, and its result counts. */
	if (a->server == SCHEDULE_ACTIVE || a->until <= now)
		return;
	a->until = now;
	a->round++;
}

/* ---- fairness ---- */

size_t
schedule_take_turn(size_t *cursor, size_t count, bool (*ready)(void *arg, size_t i), void *arg)
{
	for (size_t n = 0; n < count; n++) {
		size_t i = (*cursor + n) % count;

		if (!ready(arg, i))
			continue;
		*cursor = (i + 1) % count;
		return i;
	}
	return count;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* count.c: see count.h. */
#include "broker/queue/accounts/count.h"

#include <string.h>

void
count_outcome(struct count *c, enum spool_state state, enum count_cause cause, int64_t age)
{
	uint64_t ms = age < 0 ? 0 : (uint64_t)age / 1000;
	size_t bucket = 0;

	switch (state) {
	case SPOOL_DELIVERED:
		c->delivered++;
		while (bucket < METRIC_BOUNDS && ms > metric_bounds[bucket])
			bucket++;
		c->buckets[bucket]++;
		c->milliseconds += ms;
		break;
	case SPOOL_QUEUED:
	case SPOOL_DEFERRED:
		c->deferred[cause]++;
		break;
	case SPOOL_BOUNCED:
		c->bounced++;
		break;
	case SPOOL_FAILED:
		c->failed++;
		break;
	case SPOOL_HELD:
		c->held++;
		break;
	default:
		break;
	}
}

enum count_cause
count_cause(const struct schedule_verdict *v)
{
	if (v->recipient == SCHEDULE_IN_DOUBT)
		return COUNT_IN_DOUBT;
	return v->account == SCHEDULE_ACTIVE
		   ? COUNT_TRANSIENT
		   : (enum count_cause)(COUNT_ACCOUNT + (unsigned)v->account);
}

void
count_session(struct count *c, const char *state)
{
	if (strcmp(state, "failed") == 0) {
		c->unopened++;
	} else if (strcmp(state, "opened") == 0) {
		c->opened++;
		c->sessions++;
	} else if (c->sessions > 0) {
		c->sessions--;
	}
}

static const char *
cause_name(unsigned cause)
{
	static const char *const names[COUNT_ACCOUNT] = {[COUNT_TRANSIENT] = "transient",
	    [COUNT_IN_DOUBT] = "in-doubt",
	    [COUNT_INTERRUPTED] = "interrupted"};

	return cause < COUNT_ACCOUNT ? names[cause] : schedule_state_name(cause - COUNT_ACCOUNT);
}

void
count_put(const struct count *c, struct message *row)
{
	metric_put(row, METRIC_DELIVERED, NULL, c->delivered);
	for (unsigned i = 0; i < COUNT_CAUSES; i++)
		/* an account that works, or that a person holds, defers nothing */
		if (i != COUNT_ACCOUNT + SCHEDULE_ACTIVE && i != COUNT_ACCOUNT + SCHEDULE_HELD)
			metric_put(row, METRIC_DEFERRED, cause_name(i), c->deferred[i]);
	metric_put(row, METRIC_BOUNCED, NULL, c->bounced);
	metric_put(row, METRIC_FAILED, NULL, c->failed);
	metric_put(row, METRIC_HELD, NULL, c->held);
	for (unsigned i = 0; i <= METRIC_BOUNDS; i++)
		metric_put(row, METRIC_DELIVERY, NULL, c->buckets[i]);
	metric_put(row, METRIC_DELIVERY, METRIC_SUM, c->milliseconds);
	metric_put(row, METRIC_SESSIONS, NULL, c->sessions);
	metric_put(row, METRIC_OPENED, NULL, c->opened);
	metric_put(row, METRIC_UNOPENED, NULL, c->unopened);
}

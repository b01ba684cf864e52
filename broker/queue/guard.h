/*
 * guard.h: who failed to log in too often has to wait. Counted by where it comes from (the user of a
 * loopback connection, or the address), never by the service that is named: else anybody could
 * keep a service out.
 */
#ifndef FRANK_BROKER_QUEUE_GUARD_H
#define FRANK_BROKER_QUEUE_GUARD_H

#include "broker/queue/policy.h"

enum {
	GUARD_PLACES = 64,   /* remembered; the one that failed longest ago is forgotten first */
	GUARD_FAILURES = 20, /* at once, */
	GUARD_PERIOD_MS = 60000, /* and as many again in this time */
	GUARD_NAME_MAX = 64,
};

struct guard {
	struct {
		char from[GUARD_NAME_MAX]; /* "" : free */
		struct policy_bucket failures;
	} places[GUARD_PLACES];
};

/* Has `from` failed too often, so that it is not to be listened to now? */
bool guard_bars(const struct guard *g, const char *from, uint64_t now_ms);
/* It failed once more. True: that was the last one allowed for now. */
bool guard_count(struct guard *g, const char *from, uint64_t now_ms);

#endif

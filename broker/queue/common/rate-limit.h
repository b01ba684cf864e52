/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rate-limit.h: at most so many in any stretch of a minute or a day. Pure: no clock, no allocation.
 *
 * A sliding window: what is spent counts until a whole period has passed since. A token bucket, which is refilled
 * while it is emptied, would let nearly twice the rate through in its first period, and a provider counts (Exchange
 * Online: "30 messages per minute").
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_RATE_LIMIT_H
#define FRANK_BROKER_QUEUE_COMMON_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RATE_LIMIT_SLOTS = 32,
	RATE_LIMIT_MINUTE = 60 * 1000,
	RATE_LIMIT_DAY = 24 * 3600 * 1000,
};

/* Zero-initialised, nothing is spent. Its owner uses one period with it. */
struct rate_limit {
	uint64_t slot; /* the latest that something was counted in */
	uint32_t spent[RATE_LIMIT_SLOTS +
		       1]; /* by slot, the period's 32nd part; the current one is not over yet */
};

/* How long, in milliseconds, until one more fits: 0 for now, at most 33/32 of `period`. `now` and `period` are in
 * milliseconds; `now` is of a clock that is never set. A rate of 0 is no limit. */
uint64_t rate_limit_wait(const struct rate_limit *l, unsigned rate, uint64_t period, uint64_t now);

/* Counts `count` at `at`, which is at most a period before the latest that was counted (what is older is left out)
 * and may be before the clock's own beginning. Counts whatever the rate is, and beyond it: a rate that is configured
 * later finds what was spent. */
void rate_limit_spend(struct rate_limit *l, uint64_t period, int64_t at, unsigned count);

/* What was spent in `from` counts in `to` as well; both are of the same period. */
void rate_limit_add(struct rate_limit *to, const struct rate_limit *from);

/* Takes back one of what was spent last. */
void rate_limit_give_back(struct rate_limit *l);

/* Is nothing spent? Then it can be forgotten. */
bool rate_limit_is_idle(const struct rate_limit *l, uint64_t period, uint64_t now);

#endif

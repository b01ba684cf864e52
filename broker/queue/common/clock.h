/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * clock.h: the role's clock.
 *
 * What is on disk is wall time. Within a run it is counted by CLOCK_BOOTTIME, from an offset that is
 * read again every few seconds, so slow corrections are followed as they come. A step (a machine
 * without a battery that learns the time after boot, a person who sets the clock) changes nothing by
 * itself: the owner asks clock_was_set, moves all that waits along, and then calls clock_set.
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_CLOCK_H
#define FRANK_BROKER_QUEUE_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct clock {
	int64_t offset_us; /* added to CLOCK_BOOTTIME it gives wall time */
};

void clock_start(struct clock *c);
/* Wall time since 1970, in seconds and in microseconds. Jumps in clock_set alone. */
int64_t clock_now(const struct clock *c);
int64_t clock_now_us(const struct clock *c);

/* Has the system's clock been set? Then *ret_delta is by how many seconds, and *ret_offset is for
 * clock_set. False also where it cannot be told now. */
bool clock_was_set(struct clock *c, int64_t *ret_offset_us, int64_t *ret_delta);
void clock_set(struct clock *c, int64_t offset_us);

/* Milliseconds of CLOCK_BOOTTIME, which is never set. */
uint64_t clock_ms(void);
/* A random number for jitter and hash seeds; not for secrets. */
uint32_t clock_random(void);
/* Appends the time of day as Date has it (RFC 5322), with the local offset. 0 or negative errno. */
int clock_date(struct buf *out);

#endif

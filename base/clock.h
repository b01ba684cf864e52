/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * clock.h: the clock that periods within one run are measured by.
 */
#ifndef FRANK_BASE_CLOCK_H
#define FRANK_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_BOOTTIME: it goes on while the machine sleeps, and never jumps. */
static inline uint64_t
clock_boottime_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif

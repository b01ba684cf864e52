/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* clock.c: see clock.h. */
#include "broker/keeper/accounts/clock.h"

#include <time.h>

struct machine_now
clock_now(void)
{
	struct timespec boot, wall;

	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return (struct machine_now){
	    .boot = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000, .wall = wall.tv_sec};
}

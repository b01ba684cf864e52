/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* clock.c: see clock.h. */
#include "broker/queue/common/clock.h"

#include <sys/random.h>
#include <time.h>

#include "broker/message/fields.h"

enum {
	STEP_US = 2 * 1000 * 1000, /* a smaller difference is a correction, not a step */
	LOOK_US = 100 * 1000, /* a longer time between two looks at one clock spoils the reading */
	HALF_US = 500 * 1000,
};

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_now_us(const struct clock *c)
{
	return c->offset_us + clock_us(CLOCK_BOOTTIME);
}

int64_t
clock_now(const struct clock *c)
{
	return clock_now_us(c) / 1000000;
}

uint64_t
clock_ms(void)
{
	return (uint64_t)(clock_us(CLOCK_BOOTTIME) / 1000);
}

uint32_t
clock_random(void)
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
clock_start(struct clock *c)
{
	(void)read_offset(&c->offset_us);
}

bool
clock_was_set(struct clock *c, int64_t *ret_offset_us, int64_t *ret_delta)
{
	int64_t offset, delta;

	if (!read_offset(&offset))
		return false;
	delta = offset - c->offset_us;
	if (delta > -STEP_US && delta < STEP_US) {
		c->offset_us = offset;
		return false;
	}
	*ret_offset_us = offset;
	*ret_delta = (delta + (delta > 0 ? HALF_US : -HALF_US)) / (2 * HALF_US);
	return true;
}

void
clock_set(struct clock *c, int64_t offset_us)
{
	c->offset_us = offset_us;
}

int
clock_date(struct buf *out)
{
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL)
		tm.tm_gmtoff = 0;
	return fields_date(out, now, (int)(tm.tm_gmtoff / 60));
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rate-limit.c: see rate-limit.h.
 *
 * Time is cut into slots of a 32nd of the period, numbered from a period before the clock began, so that what was
 * spent before that has a number too. What is spent in a slot counts in it and in the 32 slots after it: a whole
 * period at least, whenever within the slot it was.
 */
#include "broker/queue/common/rate-limit.h"

#include <stddef.h>

static uint64_t
slot_of(int64_t at, uint64_t period)
{
	int64_t since = at + (int64_t)period;

	return since < 0 ? 0 : (uint64_t)since * RATE_LIMIT_SLOTS / period;
}

static size_t
place_of(uint64_t slot)
{
	return slot % (RATE_LIMIT_SLOTS + 1);
}

/* The earliest slot that still counts in `slot`. */
static uint64_t
first_of(uint64_t slot)
{
	return slot > RATE_LIMIT_SLOTS ? slot - RATE_LIMIT_SLOTS : 0;
}

static uint64_t
spent_at(const struct rate_limit *l, uint64_t slot)
{
	uint64_t sum = 0;

	for (uint64_t s = first_of(slot); s <= l->slot; s++)
		sum += l->spent[place_of(s)];
	return sum;
}

uint64_t
rate_limit_wait(const struct rate_limit *l, unsigned rate, uint64_t period, uint64_t now)
{
	uint64_t slot = slot_of((int64_t)now, period), spent, ends;

	if (rate == 0)
		return 0;
	if (slot < l->slot)
		slot = l->slot;
	spent = spent_at(l, slot);
	if (spent < rate)
		return 0;
	for (; spent >= rate; slot++)
		spent -= l->spent[place_of(first_of(slot))] * (slot >= RATE_LIMIT_SLOTS);
	ends = (slot * period + RATE_LIMIT_SLOTS - 1) / RATE_LIMIT_SLOTS - period;
	return ends > now ? ends - now : 0;
}

static void
spend_in_slot(struct rate_limit *l, uint64_t slot, uint32_t count)
{
	uint32_t *spent;

	if (slot < first_of(l->slot))
		return;
	for (uint64_t s = l->slot + 1; s <= slot && s <= l->slot + RATE_LIMIT_SLOTS + 1; s++)
		l->spent[place_of(s)] = 0;
	if (slot > l->slot)
		l->slot = slot;
	spent = &l->spent[place_of(slot)];
	*spent = count > UINT32_MAX - *spent ? UINT32_MAX : *spent + count;
}

void
rate_limit_spend(struct rate_limit *l, uint64_t period, int64_t at, unsigned count)
{
	spend_in_slot(l, slot_of(at, period), count);
}

void
rate_limit_add(struct rate_limit *to, const struct rate_limit *from)
{
	for (uint64_t s = first_of(from->slot); s <= from->slot; s++)
		if (from->spent[place_of(s)] > 0)
			spend_in_slot(to, s, from->spent[place_of(s)]);
}

void
rate_limit_give_back(struct rate_limit *l)
{
	for (uint64_t s = l->slot;; s--) {
		if (l->spent[place_of(s)] > 0) {
			l->spent[place_of(s)]--;
			return;
		}
		if (s == first_of(l->slot))
			return;
	}
}

bool
rate_limit_is_idle(const struct rate_limit *l, uint64_t period, uint64_t now)
{
	return spent_at(l, slot_of((int64_t)now, period)) == 0;
}

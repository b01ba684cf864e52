/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * space.h: how much mail may still be taken, by the space on the file system of the spool.
 *
 * Mail is refused for now (452) below a floor of free space (min-free), so that what is left is for
 * what was taken already: its results, reports, tokens. The drop directory lies on the same file
 * system, where what is taken from it frees as much as it needs: for that the floor is lower. And no
 * service may have more of the disk than its quota (max-queue); where several services are configured
 * and one has none, no more than it leaves to the others.
 *
 * The system is asked at most every quarter of a second: in between what was taken is subtracted.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_SPACE_H
#define FRANK_BROKER_QUEUE_SPOOL_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/queue/spool/spool.h"

struct space;

/* `folder` is borrowed for good: it lies on the file system of the spool. NULL: no memory. */
struct space *space_new(struct spool *spool, int folder);
/* What the configuration says: the floor (0: by the size of the file system), and how many services
 * there are. */
void space_configure(struct space *s, uint64_t min_free, size_t services);

/* Mail that is to be taken. */
struct space_claim {
	const char *service; /* NULL: of none */
	uint64_t quota;      /* octets that the service may have; 0: none is set */
	uint64_t octets;     /* as far as they are known */
	uint64_t written;    /* of those are on the disk already */
	bool dropped;        /* it comes from the drop directory */
};

/* Why it is not taken now; NULL where it is. */
const char *space_refusal(struct space *s, const struct space_claim *c);
/* So much goes to the disk. */
void space_taken(struct space *s, uint64_t octets);
/* Now and then: true when the space is up since the last call, or is there again; `ret_text` says so to
 * people. */
bool space_look(struct space *s, struct buf *ret_text);
/* What space_look has said in the last run. */
void space_was_low(struct space *s, bool low);
/* Is mail refused for want of space? */
bool space_is_low(struct space *s);
/* Octets that are free, as far as the system says (0: it does not), and the floor. */
void space_numbers(struct space *s, uint64_t *ret_free, uint64_t *ret_floor);
/* Appends what is free, and the floor, in words for people. */
void space_describe(struct space *s, struct buf *out);

#endif

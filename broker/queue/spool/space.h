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

#include "base/buf.h"

struct queue;
struct service;

struct space {
	uint64_t available, total; /* octets; total 0: the file system does not say */
	uint64_t files;            /* names that may still be made; UINT64_MAX: not known */
	uint64_t asked;            /* of clock_ms; 0: never */
	bool low;                  /* people were told so */
};

/* Mail that is to be taken. */
struct space_claim {
	const struct service *service; /* NULL: of none */
	uint64_t octets;               /* as far as they are known */
	uint64_t written;              /* of those are on the disk already */
	bool dropped;                  /* it comes from the drop directory */
};

/* Why it is not taken now; NULL where it is. */
const char *space_refusal(struct queue *q, const struct space_claim *c);
/* So much goes to the disk. */
void space_taken(struct queue *q, uint64_t octets);
/* Now and then: tells people when there is no space, and when there is again; holds ready what the
 * spool needs. */
void space_look(struct queue *q);
/* Is mail refused for want of space? */
bool space_is_low(struct queue *q);
/* What is free, and the floor, in words for people. */
void space_describe(struct queue *q, struct buf *out);

#endif

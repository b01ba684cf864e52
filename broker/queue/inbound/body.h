/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * body.h: where a finished message goes while it is handed in: memory, or the file of its body once
 * it is larger than SPOOL_INLINE_MAX, so that messages of any size take little memory.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_BODY_H
#define FRANK_BROKER_QUEUE_INBOUND_BODY_H

#include "broker/queue/common/clock.h"
#include "broker/queue/spool/spool.h"
#include "broker/message/recode.h"

struct body {
	struct spool *spool;
	uint64_t id; /* of the message */
	struct buf small;
	int fd; /* -1 while it is small */
	uint64_t size;
};

/* Empty, with a new id. */
void body_init(struct body *b, struct spool *spool, const struct clock *clock);
/* Appends. 0 or negative errno. */
int body_write(struct body *b, const char *bytes, size_t len);
/* Its first octets, as many as `ret` may hold at most. 0 or negative errno. */
int body_start(const struct body *b, struct buf *ret);
/* Passes all of it through a recoder: 0 or negative errno. */
int body_recode(const struct body *b, struct recode *r);
/* Releases what it holds; the file as well unless it belongs to a message now (`keep`). */
void body_clear(struct body *b, bool keep);

#endif

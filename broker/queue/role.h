/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * role.h: what main.c (and a test that runs the role) needs of queue.
 */
#ifndef FRANK_BROKER_QUEUE_ROLE_H
#define FRANK_BROKER_QUEUE_ROLE_H

#include "broker/queue/queue.h"

extern const struct role_def queue_role;

/* After the loop, whose events are gone: what has to be on record is written, and the spool is
 * closed. The process ends, and its memory with it. */
void queue_close(struct queue *q);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * drop.h: the drop directory, where the shim leaves messages while frankd is down.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_DROP_H
#define FRANK_BROKER_QUEUE_INBOUND_DROP_H

#include "broker/queue/inbound/inbound.h"

struct drop;

/* NULL: no memory. */
struct drop *drop_new(struct inbound *in, int dir);
/* Looks for files now. */
void drop_scan(struct drop *d);
/* How many files lie there that are not taken in. */
size_t drop_aside(const struct drop *d);

#endif

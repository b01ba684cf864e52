/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * octets.h: how many octets of the disk the open mail of each service takes. Memory only: what a
 * transaction changes counts once the transaction is committed.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_OCTETS_H
#define FRANK_BROKER_QUEUE_SPOOL_OCTETS_H

#include <stdbool.h>
#include <stdint.h>

struct octets;

/* NULL: no memory. */
struct octets *octets_new(void);
/* Takes NULL; returns NULL. */
struct octets *octets_free(struct octets *o);
/* Within a transaction: the service takes `by` more, or less. Counts nothing where memory is out. */
void octets_change(struct octets *o, const char *service, int64_t by);
/* The transaction is over. */
void octets_settle(struct octets *o, bool committed);
/* What the service takes, of what is committed. */
uint64_t octets_of(struct octets *o, const char *service);

#endif

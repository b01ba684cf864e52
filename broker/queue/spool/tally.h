/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tally.h: what the open mail of each service, or of each account, comes to. Memory only, so that asking
 * costs the same however much mail there is; what a transaction changes counts once the transaction is
 * committed.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_TALLY_H
#define FRANK_BROKER_QUEUE_SPOOL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct tally;

/* Of the open messages under one name. */
struct tally_sums {
	int64_t octets;   /* on the disk */
	int64_t messages; /* all of them */
	int64_t waiting;  /* of these: a recipient waits to be tried */
	int64_t captured; /* of these: stored, never sent */
};

/* NULL: no memory. */
struct tally *tally_new(void);
/* Takes NULL; returns NULL. */
struct tally *tally_free(struct tally *t);
/* Within a transaction: `by` is added, or with `gone` taken away. Counts nothing where memory is out. */
void tally_change(struct tally *t, const char *name, const struct tally_sums *by, bool gone);
/* The transaction is over. */
void tally_settle(struct tally *t, bool committed);
/* The sums of what is committed; none is below 0. */
struct tally_sums tally_of(struct tally *t, const char *name);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store.h: takes messages that were handed in: onto the disk, and then to their accounts.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_STORE_H
#define FRANK_BROKER_QUEUE_INBOUND_STORE_H

#include "broker/queue/inbound/inbound.h"

struct store;

/* The commit is over: r 0, or negative errno and nothing is stored. `is_new` false: a message with
 * its submission id was stored before, and this one was not. */
typedef void store_done(void *arg, const struct spool_message *m, int r, bool is_new);

/*
 * Stores the message at the end of this turn; it is taken, and counts against the service's rates.
 * Its body is in memory, or in its file and synced. `done` is called once, later. NULL: no memory,
 * and the message is still the caller's.
 */
struct store *store_message(
    struct inbound *in, struct service *v, struct spool_message *m, store_done *done, void *arg);
/* Mail of the account bears signatures by these keys (dkim.h): they are on record with this turn if they are new. `a`
 * may be NULL. */
void store_signed(struct inbound *in, struct queue_account *a, const char *keys);
/* `done` will not be called; the message is stored all the same. */
void store_forget(struct store *s);

#endif

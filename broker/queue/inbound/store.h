/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store.h: stores a message that was handed in, and passes it on to be sent.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_STORE_H
#define FRANK_BROKER_QUEUE_INBOUND_STORE_H

#include "broker/queue/inbound/inbound.h"

struct pending_store;

/* The commit is over. Negative errno: nothing is stored. With r 0, `is_new` false means that a message with
 * this submission id was stored before, and this one was not. */
typedef void store_done(void *arg, const struct spool_message *m, int r, bool is_new);

/*
 * Takes the message, stores it with the next commit, and counts it against the service's rates. Its body
 * is in memory, or in its file and synced. `done` is called once, later. NULL: no memory, and the message
 * is still the caller's.
 */
struct pending_store *store_message(
    struct inbound *in, struct service *v, struct spool_message *m, store_done *done, void *arg);
/* Mail of the account is signed with these keys (dkim.h): records those that are new. `a` may be NULL. */
void store_signed(struct inbound *in, struct queue_account *a, const char *keys);
/* `done` will not be called; the message is stored all the same. */
void store_forget(struct pending_store *s);

#endif

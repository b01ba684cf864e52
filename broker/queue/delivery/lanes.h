/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * lanes.h: who waits. A lane is the mail of one account and one service that waits in the spool.
 * Lanes are served in turn, so that neither a busy service nor a busy account keeps others waiting. No
 * I/O.
 */
#ifndef FRANK_BROKER_QUEUE_DELIVERY_LANES_H
#define FRANK_BROKER_QUEUE_DELIVERY_LANES_H

#include "broker/queue/accounts/account.h"

struct lane {
	struct queue_account *account;
	char *service;
	int64_t next; /* when the first message is due */
	bool served;  /* in this run of the dispatcher */
};

struct lanes {
	struct lane *list;
	size_t count, room;
	size_t turn; /* the cursor of schedule_take_turn */
};

/* A message of this account and service is to be tried at `next`. 0 or -ENOMEM. */
int lanes_wait(struct lanes *l, struct queue_account *a, const char *service, int64_t next);
/* Does mail of this account wait that is due? */
bool lanes_is_due(const struct lanes *l, const struct queue_account *a, int64_t now);
/* Drops lanes in which nothing waits, or all of them. */
void lanes_drop_empty(struct lanes *l);
void lanes_drop_all(struct lanes *l);

#endif

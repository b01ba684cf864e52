/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * users.h: names and groups of callers. A role cannot reach the user database (which may ask the network), so it asks
 * main by uid, and keeps answers for some minutes.
 *
 * It also decides whom a uid counts as where something is limited for each user: all uids without a name count as one
 * user, because a user with a range of subordinate uids (subuid(5)) has as many uids as connections.
 */
#ifndef FRANK_BROKER_ROLE_USERS_H
#define FRANK_BROKER_ROLE_USERS_H

#include "broker/ipc/channel.h"

struct user {
	uint32_t uid;
	char *name, *full_name; /* name "": it has none */
	uint32_t *groups;
	size_t group_count;
};

typedef void users_ready(void *arg, const struct user *u);

struct users;

/* The channel to main is borrowed. NULL: no memory. */
struct users *users_new(struct channel *to_main);
/* Nobody may be waiting. Takes NULL; returns NULL. */
struct users *users_free(struct users *u);

/* The user of this uid. NULL: not known yet; `ready` (may be NULL) is called later, when it is. */
const struct user *users_get(struct users *u, uint32_t uid, users_ready *ready, void *arg);
/* `arg` will not be called. */
void users_forget(struct users *u, void *arg);
/* USER_ANSWER of main. Whoever is called may ask and forget. */
void users_answer(struct users *u, const struct message *m);

/* Whom the uid counts as: itself where it is known to have a name, else CALLER_UID_OVERFLOW. Root
 * has one. */
uint32_t users_bucket(const struct users *u, uint32_t uid);
/* The same in words, for the log: "uid 1000", "uids without a name". */
void users_name_bucket(uint32_t bucket, char *to, size_t size);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * users.h: names and groups of callers. The user database is out of a role's reach (and may ask the
 * network), so main is asked by uid; answers are kept for some minutes.
 *
 * Here is decided, too, whom a uid counts as where something is limited for each user: uids without
 * a name are one user, because whoever has a range of subordinate uids (subuid(5)) has as many as
 * there may be connections.
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

/* What is known of this uid, or NULL: then `ready`, where that is not NULL, is called once it is
 * (never from within this call). */
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

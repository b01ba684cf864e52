/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * places.h: who may stay connected to a socket that has places for so many clients.
 *
 * Clients are bounded for each caller (all uids without a name are one: users.h), and in all. A
 * caller that has all of its places gets another by losing the client that has been idle longest.
 * When all places are taken, the caller that has most loses one to a caller that has fewer. Some
 * places are for root and administrators alone, who lose none to others. A client that stays idle
 * is ended after a while, so that every place is free again some time.
 */
#ifndef FRANK_BROKER_ROLE_PLACES_H
#define FRANK_BROKER_ROLE_PLACES_H

#include <event2/event.h>

#include "broker/role/caller.h"
#include "broker/role/users.h"

struct places_config {
	unsigned most;      /* clients in all */
	unsigned kept;      /* of them for those who are CALLER_IS_EXEMPT */
	unsigned most_each; /* of one caller, who is not */
	unsigned idle_seconds;
};

struct place;

struct places_ops {
	/* Nothing that it asked for is under way, or what is waits for the client itself. */
	bool (*is_idle)(const struct place *p);
	/* Ends the client; place_leave is called from within. */
	void (*end)(struct place *p);
};

struct client_places {
	const struct places_config *config;
	const struct places_ops *ops;
	struct users *users;
	struct place *first, **last; /* longest without activity first */
	unsigned count, ordinary;
};

/* Embedded in a client as its first member; zeroed before. */
struct place {
	struct place *next, **at;
	struct client_places *all;
	struct event *timer;
	uint32_t uid;
	bool exempt;
	bool known; /* whether the uid has a name */
	bool named;
};

/* Everything is borrowed. */
void places_init(struct client_places *all, struct users *users, const struct places_config *config,
    const struct places_ops *ops);

/* A place for this caller, whose rights (enum caller_right) are known; others may be ended for it.
 * False: there is none, or no memory. */
bool place_take(struct client_places *all, struct place *p, struct event_base *base, uint32_t uid,
    unsigned rights);
/* The client did something, or something was done for it. */
void place_touch(struct place *p);
/* Takes one that has none. */
void place_leave(struct place *p);
/* Whom the client counts as: its uid, or CALLER_UID_OVERFLOW. */
uint32_t place_bucket(const struct place *p);

#endif

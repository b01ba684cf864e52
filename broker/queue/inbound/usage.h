/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * usage.h: what one caller takes of the queue: connections, octets and memory of messages being handed in, messages and failed
 * logins a minute. Bounded by the `limits` of the configuration, so that nobody takes what others need.
 *
 * A caller is a user of this host; all uids without a name are one, since whoever has a range of subordinate uids has as many as
 * it likes. All who come through a service's own socket are one. On a listener, where nobody is known, it is the other machine.
 * Until main has said whether a uid has a name it is held to its own limits alone, and counted with those that have none.
 *
 * What the table of caller.h exempts has four times the connections, and no other bound.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_USAGE_H
#define FRANK_BROKER_QUEUE_INBOUND_USAGE_H

#include "broker/queue/inbound/entrance.h"

struct usage;
struct usages;

/* Checks (control/check.c) of one account, or by one caller, in so many milliseconds; administrators are not
 * counted. */
enum { CHECK_RATE = 5, CHECK_PERIOD = 600 * 1000 };

/* `crowded` is called when callers turn out to count as one and to have too many connections together. NULL: no
 * memory. */
struct usages *usages_new(void (*crowded)(void *arg), void *arg);

/* The caller's record, shared by all its sessions; to be given back by usage_drop. NULL: no memory. */
struct usage *usage_take(struct inbound *in, const struct caller *c);
/* Takes NULL. */
void usage_drop(struct usage *u);

/* One connection more, where that is allowed; usage_disconnect gives it back. */
bool usage_connect(const struct inbound *in, struct usage *u);
void usage_disconnect(struct usage *u);
/* Connections of all that count with it; and of those whose limits it is held to now. */
unsigned usage_connections(const struct usage *u);
unsigned usage_own_connections(const struct usage *u);
/* Do the two count as one? */
bool usage_is_same(const struct usage *a, const struct usage *b);
/* Places are kept for it, and it loses none to others. */
bool usage_has_place(const struct usage *u);
/* It has no name, and all that have none have too many connections together. */
bool usage_is_crowded(const struct inbound *in, const struct usage *u);

/* A message being handed in has grown by so many octets, or is gone. False: too much is under way; it counts all the same. */
bool usage_grow(const struct inbound *in, struct usage *u, uint64_t octets);
void usage_shrink(struct usage *u, uint64_t octets);
/* Octets that lie in memory, as envelopes and lists of the queue do, count as well, and must not be more than USAGE_MEMORY_MAX. */
enum { USAGE_MEMORY_MAX = 32 * 1024 * 1024 };
void usage_hold(struct usage *u, uint64_t octets);
void usage_release(struct usage *u, uint64_t octets);
/* Then it gets no more of it. */
bool usage_holds_too_much(const struct inbound *in, const struct usage *u);

/* Milliseconds until one more message may be handed in. */
uint64_t usage_wait(const struct inbound *in, const struct usage *u);
void usage_message(const struct inbound *in, struct usage *u);

/* A login failed. True: with it the caller has used up what it may fail in a minute. Counted by where
 * it comes from, never by the service that was named: else anybody could keep a service out. */
bool usage_login_failed(struct usage *u);
/* So it has, and is not to be listened to now. */
bool usage_login_barred(const struct usage *u);

/* Checks of accounts (check.c), each of which is a login at a provider: so many in ten minutes. */
bool usage_check_barred(const struct usage *u);
void usage_check(struct usage *u);

/* Whom it counts as, for log_limited. */
void usage_name(const struct usage *u, char to[LOG_LIMIT_WHO_MAX]);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * usage.h: what one caller takes of the queue: connections, octets and memory of messages that are being
 * handed in, messages and failed logins a minute. The `limits` of the configuration bound it, so that
 * nobody takes what others need.
 *
 * A user of this host is a caller. All uids without a name are one caller together, since whoever has a
 * range of subordinate uids has as many as it likes. All who come through a service's own socket are one.
 * On a listener, where nobody vouches for a uid, the other machine is the caller. Until main has said
 * whether a uid has a name, the uid is held to its own limits alone, and counted with those that have
 * none.
 *
 * A caller that the table of broker/role/caller.h exempts has four times the connections, and no other
 * bound.
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

/* Counts one connection more: false where it has as many as it may. usage_disconnect gives one back. */
bool usage_connect(struct usage *u);
void usage_disconnect(struct usage *u);
/* Connections of all that count with it, and of those with which it shares its limits now. */
unsigned usage_connections(const struct usage *u);
unsigned usage_own_connections(const struct usage *u);
/* Do the two count as one? */
bool usage_is_same(const struct usage *a, const struct usage *b);
/* Are places kept for it, so that it loses none to others? */
bool usage_has_place(const struct usage *u);
/* Has it no name, while all that have none have too many connections together? */
bool usage_is_crowded(const struct usage *u);

/* A message that is being handed in has grown by so many octets (false: the caller has too much under way;
 * the octets count all the same), or is gone. */
bool usage_grow(struct usage *u, uint64_t octets);
void usage_shrink(struct usage *u, uint64_t octets);
/* Octets that lie in memory, as envelopes and lists of the queue do. They count as octets under way, too. */
enum { USAGE_MEMORY_MAX = 32 * 1024 * 1024 };
void usage_hold(struct usage *u, uint64_t octets);
void usage_release(struct usage *u, uint64_t octets);
/* Has it more in memory than USAGE_MEMORY_MAX, or too much under way? Then it gets no more. */
bool usage_holds_too_much(const struct usage *u);

/* Milliseconds until the caller may hand in one more message; and it hands one in. */
uint64_t usage_wait(const struct usage *u);
void usage_message(struct usage *u);

/* Counts a failed login. True: that was the last that the caller may fail in a minute. Logins are counted
 * by where they come from, never by the service that they name: else anybody could lock a service out. */
bool usage_login_failed(struct usage *u);
/* Has it failed so often that it is not listened to now? */
bool usage_login_barred(const struct usage *u);

/* Checks of accounts (control/check.c), each of which is a login at a provider. */
bool usage_check_barred(const struct usage *u);
void usage_check(struct usage *u);

/* Whom the caller counts as, in words for log_limited. */
void usage_name(const struct usage *u, char to[LOG_LIMIT_WHO_MAX]);

#endif

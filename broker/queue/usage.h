/*
 * usage.h: what one caller takes of the queue: connections, octets of messages being handed in, messages and failed logins a minute. Bounded by the
 * `limits` of the configuration, so that nobody takes what others need.
 *
 * A caller is a uid; behind a service's own socket the uid there (users of another user namespace, who all look the same, are one
 * caller for each socket); on a listener, where nobody is known, the other machine. Root and frankd's own user run on behalf of
 * many and could stop the daemon as well: they have four times the connections, and no other bound.
 */
#ifndef FRANK_BROKER_QUEUE_USAGE_H
#define FRANK_BROKER_QUEUE_USAGE_H

#include "broker/queue/queue.h"

struct usages *usages_new(void);

/* The caller's record, shared by all its sessions; to be given back by usage_drop. NULL: no memory. */
struct usage *usage_take(struct queue *q, const struct caller *c);
/* Takes NULL. */
void usage_drop(struct queue *q, struct usage *u);

/* One connection more, where that is allowed; usage_disconnect gives it back. */
bool usage_connect(const struct queue *q, struct usage *u);
void usage_disconnect(struct usage *u);
unsigned usage_connections(const struct usage *u);

/* A message being handed in has grown by so many octets, or is gone. False: too much is under way; it counts all the same. */
bool usage_grow(const struct queue *q, struct usage *u, uint64_t octets);
void usage_shrink(struct usage *u, uint64_t octets);

/* Milliseconds until one more message may be handed in. */
uint64_t usage_wait(const struct queue *q, const struct usage *u);
void usage_message(const struct queue *q, struct usage *u);

/* A login failed. True: with it the caller has used up what it may fail in a minute. Counted by where
 * it comes from, never by the service that was named: else anybody could keep a service out. */
bool usage_login_failed(struct usage *u);
/* So it has, and is not to be listened to now. */
bool usage_login_barred(const struct usage *u);

/* Is it time to log that this caller is held back? At most once a minute. */
bool usage_tell(struct usage *u);

#endif

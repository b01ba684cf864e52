/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * connection.h: the submit sockets and the listeners.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_CONNECTION_H
#define FRANK_BROKER_QUEUE_INBOUND_CONNECTION_H

#include "broker/queue/inbound/inbound.h"

struct connections;

/* NULL: no memory. */
struct connections *connections_new(struct inbound *in);
/* Takes a listening socket: that of `service`, that of `listener`, or (both NULL) the common one. 0 or
 * -ENOMEM. */
int connections_listen(struct connections *c, int fd, const char *service, const char *listener);
/* Closes sockets that the configuration in force does not name any more. */
void connections_reconfigure(struct connections *c);
/* Accepts nothing more, and closes idle connections; those in the midst of a message may finish. */
void connections_stop(struct connections *c);
size_t connections_count(const struct connections *c);
/* Closes connections of callers that turned out to count as one and to have too many: those first that have
 * been silent longest. */
void connections_trim(struct connections *c);

#endif

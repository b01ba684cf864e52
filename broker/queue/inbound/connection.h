/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * connection.h: the submit sockets and the listeners.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_CONNECTION_H
#define FRANK_BROKER_QUEUE_INBOUND_CONNECTION_H

#include "broker/queue/inbound/inbound.h"

struct connections;

struct connections *connections_new(struct inbound *in);
/* Takes the listening socket: of a service's own, of a listener, or (both NULL) the common one. */
int connections_listen(struct connections *c, int fd, const char *service, const char *listener);
/* Closes what the configuration in force does not name any more. */
void connections_reconfigure(struct connections *c);
/* Takes nothing more; those in the midst of a message may finish. */
void connections_stop(struct connections *c);
size_t connections_count(const struct connections *c);
/* Where callers turned out to count as one and to have too many, those that have been silent
 * longest go. */
void connections_trim(struct connections *c);

#endif

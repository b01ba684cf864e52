/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * terminator.h: ends TLS for the clients of all listeners: which certificate each listener shows, and a relay for each
 * connection. The role without its channels.
 */
#ifndef FRANK_BROKER_TLS_TERMINATOR_H
#define FRANK_BROKER_TLS_TERMINATOR_H

#include <event2/event.h>

#include "broker/ipc/message.h"

struct terminator;

struct terminator_ops {
	/* A message (taken) and a descriptor (-1: none; taken) for queue. */
	void (*to_queue)(void *arg, struct message *m, int fd);
};

/* `ops` is borrowed for good. NULL: no memory. */
struct terminator *terminator_new(
    struct event_base *base, const struct terminator_ops *ops, void *arg);
/* Takes NULL; returns NULL. */
struct terminator *terminator_free(struct terminator *w);

/* CONF_*, TLS_BEGIN. `fd` is taken. */
void terminator_message(struct terminator *w, const struct message *m, int fd);

/* Queue is there: tells it when the certificates end, as after each configuration. */
void terminator_report(struct terminator *w);

/* Queue is gone: what it said last still goes out. */
void terminator_flush(struct terminator *w);

#endif

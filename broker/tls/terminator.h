/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ways.h: the connections of all listeners, and what each listener shows. The role without its
 * channels.
 */
#ifndef FRANK_BROKER_TLS_WAYS_H
#define FRANK_BROKER_TLS_WAYS_H

#include <event2/event.h>

#include "broker/ipc/message.h"

struct ways;

struct ways_ops {
	/* A message (taken) and a descriptor (-1: none; taken) for queue. */
	void (*to_queue)(void *arg, struct message *m, int fd);
};

/* `ops` is borrowed for good. NULL: no memory. */
struct ways *ways_new(struct event_base *base, const struct ways_ops *ops, void *arg);
/* Takes NULL; returns NULL. */
struct ways *ways_free(struct ways *w);

/* CONF_*, TLS_BEGIN. `fd` is taken. */
void ways_message(struct ways *w, const struct message *m, int fd);

/* Queue is there: it is told when the certificates end, as after each configuration. */
void ways_tell(struct ways *w);

/* Queue is gone: what it said last still goes out. */
void ways_flush(struct ways *w);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * channel.h: one end of a SOCK_SEQPACKET connection in an event loop: whole messages in, whole
 * messages out, never blocking.
 *
 * Outgoing packets wait in a bounded queue while the socket is full. Whatever comes in is checked
 * against messages.def for this pair of roles first; a packet that fails ends the channel with a
 * log line.
 */
#ifndef FRANK_BROKER_IPC_CHANNEL_H
#define FRANK_BROKER_IPC_CHANNEL_H

#include <event2/event.h>

#include "broker/ipc/message.h"

struct channel;

struct channel_ops {
	/* A checked message; borrowed for the call. `fd` (-1: none) is the callee's to close. */
	void (*message)(void *arg, struct channel *c, const struct message *m, int fd);
	/* The other end is gone or broke the rules. The callee frees the channel. */
	void (*closed)(void *arg, struct channel *c);
	/* The queue of outgoing packets went from full (-EAGAIN was returned) or busy to at most half
	 * full. May be NULL. */
	void (*writable)(void *arg, struct channel *c);
};

/* Takes `sock` (closed by channel_free), makes it non-blocking. `ops` is borrowed for good. NULL
 * with errno. */
struct channel *channel_new(struct event_base *base, int sock, enum role_id self, enum role_id peer,
    const struct channel_ops *ops, void *arg);
/* Frees, also from within a callback of its own. Takes NULL; returns NULL. */
struct channel *channel_free(struct channel *c);

/*
 * Sends, or queues where the socket is full. The message is taken and freed in any case; `fd` (-1:
 * none) is taken and closed in any case. 0; -EAGAIN when the queue is full (the message is NOT
 * sent: keep state and wait for `writable`); the writers' error; -EPIPE.
 */
int channel_send(struct channel *c, struct message *m, int fd);

/* Is the queue more than half full? If so, `writable` is called when it no longer is. Ask before each message of a long
 * list, so that there is room left for an answer that must not be lost. */
bool channel_is_busy(struct channel *c);

/* Reads and handles now what has arrived: for a decision that must not miss what the peer has already sent. May end in
 * `closed`. */
void channel_poll(struct channel *c);

/* Stops and restarts reading, for back-pressure. */
void channel_pause(struct channel *c, bool paused);

enum role_id channel_peer(const struct channel *c);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * relay.h: one connection: TLS on the client's side, plain octets on a socketpair to queue.
 *
 * Two small buffers, one for each direction: a side that does not read fills its own socket, not our memory. What a side
 * sent before it ended still reaches the other.
 */
#ifndef FRANK_BROKER_TLS_RELAY_H
#define FRANK_BROKER_TLS_RELAY_H

#include <event2/event.h>
#include <openssl/ssl.h>

struct relay;

struct relay_ops {
	/* The handshake is done: `plain` (the callee's) is queue's end; `tls` names protocol and
	 * cipher. */
	void (*begun)(void *arg, struct relay *r, int plain, const char *tls);
	/* It is over, and the callee frees it: `why` says what failed in the handshake, and is NULL
	 * after it. */
	void (*ended)(void *arg, struct relay *r, const char *why);
};

/* Takes `fd`, a connected socket on which TLS begins. `ops` is borrowed for good. NULL: no memory
 * (`fd` is closed). Nothing is called from within. */
struct relay *relay_new(
    struct event_base *base, SSL_CTX *context, int fd, const struct relay_ops *ops, void *arg);
/* Takes NULL; returns NULL. */
struct relay *relay_free(struct relay *r);

/* Queue is gone: what it wrote last goes out as far as that needs no waiting. */
void relay_flush(struct relay *r);

#endif

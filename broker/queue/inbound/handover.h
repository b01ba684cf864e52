/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * handover.h: a connection goes to the role that ends TLS, and comes back as a socket without it.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_HANDOVER_H
#define FRANK_BROKER_QUEUE_INBOUND_HANDOVER_H

#include "broker/queue/inbound/inbound.h"

struct handover;

/* The handshake is done: `fd` carries the connection without TLS, and `tls` is the protocol and cipher. Or it
 * failed: `fd` is -1, and the connection is gone. */
typedef void handover_done(void *arg, int fd, const char *tls);

struct handover *handover_new(struct inbound *in);
/* Takes the connection; `done` is called later, never from within this call. 0 with *ret_id;
 * negative errno. */
int handover_begin(struct inbound *in, int fd, const char *listener, handover_done *done, void *arg,
    uint64_t *ret_id);
/* `done` of this one will not be called. */
void handover_forget(struct inbound *in, uint64_t id);
/* A socket that came back was closed. The TLS role ends a minute after the last of them. */
void handover_release(struct inbound *in);
/* Starts the TLS role if a listener of the configuration has TLS: a bad certificate is logged now, and not
 * when the first caller comes. */
void handover_prepare(struct inbound *in);
/* The TLS role came or went. Requests that were sent to it fail; the others wait for the next one. */
void handover_peer(struct inbound *in, bool up);
/* TLS_BEGUN, TLS_FAILED. Takes the descriptor. */
void handover_answer(struct inbound *in, const struct message *m, int fd);

#endif

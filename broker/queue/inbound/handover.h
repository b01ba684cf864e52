/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * handover.h: a connection goes to the role that ends TLS, and comes back as a socket without it.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_HANDOVER_H
#define FRANK_BROKER_QUEUE_INBOUND_HANDOVER_H

#include "broker/queue/inbound/inbound.h"

struct handover;

/* `fd` -1: there is no TLS, and the connection is gone; `tls` is its protocol and cipher. */
typedef void handover_done(void *arg, int fd, const char *tls);

struct handover *handover_new(struct inbound *in);
/* Takes the connection; `done` is called later, never from within this call. 0 with *ret_id;
 * negative errno. */
int handover_begin(struct inbound *in, int fd, const char *listener, handover_done *done, void *arg,
    uint64_t *ret_id);
/* `done` of this one will not be called. */
void handover_forget(struct inbound *in, uint64_t id);
/* A socket that came back is closed: without any the role may end. */
void handover_release(struct inbound *in);
/* A configuration with TLS has the role started, so that a certificate that is no good is logged
 * now and not at the first caller. */
void handover_prepare(struct inbound *in);
void handover_peer(struct inbound *in, bool up);
void handover_answer(struct inbound *in, const struct message *m, int fd);

#endif

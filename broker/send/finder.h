/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * finder.h: what a mail domain says about its submission server, for `frank account add`: its MX
 * records, the services it names (RFC 6186, RFC 8314), and the greeting of the one server that these
 * point to. Nothing is sent but QUIT.
 */
#ifndef FRANK_BROKER_SEND_FINDER_H
#define FRANK_BROKER_SEND_FINDER_H

#include "broker/ipc/message.h"
#include "broker/send/resolver.h"

struct finder;

/* The answer, LOOKED_UP: the callee takes it, and frees the finder. Called once, from the loop. */
typedef void finder_done(void *arg, struct finder *f, struct message *m);

/* Answers a LOOKUP, in ten seconds at most. NULL when memory is out. */
struct finder *finder_new(struct event_base *base, struct resolver *r, const struct message *m,
    finder_done *done, void *arg);
/* Without an answer. Takes NULL; returns NULL. */
struct finder *finder_free(struct finder *f);

#endif

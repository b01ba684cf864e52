/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * probe.h: asks a server that stays silent whether it waits for TLS.
 *
 * A server that wants TLS from the first octet says nothing to a client that waits for a greeting;
 * so does one that is merely slow. A second connection that says a TLS hello tells them apart,
 * without harm to the first.
 */
#ifndef FRANK_BROKER_SEND_PROBE_H
#define FRANK_BROKER_SEND_PROBE_H

#include <event2/event.h>

#include "broker/send/resolver.h"

struct probe;

/* Calls `done` once, from the loop: `tls` says whether the server answered in TLS. NULL: no memory, or no socket. */
struct probe *probe_new(struct event_base *base, const struct netaddr *address,
    void (*done)(void *arg, bool tls), void *arg);
/* `done` will not be called. Takes NULL; returns NULL. Don't call it from within `done`: the probe frees itself
 * after that. */
struct probe *probe_free(struct probe *p);

#endif

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

/* `done` is called once, not from within probe_new: `tls` when the server answered in TLS. NULL: it
 * cannot be tried. */
struct probe *probe_new(struct event_base *base, const struct netaddr *address,
    void (*done)(void *arg, bool tls), void *arg);
/* `done` will not be called. Takes NULL; returns NULL. Not from within `done`: the probe frees
 * itself behind it. */
struct probe *probe_free(struct probe *p);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * records.h: the host names in MX and SRV records, the preferred first.
 */
#ifndef FRANK_BROKER_SEND_RECORDS_H
#define FRANK_BROKER_SEND_RECORDS_H

#include "broker/send/resolver.h"

enum records_type { RECORDS_MX, RECORDS_SRV };
struct records;

/* Names in the order of their preference: "host" of MX, "host:port" of SRV; none where there are no
 * records, or they could not be asked for. Never called from within records_new. Borrowed. */
typedef void records_done(void *arg, unsigned tag, const char *const *names, size_t count);

/* NULL: no memory, or the resolver cannot be set up. */
struct records *records_new(struct event_base *base, struct resolver *r, const char *name,
    enum records_type type, unsigned tag, records_done *done, void *arg);
/* `done` will not be called. Takes NULL; returns NULL. */
struct records *records_cancel(struct records *q);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * transport.h: an account's transport and what goes with it: SMTP, or one of the HTTP APIs, which
 * have an endpoint, scopes and limits of their own.
 */
#ifndef FRANK_BROKER_CONF_TRANSPORT_H
#define FRANK_BROKER_CONF_TRANSPORT_H

#include "broker/conf/conf.h"
#include "broker/conf/raw.h"

/*
 * Fills in what follows from `transport` once the account's keys are read: for an API its endpoint,
 * its server (for people), and where neither the account (`own`) nor the provider block of the
 * configuration (`block`, may be NULL) says otherwise, its scopes, sessions and rate. Faults go to
 * `raw`. 0 or -ENOMEM.
 */
int transport_apply(struct raw *raw, struct conf_account *a, const struct raw_block *own,
    const struct raw_block *block);

#endif

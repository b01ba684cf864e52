/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * figures.h: the rows of METRICS: of this host, of each account, of each service. What they say is kept in memory: no message is
 * looked at for them.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_FIGURES_H
#define FRANK_BROKER_QUEUE_CONTROL_FIGURES_H

#include "broker/queue/control/control.h"

/* How many rows there are now: the first is of the host. */
size_t figures_count(const struct control_deps *deps);
/* The row at this place, `started` being when counting began (seconds): 0, also where it is about nothing that is configured (*ret is
 * NULL then), or negative errno. */
int figures_row(const struct control_deps *deps, size_t at, int64_t started, struct message **ret);

#endif

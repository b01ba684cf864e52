/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * problem.h: what is wrong with this host and not with one account, as long as it is so: for `frank
 * status`. The same makes an event when it begins (notify.h).
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_PROBLEM_H
#define FRANK_BROKER_QUEUE_CONTROL_PROBLEM_H

#include "broker/queue/control/control.h"

/* Every kind that there is. */
enum { PROBLEM_KINDS = 4 };
extern const char *const problem_kinds[PROBLEM_KINDS];
/* Is there such a problem now? */
bool problem_is(const struct control_deps *deps, size_t kind);

/* ROW_PROBLEM of the problem at this place, from 0; NULL behind the last one. */
struct message *problem_row(const struct control_deps *deps, size_t at);

#endif

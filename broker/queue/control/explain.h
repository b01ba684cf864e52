/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * explain.h: what services are, and why they answer as they do, for people.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_EXPLAIN_H
#define FRANK_BROKER_QUEUE_CONTROL_EXPLAIN_H

#include "broker/queue/control/control.h"

/* Messages to a client; NULL: no memory. */
struct message *explain_service(const struct control_deps *deps, const struct service *v);
/* The service at this place of the order, to a caller whom the one at `matched` takes. */
struct message *explain_rule(
    const struct control_deps *deps, size_t at, size_t matched, const struct policy_caller *who);
/* What becomes of a message from `sender` ("": the null sender), to `recipient` where that is not
 * NULL; `v` NULL: no service is for this caller. */
struct message *explain_decision(const struct control_deps *deps, const struct service *v,
    uint32_t uid, const char *sender, const char *recipient);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * row.h: the rows of answers about messages, accounts and events (messages.def, QUEUE to CLIENT). Each
 * function returns a new message; one that memory ran out for fails when it is sent.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_ROW_H
#define FRANK_BROKER_QUEUE_CONTROL_ROW_H

#include "broker/queue/control/control.h"

struct message *row_message(const struct spool_message *m);
/* With why the recipient has not got it, and what to do. */
struct message *row_recipient(const struct control_deps *deps, const struct spool_message *m,
    const struct spool_recipient *r);
/* With what the reply that decided it means today. */
struct message *row_attempt(
    const struct control_deps *deps, const struct spool_message *m, const struct spool_attempt *a);
struct message *row_account(const struct control_deps *deps, const struct queue_account *a);
struct message *row_event(const struct control_deps *deps, const struct spool_event *e);

#endif

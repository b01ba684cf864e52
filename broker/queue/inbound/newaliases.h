/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * newaliases.h: main reads the aliases file anew when somebody asks for it, since no role opens anything by its
 * path.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_NEWALIASES_H
#define FRANK_BROKER_QUEUE_INBOUND_NEWALIASES_H

#include "broker/ipc/channel.h"

struct newaliases;

/* `to_main` is borrowed for good. NULL: no memory. */
struct newaliases *newaliases_new(struct channel *to_main);
/* What main says of the aliases file: lines about it, and whether it was refused. */
typedef void newaliases_answer(void *arg, bool refused, const char *lines);
/* Asks main; `answer` is called later, unless newaliases_forget comes first. 0; -EAGAIN where too many ask;
 * another negative errno. */
int newaliases_read(struct newaliases *n, newaliases_answer *answer, void *arg);
/* `answer` with this `arg` will not be called. */
void newaliases_forget(struct newaliases *n, void *arg);
/* ALIASES_RESULT. */
void newaliases_result(struct newaliases *n, const struct message *m);

#endif

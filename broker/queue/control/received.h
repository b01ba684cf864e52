/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * received.h: has a webhook got what it takes of the events of a message?
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_RECEIVED_H
#define FRANK_BROKER_QUEUE_CONTROL_RECEIVED_H

#include "broker/queue/control/control.h"

/* The events of the message that the webhook takes, among the RECEIVED_MAX that came after it; `got`: its server has
 * accepted this one. A non-zero return of `visit` ends it and is returned. 0; -ENOENT: no webhook of this name is
 * configured; other negative errno. */
enum { RECEIVED_MAX = 2000 };
typedef int received_visit(void *arg, const struct spool_event *e, bool got);
int received_each(const struct control_deps *deps, const char *webhook, uint64_t message,
    received_visit *visit, void *arg);

#endif

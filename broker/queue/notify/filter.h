/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * filter.h: which receiver takes which event, by the configuration. Of an event its kind, `of_message`, account and
 * service are looked at.
 *
 * A list of kinds may hold "messages" (all that become of messages), "conditions" (all others) and "all". Without a
 * list it is the conditions. A list of accounts passes what is of no account, such as a full disk, and a list of
 * services all that is not about a message: that concerns everybody.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_FILTER_H
#define FRANK_BROKER_QUEUE_NOTIFY_FILTER_H

#include "broker/queue/common/settings.h"
#include "broker/queue/spool/spool.h"

/* What is about messages goes by no mail: each would bring the next. */
bool filter_mail(const struct conf *c, const struct spool_event *e);
bool filter_command(const struct conf *c, const struct spool_event *e);
bool filter_webhook(
    const struct conf *c, const struct conf_webhook *w, const struct spool_event *e);
/* Is it to be kept at all? Events of messages are where a receiver takes them or `record` names them. */
bool filter_keeps(const struct conf *c, const struct spool_event *e);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * event.h: what an event looks like: JSON for programs and webhooks, mail for people.
 *
 * The JSON object: "id" (text, the same whenever and wherever the event goes: whoever gets it twice
 * can tell; they sort by time), "time" (seconds since 1970), "host", "kind", and where there is one "account",
 * "text", "next", "queue_id"; of an event of a message also "service", "sender", "recipients" (a list, of long ones
 * the beginning), "recipient_count", "message_id", "attempt", "code", "enhanced", "reply" and "verdict".
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_EVENT_H
#define FRANK_BROKER_QUEUE_NOTIFY_EVENT_H

#include "base/buf.h"
#include "broker/queue/spool/spool.h"

/* The service of notification mail in the spool. No event is ever made about its mail. */
extern const char event_service[];

/* Appends the event as a JSON object and a newline; `host` is the name of this host. Without `addresses` those of an
 * event of a message have "*" for what is before the "@", also in what a server said. 0 or -ENOMEM. */
int event_json(const struct spool_event *e, const char *host, bool addresses, struct buf *out);

/* Appends the event as a mail from the address `from`; *id gets its Message-ID, which is the same for the
 * same event. 0 or negative errno. */
int event_mail(const struct spool_event *e, const char *host, const char *from, char *const *to,
    size_t to_count, struct buf *out, struct buf *id);

#endif

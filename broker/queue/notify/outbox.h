/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * outbox.h: an event goes to each receiver that is configured: the command ("command"), mail
 * through another account ("mail"), webhooks ("webhook NAME").
 *
 * The receivers of an event are written with it, and each is struck out when it has the event. So
 * each gets the event at least once, whatever dies meanwhile, and the event's id tells repetitions.
 * What does not get through is tried again, later and later, for three days. One event at a time goes
 * to each receiver; one that waits for another try keeps none waiting.
 *
 * Mail goes through the first of mail-accounts that works and is not the account it is about. It is a
 * report (SPOOL_REPORT), which is never bounced, of a service of which no event is ever made: nothing
 * that becomes of it leads to another event.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_OUTBOX_H
#define FRANK_BROKER_QUEUE_NOTIFY_OUTBOX_H

#include "broker/queue/notify/notify.h"

struct outbox;

/* `notify` asks whether what a notification in the spool is about is configured (outbox_stands).
 * Everything else is as for notify_new. NULL: no memory. */
typedef bool outbox_stands(void *notify, const char *about);
struct outbox *outbox_new(const struct notify_deps *deps, outbox_stands *stands, void *notify);
/* A configuration is in force: receivers that it did not have before get what still stands. */
void outbox_configure(struct outbox *o, const struct queue_settings *s);
/* Nothing more is begun. */
void outbox_stop(struct outbox *o);
/* There is something to send. */
void outbox_look(struct outbox *o);
/* Writes the receivers of an event, within the transaction. 0 or negative errno. */
int outbox_add(struct outbox *o, const struct spool_event *e);
void outbox_command_done(struct outbox *o, const struct message *m);
void outbox_webhook_done(struct outbox *o, const struct message *m);
/* The role of webhooks came or went. */
void outbox_post_peer(struct outbox *o, bool up);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * outbox.h: events go to each receiver that is configured and takes them (filter.h): the command ("command"), mail
 * through another account ("mail"), webhooks ("webhook NAME").
 *
 * The events in the spool are a log, and a receiver has a position in it: it has what it takes of the events up to
 * there. What it does not take when it is offered is put into the outbox, each event by itself, and tried again,
 * later and later, for three days; it keeps none behind it waiting. While a webhook's server as a whole does not
 * answer, one event at a time tries whether it does again. So each receiver gets the event at least once, whatever
 * dies meanwhile, and the event's id tells repetitions. A new receiver begins at the end of the log, with what still
 * stands in its outbox.
 *
 * Several requests may be under way to one webhook, but what is about an account or this host keeps its place: all
 * before it is through by then, and all behind it waits. How many events of messages are kept is bounded; where that
 * takes away what a receiver has not got, there is an event about that.
 *
 * Mail goes through the first of mail-accounts that works and is not the account it is about. It is a
 * report (SPOOL_REPORT), which is never bounced, of a service of which no event is ever made: nothing
 * that becomes of it leads to another event.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_OUTBOX_H
#define FRANK_BROKER_QUEUE_NOTIFY_OUTBOX_H

#include "broker/queue/notify/notify.h"

struct outbox;

/* What the outbox needs of notify. */
struct outbox_ops {
	/* Is what a condition in the spool is about configured? */
	bool (*stands)(void *arg, const char *about);
	/* The receiver did not get so many events, which are gone. */
	void (*dropped)(void *arg, const char *receiver, uint64_t count);
};

/* `ops` is borrowed for good. Everything else is as for notify_new. NULL: no memory. */
struct outbox *outbox_new(
    const struct notify_deps *deps, const struct outbox_ops *ops, void *ops_arg);
/* A configuration is in force: receivers that it did not have before get what still stands. */
void outbox_configure(struct outbox *o, const struct queue_settings *s);
/* Nothing more is begun; how far each receiver got is written with what is written last. */
void outbox_stop(struct outbox *o);
/* There is something to send; in a moment, where there may soon be more. */
void outbox_look(struct outbox *o);
void outbox_look_soon(struct outbox *o);
/* Removes events of messages that are too old, and the oldest of more than `most`. */
void outbox_trim(struct outbox *o, uint64_t most);
void outbox_command_done(struct outbox *o, const struct message *m);
void outbox_webhook_done(struct outbox *o, const struct message *m);
/* The role of webhooks came or went. */
void outbox_post_peer(struct outbox *o, bool up);

/* notify_replay and notify_test (notify.h). */
int outbox_replay(struct outbox *o, uint64_t since, const char *webhook);
int outbox_test(struct outbox *o, const char *webhook, notify_tested *done, void *arg);
void outbox_test_forget(struct outbox *o, void *arg);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * control.h: control.sock, where `frank` asks about messages and accounts and acts on them
 * (messages.def, CLIENT to QUEUE).
 *
 *   control.c   clients, and what each request asks for
 *   row.c       the rows of answers; explain.c, problem.c: of services, of this host
 *   action.c    what people do to messages and accounts
 *   listing.c   mailq's list
 *   check.c     checks of accounts and servers
 *   content.c   the content of a message, in pieces
 *   received.c  what a webhook has got of a message's events
 *
 * Administrators (uid 0, our own uid, the configured group) see and do everything; others see the mail
 * they handed in and may retry or delete it, and see the accounts that a service of theirs sends
 * through.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_CONTROL_H
#define FRANK_BROKER_QUEUE_CONTROL_CONTROL_H

#include "broker/queue/delivery/delivery.h"
#include "broker/queue/inbound/inbound.h"

struct control;

/* What control stands on, borrowed for good. */
struct control_deps {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct commit *commit;
	struct scans *scans;
	struct space *space;
	const struct clock *clock;
	struct users *users;
	struct log_limit *log; /* lines that callers cause */
	struct queue_accounts *accounts;
	struct services *services;
	struct notify *notify;
	struct delivery *delivery;
	struct inbound *inbound;
	const struct queue_settings *settings; /* in force: set by control_configure */
	bool stopping;                         /* set by control_stop */
};

/* NULL: no memory. */
struct control *control_new(const struct control_deps *deps);
/* A configuration is in force: `s` is borrowed until the next one is. */
void control_configure(struct control *k, const struct queue_settings *s);
/* The role ends: no check is begun any more. */
void control_stop(struct control *k);
/* Takes the listening socket. 0 or negative errno; the socket is closed where there is one already. */
int control_listen(struct control *k, int fd);

/* RELOAD_RESULT, LOOKED_UP; CHECK_STEP and CHECK_DONE; and the send role, which is asked, came or went. */
void control_reload_result(struct control *k, const struct message *m);
void control_looked_up(struct control *k, const struct message *m);
void control_check_answer(struct control *k, const struct message *m);
void control_send_peer(struct control *k, bool up);

/* A captured message is on disk: for those who wait for it. */
void control_captured(struct control *k, uint64_t id);

/* XFRANK LIST and FLUSH: inbound_ops.list, free_list, flush. */
void *control_list(struct control *k, const struct mail_owner *owner, struct buf *out,
    void (*done)(void *arg, bool good), void *arg);
void control_free_list(void *list);
void control_flush(struct control *k, const struct mail_owner *owner, uint32_t by);

#endif

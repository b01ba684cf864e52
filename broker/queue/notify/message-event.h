/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message-event.h: what becomes of a message, as events for receivers:
 *
 *   accepted   a message is taken; also a report of Frank's own
 *   captured   a message is taken by a service with mode = "capture"
 *   rejected   a caller's message is refused, by policy or for want of space
 *   delivered  the provider took it
 *   deferred   it is tried again later, with its account or by itself
 *   bounced    it is given up, and its sender was told where a report was wanted
 *   failed     it is given up, and nobody can be told
 *   in-doubt   the server may have taken it, or not; it is tried again or held, as in-doubt says
 *   released   a person released what was captured or held
 *
 * An event is written in the transaction that changes the message, so there is one for each change that is on disk,
 * and none for another. Recipients of which the same is to be said are in one. Where no receiver takes the event and
 * `record` does not name it, nothing is written. There is none about notification mail.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_MESSAGE_EVENT_H
#define FRANK_BROKER_QUEUE_NOTIFY_MESSAGE_EVENT_H

#include "broker/queue/accounts/account.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/common/rate-limit.h"
#include "broker/queue/spool/commit.h"

/* Part of notify, which fills it in. */
struct message_events {
	struct spool *spool;
	struct commit *commit;
	const struct clock *clock;
	const struct queue_accounts *accounts;
	const struct queue_settings *settings; /* NULL: none yet */
	struct rate_limit rejected;
	bool written; /* there are new ones since notify looked */
};

/* ---- within the transaction: 0 or negative errno ---- */

/* The message is stored: accepted, or captured. */
int message_event_stored(struct message_events *x, const struct spool_message *m);
/* What became of these recipients by their state and reply, as they are stored now. `tried`: there was an attempt, so
 * those that wait are deferred; `interrupted`: it ended without an answer. */
int message_event_outcome(struct message_events *x, const struct spool_message *m,
    const size_t *index, size_t count, bool tried, bool interrupted);
/* A person released it. */
int message_event_released(struct message_events *x, const struct spool_message *m);
/* The role, or the machine, ended while it was being sent: about the recipients that are SENDING. */
int message_event_interrupted(struct message_events *x, const struct spool_message *m);

/* ---- outside ---- */

/* A caller's message is refused. At most some hundred a minute become events. Texts may be NULL. */
struct message_rejection {
	const char *account, *service, *sender, *recipient;
	int code;
	const char *enhanced, *words;
};
void message_event_rejected(struct message_events *x, const struct message_rejection *r);

#endif

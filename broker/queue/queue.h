/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * queue.h: the role, whose parts queue.c wires together. No part sees it.
 *
 *   common/     the clock, the configuration as it was received, rates, the schedule, who may send as whom
 *   spool/      what is on disk, and group commit
 *   accounts/   accounts and services as they run, and what a reply means for an account
 *   inbound/    how mail gets in
 *   delivery/   how it goes out, and what its senders are told
 *   notify/     what people are notified of, and by which ways
 *   control/    what people ask and do
 *
 * A message's way: inbound builds a struct spool_message and commits it; the session answers 250, and
 * delivery sends jobs, at once or when their time comes.
 */
#ifndef FRANK_BROKER_QUEUE_QUEUE_H
#define FRANK_BROKER_QUEUE_QUEUE_H

#include <event2/event.h>

#include "broker/ipc/channel.h"
#include "broker/queue/accounts/account.h"
#include "broker/queue/accounts/mail-owner.h"
#include "broker/queue/accounts/service.h"
#include "broker/queue/control/control.h"
#include "broker/queue/delivery/delivery.h"
#include "broker/queue/inbound/inbound.h"
#include "broker/queue/inbound/usage.h"
#include "broker/queue/notify/notify.h"
#include "broker/queue/common/rate-limit.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/common/settings.h"
#include "broker/queue/spool/commit.h"
#include "broker/queue/spool/scan.h"
#include "broker/queue/spool/spool.h"
#include "broker/queue/spool/space.h"
#include "broker/role/caller.h"
#include "broker/role/log-limit.h"
#include "broker/role/role.h"
#include "broker/role/users.h"
#include "broker/queue/accounts/verdict.h"

struct queue;

/* ---- the clock ---- */

/* This run, for what follows when the system's clock is set. */
struct run {
	int64_t since;  /* when it began, by the clock as it is now, in seconds */
	uint64_t first; /* the id from which on messages are of this run */
};

/* ---- the role ---- */

struct queue {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct queue_settings *settings,
	    *coming; /* in force (its lists are moved out); being collected */
	struct queue_accounts accounts;
	struct services services;
	struct commit *commit;
	struct scans *scans;
	struct delivery *delivery;
	struct users *users;
	struct log_limit *log; /* lines that callers cause */
	struct inbound *inbound;
	struct space *space;
	struct scan tally, shrinking; /* counting what is in the spool; giving space back */
	bool shrinking_failed;        /* the last time, which was logged */
	struct control *control;
	struct notify *notify;
	struct event *sweep, *tick, *stop;
	struct clock clock;
	struct run run;
	bool stopping;
	uint64_t stop_at; /* of clock_ms; when stopping: not later */
};

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * action.h: what people do to messages and accounts.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_ACTION_H
#define FRANK_BROKER_QUEUE_CONTROL_ACTION_H

#include <sys/queue.h>

#include "broker/queue/control/control.h"

enum action { ACTION_RETRY, ACTION_HOLD, ACTION_RELEASE, ACTION_DELETE, ACTION_MOVE };

int action_by_name(const char *name, enum action *ret);

/* Which messages: all conditions hold. */
struct action_scope {
	uint64_t id;         /* 0: all that are open */
	const char *account; /* NULL: of any */
	const char *service; /* likewise */
	int64_t before;      /* accepted until then (seconds); SCHEDULE_NEVER: at any time */
	bool
	    captured; /* captured messages: of many, these alone. Release and move leave them out without it. */
	const char *to;          /* ACTION_MOVE: the account that takes them over */
	struct mail_owner owner; /* strings are copied as well */
	int64_t by;              /* who acts, for the log */
};

/* Acts on the message that the scope names. 0, also where nothing was to be done (*ret_done counts
 * what changed); -ENOENT; -EPERM; -EBUSY: it is being sent; -EACCES: its service may not send
 * through the account that it is to move to; -ENXIO: it was captured, and has no account to be released to; -ENOSPC. */
int action_on_message(const struct control_deps *deps, enum action action,
    const struct action_scope *scope, unsigned *ret_done);

/* Acts on all open messages of the scope, in steps; then `done`, never from within this call, with
 * 0 or a negative errno, and how many changed. The scope's strings are copied. NULL: no memory. */
typedef void action_done(void *arg, int r, unsigned changed);
struct action_walk *action_walk_new(const struct control_deps *deps, enum action action,
    const struct action_scope *scope, action_done *done, void *arg);
/* Goes no further; what was changed stays so. Takes NULL; returns NULL. */
struct action_walk *action_walk_free(struct action_walk *w);

/* Holds, releases or tries an account itself. -ENOENT where none of this name is configured. */
int action_on_account(const struct control_deps *deps, enum action action, const char *name);

/* Flushes that are under way, one for each owner. */
LIST_HEAD(flushes, flush);
/* What may be tried is tried now, or as soon as a scan comes to it. `owner` is copied; `by` is the uid
 * that asks, for the log. */
void action_flush(const struct control_deps *deps, struct flushes *all,
    const struct mail_owner *owner, uint32_t by);

#endif

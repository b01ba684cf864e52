/*
 * action.h: what people do to messages and accounts.
 */
#ifndef FRANK_BROKER_QUEUE_ACTION_H
#define FRANK_BROKER_QUEUE_ACTION_H

#include "broker/queue/queue.h"

enum action { ACTION_RETRY, ACTION_HOLD, ACTION_RELEASE, ACTION_DELETE };

int action_by_name(const char *name, enum action *ret);

/* Which messages: all conditions hold. */
struct action_scope {
	uint64_t id;         /* 0: all that are open */
	const char *account; /* NULL: of any */
	int64_t uid;         /* handed in by; -1: by anybody */
	int64_t by;          /* who acts, for the log */
};

/* Acts on messages; *ret_done counts those that changed. -ENOENT, -EPERM and -EBUSY (it is being
 * sent) only where one was named; -ENOSPC. */
int action_on_messages(
    struct queue *q, enum action action, const struct action_scope *scope, unsigned *ret_done);

/* Holds, releases or tries an account itself. -ENOENT where none of this name is configured. */
int action_on_account(struct queue *q, enum action action, const char *name);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notify-command.h: runs the command that notifies people of an event (the notify block): one at a time, without a
 * shell, as an unprivileged user, for a minute at most.
 *
 * The event comes as a JSON document on its standard input, and in pieces in its environment (FRANK_EVENT
 * and so on). No secret is in either. Its standard output is dropped; what it says on standard error
 * goes where ours does.
 */
#ifndef FRANK_BROKER_MAIN_NOTIFY_COMMAND_H
#define FRANK_BROKER_MAIN_NOTIFY_COMMAND_H

#include <event2/event.h>

#include "broker/conf/conf.h"
#include "broker/ipc/message.h"

struct notify_command;

/* How it ended: `status` as of exit, or -1 with a sentence in `fault`. Never from within notify_command_run. */
typedef void notify_command_done(void *arg, uint64_t id, int status, const char *fault);

/* `base` and `null`, a descriptor of /dev/null, are borrowed. NULL when memory is out. */
struct notify_command *notify_command_new(
    struct event_base *base, int null, notify_command_done *done, void *arg);
/* Kills what runs. Takes NULL; returns NULL. */
struct notify_command *notify_command_free(struct notify_command *t);

/* Runs it for NOTIFY_RUN. 0; -EBUSY while one runs; -ENOENT where no command or no such user is
 * configured; other negative errno. */
int notify_command_run(
    struct notify_command *t, const struct conf_notify *n, bool one_user, const struct message *m);

#endif

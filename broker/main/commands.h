/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * commands.h: runs the commands that `command:` references name beside the event loop: several at a
 * time, ten seconds each, so that supervision goes on while a configuration is read again.
 */
#ifndef FRANK_BROKER_MAIN_COMMANDS_H
#define FRANK_BROKER_MAIN_COMMANDS_H

#include <event2/event.h>

#include "broker/conf/conf.h"

struct commands;

/* NULL: no memory. */
struct commands *commands_new(struct event_base *base);
/* Ends what still runs. Takes NULL; returns NULL. */
struct commands *commands_free(struct commands *c);

/* Nothing where the reference is no command, or one of the same text was added. The reference is
 * borrowed. 0 or -ENOMEM. */
int commands_add(struct commands *c, const struct conf_reference *r);

/* Runs what was added; `done` is called once all have ended, never from within this call. Without
 * any it is not called, and false returned. */
bool commands_run(struct commands *c, void (*done)(void *arg), void *arg);

/* What the command of a reference that was added printed: the caller's. NULL with a sentence in
 * `why`. */
struct secret *commands_take(struct commands *c, const struct conf_reference *r, struct buf *why);

#endif

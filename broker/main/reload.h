/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reload.h: a new configuration, read while everything goes on: one reload at a time, and none
 * sooner than a second after the last, however often it is asked for.
 */
#ifndef FRANK_BROKER_MAIN_RELOAD_H
#define FRANK_BROKER_MAIN_RELOAD_H

#include <event2/event.h>

#include "broker/main/settings.h"

struct reload;

/* What it needs of main; all pointers are borrowed for good. */
struct reload_def {
	struct event_base *base;
	const char *config;
	const struct conf_environment *environment;
	/* A reload begins: everybody who asked before is answered by its end. */
	void (*begin)(void *arg);
	/* The settings in force. */
	const struct settings *(*current)(void *arg);
	/* Takes the new settings, which are main's then; or a negative errno with a sentence in `why`.
	 */
	int (*take)(void *arg, struct settings *next, struct commands *commands, struct buf *why);
	/* It is over: `r` and, one a line, what there is to say. */
	void (*end)(void *arg, int r, const struct buf *why);
	void *arg;
};

/* NULL: no memory. */
struct reload *reload_new(const struct reload_def *def);
/* Takes NULL; returns NULL. */
struct reload *reload_free(struct reload *r);

/* Somebody asks for a reload: now, or when the one that runs has ended and a second has passed. */
void reload_ask(struct reload *r);
/* The same leniently (conf_environment.lenient), of files that are as they were: what was out of force may be in force now,
 * and nothing goes out of force by it. Nothing happens where a reload is asked for or runs. */
void reload_look_again(struct reload *r);

#endif

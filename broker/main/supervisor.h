/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * supervisor.h: runs the roles: starts them, connects them with each other, sends them the configuration, starts those again
 * that die, and stops them all.
 *
 * Queue and keeper are the set: they always run, and when one of them dies both are started again. The other roles are
 * started when queue or keeper asks for them, and end by themselves.
 *
 * A role that does not become ready, or does not answer any more, is killed and treated as one that died.
 */
#ifndef FRANK_BROKER_MAIN_SUPERVISOR_H
#define FRANK_BROKER_MAIN_SUPERVISOR_H

#include <event2/event.h>

#include "broker/main/folders.h"
#include "broker/main/programs.h"
#include "broker/main/settings.h"
#include "broker/main/sockets.h"

struct supervisor;

/* What supervision needs of main; all pointers are borrowed for good. */
struct supervisor_def {
	struct event_base *base;
	const struct programs *programs;
	const struct folders *folders;
	const struct sockets *sockets;
	struct entrances
	    *entrances; /* the caller puts others in their place before supervisor_reconfigure */
	bool one_user;
	/* The set is ready for the first time. */
	void (*ready)(void *arg);
	/* All roles are gone; nothing happens any more. `status` is what main should end with. */
	void (*stopped)(void *arg, int status);
	/* A person asks for a reload (through queue): supervisor_reload_begins and _ends follow. */
	void (*reload)(void *arg);
	/* The aliases file is to be read anew; the settings hold it then. `report` gets what is wrong in it. */
	int (*aliases)(void *arg, struct buf *report);
	unsigned watch_ms; /* how often roles are looked at; see notify_watch_ms */
	void *arg;
};

/* Starts the set. NULL with errno. */
struct supervisor *supervisor_new(
    const struct supervisor_def *def, const struct settings *settings);
/* Takes NULL; returns NULL. */
struct supervisor *supervisor_free(struct supervisor *s);

/* Gives every running role a new configuration; those started later get it too. The caller may free
 * the old one. */
void supervisor_reconfigure(struct supervisor *s, const struct settings *settings);

/* A reload begins, and ends with `r` (0 or negative errno) and a report, one line for each error or warning: whoever
 * asked for one before it began gets that report. */
void supervisor_reload_begins(struct supervisor *s);
void supervisor_reload_ends(struct supervisor *s, int r, const char *report);

/*
 * Stops: the network roles finish what they are at, then queue and keeper, then whoever is left is
 * killed; within 5 s. A second call kills at once.
 */
void supervisor_stop(struct supervisor *s, int status);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * folders.h: the state folder and what stands in it.
 *
 *   STATE/            0755 where made here
 *     frankd.lock     held while a frankd runs
 *     spool.db        link to spool/spool.db
 *     spool/    0700  queue   the database; a folder of its own, because Landlock grants folders,
 * and the database's must not hold the keys bodies/   0700  queue   large bodies tokens/   0700
 * keeper  sealed records drop/     3733  queue   where the shim leaves mail while no frankd runs
 *     master.key 0600 main    where the configuration says nothing else
 */
#ifndef FRANK_BROKER_MAIN_FOLDERS_H
#define FRANK_BROKER_MAIN_FOLDERS_H

#include "base/buf.h"
#include "broker/main/identity.h"

enum folder { FOLDER_SPOOL, FOLDER_BODIES, FOLDER_DROP, FOLDER_TOKENS, FOLDER_COUNT };

struct folders {
	char *path;      /* of the state folder, absolute */
	int state, lock; /* descriptors */
	int fds[FOLDER_COUNT];
	struct identity owner; /* of the state folder */
};
#define FOLDERS_INIT                                               \
	{                                                          \
		.state = -1, .lock = -1, .fds = { -1, -1, -1, -1 } \
	}

/* Makes `path` and its parents (0755). 0; negative errno with a sentence in `why`. */
int folder_make(const char *path, struct buf *why);

/* Opens the state folder, made where it is missing, and takes its lock. 0; -EBUSY where another
 * frankd has it; negative errno. A sentence in `why`. */
int folders_open(struct folders *f, const char *path, struct buf *why);

/* Makes what stands in it and gives each to its user. */
int folders_prepare(struct folders *f, bool one_user, struct buf *why);

/* Does the token folder hold nothing yet? 1, 0 or negative errno. */
int folders_no_tokens(const struct folders *f);

void folders_close(struct folders *f);

#endif

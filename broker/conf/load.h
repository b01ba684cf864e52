/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * load.h: reads the configuration from its files, with the providers' presets below it.
 *
 * Errors are collected, each with file and line, so that one run shows them all. Nothing here touches a socket or starts
 * anything but `command:` references.
 */
#ifndef FRANK_BROKER_CONF_LOAD_H
#define FRANK_BROKER_CONF_LOAD_H

#include "broker/conf/conf.h"

/* What load_conf is told about its surroundings. */
struct conf_environment {
	const char *provider_dir; /* presets: *.conf */
	bool check_files;         /* also open what the configuration names (ca-file, secrets) */
	bool lenient; /* a block with an error of its own is out of force, and the others are not */
	/* Where the configuration says nothing; NULL: what the build says. */
	const char *runtime_dir, *state_dir;
};

/*
 * Reads `path` and everything it includes. Returns 0 with *ret (freed by conf_free); -EINVAL where
 * there were errors: *ret is NULL. `report` gets one line each, errors first seen first, LF
 * between: "file:line: error: what; what is allowed" or "file:line: warning: ...". Values of
 * secrets are never in it. -ENOMEM.
 */
int load_conf(
    const char *path, const struct conf_environment *env, struct conf **ret, struct buf *report);
/* A user or group that the system did not know when `c` was loaded, and knows now (a directory server may answer late); NULL: none.
 * Asks the system's databases. */
const char *load_find_late(const struct conf *c);
/* Something is out of force, which was found after the loading (conf_environment.lenient). 0 or -ENOMEM. */
int load_note_lapse(struct conf *c, const char *what, const char *why);

#endif

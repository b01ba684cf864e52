/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * programs.h: the role programs: found, opened once at start (so that an upgrade under a running
 * daemon changes nothing for it) and run.
 */
#ifndef FRANK_BROKER_MAIN_PROGRAMS_H
#define FRANK_BROKER_MAIN_PROGRAMS_H

#include "base/buf.h"
#include "base/secret.h"
#include "broker/main/identity.h"

struct programs {
	int fds[ROLE_COUNT]; /* -1 for a role that is no program */
	int null;            /* /dev/null, standard input of every role */
	char *keyring;       /* path of frank-keyring, or NULL */
};

/* Beside the running frankd (a build tree), else in the libexec folder. 0; negative errno with a
 * sentence in `why`. */
int programs_open(struct programs *p, struct buf *why);
void programs_close(struct programs *p);

/* The folder in which presets stand beside a build tree, else the installed one;
 * $FRANK_PROVIDER_DIR before both. Copied into `dir`. */
void programs_provider_dir(char *dir, size_t size);

/*
 * Asks frank-tls whether the certificate and the key can be used together, since frankd links no TLS library. 0 where they can, or
 * where nobody answers; -EINVAL with a sentence in `why`. Waits for it, ten seconds at most.
 */
int programs_check_pair(const struct secret *chain, const struct secret *key, struct buf *why);

/* Starts a role as `who`, with `channel` (borrowed) as its descriptor 3. The pid or negative errno.
 */
pid_t programs_run(const struct programs *p, enum role_id role, const struct identity *who,
    int channel, const char *state_path);

#endif

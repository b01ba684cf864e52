/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.h: under which user a role runs, and who a user of the machine is.
 */
#ifndef FRANK_BROKER_MAIN_IDENTITY_H
#define FRANK_BROKER_MAIN_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/ipc/message.h"

struct identity {
	uid_t uid;
	gid_t gid;
	bool drop; /* main runs as root, so the role must change to it */
};

/*
 * The user of a role: where main runs as root and not for one user alone, `frank` (queue),
 * `frank-keeper` or `frank-net` (the network roles), or where that user does not exist `owner`, the
 * owner of the state folder. Else main's own. 0; negative errno where the user database does not
 * answer: a role then must not run as anybody, since the spool and the tokens belong to its user.
 */
int identity_of(
    enum role_id role, bool one_user, const struct identity *owner, struct identity *ret);

/* The user above that this role is meant to have; NULL for one that is no program. */
const char *identity_user_name(enum role_id role);

/* Changes the calling process, a child about to become a role. 0 or negative errno. */
int identity_become(const struct identity *i);

/* The answer to USER_QUERY: login name, full name (GECOS), groups. NULL when memory is out. May
 * block on a name service. */
struct message *identity_answer(uid_t uid);

#endif

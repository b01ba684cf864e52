/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * caller.h: who calls Frank, and what that allows: the one table that queue and keeper decide by.
 *
 * A right depends on the entrance that the caller came through and on the kind of caller that the
 * kernel names there. Whoever comes through the socket of a service is that service and no user of
 * this host: a uid there may be a container's, and says nothing but which messages are whose among
 * the callers of that socket. The table stands in frank-security(7) as well, and a test compares
 * the two.
 */
#ifndef FRANK_BROKER_ROLE_CALLER_H
#define FRANK_BROKER_ROLE_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum caller_entrance {
	CALLER_SUBMIT,   /* submit.sock, the common one */
	CALLER_DROP,     /* a file in the drop directory, by its owner */
	CALLER_SERVICE,  /* a service's own submit.sock */
	CALLER_LISTENER, /* a listener, by the user that owns the connection over loopback */
	CALLER_PASSWORD, /* a listener, by the password of a service */
	CALLER_CONTROL,  /* control.sock */
	CALLER_KEEPER,   /* keeper.sock */
	CALLER_ENTRANCE_COUNT,
};

enum caller_kind {
	CALLER_ROOT,
	CALLER_SELF,     /* the uid of the role that is asked */
	CALLER_ADMIN,    /* in the configured admin-group */
	CALLER_USER,     /* has a name in the user database */
	CALLER_NAMELESS, /* has none: a subordinate uid (subuid(5)), a container's */
	CALLER_NOBODY, /* 65534, whom the kernel names for users of other user namespaces; or unknown */
	CALLER_KIND_COUNT,
};

/* What a caller may do at an entrance. */
enum caller_right {
	CALLER_MAY_SUBMIT = 1 << 0,     /* hand in mail, where a service is for it */
	CALLER_MAY_SEE_OWN = 1 << 1,    /* see the mail that it handed in, and what it uses */
	CALLER_MAY_SEE_ALL = 1 << 2,    /* see everybody's mail */
	CALLER_MAY_ACT = 1 << 3,        /* retry and delete the mail that it sees */
	CALLER_MAY_TOKEN = 1 << 4,      /* have access tokens, where a service allows it */
	CALLER_MAY_ADMINISTER = 1 << 5, /* everything else that the entrance offers */
	CALLER_IS_EXEMPT = 1 << 6,      /* from the limits of one caller; places are kept for it */
	CALLER_IS_LOOKED_UP = 1 << 7,   /* in the user database: login name, full name, groups */
	CALLER_COUNTS_ALONE = 1 << 8, /* for the limits; all others of the entrance count as one */
};

/* The uid that stands for users of another user namespace (user_namespaces(7)). */
enum { CALLER_UID_OVERFLOW = 65534 };

#define CALLER_NO_GROUP UINT64_MAX

/* Whom the kernel vouches for. */
struct caller_peer {
	uint32_t uid;
	uint32_t *groups; /* owned */
	size_t group_count;
};

/* The other end of a connected Unix socket: uid by SO_PEERCRED, groups by SO_PEERGROUPS; never the
 * pid, which may be somebody else's by now. 0; negative errno, and nothing is owned. */
int caller_peer_of(int fd, struct caller_peer *ret);

/* Is it in this group? Never in CALLER_NO_GROUP. */
bool caller_is_member(const struct caller_peer *who, uint64_t group);

/*
 * `self` is the uid of the role, `admin_group` the configured group or CALLER_NO_GROUP. A uid that
 * is not known to have a name is CALLER_USER here: whether it has one takes a look into the user
 * database (users.h).
 */
enum caller_kind caller_kind(const struct caller_peer *who, uint32_t self, uint64_t admin_group);

/* enum caller_right of this cell of the table. */
unsigned caller_rights(enum caller_entrance entrance, enum caller_kind kind);

#endif

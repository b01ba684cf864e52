/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* caller.c: see caller.h. */
#include "broker/role/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/attr.h"

#define SUBMITS CALLER_MAY_SUBMIT
#define OWN (CALLER_MAY_SEE_OWN | CALLER_MAY_ACT)
#define ALL (OWN | CALLER_MAY_SEE_ALL | CALLER_MAY_ADMINISTER)
#define TOKEN CALLER_MAY_TOKEN
#define EXEMPT CALLER_IS_EXEMPT
#define NAME CALLER_IS_LOOKED_UP
#define ALONE CALLER_COUNTS_ALONE

/*
 * A file in the drop directory and a listener can ask nothing, so nothing may be asked there. A
 * password says which service calls, and nothing of a user. Administrators hand in mail under the
 * limits of users: root and frankd do so on behalf of many, and could stop the daemon as well.
 */
static const unsigned table[CALLER_ENTRANCE_COUNT][CALLER_KIND_COUNT] = {
    [CALLER_SUBMIT] = {[CALLER_ROOT] = SUBMITS | ALL | EXEMPT | NAME | ALONE,
	[CALLER_SELF] = SUBMITS | ALL | EXEMPT | NAME | ALONE,
	[CALLER_ADMIN] = SUBMITS | ALL | NAME | ALONE,
	[CALLER_USER] = SUBMITS | OWN | NAME | ALONE,
	[CALLER_NAMELESS] = SUBMITS | OWN | NAME},
    [CALLER_DROP] = {[CALLER_ROOT] = SUBMITS | EXEMPT | NAME | ALONE,
	[CALLER_SELF] = SUBMITS | EXEMPT | NAME | ALONE,
	[CALLER_ADMIN] = SUBMITS | NAME | ALONE,
	[CALLER_USER] = SUBMITS | NAME | ALONE,
	[CALLER_NAMELESS] = SUBMITS | NAME},
    [CALLER_SERVICE] = {[CALLER_ROOT] = SUBMITS | OWN,
	[CALLER_SELF] = SUBMITS | OWN,
	[CALLER_ADMIN] = SUBMITS | OWN,
	[CALLER_USER] = SUBMITS | OWN,
	[CALLER_NAMELESS] = SUBMITS | OWN,
	[CALLER_NOBODY] = SUBMITS | OWN},
    [CALLER_LISTENER] = {[CALLER_ROOT] = SUBMITS | EXEMPT | NAME | ALONE,
	[CALLER_SELF] = SUBMITS | EXEMPT | NAME | ALONE,
	[CALLER_ADMIN] = SUBMITS | NAME | ALONE,
	[CALLER_USER] = SUBMITS | NAME | ALONE,
	[CALLER_NAMELESS] = SUBMITS | NAME},
    [CALLER_PASSWORD] = {[CALLER_ROOT] = SUBMITS,
	[CALLER_SELF] = SUBMITS,
	[CALLER_ADMIN] = SUBMITS,
	[CALLER_USER] = SUBMITS,
	[CALLER_NAMELESS] = SUBMITS,
	[CALLER_NOBODY] = SUBMITS},
    [CALLER_CONTROL] = {[CALLER_ROOT] = ALL | EXEMPT | ALONE,
	[CALLER_SELF] = ALL | EXEMPT | ALONE,
	[CALLER_ADMIN] = ALL | EXEMPT | ALONE,
	[CALLER_USER] = OWN | ALONE,
	[CALLER_NAMELESS] = OWN},
    [CALLER_KEEPER] = {[CALLER_ROOT] = TOKEN | CALLER_MAY_ADMINISTER | EXEMPT | ALONE,
	[CALLER_SELF] = TOKEN | CALLER_MAY_ADMINISTER | EXEMPT | ALONE,
	[CALLER_ADMIN] = TOKEN | CALLER_MAY_ADMINISTER | EXEMPT | ALONE,
	[CALLER_USER] = TOKEN | ALONE,
	[CALLER_NAMELESS] = TOKEN},
};

unsigned
caller_rights(enum caller_entrance entrance, enum caller_kind kind)
{
	return (unsigned)entrance < CALLER_ENTRANCE_COUNT && (unsigned)kind < CALLER_KIND_COUNT
		   ? table[entrance][kind]
		   : 0;
}

bool
caller_is_member(const struct caller_peer *who, uint64_t group)
{
	for (size_t i = 0; group != CALLER_NO_GROUP && i < who->group_count; i++)
		if (who->groups[i] == group)
			return true;
	return false;
}

enum caller_kind
caller_kind(const struct caller_peer *who, uint32_t self, uint64_t admin_group)
{
	if (who->uid == 0)
		return CALLER_ROOT;
	if (who->uid == CALLER_UID_OVERFLOW)
		return CALLER_NOBODY;
	if (who->uid == self)
		return CALLER_SELF;
	return caller_is_member(who, admin_group) ? CALLER_ADMIN : CALLER_USER;
}

int
caller_peer_of(int fd, struct caller_peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred), size = 0;
	uint32_t *groups;

	_Static_assert(sizeof(gid_t) == sizeof(*groups), "groups are read in place");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* Asked with no room, the kernel says how much it takes. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
		return -errno;
	groups = calloc(size / sizeof(*groups) + 1, sizeof(*groups));
	if (groups == NULL)
		return -ENOMEM;
	groups[0] = cred.gid;
	if (size > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) < 0) {
		int r = -errno;

		free(groups);
		return r;
	}
	*ret = (struct caller_peer){cred.uid, groups, size / sizeof(*groups) + 1};
	return 0;
}

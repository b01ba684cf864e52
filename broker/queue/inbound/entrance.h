/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * entrance.h: who a caller is, and what it may do: by the entrance that it came through (broker/role/caller.h
 * has the table).
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_ENTRANCE_H
#define FRANK_BROKER_QUEUE_INBOUND_ENTRANCE_H

#include "broker/queue/inbound/inbound.h"
#include "broker/role/caller.h"

/* Who is at the other end. */
struct caller {
	bool unknown; /* nobody vouches for the uid, which is CALLER_UID_OVERFLOW then */
	uint32_t uid;
	uint32_t *groups; /* owned by whoever made it */
	size_t group_count;
	bool
	    groups_by_name; /* `groups` is unknown: those of the user database count (drop files) */
	const char *socket; /* service whose socket it is; NULL: the common one */
	/* Came over TCP through this listener; NULL: by a Unix socket or as a file. The rest is for
	 * such alone. */
	const char *listener;
	enum conf_tls tls;
	bool auth_required, remote;
	bool bare_line_ends; /* are taken from it */
	bool tls_active;     /* TLS was there before SMTP began */
	char origin[56];     /* "127.0.0.1:40112" */
};

/* enum caller_right of this caller. */
unsigned entrance_rights(const struct inbound *in, const struct caller *c);
/* Whose messages the caller may see and act on: `rights` has CALLER_MAY_SEE_ALL or CALLER_MAY_SEE_OWN. */
struct mail_owner entrance_owner(const struct caller *c, unsigned rights);
/* Its uid for the log; NULL where nobody vouches for one. */
const char *entrance_uid_text(const struct caller *c, char text[16]);

#endif

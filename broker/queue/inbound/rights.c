/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* rights.c: what a caller of an entrance may do. */
#include "broker/queue/queue.h"

#include <unistd.h>

static enum caller_entrance
entrance_of(const struct caller *c)
{
	if (c->listener != NULL)
		return CALLER_LISTENER;
	if (c->socket != NULL)
		return CALLER_SERVICE;
	return c->groups_by_name ? CALLER_DROP : CALLER_SUBMIT;
}

unsigned
queue_caller_rights(const struct queue *q, const struct caller *c)
{
	const struct caller_peer who = {c->uid, c->groups, c->group_count};

	return caller_rights(
	    entrance_of(c), caller_kind(&who, geteuid(), settings_admin_group(q->settings)));
}

struct mail_owner
queue_owner(const struct caller *c, unsigned rights)
{
	if ((rights & CALLER_MAY_SEE_ALL) != 0)
		return (struct mail_owner){.uid = -1};
	return (struct mail_owner){.uid = c->uid, .service = c->socket};
}

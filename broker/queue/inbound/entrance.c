/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* entrance.c: see entrance.h. */
#include "broker/queue/inbound/entrance.h"

#include <inttypes.h>
#include <stdio.h>
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
entrance_rights(const struct inbound *in, const struct caller *c)
{
	const struct caller_peer who = {c->uid, c->groups, c->group_count};

	return caller_rights(
	    entrance_of(c), caller_kind(&who, geteuid(), settings_admin_group(in->settings)));
}

struct mail_owner
entrance_owner(const struct caller *c, unsigned rights)
{
	if ((rights & CALLER_MAY_SEE_ALL) != 0)
		return (struct mail_owner){.uid = -1};
	return (struct mail_owner){.uid = c->uid, .service = c->socket};
}

const char *
entrance_uid_text(const struct caller *c, char text[16])
{
	(void)snprintf(text, 16, "%" PRIu32, c->uid);
	return c->unknown ? NULL : text;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* mail-owner.c: see mail-owner.h. */
#include "broker/queue/accounts/mail-owner.h"

#include <stdio.h>
#include <string.h>

/* A message of a version that did not tell whose uid it is: where its service has a socket now, it
 * may be of either, and only administrators see it. */
static bool
may_be_of_either(const struct services *services, unsigned flags, const char *service)
{
	const struct service *v = NULL;

	if ((flags & (SPOOL_OF_USER | SPOOL_OF_SOCKET)) == 0)
		v = services_find(services, service);
	return v != NULL && v->policy.socket;
}

bool
mail_owner_has(const struct mail_owner *o, const struct services *services, int64_t uid,
    unsigned flags, const char *service)
{
	if (o->uid < 0)
		return true;
	if (o->uid != uid || may_be_of_either(services, flags, service))
		return false;
	return o->service == NULL
		   ? (flags & SPOOL_OF_SOCKET) == 0
		   : (flags & SPOOL_OF_SOCKET) != 0 && strcmp(o->service, service) == 0;
}

void
mail_owner_name(
    const struct users *users, uint32_t uid, const char *service, char to[LOG_LIMIT_WHO_MAX])
{
	if (service != NULL)
		(void)snprintf(to, LOG_LIMIT_WHO_MAX, "callers of the socket %s", service);
	else
		users_name_bucket(users_bucket(users, uid), to, LOG_LIMIT_WHO_MAX);
}

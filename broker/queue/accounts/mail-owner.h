/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * mail-owner.h: whose messages a caller may see and act on.
 */
#ifndef FRANK_BROKER_QUEUE_ACCOUNTS_MAIL_OWNER_H
#define FRANK_BROKER_QUEUE_ACCOUNTS_MAIL_OWNER_H

#include "broker/queue/accounts/service.h"
#include "broker/role/log-limit.h"
#include "broker/role/users.h"

struct mail_owner {
	int64_t uid; /* -1: everybody's messages */
	const char
	    *service; /* the uid is of a caller of its socket; NULL: of a user of this host */
};

/* Is a message with this uid, flags and service one of the owner's? */
bool mail_owner_has(const struct mail_owner *o, const struct services *services, int64_t uid,
    unsigned flags, const char *service);
/* Whom a uid counts as, in words for log_limited; `service` as in struct mail_owner. */
void mail_owner_name(
    const struct users *users, uint32_t uid, const char *service, char to[LOG_LIMIT_WHO_MAX]);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * local.h: addresses of this host: where the aliases file, the postmaster and the mail domain of the
 * configuration say that their mail goes (the rules are those of base/aliases.h).
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_LOCAL_H
#define FRANK_BROKER_QUEUE_COMMON_LOCAL_H

#include "broker/queue/common/settings.h"

/* Is the address without a domain, or with one of this host's? */
bool local_is_own(const struct queue_settings *s, const char *address);
/* aliases_expand with the configuration's aliases. */
enum aliases_result local_expand(const struct queue_settings *s, const char *address,
    aliases_visit *visit, void *arg, struct buf *why);
/* "local@domain": a name without a domain gets the mail domain. The caller frees. NULL: no memory. */
char *local_qualify(const struct queue_settings *s, const char *address);

#endif

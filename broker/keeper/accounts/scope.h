/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * scope.h: lists of scopes, and when two spellings of a scope mean the same right. Pure.
 *
 * Servers spell scopes otherwise than the request did: Microsoft grants
 * https://graph.microsoft.com/Mail.Send as Mail.Send, a resource by its application id, and without regard to case; a
 * slash at the end comes and goes. Two scopes mean the same where their last segments are equal (in any case) and the
 * resources in front, where both name one, are the same or two names of one. A broader scope of Gmail holds the right
 * to send too. Sources: Microsoft Learn, "Scopes and permissions in the Microsoft identity platform"; Google, "Gmail
 * API: users.messages.send".
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_SCOPE_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_SCOPE_H

#include <stdbool.h>

#include "base/buf.h"

/* Is the scope `wanted` in the list `scopes` (NULL: empty), in the same spelling? */
bool scope_is_listed(const char *scopes, const char *wanted);

/* The first scope of `asked` that names a right to mail and that `granted` does not hold, cut out into `ret`; false
 * where none is lacking, also where one of the lists is NULL. Scopes that ask who somebody is (openid, email, profile,
 * address, phone) or for a refresh token (offline_access) may be left out or renamed by servers, as may ".default"
 * ones. */
bool scope_lacking(const char *asked, const char *granted, struct buf *ret);

/* Scopes that are granted and were not asked for, and those that let their holder read the mailbox
 * too, as a sentence each; nothing where there are none. */
void scope_warn(const char *asked, const char *granted, struct buf *ret);

/* The scopes to name when refreshing: all but those that ask who somebody is. 0 or -ENOMEM. */
int scope_for_refresh(const char *asked, struct buf *ret);

#endif

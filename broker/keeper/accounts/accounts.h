/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * accounts.h: the accounts of the configuration: which there are, when each has something to do, and
 * the requests that refresh their tokens.
 *
 * An account that stays in the configuration keeps its machine and its place in the store. One that is
 * taken out while the server is asked to refresh for it lives on, unlisted, until the answer is
 * stored, since that answer may bring a refresh token that replaces the stored one.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNTS_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNTS_H

#include <event2/event.h>

#include "broker/keeper/accounts/account.h"
#include "broker/keeper/accounts/token-request.h"

struct accounts;

/* What the accounts need of the parts above them. */
struct accounts_ops {
	/* Whoever waits under this number gets the account's access token, or learns that there is
	 * none. */
	void (*decide)(void *arg, struct account *a, uint64_t waiter, bool granted);
	/* The account's state or its text may have changed. */
	void (*changed)(void *arg, struct account *a);
	/* The account is taken out of the configuration, or its credential was replaced: whatever
	 * was begun for it ends, and whoever waits is refused. */
	void (*forget)(void *arg, struct account *a);
	void *arg;
};

/* Everything is borrowed. NULL when memory is out. */
struct accounts *accounts_new(struct event_base *base, const struct file_ops *files,
    struct vault *vault, struct token_requests *requests, const struct accounts_ops *ops);
/* Takes NULL; returns NULL. */
struct accounts *accounts_free(struct accounts *s);

/* The store, where it is open, and why not, where it is not (NULL). Accounts that are configured from
 * now on are read from it. */
void accounts_use_store(struct accounts *s, struct store *store, enum store_trouble trouble);
/* Reads every account that was not read yet: the store was closed. */
void accounts_open(struct accounts *s);

/* Takes the accounts of a new configuration in the place of those before; `confs` are taken, the array
 * is not. 0; -ENOMEM, and nothing has changed. */
int accounts_configure(struct accounts *s, struct account_conf **confs, size_t count);

/* In the order of their names. Borrowed until accounts_configure. */
size_t accounts_count(const struct accounts *s);
struct account *accounts_at(const struct accounts *s, size_t i);
/* NULL where there is none of this name. accounts_find_any also finds one that lives on unlisted. */
struct account *accounts_find(const struct accounts *s, const char *name);
struct account *accounts_find_any(const struct accounts *s, const char *name);

/* The time; also notices that the system's clock was set. */
struct machine_now accounts_now(struct accounts *s);
/* Does what the account's machine wants. To be called after every event for it. */
void accounts_run(struct accounts *s, struct account *a);
/* The account's file was replaced: what was known is forgotten, and the file is read. 0; -ENOMEM. */
int accounts_reload(struct accounts *s, struct account *a);
/* Writes refresh tokens that are in memory alone. */
void accounts_flush(struct accounts *s);

#endif

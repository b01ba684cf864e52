/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * configuration.h: the keeper's part of the configuration as it arrives, message by message. It is used
 * once it has arrived whole, or not at all.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_CONFIGURATION_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_CONFIGURATION_H

#include <sys/types.h>

#include "broker/keeper/accounts/account-conf.h"
#include "tokenstore/keyslots.h"

/* The services of the configuration that may have access tokens, and whose callers are known by uid. */
struct token_service {
	char *name;
	bool any_user;
	uid_t *users;
	size_t user_count;
	gid_t *groups;
	size_t group_count;
	char **accounts;
	size_t account_count;
};

struct token_services {
	struct token_service *items;
	size_t count;
};

/* Frees what it holds; it is empty then. */
void configuration_clear_services(struct token_services *s);

struct configuration {
	struct account_conf **accounts;
	size_t account_count, account_room;
	struct token_services services;
	enum keyslot_kind key_from;
	struct secret *key; /* the configured key of the token store; NULL for a passphrase */
	uint64_t admin_gid; /* CALLER_NO_GROUP: none */
	bool begun, failed;
};

/* Takes a message of the configuration; others are passed over. True where a whole configuration is
 * there with it: the caller takes out of `c` what it uses, and then clears it. */
bool configuration_take(struct configuration *c, struct vault *v, const struct message *m);
void configuration_clear(struct configuration *c);

#endif

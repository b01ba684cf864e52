/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * command.h: what clients at keeper.sock ask, and who may: tokens, secrets, the state of accounts,
 * signing in, revoking, the keys of the store.
 */
#ifndef FRANK_BROKER_KEEPER_COMMAND_H
#define FRANK_BROKER_KEEPER_COMMAND_H

#include "broker/conf/conf.h"
#include "broker/keeper/accounts/lease.h"
#include "broker/keeper/sign-in/revocation.h"
#include "broker/keeper/clients/client.h"
#include "broker/keeper/keys/keys.h"
#include "broker/keeper/sign-in/attempt.h"

struct command_desk;

/* The parts of the keeper that do what is asked. Borrowed. */
struct command_parts {
	struct accounts *accounts;
	struct leases *leases;
	struct attempts *attempts;
	struct revocations *revocations;
	struct token_keys *keys;
};

/* `role` is borrowed. NULL when memory is out. */
struct command_desk *commands_new(struct role *role, const struct command_parts *parts);
/* Ends every client first. Takes NULL; returns NULL. */
struct command_desk *commands_free(struct command_desk *cmd);

/* Whoever is connected. Borrowed. */
struct clients *commands_clients(struct command_desk *cmd);
/* A new configuration, for its services: taken. */
void commands_set_services(struct command_desk *cmd, struct conf *c);

#endif

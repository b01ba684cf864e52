/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * revocation.h: a grant given back (RFC 7009).
 *
 *     ACCOUNT_REVOKE ─▶ (DISCOVER) ─▶ REVOKE_REQUEST ─▶ wiped ─▶ KEEPER_DONE
 *
 * The keeper forgets the refresh token only after the server has confirmed that it is revoked. With FLAGS 1
 * it forgets without asking the server.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_REVOCATION_H
#define FRANK_BROKER_KEEPER_SIGN_IN_REVOCATION_H

#include "broker/keeper/accounts/accounts.h"
#include "broker/keeper/clients/client.h"

struct revocations;

/* Everything is borrowed. NULL when memory is out. */
struct revocations *revocations_new(
    struct accounts *accounts, struct fetch_requests *fetch, struct token_requests *requests);
/* Takes NULL; returns NULL. */
struct revocations *revocations_free(struct revocations *rs);

/* ACCOUNT_REVOKE of an administrator. */
void revocation_start(struct revocations *rs, struct client *c, const struct message *m);
/* A client is gone: what it began goes on without it. */
void revocations_forget_client(struct revocations *rs, const struct client *c);
/* The account is taken out of the configuration, or its credential was replaced. */
void revocations_forget_account(struct revocations *rs, const struct account *a);

#endif

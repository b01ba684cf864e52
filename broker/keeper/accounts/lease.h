/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * lease.h: who waits for a credential, and what the transports (send, post) get.
 *
 * Queue leases an account to the transports while it has mail for it; they get a credential for a
 * leased account, and for no other.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_LEASE_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_LEASE_H

#include "broker/keeper/accounts/accounts.h"

struct leases;

/* Everything is borrowed. NULL when memory is out. */
struct leases *leases_new(struct role *role, struct accounts *accounts);
/* Nobody is called any more. Takes NULL; returns NULL. */
struct leases *leases_free(struct leases *l);

/* LEASE of queue: the account is leased, or no longer. */
void lease_set(struct leases *l, const struct message *m);
/* Queue is gone: nothing is leased. */
void lease_end_all(struct leases *l);
/* CREDENTIAL_GET of a transport. */
void lease_get(struct leases *l, enum role_id transport, const struct message *m);
/* A transport is gone. */
void lease_forget_transport(struct leases *l, enum role_id transport);

/* Whoever waited under this name gets the account's access token (machine_access_token), or learns
 * that there is none. */
typedef void lease_decided(void *waiter, struct account *a, bool granted);

/* Lets somebody wait for a token of `a` that lives `min_valid` seconds more; `rejected` as in
 * machine_want. `decided` is called once, also from within, unless lease_forget comes before. 0, -EBUSY
 * (too many wait) or -ENOMEM. */
int lease_wait(struct leases *l, struct account *a, lease_decided *decided, void *waiter,
    uint64_t min_valid, uint64_t rejected);
void lease_forget(struct leases *l, const void *waiter);
/* Whoever waits for a token of this account is refused. */
void lease_refuse(struct leases *l, struct account *a);

/* The machine's decision about the one that it knows by this number (accounts_ops). */
void lease_decide(struct leases *l, struct account *a, uint64_t number, bool granted);

#endif

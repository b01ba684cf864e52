/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keys.h: how the token store is opened, and its key slots.
 *
 * The store opens with the key that main sends with the configuration. If that is a passphrase, or a key
 * that does not fit, the keeper runs without a store: no account has a credential, so queue accepts mail and
 * keeps it. `frank unlock` opens the store then, with the passphrase of any slot.
 */
#ifndef FRANK_BROKER_KEEPER_KEYS_KEYS_H
#define FRANK_BROKER_KEEPER_KEYS_KEYS_H

#include "broker/keeper/accounts/accounts.h"
#include "broker/keeper/clients/client.h"

struct token_keys;

/* `dir` is the folder of the store, -1 for none. Everything is borrowed. NULL when memory is out. */
struct token_keys *keys_new(struct event_base *base, const struct file_ops *files, int dir,
    struct vault *vault, struct accounts *accounts);
/* Closes the store: no account uses it any more. Takes NULL; returns NULL. */
struct token_keys *keys_free(struct token_keys *k);

/* A configuration is taken: opens the store with its key, where it is not open. `key` is NULL for a
 * passphrase; borrowed. */
void keys_configure(struct token_keys *k, enum keyslot_kind kind, const struct secret *key);
/* KEY_ACT of an administrator. `fd` is taken; -1: none. */
void keys_act(struct token_keys *k, struct client *c, const struct message *m, int fd);
/* A client is gone, or its channel has room again. */
void keys_forget_client(struct token_keys *k, const struct client *c);
void keys_writable(struct token_keys *k, const struct client *c);

#endif

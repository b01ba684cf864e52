/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account-conf.h: what the configuration says of one account, as far as its credential is
 * concerned.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNT_CONF_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNT_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "broker/conf/conf.h"
#include "broker/keeper/accounts/vault.h"
#include "diagnosis/diagnosis.h"

/* What keys.def says of an account; its secrets are sealed. */
struct account_conf {
	union {
		struct conf_account sent;
		struct {
			CONF_ACCOUNT_MEMBERS
		};
	};
	char *server_host; /* of the authorization server; NULL where none is named */
	/* Given by reference: they count before whatever is in the store. */
	struct sealed *sealed_secret, *sealed_password, *sealed_key;
	struct buf certificate; /* client_certificate: PEM, public */
};

/* Does the client prove who it is with a key, instead of a secret? */
bool account_conf_signs(const struct account_conf *c);
/* The server at which the client is registered: its token endpoint, else its issuer. */
const char *account_conf_server(const struct account_conf *c);

/* Takes what `sent` holds, which is zero afterwards. NULL: no memory. */
struct account_conf *account_conf_new(struct vault *v, struct conf_account *sent);
/* Takes NULL; returns NULL. */
struct account_conf *account_conf_free(struct account_conf *c);

/* What is known of the account for a verdict on an answer of its authorization server. Strings are borrowed from `c`. */
void account_conf_facts(const struct account_conf *c, struct diagnosis_facts *ret);

/* The name under which a login happens: auth-user, else mailbox, else "". */
const char *account_conf_login(const struct account_conf *c);

/* Do both ask the same servers for the same thing and the same person? If not, a token that was issued for
 * one is not used for the other. */
bool account_conf_same(
    const struct vault *v, const struct account_conf *a, const struct account_conf *b);

#endif

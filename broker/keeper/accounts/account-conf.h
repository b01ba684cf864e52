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
#include "base/grant.h"
#include "broker/ipc/message.h"
#include "broker/keeper/accounts/vault.h"
#include "diagnosis/diagnosis.h"

/* Strings are owned; NULL where the configuration says nothing. */
struct account_conf {
	char *name;
	enum grant grant;
	char *provider, *mailbox, *auth_user;
	char *client_id, *client_auth;
	char *issuer, *authorization_endpoint, *token_endpoint, *userinfo_endpoint,
	    *device_endpoint, *revocation_endpoint;
	char *scopes;
	char *
	    *audience; /* what an access token that can be read may be meant for; none: anything */
	size_t audience_count;
	char *host;        /* of the submission server */
	char *server_host; /* of the authorization server; NULL where none is named */
	char *secret_from; /* as the configuration refers to it; NULL: the token store */
	char *redirect_scheme, *redirect_host, *redirect_path;
	uint64_t redirect_port; /* 0: any */
	char *password_derivation, *region;
	char *key_id, *key_algorithm; /* of assertions */
	char **extra;                 /* "key=value" of the authorization request */
	size_t extra_count;
	bool verify_identity;
	uint64_t min_valid;
	uint64_t consent_lifetime; /* seconds from a sign-in until another is wanted; 0: for good */
	/* Given by reference: they count before whatever is in the store. */
	struct sealed *client_secret, *password, *client_key;
	struct buf certificate; /* PEM, public */
	bool reread;            /* main is asked for what stands in files before each use */
};

/* Does the client prove who it is with a key, instead of a secret? */
bool account_conf_signs(const struct account_conf *c);
/* The server at which the client is registered: its token endpoint, else its issuer. */
const char *account_conf_server(const struct account_conf *c);

/* Reads CONF_ACCOUNT. NULL when memory is out, or (-ENOTSUP in errno) for a grant that is not
 * known. */
struct account_conf *account_conf_new(struct vault *v, const struct message *m);
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

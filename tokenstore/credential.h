/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * credential.h: what a record of the token store holds: everything that Frank knows of one
 * account's credential, complete, so that no record needs another to be understood.
 */
#ifndef FRANK_TOKENSTORE_CREDENTIAL_H
#define FRANK_TOKENSTORE_CREDENTIAL_H

#include "base/secret.h"

enum credential_condition {
	CREDENTIAL_FINE = 0,
	CREDENTIAL_NEEDS_AUTHORIZATION = 1, /* the server refused the refresh token for good */
	CREDENTIAL_CLIENT_ERROR = 2,        /* the server refused the client for good */
};

/* All pointers are owned and may be NULL; times are seconds since 1970, 0 for none. */
struct credential {
	struct secret *refresh_token;
	/* the refresh token before, until the present one has worked */
	struct secret *previous_token;
	struct secret *access_token;
	struct secret *client_secret; /* given by a person for the OAuth client */
	struct secret *password;      /* given by a person for a password account */
	struct secret *signing_key;   /* PEM, given by a person for a client that signs */
	/* a sign-in that somebody was invited to, as the keeper packs it */
	struct secret *invitation;

	/* whom the tokens belong to */
	char *issuer;
	char *token_endpoint;
	char *client_id;
	char *mailbox;
	char *auth_user;
	char *identity; /* by which name the person signed in */
	char *scope;    /* granted */

	/* whom the password belongs to */
	char *password_user;
	char *password_host;

	/* whom the client's secret or key belongs to, and its name in assertions */
	char *client_secret_id;
	char *client_secret_server;
	char *signing_key_id;

	char *condition_text;
	uint64_t condition; /* enum credential_condition */
	uint64_t intent;    /* 1: a refresh was begun with refresh_token; its outcome is not in this
			       record */
	uint64_t access_obtained;
	uint64_t access_expires;
	uint64_t authorized_at;
	uint64_t refreshed_at;
	uint64_t refresh_expires; /* when the server ends the refresh token, as it said */
	uint64_t refresh_life;    /* seconds of life that it gave it at the sign-in */
};

/* Frees and wipes what it holds; it is empty then. Takes NULL. */
void credential_clear(struct credential *c);
#define CLEANUP_CREDENTIAL CLEANUP(credential_clear)

/* To octets (a new secret) and back. pack: 0, -E2BIG, -ENOMEM. unpack: 0, -EBADMSG, -ENOTSUP for a
 * field of a later release, -ENOMEM; `ret` is overwritten, and empty after an error. */
int credential_pack(const struct credential *c, struct secret **ret);
int credential_unpack(const uint8_t *bytes, size_t len, struct credential *ret);

#endif

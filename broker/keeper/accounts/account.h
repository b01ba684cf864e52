/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.h: one account: its configuration, its sealed record and its token machine brought
 * together.
 *
 * No sockets here: what the machine asks for comes out through account_ops.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNT_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_ACCOUNT_H

#include <sys/queue.h>

#include "broker/keeper/accounts/account-conf.h"
#include "broker/keeper/accounts/machine.h"
#include "tokenstore/store.h"

/* What the record holds beside the machine's tokens, and whom each credential belongs to. */
struct account_record {
	struct {
		struct sealed *secret, *key;
		char *id, *server; /* the client and its authorization server */
		char *key_id;      /* the key's name in assertions */
	} client;
	struct {
		struct sealed *secret;
		char *user, *host;
	} password;
	struct {
		char *issuer, *token_endpoint, *client_id, *mailbox, *auth_user;
		char *identity; /* by which name the person signed in */
	} tokens;
	struct sealed *invitation; /* see invitation.c */
};

struct account;
struct event;

struct account_ops {
	/* The machine wants its refresh token sent; the answer goes to machine_answer. */
	void (*ask)(void *arg, struct account *a, uint64_t request);
	/* A waiter gets the access token, or nothing. */
	void (*decide)(void *arg, struct account *a, uint64_t waiter, bool granted);
	/* The account's state or its text may have changed. */
	void (*changed)(void *arg, struct account *a);
	struct machine_now (*now)(void *arg);
	uint32_t (*random)(void *arg);
	void *arg;
};

/* What came of a request for an access token, as metrics tell it apart: it is there; try again later; a person has to see to it. */
enum account_refresh { REFRESH_SUCCESS, REFRESH_FAILURE, REFRESH_REFUSED, ACCOUNT_REFRESHES };

struct account {
	struct account_conf *conf;
	struct machine *machine;
	struct account_record record;
	struct store_account *file; /* NULL: the store is not open */
	enum file_status status;    /* of the file when it was read */
	enum store_trouble trouble; /* why the store is not open */
	const struct account_ops *ops;
	struct vault *vault;
	uint64_t conf_serial; /* counts the changes that matter of the configuration */
	bool replace;         /* the next write may set an unexplained file aside */
	bool running;         /* account_run is at work: no recursion */
	bool paused;          /* its grant is being given back */
	int write_error;      /* of the last write, or 0 */
	char
	    *endpoint; /* the token endpoint that the issuer's metadata names, once it was needed */
	int64_t given; /* when a person last gave a credential; 0: not since this role began */

	/* accounts.c */
	bool listed; /* in the configuration */
	struct event *timer;
	LIST_ENTRY(account) unlisted;
	bool leased; /* lease.c: to the transports */
	uint64_t refreshes
	    [ACCOUNT_REFRESHES]; /* answers to the machine's requests, since this role began */
	/* report.c */
	bool report_due; /* queue does not know yet how it stands */
	char *logged;    /* its last state in the log, with the text */
};

/* Takes `conf`. NULL when memory is out (then `conf` is freed). Nothing is read yet. */
struct account *account_new(
    struct account_conf *conf, struct vault *v, const struct account_ops *ops);
/* Takes NULL; returns NULL. */
struct account *account_free(struct account *a);

/* Do the stored tokens belong to the server, client and mailbox that the account names now? */
bool account_tokens_fit(const struct account *a);

/* Reads the account's file, once the store is open. 0; -ENOMEM. A verdict on the file is in
 * `status`. */
int account_open(struct account *a, struct store *s);

/* The account's file was replaced (restored): forgets what was known and reads the file. The caller has
 * refused whoever waits. 0; -ENOMEM. */
int account_reload(struct account *a, struct store *s);

/* Takes a new configuration of the same name. Returns whether anything changed that matters to the
 * credential. */
bool account_configure(struct account *a, struct account_conf *conf);

/* Does what the machine asks for. Called after every event for it. */
void account_run(struct account *a);

/* Writes the record as it is in memory. 0 or negative errno. */
int account_rewrite(struct account *a);

/* Writes a refresh token that is in memory only. */
void account_flush(struct account *a);

/* ---- the views ---- */

/* The password in force (a new secret), or NULL: the configuration's before the store's. */
struct secret *account_password(const struct account *a);
struct secret *account_client_secret(const struct account *a);
/* The key that the client signs with (a new secret), or NULL. */
struct secret *account_signing_key(const struct account *a);
/* The token endpoint, configured or discovered; NULL: not known yet. */
const char *account_token_endpoint(const struct account *a);

/* How an account stands, for people and for the queue. */
struct account_view {
	const char *state; /* active | needs-authorization | client-error | configuration */
	bool usable;       /* a credential can be had, or soon again without anybody's help */
	struct buf text, next;
	const char *
	    words; /* the authorization server's own; "" where it is not about an answer; borrowed from the account */
	const char *cause, *fixer; /* of the verdict on them; constants; "" likewise */
	int64_t until;             /* seconds since 1970: when it is tried again; 0: not known */
};
void account_view(const struct account *a, struct account_view *ret);
void account_view_clear(struct account_view *v);

/* ---- new credentials ---- */

/* A person signed in under the name `identity`; `answer` holds the tokens, which `issuer` issued at
 * `token_endpoint`. They are written at once. 0; -ENOMEM; or the error of the write: then the tokens are
 * in memory, and are written as soon as it is possible. */
int account_adopt(struct account *a, const struct machine_answer *answer, const char *identity,
    const char *issuer, const char *token_endpoint);

/* What a person may give for an account. */
enum account_secret { SECRET_PASSWORD, SECRET_CLIENT, SECRET_SIGNING_KEY };
enum account_secret account_secret_kind(const struct account *a);

/* A person gave a password, or for an OAuth account the client's secret or key, with the name that
 * the provider gives the key (or NULL). 0; -EPERM where the
 * configuration names one, which would count before it; -ENOKEY where the store is not open; the
 * error of the write (nothing has changed then). */
int account_set_secret(struct account *a, const struct secret *s, const char *key_id);

/* A paused account asks for nothing and gives nothing away. */
void account_pause(struct account *a, bool paused);

/* Forgets what the store holds for the account: tokens, and with `all` also its password, secret
 * and key. On disk both places of the record are written over. 0; -EBUSY while a request is in
 * flight; -ENOKEY; the error of the write. */
int account_forget(struct account *a, bool all);

/* Keeps an invitation, or with NULL takes it away, and writes that. 0; -ENOKEY; the write's error
 * (nothing has changed then); -ENOMEM. */
int account_set_invitation(struct account *a, const struct secret *packed);

#endif

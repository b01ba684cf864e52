/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keeper.h: the keeper role: the secrets, who gets them, and what is asked of authorization servers
 * for them.
 *
 * Internal to broker/keeper: the parts of the role and what they share.
 *
 *     keeper.c         life of the role, refreshing, what queue is told
 *     configuration.c  the accounts and services
 *     lease.c        who waits for a credential, and what send gets
 *     token-request.c        keys and endpoints that a request needs
 *     fetch-request.c       requests to the fetch role, and the forms of token requests
 *     command.c        keeper.sock: who asks, and what they may
 *     authorize.c      a person signing in: by a browser that comes back (see attempt.h)
 *     device.c         ... by a code typed elsewhere
 *     invitation.c     ... by an address that is sent to them
 *     attempt.c        what a sign-in brings: checked, then stored
 *     revoke.c         a grant given back
 *     keys.c           the store opened, its key slots, and what is done with every record
 */
#ifndef FRANK_BROKER_KEEPER_KEEPER_H
#define FRANK_BROKER_KEEPER_KEEPER_H

#include <sys/types.h>

#include "broker/keeper/accounts/account.h"
#include "broker/role/log-limit.h"
#include "broker/role/places.h"
#include "broker/role/role.h"

struct keeper;
struct attempt;
struct request;
struct client;
struct preparation;
struct revocation;
struct key_job;

/* The services of the configuration, as far as tokens are concerned. */
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

struct accounts {
	struct account **items; /* sorted by name */
	size_t count;
};

/* A configuration on its way in. */
struct incoming_conf {
	struct account_conf **accounts;
	size_t account_count, account_room;
	struct token_service *services;
	size_t service_count;
	char *key_from;
	struct secret *key;
	uint64_t admin_gid; /* UINT64_MAX: none */
	bool begun, failed;
};

/* Somebody who waits for a token. */
struct waiter {
	struct waiter *next;
	uint64_t id;             /* as the machine knows it */
	struct account *account; /* borrowed */
	struct client *client;   /* NULL: a role that takes mail out */
	enum role_id carrier;    /* then: send or post */
	uint64_t send_id;        /* of CREDENTIAL_GET */
	char *service;           /* who let a client have it, for the audit line */
};

struct keeper {
	struct role *role;
	const struct file_ops *files;
	int dir;
	struct vault *vault;
	struct store *store;
	enum store_trouble trouble;
	enum keyslot_kind key_kind; /* of the configured key */
	struct sealed *key;         /* the configured key; NULL for a passphrase */
	struct account_ops account_ops;
	struct accounts accounts;
	struct account *retired; /* taken out of the configuration in the middle of a refresh */
	struct token_service *services;
	size_t service_count;
	uint64_t admin_gid;
	struct incoming_conf incoming;
	struct waiter *waiters;
	uint64_t last_waiter;
	int64_t clock_offset; /* wall minus boot, in seconds; 0: not yet known */
	bool states_due;      /* some account's state is still to be told to the queue */
	bool stopping;
	struct event *stop_timer;

	struct preparation *preparations; /* token-request.c */
	struct revocation *revocations;   /* revoke.c */
	/* fetch-request.c */
	struct request *requests, **last_request;
	uint64_t last_request_id;
	struct event *fetch_timer;
	/* command.c */
	struct client *clients;
	struct places places;
	struct users *users;
	struct log_limit *log; /* lines that clients cause */
	struct event *listener;
	int listen_fd;
	/* authorize.c */
	struct attempt *attempts;
	/* keys.c */
	struct key_job *key_job;
};

extern const struct role_def keeper_role;

/* Prepares a zeroed keeper; `files` is borrowed. 0 or negative errno. */
int keeper_init(struct keeper *k, const struct file_ops *files);
/* Lets go of everything. */
void keeper_clear(struct keeper *k);

struct machine_now keeper_now(struct keeper *k);
struct account *keeper_find(const struct keeper *k, const char *name);
/* After an event for an account: its actions, its timer. */
void keeper_run(struct keeper *k, struct account *a);

/* Lets somebody wait for a token of `a`: a client, or where that is NULL the role `carrier`. 0 or
 * negative errno. `service` may be NULL. */
int keeper_wait(struct keeper *k, struct account *a, struct client *client, enum role_id carrier,
    uint64_t send_id, const char *service, uint64_t min_valid, uint64_t rejected);
/* Forgets whoever waits for this client; NULL: for this role. */
void keeper_forget(struct keeper *k, const struct client *client, enum role_id carrier);

/* What a machine's decision about one who waits (account_ops) leads to. */
void keeper_decide(void *arg, struct account *a, uint64_t waiter, bool granted);
/* CREDENTIAL_GET of send or post. */
void lending_get(struct keeper *k, enum role_id carrier, const struct message *m);
/* Tells queue how every account stands. */
void keeper_tell_all(struct keeper *k);

/* ---- configuration.c ---- */

/* False for a message that is not of the configuration. */
bool configuration_message(struct keeper *k, const struct message *m);
/* Frees an account that was retired and is not refreshing any more. */
void configuration_end_retired(struct keeper *k, struct account *a);
void configuration_clear(struct keeper *k);

/* ---- token-request.c ---- */

/* `fault` NULL: what a token request needs is there. `local`: it is our own files' fault. */
typedef void prepare_done(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local);

/* Reads the account's key files and finds its token endpoint, as far as either is needed. `done` is
 * called once, also from within, unless it is cancelled. */
void prepare(struct keeper *k, struct account *a, prepare_done *done, void *arg, uint64_t tag);
void prepare_answer(struct keeper *k, const struct message *m);
/* Whoever asked wants no answer any more. */
void prepare_cancel(struct keeper *k, const void *arg);
bool prepare_is_idle(const struct keeper *k);
void prepare_clear(struct keeper *k);

/* ---- fetch-request.c ---- */

/*
 * `answer` is the fetch role's, NULL where none came: `fault` then says why, and `sent` whether the
 * request may have reached anybody. Called exactly once for each request that was not cancelled.
 */
typedef void request_done(void *arg, uint64_t tag, struct keeper *k, const struct message *answer,
    const char *fault, bool sent);

uint64_t request_id(struct keeper *k);
/* Sends `m` (taken; made with the id) as soon as the fetch role is there. `arg` and `tag` are
 * handed to `done`. */
void request_start(
    struct keeper *k, uint64_t id, struct message *m, request_done *done, void *arg, uint64_t tag);
/* Whoever asked wants no answer any more. */
void requests_cancel(struct keeper *k, void *arg);
bool requests_idle(const struct keeper *k);
void requests_answer(struct keeper *k, const struct message *m);
void requests_peer(struct keeper *k, bool up);
void requests_clear(struct keeper *k);

/* Reads TOKEN_ANSWER. Secrets are new and the caller's: answer_clear. */
struct token_answer {
	struct machine_answer answer;
	struct secret *access_token, *refresh_token;
	struct buf lacking, misdirected;
};
void token_answer_read(const struct message *m, const char *fault, bool sent,
    const struct account_conf *conf, struct token_answer *ret);
void token_answer_clear(struct token_answer *t);

/*
 * A TOKEN_REQUEST, DEVICE_REQUEST or REVOKE_REQUEST to `endpoint`, without its parameters but for
 * what proves who the client is. `endpoint` NULL: the account's token endpoint, known or not. NULL
 * with *ret_why, a constant, where the client's key cannot be used, or memory is out.
 */
struct message *token_request_new(struct keeper *k, const struct account *a, enum message_type type,
    uint64_t id, const char *endpoint, const char **ret_why);
/* Adds "key=value". */
void token_request_put(struct message *m, const char *key, const void *value, size_t len);

/* ---- command.c ---- */

void clients_listen(struct keeper *k, int fd);
void clients_clear(struct keeper *k);
/* The machine decided for one who waits. */
void client_decide(struct keeper *k, const struct waiter *w, bool granted);
/* The end of what a client asked. NULL strings are left out; `exit` 0 is success. */
void client_done(struct client *c, int exit, const char *error, const char *next, const char *text);
/* Success, about which a person should know something more ("" or NULL: nothing). */
void client_done_warned(struct client *c, const char *text, const char *warning);
int client_send(struct client *c, struct message *m);
uid_t client_uid(const struct client *c);
/* What it asked takes a while: it is not read until client_done or client_release. */
void client_occupy(struct client *c);
/* No attempt of this client is under way any more. */
void client_release(struct client *c);
/* The accounts were exchanged. */
void clients_reloaded(struct keeper *k);

/* ---- authorize.c, device.c, invitation.c ---- */

void authorize_start(struct keeper *k, struct client *c, const struct message *m);
void authorize_callback(struct keeper *k, struct client *c, const struct message *m);
void authorize_device(struct keeper *k, struct client *c, const struct message *m);
void authorize_invite(struct keeper *k, struct client *c, const struct message *m);
void authorize_finish(struct keeper *k, struct client *c, const struct message *m);
/* A client is gone, or an account: what it began goes on without it, or ends. */
void authorize_forget_client(struct keeper *k, const struct client *c);
void authorize_forget_account(struct keeper *k, const struct account *a);
void authorize_clear(struct keeper *k);
/* ---- revoke.c ---- */

void revoke_start(struct keeper *k, struct client *c, const struct message *m);
void revoke_forget_client(struct keeper *k, const struct client *c);
void revoke_forget_account(struct keeper *k, const struct account *a);
void revoke_clear(struct keeper *k);

/* Is somebody signing in for this account right now? */
bool authorize_is_under_way(const struct keeper *k, const struct account *a);

/* ---- keys.c ---- */

/* The configuration is taken: opens the store with its key, where it is not open. */
void keys_configured(struct keeper *k, enum keyslot_kind kind, const struct secret *key);
/* KEY_ACT of an administrator. `fd` is taken; -1: none. */
void keys_act(struct keeper *k, struct client *c, const struct message *m, int fd);
/* A client is gone, or its channel has room again. */
void keys_forget_client(struct keeper *k, const struct client *c);
void keys_writable(struct keeper *k, const struct client *c);
void keys_end(struct keeper *k);
/* An account that is in the configuration, or was when its refresh began; NULL. */
struct account *configuration_find_any(const struct keeper *k, const char *name);
/* Nobody waits for a token of this account any more: they are told no. */
void configuration_refuse_waiters(struct keeper *k, struct account *a);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token-request.h: requests in which a client proves to an authorization server who it is: for
 * tokens, for a device code, for the revocation of a token.
 *
 *     KEY_QUERY ─▶ (main reads the files) ─▶ KEY_ANSWER ─▶ DISCOVER, where the endpoint is not known
 *                                                                  │
 *                                  TOKEN_REQUEST, DEVICE_REQUEST or REVOKE_REQUEST ◀─┘
 *
 * Keys, certificates and secrets in files are read before each use, so that a replaced file is in force at
 * once, without a reload. Only main can open files. An assertion names the endpoint that it is for, so the
 * endpoint must be known before the assertion is signed.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_TOKEN_REQUEST_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_TOKEN_REQUEST_H

#include "broker/keeper/accounts/account.h"
#include "broker/keeper/accounts/fetch-request.h"

struct token_requests;

/* Everything is borrowed. NULL when memory is out. */
struct token_requests *token_requests_new(struct role *role, struct fetch_requests *fetch,
    struct vault *vault, const struct file_ops *files);
/* Nobody is called any more. Takes NULL; returns NULL. */
struct token_requests *token_requests_free(struct token_requests *t);

struct token_request_ops {
	/* Adds the parameters (token_request_put) to a request that is about to be sent. Returns
	 * NULL, or why it cannot be made, a constant. It may not end what `arg` stands for. */
	const char *(*fill)(void *arg, uint64_t tag, struct message *m);
	/* The outcome: the answer, or why there is none. Called once, also from within
	 * token_request_start, unless the request is cancelled. */
	fetch_request_done *done;
};

/*
 * Makes a TOKEN_REQUEST, DEVICE_REQUEST or REVOKE_REQUEST (`type`) to `endpoint` and sends it.
 * `endpoint` NULL: the account's token endpoint, known or not. `a`, `endpoint` and `ops` are borrowed
 * until `done` or token_request_cancel; `arg` and `tag` are handed to both functions.
 */
void token_request_start(struct token_requests *t, struct account *a, enum message_type type,
    const char *endpoint, const struct token_request_ops *ops, void *arg, uint64_t tag);
/* Whoever started requests with this `arg`, here or at the fetch role, wants no answer any more. */
void token_request_cancel(struct token_requests *t, const void *arg);
bool token_request_is_idle(const struct token_requests *t);

/* Main's answer about an account's files. */
void token_request_key_answer(struct token_requests *t, const struct message *m);

/* Adds the parameter "key=value". */
void token_request_put(struct message *m, const char *key, const void *value, size_t len);
/* The same of text, where there is any. */
void token_request_put_text(struct message *m, const char *key, const char *text);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fetch-request.h: requests to the fetch role, which talks to authorization servers.
 *
 * Main starts the role when it is needed; a request waits until it is there. Unless a request is cancelled,
 * it gets one answer: the role's, or the reason why there is none.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_FETCH_REQUEST_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_FETCH_REQUEST_H

#include "broker/keeper/accounts/answer.h"
#include "broker/role/role.h"

struct fetch_requests;

/* `arg` and `tag` as they were given with the request; `answer` is borrowed. Whoever is called may
 * start and cancel requests. */
typedef void fetch_request_done(void *arg, uint64_t tag, const struct fetch_answer *answer);

/* `role` is borrowed. NULL when memory is out. */
struct fetch_requests *fetch_requests_new(struct role *role);
/* Nobody is called any more. Takes NULL; returns NULL. */
struct fetch_requests *fetch_requests_free(struct fetch_requests *f);

/* A message of this type about `account`, with an id of its own, for fetch_request_start. */
struct message *fetch_request_new(
    struct fetch_requests *f, enum message_type type, const char *account);
/* Sends `m` (taken) as soon as the fetch role is there. `done` may be called from within. */
void fetch_request_start(
    struct fetch_requests *f, struct message *m, fetch_request_done *done, void *arg, uint64_t tag);
/* Asks for the metadata of an issuer (OpenID Connect Discovery, RFC 8414): DISCOVERED. */
void fetch_request_discover(struct fetch_requests *f, const char *account, const char *issuer,
    fetch_request_done *done, void *arg);
/* Nobody waits for the answers to requests with this `arg` any more: `done` is not called. */
void fetch_request_cancel(struct fetch_requests *f, const void *arg);
bool fetch_request_is_idle(const struct fetch_requests *f);

/* A message of the fetch role. */
void fetch_request_answer(struct fetch_requests *f, const struct message *m);
/* Its channel opened, has room again, or (`up` is false) is gone. */
void fetch_request_peer(struct fetch_requests *f, bool up);

#endif

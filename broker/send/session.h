/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session.h: one connection to a submission server: name, addresses in turn, TLS, credential, and
 * the engine of base/smtp/client.h in the event loop.
 *
 * A session makes itself ready, takes jobs from its pool while it has room, quits when it stood
 * idle for a minute or lived for five, and frees itself at its end after telling the pool. A token
 * that the server refuses is replaced once by a fresh one, on the same connection where the server
 * keeps it open, else on a new one.
 */
#ifndef FRANK_BROKER_SEND_SESSION_H
#define FRANK_BROKER_SEND_SESSION_H

#include "broker/send/pool.h"

/* Begins. `rejected`: the generation of a credential that the server refused before (0: none): then
 * the keeper is asked for a newer one, and another refusal is final. NULL: no memory. */
struct session *session_new(struct pool *p, uint64_t rejected);
/* Closes as it stands; the pool is not told. */
void session_free(struct session *s);

struct session *session_next(const struct session *s);
void session_set_next(struct session *s, struct session *next);

/* Octets of content on their way; `*room` is false where it takes no job of `len` octets now. */
uint64_t session_load(const struct session *s, size_t len, bool *room);
bool session_is_ready(const struct session *s);
/* Gives it a job: taken with 0. Else -EAGAIN, -EINVAL, -ENOMEM. */
int session_submit(struct session *s, struct job *j);
/* No more jobs. */
void session_quit(struct session *s);
/* Ends it now: what is on its way is answered as lost. */
void session_abort(struct session *s);

/* The process ends now: says QUIT to a server that stands idle, and waits for nothing. */
void session_hang_up(struct session *s);

/* An answer of the keeper for the request `id`: true if it was this session's. */
bool session_credential(struct session *s, uint64_t id, const struct message *m);
/* The keeper is there (what could not be asked is asked) or gone. */
void session_keeper_up(struct session *s, bool up);

/* For JOB_DONE; borrowed until the session's next change. */
struct job_session session_facts(const struct session *s);

/* The generation of the credential that the server refused, where a new session with a newer one is
 * worth trying; else 0. */
uint64_t session_retry(const struct session *s);

#endif

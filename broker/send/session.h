/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session.h: a connection to an account's submission server that carries jobs.
 *
 * A session makes itself ready, takes jobs from its owner while it has room, and quits when it stood
 * idle for a minute or lived for five. A token that the server refuses is replaced once by a fresh one, on the same
 * connection where the server keeps it open, else on a new one.
 */
#ifndef FRANK_BROKER_SEND_SESSION_H
#define FRANK_BROKER_SEND_SESSION_H

#include <sys/queue.h>

#include "broker/ipc/job.h"
#include "broker/send/account.h"
#include "broker/send/env.h"

struct session;
LIST_HEAD(session_list, session);

/* What the owner hears; called from the loop. */
struct session_ops {
	void (*ready)(void *arg, struct session *s);
	/* A job is done; the callee takes it. `untried`: it may go to another session. The rest is borrowed. */
	void (*job_done)(void *arg, struct session *s, struct job *j,
	    const struct smtp_reply *replies, bool untried, const char *transcript);
	/* The session is over, and may be freed: it says nothing more. All of its jobs were done before that. `opened`: it
	 * had been ready. */
	void (*ended)(void *arg, struct session *s, bool opened, const struct smtp_reply *why);
};

/* Begins, and puts it into `list`. `refused`: the generation of a credential that the server refused before (0:
 * none): then keeper is asked for a newer one, and another refusal is final. NULL: no memory. */
struct session *session_new(struct session_list *list, struct send_env *env, struct smtp_account *a,
    uint64_t refused, const struct session_ops *ops, void *arg);
/* Takes it off its list and closes as it stands; nothing is told. */
void session_free(struct session *s);
struct session *session_next(const struct session *s);

/* It has been ready, and takes jobs unless it is full or ending. */
bool session_is_ready(const struct session *s);
/* Octets of content on their way; `*room` is false where it takes no job of `len` octets now. */
uint64_t session_load(const struct session *s, size_t len, bool *room);
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

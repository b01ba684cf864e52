/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * pool.h: an account's waiting jobs and its sessions.
 *
 * A job goes to the session with the least on its way that has room. While jobs wait, more sessions
 * are opened, up to the account's number: one for every few jobs, since a session carries several
 * messages a round trip. A session that cannot be opened fails the jobs that wait, unless others of
 * the account are open: then the server allows fewer than we wanted, and no more are tried for a
 * while.
 */
#ifndef FRANK_BROKER_SEND_POOL_H
#define FRANK_BROKER_SEND_POOL_H

#include "broker/send/account.h"
#include "broker/ipc/job.h"
#include "broker/send/resolver.h"
#include "broker/send/send.h"

struct session;

struct job_list {
	struct job *first, **last;
	size_t count;
};

struct pool {
	struct pool *next;
	struct send *send;
	struct account *account; /* a reference */
	struct job_list again;   /* given back by a session; they go first */
	struct job_list waiting;
	struct session *sessions;
	unsigned count, opening;
	unsigned limit;       /* sessions that the server seems to allow; 0: not known */
	uint64_t limit_until; /* ms */
};

/* What pools and sessions need of the role. */
struct send {
	struct event_base *base;
	const struct send_ops *ops;
	void *arg;
	struct account_table *accounts;
	struct resolver *resolver;
	struct finder *finder; /* under way, or NULL */
	struct pool *pools;
	struct check *checks; /* check.c */
	char *hostname, *next_hostname;
	uint64_t last_id; /* of jobs and requests, unique here */
	bool shutting_down;
	struct event *deadline; /* of the shutdown */
};

/* Milliseconds of CLOCK_BOOTTIME. */
uint64_t send_now(void);

/* The account's pool, made where there is none. NULL: no memory. */
struct pool *pool_of(struct send *s, struct account *a);
/* Frees, with its sessions as they stand, and its jobs unanswered. */
void pool_free(struct pool *p);
/* Frees the pool if nothing is in it. */
void pool_release(struct pool *p);

/* The job is taken. */
void pool_submit(struct pool *p, struct job *j);
/* Gives waiting jobs to sessions and opens what is missing. */
void pool_dispatch(struct pool *p);
/* Every waiting job moves to another pool, or where that is NULL is answered as untried. */
void pool_move(struct pool *p, struct pool *to);
/* No more jobs: sessions end when what is on its way is answered. */
void pool_retire(struct pool *p);

/* ---- called by sessions ---- */

/* A job is done (`untried`: it may go to another session of the pool). Taken. */
void pool_job_done(struct pool *p, const struct session *s, struct job *j,
    const struct smtp_reply *replies, bool untried, const char *transcript);
void pool_session_ready(struct pool *p, struct session *s);
/* The session is over and off the list; `opened`: it had been ready. Before that all of its jobs
 * were done. `again`: the account's credential was renewed on the way, so one more session is worth
 * trying. */
void pool_session_ended(
    struct pool *p, struct session *s, bool opened, const struct smtp_reply *why);

#endif

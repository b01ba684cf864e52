/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * pool.h: an account's waiting jobs and its sessions.
 *
 * A job goes to the session with the least on its way that has room. While jobs wait, more sessions
 * are opened, up to the account's number: one for every few jobs, since a session carries several
 * messages a round trip. When a session cannot be opened, the waiting jobs fail with its reason, unless other
 * sessions of the account are open: then the server allows fewer than we wanted, and the pool tries no more for a
 * minute.
 */
#ifndef FRANK_BROKER_SEND_POOL_H
#define FRANK_BROKER_SEND_POOL_H

#include <sys/queue.h>

#include "broker/ipc/job.h"
#include "broker/send/account.h"
#include "broker/send/env.h"

struct pool;
LIST_HEAD(pool_list, pool);

/* The pool's last session ended, and no job waits. Called from the loop; the pool may be freed in it. */
typedef void pool_emptied(void *arg, struct pool *p);

/* The account's pool, made in `list` where there is none. NULL: no memory. */
struct pool *pool_of(struct pool_list *list, struct send_env *env, struct smtp_account *a,
    pool_emptied *emptied, void *arg);
/* Frees it, with its sessions as they stand, and its jobs unanswered. */
void pool_free(struct pool *p);
struct pool *pool_next(const struct pool *p);
/* Neither a job nor a session. */
bool pool_is_empty(const struct pool *p);
/* Of its sessions, by session_next; NULL: there is none. */
struct session *pool_sessions(const struct pool *p);

/* The job is taken. */
void pool_submit(struct pool *p, struct job *j);
/* Moves every waiting job to another pool; where that is NULL, answers each as untried. */
void pool_move(struct pool *p, struct pool *to);
/* No more jobs: sessions end when what is on its way is answered. */
void pool_retire(struct pool *p);

#endif

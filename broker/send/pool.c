/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* pool.c: see pool.h. */
#include "broker/send/pool.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "broker/send/session.h"

enum {
	JOBS_PER_SESSION = 8, /* waiting jobs that justify one more session */
	REQUEUED_MAX = 3,     /* sessions that may end before a job is given back to queue */
	LIMIT_LASTS = 60 * 1000,
};

struct pool {
	LIST_ENTRY(pool) link;
	struct send_env *env;
	struct smtp_account *account; /* a reference */
	pool_emptied *emptied;
	void *arg;
	struct job_list waiting, again; /* those that a session gave back go first */
	size_t waiting_count;           /* of both */
	struct session_list sessions;
	unsigned count, opening;
	unsigned limit;       /* sessions that the server seems to allow; 0: not known */
	uint64_t limit_until; /* ms */
};

/* ---- life ---- */

struct pool *
pool_of(struct pool_list *list, struct send_env *env, struct smtp_account *a, pool_emptied *emptied,
    void *arg)
{
	struct pool *p = a->pool;

	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->env = env;
	p->account = account_ref(a);
	p->emptied = emptied;
	p->arg = arg;
	STAILQ_INIT(&p->waiting);
	STAILQ_INIT(&p->again);
	LIST_INIT(&p->sessions);
	LIST_INSERT_HEAD(list, p, link);
	a->pool = p;
	return p;
}

void
pool_free(struct pool *p)
{
	LIST_REMOVE(p, link);
	while (!LIST_EMPTY(&p->sessions))
		session_free(LIST_FIRST(&p->sessions));
	job_list_free(&p->again);
	job_list_free(&p->waiting);
	p->account->pool = NULL;
	(void)account_unref(p->account);
	free(p);
}

struct pool *
pool_next(const struct pool *p)
{
	return LIST_NEXT(p, link);
}

bool
pool_is_empty(const struct pool *p)
{
	return LIST_EMPTY(&p->sessions) && p->waiting_count == 0;
}

struct session *
pool_sessions(const struct pool *p)
{
	return LIST_FIRST(&p->sessions);
}

/* Nothing new is begun: the account is another by now, or the role ends. */
static bool
is_ending(const struct pool *p)
{
	return p->account->retired || p->env->shutting_down;
}

/* Borrowed; NULL: none waits. */
static struct job *
first_waiting(struct pool *p)
{
	STAILQ_CONCAT(&p->again, &p->waiting);
	STAILQ_CONCAT(&p->waiting, &p->again);
	return STAILQ_FIRST(&p->waiting);
}

static struct job *
take_waiting(struct pool *p)
{
	struct job *j = first_waiting(p);

	if (j != NULL) {
		STAILQ_REMOVE_HEAD(&p->waiting, link);
		p->waiting_count--;
	}
	return j;
}

/* ---- answers ---- */

/* Answers and frees. */
static void
answer(struct pool *p, const struct session *s, struct job *j, const struct smtp_reply *replies,
    bool one, bool untried, const char *transcript)
{
	struct job_session facts = {0};

	if (s != NULL)
		facts = session_facts(s);
	p->env->ops->to_queue(p->env->arg, job_done(j, replies, one, untried, &facts, transcript));
	(void)job_free(j);
}

static void
answer_all(struct pool *p, const struct session *s, const struct smtp_reply *reply, bool untried)
{
	struct job *j;

	while ((j = take_waiting(p)) != NULL)
		answer(p, s, j, reply, true, untried, NULL);
}

/* ---- giving out ---- */

static struct session *
least_loaded(const struct pool *p, size_t len)
{
	struct session *best = NULL;
	uint64_t least = 0;

	for (struct session *s = pool_sessions(p); s != NULL; s = session_next(s)) {
		bool room;
		uint64_t load = session_load(s, len, &room);

		if (room && (best == NULL || load < least)) {
			best = s;
			least = load;
		}
	}
	return best;
}

static bool
give_one(struct pool *p)
{
	struct job *j = first_waiting(p);
	struct session *s = j == NULL ? NULL : least_loaded(p, j->spec.body_len);
	struct smtp_reply failed = {.stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_LOCAL};
	int r;

	if (s == NULL)
		return false;
	j = take_waiting(p);
	r = session_submit(s, j);
	if (r == 0)
		return true;
	failed.text =
	    r == -EINVAL ? "An address or parameter is not fit for SMTP." : "Out of memory.";
	answer(p, s, j, &failed, true, false, NULL);
	return true;
}

static unsigned
session_limit(struct pool *p)
{
	if (p->limit > 0 && clock_boottime_ms() >= p->limit_until)
		p->limit = 0;
	return p->limit > 0 && p->limit < p->account->sessions ? p->limit : p->account->sessions;
}

static const struct session_ops session_ops;

static bool
open_one(struct pool *p, uint64_t refused)
{
	if (session_new(&p->sessions, p->env, p->account, refused, &session_ops, p) == NULL)
		return false;
	p->count++;
	p->opening++;
	return true;
}

/* Gives waiting jobs to sessions and opens what is missing. */
static void
dispatch(struct pool *p)
{
	static const struct smtp_reply failed = {.stage = SMTP_STAGE_CONNECT,
	    .fault = SMTP_FAULT_LOCAL,
	    .text = "A session cannot be set up: out of memory."};

	while (give_one(p))
		;
	if (is_ending(p))
		return;
	while (p->waiting_count > (size_t)p->opening * JOBS_PER_SESSION &&
	       p->count < session_limit(p)) {
		if (open_one(p, 0))
			continue;
		if (p->count == 0)
			answer_all(p, NULL, &failed, false);
		return;
	}
}

void
pool_submit(struct pool *p, struct job *j)
{
	STAILQ_INSERT_TAIL(&p->waiting, j, link);
	p->waiting_count++;
	dispatch(p);
}

void
pool_move(struct pool *p, struct pool *to)
{
	if (to == NULL) {
		answer_all(p, NULL, NULL, true);
		return;
	}
	(void)first_waiting(p);
	STAILQ_CONCAT(&to->waiting, &p->waiting);
	to->waiting_count += p->waiting_count;
	p->waiting_count = 0;
	dispatch(to);
}

void
pool_retire(struct pool *p)
{
	for (struct session *s = pool_sessions(p); s != NULL; s = session_next(s))
		session_quit(s);
}

/* ---- what sessions report ---- */

static void
on_job_done(void *arg, struct session *s, struct job *j, const struct smtp_reply *replies,
    bool untried, const char *transcript)
{
	struct pool *p = arg;

	if (untried && j->requeued < REQUEUED_MAX && !is_ending(p)) {
		j->requeued++;
		STAILQ_INSERT_TAIL(&p->again, j, link);
		p->waiting_count++;
		return; /* the session's end dispatches */
	}
	if (untried && is_ending(p))
		replies = NULL;
	answer(p, s, j, replies, false, untried, transcript);
	dispatch(p);
}

/* Queue counts them: this role comes and goes. Where memory is out for it, one is not counted. */
static void
report_session(const struct pool *p, const char *state)
{
	struct message *m = message_new(M_SESSION);

	if (m == NULL)
		return;
	message_put_str(m, F_ACCOUNT, p->account->name);
	message_put_str(m, F_STATE, state);
	p->env->ops->to_queue(p->env->arg, m);
}

static void
on_ready(void *arg, struct session *s)
{
	struct pool *p = arg;

	p->opening--;
	report_session(p, "opened");
	if (is_ending(p))
		session_quit(s);
	else
		dispatch(p);
}

static bool
has_ready_session(const struct pool *p)
{
	for (const struct session *s = pool_sessions(p); s != NULL; s = session_next(s))
		if (session_is_ready(s))
			return true;
	return false;
}

/* A session could not be opened. While others may yet be, or are, the jobs wait for those, and it is not
 * replaced: the last to fail decides. */
static void
opening_failed(struct pool *p, struct session *s, const struct smtp_reply *why)
{
	if (session_retry(s) > 0 && !is_ending(p) && p->waiting_count > 0 &&
	    open_one(p, session_retry(s)))
		return;
	if (has_ready_session(p) || p->opening > 0) {
		p->limit = p->count;
		p->limit_until = clock_boottime_ms() + LIMIT_LASTS;
	} else {
		p->limit = 0;
		answer_all(p, s, why, false);
	}
}

static void
on_ended(void *arg, struct session *s, bool opened, const struct smtp_reply *why)
{
	struct pool *p = arg;

	p->count--;
	report_session(p, opened ? "closed" : "failed");
	if (!opened) {
		p->opening--;
		opening_failed(p, s, why);
	}
	session_free(s);
	dispatch(p);
	if (pool_is_empty(p))
		p->emptied(p->arg, p);
}

static const struct session_ops session_ops = {
    .ready = on_ready, .job_done = on_job_done, .ended = on_ended};

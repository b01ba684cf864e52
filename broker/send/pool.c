/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* pool.c: see pool.h. */
#include "broker/send/pool.h"

#include <errno.h>
#include <string.h>

#include "broker/send/session.h"

enum {
	JOBS_PER_SESSION = 8, /* waiting jobs that justify one more session */
	REQUEUED_MAX = 3,     /* sessions that may end before a job is given back to queue */
	LIMIT_LASTS = 60 * 1000,
};

/* ---- lists ---- */

static void
list_init(struct job_list *l)
{
	*l = (struct job_list){0};
	l->last = &l->first;
}

static void
list_put(struct job_list *l, struct job *j)
{
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
	l->count++;
}

static struct job *
list_take(struct job_list *l)
{
	struct job *j = l->first;

	if (j == NULL)
		return NULL;
	l->first = j->next;
	if (l->first == NULL)
		l->last = &l->first;
	l->count--;
	j->next = NULL;
	return j;
}

static struct job_list *
next_list(struct pool *p)
{
	return p->again.first != NULL ? &p->again : &p->waiting;
}

static size_t
waiting_count(const struct pool *p)
{
	return p->again.count + p->waiting.count;
}

/* ---- life ---- */

struct pool *
pool_of(struct send *s, struct account *a)
{
	struct pool *p = a->pool;

	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->send = s;
	p->account = account_ref(a);
	list_init(&p->again);
	list_init(&p->waiting);
	p->next = s->pools;
	s->pools = p;
	a->pool = p;
	return p;
}

void
pool_free(struct pool *p)
{
	struct pool **at = &p->send->pools;
	struct job *j;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	while (p->sessions != NULL) {
		struct session *s = p->sessions;

		p->sessions = session_next(s);
		session_free(s);
	}
	while ((j = list_take(next_list(p))) != NULL)
		(void)job_free(j);
	p->account->pool = NULL;
	(void)account_unref(p->account);
	free(p);
}

void
pool_release(struct pool *p)
{
	struct send *s = p->send;

	if (p->sessions == NULL && waiting_count(p) == 0)
		pool_free(p);
	if (s->shutting_down && s->pools == NULL)
		s->ops->idle(s->arg);
}

/* ---- answers ---- */

/* Answers and frees. */
static void
answer(struct pool *p, const struct session *s, struct job *j, const struct smtp_reply *replies,
    bool one, bool untried, const char *transcript)
{
	struct job_session facts = {0};
	struct message *m;

	if (s != NULL)
		facts = session_facts(s);
	m = job_done(j, replies, one, untried, &facts, transcript);
	p->send->ops->to_queue(p->send->arg, m);
	(void)job_free(j);
}

static void
answer_all(struct pool *p, const struct session *s, const struct smtp_reply *reply, bool untried)
{
	struct job *j;

	while ((j = list_take(next_list(p))) != NULL)
		answer(p, s, j, reply, true, untried, NULL);
}

/* ---- giving out ---- */

static struct session *
least_loaded(const struct pool *p, size_t len)
{
	struct session *best = NULL;
	uint64_t least = 0;

	for (struct session *s = p->sessions; s != NULL; s = session_next(s)) {
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
	struct job_list *list = next_list(p);
	struct session *s =
	    list->first == NULL ? NULL : least_loaded(p, list->first->spec.body_len);
	struct smtp_reply failed = {.stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_LOCAL};
	struct job *j;
	int r;

	if (s == NULL)
		return false;
	j = list_take(list);
	r = session_submit(s, j);
	if (r == 0)
		return true;
	failed.text =
	    (r == -EINVAL ? "An address or parameter is not fit for SMTP." : "Out of memory.");
	answer(p, s, j, &failed, true, false, NULL);
	return true;
}

static unsigned
session_limit(struct pool *p)
{
	if (p->limit > 0 && send_now() >= p->limit_until)
		p->limit = 0;
	return p->limit > 0 && p->limit < p->account->sessions ? p->limit : p->account->sessions;
}

static bool
open_one(struct pool *p, uint64_t rejected)
{
	struct session *s = session_new(p, rejected);

	if (s == NULL)
		return false;
	session_set_next(s, p->sessions);
	p->sessions = s;
	p->count++;
	p->opening++;
	return true;
}

void
pool_dispatch(struct pool *p)
{
	const struct smtp_reply failed = {.stage = SMTP_STAGE_CONNECT,
	    .fault = SMTP_FAULT_LOCAL,
	    .text = "A session cannot be set up: out of memory."};

	while (give_one(p))
		;
	if (p->account->retired || p->send->shutting_down)
		return;
	while (waiting_count(p) > (size_t)p->opening * JOBS_PER_SESSION &&
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
	list_put(&p->waiting, j);
	pool_dispatch(p);
}

void
pool_move(struct pool *p, struct pool *to)
{
	struct job *j;

	if (to == NULL) {
		answer_all(p, NULL, NULL, true);
		return;
	}
	while ((j = list_take(next_list(p))) != NULL)
		list_put(&to->waiting, j);
	pool_dispatch(to);
}

void
pool_retire(struct pool *p)
{
	for (struct session *s = p->sessions; s != NULL; s = session_next(s))
		session_quit(s);
}

/* ---- what sessions report ---- */

void
pool_job_done(struct pool *p, const struct session *s, struct job *j,
    const struct smtp_reply *replies, bool untried, const char *transcript)
{
	bool ending = p->account->retired || p->send->shutting_down;

	if (untried && j->requeued < REQUEUED_MAX && !ending) {
		j->requeued++;
		list_put(&p->again, j);
		return; /* the session's end dispatches */
	}
	if (untried && ending)
		replies = NULL;
	answer(p, s, j, replies, false, untried, transcript);
	pool_dispatch(p);
}

void
pool_session_ready(struct pool *p, struct session *s)
{
	p->opening--;
	if (p->account->retired || p->send->shutting_down)
		session_quit(s);
	else
		pool_dispatch(p);
}

static bool
has_ready_session(const struct pool *p)
{
	for (const struct session *s = p->sessions; s != NULL; s = session_next(s))
		if (session_is_ready(s))
			return true;
	return false;
}

/* A session could not be opened. While others may yet be, or are, the jobs wait for those, and it is not
 * replaced: the last to fail decides. */
static void
opening_failed(struct pool *p, struct session *s, const struct smtp_reply *why)
{
	if (session_retry(s) > 0 && !p->account->retired && !p->send->shutting_down &&
	    waiting_count(p) > 0 && open_one(p, session_retry(s)))
		return;
	if (has_ready_session(p) || p->opening > 0) {
		p->limit = p->count;
		p->limit_until = send_now() + LIMIT_LASTS;
	} else {
		p->limit = 0;
		answer_all(p, s, why, false);
	}
}

void
pool_session_ended(struct pool *p, struct session *s, bool opened, const struct smtp_reply *why)
{
	struct session *at = p->sessions, *before = NULL;

	while (at != s) {
		before = at;
		at = session_next(at);
	}
	if (before == NULL)
		p->sessions = session_next(s);
	else
		session_set_next(before, session_next(s));
	p->count--;
	if (!opened) {
		p->opening--;
		opening_failed(p, s, why);
	}
	pool_dispatch(p);
}

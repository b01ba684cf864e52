/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* send.c: see send.h. */
#include "broker/send/send.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/conf/wire.h"
#include "broker/ipc/reply.h"
#include "broker/send/check/check.h"
#include "broker/send/finder.h"
#include "broker/send/pool.h"
#include "broker/send/session.h"

enum { SHUTDOWN_PATIENCE = 3 };

struct send {
	struct send_env env;
	struct account_table *accounts;
	struct finder *finder; /* under way, or NULL */
	struct pool_list pools;
	struct check_list checks;
	struct conf *coming;    /* see wire_collect */
	struct event *deadline; /* of the shutdown */
};

/* Calls `f` for every session. None may end within it. */
static void
for_each_session(struct send *s, void (*f)(struct session *x))
{
	for (struct pool *p = LIST_FIRST(&s->pools); p != NULL; p = pool_next(p))
		for (struct session *x = pool_sessions(p); x != NULL; x = session_next(x))
			f(x);
}

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	for_each_session(arg, session_abort);
}

struct send *
send_free(struct send *s)
{
	if (s == NULL)
		return NULL;
	check_end_all(&s->checks);
	while (!LIST_EMPTY(&s->pools))
		pool_free(LIST_FIRST(&s->pools));
	if (s->deadline != NULL)
		event_free(s->deadline);
	(void)finder_free(s->finder);
	(void)resolver_free(s->env.resolver);
	(void)account_table_free(s->accounts);
	free(s->env.hostname);
	(void)conf_free(s->coming);
	free(s);
	return NULL;
}

struct send *
send_new(struct event_base *base, const struct transport_ops *ops, void *arg)
{
	struct send *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env =
	    (struct send_env){.base = base, .resolver = resolver_new(base), .ops = ops, .arg = arg};
	LIST_INIT(&s->pools);
	LIST_INIT(&s->checks);
	s->accounts = account_table_new();
	s->deadline = event_new(base, -1, 0, on_deadline, s);
	if (s->accounts == NULL || s->env.resolver == NULL || s->deadline == NULL) {
		errno = ENOMEM;
		return send_free(s);
	}
	return s;
}

static void
to_queue(struct send *s, struct message *m)
{
	s->env.ops->to_queue(s->env.arg, m);
}

/* ---- pools ---- */

static void
see_end(struct send *s)
{
	if (s->env.shutting_down && LIST_EMPTY(&s->pools))
		s->env.ops->idle(s->env.arg);
}

static void
on_emptied(void *arg, struct pool *p)
{
	pool_free(p);
	see_end(arg);
}

static struct pool *
pool_for(struct send *s, struct smtp_account *a)
{
	return pool_of(&s->pools, &s->env, a, on_emptied, s);
}

/* ---- the configuration ---- */

static void
on_retired(void *arg, struct smtp_account *old, struct smtp_account *now)
{
	struct send *s = arg;
	struct pool *p = old->pool, *to;

	if (p == NULL)
		return;
	to = now == NULL ? NULL : pool_for(s, now);
	pool_move(p, to);
	pool_retire(p);
	if (pool_is_empty(p))
		pool_free(p);
}

static void
take_configuration(struct send *s, const struct message *m, int fd)
{
	int r = wire_collect(&s->coming, ROLE_SEND, m, fd);

	if (r == 1)
		r = account_table_take(s->accounts, s->coming, on_retired, s);
	else if (r == 0)
		return;
	if (r < 0) {
		log_error("A configuration did not arrive whole; the one before stays.");
	} else {
		free(s->env.hostname);
		s->env.hostname = TAKE_PTR(s->coming->hostname);
	}
	s->coming = conf_free(s->coming);
}

/* ---- jobs ---- */

/* The answer to a job that cannot even wait; without words it is untried. */
static void
refuse_job(struct send *s, const struct message *m, const char *words)
{
	to_queue(s, job_refused(m, words));
}

static void
take_job(struct send *s, const struct message *m, int fd)
{
	struct smtp_account *a = account_find(s->accounts, message_str(m, F_ACCOUNT));
	struct job *j;
	struct pool *p;

	if (s->env.shutting_down || a == NULL) {
		refuse_job(s, m, NULL);
		return;
	}
	if (a->host[0] == '\0') {
		refuse_job(s, m, "The account has no submission server.");
		return;
	}
	j = job_new(m, fd);
	if (j == NULL) {
		refuse_job(s, m,
		    errno == EPROTO ? "The job is without recipients or content."
				    : "The content cannot be read.");
		return;
	}
	j->spec.id = ++s->env.last_id;
	p = pool_for(s, a);
	if (p == NULL) {
		(void)job_free(j);
		refuse_job(s, m, "Out of memory.");
		return;
	}
	pool_submit(p, j);
	if (pool_is_empty(p))
		pool_free(p);
}

static bool
give_credential(const struct pool *p, uint64_t id, const struct message *m)
{
	for (struct session *x = pool_sessions(p); x != NULL; x = session_next(x))
		if (session_credential(x, id, m))
			return true;
	return false;
}

static void
take_credential(struct send *s, const struct message *m)
{
	const struct smtp_account *a = account_find(s->accounts, message_str(m, F_ACCOUNT));
	uint64_t id = message_u64(m, F_ID, 0);

	if (check_credential(&s->checks, id, m))
		return;
	/* Most often the account's own pool; one that changed meanwhile is looked for everywhere. */
	if (a != NULL && a->pool != NULL && give_credential(a->pool, id, m))
		return;
	for (struct pool *p = LIST_FIRST(&s->pools); p != NULL; p = pool_next(p))
		if (give_credential(p, id, m))
			return;
}

/* ---- what a domain says of itself ---- */

static void
on_found(void *arg, struct finder *f, struct message *m)
{
	struct send *s = arg;

	s->finder = finder_free(f);
	to_queue(s, m);
}

/* One at a time, for one person: a second question takes the place of the first, which queue answers
 * itself when nothing comes. */
static void
look_up(struct send *s, const struct message *m)
{
	s->finder = finder_free(s->finder);
	s->finder = finder_new(s->env.base, s->env.resolver, m, on_found, s);
	if (s->finder == NULL) {
		struct message *nothing = message_new(M_LOOKED_UP);

		message_put_u64(nothing, F_ID, message_u64(m, F_ID, 0));
		to_queue(s, nothing);
	}
}

void
send_message(struct send *s, const struct message *m, int fd)
{
	CLEANUP_CLOSE int taken = fd;

	switch (message_type(m)) {
	case M_JOB:
		take_job(s, m, taken);
		break;
	case M_CREDENTIAL:
	case M_CREDENTIAL_FAILED:
		take_credential(s, m);
		break;
	case M_CHECK_RUN:
		check_start(&s->checks, &s->env, s->accounts, m);
		break;
	case M_CHECK_CANCEL:
		check_cancel(&s->checks, message_u64(m, F_ID, 0));
		break;
	case M_LOOKUP:
		look_up(s, m);
		break;
	default:
		take_configuration(s, m, taken);
		break;
	}
}

static void
keeper_is_up(struct session *x)
{
	session_keeper_up(x, true);
}

static void
keeper_is_gone(struct session *x)
{
	session_keeper_up(x, false);
}

void
send_keeper_up(struct send *s, bool up)
{
	check_keeper_up(&s->checks, up);
	for_each_session(s, up ? keeper_is_up : keeper_is_gone);
}

void
send_shut_down(struct send *s)
{
	struct timeval patience = {.tv_sec = SHUTDOWN_PATIENCE};

	if (s->env.shutting_down)
		return;
	s->env.shutting_down = true;
	check_end_all(&s->checks);
	for (struct pool *p = LIST_FIRST(&s->pools), *next; p != NULL; p = next) {
		next = pool_next(p);
		pool_move(p, NULL);
		pool_retire(p);
		if (pool_is_empty(p))
			pool_free(p);
	}
	(void)event_add(s->deadline, &patience);
	see_end(s);
}

void
send_hang_up(struct send *s)
{
	for_each_session(s, session_hang_up);
}

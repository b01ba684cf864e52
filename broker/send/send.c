/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* send.c: see send.h. */
#include "broker/send/send.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/send/check/check.h"
#include "broker/send/finder.h"
#include "broker/send/pool.h"
#include "broker/send/session.h"

enum { SHUTDOWN_PATIENCE = 3 };

uint64_t
send_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	struct send *s = arg;

	for (struct pool *p = s->pools; p != NULL; p = p->next)
		for (struct session *x = p->sessions; x != NULL; x = session_next(x))
			session_abort(x);
}

struct send *
send_new(struct event_base *base, const struct send_ops *ops, void *arg)
{
	struct send *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->base = base;
	s->ops = ops;
	s->arg = arg;
	s->accounts = account_table_new();
	s->resolver = resolver_new(base);
	s->deadline = event_new(base, -1, 0, on_deadline, s);
	if (s->accounts == NULL || s->resolver == NULL || s->deadline == NULL) {
		errno = ENOMEM;
		return send_free(s);
	}
	return s;
}

struct send *
send_free(struct send *s)
{
	if (s == NULL)
		return NULL;
	while (s->checks != NULL)
		check_free(s->checks);
	while (s->pools != NULL)
		pool_free(s->pools);
	if (s->deadline != NULL)
		event_free(s->deadline);
	(void)finder_free(s->finder);
	(void)resolver_free(s->resolver);
	(void)account_table_free(s->accounts);
	free(s->hostname);
	free(s->next_hostname);
	free(s);
	return NULL;
}

/* ---- the configuration ---- */

static void
on_retired(void *arg, struct account *old, struct account *now)
{
	struct send *s = arg;
	struct pool *p = old->pool, *to;

	if (p == NULL)
		return;
	to = now == NULL ? NULL : pool_of(s, now);
	pool_move(p, to);
	pool_retire(p);
	pool_release(p);
}

static void
begin_configuration(struct send *s, const struct message *m)
{
	const char *hostname = message_str(m, F_HOSTNAME);

	free(s->next_hostname);
	s->next_hostname = hostname == NULL ? NULL : strdup(hostname);
	account_table_begin(s->accounts);
}

static void
end_configuration(struct send *s)
{
	free(s->hostname);
	s->hostname = s->next_hostname;
	s->next_hostname = NULL;
	account_table_end(s->accounts, on_retired, s);
}

/* ---- jobs ---- */

/* The answer to a job that cannot even wait; without words it is untried. */
static void
refuse_job(struct send *s, const struct message *m, const char *words)
{
	s->ops->to_queue(s->arg, job_refused(m, words));
}

static void
take_job(struct send *s, const struct message *m, int fd)
{
	struct account *a = account_find(s->accounts, message_str(m, F_ACCOUNT));
	struct job *j;
	struct pool *p;

	if (s->shutting_down || a == NULL) {
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
	j->spec.id = ++s->last_id;
	p = pool_of(s, a);
	if (p == NULL) {
		(void)job_free(j);
		refuse_job(s, m, "Out of memory.");
		return;
	}
	pool_submit(p, j);
	pool_release(p);
}

static void
take_credential(struct send *s, const struct message *m)
{
	const struct account *a = account_find(s->accounts, message_str(m, F_ACCOUNT));
	uint64_t id = message_u64(m, F_ID, 0);

	for (struct check *c = s->checks; c != NULL; c = check_next(c))
		if (check_credential(c, id, m))
			return;
	/* Most often the account's own pool; one that changed meanwhile is looked for everywhere.
	 */
	if (a != NULL && a->pool != NULL)
		for (struct session *x = a->pool->sessions; x != NULL; x = session_next(x))
			if (session_credential(x, id, m))
				return;
	for (struct pool *p = s->pools; p != NULL; p = p->next)
		for (struct session *x = p->sessions; x != NULL; x = session_next(x))
			if (session_credential(x, id, m))
				return;
}

/* ---- what a domain says of itself ---- */

static void
on_found(void *arg, struct finder *f, struct message *m)
{
	struct send *s = arg;

	s->finder = finder_free(f);
	s->ops->to_queue(s->arg, m);
}

/* One at a time, for one person: a second question takes the place of the first, which queue answers
 * itself when nothing comes. */
static void
look_up(struct send *s, const struct message *m)
{
	s->finder = finder_free(s->finder);
	s->finder = finder_new(s->base, s->resolver, m, on_found, s);
	if (s->finder == NULL) {
		struct message *nothing = message_new(M_LOOKED_UP);

		message_put_u64(nothing, F_ID, message_u64(m, F_ID, 0));
		s->ops->to_queue(s->arg, nothing);
	}
}

void
send_message(struct send *s, const struct message *m, int fd)
{
	CLEANUP_CLOSE int taken = fd;

	switch (message_type(m)) {
	case M_CONF_BEGIN:
		begin_configuration(s, m);
		break;
	case M_CONF_ACCOUNT:
		if (account_table_add(s->accounts, m, taken) < 0)
			log_error("The configuration cannot be taken: out of memory.");
		break;
	case M_CONF_ACCOUNT_FILE:
		(void)account_table_add_file(s->accounts, m, taken);
		break;
	case M_CONF_END:
		end_configuration(s);
		break;
	case M_JOB:
		take_job(s, m, taken);
		break;
	case M_CREDENTIAL:
	case M_CREDENTIAL_FAILED:
		take_credential(s, m);
		break;
	case M_CHECK_RUN:
		check_start(s, m);
		break;
	case M_CHECK_CANCEL:
		check_cancel(s, message_u64(m, F_ID, 0));
		break;
	case M_LOOKUP:
		look_up(s, m);
		break;
	default:
		break;
	}
}

void
send_keeper_up(struct send *s, bool up)
{
	for (struct check *c = s->checks, *next; c != NULL; c = next) {
		next = check_next(c); /* it may end */
		check_keeper_up(c, up);
	}
	for (struct pool *p = s->pools; p != NULL; p = p->next)
		for (struct session *x = p->sessions; x != NULL; x = session_next(x))
			session_keeper_up(x, up);
}

void
send_shut_down(struct send *s)
{
	struct timeval patience = {.tv_sec = SHUTDOWN_PATIENCE};

	if (s->shutting_down)
		return;
	s->shutting_down = true;
	while (s->checks != NULL)
		check_free(s->checks);
	for (struct pool *p = s->pools, *next; p != NULL; p = next) {
		next = p->next;
		pool_move(p, NULL);
		pool_retire(p);
		if (p->sessions == NULL)
			pool_free(p);
	}
	(void)event_add(s->deadline, &patience);
	if (s->pools == NULL)
		s->ops->idle(s->arg);
}

void
send_hang_up(struct send *s)
{
	for (struct pool *p = s->pools; p != NULL; p = p->next)
		for (struct session *x = p->sessions; x != NULL; x = session_next(x))
			session_hang_up(x);
}

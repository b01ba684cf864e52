/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post.c: see post.h.
 *
 * An account's jobs wait in the order in which they came and run as many at once as the account has
 * sessions. When one is refused for a reason that is the account's or the server's, those that wait
 * go back to queue untried: queue knows how long to leave the account alone, and would be told the
 * same by each of them.
 */
#include "broker/https/post.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "broker/https/post-internal.h"
#include "broker/ipc/reply.h"

enum { SHUTDOWN_PATIENCE = 3 };

/* ---- answers ---- */

/* The answer to a job that cannot even wait; without words it is untried. */
static void
refuse_job(struct post *p, const struct message *m, const char *words)
{
	p->ops->to_queue(p->arg, job_refused(m, words));
}

static void
answer_job(const struct post_job *j, const struct smtp_reply *reply)
{
	const struct job_session session = {.endpoint = j->endpoint,
	    .tls = j->tls[0] == '\0' ? NULL : j->tls,
	    .mechanism = "Bearer",
	    .transcript = buf_str(&j->transcript)};

	j->post->ops->to_queue(
	    j->post->arg, job_done(j->job, reply, true, reply == NULL,
			      reply == NULL ? &(const struct job_session){0} : &session, NULL));
}

static void
give_back_waiting(struct post_account *a)
{
	while (a->waiting != NULL) {
		struct post_job *j = a->waiting;

		a->waiting = j->next;
		answer_job(j, NULL);
		post_job_free(j);
	}
	a->waiting_last = &a->waiting;
}

static void
see_end(struct post *p)
{
	if (p->shutting_down && p->active == NULL && p->calls == NULL)
		p->ops->idle(p->arg);
}

/* ---- turns ---- */

static void
run_account(struct post_account *a)
{
	if (a->starting)
		return;
	a->starting = true;
	while (a->waiting != NULL && a->active < a->sessions) {
		struct post_job *j = a->waiting;

		a->waiting = j->next;
		if (a->waiting == NULL)
			a->waiting_last = &a->waiting;
		j->next_active = j->post->active;
		j->post->active = j;
		a->active++;
		post_job_start(j);
	}
	a->starting = false;
}

void
post_job_done(struct post_job *j, const struct smtp_reply *reply, bool account_wide)
{
	struct post_account *a = j->account;
	struct post *p = j->post;

	for (struct post_job **at = &p->active; *at != NULL; at = &(*at)->next_active)
		if (*at == j) {
			*at = j->next_active;
			break;
		}
	a->active--;
	answer_job(j, reply);
	post_job_free(j);
	if (account_wide || p->shutting_down || a->api == NULL)
		give_back_waiting(a);
	run_account(a);
	see_end(p);
}

/* ---- messages ---- */

static void
take_job(struct post *p, const struct message *m, int fd)
{
	struct post_account *a = post_table_find(p->table, message_str(m, F_ACCOUNT));
	struct post_job *j;

	if (p->shutting_down || a == NULL) {
		refuse_job(p, m, NULL);
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j != NULL) {
		j->job = job_new(m, fd);
		if (j->job == NULL) {
			refuse_job(p, m,
			    errno == EPROTO ? "The job is without recipients or content."
					    : "The content cannot be read.");
			free(j);
			return;
		}
	}
	if (j == NULL) {
		refuse_job(p, m, "Out of memory.");
		return;
	}
	j->post = p;
	j->account = a;
	*a->waiting_last = j;
	a->waiting_last = &j->next;
	run_account(a);
}

static void
take_credential(struct post *p, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);

	for (struct post_job *j = p->active; j != NULL; j = j->next_active)
		if (j->request == id && id != 0) {
			post_job_credential(j, m);
			return;
		}
}

/* What waits for an account that is gone goes back; more sessions may let more of it run. */
static void
after_configuration(struct post *p)
{
	for (struct post_account *a = post_table_accounts(p->table); a != NULL; a = a->next) {
		if (a->api == NULL)
			give_back_waiting(a);
		else
			run_account(a);
	}
}

void
post_message(struct post *p, const struct message *m, int fd)
{
	CLEANUP_CLOSE int taken = fd;

	switch (message_type(m)) {
	case M_JOB:
		take_job(p, m, taken);
		break;
	case M_WEBHOOK:
		webhook_start(p, m);
		break;
	case M_CREDENTIAL:
	case M_CREDENTIAL_FAILED:
		take_credential(p, m);
		break;
	default:
		if (post_table_message(p->table, m, taken) < 0)
			log_error("The configuration cannot be taken: out of memory.");
		if (message_type(m) == M_CONF_END)
			after_configuration(p);
		break;
	}
}

void
post_keeper_up(struct post *p, bool up)
{
	/* A job that fails takes itself off the list. */
	for (struct post_job *j = p->active, *next; j != NULL; j = next) {
		next = j->next_active;
		post_job_keeper_up(j, up);
	}
}

/* ---- life ---- */

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	struct post *p = arg;

	/* Nothing calls back from here on; what the requests point to lives on until then. */
	p->http = http_free(p->http);
	while (p->calls != NULL)
		webhook_free(p->calls);
	while (p->active != NULL)
		post_job_abandon(p->active);
}

void
post_shut_down(struct post *p)
{
	static const struct timeval patience = {.tv_sec = SHUTDOWN_PATIENCE};

	if (p->shutting_down)
		return;
	p->shutting_down = true;
	for (struct post_account *a = post_table_accounts(p->table); a != NULL; a = a->next)
		give_back_waiting(a);
	(void)event_add(p->deadline, &patience);
	see_end(p);
}

struct post *
post_new(struct event_base *base, const struct post_ops *ops, void *arg)
{
	struct post *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->base = base;
	p->ops = ops;
	p->arg = arg;
	p->http = http_new(base, POST_ACTIVE_MAX);
	p->table = post_table_new();
	p->deadline = event_new(base, -1, 0, on_deadline, p);
	if (p->http == NULL || p->table == NULL || p->deadline == NULL) {
		errno = ENOMEM;
		return post_free(p);
	}
	return p;
}

struct post *
post_free(struct post *p)
{
	if (p == NULL)
		return NULL;
	(void)http_free(p->http);
	while (p->active != NULL) {
		struct post_job *j = p->active;

		p->active = j->next_active;
		post_job_free(j);
	}
	while (p->calls != NULL)
		webhook_free(p->calls);
	for (struct post_account *a = p->table == NULL ? NULL : post_table_accounts(p->table);
	     a != NULL; a = a->next)
		while (a->waiting != NULL) {
			struct post_job *j = a->waiting;

			a->waiting = j->next;
			post_job_free(j);
		}
	(void)post_table_free(p->table);
	if (p->deadline != NULL)
		event_free(p->deadline);
	free(p);
	return NULL;
}

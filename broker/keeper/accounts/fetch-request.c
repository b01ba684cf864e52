/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fetch-request.c: see fetch-request.h.
 *
 * When the role's channel closes, every request that was sent has failed; it may or may not have reached the
 * server. A role that leaves a request unanswered for REQUEST_LONGEST is ended, so that no answer comes
 * late: one that brings a rotated refresh token must not be dropped. A role that had nothing to do for
 * IDLE_LONGEST is let go.
 */
#include "broker/keeper/accounts/fetch-request.h"

#include <sys/queue.h>

#include "base/log.h"
#include "broker/keeper/accounts/clock.h"

enum { IN_FLIGHT_MAX = 256 };
enum { REQUEST_LONGEST = 180000, START_LONGEST = 30000 }; /* ms */
enum { IDLE_LONGEST = 60, CHECK_EVERY = 5 };              /* seconds */

struct fetch_request {
	STAILQ_ENTRY(fetch_request) entry;
	uint64_t id;
	struct message *message;  /* NULL once it is sent */
	int64_t since;            /* ms of the boot clock */
	fetch_request_done *done; /* NULL: cancelled */
	void *arg;
	uint64_t tag;
};

STAILQ_HEAD(fetch_queue, fetch_request);

struct fetch_requests {
	struct role *role;
	struct fetch_queue queue;
	uint64_t last_id;
	struct event *timer;
};

static void
request_free(struct fetch_request *r)
{
	(void)message_free(r->message);
	free(r);
}

/* The end of a request that is in no queue any more. Takes it. */
static void
finish(struct fetch_request *r, const struct message *m, const char *fault)
{
	const struct fetch_answer answer = {.message = m,
	    .fault = m != NULL ? message_str(m, F_FAULT) : fault,
	    .sent = r->message == NULL};
	fetch_request_done *done = r->done;
	void *arg = r->arg;
	uint64_t tag = r->tag;

	request_free(r);
	if (done != NULL)
		done(arg, tag, &answer);
}

static void
set_timer(struct fetch_requests *f)
{
	struct timeval t = {.tv_sec = STAILQ_EMPTY(&f->queue) ? IDLE_LONGEST : CHECK_EVERY};

	(void)evtimer_add(f->timer, &t);
}

/* Fails the requests that were sent, or with `all` also those that still wait. */
static void
fail(struct fetch_requests *f, bool all, const char *fault)
{
	struct fetch_queue before = STAILQ_HEAD_INITIALIZER(before),
			   failed = STAILQ_HEAD_INITIALIZER(failed);
	struct fetch_request *r;

	STAILQ_CONCAT(&before, &f->queue);
	while ((r = STAILQ_FIRST(&before)) != NULL) {
		STAILQ_REMOVE_HEAD(&before, entry);
		if (all || r->message == NULL)
			STAILQ_INSERT_TAIL(&failed, r, entry);
		else
			STAILQ_INSERT_TAIL(&f->queue, r, entry);
	}
	while ((r = STAILQ_FIRST(&failed)) != NULL) {
		STAILQ_REMOVE_HEAD(&failed, entry);
		finish(r, NULL, fault);
	}
}

static void
flush(struct fetch_requests *f)
{
	struct channel *c = role_peer(f->role, ROLE_FETCH);
	struct fetch_request *r = STAILQ_FIRST(&f->queue);

	for (unsigned n = 0; c != NULL && r != NULL && n < IN_FLIGHT_MAX; n++) {
		if (r->message != NULL && channel_send(c, TAKE_PTR(r->message), -1) < 0) {
			/* The channel is broken or hopelessly full: its end fails what is
			 * outstanding. */
			log_error("A request does not reach the fetch role.");
			role_drop(f->role, ROLE_FETCH);
			return;
		}
		r = STAILQ_NEXT(r, entry);
	}
}

struct message *
fetch_request_new(struct fetch_requests *f, enum message_type type, const char *account)
{
	struct message *m = message_new(type);

	message_put_u64(m, F_ID, ++f->last_id);
	message_put_str(m, F_ACCOUNT, account);
	return m;
}

void
fetch_request_start(
    struct fetch_requests *f, struct message *m, fetch_request_done *done, void *arg, uint64_t tag)
{
	struct fetch_request *r = message_error(m) < 0 ? NULL : calloc(1, sizeof(*r));

	if (r == NULL) {
		const struct fetch_answer none = {
		    .fault = "the request could not be made: it is too long, or memory ran out"};

		(void)message_free(m);
		done(arg, tag, &none);
		return;
	}
	*r = (struct fetch_request){.id = message_u64(m, F_ID, 0),
	    .message = m,
	    .since = clock_now().boot,
	    .done = done,
	    .arg = arg,
	    .tag = tag};
	STAILQ_INSERT_TAIL(&f->queue, r, entry);
	if (role_peer(f->role, ROLE_FETCH) == NULL)
		role_need(f->role, ROLE_FETCH);
	else
		flush(f);
	set_timer(f);
}

void
fetch_request_discover(struct fetch_requests *f, const char *account, const char *issuer,
    fetch_request_done *done, void *arg)
{
	struct message *m = fetch_request_new(f, M_DISCOVER, account);

	message_put_str(m, F_ISSUER, issuer == NULL ? "" : issuer);
	fetch_request_start(f, m, done, arg, 0);
}

void
fetch_request_cancel(struct fetch_requests *f, const void *arg)
{
	struct fetch_request *r;

	/* It stays in the queue until it is answered: it still keeps the role busy. */
	STAILQ_FOREACH (r, &f->queue, entry)
		if (r->arg == arg)
			r->done = NULL;
}

bool
fetch_request_is_idle(const struct fetch_requests *f)
{
	return STAILQ_EMPTY(&f->queue);
}

void
fetch_request_answer(struct fetch_requests *f, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct fetch_request *r;

	STAILQ_FOREACH (r, &f->queue, entry)
		if (r->id == id)
			break;
	if (r == NULL)
		return;
	STAILQ_REMOVE(&f->queue, r, fetch_request, entry);
	finish(r, m, NULL);
	flush(f);
	set_timer(f);
}

void
fetch_request_peer(struct fetch_requests *f, bool up)
{
	if (up) {
		flush(f);
		set_timer(f);
		return;
	}
	fail(f, false, "the process that talks to it ended in the middle");
	if (!STAILQ_EMPTY(&f->queue))
		role_need(f->role, ROLE_FETCH);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct fetch_requests *f = arg;
	const struct fetch_request *oldest = STAILQ_FIRST(&f->queue);
	bool up = role_peer(f->role, ROLE_FETCH) != NULL;
	int64_t age = oldest == NULL ? 0 : clock_now().boot - oldest->since;

	if (oldest == NULL) {
		role_drop(f->role, ROLE_FETCH);
		return;
	}
	if (up && age > REQUEST_LONGEST) {
		log_error("The fetch role does not answer; it is ended.");
		role_drop(f->role, ROLE_FETCH);
	} else if (!up && age > START_LONGEST) {
		fail(f, true, "the process that talks to it could not be started");
	}
	if (!STAILQ_EMPTY(&f->queue))
		set_timer(f);
}

struct fetch_requests *
fetch_requests_new(struct role *role)
{
	struct fetch_requests *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->role = role;
	STAILQ_INIT(&f->queue);
	f->timer = evtimer_new(role_base(role), on_timer, f);
	return f->timer == NULL ? fetch_requests_free(f) : f;
}

struct fetch_requests *
fetch_requests_free(struct fetch_requests *f)
{
	struct fetch_request *r;

	if (f == NULL)
		return NULL;
	if (f->timer != NULL)
		event_free(f->timer);
	while ((r = STAILQ_FIRST(&f->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&f->queue, entry);
		request_free(r);
	}
	free(f);
	return NULL;
}

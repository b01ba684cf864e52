/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * handover.c: connections that begin TLS.
 *
 * Queue has no TLS: a connection is sent to the role that ends it, which answers, when the
 * handshake is done, with a socket on which what was inside TLS comes and goes in clear. The role
 * is started when it is needed and dropped when no such connection is left for a minute. Requests
 * wait for it here; those that it does not answer before it is gone have failed.
 */
#include "broker/queue/inbound/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"

enum { IDLE_SECONDS = 60, WAITING_MAX = 1024 };

struct handover_request {
	LIST_ENTRY(handover_request) entry;
	uint64_t id;
	int fd; /* until it is sent */
	char *listener;
	handover_done *done; /* NULL: forgotten */
	void *arg;
};

struct handover {
	LIST_HEAD(, handover_request) requests;
	size_t count;
	size_t open; /* sockets that came back and are in use */
	uint64_t last_id;
	struct event *idle;
};

static void
request_free(struct handover_request *r)
{
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r->listener);
	free(r);
}

static void
take_out(struct handover *h, struct handover_request *r)
{
	LIST_REMOVE(r, entry);
	h->count--;
}

static void
finish(struct handover *h, struct handover_request *r, int fd, const char *tls)
{
	take_out(h, r);
	if (r->done != NULL && fd >= 0)
		h->open++;
	if (r->done != NULL)
		r->done(r->arg, fd, tls);
	else if (fd >= 0)
		(void)close(fd);
	request_free(r);
}

static void
on_idle(evutil_socket_t number, short what, void *arg)
{
	struct inbound *in = arg;

	if (in->handover->open == 0 && in->handover->count == 0)
		role_drop(in->role, ROLE_TLS);
}

static void
wait_idle(struct inbound *in)
{
	static const struct timeval idle = {IDLE_SECONDS, 0};

	if (in->handover->open == 0 && in->handover->count == 0)
		(void)event_add(in->handover->idle, &idle);
}

struct handover *
handover_new(struct inbound *in)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->idle = evtimer_new(in->base, on_idle, in);
	if (h->idle == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

static void
send_one(struct inbound *in, struct handover_request *r)
{
	struct message *m = message_new(M_TLS_BEGIN);

	message_put_u64(m, F_ID, r->id);
	message_put_str(m, F_LISTENER, r->listener);
	/* where the channel is full the connection is closed; on a broken one `down` follows */
	(void)channel_send(role_peer(in->role, ROLE_TLS), m, TAKE_FD(r->fd));
}

int
handover_begin(struct inbound *in, int fd, const char *listener, handover_done *done, void *arg,
    uint64_t *ret_id)
{
	struct handover *h = in->handover;
	struct channel *tls = role_peer(in->role, ROLE_TLS);
	struct handover_request *r = NULL;

	if (h->count < WAITING_MAX && (tls == NULL || !channel_is_busy(tls)))
		r = calloc(1, sizeof(*r));
	if (r == NULL) {
		(void)close(fd);
		return -EAGAIN;
	}
	*r = (struct handover_request){
	    .id = ++h->last_id, .fd = fd, .listener = strdup(listener), .done = done, .arg = arg};
	if (r->listener == NULL) {
		request_free(r);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&h->requests, r, entry);
	h->count++;
	*ret_id = r->id;
	if (tls != NULL)
		send_one(in, r);
	else
		role_need(in->role, ROLE_TLS);
	return 0;
}

void
handover_forget(struct inbound *in, uint64_t id)
{
	struct handover_request *r;

	LIST_FOREACH (r, &in->handover->requests, entry)
		if (r->id == id)
			break;
	if (r == NULL)
		return;
	r->done = NULL;
	if (r->fd >= 0) { /* not sent: nothing will come of it */
		take_out(in->handover, r);
		request_free(r);
	}
}

void
handover_release(struct inbound *in)
{
	in->handover->open--;
	wait_idle(in);
}

void
handover_prepare(struct inbound *in)
{
	for (size_t i = 0; i < in->settings->conf->listener_count; i++)
		if (in->settings->conf->listeners[i].tls != CONF_TLS_NONE) {
			role_need(in->role, ROLE_TLS);
			return;
		}
}

void
handover_peer(struct inbound *in, bool up)
{
	struct handover *h = in->handover;
	struct handover_request *r, *next;

	if (up) {
		LIST_FOREACH (r, &h->requests, entry)
			if (r->fd >= 0)
				send_one(in, r);
		wait_idle(in);
		return;
	}
	for (r = LIST_FIRST(&h->requests); r != NULL; r = next) {
		next = LIST_NEXT(r, entry);
		if (r->fd < 0)
			finish(h, r, -1, NULL);
		else
			role_need(in->role, ROLE_TLS); /* it waits for the next one */
	}
}

void
handover_answer(struct inbound *in, const struct message *m, int fd)
{
	struct handover *h = in->handover;
	uint64_t id = message_u64(m, F_ID, 0);
	struct handover_request *r;
	char who[LOG_LIMIT_WHO_MAX];

	LIST_FOREACH (r, &h->requests, entry)
		if (r->id == id && r->fd < 0)
			break;
	if (r == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	(void)snprintf(who, sizeof(who), "callers of the listener %s", r->listener);
	if (fd < 0)
		log_limited(in->log, who, LOG_LEVEL_INFO, "A TLS handshake fails.",
		    LOG_PAIRS({LOG_FILE, r->listener}, {LOG_ERROR, message_str(m, F_ERROR)}));
	finish(h, r, fd, message_str(m, F_TLS));
	wait_idle(in);
}

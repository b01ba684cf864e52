/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * finder.c: see finder.h.
 *
 *     MX, SRV _submissions._tcp, SRV _submission._tcp (all at once) ─▶ one greeting ─▶ LOOKED_UP
 *
 * The greeting is asked of the first service that the domain names, else of smtp.DOMAIN at port 587, the usual name.
 * With implicit TLS a server greets inside TLS, so there the finder learns only that it takes connections.
 */
#include "broker/send/finder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"

enum { DEADLINE = 10, GREETING = 5 /* seconds */, NAMES_MAX = 16, BANNER_MAX = 200 };

enum { MX, SUBMISSIONS, SUBMISSION, QUESTIONS };

/* One question to DNS, and the names in its answer. */
struct finder_question {
	struct finder *finder;
	struct lookup *lookup;
	struct server names[NAMES_MAX]; /* the preferred first; of MX `port` is the preference */
	size_t count;
};

struct finder {
	struct event_base *base;
	struct resolver *resolver;
	finder_done *done;
	void *arg;
	uint64_t id;
	char domain[256];
	struct finder_question questions[QUESTIONS];
	unsigned open; /* questions without an answer */
	struct event *deadline;
	/* the greeting */
	struct server server;
	bool implicit;
	struct lookup *lookup;
	int fd;
	struct event *event;
	char banner[BANNER_MAX + 1];
};

struct finder *
finder_free(struct finder *f)
{
	if (f == NULL)
		return NULL;
	for (int q = 0; q < QUESTIONS; q++)
		(void)resolver_cancel(f->questions[q].lookup);
	(void)resolver_cancel(f->lookup);
	if (f->event != NULL)
		event_free(f->event);
	if (f->deadline != NULL)
		event_free(f->deadline);
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f);
	return NULL;
}

static void
finish(struct finder *f)
{
	struct message *m = message_new(M_LOOKED_UP);
	char line[BANNER_MAX + 300];

	message_put_u64(m, F_ID, f->id);
	for (int q = 0; q < QUESTIONS; q++)
		for (size_t i = 0; i < f->questions[q].count; i++) {
			const struct server *name = &f->questions[q].names[i];

			(void)snprintf(line, sizeof(line), "%s:%u %s", name->host, name->port,
			    q == SUBMISSIONS ? "implicit" : "starttls");
			message_put_str(m, q == MX ? F_MX : F_SRV, q == MX ? name->host : line);
		}
	if (f->banner[0] != '\0') {
		(void)snprintf(
		    line, sizeof(line), "%s:%u %s", f->server.host, f->server.port, f->banner);
		message_put_str(m, F_BANNER, line);
	}
	f->done(f->arg, f, m);
}

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	finish(arg);
}

/* ---- the greeting ---- */

static void
take_greeting(struct finder *f)
{
	char bytes[BANNER_MAX];
	ssize_t n = read(f->fd, bytes, sizeof(bytes));
	size_t len = 0;

	for (ssize_t i = 0; i < n && bytes[i] != '\r' && bytes[i] != '\n'; i++)
		f->banner[len++] = bytes[i] < ' ' || bytes[i] > '~' ? '?' : bytes[i];
	if (n > 0)
		(void)!write(f->fd, "QUIT\r\n", 6);
}

static void
on_event(evutil_socket_t sock, short what, void *arg)
{
	struct finder *f = arg;
	struct timeval patience = {.tv_sec = GREETING};
	int error = 0;
	socklen_t len = sizeof(error);

	if ((what & EV_WRITE) != 0 && getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	    error == 0) {
		if (f->implicit) {
			(void)snprintf(f->banner, sizeof(f->banner), "takes connections");
		} else if (event_assign(f->event, f->base, f->fd, EV_READ, on_event, f) == 0 &&
			   event_add(f->event, &patience) == 0) {
			return;
		}
	} else if ((what & EV_READ) != 0) {
		take_greeting(f);
	}
	finish(f);
}

static void
on_addresses(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct finder *f = arg;
	struct timeval patience = {.tv_sec = GREETING};

	f->lookup = NULL;
	if (count > 0)
		f->fd = netaddr_connect(&addresses[0]);
	if (f->fd < 0) {
		finish(f);
		return;
	}
	f->event = event_new(f->base, f->fd, EV_WRITE, on_event, f);
	if (f->event == NULL || event_add(f->event, &patience) < 0)
		finish(f);
}

/* The first service that is named, or the usual name. */
static void
choose_server(struct finder *f)
{
	const struct finder_question *submissions = &f->questions[SUBMISSIONS],
				     *submission = &f->questions[SUBMISSION];

	f->implicit = submissions->count > 0;
	if (submissions->count > 0) {
		f->server = submissions->names[0];
	} else if (submission->count > 0) {
		f->server = submission->names[0];
	} else {
		f->server.port = 587;
		(void)snprintf(f->server.host, sizeof(f->server.host), "smtp.%.240s", f->domain);
	}
}

/* ---- the questions ---- */

static void
answered(struct finder_question *q)
{
	struct finder *f = q->finder;

	q->lookup = NULL;
	if (--f->open > 0)
		return;
	choose_server(f);
	f->lookup = resolver_lookup(f->resolver, f->server.host, f->server.port, on_addresses, f);
	if (f->lookup == NULL)
		finish(f);
}

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	struct finder_question *q = arg;

	memcpy(q->names, servers, count * sizeof(*servers));
	q->count = count;
	answered(q);
}

/* "." means that the domain takes no mail (RFC 7505). */
static void
on_mx(void *arg, const struct dns_answer *answer)
{
	struct finder_question *q = arg;

	for (size_t i = 0; i < answer->count && q->count < NAMES_MAX; i++) {
		const struct dns_record *r = &answer->records[i];
		size_t at = q->count;

		if (r->len == 0 || strcmp(r->text, ".") == 0)
			continue;
		for (; at > 0 && q->names[at - 1].port > r->order; at--)
			q->names[at] = q->names[at - 1];
		q->names[at].port = r->order;
		(void)snprintf(q->names[at].host, sizeof(q->names[at].host), "%s", r->text);
		q->count++;
	}
	answered(q);
}

static struct lookup *
ask(struct finder_question *q, unsigned which)
{
	const struct finder *f = q->finder;
	char name[320];

	if (which == MX)
		return resolver_query(f->resolver, f->domain, DNS_MX, on_mx, q);
	(void)snprintf(name, sizeof(name), "%s._tcp.%s",
	    which == SUBMISSIONS ? "_submissions" : "_submission", f->domain);
	return resolver_servers(f->resolver, name, on_servers, q);
}

struct finder *
finder_new(struct event_base *base, struct resolver *r, const struct message *m, finder_done *done,
    void *arg)
{
	struct timeval deadline = {.tv_sec = DEADLINE};
	struct finder *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = (struct finder){
	    .base = base, .resolver = r, .done = done, .arg = arg, .fd = -1, .open = QUESTIONS};
	f->id = message_u64(m, F_ID, 0);
	(void)snprintf(f->domain, sizeof(f->domain), "%s", message_str(m, F_HOST));
	f->deadline = evtimer_new(base, on_deadline, f);
	if (f->deadline == NULL || evtimer_add(f->deadline, &deadline) < 0)
		return finder_free(f);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		f->questions[i].finder = f;
		f->questions[i].lookup = ask(&f->questions[i], i);
		if (f->questions[i].lookup == NULL)
			return finder_free(f);
	}
	return f;
}

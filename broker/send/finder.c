/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * finder.c: see finder.h.
 *
 *     MX, SRV _submissions._tcp, SRV _submission._tcp (all at once) ─▶ one greeting ─▶ LOOKED_UP
 *
 * Asked for a greeting is the first service named, else smtp.DOMAIN at port 587: where the domain
 * names nothing, that is the usual name. With implicit TLS a server greets inside of TLS, so that it
 * takes connections is all that is learned there.
 */
#include "broker/send/finder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/send/records.h"

enum { DEADLINE = 10, GREETING = 5 /* seconds */, NAMES_MAX = 16, BANNER_MAX = 200 };

enum question { MX, SUBMISSIONS, SUBMISSION, QUESTIONS };

struct finder {
	struct event_base *base;
	struct resolver *resolver;
	finder_done *done;
	void *arg;
	uint64_t id;
	char domain[256];
	struct records *queries[QUESTIONS];
	unsigned open; /* questions without an answer */
	char *names[QUESTIONS][NAMES_MAX];
	size_t counts[QUESTIONS];
	struct event *deadline;
	/* the greeting */
	char host[256];
	unsigned port;
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
	for (int q = 0; q < QUESTIONS; q++) {
		(void)records_cancel(f->queries[q]);
		for (size_t i = 0; i < f->counts[q]; i++)
			free(f->names[q][i]);
	}
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
	for (size_t i = 0; i < f->counts[MX]; i++)
		message_put_str(m, F_MX, f->names[MX][i]);
	for (int q = SUBMISSIONS; q < QUESTIONS; q++)
		for (size_t i = 0; i < f->counts[q]; i++) {
			(void)snprintf(line, sizeof(line), "%s %s", f->names[q][i],
			    q == SUBMISSIONS ? "implicit" : "starttls");
			message_put_str(m, F_SRV, line);
		}
	if (f->banner[0] != '\0') {
		(void)snprintf(line, sizeof(line), "%s:%u %s", f->host, f->port, f->banner);
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

/* Takes "host:port" of the first service, or the usual name. */
static void
choose_server(struct finder *f)
{
	const char *service = f->counts[SUBMISSIONS] > 0  ? f->names[SUBMISSIONS][0]
			      : f->counts[SUBMISSION] > 0 ? f->names[SUBMISSION][0]
							  : NULL;
	const char *colon = service == NULL ? NULL : strrchr(service, ':');

	f->implicit = f->counts[SUBMISSIONS] > 0;
	f->port = 587;
	if (colon != NULL) {
		(void)snprintf(f->host, sizeof(f->host), "%.*s", (int)(colon - service), service);
		for (f->port = 0, colon++; *colon >= '0' && *colon <= '9' && f->port < 65536;
		     colon++)
			f->port = f->port * 10 + (unsigned)(*colon - '0');
	} else {
		(void)snprintf(f->host, sizeof(f->host), "smtp.%.240s", f->domain);
	}
}

/* ---- the questions ---- */

static void
take_names(struct finder *f, enum question q, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count && f->counts[q] < NAMES_MAX; i++) {
		char *copy = strdup(names[i]);

		if (copy != NULL)
			f->names[q][f->counts[q]++] = copy;
	}
}

static void
on_names(void *arg, unsigned tag, const char *const *names, size_t count)
{
	struct finder *f = arg;

	f->queries[tag] = NULL;
	take_names(f, (enum question)tag, names, count);
	if (--f->open > 0)
		return;
	choose_server(f);
	f->lookup = resolver_lookup(f->resolver, f->host, f->port, on_addresses, f);
	if (f->lookup == NULL)
		finish(f);
}

struct finder *
finder_new(struct event_base *base, struct resolver *r, const struct message *m, finder_done *done,
    void *arg)
{
	static const char *const prefixes[QUESTIONS] = {
	    "", "_submissions._tcp.", "_submission._tcp."};
	struct timeval deadline = {.tv_sec = DEADLINE};
	struct finder *f = calloc(1, sizeof(*f));
	char name[320];

	if (f == NULL)
		return NULL;
	*f = (struct finder){
	    .base = base, .resolver = r, .done = done, .arg = arg, .fd = -1, .open = QUESTIONS};
	f->id = message_u64(m, F_ID, 0);
	(void)snprintf(f->domain, sizeof(f->domain), "%s", message_str(m, F_HOST));
	f->deadline = evtimer_new(base, on_deadline, f);
	if (f->deadline == NULL || evtimer_add(f->deadline, &deadline) < 0)
		return finder_free(f);
	for (unsigned q = 0; q < QUESTIONS; q++) {
		(void)snprintf(name, sizeof(name), "%s%s", prefixes[q], f->domain);
		f->queries[q] =
		    records_new(base, r, name, q == MX ? RECORDS_MX : RECORDS_SRV, q, on_names, f);
		if (f->queries[q] == NULL)
			return finder_free(f);
	}
	return f;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * terminator.c: see terminator.h.
 *
 * A configuration takes effect whole, at its end. Where a new certificate cannot be used, the listener keeps the one
 * before, and the log says so; a listener that never had one fails every handshake, with that reason.
 */
#include "broker/tls/terminator.h"

#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "broker/conf/wire.h"
#include "broker/tls/certificate.h"
#include "broker/tls/relay.h"

enum { CONNECTIONS_MAX = 2048 };

STAILQ_HEAD(listener_list, tls_listener);
struct tls_listener {
	STAILQ_ENTRY(tls_listener) link;
	char *name;
	SSL_CTX *context; /* NULL: none that can be used */
	char why[160];
};

/* A connection. */
struct tls_client {
	LIST_ENTRY(tls_client) link;
	struct terminator *terminator;
	struct relay *relay;
	uint64_t id;
};

struct terminator {
	struct event_base *base;
	const struct terminator_ops *ops;
	void *arg;
	struct listener_list listeners;
	struct conf *coming; /* see wire_collect */
	LIST_HEAD(, tls_client) clients;
	size_t count;
};

/* ---- listeners ---- */

static void
listeners_free(struct listener_list *list)
{
	struct tls_listener *l;

	while ((l = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		SSL_CTX_free(l->context);
		free(l->name);
		free(l);
	}
}

static const struct tls_listener *
find(const struct listener_list *list, const char *name)
{
	const struct tls_listener *l;

	STAILQ_FOREACH (l, list, link)
		if (strcmp(l->name, name) == 0)
			return l;
	return NULL;
}

static void
make_context(struct terminator *t, struct tls_listener *l, const struct conf_listener *conf)
{
	const struct secret *chain = conf->certificate.secret, *key = conf->key.secret;
	const struct tls_listener *before = find(&t->listeners, l->name);
	char day[16];

	(void)snprintf(l->why, sizeof(l->why), "out of memory");
	if (chain != NULL && key != NULL)
		l->context = certificate_context(chain, key, l->why, sizeof(l->why));
	if (l->context == NULL) {
		bool goes_on = before != NULL && before->context != NULL;

		log_error("Listener %s: %s; %s.", l->name, l->why,
		    goes_on ? "the certificate that it had stays in use"
			    : "handshakes fail until that is mended and frankd reloaded");
		if (goes_on && SSL_CTX_up_ref(before->context) == 1)
			l->context = before->context;
	} else if (certificate_expired(l->context, day, sizeof(day))) {
		log_warning("Listener %s: its certificate expired on %s: clients will refuse it.",
		    l->name, day);
	}
}

static void
add_listener(struct terminator *t, const struct conf_listener *conf, struct listener_list *list)
{
	struct tls_listener *l;

	if (conf->certificate.secret == NULL)
		return;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return;
	l->name = strdup(conf->name);
	if (l->name == NULL) {
		free(l);
		return;
	}
	make_context(t, l, conf);
	STAILQ_INSERT_TAIL(list, l, link);
}

static void
take_configuration(struct terminator *t, const struct message *m)
{
	int r = wire_collect(&t->coming, ROLE_TLS, m, -1);
	struct listener_list list = STAILQ_HEAD_INITIALIZER(list);

	if (r < 0)
		log_error("A configuration did not arrive whole; the one before stays.");
	if (r != 1)
		return;
	for (size_t i = 0; i < t->coming->listener_count; i++)
		add_listener(t, &t->coming->listeners[i], &list);
	listeners_free(&t->listeners);
	STAILQ_CONCAT(&t->listeners, &list);
	t->coming = conf_free(t->coming);
	terminator_report(t);
}

void
terminator_report(struct terminator *t)
{
	const struct tls_listener *l;

	STAILQ_FOREACH (l, &t->listeners, link) {
		struct message *m;
		int64_t begin, end;

		if (l->context == NULL)
			continue;
		certificate_times(l->context, &begin, &end);
		m = message_new(M_LISTENER_CERTIFICATE);
		message_put_str(m, F_LISTENER, l->name);
		message_put_u64(m, F_CERTIFICATE_EXPIRES, (uint64_t)(end > 0 ? end : 1));
		message_put_u64(m, F_LIFETIME, (uint64_t)(end > begin ? end - begin : 1));
		t->ops->to_queue(t->arg, m, -1);
	}
}

/* ---- connections ---- */

static void
client_free(struct tls_client *c)
{
	LIST_REMOVE(c, link);
	c->terminator->count--;
	(void)relay_free(c->relay);
	free(c);
}

static void
say_failed(struct terminator *t, uint64_t id, const char *why)
{
	struct message *m = message_new(M_TLS_FAILED);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ERROR, why);
	t->ops->to_queue(t->arg, m, -1);
}

static void
on_begun(void *arg, struct relay *r, int plain, const char *tls)
{
	struct tls_client *c = arg;
	struct message *m = message_new(M_TLS_BEGUN);

	message_put_u64(m, F_ID, c->id);
	message_put_str(m, F_TLS, tls);
	c->terminator->ops->to_queue(c->terminator->arg, m, plain);
}

static void
on_ended(void *arg, struct relay *r, const char *why)
{
	struct tls_client *c = arg;

	if (why != NULL)
		say_failed(c->terminator, c->id, why);
	client_free(c);
}

static const struct relay_ops relay_ops = {on_begun, on_ended};

static void
begin(struct terminator *t, const struct message *m, int fd)
{
	const struct tls_listener *l = find(&t->listeners, message_str(m, F_LISTENER));
	uint64_t id = message_u64(m, F_ID, 0);
	struct tls_client *c = NULL;

	if (l != NULL && l->context != NULL && t->count < CONNECTIONS_MAX)
		c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		say_failed(t, id,
		    l == NULL            ? "the listener has no certificate"
		    : l->context == NULL ? l->why
					 : "too many connections");
		return;
	}
	c->terminator = t;
	c->id = id;
	c->relay = relay_new(t->base, l->context, fd, &relay_ops, c);
	LIST_INSERT_HEAD(&t->clients, c, link);
	t->count++;
	if (c->relay == NULL)
		on_ended(c, NULL, "out of memory");
}

/* ---- the whole ---- */

void
terminator_message(struct terminator *t, const struct message *m, int fd)
{
	switch (message_type(m)) {
	case M_TLS_BEGIN:
		begin(t, m, fd);
		return;
	default:
		take_configuration(t, m);
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

struct terminator *
terminator_new(struct event_base *base, const struct terminator_ops *ops, void *arg)
{
	struct terminator *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct terminator){.base = base, .ops = ops, .arg = arg};
	STAILQ_INIT(&t->listeners);
	return t;
}

struct terminator *
terminator_free(struct terminator *t)
{
	if (t == NULL)
		return NULL;
	while (!LIST_EMPTY(&t->clients))
		client_free(LIST_FIRST(&t->clients));
	listeners_free(&t->listeners);
	(void)conf_free(t->coming);
	free(t);
	return NULL;
}

void
terminator_flush(struct terminator *t)
{
	struct tls_client *c;

	LIST_FOREACH (c, &t->clients, link)
		relay_flush(c->relay);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ways.c: see ways.h.
 *
 * A configuration is taken whole at its end. A certificate that is no good does not end the service
 * of the one before: the listener goes on with that, and the log says so; at the first start it has
 * none, and handshakes fail with that reason.
 */
#include "broker/tls/ways.h"

#include <string.h>

#include "base/log.h"
#include "broker/tls/certificate.h"
#include "broker/tls/relay.h"

enum { CONNECTIONS_MAX = 2048 };

struct listener {
	struct listener *next;
	char *name;
	SSL_CTX *context; /* NULL: none that can be used */
	char why[160];
};

struct way {
	struct way *next;
	struct ways *all;
	struct relay *relay;
	uint64_t id;
};

struct ways {
	struct event_base *base;
	const struct ways_ops *ops;
	void *arg;
	struct listener *listeners, *coming;
	struct way *first;
	size_t count;
};

/* ---- listeners ---- */

static void
listeners_free(struct listener **list)
{
	while (*list != NULL) {
		struct listener *l = *list;

		*list = l->next;
		SSL_CTX_free(l->context);
		free(l->name);
		free(l);
	}
}

static struct listener *
find(struct listener *list, const char *name)
{
	while (list != NULL && strcmp(list->name, name) != 0)
		list = list->next;
	return list;
}

static void
make_context(struct ways *w, struct listener *l, const struct message *m)
{
	CLEANUP_SECRET struct secret *chain = message_secret(m, F_CERTIFICATE);
	CLEANUP_SECRET struct secret *key = message_secret(m, F_PRIVATE_KEY);
	const struct listener *before = find(w->listeners, l->name);
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
add_listener(struct ways *w, const struct message *m)
{
	struct listener *l;

	if (!message_has(m, F_CERTIFICATE))
		return;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return;
	l->name = strdup(message_str(m, F_LISTENER));
	if (l->name == NULL) {
		free(l);
		return;
	}
	make_context(w, l, m);
	l->next = w->coming;
	w->coming = l;
}

void
ways_tell(struct ways *w)
{
	for (const struct listener *l = w->listeners; l != NULL; l = l->next) {
		struct message *m;
		int64_t begin, end;

		if (l->context == NULL)
			continue;
		certificate_times(l->context, &begin, &end);
		m = message_new(M_LISTENER_CERTIFICATE);
		message_put_str(m, F_LISTENER, l->name);
		message_put_u64(m, F_CERTIFICATE_EXPIRES, (uint64_t)(end > 0 ? end : 1));
		message_put_u64(m, F_LIFETIME, (uint64_t)(end > begin ? end - begin : 1));
		w->ops->to_queue(w->arg, m, -1);
	}
}

/* ---- connections ---- */

static void
way_free(struct way *y)
{
	for (struct way **at = &y->all->first; *at != NULL; at = &(*at)->next)
		if (*at == y) {
			*at = y->next;
			y->all->count--;
			break;
		}
	(void)relay_free(y->relay);
	free(y);
}

static void
say_failed(struct ways *w, uint64_t id, const char *why)
{
	struct message *m = message_new(M_TLS_FAILED);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ERROR, why);
	w->ops->to_queue(w->arg, m, -1);
}

static void
on_begun(void *arg, struct relay *r, int plain, const char *tls)
{
	struct way *y = arg;
	struct message *m = message_new(M_TLS_BEGUN);

	message_put_u64(m, F_ID, y->id);
	message_put_str(m, F_TLS, tls);
	y->all->ops->to_queue(y->all->arg, m, plain);
}

static void
on_ended(void *arg, struct relay *r, const char *why)
{
	struct way *y = arg;

	if (why != NULL)
		say_failed(y->all, y->id, why);
	way_free(y);
}

static const struct relay_ops relay_ops = {on_begun, on_ended};

static void
begin(struct ways *w, const struct message *m, int fd)
{
	const struct listener *l = find(w->listeners, message_str(m, F_LISTENER));
	uint64_t id = message_u64(m, F_ID, 0);
	struct way *y = NULL;

	if (l != NULL && l->context != NULL && w->count < CONNECTIONS_MAX)
		y = calloc(1, sizeof(*y));
	if (y == NULL) {
		(void)close(fd);
		say_failed(w, id,
		    l == NULL            ? "the listener has no certificate"
		    : l->context == NULL ? l->why
					 : "too many connections");
		return;
	}
	y->all = w;
	y->id = id;
	y->relay = relay_new(w->base, l->context, fd, &relay_ops, y);
	y->next = w->first;
	w->first = y;
	w->count++;
	if (y->relay == NULL)
		on_ended(y, NULL, "out of memory");
}

/* ---- the whole ---- */

void
ways_message(struct ways *w, const struct message *m, int fd)
{
	switch (message_type(m)) {
	case M_CONF_BEGIN:
		listeners_free(&w->coming);
		break;
	case M_CONF_LISTENER:
		add_listener(w, m);
		break;
	case M_CONF_END:
		listeners_free(&w->listeners);
		w->listeners = w->coming;
		w->coming = NULL;
		ways_tell(w);
		break;
	case M_TLS_BEGIN:
		begin(w, m, fd);
		return;
	default:
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

struct ways *
ways_new(struct event_base *base, const struct ways_ops *ops, void *arg)
{
	struct ways *w = calloc(1, sizeof(*w));

	if (w != NULL)
		*w = (struct ways){.base = base, .ops = ops, .arg = arg};
	return w;
}

struct ways *
ways_free(struct ways *w)
{
	if (w == NULL)
		return NULL;
	while (w->first != NULL)
		way_free(w->first);
	listeners_free(&w->listeners);
	listeners_free(&w->coming);
	free(w);
	return NULL;
}

void
ways_flush(struct ways *w)
{
	for (struct way *y = w->first; y != NULL; y = y->next)
		relay_flush(y->relay);
}

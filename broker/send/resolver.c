/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * resolver.c: see resolver.h.
 *
 * c-ares says which of its sockets to watch, and each gets an event; a timer drives c-ares' own timeouts. c-ares reads
 * resolv.conf once, so after a failure it is set up again as soon as no query is open: the machine may have moved to
 * another network.
 */
#include "broker/send/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/host.h"

enum {
	QUERY_TIMEOUT = 3000,
	QUERY_TRIES = 3,
	SOCKETS_MAX = 16,
	RECORDS_MAX = 32,
	OTHER_KIND_US = 50 * 1000
};

struct watch {
	struct resolver *resolver;
	ares_socket_t sock;
	struct event *event; /* NULL: the slot is free */
};

struct resolver {
	struct event_base *base;
	ares_channel channel;
	bool up, stale;
	unsigned under_way;
	struct watch watches[SOCKETS_MAX];
	struct event *timer;
};

struct kind {
	struct netaddr list[RESOLVER_ADDRESSES_MAX];
	size_t count;
};

struct lookup {
	struct resolver *resolver;
	/* one of these */
	resolver_done *done;
	resolver_servers_done *servers_done;
	resolver_records_done *records_done;
	void *arg;
	struct event *deliver; /* the answer may be known at once, and is still told later */
	struct kind kinds[2];  /* of addresses, IPv6 first */
	struct server servers[RESOLVER_SERVERS_MAX];
	size_t server_count;
	enum smtp_fault fault;
	char words[700];
	char host[600];               /* the name: that of a DKIM key is a selector and a domain */
	struct dns_question question; /* for servers and records */
	struct dns_answer answer;
	unsigned queries; /* that c-ares has not answered */
	bool delivered, cancelled;
};

/* ---- c-ares in the loop ---- */

static void
arm_timer(struct resolver *r)
{
	struct timeval most = {.tv_sec = 1}, tv, *wait = ares_timeout(r->channel, &most, &tv);

	if (r->under_way > 0)
		(void)event_add(r->timer, wait);
	else
		(void)event_del(r->timer);
}

static void
on_socket(evutil_socket_t sock, short what, void *arg)
{
	struct watch *w = arg;
	struct resolver *r = w->resolver;

	ares_process_fd(r->channel, (what & EV_READ) != 0 ? sock : ARES_SOCKET_BAD,
	    (what & EV_WRITE) != 0 ? sock : ARES_SOCKET_BAD);
	arm_timer(r);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct resolver *r = arg;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_timer(r);
}

static struct watch *
find_watch(struct resolver *r, ares_socket_t sock)
{
	struct watch *free_one = NULL;

	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		if (r->watches[i].event != NULL && r->watches[i].sock == sock)
			return &r->watches[i];
		if (r->watches[i].event == NULL && free_one == NULL)
			free_one = &r->watches[i];
	}
	return free_one;
}

/* A socket that finds no slot is not watched; its query runs into its timeout. */
static void
on_socket_state(void *arg, ares_socket_t sock, int readable, int writable)
{
	struct resolver *r = arg;
	struct watch *w = find_watch(r, sock);
	short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	if (w == NULL)
		return;
	if (w->event != NULL) {
		event_free(w->event);
		w->event = NULL;
	}
	if (!readable && !writable)
		return;
	w->resolver = r;
	w->sock = sock;
	w->event = event_new(r->base, sock, what, on_socket, w);
	if (w->event != NULL)
		(void)event_add(w->event, NULL);
}

static bool
set_up(struct resolver *r)
{
	struct ares_options options = {.timeout = QUERY_TIMEOUT,
	    .tries = QUERY_TRIES,
	    .sock_state_cb = on_socket_state,
	    .sock_state_cb_data = r};

	if (r->up && r->stale && r->under_way == 0) {
		ares_destroy(r->channel);
		r->up = false;
	}
	if (!r->up) {
		r->up = ares_init_options(&r->channel, &options,
			    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) ==
			ARES_SUCCESS;
		r->stale = false;
	}
	return r->up;
}

struct resolver *
resolver_new(struct event_base *base)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->base = base;
	r->timer = event_new(base, -1, 0, on_timer, r);
	if (r->timer == NULL || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return resolver_free(r);
	return r;
}

struct resolver *
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return NULL;
	if (r->up)
		ares_destroy(r->channel);
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (r->watches[i].event != NULL)
			event_free(r->watches[i].event);
	if (r->timer != NULL)
		event_free(r->timer);
	free(r);
	return NULL;
}

/* ---- look-ups ---- */

/* Frees what nobody waits for any more: c-ares may still answer behind the delivery. */
static void
lookup_release(struct lookup *l)
{
	if (l->queries > 0 || (!l->delivered && !l->cancelled))
		return;
	event_free(l->deliver);
	dns_clear(&l->answer);
	free(l);
}

static void
deliver(evutil_socket_t sock, short what, void *arg)
{
	struct netaddr all[RESOLVER_ADDRESSES_MAX];
	struct lookup *l = arg;
	size_t count = 0;

	if (l->delivered || l->cancelled)
		return;
	l->delivered = true;
	if (l->records_done != NULL) {
		l->records_done(l->arg, &l->answer);
	} else if (l->servers_done != NULL) {
		l->servers_done(l->arg, l->servers, l->server_count, l->fault, l->words);
	} else {
		/* In turn, so that a kind that does not work costs one try only. */
		for (size_t i = 0; i < ARRAY_SIZE(l->kinds) * RESOLVER_ADDRESSES_MAX; i++) {
			const struct kind *k = &l->kinds[i % ARRAY_SIZE(l->kinds)];

			if (i / ARRAY_SIZE(l->kinds) < k->count && count < ARRAY_SIZE(all))
				all[count++] = k->list[i / ARRAY_SIZE(l->kinds)];
		}
		l->done(l->arg, all, count, l->fault, l->words);
	}
	lookup_release(l);
}

static bool
has_address(const struct lookup *l)
{
	return l->kinds[0].count + l->kinds[1].count > 0;
}

/* One of the queries was answered. */
static void
query_ended(struct lookup *l)
{
	static const struct timeval other_kind = {.tv_usec = OTHER_KIND_US};

	l->queries--;
	l->resolver->under_way--;
	if (l->delivered || l->cancelled)
		lookup_release(l);
	else if (l->queries == 0)
		event_active(l->deliver, EV_TIMEOUT, 0);
	else if (has_address(l))
		(void)event_add(l->deliver, &other_kind);
}

static void
take_address(struct kind *k, const struct sockaddr *address, socklen_t len)
{
	struct netaddr *a = &k->list[k->count];

	if (k->count == ARRAY_SIZE(k->list) || len > sizeof(a->sockaddr))
		return;
	memset(a, 0, sizeof(*a));
	memcpy(&a->sockaddr, address, len);
	a->len = len;
	k->count++;
}

static void
take_addresses(struct lookup *l, const struct ares_addrinfo *info)
{
	for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next)
		take_address(
		    &l->kinds[n->ai_family == AF_INET6 ? 0 : 1], n->ai_addr, n->ai_addrlen);
}

/* Of two failures the one that passes by itself counts: nothing is known then. */
static void
describe_failure(struct lookup *l, enum dns_status status, const char *missing, const char *words)
{
	if (l->fault == SMTP_FAULT_DNS)
		return;
	if (status != DNS_FAILED) {
		l->fault = SMTP_FAULT_NO_HOST;
		(void)snprintf(l->words, sizeof(l->words), "The name %s %s.", l->host,
		    status == DNS_NO_NAME ? "does not exist" : missing);
		return;
	}
	l->fault = SMTP_FAULT_DNS;
	l->resolver->stale = true;
	(void)snprintf(
	    l->words, sizeof(l->words), "The name %s could not be looked up: %s.", l->host, words);
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct lookup *l = arg;

	if (status == ARES_SUCCESS && !l->delivered)
		take_addresses(l, info);
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (!has_address(l))
		describe_failure(l, dns_status_of(status), "has no address", ares_strerror(status));
	query_ended(l);
}

static struct lookup *
lookup_new(struct resolver *r, const char *name, void *arg)
{
	struct lookup *l = set_up(r) ? calloc(1, sizeof(*l)) : NULL;

	if (l == NULL)
		return NULL;
	l->resolver = r;
	l->arg = arg;
	l->deliver = event_new(r->base, -1, 0, deliver, l);
	if (l->deliver == NULL) {
		free(l);
		return NULL;
	}
	(void)snprintf(l->host, sizeof(l->host), "%s", name);
	return l;
}

/* 127.0.0.1 goes first: more servers listen there than on ::1, and the machine may have no IPv6. */
static void
take_loopback(struct lookup *l, unsigned port)
{
	const struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 six = {.sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)port),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	take_address(&l->kinds[0], (const struct sockaddr *)&four, sizeof(four));
	take_address(&l->kinds[1], (const struct sockaddr *)&six, sizeof(six));
}

struct lookup *
resolver_lookup(struct resolver *r, const char *host, unsigned port, resolver_done *done, void *arg)
{
	static const int families[] = {AF_INET6, AF_INET};
	struct lookup *l = lookup_new(r, host, arg);
	char service[16];

	if (l == NULL)
		return NULL;
	l->done = done;
	if (host_is_localhost(host) || host_is_invalid(host)) {
		if (host_is_localhost(host))
			take_loopback(l, port);
		else
			describe_failure(l, DNS_NO_NAME, NULL, NULL);
		event_active(l->deliver, EV_TIMEOUT, 0);
		return l;
	}
	(void)snprintf(service, sizeof(service), "%u", port);
	/* Counted first: an answer that is known at once comes from within the call. */
	l->queries = ARRAY_SIZE(families);
	r->under_way += ARRAY_SIZE(families);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NUMERICSERV,
		    .ai_family = families[i],
		    .ai_socktype = SOCK_STREAM};

		ares_getaddrinfo(r->channel, host, service, &hints, on_answer, l);
	}
	arm_timer(r);
	return l;
}

/* ---- records, and servers of a service ---- */

/* A number below `bound`; 0 where there is no random to be had: then the first server is taken. */
static unsigned
chance(unsigned bound)
{
	unsigned n = 0;

	return bound == 0 || RAND_bytes((unsigned char *)&n, sizeof(n)) != 1 ? 0 : n % bound;
}

/* Which of them is next: the lowest priority; among those each has a chance by its weight
 * (RFC 2782). */
static size_t
next_server(const struct dns_record *const *records, size_t count)
{
	unsigned lowest = UINT16_MAX, sum = 0, at;
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i]->order < lowest)
			lowest = records[i]->order;
	for (size_t i = 0; i < count; i++)
		sum += records[i]->order == lowest ? records[i]->weight : 0U;
	at = chance(sum + 1);
	for (size_t i = 0; i < count; i++) {
		if (records[i]->order != lowest)
			continue;
		found = i;
		if (records[i]->weight >= at)
			break;
		at -= records[i]->weight;
	}
	return found;
}

/* "." says that the service is not there, on purpose. */
static bool
is_server(const struct dns_record *record)
{
	return record->port != 0 && record->len > 0 &&
	       record->len < sizeof(((struct server *)NULL)->host) &&
	       strcmp(record->text, ".") != 0;
}

static void
take_servers(struct lookup *l)
{
	const struct dns_answer *answer = &l->answer;
	const struct dns_record *left[RECORDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < answer->count && count < RECORDS_MAX; i++)
		if (is_server(&answer->records[i]))
			left[count++] = &answer->records[i];
	while (count > 0 && l->server_count < RESOLVER_SERVERS_MAX) {
		size_t i = next_server(left, count);
		struct server *to = &l->servers[l->server_count++];

		(void)snprintf(to->host, sizeof(to->host), "%s", left[i]->text);
		to->port = left[i]->port;
		left[i] = left[--count];
	}
}

static void
on_records(void *arg, struct dns_answer *answer)
{
	struct lookup *l = arg;

	l->answer = *answer;
	if (l->servers_done != NULL)
		take_servers(l);
	if (l->server_count == 0)
		describe_failure(l, answer->status, "names no server", answer->words);
	query_ended(l);
}

static struct lookup *
ask_for_records(struct resolver *r, const char *name, enum dns_type type,
    resolver_servers_done *servers_done, resolver_records_done *records_done, void *arg)
{
	struct lookup *l = lookup_new(r, name, arg);

	if (l == NULL)
		return NULL;
	l->servers_done = servers_done;
	l->records_done = records_done;
	l->queries = 1;
	r->under_way++;
	l->question = (struct dns_question){.type = type, .done = on_records, .arg = l};
	dns_ask(r->channel, l->host, &l->question);
	arm_timer(r);
	return l;
}

struct lookup *
resolver_servers(struct resolver *r, const char *name, resolver_servers_done *done, void *arg)
{
	return ask_for_records(r, name, DNS_SRV, done, NULL, arg);
}

struct lookup *
resolver_query(struct resolver *r, const char *name, enum dns_type type,
    resolver_records_done *done, void *arg)
{
	return ask_for_records(r, name, type, NULL, done, arg);
}

struct lookup *
resolver_cancel(struct lookup *l)
{
	if (l == NULL)
		return NULL;
	l->cancelled = true;
	lookup_release(l);
	return NULL;
}

/*
 * resolver.c: see resolver.h.
 *
 * c-ares tells which of its sockets it wants watched; each gets an event. A timer drives its own
 * timeouts. It reads resolv.conf once, so after a failure it is set up anew as soon as nothing is
 * under way: the machine may have moved to another network.
 */
#include "broker/send/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

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

struct lookup {
	struct resolver *resolver;
	resolver_done *done;                 /* of addresses */
	resolver_servers_done *servers_done; /* or of servers */
	void *arg;
	struct event *deliver; /* the answer may be known at once, and is still told later */
	struct address six[RESOLVER_ADDRESSES_MAX], four[RESOLVER_ADDRESSES_MAX];
	size_t six_count, four_count;
	struct server servers[RESOLVER_SERVERS_MAX];
	size_t server_count;
	enum smtp_fault fault;
	char words[400];
	char host[300];
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
	if (l->deliver != NULL)
		event_free(l->deliver);
	free(l);
}

static void
deliver(evutil_socket_t sock, short what, void *arg)
{
	struct address all[RESOLVER_ADDRESSES_MAX];
	struct lookup *l = arg;
	size_t count = 0;

	if (l->delivered || l->cancelled)
		return;
	l->delivered = true;
	if (l->servers_done != NULL) {
		l->servers_done(l->arg, l->servers, l->server_count, l->fault, l->words);
	} else {
		/* In turn, so that a kind that does not work costs one try only. */
		for (size_t i = 0; i < RESOLVER_ADDRESSES_MAX; i++) {
			if (i < l->six_count && count < RESOLVER_ADDRESSES_MAX)
				all[count++] = l->six[i];
			if (i < l->four_count && count < RESOLVER_ADDRESSES_MAX)
				all[count++] = l->four[i];
		}
		l->done(l->arg, all, count, l->fault, l->words);
	}
	lookup_release(l);
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
	else if (l->six_count + l->four_count > 0)
		(void)event_add(l->deliver, &other_kind);
}

static void
take_addresses(struct lookup *l, const struct ares_addrinfo *info)
{
	for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next) {
		bool six = n->ai_family == AF_INET6;
		size_t *count = six ? &l->six_count : &l->four_count;
		struct address *a = six ? &l->six[*count] : &l->four[*count];

		if (*count == RESOLVER_ADDRESSES_MAX || n->ai_addrlen > sizeof(a->sockaddr))
			continue;
		memset(a, 0, sizeof(*a));
		memcpy(&a->sockaddr, n->ai_addr, n->ai_addrlen);
		a->len = n->ai_addrlen;
		++*count;
	}
}

/* Of two failures the one that passes by itself counts: nothing is known then. */
static void
describe_failure(struct lookup *l, int status, const char *missing)
{
	bool none = status == ARES_SUCCESS || status == ARES_ENODATA;

	if (l->fault == SMTP_FAULT_DNS)
		return;
	if (none || status == ARES_ENOTFOUND || status == ARES_EBADNAME) {
		l->fault = SMTP_FAULT_NO_HOST;
		(void)snprintf(l->words, sizeof(l->words), "The name %s %s.", l->host,
		    none ? missing : "does not exist");
		return;
	}
	l->fault = SMTP_FAULT_DNS;
	l->resolver->stale = true;
	(void)snprintf(l->words, sizeof(l->words), "The name %s could not be looked up: %s.",
	    l->host, ares_strerror(status));
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct lookup *l = arg;

	if (status == ARES_SUCCESS && !l->delivered)
		take_addresses(l, info);
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (l->six_count + l->four_count == 0)
		describe_failure(l, status, "has no address");
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

struct lookup *
resolver_lookup(struct resolver *r, const char *host, unsigned port, resolver_done *done, void *arg)
{
	static const int families[] = {AF_INET6, AF_INET};
	struct lookup *l = lookup_new(r, host, arg);
	char service[16];

	if (l == NULL)
		return NULL;
	l->done = done;
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

/* ---- servers of a service ---- */

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
next_server(const struct ares_srv_reply *const *records, size_t count)
{
	unsigned lowest = UINT16_MAX, sum = 0, at;
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i]->priority < lowest)
			lowest = records[i]->priority;
	for (size_t i = 0; i < count; i++)
		sum += records[i]->priority == lowest ? records[i]->weight : 0U;
	at = chance(sum + 1);
	for (size_t i = 0; i < count; i++) {
		if (records[i]->priority != lowest)
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
is_server(const struct ares_srv_reply *record)
{
	size_t len = strlen(record->host);

	return record->port != 0 && len > 0 && len < sizeof(((struct server *)NULL)->host) &&
	       strcmp(record->host, ".") != 0;
}

static void
take_servers(struct lookup *l, const struct ares_srv_reply *list)
{
	const struct ares_srv_reply *left[RECORDS_MAX];
	size_t count = 0;

	for (; list != NULL && count < RECORDS_MAX; list = list->next)
		if (is_server(list))
			left[count++] = list;
	while (count > 0 && l->server_count < RESOLVER_SERVERS_MAX) {
		size_t i = next_server(left, count);
		struct server *to = &l->servers[l->server_count++];

		(void)snprintf(to->host, sizeof(to->host), "%s", left[i]->host);
		to->port = left[i]->port;
		left[i] = left[--count];
	}
}

static void
on_servers(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct ares_srv_reply *list = NULL;
	struct lookup *l = arg;

	if (status == ARES_SUCCESS)
		status = ares_parse_srv_reply(answer, len, &list);
	if (status == ARES_SUCCESS)
		take_servers(l, list);
	ares_free_data(list);
	if (l->server_count == 0)
		describe_failure(l, status, "names no server");
	query_ended(l);
}

struct lookup *
resolver_servers(struct resolver *r, const char *name, resolver_servers_done *done, void *arg)
{
	struct lookup *l = lookup_new(r, name, arg);

	if (l == NULL)
		return NULL;
	l->servers_done = done;
	l->queries = 1;
	r->under_way++;
	ares_query(r->channel, l->host, ns_c_in, ns_t_srv, on_servers, l);
	arm_timer(r);
	return l;
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

/* ---- records ---- */

struct query {
	struct resolver *resolver;
	resolver_answer *answer;
	void *arg;
};

static void
on_records(void *arg, int status, int timeouts, unsigned char *octets, int len)
{
	struct query *q = arg;

	q->resolver->under_way--;
	q->answer(q->arg, status, octets, len);
	free(q);
}

bool
resolver_query(struct resolver *r, const char *name, int type, resolver_answer *answer, void *arg)
{
	struct query *q = set_up(r) ? calloc(1, sizeof(*q)) : NULL;

	if (q == NULL)
		return false;
	*q = (struct query){.resolver = r, .answer = answer, .arg = arg};
	r->under_way++;
	ares_query(r->channel, name, ns_c_in, type, on_records, q);
	arm_timer(r);
	return true;
}

/* ---- addresses ---- */

void
address_text(const struct address *a, char *to, size_t size)
{
	const void *bits =
	    a->sockaddr.ss_family == AF_INET
		? (const void *)&((const struct sockaddr_in *)&a->sockaddr)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)&a->sockaddr)->sin6_addr;

	if (inet_ntop(a->sockaddr.ss_family, bits, to, (socklen_t)size) == NULL)
		(void)snprintf(to, size, "?");
}

bool
address_is_loopback(const struct address *a)
{
	if (a->sockaddr.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sockaddr;

		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (a->sockaddr.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sockaddr;

		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	return false;
}

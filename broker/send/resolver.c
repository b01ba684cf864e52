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
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { QUERY_TIMEOUT = 3000, QUERY_TRIES = 3, SOCKETS_MAX = 16 };

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
	resolver_done *done;
	void *arg;
	struct event *deliver; /* the answer may be known at once, and is still told later */
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t count;
	enum smtp_fault fault;
	char words[320];
	char host[256];
	bool answered, cancelled;
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

static void
lookup_free(struct lookup *l)
{
	if (l->deliver != NULL)
		event_free(l->deliver);
	free(l);
}

static void
deliver(evutil_socket_t sock, short what, void *arg)
{
	struct lookup *l = arg;

	if (!l->cancelled)
		l->done(l->arg, l->addresses, l->count, l->fault, l->words);
	lookup_free(l);
}

static void
take_addresses(struct lookup *l, const struct ares_addrinfo *info)
{
	for (const struct ares_addrinfo_node *n = info->nodes;
	     n != NULL && l->count < RESOLVER_ADDRESSES_MAX; n = n->ai_next) {
		struct address *a = &l->addresses[l->count];

		if (n->ai_addrlen > sizeof(a->sockaddr))
			continue;
		memcpy(&a->sockaddr, n->ai_addr, n->ai_addrlen);
		a->len = n->ai_addrlen;
		l->count++;
	}
}

static void
describe_failure(struct lookup *l, int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
		l->fault = SMTP_FAULT_NO_HOST;
		(void)snprintf(l->words, sizeof(l->words), "The name %s has no address.", l->host);
		break;
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		l->fault = SMTP_FAULT_NO_HOST;
		(void)snprintf(l->words, sizeof(l->words), "The name %s does not exist.", l->host);
		break;
	default:
		l->fault = SMTP_FAULT_DNS;
		l->resolver->stale = true;
		(void)snprintf(l->words, sizeof(l->words),
		    "The name %s could not be looked up: %s.", l->host, ares_strerror(status));
		break;
	}
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct lookup *l = arg;

	l->resolver->under_way--;
	if (status == ARES_SUCCESS)
		take_addresses(l, info);
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (l->count == 0)
		describe_failure(l, status);
	l->answered = true;
	if (l->cancelled)
		lookup_free(l);
	else
		event_active(l->deliver, EV_TIMEOUT, 0);
}

struct lookup *
resolver_lookup(struct resolver *r, const char *host, unsigned port, resolver_done *done, void *arg)
{
	const struct ares_addrinfo_hints hints = {
	    .ai_flags = ARES_AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *l = set_up(r) ? calloc(1, sizeof(*l)) : NULL;
	char service[16];

	if (l == NULL)
		return NULL;
	l->resolver = r;
	l->done = done;
	l->arg = arg;
	l->deliver = event_new(r->base, -1, 0, deliver, l);
	if (l->deliver == NULL) {
		free(l);
		return NULL;
	}
	(void)snprintf(l->host, sizeof(l->host), "%s", host);
	(void)snprintf(service, sizeof(service), "%u", port);
	r->under_way++;
	ares_getaddrinfo(r->channel, host, service, &hints, on_answer, l);
	arm_timer(r);
	return l;
}

struct lookup *
resolver_cancel(struct lookup *l)
{
	if (l == NULL)
		return NULL;
	l->cancelled = true;
	if (l->answered)
		lookup_free(l);
	return NULL;
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

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * connection.c: the submit sockets and the listeners. The kernel says who calls (role/caller.h). On a
 * listener that is the uid which owns the other end of a loopback connection (peer-uid.h), asked before a
 * byte is read, or nobody, until AUTH names a service.
 *
 * Where a listener has TLS the connection is handed over (handover.h), at once or after STARTTLS,
 * and what comes back takes its place.
 *
 * A caller that writes its whole session at once, as the shim does, is read before it is greeted
 * (a caller that waits for the greeting gets it a millisecond later), and all its replies leave
 * together after the commit: it is woken once.
 *
 * Connections are bounded for each caller (usage.h), and in all, so that callers who say nothing or
 * write slowly keep nobody out. A connection is idle when it is outside a transaction.
 *   - A caller that has as many as it may gets another by losing its idle one that was silent longest.
 *   - When all places are taken, the caller with most connections loses an idle one to a caller with
 *     fewer; or else any caller with an idle one does; or else the caller with most loses the one that
 *     was silent longest.
 *   - A part of the places is kept for root and administrators, who lose none to others.
 */
#include "broker/queue/inbound/connection.h"
#include "broker/queue/inbound/entrance.h"
#include "broker/queue/inbound/handover.h"
#include "broker/queue/inbound/submission.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/smtp/server.h"
#include "base/peer-uid.h"
#include "broker/queue/inbound/usage.h"

enum {
	CONNECTIONS_MAX = 1024,
	KEPT_SHARE = 16, /* a part of the places in so many is kept for root and administrators */
	ACCEPTS_PER_TURN = 64,
	READ_SIZE = 32 * 1024,
	READS_PER_TURN = 8,
	IDLE_SECONDS = 300, /* RFC 5321 section 4.5.3.2.7 */
	/* `sendmail -bs` of a mail program that stays open: its place is had for the asking. A
	 * local process that is silent within a message may be a job that takes its time. */
	LOCAL_IDLE_SECONDS = 3600,
	HANDOVER_SECONDS = 60,
	GREETING_US = 1000,
	/* Octets of replies that may wait for a decision that the client has to wait for as well. */
	HELD_MAX = 4096,
};

/* RFC 3463 section 3.5: there are too many connections now, which says nothing about a stop. */
#define CONGESTED "4.4.5"

struct listener {
	LIST_ENTRY(listener) entry;
	struct connections *all;
	struct event *readable;
	char *service; /* whose own socket it is; NULL: the common one */
	char *name;    /* of the configuration's listener; NULL: a Unix socket */
	char address[56];
	int fd;
};

struct connection {
	TAILQ_ENTRY(connection) entry;
	bool listed;
	struct connections *all;
	struct caller caller;
	char *service, *listener; /* what `caller` borrows */
	struct usage *usage;
	bool counted;               /* in usage */
	struct submission *session; /* NULL until a TLS that comes first is there */
	struct event *readable, *writable, *late;
	enum {
		TLS_NONE,
		TLS_WANTED,    /* STARTTLS is answered: handed over when the output is written */
		TLS_HANDSHAKE, /* handed over */
		TLS_ENDED,     /* fd is what came back */
	} tls;
	uint64_t handover; /* its id, in TLS_HANDSHAKE */
	int fd;            /* -1: handed over */
	bool greeted;      /* its greeting need not wait any more */
	bool busy;         /* in pump: not to be freed there */
};

struct connections {
	struct inbound *in;
	LIST_HEAD(, listener) listeners;
	TAILQ_HEAD(connection_list, connection) list; /* oldest activity first */
	size_t count, max;
};

static void pump(struct connection *c);
static void on_proceed(void *arg);
static void on_starttls(void *arg);
static bool has_hung_up(void *arg);

static const struct submission_ops session_ops = {on_proceed, on_starttls, has_hung_up};

static void
forget_events(struct connection *c)
{
	struct event **all[] = {&c->readable, &c->writable, &c->late};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (*all[i] != NULL)
			event_free(*all[i]);
		*all[i] = NULL;
	}
}

static struct connection *
connection_free(struct connection *c)
{
	if (c == NULL)
		return NULL;
	if (c->listed) {
		TAILQ_REMOVE(&c->all->list, c, entry);
		c->all->count--;
	}
	(void)submission_free(c->session);
	if (c->counted)
		usage_disconnect(c->usage);
	usage_drop(c->usage);
	forget_events(c);
	if (c->tls == TLS_HANDSHAKE)
		handover_forget(c->all->in, c->handover);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->tls == TLS_ENDED)
		handover_release(c->all->in);
	free(c->caller.groups);
	free(c->service);
	free(c->listener);
	free(c);
	return NULL;
}

/* ---- the peer ---- */

static int
peer_of(int fd, struct caller *ret)
{
	struct caller_peer who;
	int r = caller_peer_of(fd, &who);

	if (r < 0)
		return r;
	ret->uid = who.uid;
	ret->groups = who.groups;
	ret->group_count = who.group_count;
	return 0;
}

/* ---- the peer of a listener ---- */

/* "127.0.0.1:2525", "[::1]:2525": as the configuration spells it. */
static void
address_text(const struct sockaddr_storage *a, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->ss_family == AF_INET)
		(void)snprintf(text, size, "%s:%u",
		    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)), ntohs(v4->sin_port));
	else
		/* NOLINTBEGIN(clang-analyzer-core.CallAndMessage): the kernel filled it in */
		(void)snprintf(text, size, "[%s]:%u",
		    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)), ntohs(v6->sin6_port));
	/* NOLINTEND(clang-analyzer-core.CallAndMessage) */
}

static bool
is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	return a->ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
				       : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* 0 also where nobody can be named: that is what AUTH is for. */
static int
tcp_peer_of(const struct inbound *in, int fd, const struct conf_listener *n, struct caller *ret)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	uint32_t uid;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return -errno;
	address_text(&peer, ret->origin, sizeof(ret->origin));
	ret->tls = n->tls;
	ret->auth_required = n->remote || n->auth == CONF_LISTENER_AUTH_REQUIRED;
	ret->remote = n->remote;
	ret->bare_line_ends = is_loopback(&peer) ? n->line_ends != CONF_LINE_ENDS_CRLF
						 : n->line_ends == CONF_LINE_ENDS_ANY;
	ret->uid = CALLER_UID_OVERFLOW;
	ret->unknown = true;
	ret->groups_by_name = true;
	if (in->diag >= 0 && is_loopback(&peer) && peer_uid_ask(in->diag, fd, &uid) == 0) {
		ret->uid = uid;
		ret->unknown = false;
	}
	return 0;
}

/* ---- bytes ---- */

/* Writes what there is. False: the connection is gone. */
static bool
write_output(struct connection *c)
{
	struct smtp_server *e = submission_engine(c->session);
	const struct buf *out;

	while ((out = smtp_server_output(e))->len > 0) {
		ssize_t n = send(c->fd, out->data, out->len, MSG_NOSIGNAL);

		if (n >= 0)
			smtp_server_wrote(e, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

/* Replies wait while the session waits for a decision: what the client sent comes to nothing before
 * it, so it would be woken for nothing. Not the one to STARTTLS, for which the client waits. */
static bool
is_held(const struct connection *c)
{
	const struct smtp_server *e = submission_engine(c->session);

	return c->tls != TLS_WANTED && smtp_server_waiting(e) && !smtp_server_closing(e) &&
	       smtp_server_output(e)->len < HELD_MAX;
}

/* Reads what may be taken now. False: the connection is over. */
static bool
read_input(struct connection *c)
{
	static char bytes[READ_SIZE];
	struct smtp_server *e = submission_engine(c->session);

	for (int i = 0; i < READS_PER_TURN && !smtp_server_waiting(e) && !smtp_server_closing(e);
	     i++) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

		if (n == 0) {
			smtp_server_eof(e);
			return false;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->greeted = true;
		if (smtp_server_input(e, bytes, (size_t)n) < 0)
			return false;
		if (!is_held(c) && !write_output(c))
			return false;
	}
	return true;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	if ((what & EV_TIMEOUT) != 0) {
		smtp_server_close(
		    submission_engine(c->session), "4.4.2", "You were silent for too long");
		(void)write_output(c);
		(void)connection_free(c);
		return;
	}
	TAILQ_REMOVE(&c->all->list, c, entry);
	TAILQ_INSERT_TAIL(&c->all->list, c, entry);
	pump(c);
}

/* ---- TLS ---- */

static void
on_late(evutil_socket_t number, short what, void *arg)
{
	(void)connection_free(arg);
}

/* The connection is without TLS now; where TLS comes first, SMTP begins. */
static void
on_handed_over(void *arg, int fd, const char *tls)
{
	struct connection *c = arg;

	c->tls = TLS_NONE;
	if (fd < 0) {
		(void)connection_free(c);
		return;
	}
	forget_events(c);
	c->fd = fd;
	c->tls = TLS_ENDED;
	(void)evutil_make_socket_nonblocking(fd);
	if (c->session != NULL) {
		smtp_server_tls_started(submission_engine(c->session));
	} else {
		c->caller.tls_active = true;
		c->session = submission_new(c->all->in, &c->caller, &session_ops, c);
	}
	if (c->session == NULL)
		(void)connection_free(c);
	else
		pump(c);
}

/* False: the connection is to be closed. */
static bool
hand_over(struct connection *c)
{
	static const struct timeval patience = {HANDOVER_SECONDS, 0};

	c->tls = TLS_NONE;
	forget_events(c);
	c->late = evtimer_new(c->all->in->base, on_late, c);
	if (c->late == NULL || event_add(c->late, &patience) < 0 ||
	    handover_begin(
		c->all->in, TAKE_FD(c->fd), c->listener, on_handed_over, c, &c->handover) < 0)
		return false;
	c->tls = TLS_HANDSHAKE;
	return true;
}

static void
on_starttls(void *arg)
{
	struct connection *c = arg;

	c->tls = TLS_WANTED;
}

/* Closed at both ends, which only a Unix socket tells from one that waits for the answer. */
static bool
has_hung_up(void *arg)
{
	struct connection *c = arg;
	struct pollfd p = {.fd = c->fd};

	return c->caller.listener == NULL && poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

/* Not in the midst of anything. */
static bool
is_idle(const struct connection *c)
{
	return c->session == NULL || smtp_server_idle(submission_engine(c->session));
}

/* Waits for what the session needs next; for the spool it needs no event. */
static bool
arm(struct connection *c)
{
	struct smtp_server *e = submission_engine(c->session);
	bool patient = is_idle(c) ? c->caller.listener == NULL : !c->caller.unknown;
	const struct timeval idle = {patient ? LOCAL_IDLE_SECONDS : IDLE_SECONDS, 0};
	bool unwritten = smtp_server_output(e)->len > 0 && !is_held(c);
	struct event **ev = unwritten ? &c->writable : &c->readable;
	struct event *other = unwritten ? c->readable : c->writable;

	if (other != NULL)
		(void)event_del(other);
	if (!unwritten && smtp_server_waiting(e)) {
		if (c->readable != NULL)
			(void)event_del(c->readable);
		return true;
	}
	if (*ev == NULL)
		*ev =
		    event_new(c->all->in->base, c->fd, unwritten ? EV_WRITE : EV_READ, on_event, c);
	return *ev != NULL && event_add(*ev, &idle) == 0;
}

static void
on_greeting_time(evutil_socket_t number, short what, void *arg)
{
	struct connection *c = arg;

	event_free(c->readable);
	c->readable = NULL;
	c->greeted = (what & EV_READ) == 0;
	pump(c);
}

/* False: no memory. */
static bool
wait_to_greet(struct connection *c)
{
	static const struct timeval moment = {0, GREETING_US};

	c->readable = event_new(c->all->in->base, c->fd, EV_READ, on_greeting_time, c);
	return c->readable != NULL && event_add(c->readable, &moment) == 0;
}

/* False: the connection is over. */
static bool
exchange(struct connection *c)
{
	struct smtp_server *e = submission_engine(c->session);

	/* A caller that has written already is read first. */
	if (!c->greeted)
		return read_input(c);
	if (!is_held(c) && !write_output(c))
		return false;
	return smtp_server_output(e)->len > 0 || read_input(c);
}

/* Writes, reads, and waits for more. */
static void
pump(struct connection *c)
{
	struct smtp_server *e = submission_engine(c->session);
	bool alive;

	c->busy = true;
	alive = exchange(c);
	if (alive && !c->greeted) {
		c->busy = false;
		if (!wait_to_greet(c))
			(void)connection_free(c);
		return;
	}
	if (alive && c->tls == TLS_WANTED && smtp_server_output(e)->len == 0) {
		c->busy = false;
		if (!hand_over(c))
			(void)connection_free(c);
		return;
	}
	if (!alive || (smtp_server_closing(e) && smtp_server_output(e)->len == 0) || !arm(c)) {
		/* Replies to what was read before the end. */
		(void)write_output(c);
		alive = false;
	}
	c->busy = false;
	if (!alive)
		(void)connection_free(c);
}

/* The session got a decision that it waited for. */
static void
on_proceed(void *arg)
{
	struct connection *c = arg;

	if (!c->busy)
		pump(c);
}

/* ---- accepting ---- */

static void
turn_away(int fd, const char *words)
{
	(void)send(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static void
dismiss(struct connection *c, const char *enhanced, const char *words)
{
	if (c->session != NULL && c->fd >= 0) {
		smtp_server_close(submission_engine(c->session), enhanced, words);
		(void)write_output(c);
	}
	(void)connection_free(c);
}

/* What waits for the disk is over in a moment, and stored. */
static bool
is_removable(const struct connection *c)
{
	return !c->busy &&
	       !(c->session != NULL && smtp_server_waiting(submission_engine(c->session)));
}

/* Of those that count as one caller the one that has been silent longest: outside a transaction, or
 * with `any` also within. */
static struct connection *
find_silent(const struct connections *all, const struct usage *of, bool any)
{
	struct connection *c;

	TAILQ_FOREACH (c, &all->list, entry)
		if (usage_is_same(c->usage, of) && (is_idle(c) || (any && is_removable(c))))
			return c;
	return NULL;
}

/* The caller that has most connections, where that is more than `few`; not one that places are kept
 * for. */
static const struct usage *
find_greediest(const struct connections *all, unsigned few)
{
	const struct connection *c;
	const struct usage *found = NULL;

	TAILQ_FOREACH (c, &all->list, entry) {
		unsigned n = c->counted ? usage_connections(c->usage) : 0;

		if (n > few && !usage_has_place(c->usage) && (is_idle(c) || is_removable(c))) {
			found = c->usage;
			few = n;
		}
	}
	return found;
}

/* The one that has been silent longest outside a transaction, whoever's it is. */
static struct connection *
find_idle(const struct connections *all)
{
	struct connection *c;

	TAILQ_FOREACH (c, &all->list, entry)
		if (!usage_has_place(c->usage) && is_idle(c))
			return c;
	return NULL;
}

/* Somebody makes room for a caller, who may not be known yet (NULL): true if there was one. */
static bool
make_room(struct connections *all, const struct usage *for_whom)
{
	unsigned few =
	    for_whom == NULL || usage_has_place(for_whom) ? 1 : usage_own_connections(for_whom) + 1;
	const struct usage *greedy = find_greediest(all, few);
	struct connection *c = NULL;

	if (greedy != NULL)
		c = find_silent(all, greedy, false);
	if (c == NULL)
		c = find_idle(all);
	if (c == NULL && greedy != NULL && for_whom != NULL)
		c = find_silent(all, greedy, true);
	if (c != NULL)
		dismiss(c, CONGESTED, "Others wait: try again later");
	return c != NULL;
}

static bool
is_full(const struct connections *all, const struct usage *for_whom)
{
	size_t kept = usage_has_place(for_whom) ? 0 : all->max / KEPT_SHARE;

	return all->count >= all->max - kept;
}

/* A place for the connection: false where there is none. */
static bool
admit(struct connections *all, struct connection *c)
{
	struct connection *idle;

	c->usage = usage_take(all->in, &c->caller);
	if (c->usage == NULL)
		return false;
	c->counted = usage_connect(c->usage);
	if (!c->counted && (idle = find_silent(all, c->usage, false)) != NULL) {
		dismiss(idle, CONGESTED, "You have too many connections, and this one was silent");
		c->counted = usage_connect(c->usage);
	}
	return c->counted && (!is_full(all, c->usage) || make_room(all, c->usage));
}

/* The one that has been silent longest of those that have too many together. */
static struct connection *
find_crowded(const struct connections *all, bool any)
{
	struct connection *c;

	TAILQ_FOREACH (c, &all->list, entry)
		if (usage_is_crowded(c->usage) && (is_idle(c) || (any && is_removable(c))))
			return c;
	return NULL;
}

void
connections_trim(struct connections *all)
{
	struct connection *c;

	while ((c = find_crowded(all, false)) != NULL || (c = find_crowded(all, true)) != NULL)
		dismiss(c, CONGESTED, "You have too many connections: try again later");
}

static void
tell_full(struct connections *all, const struct connection *c)
{
	char uid[16], who[LOG_LIMIT_WHO_MAX];

	if (c->usage == NULL)
		return;
	usage_name(c->usage, who);
	log_limited(all->in->log, who, LOG_LEVEL_WARNING,
	    "Connections are turned away: a caller has too many, or all places are taken.",
	    LOG_PAIRS(
		{LOG_UID, entrance_uid_text(&c->caller, uid)}, {LOG_SERVICE, c->caller.socket}));
}

/* Who it is, and through which entrance it came. */
static int
identify(const struct listener *l, struct connection *c)
{
	const struct conf_listener *n;

	if (l->service != NULL)
		c->caller.socket = c->service = strdup(l->service);
	if (l->name == NULL)
		return l->service != NULL && c->service == NULL ? -ENOMEM
								: peer_of(c->fd, &c->caller);
	n = settings_find_listener(l->all->in->settings, l->name);
	c->caller.listener = c->listener = strdup(l->name);
	if (n == NULL || c->listener == NULL)
		return -ENOENT;
	return tcp_peer_of(l->all->in, c->fd, n, &c->caller);
}

static void
serve(struct listener *l, int fd)
{
	struct connections *all = l->all;
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		turn_away(fd, "421 4.3.0 Out of memory\r\n");
		return;
	}
	c->all = all;
	c->fd = fd;
	c->greeted = l->name != NULL;
	if (identify(l, c) < 0) {
		(void)connection_free(c);
		return;
	}
	if (!admit(all, c)) {
		c->fd = -1;
		turn_away(fd, "421 " CONGESTED " Too many connections: try again later\r\n");
		tell_full(all, c);
		(void)connection_free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&all->list, c, entry);
	c->listed = true;
	all->count++;
	if (c->caller.tls == CONF_TLS_IMPLICIT) {
		if (!hand_over(c))
			(void)connection_free(c);
		return;
	}
	c->session = submission_new(all->in, &c->caller, &session_ops, c);
	if (c->session == NULL)
		(void)connection_free(c);
	else
		pump(c);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			/* Out of descriptors: somebody must go before the next can come. */
			if ((errno == EMFILE || errno == ENFILE) && make_room(l->all, NULL))
				continue;
			return;
		}
		serve(l, client);
	}
}

static struct listener *
listener_free(struct listener *l)
{
	if (l->readable != NULL)
		event_free(l->readable);
	(void)close(l->fd);
	free(l->service);
	free(l->name);
	free(l);
	return NULL;
}

/* Does the configuration still name it? */
static bool
is_configured(const struct listener *l)
{
	const struct inbound *in = l->all->in;
	const struct conf_listener *n;

	if (l->service != NULL)
		for (size_t i = 0; i < in->services->count; i++)
			if (in->services->policies[i]->socket &&
			    strcmp(in->services->policies[i]->name, l->service) == 0)
				return true;
	if (l->name == NULL)
		return l->service == NULL;
	n = settings_find_listener(in->settings, l->name);
	for (size_t i = 0; n != NULL && i < n->addresses.count; i++)
		if (strcmp(n->addresses.items[i], l->address) == 0)
			return true;
	return false;
}

void
connections_reconfigure(struct connections *all)
{
	struct listener *l = LIST_FIRST(&all->listeners), *next;

	for (; l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		if (is_configured(l))
			continue;
		LIST_REMOVE(l, entry);
		(void)listener_free(l);
	}
}

int
connections_listen(struct connections *all, int fd, const char *service, const char *listener)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	l->fd = fd;
	l->all = all;
	if (service != NULL)
		l->service = strdup(service);
	if (listener != NULL) {
		l->name = strdup(listener);
		if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
			address_text(&address, l->address, sizeof(l->address));
	}
	(void)evutil_make_socket_nonblocking(fd);
	l->readable = event_new(all->in->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	if (l->readable == NULL || (service != NULL && l->service == NULL) ||
	    (listener != NULL && l->name == NULL) || event_add(l->readable, NULL) < 0) {
		(void)listener_free(l);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&all->listeners, l, entry);
	return 0;
}

struct connections *
connections_new(struct inbound *in)
{
	struct connections *all = calloc(1, sizeof(*all));
	struct rlimit limit;

	if (all == NULL)
		return NULL;
	all->in = in;
	TAILQ_INIT(&all->list);
	all->max = CONNECTIONS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * CONNECTIONS_MAX)
		all->max = limit.rlim_cur / 2;
	return all;
}

void
connections_stop(struct connections *all)
{
	struct connection *c = TAILQ_FIRST(&all->list);
	struct listener *l;

	LIST_FOREACH (l, &all->listeners, entry)
		(void)event_del(l->readable);
	while (c != NULL) {
		struct connection *next = TAILQ_NEXT(c, entry);

		if (is_idle(c))
			dismiss(c, "4.3.2", "Frank is stopping");
		c = next;
	}
}

size_t
connections_count(const struct connections *all)
{
	return all->count;
}

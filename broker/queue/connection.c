/*
 * connection.c: the submit sockets. Who calls is what the kernel says of the peer: uid by
 * SO_PEERCRED, groups by SO_PEERGROUPS; never the pid, which may be somebody else's by now.
 *
 * A caller that writes its whole session at once is read as soon as it is accepted, and answered
 * after the commit: its socket never enters the event loop. Connections are bounded per uid, and in
 * all; when all places are taken, the one that has been silent longest outside a transaction makes
 * room, so that callers who say nothing keep nobody out.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/smtp/server.h"

enum {
	CONNECTIONS_MAX = 1024,
	PER_UID_MAX = 128,
	PER_ROOT_MAX = 512, /* root runs the callers of many users: cron, init scripts */
	ACCEPTS_PER_TURN = 64,
	READ_SIZE = 32 * 1024,
	READS_PER_TURN = 32,
	IDLE_SECONDS = 300, /* RFC 5321 section 4.5.3.2.7 */
};

struct listener {
	struct listener *next;
	struct connections *all;
	struct event *readable;
	char *service; /* whose own socket it is; NULL: the common one */
	int fd;
};

struct connection {
	struct connection *next, **at; /* oldest activity first */
	struct connections *all;
	struct caller caller;
	struct submission *session;
	struct event *readable, *writable;
	int fd;
	bool busy; /* in pump: not to be freed there */
	bool doomed;
};

struct connections {
	struct queue *q;
	struct listener *listeners;
	struct connection *first, **last;
	size_t count, max;
	bool told_full;
};

static void pump(struct connection *c);

/* ---- the list, by activity ---- */

static void
list_remove(struct connection *c)
{
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	else
		c->all->last = c->at;
}

static void
list_append(struct connection *c)
{
	c->next = NULL;
	c->at = c->all->last;
	*c->all->last = c;
	c->all->last = &c->next;
}

static struct connection *
connection_free(struct connection *c)
{
	if (c == NULL)
		return NULL;
	if (c->at != NULL) {
		list_remove(c);
		c->all->count--;
	}
	(void)submission_free(c->session);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c->caller.groups);
	free(c);
	return NULL;
}

static size_t
count_of(const struct connections *all, uint32_t uid)
{
	size_t n = 0;

	for (const struct connection *c = all->first; c != NULL; c = c->next)
		n += c->caller.uid == uid;
	return n;
}

/* ---- the peer ---- */

static int
peer_of(int fd, struct caller *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t few[64], *groups = few;
	socklen_t size = sizeof(few);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	ret->uid = cred.uid;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		if (errno != ERANGE)
			return -errno;
		groups = malloc(size);
		if (groups == NULL)
			return -ENOMEM;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
			free(groups);
			return -errno;
		}
	}
	ret->groups = calloc(size / sizeof(gid_t) + 1, sizeof(*ret->groups));
	if (ret->groups != NULL) {
		ret->groups[ret->group_count++] = cred.gid;
		for (size_t i = 0; i < size / sizeof(gid_t); i++)
			ret->groups[ret->group_count++] = groups[i];
	}
	if (groups != few)
		free(groups);
	return ret->groups == NULL ? -ENOMEM : 0;
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
		if (smtp_server_input(e, bytes, (size_t)n) < 0 || !write_output(c))
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
	list_remove(c);
	list_append(c);
	pump(c);
}

/* Waits for what the session needs next; for the spool it needs no event. */
static bool
arm(struct connection *c)
{
	static const struct timeval idle = {IDLE_SECONDS, 0};
	struct smtp_server *e = submission_engine(c->session);
	bool unwritten = smtp_server_output(e)->len > 0;
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
		    event_new(c->all->q->base, c->fd, unwritten ? EV_WRITE : EV_READ, on_event, c);
	return *ev != NULL && event_add(*ev, &idle) == 0;
}

/* Writes, reads, and waits for more. */
static void
pump(struct connection *c)
{
	struct smtp_server *e = submission_engine(c->session);
	bool alive;

	c->busy = true;
	alive = write_output(c);
	if (alive && smtp_server_output(e)->len == 0)
		alive = read_input(c);
	if (!alive || (smtp_server_closing(e) && smtp_server_output(e)->len == 0) || !arm(c)) {
		/* Replies to what was read before the end. */
		(void)write_output(c);
		c->doomed = true;
	}
	c->busy = false;
	if (c->doomed)
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

static const struct submission_ops session_ops = {on_proceed};

/* ---- accepting ---- */

static void
turn_away(int fd, const char *words)
{
	(void)send(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

/* Somebody who says nothing makes room: true if there was one. */
static bool
evict(struct connections *all)
{
	for (struct connection *c = all->first; c != NULL; c = c->next)
		if (smtp_server_idle(submission_engine(c->session))) {
			smtp_server_close(
			    submission_engine(c->session), "4.3.2", "Others wait: try again later");
			(void)write_output(c);
			(void)connection_free(c);
			return true;
		}
	return false;
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
	c->caller.socket = l->service;
	if (peer_of(fd, &c->caller) < 0) {
		(void)connection_free(c);
		return;
	}
	if (count_of(all, c->caller.uid) >= (c->caller.uid == 0 ? PER_ROOT_MAX : PER_UID_MAX) ||
	    (all->count >= all->max && !evict(all))) {
		c->fd = -1;
		turn_away(fd, "421 4.3.2 Too many connections: try again later\r\n");
		if (!all->told_full)
			log_warning(
			    "Connections are turned away: uid %u has too many, or all places "
			    "are taken.",
			    c->caller.uid);
		all->told_full = true;
		(void)connection_free(c);
		return;
	}
	c->session = submission_new(all->q, &c->caller, &session_ops, c);
	if (c->session == NULL) {
		(void)connection_free(c);
		return;
	}
	list_append(c);
	all->count++;
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
			if ((errno == EMFILE || errno == ENFILE) && evict(l->all))
				continue;
			return;
		}
		serve(l, client);
	}
}

int
connections_listen(struct connections *all, int fd, const char *service)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	l->fd = fd;
	l->all = all;
	if (service != NULL && *service != '\0')
		l->service = strdup(service);
	(void)evutil_make_socket_nonblocking(fd);
	l->readable = event_new(all->q->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	l->next = all->listeners;
	all->listeners = l;
	if (l->readable == NULL || event_add(l->readable, NULL) < 0 ||
	    (service != NULL && *service != '\0' && l->service == NULL))
		return -ENOMEM;
	return 0;
}

struct connections *
connections_new(struct queue *q)
{
	struct connections *all = calloc(1, sizeof(*all));
	struct rlimit limit;

	if (all == NULL)
		return NULL;
	all->q = q;
	all->last = &all->first;
	all->max = CONNECTIONS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * CONNECTIONS_MAX)
		all->max = limit.rlim_cur / 2;
	return all;
}

void
connections_stop(struct connections *all)
{
	struct connection *c = all->first;

	for (struct listener *l = all->listeners; l != NULL; l = l->next)
		(void)event_del(l->readable);
	while (c != NULL) {
		struct connection *next = c->next;

		if (smtp_server_idle(submission_engine(c->session))) {
			smtp_server_close(
			    submission_engine(c->session), "4.3.2", "Frank is stopping");
			(void)write_output(c);
			(void)connection_free(c);
		}
		c = next;
	}
}

size_t
connections_count(const struct connections *all)
{
	return all->count;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * channel.c: see channel.h. Outgoing packets wait in a list of at most QUEUE_MAX messages; the
 * write event is armed only while there are any. Freeing from within a callback is deferred to the
 * end of the callback's dispatch.
 */
#include "broker/ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"

enum { QUEUE_MAX = 2048, READS_PER_TURN = 64 };

struct waiting {
	STAILQ_ENTRY(waiting) link;
	struct message *message;
	int fd;
};

struct channel {
	int sock;
	enum role_id self, peer;
	const struct channel_ops *ops;
	void *arg;
	struct event *readable, *writable;
	STAILQ_HEAD(, waiting) waiting;
	size_t count;
	bool told_to_wait, paused, gone, dispatching, freed;
};

static void on_readable(evutil_socket_t sock, short what, void *arg);
static void on_writable(evutil_socket_t sock, short what, void *arg);

struct channel *
channel_new(struct event_base *base, int sock, enum role_id self, enum role_id peer,
    const struct channel_ops *ops, void *arg)
{
	struct channel *c = calloc(1, sizeof(*c));
	int size = 1024 * 1024;

	if (c == NULL) {
		(void)close(sock);
		return NULL;
	}
	c->sock = sock;
	c->self = self;
	c->peer = peer;
	c->ops = ops;
	c->arg = arg;
	STAILQ_INIT(&c->waiting);
	(void)evutil_make_socket_nonblocking(sock);
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->readable = event_new(base, sock, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, sock, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->readable == NULL || c->writable == NULL || event_add(c->readable, NULL) < 0) {
		errno = ENOMEM;
		return channel_free(c);
	}
	return c;
}

static void
drop_first(struct channel *c)
{
	struct waiting *w = STAILQ_FIRST(&c->waiting);

	STAILQ_REMOVE_HEAD(&c->waiting, link);
	c->count--;
	(void)message_free(w->message);
	if (w->fd >= 0)
		(void)close(w->fd);
	free(w);
}

struct channel *
channel_free(struct channel *c)
{
	if (c == NULL)
		return NULL;
	if (c->dispatching) {
		c->freed = true;
		return NULL;
	}
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	while (!STAILQ_EMPTY(&c->waiting))
		drop_first(c);
	(void)close(c->sock);
	free(c);
	return NULL;
}

/* The last thing of a dispatch: frees a channel that a callback let go. */
static void
leave_dispatch(struct channel *c)
{
	c->dispatching = false;
	if (c->freed)
		(void)channel_free(c);
}

static void
close_channel(struct channel *c)
{
	if (c->gone)
		return;
	c->gone = true;
	(void)event_del(c->readable);
	(void)event_del(c->writable);
	c->ops->closed(c->arg, c);
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct channel *c = arg;

	c->dispatching = true;
	for (int i = 0; i < READS_PER_TURN && !c->freed && !c->gone && !c->paused; i++) {
		CLEANUP_MESSAGE struct message *m = NULL;
		const char *why = NULL;
		int fd = -1, r = message_read(sock, &m, &fd);

		if (r == -EAGAIN)
			break;
		if (r <= 0) {
			close_channel(c);
			break;
		}
		if (message_check(m, c->peer, c->self, fd >= 0, &why) < 0) {
			log_line(LOG_LEVEL_ERROR,
			    "A packet breaks the table of messages; its sender is cut off.",
			    LOG_PAIRS({LOG_ROLE, message_role_name(c->peer)},
				{LOG_OUTCOME, message_type_name(message_type(m))},
				{LOG_ERROR, why}));
			if (fd >= 0)
				(void)close(fd);
			close_channel(c);
			break;
		}
		c->ops->message(c->arg, c, m, fd);
	}
	leave_dispatch(c);
}

static void
on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct channel *c = arg;

	while (!STAILQ_EMPTY(&c->waiting)) {
		struct waiting *w = STAILQ_FIRST(&c->waiting);
		int r = message_write(sock, w->message, w->fd);

		if (r == -EAGAIN)
			return;
		if (r == -EPIPE)
			break; /* the reading side learns of the end and tells the owner */
		if (r < 0) {
			log_line(LOG_LEVEL_ERROR, "A packet cannot be sent; the channel is closed.",
			    LOG_PAIRS(
				{LOG_ROLE, message_role_name(c->peer)}, {LOG_ERROR, strerror(-r)}));
			c->dispatching = true;
			close_channel(c);
			leave_dispatch(c);
			return;
		}
		drop_first(c);
	}
	(void)event_del(c->writable);
	if (c->told_to_wait && c->count <= QUEUE_MAX / 2) {
		c->told_to_wait = false;
		if (c->ops->writable != NULL) {
			c->dispatching = true;
			c->ops->writable(c->arg, c);
			leave_dispatch(c);
		}
	}
}

int
channel_send(struct channel *c, struct message *m, int fd)
{
	CLEANUP_MESSAGE struct message *taken = m;
	CLEANUP_CLOSE int taken_fd = fd;
	struct waiting *w;
	int r = message_error(taken);

	if (r < 0)
		return r;
	if (c->gone)
		return -EPIPE;
	if (STAILQ_EMPTY(&c->waiting)) {
		r = message_write(c->sock, taken, taken_fd);
		if (r != -EAGAIN)
			return r;
	}
	if (c->count >= QUEUE_MAX) {
		c->told_to_wait = true;
		return -EAGAIN;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->message = TAKE_PTR(taken);
	w->fd = TAKE_FD(taken_fd);
	STAILQ_INSERT_TAIL(&c->waiting, w, link);
	if (c->count++ == 0)
		(void)event_add(c->writable, NULL);
	return 0;
}

bool
channel_is_busy(struct channel *c)
{
	if (c->count <= QUEUE_MAX / 2)
		return false;
	c->told_to_wait = true;
	return true;
}

void
channel_poll(struct channel *c)
{
	if (!c->gone && !c->paused && !c->dispatching)
		on_readable(c->sock, EV_READ, c);
}

void
channel_pause(struct channel *c, bool paused)
{
	if (c->paused == paused || c->gone)
		return;
	c->paused = paused;
	if (paused)
		(void)event_del(c->readable);
	else
		(void)event_add(c->readable, NULL);
}

enum role_id
channel_peer(const struct channel *c)
{
	return c->peer;
}

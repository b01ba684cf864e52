/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * relay.c: see relay.h.
 *
 * One function, go(), moves whatever can be moved and then waits for what the moves need next. SSL
 * may want to write in order to read and the other way round, so each of its results says which
 * direction of the client's socket has to be waited for.
 *
 * Ends. The client's close_notify (or end of file) becomes the end of file of queue's socket;
 * queue's end becomes close_notify, after everything it wrote. When both are through, or one side
 * breaks, the relay is over.
 */
#include "broker/tls/relay.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/attr.h"
#include "base/clock.h"

enum {
	ROOM = 16 * 1024, /* a TLS record */
	HANDSHAKE_SECONDS = 30,
	/* longer than queue's own patience, which says 421 first */
	SILENCE_SECONDS = 900,
	PARTING_SECONDS = 5, /* for the client to take the last reply and hang up */
	ROUNDS = 16,         /* of go() before others have their turn */
};

struct direction {
	char bytes[ROOM];
	size_t at, len;
	bool ended;  /* nothing more comes from its source */
	bool passed; /* and its target knows */
};

struct relay {
	SSL *ssl;
	int fd, plain; /* plain: -1 until the handshake is done */
	struct event *client, *queue;
	const struct relay_ops *ops;
	void *arg;
	struct direction in, out; /* from the client, to the client */
	enum { HANDSHAKE, RELAYING, BROKEN } state;
	bool want_read, want_write; /* by SSL, of the client's socket */
	time_t deadline;            /* of the handshake */
};

static void
describe(char *why, size_t size, int error, int saved_errno)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (error == SSL_ERROR_SSL && reason != NULL &&
	    ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
		(void)snprintf(why, size, "%s", reason);
	else
		(void)snprintf(why, size, "%s",
		    error == SSL_ERROR_SYSCALL && saved_errno != 0
			? strerror(saved_errno)
			: "the client closed the connection");
}

/* What SSL said: true to go on later; else the TLS side is over. */
static bool
wants(struct relay *r, int error)
{
	r->want_read |= error == SSL_ERROR_WANT_READ;
	r->want_write |= error == SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* ---- moves: each returns whether it moved anything ---- */

static bool
from_client(struct relay *r)
{
	int n, error;

	if (r->in.ended || r->in.len > 0)
		return false;
	ERR_clear_error();
	n = SSL_read(r->ssl, r->in.bytes, ROOM);
	if (n > 0) {
		r->in.at = 0;
		r->in.len = (size_t)n;
		return true;
	}
	error = SSL_get_error(r->ssl, n);
	if (wants(r, error))
		return false;
	r->in.ended = true;
	if (error != SSL_ERROR_ZERO_RETURN)
		r->state = BROKEN;
	return true;
}

static bool
to_queue(struct relay *r)
{
	ssize_t n;

	if (r->out.passed) /* queue has ended the session: it reads no more */
		r->in.len = 0;
	if (r->in.len == 0) {
		if (!r->in.ended || r->in.passed)
			return false;
		(void)shutdown(r->plain, SHUT_WR);
		return r->in.passed = true;
	}
	n = send(r->plain, r->in.bytes + r->in.at, r->in.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) { /* queue reads no more; what it wrote before still goes out */
		r->in.len = 0;
		return r->in.ended = r->in.passed = true;
	}
	r->in.at += (size_t)n;
	r->in.len -= (size_t)n;
	return true;
}

static bool
from_queue(struct relay *r)
{
	ssize_t n;

	if (r->out.ended || r->out.len > 0)
		return false;
	n = recv(r->plain, r->out.bytes, ROOM, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	r->out.at = 0;
	r->out.len = n > 0 ? (size_t)n : 0;
	r->out.ended = n <= 0;
	return true;
}

static bool
to_client(struct relay *r)
{
	int n, error;

	if (r->out.len == 0) {
		if (!r->out.ended || r->out.passed)
			return false;
		/* no answer to it is waited for: the SMTP session ended properly or not at all */
		(void)SSL_shutdown(r->ssl);
		(void)shutdown(r->fd, SHUT_WR);
		return r->out.passed = true;
	}
	ERR_clear_error();
	n = SSL_write(r->ssl, r->out.bytes + r->out.at, (int)r->out.len);
	if (n > 0) {
		r->out.at += (size_t)n;
		r->out.len -= (size_t)n;
		return true;
	}
	error = SSL_get_error(r->ssl, n);
	if (!wants(r, error))
		r->state = BROKEN;
	return false;
}

/* ---- waiting ---- */

static void on_event(evutil_socket_t fd, short what, void *arg);

static int
arm(struct relay *r, struct event **ev, int fd, short what, time_t seconds)
{
	const struct timeval patience = {seconds, 0};

	if (*ev == NULL) {
		*ev = event_new(event_get_base(r->client), fd, what, on_event, r);
		if (*ev == NULL)
			return -ENOMEM;
	} else {
		(void)event_del(*ev);
		if (event_assign(*ev, event_get_base(*ev), fd, what, on_event, r) < 0)
			return -ENOMEM;
	}
	return event_add(*ev, &patience);
}

static time_t
patience_of(const struct relay *r)
{
	time_t now;

	if (r->state != HANDSHAKE)
		return r->out.passed ? PARTING_SECONDS : SILENCE_SECONDS;
	now = (time_t)(clock_boottime_ms() / 1000);
	return r->deadline > now ? r->deadline - now : 0;
}

static int
wait_for_more(struct relay *r)
{
	bool queue_in = !r->out.ended && r->out.len == 0, queue_out = r->in.len > 0;
	short client = (short)((r->want_read ? EV_READ : 0) | (r->want_write ? EV_WRITE : 0));
	short queue = (short)((queue_in ? EV_READ : 0) | (queue_out ? EV_WRITE : 0));
	time_t seconds = patience_of(r);
	int e = 0;

	if (r->queue != NULL)
		(void)event_del(r->queue);
	if (r->state == RELAYING && queue != 0)
		e = arm(r, &r->queue, r->plain, queue, seconds);
	/* with nothing to wait for but time */
	if (e == 0)
		e = arm(r, &r->client, client == 0 ? -1 : r->fd, client, seconds);
	return e;
}

/* ---- the whole ---- */

/* 1 done, 0 to go on later, -1 failed with `why`. */
static int
shake_hands(struct relay *r, char *why, size_t size)
{
	int n, error, saved;

	ERR_clear_error();
	errno = 0;
	n = SSL_accept(r->ssl);
	if (n == 1)
		return 1;
	saved = errno;
	error = SSL_get_error(r->ssl, n);
	if (wants(r, error))
		return 0;
	describe(why, size, error, saved);
	ERR_clear_error();
	return -1;
}

static int
begin(struct relay *r, int *ret_plain)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	r->plain = pair[0];
	*ret_plain = pair[1];
	return 0;
}

static bool
move(struct relay *r)
{
	bool moved = from_client(r);

	moved |= to_queue(r);
	moved |= from_queue(r);
	moved |= to_client(r);
	return moved;
}

static bool
over(const struct relay *r)
{
	return r->state == BROKEN || (r->out.passed && r->in.ended);
}

static void
go(struct relay *r)
{
	char why[256] = "", tls[128];
	bool moved = true;
	int plain = -1, n;

	r->want_read = r->want_write = false;
	if (r->state == HANDSHAKE) {
		n = shake_hands(r, why, sizeof(why));
		if (n == 1 && begin(r, &plain) < 0) {
			(void)snprintf(why, sizeof(why), "out of descriptors");
			n = -1;
		}
		if (n < 0) {
			r->ops->ended(r->arg, r, why);
			return;
		}
		if (n == 1) {
			r->state = RELAYING;
			(void)snprintf(tls, sizeof(tls), "%s %s", SSL_get_version(r->ssl),
			    SSL_get_cipher_name(r->ssl));
			r->ops->begun(r->arg, r, plain, tls);
		}
	}
	for (int i = 0; r->state == RELAYING && moved && !over(r) && i < ROUNDS; i++) {
		r->want_read = r->want_write = false;
		moved = move(r);
	}
	/* more may lie inside SSL, of which no event would tell */
	if (r->state == RELAYING && moved && !over(r))
		r->want_write = true;
	if (over(r) || wait_for_more(r) < 0)
		r->ops->ended(r->arg, r, r->state != HANDSHAKE ? NULL : "out of memory");
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	if ((what & EV_TIMEOUT) != 0 && (what & (EV_READ | EV_WRITE)) == 0)
		r->ops->ended(r->arg, r,
		    r->state != HANDSHAKE ? NULL : "the client did not finish the handshake");
	else
		go(r);
}

struct relay *
relay_new(struct event_base *base, SSL_CTX *context, int fd, const struct relay_ops *ops, void *arg)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)close(fd);
		return NULL;
	}
	*r = (struct relay){.fd = fd, .plain = -1, .ops = ops, .arg = arg};
	(void)evutil_make_socket_nonblocking(fd);
	r->deadline = (time_t)(clock_boottime_ms() / 1000) + HANDSHAKE_SECONDS;
	r->ssl = SSL_new(context);
	if (r->ssl == NULL || SSL_set_fd(r->ssl, fd) != 1)
		return relay_free(r);
	SSL_set_accept_state(r->ssl);
	r->client = event_new(base, fd, EV_READ, on_event, r);
	if (r->client == NULL)
		return relay_free(r);
	/* at once: the client's hello may be there already */
	event_active(r->client, EV_READ, 0);
	return r;
}

struct relay *
relay_free(struct relay *r)
{
	if (r == NULL)
		return NULL;
	if (r->client != NULL)
		event_free(r->client);
	if (r->queue != NULL)
		event_free(r->queue);
	SSL_free(r->ssl);
	if (r->fd >= 0)
		(void)close(r->fd);
	if (r->plain >= 0)
		(void)close(r->plain);
	explicit_bzero(r->in.bytes, sizeof(r->in.bytes));
	free(r);
	return NULL;
}

void
relay_flush(struct relay *r)
{
	while (r->state == RELAYING && !over(r) && (from_queue(r) || to_client(r)))
		continue;
}

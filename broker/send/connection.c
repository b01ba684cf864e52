/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * connection.c: see connection.h.
 *
 * A name may stand for a domain whose servers DNS names: these come in turn, those with implicit TLS first.
 * The addresses of a server are tried at once, each 250 ms behind the one before it or as soon as that failed;
 * the first that connects is used and the others are let go (RFC 8305).
 *
 *   RESOLVING ─▶ CONNECTING ─▶ RUNNING ◀─▶ HANDSHAKE
 *       ▲            │            │            │
 *       └────────────┤            └────────────┴──▶ ENDED (CLOSED of the engine was told)
 *      next server   └──▶ FAILED ─▶ ENDED          (there was no engine: CLOSED is made here)
 *
 * Every callback of the loop does its part between enter() and leave(). leave() takes the engine's events,
 * writes what there is to write, and frees a connection that its owner let go meanwhile: nothing touches the
 * connection behind it. Whatever the owner asks from elsewhere is noted, and the loop is asked to leave() later,
 * so that jobs that come together are written together.
 */
#include "broker/send/connection.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "broker/send/crypto.h"
#include "broker/send/probe.h"

/* Times in ms. */
enum {
	CONNECT_PATIENCE = 30 * 1000, /* for an address */
	ATTEMPT_DELAY = 250,          /* until the next address is tried beside */
	GREETING_DOUBT = 5 * 1000,    /* of silence on a plain connection: TLS is suspected */
	READS_PER_TURN = 64,
	READ_SIZE = 16 * 1024,
	PRELUDE_MAX = 4096,
	CHAIN_MAX = 4096,
};

enum state {
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_RUNNING,
	STATE_HANDSHAKE,
	STATE_FAILED,
	STATE_ENDED,
};

/* A connection that is being made (RFC 8305 section 5). */
struct connect_attempt {
	struct smtp_connection *connection;
	struct event *event; /* NULL: none */
	int fd;
	uint64_t until;
};

struct smtp_connection {
	struct connection_config config;
	char *ehlo_name; /* of config, ours */
	enum state state;
	bool entered;          /* a callback of the loop is at work */
	bool discarded;        /* its owner let it go meanwhile */
	struct smtp_reply why; /* STATE_FAILED */

	/* where to */
	struct lookup *lookup;
	unsigned service_at; /* the kinds of service asked for so far */
	struct server servers[RESOLVER_SERVERS_MAX];
	size_t server_count, server_at;
	char host[256];
	unsigned port;
	enum smtp_tls tls;
	char endpoint[400];

	/* the way there */
	struct netaddr addresses[RESOLVER_ADDRESSES_MAX];
	struct connect_attempt attempts[RESOLVER_ADDRESSES_MAX]; /* one for each address */
	size_t address_count, address_at; /* those behind address_at were not tried yet */
	size_t attempts_open;
	uint64_t next_attempt;         /* when another is begun beside; 0: not by time */
	enum smtp_fault connect_fault; /* the most telling so far */
	enum smtp_fault resolve_fault; /* of names, where there was no address to connect to */
	char connect_words[720];

	/* the connection */
	struct netaddr peer;
	char address[64];
	int fd;
	struct event *readable, *writable, *timer, *kick;
	uint64_t timer_at; /* when the timer goes off; 0: not armed */
	uint64_t connected_at, active_at;
	bool broken; /* it takes no more output */
	SSL *ssl;
	struct tls_trouble trouble;
	bool hello_seen; /* the server's first octets in the handshake are TLS */
	char tls_text[128];
	struct probe *probe;
	bool probed;
	struct smtp_client *client;
	struct buf chain, prelude, transcript;
};

static void leave(struct smtp_connection *c);

static void
enter(struct smtp_connection *c)
{
	c->entered = true;
}

/* A line of the transcript, before there is an engine. */
static void PRINTF_LIKE(2, 3) note(struct smtp_connection *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)buf_append_str(&c->prelude, "* ");
	(void)buf_vprintf(&c->prelude, format, ap);
	(void)buf_append_str(&c->prelude, "\n");
	va_end(ap);
}

/* The end, to be told when the loop leaves. */
static void
fail(struct smtp_connection *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply why = {.stage = stage, .fault = fault, .text = words};

	if (c->client != NULL) {
		smtp_client_lost(c->client, stage, fault, words);
	} else if (c->state < STATE_FAILED) {
		c->state = STATE_FAILED;
		(void)smtp_reply_copy(&c->why, &why);
		note(c, "%s", words);
	}
}

/* ---- addresses ---- */

static void next_server(struct smtp_connection *c);

static void
note_connect_failure(struct smtp_connection *c, size_t i, int error)
{
	char address[64];
	enum smtp_fault fault = error == ECONNREFUSED ? SMTP_FAULT_REFUSED
				: error == ETIMEDOUT  ? SMTP_FAULT_CONNECT_TIMEOUT
						      : SMTP_FAULT_UNREACHABLE;

	netaddr_text(&c->addresses[i], address, sizeof(address));
	/* A network without a way to one kind of address says less than a host that answers. */
	if (c->connect_fault == SMTP_FAULT_NONE || c->connect_fault == SMTP_FAULT_UNREACHABLE) {
		c->connect_fault = fault;
		(void)snprintf(c->connect_words, sizeof(c->connect_words),
		    "No connection to %s port %u: %s.", address, c->port,
		    fault == SMTP_FAULT_CONNECT_TIMEOUT ? "no answer" : strerror(error));
	}
	note(c, "%s port %u: %s", address, c->port, strerror(error));
}

/* The socket of an attempt that is over; the caller's. */
static int
end_attempt(struct smtp_connection *c, struct connect_attempt *t)
{
	int fd = t->fd;

	event_free(t->event);
	*t = (struct connect_attempt){.fd = -1};
	c->attempts_open--;
	return fd;
}

static void
close_attempts(struct smtp_connection *c)
{
	for (size_t i = 0; i < c->address_count; i++)
		if (c->attempts[i].event != NULL)
			(void)close(end_attempt(c, &c->attempts[i]));
	c->next_attempt = 0;
}

static void on_attempt(evutil_socket_t sock, short what, void *arg);

/* Begins to connect: 0, or negative errno. */
static int
begin_attempt(struct smtp_connection *c, size_t i)
{
	unsigned patience = c->config.patience > 0 ? c->config.patience : CONNECT_PATIENCE;
	struct connect_attempt *t = &c->attempts[i];
	int fd = netaddr_connect(&c->addresses[i]);

	if (fd < 0)
		return fd;
	*t = (struct connect_attempt){
	    .connection = c, .fd = fd, .until = clock_boottime_ms() + patience};
	t->event = event_new(c->config.base, fd, EV_WRITE, on_attempt, t);
	if (t->event == NULL || event_add(t->event, NULL) < 0) {
		if (t->event != NULL)
			event_free(t->event);
		t->event = NULL;
		(void)close(fd);
		return -ENOMEM;
	}
	c->attempts_open++;
	return 0;
}

/* Begins with the next address that there is; where none is left and none is under way, the next
 * server. */
static void
next_attempt(struct smtp_connection *c)
{
	c->next_attempt = 0;
	while (c->address_at < c->address_count) {
		size_t i = c->address_at++;
		int r = begin_attempt(c, i);

		if (r == 0) {
			c->state = STATE_CONNECTING;
			if (c->address_at < c->address_count)
				c->next_attempt = clock_boottime_ms() + ATTEMPT_DELAY;
			return;
		}
		note_connect_failure(c, i, -r);
	}
	if (c->attempts_open == 0)
		next_server(c);
}

static uint64_t
connect_deadline(const struct smtp_connection *c)
{
	uint64_t at = c->next_attempt == 0 ? UINT64_MAX : c->next_attempt;

	for (size_t i = 0; i < c->address_count; i++)
		if (c->attempts[i].event != NULL && c->attempts[i].until < at)
			at = c->attempts[i].until;
	return at;
}

static void
connect_clock(struct smtp_connection *c, uint64_t now)
{
	bool more = c->next_attempt != 0 && now >= c->next_attempt;

	for (size_t i = 0; i < c->address_count; i++) {
		if (c->attempts[i].event == NULL || now < c->attempts[i].until)
			continue;
		(void)close(end_attempt(c, &c->attempts[i]));
		note_connect_failure(c, i, ETIMEDOUT);
		more = true;
	}
	if (more)
		next_attempt(c);
}

static void on_io(evutil_socket_t sock, short what, void *arg);

/* The first attempt that succeeded: `fd` is the connection's from here on. */
static void
connected(struct smtp_connection *c, const struct netaddr *address, int fd)
{
	struct smtp_client_config config = c->config.smtp;
	struct netaddr own = {.len = sizeof(own.sockaddr)};
	char name[300];

	close_attempts(c);
	c->peer = *address;
	c->fd = fd;
	c->readable = event_new(c->config.base, fd, EV_READ | EV_PERSIST, on_io, c);
	c->writable = event_new(c->config.base, fd, EV_WRITE, on_io, c);
	(void)getsockname(fd, (struct sockaddr *)&own.sockaddr, &own.len);
	netaddr_ehlo_name(&own, c->ehlo_name, name, sizeof(name));
	netaddr_text(address, c->address, sizeof(c->address));
	(void)snprintf(
	    c->endpoint, sizeof(c->endpoint), "%s:%u [%s]", c->host, c->port, c->address);
	note(c, "connected to %s", c->endpoint);
	config.host = c->host;
	config.port = c->port;
	config.tls = c->tls;
	config.ehlo_name = name;
	config.scram = &crypto_for_scram;
	config.secret_without_tls = config.secret_without_tls && netaddr_is_loopback(address);
	c->connected_at = c->active_at = clock_boottime_ms();
	c->state = STATE_RUNNING;
	c->client = smtp_client_new(&config, c->connected_at);
	if (c->client == NULL || c->readable == NULL || c->writable == NULL ||
	    event_add(c->readable, NULL) < 0)
		fail(c, SMTP_STAGE_CONNECT, SMTP_FAULT_LOCAL, "Out of memory.");
}

/* An attempt succeeded or failed. */
static void
on_attempt(evutil_socket_t sock, short what, void *arg)
{
	struct connect_attempt *t = arg;
	struct smtp_connection *c = t->connection;
	size_t i = (size_t)(t - c->attempts);
	int error = 0, fd = end_attempt(c, t);
	socklen_t len = sizeof(error);

	enter(c);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (c->state == STATE_CONNECTING && error == 0) {
		connected(c, &c->addresses[i], fd);
	} else {
		(void)close(fd);
		if (c->state == STATE_CONNECTING) {
			note_connect_failure(c, i, error);
			next_attempt(c);
		}
	}
	leave(c);
}

/* ---- names ---- */

static void
on_resolved(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct smtp_connection *c = arg;

	enter(c);
	c->lookup = NULL;
	if (c->state == STATE_RESOLVING && count == 0) {
		if (c->connect_fault == SMTP_FAULT_NONE)
			(void)snprintf(c->connect_words, sizeof(c->connect_words), "%s", words);
		c->resolve_fault = fault;
		next_server(c);
	} else if (c->state == STATE_RESOLVING) {
		memcpy(c->addresses, addresses, count * sizeof(*addresses));
		c->address_count = count;
		c->address_at = 0;
		next_attempt(c);
	}
	leave(c);
}

static void
set_server(struct smtp_connection *c, const char *host, unsigned port)
{
	(void)snprintf(c->host, sizeof(c->host), "%s", host);
	c->port = port;
	(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", host, port);
}

static bool
resolve(struct smtp_connection *c, const char *host, unsigned port)
{
	set_server(c, host, port);
	c->state = STATE_RESOLVING;
	c->lookup = resolver_lookup(c->config.resolver, host, port, on_resolved, c);
	return c->lookup != NULL;
}

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	struct smtp_connection *c = arg;

	enter(c);
	c->lookup = NULL;
	memcpy(c->servers, servers, count * sizeof(*servers));
	c->server_count = count;
	c->server_at = 0;
	if (count == 0) {
		note(c, "%s", words);
		if (c->resolve_fault != SMTP_FAULT_DNS) {
			c->resolve_fault = fault;
			if (c->connect_fault == SMTP_FAULT_NONE)
				(void)snprintf(
				    c->connect_words, sizeof(c->connect_words), "%s", words);
		}
	}
	if (c->state == STATE_RESOLVING)
		next_server(c);
	leave(c);
}

void
connection_service(const char *domain, enum smtp_tls tls, char *to, size_t size)
{
	(void)snprintf(to, size, "%s._tcp.%s",
	    tls == SMTP_TLS_IMPLICIT ? "_submissions" : "_submission", domain);
}

/* Asks for the next kind of service that may be used. False: no memory, or none left. */
static bool
next_service(struct smtp_connection *c)
{
	static const enum smtp_tls services[] = {SMTP_TLS_IMPLICIT, SMTP_TLS_STARTTLS};
	char name[300];

	while (c->service_at < ARRAY_SIZE(services)) {
		enum smtp_tls tls = services[c->service_at++];

		if (!c->config.tls_either && c->config.smtp.tls != tls)
			continue;
		c->tls = tls;
		connection_service(c->config.domain, tls, name, sizeof(name));
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s", name);
		c->state = STATE_RESOLVING;
		c->lookup = resolver_servers(c->config.resolver, name, on_servers, c);
		return c->lookup != NULL;
	}
	return false;
}

/* No address of this server could be reached, or it has none: the next one. */
static void
next_server(struct smtp_connection *c)
{
	while (c->server_at < c->server_count) {
		const struct server *next = &c->servers[c->server_at++];

		if (resolve(c, next->host, next->port))
			return;
	}
	if (c->config.smtp.host == NULL && next_service(c))
		return;
	if (c->connect_fault != SMTP_FAULT_NONE)
		fail(c, SMTP_STAGE_CONNECT, c->connect_fault, c->connect_words);
	else
		fail(c, SMTP_STAGE_DNS,
		    c->resolve_fault == SMTP_FAULT_NONE ? SMTP_FAULT_DNS : c->resolve_fault,
		    c->connect_words);
}

/* ---- TLS ---- */

/* The server's first octets, before TLS takes them: words in clear are better reported as what they
 * say. */
static bool
hello_is_tls(struct smtp_connection *c)
{
	char banner[256];
	int r;

	if (c->hello_seen)
		return true;
	r = tls_peek(c->fd, banner, sizeof(banner));
	c->hello_seen = r == 1;
	if (r != 0)
		return true;
	/* Behind STARTTLS it is no matter of the port. */
	c->trouble.fault = c->tls == SMTP_TLS_STARTTLS ? SMTP_FAULT_TLS : SMTP_FAULT_TLS_PLAINTEXT;
	(void)snprintf(c->trouble.words, sizeof(c->trouble.words),
	    "The server answered the TLS hello in plain text: %s", banner);
	return false;
}

static void take_events(struct smtp_connection *c);

static void
end_with(struct smtp_connection *c, const struct smtp_reply *reply)
{
	const struct smtp_client_event e = {.type = SMTP_CLIENT_CLOSED, .reply = reply};

	c->state = STATE_ENDED;
	c->config.ops->event(c->config.arg, &e);
}

static void
tls_stands(struct smtp_connection *c)
{
	static const struct smtp_reply seen = {.code = 220, .stage = SMTP_STAGE_TLS};
	struct scram_binding binding;

	tls_describe(c->ssl, c->tls_text, sizeof(c->tls_text));
	c->state = STATE_RUNNING;
	if (c->config.purpose == CONNECTION_LOOKS_AT_TLS) {
		end_with(c, &seen);
		return;
	}
	if (tls_binding(c->ssl, &binding))
		smtp_client_binding(c->client, &binding);
	smtp_client_tls_done(c->client, c->tls_text, clock_boottime_ms());
}

static void
shake_hands(struct smtp_connection *c)
{
	bool wants_write = false;
	int r = hello_is_tls(c) ? tls_handshake(c->ssl, &c->trouble, &wants_write) : -1;

	if (c->config.purpose != CONNECTION_DELIVERS)
		tls_chain(c->ssl, &c->chain);
	if (r == 1) {
		tls_stands(c);
	} else if (r == 0) {
		if (wants_write)
			(void)event_add(c->writable, NULL);
	} else {
		enum smtp_fault fault = c->trouble.fault;

		if (fault == SMTP_FAULT_NONE ||
		    (fault == SMTP_FAULT_TLS_PLAINTEXT && c->tls == SMTP_TLS_STARTTLS))
			fault = SMTP_FAULT_TLS;
		fail(c, SMTP_STAGE_TLS, fault, c->trouble.words);
	}
}

static void
start_tls(struct smtp_connection *c)
{
	struct tls_names names = tls_names_of(c->host, c->config.domain, c->config.tls_name);
	char why[160];
	struct tls_context *context = c->config.ops->tls_context(c->config.arg, why, sizeof(why));

	if (context == NULL) {
		fail(c, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, why);
		return;
	}
	c->ssl = tls_new(context, c->fd, &names, &c->trouble);
	if (c->ssl == NULL) {
		fail(c, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, "TLS cannot be set up: out of memory.");
		return;
	}
	if (c->config.purpose != CONNECTION_DELIVERS)
		tls_observe(c->ssl, &c->trouble);
	c->state = STATE_HANDSHAKE;
	shake_hands(c);
}

static void
on_probed(void *arg, bool tls)
{
	struct smtp_connection *c = arg;

	enter(c);
	c->probe = NULL;
	if (tls && c->state < STATE_FAILED && !smtp_client_is_greeted(c->client))
		smtp_client_lost(c->client, SMTP_STAGE_TLS, SMTP_FAULT_TLS_SILENT,
		    "The server says nothing in plain text on this port: it wants TLS from the "
		    "first octet.");
	leave(c);
}

/* ---- octets ---- */

enum { IO_AGAIN = -1, IO_END = -2 };

static ssize_t
tls_result(struct smtp_connection *c, int r)
{
	int error = SSL_get_error(c->ssl, r);

	ERR_clear_error();
	if (r > 0)
		return r;
	if (error == SSL_ERROR_WANT_WRITE)
		(void)event_add(c->writable, NULL);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? IO_AGAIN : IO_END;
}

static ssize_t
read_octets(struct smtp_connection *c, char *to, size_t size)
{
	ssize_t n;

	if (c->ssl != NULL) {
		ERR_clear_error();
		return tls_result(c, SSL_read(c->ssl, to, (int)size));
	}
	n = recv(c->fd, to, size, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN : IO_END;
}

static ssize_t
write_octets(struct smtp_connection *c, const char *bytes, size_t len)
{
	ssize_t n;

	if (c->ssl != NULL) {
		ERR_clear_error();
		return tls_result(
		    c, SSL_write(c->ssl, bytes, (int)(len < INT_MAX ? len : INT_MAX)));
	}
	n = send(c->fd, bytes, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return IO_END;
	(void)event_add(c->writable, NULL);
	return IO_AGAIN;
}

static bool
is_running(const struct smtp_connection *c)
{
	return c->state == STATE_RUNNING && !c->discarded;
}

/* Until nothing more waits. Events are taken after each piece, so that no octet behind the reply to
 * STARTTLS is read as if it were plain text. */
static void
read_some(struct smtp_connection *c)
{
	char bytes[READ_SIZE];
	ssize_t n = IO_AGAIN;

	for (int i = 0; i < READS_PER_TURN && is_running(c); i++) {
		n = read_octets(c, bytes, sizeof(bytes));
		if (n < 0)
			break;
		smtp_client_input(c->client, bytes, (size_t)n, clock_boottime_ms());
		take_events(c);
	}
	if (!is_running(c))
		return;
	if (n == IO_END)
		smtp_client_lost(c->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	else if (n >= 0)
		event_active(c->kick, EV_READ, 0); /* more may wait inside TLS */
}

/* True when something was written. A connection that takes no more may still hold the server's last
 * words. */
static bool
write_some(struct smtp_connection *c)
{
	size_t len;
	const char *bytes = c->broken ? NULL : smtp_client_output(c->client, &len);
	ssize_t n;

	if (bytes == NULL)
		return false;
	n = write_octets(c, bytes, len);
	if (n == IO_END) {
		c->broken = true;
		read_some(c);
		if (is_running(c))
			smtp_client_lost(c->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
		take_events(c);
	}
	if (n <= 0)
		return false;
	smtp_client_wrote(c->client, (size_t)n, clock_boottime_ms());
	return true;
}

/* What the engine left to be said goes out if the socket takes it. */
static void
say_goodbye(struct smtp_connection *c)
{
	size_t len = 0;
	const char *bytes;

	if (c->state != STATE_RUNNING || c->broken)
		return;
	bytes = smtp_client_output(c->client, &len);
	if (bytes != NULL)
		(void)write_octets(c, bytes, len);
	if (c->ssl != NULL)
		(void)SSL_shutdown(c->ssl);
	ERR_clear_error();
}

/* ---- events ---- */

static void
take_events(struct smtp_connection *c)
{
	struct smtp_client_event e;

	while (!c->discarded && c->state < STATE_FAILED && c->client != NULL &&
	       smtp_client_next(c->client, &e)) {
		if (e.type == SMTP_CLIENT_START_TLS) {
			start_tls(c);
		} else if (e.type == SMTP_CLIENT_CLOSED) {
			say_goodbye(c);
			end_with(c, e.reply);
		} else {
			c->config.ops->event(c->config.arg, &e);
		}
	}
	if (!c->discarded && c->state == STATE_FAILED)
		end_with(c, &c->why);
}

/* ---- time ---- */

/* When a server that stays silent is asked whether it waits for TLS; UINT64_MAX: not (again). */
static uint64_t
probe_time(const struct smtp_connection *c)
{
	return c->client == NULL || c->probed || c->tls == SMTP_TLS_IMPLICIT ||
		       smtp_client_is_greeted(c->client)
		   ? UINT64_MAX
		   : c->connected_at + GREETING_DOUBT;
}

static uint64_t
patience_time(const struct smtp_connection *c)
{
	return c->client == NULL || c->config.patience == 0 ? UINT64_MAX
							    : c->active_at + c->config.patience;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A timer that goes off too early is armed again then: cheaper than moving it with every reply. */
static void
arm_timer(struct smtp_connection *c)
{
	uint64_t at = c->state == STATE_CONNECTING ? connect_deadline(c)
		      : c->client == NULL          ? UINT64_MAX
						   : smtp_client_deadline(c->client);
	uint64_t now = clock_boottime_ms(), wait;
	struct timeval tv;

	at = earlier(at, earlier(probe_time(c), patience_time(c)));
	if (at == UINT64_MAX || (c->timer_at != 0 && c->timer_at <= at))
		return;
	wait = at > now ? at - now : 0;
	tv = (struct timeval){
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000};
	if (event_add(c->timer, &tv) == 0)
		c->timer_at = at;
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct smtp_connection *c = arg;
	uint64_t now = clock_boottime_ms();

	enter(c);
	c->timer_at = 0;
	if (c->state == STATE_CONNECTING) {
		connect_clock(c, now);
	} else if (c->client != NULL && c->state != STATE_ENDED) {
		if (now >= probe_time(c)) {
			c->probed = true;
			c->probe = probe_new(c->config.base, &c->peer, on_probed, c);
		}
		smtp_client_timeout(c->client, now);
		if (now >= patience_time(c))
			smtp_client_lost(c->client, SMTP_STAGE_NONE, SMTP_FAULT_TIMEOUT, NULL);
	}
	leave(c);
}

/* ---- the loop ---- */

static void
destroy(struct smtp_connection *c)
{
	(void)resolver_cancel(c->lookup);
	(void)probe_free(c->probe);
	close_attempts(c);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->kick != NULL)
		event_free(c->kick);
	SSL_free(c->ssl);
	if (c->fd >= 0)
		(void)close(c->fd);
	(void)smtp_client_free(c->client);
	smtp_reply_clear(&c->why);
	buf_free(&c->chain);
	buf_free(&c->prelude);
	buf_free(&c->transcript);
	free(c->ehlo_name);
	free(c);
}

static void
leave(struct smtp_connection *c)
{
	do
		take_events(c);
	while (is_running(c) && write_some(c));
	c->entered = false;
	if (c->discarded)
		destroy(c);
	else if (c->state == STATE_ENDED && c->readable != NULL)
		(void)event_del(c->readable);
	else if (c->state != STATE_ENDED)
		arm_timer(c);
}

static void
on_io(evutil_socket_t sock, short what, void *arg)
{
	struct smtp_connection *c = arg;

	enter(c);
	c->active_at = clock_boottime_ms();
	if (c->state == STATE_HANDSHAKE)
		shake_hands(c);
	else
		read_some(c);
	leave(c);
}

static void
on_kick(evutil_socket_t sock, short what, void *arg)
{
	struct smtp_connection *c = arg;

	enter(c);
	c->active_at = clock_boottime_ms();
	if (c->state == STATE_RESOLVING && c->lookup == NULL)
		next_attempt(c); /* the addresses were given */
	else if ((what & EV_READ) != 0)
		read_some(c);
	leave(c);
}

/* ---- the owner ---- */

static bool
begin(struct smtp_connection *c)
{
	const struct connection_config *config = &c->config;

	if (config->address_count == 0)
		return config->smtp.host == NULL ? next_service(c)
						 : resolve(c, config->smtp.host, config->smtp.port);
	set_server(c, config->smtp.host, config->smtp.port);
	c->address_count = config->address_count < ARRAY_SIZE(c->addresses)
			       ? config->address_count
			       : ARRAY_SIZE(c->addresses);
	memcpy(c->addresses, config->addresses, c->address_count * sizeof(*c->addresses));
	for (size_t i = 0; i < c->address_count; i++)
		netaddr_set_port(&c->addresses[i], config->smtp.port);
	connection_wake(c);
	return true;
}

struct smtp_connection *
connection_new(const struct connection_config *config)
{
	const char *ehlo_name = config->smtp.ehlo_name;
	struct smtp_connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->config = *config;
	c->fd = -1;
	c->tls = config->smtp.tls;
	c->chain = (struct buf)BUF_INIT(CHAIN_MAX);
	c->prelude = (struct buf)BUF_INIT(PRELUDE_MAX);
	c->transcript = (struct buf)BUF_INIT(PRELUDE_MAX + SMTP_CLIENT_TRANSCRIPT_MAX);
	c->ehlo_name = ehlo_name == NULL ? NULL : strdup(ehlo_name);
	c->timer = event_new(config->base, -1, 0, on_timer, c);
	c->kick = event_new(config->base, -1, 0, on_kick, c);
	if ((ehlo_name == NULL || c->ehlo_name != NULL) && c->timer != NULL && c->kick != NULL &&
	    begin(c))
		return c;
	destroy(c);
	return NULL;
}

struct smtp_connection *
connection_free(struct smtp_connection *c)
{
	if (c != NULL && c->entered)
		c->discarded = true;
	else if (c != NULL)
		destroy(c);
	return NULL;
}

struct smtp_client *
connection_client(struct smtp_connection *c)
{
	return c->client;
}

void
connection_wake(struct smtp_connection *c)
{
	if (!c->entered)
		event_active(c->kick, EV_TIMEOUT, 0);
}

void
connection_fail(
    struct smtp_connection *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	if (c->client != NULL)
		smtp_client_fail(c->client, stage, fault, words);
	else
		fail(c, stage, fault, words);
	connection_wake(c);
}

void
connection_quit(struct smtp_connection *c)
{
	if (c->client != NULL)
		smtp_client_quit(c->client, clock_boottime_ms());
	else
		fail(c, SMTP_STAGE_CONNECT, SMTP_FAULT_CLOSED,
		    "The session is not needed any more.");
	connection_wake(c);
}

void
connection_hang_up(struct smtp_connection *c)
{
	if (c->client == NULL || c->state == STATE_ENDED)
		return;
	smtp_client_quit(c->client, clock_boottime_ms());
	say_goodbye(c);
}

struct smtp_client_offer
connection_offer(const struct smtp_connection *c, bool within)
{
	return c->client == NULL ? (struct smtp_client_offer){.auth = ""}
				 : smtp_client_offer(c->client, within);
}

const char *
connection_endpoint(const struct smtp_connection *c)
{
	return c->endpoint;
}

const char *
connection_address(const struct smtp_connection *c)
{
	return c->address;
}

const char *
connection_tls(const struct smtp_connection *c)
{
	return c->tls_text;
}

const char *
connection_chain(const struct smtp_connection *c)
{
	return buf_str(&c->chain);
}

const struct tls_trouble *
connection_trouble(const struct smtp_connection *c)
{
	return &c->trouble;
}

const char *
connection_transcript(struct smtp_connection *c)
{
	buf_clear(&c->transcript);
	(void)buf_append_str(&c->transcript, buf_str(&c->prelude));
	if (c->client != NULL)
		(void)buf_append_str(&c->transcript, smtp_client_session_transcript(c->client));
	return buf_str(&c->transcript);
}

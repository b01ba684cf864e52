/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session-connect.c: from a name to a connection, and from there to TLS.
 *
 * A name may stand for a domain whose servers DNS names (RFC 6186, RFC 8314 section 5.1): these come
 * in turn, those with implicit TLS first. The addresses of a server are tried at once, each 250 ms
 * behind the one before it or as soon as that failed; the first that connects is used and the others
 * are let go (RFC 8305).
 */
#include "broker/send/crypto.h"
#include "broker/send/session-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	CONNECT_PATIENCE = 30 * 1000, /* ms, for an address */
	ATTEMPT_DELAY = 250,          /* until the next is tried beside */
	MAILS_MAX = 1000,             /* of one session */
	WINDOW = 16,                  /* messages in flight */
};

static void next_server(struct session *s);

/* ---- attempts ---- */

static void
note_connect_failure(struct session *s, size_t i, int error)
{
	char address[64];
	enum smtp_fault fault = error == ECONNREFUSED ? SMTP_FAULT_REFUSED
				: error == ETIMEDOUT  ? SMTP_FAULT_CONNECT_TIMEOUT
						      : SMTP_FAULT_UNREACHABLE;

	netaddr_text(&s->addresses[i], address, sizeof(address));
	/* A network without a way to one kind of address says less than a host that answers. */
	if (s->connect_fault == SMTP_FAULT_NONE || s->connect_fault == SMTP_FAULT_UNREACHABLE) {
		s->connect_fault = fault;
		(void)snprintf(s->connect_words, sizeof(s->connect_words),
		    "No connection to %s port %u: %s.", address, s->port,
		    fault == SMTP_FAULT_CONNECT_TIMEOUT ? "no answer" : strerror(error));
	}
	session_note(s, "%s port %u: %s", address, s->port, strerror(error));
}

/* The socket of an attempt that is over; the caller's. */
static int
end_attempt(struct session *s, struct attempt *t)
{
	int fd = t->fd;

	event_free(t->event);
	*t = (struct attempt){.fd = -1};
	s->attempts_open--;
	return fd;
}

void
session_close_attempts(struct session *s)
{
	for (size_t i = 0; i < s->address_count; i++)
		if (s->attempts[i].event != NULL)
			(void)close(end_attempt(s, &s->attempts[i]));
	s->next_attempt = 0;
}

static void on_attempt(evutil_socket_t sock, short what, void *arg);

/* Begins to connect: 0, or why not. */
static int
begin_attempt(struct session *s, size_t i)
{
	struct attempt *t = &s->attempts[i];
	int fd = netaddr_connect(&s->addresses[i]);

	if (fd < 0)
		return fd;
	*t = (struct attempt){.session = s, .fd = fd, .until = send_now() + CONNECT_PATIENCE};
	t->event = event_new(s->send->base, fd, EV_WRITE, on_attempt, t);
	if (t->event == NULL || event_add(t->event, NULL) < 0) {
		if (t->event != NULL)
			event_free(t->event);
		t->event = NULL;
		(void)close(fd);
		return -ENOMEM;
	}
	s->attempts_open++;
	return 0;
}

/* Begins with the next address that there is; where none is left and none is under way, the next
 * server. */
static void
next_attempt(struct session *s)
{
	s->next_attempt = 0;
	while (s->address_at < s->address_count) {
		size_t i = s->address_at++;
		int r = begin_attempt(s, i);

		if (r == 0) {
			s->state = STATE_CONNECTING;
			if (s->address_at < s->address_count)
				s->next_attempt = send_now() + ATTEMPT_DELAY;
			return;
		}
		note_connect_failure(s, i, -r);
	}
	if (s->attempts_open == 0)
		next_server(s);
}

uint64_t
session_connect_deadline(const struct session *s)
{
	uint64_t at = s->next_attempt == 0 ? UINT64_MAX : s->next_attempt;

	for (size_t i = 0; i < s->address_count; i++)
		if (s->attempts[i].event != NULL && s->attempts[i].until < at)
			at = s->attempts[i].until;
	return at;
}

void
session_connect_clock(struct session *s, uint64_t now)
{
	bool more = s->next_attempt != 0 && now >= s->next_attempt;

	for (size_t i = 0; i < s->address_count; i++) {
		if (s->attempts[i].event == NULL || now < s->attempts[i].until)
			continue;
		(void)close(end_attempt(s, &s->attempts[i]));
		note_connect_failure(s, i, ETIMEDOUT);
		more = true;
	}
	if (more)
		next_attempt(s);
}

/* The first attempt that succeeded: `fd` is the session's from here on. */
static void
connected(struct session *s, const struct netaddr *address, int fd)
{
	const struct account *a = s->account;
	struct netaddr own = {.len = sizeof(own.sockaddr)};
	char name[300], text[64];
	struct smtp_client_config config = {
	    .host = s->host,
	    .port = s->port,
	    .ehlo_name = name,
	    .tls = s->tls,
	    .mechanisms = a->mechanisms,
	    .secret_without_tls = a->secret_without_tls && netaddr_is_loopback(address),
	    .scram = &crypto_for_scram,
	    .window = WINDOW,
	    .window_bytes = SESSION_WINDOW_BYTES,
	    .mails_max = MAILS_MAX,
	};

	session_close_attempts(s);
	s->address = *address;
	s->fd = fd;
	s->readable = event_new(s->send->base, fd, EV_READ | EV_PERSIST, session_on_io, s);
	s->writable = event_new(s->send->base, fd, EV_WRITE, session_on_io, s);
	memcpy(config.order, a->order, sizeof(config.order));
	(void)getsockname(fd, (struct sockaddr *)&own.sockaddr, &own.len);
	netaddr_ehlo_name(&own, s->send->hostname, name, sizeof(name));
	netaddr_text(address, text, sizeof(text));
	(void)snprintf(s->endpoint, sizeof(s->endpoint), "%s:%u [%s]", s->host, s->port, text);
	session_note(s, "connected to %s", s->endpoint);
	s->connected_at = send_now();
	s->state = STATE_RUNNING;
	s->client = smtp_client_new(&config, s->connected_at);
	if (s->client == NULL || s->readable == NULL || s->writable == NULL ||
	    event_add(s->readable, NULL) < 0)
		session_fail(s, SMTP_STAGE_CONNECT, SMTP_FAULT_LOCAL, "Out of memory.");
}

/* An attempt succeeded or failed. */
static void
on_attempt(evutil_socket_t sock, short what, void *arg)
{
	struct attempt *t = arg;
	struct session *s = t->session;
	size_t i = (size_t)(t - s->attempts);
	int error = 0, fd = end_attempt(s, t);
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		connected(s, &s->addresses[i], fd);
	} else {
		(void)close(fd);
		note_connect_failure(s, i, error);
		next_attempt(s);
	}
	session_drive(s);
}

/* ---- names ---- */

static void
on_resolved(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct session *s = arg;

	s->lookup = NULL;
	if (count == 0) {
		if (s->connect_fault == SMTP_FAULT_NONE)
			(void)snprintf(s->connect_words, sizeof(s->connect_words), "%s", words);
		s->resolve_fault = fault;
		next_server(s);
	} else {
		memcpy(s->addresses, addresses, count * sizeof(*addresses));
		s->address_count = count;
		s->address_at = 0;
		next_attempt(s);
	}
	session_drive(s);
}

static bool
resolve(struct session *s, const char *host, unsigned port)
{
	(void)snprintf(s->host, sizeof(s->host), "%s", host);
	s->port = port;
	(void)snprintf(s->endpoint, sizeof(s->endpoint), "%s:%u", host, port);
	s->lookup = resolver_lookup(s->send->resolver, host, port, on_resolved, s);
	return s->lookup != NULL;
}

/* What a domain may call its submission service (RFC 8314 section 5.1), in the order of preference. */
static const struct {
	const char *name;
	enum smtp_tls tls;
} services[] = {{"_submissions._tcp", SMTP_TLS_IMPLICIT}, {"_submission._tcp", SMTP_TLS_STARTTLS}};

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	struct session *s = arg;

	s->lookup = NULL;
	memcpy(s->servers, servers, count * sizeof(*servers));
	s->server_count = count;
	s->server_at = 0;
	if (count == 0) {
		session_note(s, "%s", words);
		if (s->resolve_fault != SMTP_FAULT_DNS) {
			s->resolve_fault = fault;
			if (s->connect_fault == SMTP_FAULT_NONE)
				(void)snprintf(
				    s->connect_words, sizeof(s->connect_words), "%s", words);
		}
	}
	next_server(s);
	session_drive(s);
}

/* Asks for the next kind of service that the account may use. False: no memory, or none left. */
static bool
next_service(struct session *s)
{
	const struct account *a = s->account;
	char name[300];

	while (s->service_at < ARRAY_SIZE(services)) {
		unsigned i = s->service_at++;

		if (!a->tls_either && a->tls != services[i].tls)
			continue;
		s->tls = services[i].tls;
		(void)snprintf(name, sizeof(name), "%s.%s", services[i].name, a->host);
		(void)snprintf(s->endpoint, sizeof(s->endpoint), "%s", name);
		s->lookup = resolver_servers(s->send->resolver, name, on_servers, s);
		return s->lookup != NULL;
	}
	return false;
}

/* No address of this server could be reached, or it has none: the next one. */
static void
next_server(struct session *s)
{
	while (s->server_at < s->server_count) {
		const struct server *next = &s->servers[s->server_at++];

		if (resolve(s, next->host, next->port))
			return;
	}
	if (s->account->srv && next_service(s))
		return;
	if (s->connect_fault != SMTP_FAULT_NONE)
		session_fail(s, SMTP_STAGE_CONNECT, s->connect_fault, s->connect_words);
	else
		session_fail(s, SMTP_STAGE_DNS,
		    s->resolve_fault == SMTP_FAULT_NONE ? SMTP_FAULT_DNS : s->resolve_fault,
		    s->connect_words);
}

bool
session_resolve(struct session *s)
{
	const struct account *a = s->account;

	return a->srv ? next_service(s) : resolve(s, a->host, a->port);
}

/* ---- TLS ---- */

static struct tls_context *
tls_context(struct account *a, char *why, size_t size)
{
	if (a->broken != NULL) {
		(void)snprintf(why, size, "%s", a->broken);
		return NULL;
	}
	if (a->tls_context == NULL)
		a->tls_context = tls_context_new(&a->rules, why, size);
	return a->tls_context;
}

static void
tls_failed(struct session *s)
{
	enum smtp_fault fault = s->trouble.fault;

	/* Behind STARTTLS it is no matter of the port. */
	if (fault == SMTP_FAULT_TLS_PLAINTEXT && s->tls == SMTP_TLS_STARTTLS)
		fault = SMTP_FAULT_TLS;
	session_fail(s, SMTP_STAGE_TLS, fault, s->trouble.words);
}

/* The server's first octets, before TLS takes them: words in clear are better reported as what they
 * say. */
static bool
hello_is_tls(struct session *s)
{
	char banner[256];
	int r;

	if (s->hello_seen)
		return true;
	r = tls_peek(s->fd, banner, sizeof(banner));
	s->hello_seen = r == 1;
	if (r != 0)
		return true;
	s->trouble.fault = SMTP_FAULT_TLS_PLAINTEXT;
	(void)snprintf(s->trouble.words, sizeof(s->trouble.words),
	    "The server answered the TLS hello in plain text: %s", banner);
	return false;
}

void
session_shake_hands(struct session *s)
{
	struct scram_binding binding;
	bool wants_write = false;
	int r = hello_is_tls(s) ? tls_handshake(s->ssl, &s->trouble, &wants_write) : -1;

	if (r < 0) {
		tls_failed(s);
	} else if (r == 0) {
		if (wants_write)
			(void)event_add(s->writable, NULL);
	} else {
		tls_describe(s->ssl, s->tls_text, sizeof(s->tls_text));
		s->state = STATE_RUNNING;
		if (tls_binding(s->ssl, &binding))
			smtp_client_binding(s->client, &binding);
		smtp_client_tls_done(s->client, s->tls_text, send_now());
	}
}

void
session_start_tls(struct session *s)
{
	struct tls_context *context;
	struct tls_names names = account_server_names(s->account, s->host);
	char why[160];

	context = tls_context(s->account, why, sizeof(why));
	if (context == NULL) {
		session_fail(s, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, why);
		return;
	}
	s->ssl = tls_new(context, s->fd, &names, &s->trouble);
	if (s->ssl == NULL) {
		session_fail(
		    s, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, "TLS cannot be set up: out of memory.");
		return;
	}
	s->state = STATE_HANDSHAKE;
	session_shake_hands(s);
}

static void
on_probed(void *arg, bool tls)
{
	struct session *s = arg;

	s->probe = NULL;
	if (tls && !smtp_client_is_greeted(s->client))
		smtp_client_lost(s->client, SMTP_STAGE_TLS, SMTP_FAULT_TLS_SILENT,
		    "The server says nothing in plain text on this port: it wants TLS from the "
		    "first octet.");
	session_drive(s);
}

void
session_probe(struct session *s)
{
	s->probe = probe_new(s->send->base, &s->address, on_probed, s);
}

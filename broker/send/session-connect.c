/*
 * session-connect.c: from a name to a connection, and from there to TLS. Addresses are tried in turn, the next as soon as
 * one fails or is silent for a few seconds.
 */
#include "broker/send/crypto.h"
#include "broker/send/session-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	CONNECT_PATIENCE = 30 * 1000,  /* ms, for the last address */
	CONNECT_IMPATIENCE = 5 * 1000, /* where there is another to try */
	MAILS_MAX = 1000,              /* of one session */
	WINDOW = 16,                   /* messages in flight */
};

static void
note_connect_failure(struct session *s, int error)
{
	char address[64];
	enum smtp_fault fault = error == ECONNREFUSED ? SMTP_FAULT_REFUSED
				: error == ETIMEDOUT  ? SMTP_FAULT_CONNECT_TIMEOUT
						      : SMTP_FAULT_UNREACHABLE;

	address_text(&s->addresses[s->address_at], address, sizeof(address));
	/* A network without a way to one kind of address says less than a host that answers. */
	if (s->connect_fault == SMTP_FAULT_NONE || s->connect_fault == SMTP_FAULT_UNREACHABLE) {
		s->connect_fault = fault;
		(void)snprintf(s->connect_words, sizeof(s->connect_words),
		    "No connection to %s port %u: %s.", address, s->account->port,
		    fault == SMTP_FAULT_CONNECT_TIMEOUT ? "no answer" : strerror(error));
	}
	session_note(s, "%s port %u: %s", address, s->account->port, strerror(error));
}

static void
close_socket(struct session *s)
{
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	s->readable = s->writable = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

static int
open_socket(struct session *s, const struct address *a)
{
	int one = 1;

	s->fd = socket(a->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	/* Output is gathered before it is written, so holding it back (RFC 896) only costs time. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->readable = event_new(s->send->base, s->fd, EV_READ | EV_PERSIST, session_on_io, s);
	s->writable = event_new(s->send->base, s->fd, EV_WRITE, session_on_io, s);
	if (s->readable == NULL || s->writable == NULL || event_add(s->writable, NULL) < 0)
		return -ENOMEM;
	return connect(s->fd, (const struct sockaddr *)&a->sockaddr, a->len) < 0 &&
		       errno != EINPROGRESS
		   ? -errno
		   : 0;
}

/* Begins to connect to the address at address_at, or one behind it. */
static void
connect_next(struct session *s)
{
	for (; s->address_at < s->address_count; s->address_at++) {
		bool more = s->address_at + 1 < s->address_count;
		int r = open_socket(s, &s->addresses[s->address_at]);

		if (r == 0) {
			s->state = STATE_CONNECTING;
			s->connect_by = send_now() + (more ? CONNECT_IMPATIENCE : CONNECT_PATIENCE);
			return;
		}
		note_connect_failure(s, -r);
		close_socket(s);
	}
	session_fail(s, SMTP_STAGE_CONNECT, s->connect_fault, s->connect_words);
}

static void
connect_failed(struct session *s, int error)
{
	note_connect_failure(s, error);
	close_socket(s);
	s->address_at++;
	connect_next(s);
}

/* A name with a dot, or the address that the server sees (RFC 5321 section 4.1.3). */
static void
hello_name(const struct session *s, char *to, size_t size)
{
	struct address own = {.len = sizeof(own.sockaddr)};
	char address[64];

	if (s->send->hostname != NULL && strchr(s->send->hostname, '.') != NULL) {
		(void)snprintf(to, size, "%s", s->send->hostname);
		return;
	}
	if (getsockname(s->fd, (struct sockaddr *)&own.sockaddr, &own.len) < 0) {
		(void)snprintf(to, size, "[127.0.0.1]");
		return;
	}
	address_text(&own, address, sizeof(address));
	(void)snprintf(
	    to, size, own.sockaddr.ss_family == AF_INET6 ? "[IPv6:%s]" : "[%s]", address);
}

static void
connected(struct session *s)
{
	const struct account *a = s->account;
	const struct address *address = &s->addresses[s->address_at];
	char name[300], text[64];
	struct smtp_client_config config = {
	    .host = a->host,
	    .port = a->port,
	    .ehlo_name = name,
	    .tls = a->tls,
	    .mechanisms = a->mechanisms,
	    .secret_without_tls = a->secret_without_tls && address_is_loopback(address),
	    .scram = &crypto_for_scram,
	    .window = WINDOW,
	    .window_bytes = SESSION_WINDOW_BYTES,
	    .mails_max = MAILS_MAX,
	};

	memcpy(config.order, a->order, sizeof(config.order));
	hello_name(s, name, sizeof(name));
	address_text(address, text, sizeof(text));
	(void)snprintf(s->endpoint, sizeof(s->endpoint), "%s:%u [%s]", a->host, a->port, text);
	session_note(s, "connected to %s", s->endpoint);
	s->connected_at = send_now();
	s->state = STATE_RUNNING;
	s->client = smtp_client_new(&config, s->connected_at);
	if (s->client == NULL || event_add(s->readable, NULL) < 0)
		session_fail(s, SMTP_STAGE_CONNECT, SMTP_FAULT_LOCAL, "Out of memory.");
}

void
session_connect_timeout(struct session *s)
{
	connect_failed(s, ETIMEDOUT);
}

void
session_connect_result(struct session *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		connect_failed(s, error);
	else
		connected(s);
}

static void
on_resolved(void *arg, const struct address *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct session *s = arg;

	s->lookup = NULL;
	if (count == 0) {
		session_fail(s, SMTP_STAGE_DNS, fault, words);
	} else {
		memcpy(s->addresses, addresses, count * sizeof(*addresses));
		s->address_count = count;
		connect_next(s);
	}
	session_drive(s);
}

bool
session_resolve(struct session *s)
{
	const struct account *a = s->account;

	s->lookup = resolver_lookup(s->send->resolver, a->host, a->port, on_resolved, s);
	return s->lookup != NULL;
}

/* ---- TLS ---- */

static SSL_CTX *
tls_context(struct account *a, char *why, size_t size)
{
	if (a->ca_broken) {
		(void)snprintf(why, size, "The account's ca-file cannot be read.");
		return NULL;
	}
	if (a->tls_context == NULL)
		a->tls_context = tls_context_new(&a->ca, why, size);
	return a->tls_context;
}

static void
tls_failed(struct session *s)
{
	enum smtp_fault fault = s->trouble.fault;

	/* Behind STARTTLS it is no matter of the port. */
	if (fault == SMTP_FAULT_TLS_PLAINTEXT && s->account->tls == SMTP_TLS_STARTTLS)
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
	char why[160];
	SSL_CTX *context = tls_context(s->account, why, sizeof(why));

	if (context == NULL) {
		session_fail(s, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, why);
		return;
	}
	s->ssl = tls_new(context, s->fd, s->account->host, &s->trouble);
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
	s->probe = probe_new(s->send->base, &s->addresses[s->address_at], on_probed, s);
}

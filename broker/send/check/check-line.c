/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-line.c: see check-line.h. As in session.c, every callback of the loop ends in drive(), which
 * takes the engine's events and writes; nothing touches a line behind drive().
 */
#include "broker/send/check/check-line.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/send/crypto.h"
#include "broker/send/pool.h"
#include "broker/send/probe.h"

enum {
	CHAIN_MAX = 4096,
	TRANSCRIPT_ALL = 32 * 1024,
	SILENCE = 5 * 1000, /* ms on a plain connection after which TLS is suspected */
	READ_SIZE = 8 * 1024,
};

struct check_line {
	struct check_line_config config;
	char *host, *ehlo_name;
	check_line_event *event;
	void *arg;
	struct netaddr addresses[RESOLVER_ADDRESSES_MAX];
	size_t at; /* the address that is tried */
	int fd;
	struct event *io, *timer;
	struct smtp_client *client;
	SSL *ssl;
	struct tls_trouble trouble;
	struct probe *probe;
	bool shaking, hello_seen, probed, ended, closing;
	bool *freed; /* set when the line is freed from within an event */
	uint64_t connected_at;
	char address[64], tls[100], words[256];
	struct buf chain, prelude, transcript;
};

static void drive(struct check_line *l);

static void PRINTF_LIKE(2, 3) note(struct check_line *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)buf_append_str(&l->prelude, "* ");
	(void)buf_vprintf(&l->prelude, format, ap);
	(void)buf_append_str(&l->prelude, "\n");
	va_end(ap);
}

struct check_line *
check_line_free(struct check_line *l)
{
	if (l == NULL)
		return NULL;
	if (l->freed != NULL)
		*l->freed = true;
	(void)probe_free(l->probe);
	if (l->io != NULL)
		event_free(l->io);
	if (l->timer != NULL)
		event_free(l->timer);
	SSL_free(l->ssl);
	if (l->fd >= 0)
		(void)close(l->fd);
	(void)smtp_client_free(l->client);
	buf_free(&l->chain);
	buf_free(&l->prelude);
	buf_free(&l->transcript);
	free(l->host);
	free(l->ehlo_name);
	free(l);
	return NULL;
}

/* Tells an event; false when the line is gone behind it. */
static bool
tell(struct check_line *l, const struct smtp_client_event *e)
{
	bool freed = false;

	l->freed = &freed;
	l->event(l->arg, l, e);
	if (!freed)
		l->freed = NULL;
	return !freed;
}

/* The end of a line that has no session. */
static bool
fail(struct check_line *l, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply reply = {.stage = stage, .fault = fault, .text = words};
	const struct smtp_client_event e = {.type = SMTP_CLIENT_CLOSED, .reply = &reply};

	l->ended = true;
	note(l, "%s", words);
	return tell(l, &e);
}

/* ---- connecting ---- */

static void on_io(evutil_socket_t fd, short what, void *arg);

static void
arm(struct check_line *l, uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	(void)event_add(l->timer, &tv);
}

static void
watch(struct check_line *l, short what)
{
	(void)event_del(l->io);
	(void)event_assign(l->io, l->config.base, l->fd, what, on_io, l);
	(void)event_add(l->io, NULL);
}

static void
close_socket(struct check_line *l)
{
	if (l->fd < 0)
		return;
	(void)event_del(l->io);
	(void)close(l->fd);
	l->fd = -1;
}

static enum smtp_fault
fault_of(int error)
{
	return error == ECONNREFUSED ? SMTP_FAULT_REFUSED
	       : error == ETIMEDOUT  ? SMTP_FAULT_CONNECT_TIMEOUT
				     : SMTP_FAULT_UNREACHABLE;
}

/* The next address, or the end. False when the line is gone. */
static bool
connect_next(struct check_line *l, int error)
{
	for (; l->at < l->config.address_count; l->at++) {
		l->fd = netaddr_connect(&l->addresses[l->at]);
		if (l->fd >= 0) {
			watch(l, EV_WRITE);
			arm(l, l->config.patience);
			return true;
		}
		error = -l->fd;
	}
	(void)snprintf(l->words, sizeof(l->words), "No connection to %s port %u: %s.", l->host,
	    l->config.port, error == ETIMEDOUT ? "no answer" : strerror(error));
	return fail(l, SMTP_STAGE_CONNECT, fault_of(error), l->words);
}

static bool
connected(struct check_line *l)
{
	struct netaddr own = {.len = sizeof(own.sockaddr)};
	char name[300];
	struct smtp_client_config config = {
	    .host = l->host,
	    .port = l->config.port,
	    .ehlo_name = name,
	    .tls = l->config.tls,
	    .mechanisms = l->config.mechanisms,
	    .secret_without_tls =
		l->config.secret_without_tls && netaddr_is_loopback(&l->addresses[l->at]),
	    .scram = &crypto_for_scram,
	    .window = 1,
	};

	memcpy(config.order, l->config.order, sizeof(config.order));
	(void)getsockname(l->fd, (struct sockaddr *)&own.sockaddr, &own.len);
	netaddr_ehlo_name(&own, l->ehlo_name, name, sizeof(name));
	netaddr_text(&l->addresses[l->at], l->address, sizeof(l->address));
	note(l, "connected to %s:%u [%s]", l->host, l->config.port, l->address);
	l->connected_at = send_now();
	l->client = smtp_client_new(&config, l->connected_at);
	if (l->client == NULL)
		return fail(l, SMTP_STAGE_CONNECT, SMTP_FAULT_LOCAL, "Out of memory.");
	watch(l, EV_READ | EV_PERSIST);
	return true;
}

/* False when the line is gone. */
static bool
connect_result(struct check_line *l)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0)
		return connected(l);
	close_socket(l);
	l->at++;
	return connect_next(l, error);
}

/* ---- TLS ---- */

static void
lose_tls(struct check_line *l)
{
	enum smtp_fault fault =
	    l->trouble.fault == SMTP_FAULT_NONE ? SMTP_FAULT_TLS : l->trouble.fault;

	/* Behind STARTTLS it is no matter of the port. */
	if (fault == SMTP_FAULT_TLS_PLAINTEXT && l->config.tls == SMTP_TLS_STARTTLS)
		fault = SMTP_FAULT_TLS;
	smtp_client_lost(l->client, SMTP_STAGE_TLS, fault, l->trouble.words);
}

/* The server's first octets: words in clear are better reported as what they say. */
static bool
hello_is_tls(struct check_line *l)
{
	char banner[200];
	int r;

	if (l->hello_seen)
		return true;
	r = tls_peek(l->fd, banner, sizeof(banner));
	l->hello_seen = r == 1;
	if (r != 0)
		return true;
	l->trouble.fault = SMTP_FAULT_TLS_PLAINTEXT;
	(void)snprintf(l->trouble.words, sizeof(l->trouble.words),
	    "The server answered the TLS hello in plain text: %s", banner);
	return false;
}

/* False when the line is gone. */
static bool
shake_hands(struct check_line *l)
{
	struct scram_binding binding;
	bool wants_write = false;
	int r = hello_is_tls(l) ? tls_handshake(l->ssl, &l->trouble, &wants_write) : -1;

	tls_chain(l->ssl, &l->chain);
	if (r < 0) {
		l->shaking = false;
		lose_tls(l);
	} else if (r == 0) {
		watch(l, (short)(EV_READ | EV_PERSIST | (wants_write ? EV_WRITE : 0)));
	} else {
		l->shaking = false;
		watch(l, EV_READ | EV_PERSIST);
		tls_describe(l->ssl, l->tls, sizeof(l->tls));
		if (l->config.tls_only) {
			const struct smtp_reply fine = {.code = 220, .stage = SMTP_STAGE_TLS};
			const struct smtp_client_event e = {
			    .type = SMTP_CLIENT_CLOSED, .reply = &fine};

			l->ended = true;
			return tell(l, &e);
		}
		if (tls_binding(l->ssl, &binding))
			smtp_client_binding(l->client, &binding);
		smtp_client_tls_done(l->client, l->tls, send_now());
	}
	return true;
}

/* False when the line is gone. */
static bool
start_tls(struct check_line *l)
{
	l->ssl = l->config.context == NULL
		     ? NULL
		     : tls_new(l->config.context, l->fd, &l->config.names, &l->trouble);
	if (l->ssl == NULL) {
		smtp_client_lost(
		    l->client, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, "TLS cannot be set up.");
		return true;
	}
	if (l->config.only_look)
		tls_observe(l->ssl, &l->trouble);
	l->shaking = true;
	return shake_hands(l);
}

/* ---- octets ---- */

static void
read_some(struct check_line *l)
{
	char octets[READ_SIZE];

	for (;;) {
		ssize_t n = l->ssl == NULL ? recv(l->fd, octets, sizeof(octets), 0)
					   : SSL_read(l->ssl, octets, sizeof(octets));

		if (n > 0) {
			smtp_client_input(l->client, octets, (size_t)n, send_now());
			/* In plain text STARTTLS may be at hand: what follows belongs to TLS. What TLS
			 * holds already, no event would tell of. */
			if (l->ssl == NULL || SSL_pending(l->ssl) == 0)
				return;
			continue;
		}
		if (l->ssl == NULL && n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (l->ssl != NULL) {
			int error = SSL_get_error(l->ssl, (int)n);

			ERR_clear_error();
			if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
				return;
		}
		smtp_client_lost(l->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
		return;
	}
}

static void
write_some(struct check_line *l)
{
	const char *bytes;
	size_t len;

	while ((bytes = smtp_client_output(l->client, &len)) != NULL && len > 0) {
		ssize_t n = l->ssl == NULL ? send(l->fd, bytes, len, MSG_NOSIGNAL)
					   : SSL_write(l->ssl, bytes, (int)len);

		ERR_clear_error();
		if (n <= 0) {
			watch(l, EV_READ | EV_WRITE | EV_PERSIST);
			return;
		}
		smtp_client_wrote(l->client, (size_t)n, send_now());
	}
	watch(l, EV_READ | EV_PERSIST);
}

static void
set_timer(struct check_line *l)
{
	uint64_t now = send_now(), by = smtp_client_deadline(l->client),
		 most = now + l->config.patience;

	if (by > most)
		by = most;
	if (!l->probed && !smtp_client_is_greeted(l->client) && l->ssl == NULL &&
	    l->connected_at + SILENCE < by)
		by = l->connected_at + SILENCE;
	arm(l, by > now ? by - now : 0);
}

/* Takes the engine's events and writes, until there is nothing more to do. */
static void
drive(struct check_line *l)
{
	struct smtp_client_event e;
	bool more = true;

	while (more && l->client != NULL) {
		more = false;
		if (!l->shaking && !l->ended)
			write_some(l);
		while (smtp_client_next(l->client, &e)) {
			more = true;
			if (e.type == SMTP_CLIENT_START_TLS) {
				if (!start_tls(l))
					return;
				continue;
			}
			if (e.type == SMTP_CLIENT_CLOSED)
				l->ended = true;
			if (!tell(l, &e))
				return;
		}
	}
	if (l->client != NULL && !l->ended)
		set_timer(l);
	else if (l->ended)
		(void)event_del(l->timer);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct check_line *l = arg;

	if (l->client == NULL) {
		if (!connect_result(l))
			return;
	} else if (l->shaking) {
		if (!shake_hands(l))
			return;
	} else if (!l->ended) {
		read_some(l);
	}
	drive(l);
}

static void
on_probed(void *arg, bool tls)
{
	struct check_line *l = arg;

	l->probe = NULL;
	if (tls && l->client != NULL && !smtp_client_is_greeted(l->client))
		smtp_client_lost(l->client, SMTP_STAGE_TLS, SMTP_FAULT_TLS_SILENT,
		    "The server says nothing in plain text on this port: it wants TLS from the "
		    "first octet.");
	drive(l);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct check_line *l = arg;
	uint64_t now = send_now();

	if (l->ended)
		return;
	if (l->client == NULL && l->fd < 0) {
		/* the first turn of the loop */
		if (!connect_next(l, EHOSTUNREACH))
			return;
	} else if (l->client == NULL) {
		close_socket(l);
		l->at++;
		if (!connect_next(l, ETIMEDOUT))
			return;
	} else if (!l->probed && !smtp_client_is_greeted(l->client) && l->ssl == NULL) {
		l->probed = true;
		l->probe = probe_new(l->config.base, &l->addresses[l->at], on_probed, l);
		set_timer(l);
	} else if (now < smtp_client_deadline(l->client)) {
		smtp_client_lost(l->client, SMTP_STAGE_NONE, SMTP_FAULT_TIMEOUT, NULL);
	} else {
		smtp_client_timeout(l->client, now);
	}
	drive(l);
}

/* ---- outside ---- */

struct check_line *
check_line_new(const struct check_line_config *config, check_line_event *event, void *arg)
{
	struct check_line *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->config = *config;
	l->event = event;
	l->arg = arg;
	l->fd = -1;
	l->chain = (struct buf)BUF_INIT(CHAIN_MAX);
	l->prelude = (struct buf)BUF_INIT(CHAIN_MAX);
	l->transcript = (struct buf)BUF_INIT(TRANSCRIPT_ALL);
	if (config->address_count > RESOLVER_ADDRESSES_MAX)
		l->config.address_count = RESOLVER_ADDRESSES_MAX;
	memcpy(l->addresses, config->addresses, l->config.address_count * sizeof(struct netaddr));
	for (size_t i = 0; i < l->config.address_count; i++)
		netaddr_set_port(&l->addresses[i], config->port);
	l->host = strdup(config->host);
	l->ehlo_name = config->ehlo_name == NULL ? NULL : strdup(config->ehlo_name);
	l->io = event_new(config->base, -1, 0, on_io, l);
	l->timer = event_new(config->base, -1, 0, on_timer, l);
	if (l->host == NULL || (config->ehlo_name != NULL && l->ehlo_name == NULL) ||
	    l->io == NULL || l->timer == NULL)
		return check_line_free(l);
	arm(l, 0);
	return l;
}

struct smtp_client *
check_line_client(struct check_line *l)
{
	return l->ended ? NULL : l->client;
}

void
check_line_go(struct check_line *l)
{
	event_active(l->io, 0, 0);
}

struct smtp_client_offer
check_line_offer(const struct check_line *l, bool within)
{
	return l->client == NULL ? (struct smtp_client_offer){.auth = ""}
				 : smtp_client_offer(l->client, within);
}

const char *
check_line_address(const struct check_line *l)
{
	return l->address;
}

const char *
check_line_tls(const struct check_line *l)
{
	return l->tls;
}

const char *
check_line_chain(const struct check_line *l)
{
	return buf_str(&l->chain);
}

const struct tls_trouble *
check_line_trouble(const struct check_line *l)
{
	return &l->trouble;
}

const char *
check_line_transcript(struct check_line *l)
{
	buf_clear(&l->transcript);
	(void)buf_append_str(&l->transcript, buf_str(&l->prelude));
	if (l->client != NULL)
		(void)buf_append_str(&l->transcript, smtp_client_session_transcript(l->client));
	return buf_str(&l->transcript);
}

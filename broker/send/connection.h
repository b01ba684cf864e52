/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * connection.h: one connection to a submission server, for deliveries and for checks: names, addresses
 * in turn, TLS, and the engine of base/smtp/client.h in the event loop.
 *
 * The owner hears what happens as events of the engine, of which START_TLS is the connection's own. The
 * last is CLOSED, also where no engine ever began (no address, no route, no TLS).
 */
#ifndef FRANK_BROKER_SEND_CONNECTION_H
#define FRANK_BROKER_SEND_CONNECTION_H

#include "base/smtp/client.h"
#include "broker/send/resolver.h"
#include "broker/send/tls.h"

struct smtp_connection;

enum connection_purpose {
	CONNECTION_DELIVERS,
	/* Goes on where a certificate is not accepted, so that what the server says within TLS can be told too;
	 * never carries a credential. */
	CONNECTION_LOOKS,
	/* Not SMTP: likewise, and ends with code 220 once TLS stands. */
	CONNECTION_LOOKS_AT_TLS,
};

struct connection_ops {
	/* Who is trusted; asked for when TLS begins. Borrowed while the connection lives. NULL with a sentence in
	 * `why`: there can be no TLS. */
	struct tls_context *(*tls_context)(void *arg, char *why, size_t why_size);
	/* Called from the loop alone, never from within a function of this file. The connection may be freed in it. */
	void (*event)(void *arg, const struct smtp_client_event *e);
};

struct connection_config {
	struct event_base *base;
	struct resolver *resolver;
	/*
	 * What the engine is to do; strings are copied. `host` and `port`: the server; no host: those that DNS names
	 * for `domain`. `ehlo_name`: this host's name, or NULL; netaddr_ehlo_name decides. `secret_without_tls`
	 * counts for a loopback address only. `scram` is ours.
	 */
	struct smtp_client_config smtp;
	/* The domain whose DNS names the server (RFC 6186, RFC 8314); borrowed while the connection lives; NULL: the
	 * server is configured. */
	const char *domain;
	bool
	    tls_either; /* with `domain`: its services with implicit TLS, then those with STARTTLS */
	const char *
	    tls_name; /* that the certificate must be for; borrowed likewise; NULL: see tls_names_of */
	/* The server's addresses where they are known, copied; their port is not used. None: they are looked up. */
	const struct netaddr *addresses;
	size_t address_count;
	enum connection_purpose purpose;
	unsigned
	    patience; /* ms without anything from the server, at most; 0: the engine's own limits */
	const struct connection_ops *ops; /* borrowed for good */
	void *arg;
};

/* What a domain may call its submission service (RFC 8314 section 5.1): "_submissions._tcp.example.org" for implicit TLS,
 * else "_submission._tcp.example.org". */
void connection_service(const char *domain, enum smtp_tls tls, char *to, size_t size);

/* Begins. NULL: no memory, or the resolver cannot be set up. */
struct smtp_connection *connection_new(const struct connection_config *config);
/* Closes as it stands; no more events. Takes NULL; returns NULL. */
struct smtp_connection *connection_free(struct smtp_connection *c);

/* The engine; NULL while there is no connection. Behind calls that make output or events: connection_wake. */
struct smtp_client *connection_client(struct smtp_connection *c);
/* Has the loop take events and write. */
void connection_wake(struct smtp_connection *c);

/* Ends it for a reason of the owner's, with QUIT where the protocol allows one. */
void connection_fail(
    struct smtp_connection *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);
/* QUIT once all jobs are done; before there is an engine, the end at once. */
void connection_quit(struct smtp_connection *c);
/* The process ends now: says QUIT to a server that stands idle, and waits for nothing. */
void connection_hang_up(struct smtp_connection *c);

/* What follows is borrowed until the connection's next event. */

/* What the server offered, as smtp_client_offer; also behind the end. */
struct smtp_client_offer connection_offer(const struct smtp_connection *c, bool within);
/* The best that is known: "mail.example.com:587 [192.0.2.1]", without the address before it is connected. */
const char *connection_endpoint(const struct smtp_connection *c);
/* "192.0.2.1", or "" before it is connected. */
const char *connection_address(const struct smtp_connection *c);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "". */
const char *connection_tls(const struct smtp_connection *c);
/* The certificates that the server sent, a line each, its own first, where the connection looks; "" for none. */
const char *connection_chain(const struct smtp_connection *c);
/* What is wrong with the certificate, where the connection looks; fault NONE: nothing. */
const struct tls_trouble *connection_trouble(const struct smtp_connection *c);
/* What was said from the first name to READY. */
const char *connection_transcript(struct smtp_connection *c);

#endif

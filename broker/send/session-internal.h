/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session-internal.h: what the files of a session share. Nobody else includes it.
 *
 *   session.c             life, the engine's events, octets, time
 *   session-connect.c     name, addresses in turn, TLS
 *   session-credential.c  what keeper is asked and what it answers
 */
#ifndef FRANK_BROKER_SEND_SESSION_INTERNAL_H
#define FRANK_BROKER_SEND_SESSION_INTERNAL_H

#include "broker/send/probe.h"
#include "broker/send/session.h"
#include "broker/send/tls.h"

/* Content on its way at most, unless one message has more. */
enum { SESSION_WINDOW_BYTES = 256 * 1024 };

enum state { STATE_RESOLVING, STATE_CONNECTING, STATE_HANDSHAKE, STATE_RUNNING };

/* A connection that is being made (RFC 8305 section 5). */
struct attempt {
	struct session *session;
	struct event *event; /* NULL: none */
	int fd;
	uint64_t until;
};

struct session {
	struct session *next;
	struct pool *pool;
	struct send *send;
	struct account *account;
	enum state state;
	bool opened, ended, broken, retry_fits;
	struct smtp_reply why; /* once ended */

	/* where to: the account's server, or in turn those that DNS names for its domain */
	struct lookup *lookup;
	unsigned service_at; /* the kinds of service asked for so far */
	struct server servers[RESOLVER_SERVERS_MAX];
	size_t server_count, server_at;
	char host[256];
	unsigned port;
	enum smtp_tls tls;

	/* the connection */
	struct netaddr addresses[RESOLVER_ADDRESSES_MAX];
	struct attempt attempts[RESOLVER_ADDRESSES_MAX]; /* one for each address */
	size_t address_count, address_at; /* those behind address_at were not tried yet */
	size_t attempts_open;
	uint64_t next_attempt;         /* when another is begun beside; 0: not by time */
	struct netaddr address;        /* connected to */
	enum smtp_fault connect_fault; /* the most telling so far */
	enum smtp_fault resolve_fault; /* of names, where there was no address to connect to */
	char connect_words[420];
	int fd;
	struct event *readable, *writable, *timer, *kick;
	uint64_t timer_at; /* when the timer goes off; 0: not armed */
	uint64_t connected_at, opened_at, idle_since;
	SSL *ssl;
	struct tls_trouble trouble;
	bool hello_seen; /* the server's first octets in the handshake are TLS */
	struct probe *probe;
	bool probed;
	struct smtp_client *client;

	/* jobs given to the engine, in order */
	struct job *jobs, **last_job;
	uint64_t load;

	/* the credential */
	uint64_t request; /* asked of keeper; 0: not */
	bool to_ask;      /* when there is a keeper */
	bool engine_waits;
	uint64_t rejected; /* generation that a server refused, to be said in the next request */
	bool renewed;      /* the last refusal is final */
	struct secret *secret;
	char *user;
	uint64_t generation;

	/* for people */
	char endpoint[400], tls_text[128];
	enum sasl_mechanism mechanism;
	struct buf prelude, transcript;
};

/* ---- session.c ---- */

/* A line of the transcript, before there is an engine. */
void session_note(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The session is over for this reason. */
void session_fail(
    struct session *s, enum smtp_stage stage, enum smtp_fault fault, const char *words);
/* The last thing of every callback: events, output, the end. `s` may be gone behind it. */
void session_drive(struct session *s);
/* Something happened on the socket. */
void session_on_io(evutil_socket_t sock, short what, void *arg);

/* ---- session-connect.c ---- */

/* Begins to look up the name. False: no memory. */
bool session_resolve(struct session *s);
/* When session_connect_clock has to be called; UINT64_MAX for never. */
uint64_t session_connect_deadline(const struct session *s);
void session_connect_clock(struct session *s, uint64_t now);
/* Ends the attempts that are under way. */
void session_close_attempts(struct session *s);
/* The engine wants TLS; the handshake goes on. */
void session_start_tls(struct session *s);
void session_shake_hands(struct session *s);
/* Asks whether a silent server waits for TLS. */
void session_probe(struct session *s);

/* ---- session-credential.c ---- */

void session_ask_keeper(struct session *s);
void session_on_credential_wanted(struct session *s, enum sasl_mechanism mechanism);
void session_on_auth_failed(struct session *s, const struct smtp_reply *reply);

#endif

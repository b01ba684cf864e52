/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sandbox.h: a mail provider in one program, for trials and tests: an authorization server, a
 * submission server and an inbox.
 *
 * Everything listens on loopback. The two servers meet in this struct: the authorization server
 * fills `grants`, the submission server asks them. One thread, one libevent loop.
 */
#ifndef FRANK_SANDBOX_SANDBOX_H
#define FRANK_SANDBOX_SANDBOX_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/address.h"
#include "base/secret.h"
#include "sandbox/device.h"
#include "sandbox/fault.h"
#include "sandbox/grant.h"
#include "sandbox/jwt.h"
#include "sandbox/personality.h"

enum { SANDBOX_ACCOUNTS_MAX = 256, SANDBOX_CLIENTS_MAX = 256 };

struct sandbox_account {
	char address[ADDRESS_MAX + 1];
	struct secret *password;
};

struct sandbox_client {
	char id[128];
	struct secret *secret; /* NULL: none */
	EVP_PKEY *key; /* of private_key_jwt; NULL: none. With neither it is a public client */
};

/* Counters for people and tests; read at /admin/stats. */
struct sandbox_stats {
	unsigned sign_ins, sign_ins_refused, consents, denials;
	unsigned codes_exchanged, refreshes, token_errors, reuse_detected;
	unsigned auth_ok, auth_refused, messages, recipients;
};

struct sandbox {
	const struct personality *personality;
	const char
	    *host; /* the name that clients know this by; in the issuer and the certificate */
	const char
	    *listen; /* an address to listen on, checked by sandbox_address; NULL: loopback */
	struct event_base *base;
	SSL_CTX *tls;
	struct grants *grants;
	struct devices *devices;
	struct faults *faults;
	struct authorizations *authorizations; /* endpoints.h */
	struct web *web;                       /* web.h */
	struct inbox_server *inbox;            /* inbox-server.h */
	struct jwt_key *key;
	struct secret *admin_key;
	char issuer[300];
	int mail; /* the folder of Maildirs */
	struct sandbox_account accounts[SANDBOX_ACCOUNTS_MAX];
	size_t account_count;
	struct sandbox_client clients[SANDBOX_CLIENTS_MAX];
	size_t client_count;
	struct sandbox_stats stats;
};

/* The account of this address, or NULL. */
const struct sandbox_account *sandbox_account(const struct sandbox *s, const char *address);

/* Is it the account's password? In a time that tells nothing about it. */
bool sandbox_password_fits(const struct sandbox *s, const char *address, const char *password);

const struct sandbox_client *sandbox_client(const struct sandbox *s, const char *id);

/* Compares text from outside with a secret, in a time that depends on lengths alone. */
bool sandbox_secret_fits(const struct secret *secret, const char *text);

/* Appends `bytes` random octets as base64url. 0 or negative errno. */
int sandbox_random_text(struct buf *out, size_t bytes);

/* A number from outside, decimal and within bounds; false: it is none, and *ret is unchanged. */
bool sandbox_number(const char *text, unsigned least, unsigned most, unsigned *ret);

/* Is it an IPv4 or IPv6 address? */
bool sandbox_address(const char *text);

/* Milliseconds of a clock that nobody sets. */
uint64_t sandbox_clock(void);

/* The server's end of a TLS connection on `fd`, which it takes (-1: to be set later). NULL: no memory, and `fd` is the caller's. */
struct bufferevent *sandbox_tls_connection(const struct sandbox *s, evutil_socket_t fd);

/* Listens on s->listen, or on 127.0.0.1 and, where it can, on the same port of ::1. `*port` 0 takes a free one and
 * is set. Fills `fds`, -1 for none. 0 or negative errno. */
int sandbox_listen(const struct sandbox *s, unsigned *port, int fds[2]);

#endif

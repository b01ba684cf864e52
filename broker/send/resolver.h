/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * resolver.h: looks up names in the event loop, by c-ares (/etc/hosts, then DNS): addresses, the servers of a service,
 * and records of one type. localhost and the names below it are loopback, names below invalid do not exist, and no
 * server is asked about either (RFC 6761 sections 6.3 and 6.4).
 */
#ifndef FRANK_BROKER_SEND_RESOLVER_H
#define FRANK_BROKER_SEND_RESOLVER_H

#include <event2/event.h>

#include "base/smtp/smtp.h"
#include "broker/send/dns.h"
#include "broker/send/netaddr.h"

enum { RESOLVER_ADDRESSES_MAX = 16, RESOLVER_SERVERS_MAX = 8 };

struct resolver;
struct lookup;

/* The end of a look-up: addresses in the order to try them (RFC 6724), or a fault, NO_HOST or DNS, with a sentence.
 * Called from the loop, never from within resolver_lookup. Everything is borrowed for the call. */
typedef void resolver_done(void *arg, const struct netaddr *addresses, size_t count,
    enum smtp_fault fault, const char *words);

struct resolver *resolver_new(struct event_base *base);
/* No look-up may be under way. Takes NULL; returns NULL. */
struct resolver *resolver_free(struct resolver *r);

/*
 * Asks for both kinds of address at once; once there is an answer of one kind, the other is waited
 * for no longer than 50 ms (RFC 8305 section 3). NULL: no memory, or the resolver cannot be set up.
 */
struct lookup *resolver_lookup(
    struct resolver *r, const char *host, unsigned port, resolver_done *done, void *arg);

/* A server of a service (RFC 2782). */
struct server {
	char host[256];
	unsigned port;
};

/* The end of a look-up of a service: servers in the order to try them, by priority, by weighted chance
 * where that is equal; or a fault, NO_HOST where DNS names none, with a sentence. As above. */
typedef void resolver_servers_done(void *arg, const struct server *servers, size_t count,
    enum smtp_fault fault, const char *words);

/* `name` such as "_submissions._tcp.example.org". NULL as above. */
struct lookup *resolver_servers(
    struct resolver *r, const char *name, resolver_servers_done *done, void *arg);

/* The end of a question for records, whatever came of it. As above. */
typedef void resolver_records_done(void *arg, const struct dns_answer *answer);

struct lookup *resolver_query(struct resolver *r, const char *name, enum dns_type type,
    resolver_records_done *done, void *arg);

/* `done` will not be called. Takes NULL; returns NULL. */
struct lookup *resolver_cancel(struct lookup *l);

#endif

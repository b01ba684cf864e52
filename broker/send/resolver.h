/*
 * resolver.h: names to addresses in the event loop, by c-ares (/etc/hosts, then DNS).
 */
#ifndef FRANK_BROKER_SEND_RESOLVER_H
#define FRANK_BROKER_SEND_RESOLVER_H

#include <event2/event.h>
#include <sys/socket.h>

#include "base/smtp/smtp.h"

enum { RESOLVER_ADDRESSES_MAX = 16 };

struct resolver;
struct lookup;

struct address {
	struct sockaddr_storage sockaddr;
	socklen_t len;
};

/* The end of a look-up: addresses in the order to try them (RFC 6724), or a fault, NO_HOST or DNS,
 * with a sentence. Never called from within resolver_lookup. Everything is borrowed for the call.
 */
typedef void resolver_done(void *arg, const struct address *addresses, size_t count,
    enum smtp_fault fault, const char *words);

struct resolver *resolver_new(struct event_base *base);
/* No look-up may be under way. Takes NULL; returns NULL. */
struct resolver *resolver_free(struct resolver *r);

/* NULL: no memory, or the resolver cannot be set up. */
struct lookup *resolver_lookup(
    struct resolver *r, const char *host, unsigned port, resolver_done *done, void *arg);
/* `done` will not be called. Takes NULL; returns NULL. */
struct lookup *resolver_cancel(struct lookup *l);

/* "192.0.2.1" or "2001:db8::1". */
void address_text(const struct address *a, char *to, size_t size);
bool address_is_loopback(const struct address *a);

#endif

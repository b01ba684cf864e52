/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * loopback.h: the listener to which the browser returns (RFC 8252 section 7.3), on one port of
 * 127.0.0.1 and [::1].
 *
 * It tolerates what browsers do beside the one request that counts: favicons and other paths get 404,
 * a Host that is not this machine 403 (DNS rebinding), HEAD the head of a page, a prefetch 503; idle
 * connections are dropped in time, and a repeated callback gets the same outcome. An answer that
 * cannot be used (to another path, behind a '#', over TLS) is explained on the page and in a note for
 * the terminal. Other users' connections are refused at once, before they take up room. The owner
 * polls the descriptors, takes one callback at a time and reports its outcome.
 */
#ifndef FRANK_ADMIN_LOOPBACK_H
#define FRANK_ADMIN_LOOPBACK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "admin/page.h"

enum {
	LOOPBACK_CONNECTIONS = 16,
	LOOPBACK_FDS = LOOPBACK_CONNECTIONS + 2,
	LOOPBACK_IDLE_MS = 20000,
	LOOPBACK_CLOSE_MS = 1000,
	LOOPBACK_NOTES_MAX = 5,
	LOOPBACK_CALLERS_MAX = 4
};

struct loopback;

/* May a redirect address name this host: 127.0.0.1, localhost, ::1 or [::1]? */
bool loopback_is_host(const char *host);

/*
 * Listens on `port`, or on a free one where it is 0. `path` is that of the redirect address, ""
 * counting as "/". IPv6 is left out if the machine has none. Only the `count` users in `callers` and
 * root may connect, if the kernel says who owns a connection; everybody, if `count` is 0. 0 with *ret;
 * negative errno (-EADDRINUSE).
 */
int loopback_open(
    struct loopback **ret, unsigned port, const char *path, const uid_t *callers, size_t count);
/* Takes NULL; returns NULL. */
struct loopback *loopback_free(struct loopback *l);
unsigned loopback_port(const struct loopback *l);

/* Fills up to LOOPBACK_FDS entries; returns how many. Lowers *timeout_ms to the time at which the
 * next connection is to be dropped. */
size_t loopback_prepare(struct loopback *l, struct pollfd *fds, int64_t now_ms, int *timeout_ms);
/* After poll(), with the same entries. */
void loopback_handle(struct loopback *l, const struct pollfd *fds, size_t count, int64_t now_ms);

/* A note for the person at the terminal about a request, or NULL. Each note comes once, and at most
 * LOOPBACK_NOTES_MAX of them. It contains text from outside. Borrowed until the next
 * loopback_handle. */
const char *loopback_note(struct loopback *l);

/* The query of an undecided callback, or NULL; borrowed until the next loopback_handle. The owner
 * takes one at a time, and calls again after loopback_ignore. */
const char *loopback_callback(struct loopback *l);

/* The callback taken last was not ours: its browser, if it is still connected, gets a page that says
 * so, and the listener keeps waiting. */
void loopback_ignore(struct loopback *l, const char *text);

/* The sign-in is over: every callback is redirected to a page that says how it ended. */
void loopback_finish(
    struct loopback *l, enum page_kind kind, const char *title, const char *text, const char *next);
/* After loopback_finish: did every redirected browser get the page, and close? */
bool loopback_is_done(const struct loopback *l);

#endif

/*
 * http.h: HTTPS requests in an event loop: libcurl's multi-socket interface in libevent.
 *
 * Every request: TLS 1.2 or newer with the certificate checked, 10 s to connect and 30 s in all, at
 * most 256 kB of body, no redirect followed (the answer tells the caller where it points), no proxy
 * from the environment, HTTP/1.1, and never curl's verbose mode, which prints credentials. At most
 * HTTP_ACTIVE_MAX run at once; the others wait their turn, and their time runs from then.
 *
 * curl's memory comes from an allocator that wipes, since its copies of headers and bodies bear
 * tokens.
 */
#ifndef FRANK_BROKER_HTTPS_HTTP_H
#define FRANK_BROKER_HTTPS_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/buf.h"

enum { HTTP_ACTIVE_MAX = 32, HTTP_CONNECT_SECONDS = 10, HTTP_TOTAL_SECONDS = 30 };

struct http;
struct http_transfer;

/* Initialises libcurl: before anything else of it and once. 0 or -ENOMEM. */
int http_init(void);

/* NULL with errno. */
struct http *http_new(struct event_base *base);
/* Drops whatever is running, without calling back. Takes NULL; returns NULL. */
struct http *http_free(struct http *h);

struct http_request {
	const char *url;           /* must satisfy url_refusal */
	const struct buf *body;    /* a form to POST; NULL: GET */
	const char *authorization; /* a whole header line, "Authorization: ..."; NULL: none */
	const struct buf *ca;      /* PEM certificates that alone are trusted; NULL: the system's */
};

struct http_answer {
	const char *fault; /* no answer: a sentence that names the host; NULL: an answer came */
	long status;       /* 100..999; 0 with a fault */
	const char *body;
	size_t body_len;
	const char *location; /* the address that a redirect points to, or NULL */
	int64_t date;         /* the server's clock, seconds since 1970; -1: not told */
	int64_t retry_after;  /* seconds; -1: not told */
};

/* The answer is borrowed for the call, and wiped after it. */
typedef void http_done(void *arg, const struct http_answer *answer);

/*
 * Starts a request; everything in `q` is copied. `done` is called once, from the loop, never from
 * within this function. A POST goes out on a connection of its own, since curl repeats a request by
 * itself when a connection that it kept turns out dead, and a rotating refresh token that is
 * presented twice ends the grant (RFC 9700 section 4.14.2). 0, -EINVAL, -ENOMEM.
 */
int http_start(struct http *h, const struct http_request *q, http_done *done, void *arg);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * http.h: HTTPS requests in an event loop: libcurl's multi-socket interface in libevent.
 *
 * Every request: TLS 1.2 or newer with the certificate checked, 10 s to connect and a limit for all
 * of it, at most 256 kB of answer and as much of its header section, no redirect followed (the answer tells the caller where it points), no proxy
 * from the environment, HTTP/1.1, and never curl's verbose mode, which prints credentials. Only a
 * given number run at once; the others wait their turn, and their time runs from then.
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
#include "base/smtp/smtp.h"
#include "broker/https/upload.h"

enum {
	HTTP_ACTIVE_USUAL = 32,
	HTTP_CONNECT_SECONDS = 10,
	HTTP_TOTAL_SECONDS = 30,
	HTTP_HEADERS_MAX = 12,
	HTTP_KEEP_SECONDS = 15, /* a connection that was idle for longer is not used again */
};

struct http;
struct http_transfer;

/* Initialises libcurl: before anything else of it and once. 0 or -ENOMEM. */
int http_init(void);

/* `active_max` requests at once. NULL with errno. */
struct http *http_new(struct event_base *base, unsigned active_max);
/* Drops whatever is running, without calling back. Takes NULL; returns NULL. */
struct http *http_free(struct http *h);

struct http_request {
	const char *url;           /* must satisfy url_refusal */
	const struct buf *body;    /* a form to POST; NULL: GET, or `upload` */
	struct upload *upload;     /* to POST; borrowed until `done` */
	const char *authorization; /* a whole header line, "Authorization: ..."; NULL: none */
	const char *headers[HTTP_HEADERS_MAX]; /* more header lines; NULL ends them */
	const char *wanted_header; /* a header of the answer that is asked for; constant; or NULL */
	const struct buf *ca;      /* PEM certificates that alone are trusted; NULL: the system's */
	unsigned seconds;          /* for all of it; 0: HTTP_TOTAL_SECONDS */
	bool keep; /* the connection may be one that was used before, and may be used again */
};

struct http_answer {
	const char *fault;    /* no answer: a sentence that names the host; NULL: an answer came */
	enum smtp_fault kind; /* with a fault: which, and where */
	enum smtp_stage stage;
	bool sent;   /* the whole of the request went out, as far as can be told */
	long status; /* 100..999; 0 with a fault */
	const char *body;
	size_t body_len;
	const char *location; /* the address that a redirect points to, or NULL */
	int64_t date;         /* the server's clock, seconds since 1970; -1: not told */
	int64_t retry_after;  /* seconds; -1: not told */
	const char *wanted;   /* the value of the header that was asked for, or NULL */
	const char *address;  /* "192.0.2.1:443", or "" */
	const char *tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" */
};

/* The answer is borrowed for the call, and wiped after it. */
typedef void http_done(void *arg, const struct http_answer *answer);

/*
 * Starts a request; everything in `q` is copied. `done` is called once, from the loop, never from
 * within this function. A POST of a form goes out on a connection of its own, since curl repeats a
 * request by itself when a connection that it kept turns out dead, and a rotating refresh token that
 * is presented twice ends the grant (RFC 9700 section 4.14.2). An upload cannot be wound back, so
 * curl cannot repeat it. 0, -EINVAL, -ENOMEM.
 */
int http_start(struct http *h, const struct http_request *q, http_done *done, void *arg);

#endif

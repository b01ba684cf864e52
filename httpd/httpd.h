/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * httpd.h: an HTTP/1.1 server for local pages and APIs, over libevent's evhttp.
 *
 * The owner has the event loop and gives a table of routes. Each request becomes a struct that lives until
 * it is answered: at once, later (httpd_later), or never to the end (httpd_stream). One thread. Headers
 * and bodies are bounded, a client that is idle or does not read is dropped, and the number of connections is
 * bounded by the process's limit of descriptors (RLIMIT_NOFILE).
 *
 * Every answer forbids sniffing, storing, framing and use by other origins, unless the handler sets
 * these headers itself. What a request carries is never logged.
 */
#ifndef FRANK_HTTPD_HTTPD_H
#define FRANK_HTTPD_HTTPD_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>

#include "httpd/form.h"

struct httpd;
struct httpd_request;
struct httpd_stream;

enum httpd_method { HTTPD_GET = 1, HTTPD_POST = 2, HTTPD_PUT = 4, HTTPD_DELETE = 8 };

enum {
	HTTPD_HEADERS_MAX = 32 * 1024,
	HTTPD_IDLE_SECONDS = 60,
	HTTPD_PARAMETERS_MAX = 4,
	HTTPD_LISTENERS_MAX = 4,
	HTTPD_TABLES_MAX = 8,
	HTTPD_STREAM_PING_SECONDS = 20,
	HTTPD_STREAM_UNREAD_MAX =
	    1024 * 1024 /* octets; a client that is so far behind is dropped */
};

/* Answers `r`, or keeps it (httpd_later, httpd_stream). `arg` is what came with the table: httpd_options.arg for that of the options. */
typedef void httpd_handler(void *arg, struct httpd_request *r);

struct httpd_route {
	unsigned methods; /* of enum httpd_method; HEAD comes with GET */
	/* Segments stand for themselves, or are "{name}", which takes any one segment but an empty one. NULL
	 * ends a table. */
	const char *path;
	httpd_handler *handle;
};

struct httpd_options {
	struct event_base *base;
	const struct httpd_route *routes; /* borrowed; NULL: httpd_add_routes gives them */
	void *arg;
	/* A connection's end for TLS, made by the owner; NULL: plain. `tls_arg` is its own. */
	struct bufferevent *(*tls)(struct event_base *base, void *tls_arg);
	void *tls_arg;
	size_t body_max; /* octets of a request's body; larger ones get 413 */
	/* The names that a request's Host may have, without port, NULL at the end, borrowed: others get
	 * 421, since a foreign name may lead here too (DNS rebinding). NULL: all. */
	const char *const *hosts;
	/* POST, PUT and DELETE are for programs and for pages of this server alone: a browser that says by Origin or
	 * Sec-Fetch-Site that another page asks gets 403. True lets those through. */
	bool any_origin;
	/* Asked before each handler: false, and it has answered. NULL: none. */
	bool (*admit)(void *arg, struct httpd_request *r);
};

/* NULL: no memory. */
struct httpd *httpd_new(const struct httpd_options *o);
/* Adds a table of routes (borrowed), whose handlers get `arg`; of two that fit, the one added first answers. 0 or -E2BIG: there are
 * HTTPD_TABLES_MAX. */
int httpd_add_routes(struct httpd *h, const struct httpd_route *routes, void *arg);
/* Serves what comes in on a listening socket, which it takes; may be called for several. 0 or
 * -ENOMEM, the socket then being closed. */
int httpd_listen(struct httpd *h, evutil_socket_t fd);
/* Ends all connections; the owners of later answers and of streams hear that theirs are gone. Takes
 * and returns NULL. */
struct httpd *httpd_free(struct httpd *h);

/* ---- what is asked; all strings are borrowed and live as long as the request ---- */

enum httpd_method httpd_method(const struct httpd_request *r);
/* Is it a HEAD, which is handled as a GET, and ought to change nothing? */
bool httpd_is_head(const struct httpd_request *r);
/* The connection's descriptor, borrowed: to ask the kernel who is at its other end. */
evutil_socket_t httpd_socket(const struct httpd_request *r);
/* The path as it was sent, without query. */
const char *httpd_path(const struct httpd_request *r);
/* A "{name}" of the route, its escapes decoded; NULL: the route has none of that name. */
const char *httpd_parameter(const struct httpd_request *r, const char *name);
/* A value of the query; NULL: absent or empty. */
const char *httpd_query(const struct httpd_request *r, const char *name);
/* All of the query. */
const struct form *httpd_query_form(const struct httpd_request *r);
const char *httpd_header(const struct httpd_request *r, const char *name);
/* The body, not ended by a NUL. */
const char *httpd_body(struct httpd_request *r, size_t *len);
/* The body as JSON, whatever its Content-Type; new, the caller's. NULL: it is none, and 400 has been answered. */
json_t *httpd_body_json(struct httpd_request *r);

/* ---- the answer: one of these ends the request, which is not to be used afterwards ---- */

/* Sets a header of the answer, also in the place of a default; a value of NULL leaves it out. */
void httpd_set_header(struct httpd_request *r, const char *name, const char *value);

void httpd_reply(
    struct httpd_request *r, int status, const char *type, const void *bytes, size_t len);
/* `value` is taken; NULL stands for "no memory". */
void httpd_reply_json(struct httpd_request *r, int status, json_t *value);
/* {"error": text}, and for a person the same. */
void httpd_reply_error(struct httpd_request *r, int status, const char *text);
/* 303. */
void httpd_reply_redirect(struct httpd_request *r, const char *location);

/* Ends the connection without an answer. Not in a handler: from the `end` of httpd_later, or later. */
void httpd_drop(struct httpd_request *r);

/*
 * Keeps the request after its handler has returned. The owner answers when there is something to say.
 * If `ms` go by before, `end` is called with `gone` false, and has to answer; if the client goes away
 * or the server ends, with `gone` true, and the request is not to be used any more. After an answer
 * `end` is not called. 0 or -ENOMEM.
 */
typedef void httpd_end(void *arg, struct httpd_request *r, bool gone);
int httpd_later(struct httpd_request *r, unsigned ms, httpd_end *end, void *arg);

/*
 * Answers with Server-Sent Events (WHATWG HTML, "Server-sent events"), without an end. `gone` is called when
 * the client went away, was dropped because it does not read, or the server ends; the stream is not
 * to be used any more then. NULL: no memory, and the request has been answered.
 */
struct httpd_stream *httpd_stream(struct httpd_request *r, void (*gone)(void *arg), void *arg);
/* One event. `type` and `id` may be NULL, and have no line ends; `data` may have some. Of a client that is
 * dropped by this, `gone` is called from the loop, not from here. */
void httpd_stream_send(struct httpd_stream *s, const char *type, const char *id, const char *data);

#endif

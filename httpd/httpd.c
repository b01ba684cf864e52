/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * httpd.c: see httpd.h. What evhttp does not do is here: routes with parameters, checks of Host and
 * Origin, defaults of headers, late answers and streams.
 *
 * A request that waits is not read from. That its client has gone away is seen by an event of its own
 * for the peer's end (EV_CLOSED), since evhttp takes input at that time for a fault.
 */
#include "httpd/httpd.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"

struct httpd {
	struct httpd_options options;
	struct {
		const struct httpd_route *routes;
		void *arg;
	} tables[HTTPD_TABLES_MAX];
	size_t table_count;
	struct evhttp *http;
	struct evconnlistener *listeners[HTTPD_LISTENERS_MAX]; /* evhttp's own */
	size_t listener_count;
	struct event *rest;                   /* after a failure to accept */
	TAILQ_HEAD(, httpd_request) requests; /* those that were kept, streams among them */
};

struct httpd_stream {
	struct httpd_request *request;
	void (*gone)(void *arg);
	void *arg;
	bool dropped; /* it is behind, and goes from the loop */
};

struct httpd_request {
	TAILQ_ENTRY(httpd_request) link;
	struct httpd *server;
	struct evhttp_request *http;
	struct form query;
	struct {
		char name[32];
		char *value;
	} parameters[HTTPD_PARAMETERS_MAX];
	size_t parameter_count;
	/* while it is kept */
	bool kept;
	struct event *closed, *timer;
	httpd_end *end;
	void *end_arg;
	struct httpd_stream stream;
	bool streams;
};

/* ---- the life of a request ---- */

static void
request_free(struct httpd_request *r)
{
	struct evhttp_connection *c = evhttp_request_get_connection(r->http);

	if (c != NULL)
		evhttp_connection_set_closecb(c, NULL, NULL);
	if (r->kept)
		TAILQ_REMOVE(&r->server->requests, r, link);
	if (r->closed != NULL)
		event_free(r->closed);
	if (r->timer != NULL)
		event_free(r->timer);
	for (size_t i = 0; i < r->parameter_count; i++)
		free(r->parameters[i].value);
	form_clear(&r->query);
	free(r);
}

/* The client of a request that was kept has gone: its owner hears so. */
static void
tell_gone(struct httpd_request *r)
{
	if (r->streams && r->stream.gone != NULL)
		r->stream.gone(r->stream.arg);
	else if (!r->streams && r->end != NULL)
		r->end(r->end_arg, r, true);
}

/* evhttp ends the connection, for a reason of its own. */
static void
on_connection_end(struct evhttp_connection *c, void *arg)
{
	struct httpd_request *r = arg;
	struct evhttp_request *http = r->http;

	tell_gone(r);
	request_free(r);
	/* one that was not answered to its end has been parted from its connection by then, and is ours */
	if (evhttp_request_get_connection(http) == NULL)
		evhttp_request_free(http);
}

/* Ends connection and request from here. */
static void
drop(struct httpd_request *r)
{
	struct evhttp_connection *c = evhttp_request_get_connection(r->http);

	evhttp_connection_set_closecb(c, NULL, NULL);
	tell_gone(r);
	request_free(r);
	evhttp_connection_free(c);
}

static void
on_closed(evutil_socket_t fd, short what, void *arg)
{
	drop(arg);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct httpd_request *r = arg;

	if (r->streams)
		drop(r); /* it is behind */
	else
		r->end(r->end_arg, r, false);
}

static void
on_ping(evutil_socket_t fd, short what, void *arg)
{
	struct httpd_request *r = arg;
	const struct timeval again = {.tv_sec = HTTPD_STREAM_PING_SECONDS};
	struct evbuffer *out;

	if (r->stream.dropped) {
		drop(r);
		return;
	}
	out = evbuffer_new();
	if (out != NULL && evbuffer_add(out, ": ping\n\n", 8) == 0)
		evhttp_send_reply_chunk(r->http, out);
	if (out != NULL)
		evbuffer_free(out);
	(void)evtimer_add(r->timer, &again);
}

/* Keeps it until it is answered, for `seconds` and `ms`, after which `late` comes. 0 or -ENOMEM. */
static int
keep(struct httpd_request *r, const struct timeval *limit, event_callback_fn late)
{
	struct evhttp_connection *c = evhttp_request_get_connection(r->http);
	struct event_base *base = r->server->options.base;
	evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c));

	if (r->timer != NULL)
		event_free(r->timer);
	r->timer = evtimer_new(base, late, r);
	if (r->closed == NULL)
		r->closed = event_new(base, fd, EV_CLOSED, on_closed, r);
	if (r->timer == NULL || r->closed == NULL || event_add(r->timer, limit) < 0 ||
	    event_add(r->closed, NULL) < 0)
		return -ENOMEM;
	if (!r->kept)
		TAILQ_INSERT_TAIL(&r->server->requests, r, link);
	r->kept = true;
	evhttp_connection_set_closecb(c, on_connection_end, r);
	return 0;
}

/* ---- what is asked ---- */

enum httpd_method
httpd_method(const struct httpd_request *r)
{
	switch (evhttp_request_get_command(r->http)) {
	case EVHTTP_REQ_POST:
		return HTTPD_POST;
	case EVHTTP_REQ_PUT:
		return HTTPD_PUT;
	case EVHTTP_REQ_DELETE:
		return HTTPD_DELETE;
	default:
		return HTTPD_GET;
	}
}

bool
httpd_is_head(const struct httpd_request *r)
{
	return evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD;
}

evutil_socket_t
httpd_socket(const struct httpd_request *r)
{
	return bufferevent_getfd(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->http)));
}

const char *
httpd_path(const struct httpd_request *r)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r->http));

	return path == NULL ? "" : path;
}

const char *
httpd_parameter(const struct httpd_request *r, const char *name)
{
	for (size_t i = 0; i < r->parameter_count; i++)
		if (strcmp(r->parameters[i].name, name) == 0)
			return r->parameters[i].value;
	return NULL;
}

const char *
httpd_query(const struct httpd_request *r, const char *name)
{
	return form_get(&r->query, name);
}

const struct form *
httpd_query_form(const struct httpd_request *r)
{
	return &r->query;
}

const char *
httpd_header(const struct httpd_request *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->http), name);
}

const char *
httpd_body(struct httpd_request *r, size_t *len)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
	const unsigned char *bytes = evbuffer_pullup(in, -1);

	*len = bytes == NULL ? 0 : evbuffer_get_length(in);
	return bytes == NULL ? "" : (const char *)bytes;
}

json_t *
httpd_body_json(struct httpd_request *r)
{
	json_error_t error;
	size_t len;
	const char *bytes = httpd_body(r, &len);
	json_t *value = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
	char text[JSON_ERROR_TEXT_LENGTH + 64];

	if (value == NULL) {
		(void)snprintf(
		    text, sizeof(text), "the body is no JSON: line %d: %s", error.line, error.text);
		httpd_reply_error(r, 400, text);
	}
	return value;
}

/* ---- answers ---- */

void
httpd_set_header(struct httpd_request *r, const char *name, const char *value)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);

	(void)evhttp_remove_header(headers, name);
	/* an empty one stands for "none" until the answer is sent; one that memory has no room for, or with line
	 * ends, is left out */
	(void)evhttp_add_header(headers, name, value == NULL ? "" : value);
}

static void
add_defaults(struct httpd_request *r, const char *type)
{
	static const char *const defaults[][2] = {{"Cache-Control", "no-store"},
	    {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
	    {"X-Frame-Options", "DENY"}, {"Cross-Origin-Opener-Policy", "same-origin"},
	    {"Cross-Origin-Resource-Policy", "same-origin"},
	    {"Content-Security-Policy",
		"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}};
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);
	struct evkeyval *h, *next;

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		if (evhttp_find_header(headers, defaults[i][0]) == NULL)
			(void)evhttp_add_header(headers, defaults[i][0], defaults[i][1]);
	if (type != NULL)
		(void)evhttp_add_header(headers, "Content-Type", type);
	for (h = TAILQ_FIRST(headers); h != NULL; h = next) {
		next = TAILQ_NEXT(h, next);
		if (h->value[0] == '\0')
			(void)evhttp_remove_header(headers, h->key);
	}
}

/* Sends and ends it. `out` is taken, and may be NULL for "no memory". */
static void
send_whole(struct httpd_request *r, int status, const char *type, struct evbuffer *out)
{
	struct evhttp_request *http = r->http;
	char length[24];

	if (out == NULL) {
		request_free(r);
		evhttp_send_error(http, HTTP_INTERNAL, NULL);
		return;
	}
	add_defaults(r, type);
	if (evhttp_request_get_command(http) == EVHTTP_REQ_HEAD) {
		(void)snprintf(length, sizeof(length), "%zu", evbuffer_get_length(out));
		(void)evhttp_add_header(
		    evhttp_request_get_output_headers(http), "Content-Length", length);
		(void)evbuffer_drain(out, evbuffer_get_length(out));
	}
	request_free(r);
	evhttp_send_reply(http, status, NULL, out);
	evbuffer_free(out);
}

void
httpd_reply(struct httpd_request *r, int status, const char *type, const void *bytes, size_t len)
{
	struct evbuffer *out = evbuffer_new();

	if (out != NULL && evbuffer_add(out, bytes, len) < 0) {
		evbuffer_free(out);
		out = NULL;
	}
	send_whole(r, status, type, out);
}

void
httpd_reply_json(struct httpd_request *r, int status, json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(value);
	if (text == NULL) {
		send_whole(r, status, NULL, NULL);
		return;
	}
	httpd_reply(r, status, "application/json", text, strlen(text));
	mem_wipe(text, strlen(text));
	free(text);
}

void
httpd_reply_error(struct httpd_request *r, int status, const char *text)
{
	httpd_reply_json(r, status, json_pack("{s:s}", "error", text));
}

void
httpd_reply_redirect(struct httpd_request *r, const char *location)
{
	httpd_set_header(r, "Location", location);
	httpd_reply(r, 303, NULL, "", 0);
}

int
httpd_later(struct httpd_request *r, unsigned ms, httpd_end *end, void *arg)
{
	const struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	r->end = end;
	r->end_arg = arg;
	return keep(r, &limit, on_late);
}

void
httpd_drop(struct httpd_request *r)
{
	r->end = NULL; /* the owner knows */
	r->stream.gone = NULL;
	drop(r);
}

/* ---- streams ---- */

struct httpd_stream *
httpd_stream(struct httpd_request *r, void (*gone)(void *arg), void *arg)
{
	const struct timeval ping = {.tv_sec = HTTPD_STREAM_PING_SECONDS},
			     unread = {.tv_sec = HTTPD_IDLE_SECONDS};

	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD || keep(r, &ping, on_ping) < 0) {
		httpd_reply(r, 200, "text/event-stream", "", 0);
		return NULL;
	}
	r->stream = (struct httpd_stream){.request = r, .gone = gone, .arg = arg};
	r->streams = true;
	/* It has nothing to say, but has to read. */
	bufferevent_set_timeouts(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->http)), NULL,
	    &unread);
	httpd_set_header(r, "Connection", "close");
	add_defaults(r, "text/event-stream; charset=utf-8");
	evhttp_send_reply_start(r->http, 200, "OK");
	return &r->stream;
}

void
httpd_stream_send(struct httpd_stream *s, const char *type, const char *id, const char *data)
{
	static const struct timeval now;
	struct httpd_request *r = s->request;
	struct evhttp_connection *c = evhttp_request_get_connection(r->http);
	struct evbuffer *out = evbuffer_new(),
			*unread = bufferevent_get_output(evhttp_connection_get_bufferevent(c));
	bool fits = out != NULL && evbuffer_get_length(unread) < HTTPD_STREAM_UNREAD_MAX;

	if (fits && type != NULL)
		fits = evbuffer_add_printf(out, "event: %s\n", type) >= 0;
	if (fits && id != NULL)
		fits = evbuffer_add_printf(out, "id: %s\n", id) >= 0;
	for (const char *line = data; fits && line != NULL;) {
		size_t len = strcspn(line, "\r\n");

		fits = evbuffer_add_printf(out, "data: %.*s\n", (int)len, line) >= 0;
		line = line[len] == '\0' ? NULL : line + len + 1;
	}
	if (fits && evbuffer_add(out, "\n", 1) == 0) {
		evhttp_send_reply_chunk(r->http, out);
	} else {
		s->dropped = true;
		(void)evtimer_add(r->timer, &now);
	}
	if (out != NULL)
		evbuffer_free(out);
}

/* ---- routes ---- */

/* A segment that the route leaves open: its value, decoded. False: it is none that can stand there. */
static bool
take_parameter(
    struct httpd_request *r, const char *name, size_t name_len, const char *segment, size_t len)
{
	char *text, *value;
	size_t size = 0;

	if (len == 0 || r->parameter_count == HTTPD_PARAMETERS_MAX ||
	    name_len >= sizeof(r->parameters[0].name))
		return false;
	text = strndup(segment, len);
	value = text == NULL ? NULL : evhttp_uridecode(text, 0, &size);
	free(text);
	if (value == NULL || strlen(value) != size) {
		free(value);
		return false;
	}
	memcpy(r->parameters[r->parameter_count].name, name, name_len);
	r->parameters[r->parameter_count].name[name_len] = '\0';
	r->parameters[r->parameter_count++].value = value;
	return true;
}

static bool
route_fits(struct httpd_request *r, const char *pattern, const char *path)
{
	while (*pattern == '/' && *path == '/') {
		size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");

		if (want > 2 && pattern[0] == '{') {
			if (!take_parameter(r, pattern + 1, want - 2, path, have))
				break;
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			break;
		}
		pattern += want;
		path += have;
	}
	if (*pattern == '\0' && *path == '\0')
		return true;
	while (r->parameter_count > 0)
		free(r->parameters[--r->parameter_count].value);
	return false;
}

static void
refuse_method(struct httpd_request *r, unsigned methods)
{
	char allow[64];

	(void)snprintf(allow, sizeof(allow), "OPTIONS%s%s%s%s",
	    methods & HTTPD_GET ? ", GET, HEAD" : "", methods & HTTPD_POST ? ", POST" : "",
	    methods & HTTPD_PUT ? ", PUT" : "", methods & HTTPD_DELETE ? ", DELETE" : "");
	httpd_set_header(r, "Allow", allow);
	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_OPTIONS)
		httpd_reply(r, 204, NULL, "", 0);
	else
		httpd_reply_error(r, 405, "this address does not take this method");
}

/* Hands the request to the route that takes it, and returns true; else adds to *methods what the address takes. */
static bool
try_routes(struct httpd_request *r, const struct httpd_route *routes, void *arg, unsigned *methods)
{
	const struct httpd_options *o = &r->server->options;
	bool options = evhttp_request_get_command(r->http) == EVHTTP_REQ_OPTIONS;

	for (const struct httpd_route *route = routes; route->path != NULL; route++) {
		if (!route_fits(r, route->path, httpd_path(r)))
			continue;
		*methods |= route->methods;
		if (!options && (route->methods & httpd_method(r)) != 0) {
			if (o->admit == NULL || o->admit(o->arg, r))
				route->handle(arg, r);
			return true;
		}
		while (r->parameter_count > 0)
			free(r->parameters[--r->parameter_count].value);
	}
	return false;
}

static void
dispatch(struct httpd_request *r)
{
	const struct httpd *h = r->server;
	unsigned methods = 0;

	for (size_t i = 0; i < h->table_count; i++)
		if (try_routes(r, h->tables[i].routes, h->tables[i].arg, &methods))
			return;
	if (methods != 0)
		refuse_method(r, methods);
	else
		httpd_reply_error(r, 404, "there is nothing at this address");
}

/* ---- who may ask ---- */

static bool
host_is_ours(const struct httpd_request *r)
{
	const char *host = httpd_header(r, "Host");
	size_t len;

	if (r->server->options.hosts == NULL)
		return true;
	if (host == NULL)
		return false;
	len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	for (const char *const *name = r->server->options.hosts; *name != NULL; name++)
		if (strlen(*name) == len && strncasecmp(host, *name, len) == 0)
			return true;
	return false;
}

/* Is it a program, or a page of this very server? */
static bool
origin_is_ours(const struct httpd_request *r)
{
	const char *site = httpd_header(r, "Sec-Fetch-Site"), *origin = httpd_header(r, "Origin"),
		   *host = httpd_header(r, "Host");
	const char *scheme = r->server->options.tls == NULL ? "http://" : "https://";

	if (httpd_method(r) == HTTPD_GET || r->server->options.any_origin)
		return true;
	if (site != NULL && strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0)
		return false;
	return origin == NULL ||
	       (host != NULL && strncasecmp(origin, scheme, strlen(scheme)) == 0 &&
		   strcasecmp(origin + strlen(scheme), host) == 0);
}

static void
on_request(struct evhttp_request *http, void *arg)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(http));
	const char *uri = evhttp_request_get_uri(http);
	struct httpd_request *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		evhttp_send_error(http, HTTP_INTERNAL, NULL);
		return;
	}
	r->server = arg;
	r->http = http;
	if (!host_is_ours(r))
		httpd_reply_error(r, 421, "this server has another name");
	else if (!origin_is_ours(r))
		httpd_reply_error(r, 403, "a page of another origin may not ask for this");
	else if (strncmp(uri, "//", 2) ==
		 0) /* clients paste such together; evhttp reads a host there */
		httpd_reply_redirect(r, uri + strspn(uri, "/") - 1);
	else if (query != NULL && form_parse(&r->query, query, strlen(query)) < 0)
		httpd_reply_error(r, 400, "the query is malformed, or has a name twice");
	else
		dispatch(r);
}

/* ---- the server ---- */

/* Accepting fails where there is no descriptor left. The connection stays in the backlog, and the listener would be called
 * again at once: it rests instead. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	const struct timeval rest = {.tv_sec = 1};
	struct httpd *h = arg;

	if (event_add(h->rest, &rest) == 0)
		(void)evconnlistener_disable(l);
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct httpd *h = arg;

	for (size_t i = 0; i < h->listener_count; i++)
		(void)evconnlistener_enable(h->listeners[i]);
}

struct httpd *
httpd_new(const struct httpd_options *o)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->options = *o;
	TAILQ_INIT(&h->requests);
	if (o->routes != NULL)
		(void)httpd_add_routes(h, o->routes, o->arg);
	h->http = evhttp_new(o->base);
	h->rest = evtimer_new(o->base, on_rested, h);
	if (h->http == NULL || h->rest == NULL)
		return httpd_free(h);
	if (o->tls != NULL)
		evhttp_set_bevcb(h->http, o->tls, o->tls_arg);
	evhttp_set_gencb(h->http, on_request, h);
	evhttp_set_max_body_size(h->http, (ev_ssize_t)o->body_max);
	evhttp_set_max_headers_size(h->http, HTTPD_HEADERS_MAX);
	evhttp_set_timeout(h->http, HTTPD_IDLE_SECONDS);
	evhttp_set_allowed_methods(h->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
						EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						EVHTTP_REQ_OPTIONS);
	return h;
}

int
httpd_add_routes(struct httpd *h, const struct httpd_route *routes, void *arg)
{
	if (h->table_count == HTTPD_TABLES_MAX)
		return -E2BIG;
	h->tables[h->table_count].routes = routes;
	h->tables[h->table_count++].arg = arg;
	return 0;
}

int
httpd_listen(struct httpd *h, evutil_socket_t fd)
{
	struct evconnlistener *l = NULL;

	if (evutil_make_socket_nonblocking(fd) == 0 && h->listener_count < HTTPD_LISTENERS_MAX)
		l = evconnlistener_new(h->options.base, NULL, NULL,
		    LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
	if (l == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	if (evhttp_bind_listener(h->http, l) == NULL) {
		evconnlistener_free(l);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(l, on_accept_error);
	h->listeners[h->listener_count++] = l;
	return 0;
}

struct httpd *
httpd_free(struct httpd *h)
{
	if (h == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&h->requests))
		drop(TAILQ_FIRST(&h->requests));
	if (h->rest != NULL)
		event_free(h->rest);
	if (h->http != NULL)
		evhttp_free(h->http);
	free(h);
	return NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * web.c: see web.h. libevent's HTTP server over its OpenSSL bufferevents; every connection is TLS.
 *
 * Nothing of a query or a body is logged: they carry codes, passwords and tokens.
 */
#include "sandbox/web.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/log.h"
#include "sandbox/pages.h"

struct web {
	struct sandbox *sandbox;
	struct evhttp *http;
	const struct web_route *const *tables;
	TAILQ_HEAD(, web_wait) waiting; /* requests that a fault lets wait */
};

enum { HANG_SECONDS = 300 };

uint64_t
web_now(void)
{
	return (uint64_t)time(NULL);
}

const char *
web_header(const struct web_request *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->http), name);
}

const char *
web_bearer(const struct web_request *r)
{
	const char *value = web_header(r, "Authorization");

	return value != NULL && strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
}

static void
reply(struct web_request *r, int status, const char *type, const char *bytes, size_t len)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);
	struct evbuffer *out = evbuffer_new();

	/* a header that does not fit into memory is left out; the answer itself is checked below */
	(void)evhttp_add_header(headers, "Content-Type", type);
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	(void)evhttp_add_header(headers, "Content-Security-Policy",
	    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri "
	    "'none'");
	if (out == NULL || evbuffer_add(out, bytes, len) < 0)
		evhttp_send_error(r->http, HTTP_INTERNAL, NULL);
	else
		evhttp_send_reply(r->http, status, NULL, out);
	if (out != NULL)
		evbuffer_free(out);
}

void
web_reply_page(struct web_request *r, int status, const struct buf *page)
{
	if (page->failed)
		evhttp_send_error(r->http, HTTP_INTERNAL, NULL);
	else
		reply(r, status, "text/html; charset=utf-8", buf_str(page), page->len);
}

void
web_reply_json(struct web_request *r, int status, json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);

	if (text == NULL) {
		evhttp_send_error(r->http, HTTP_INTERNAL, NULL);
	} else {
		reply(r, status, "application/json", text, strlen(text));
		mem_wipe(text, strlen(text));
	}
	free(text);
	json_decref(value);
}

/* As Microsoft's token endpoint answers: ids for its support, and the number of the error by itself. */
static json_t *
microsoft_error(const char *error, const char *description)
{
	static const char trace[] = "0b2c1d3e-4f50-4617-8293-a4b5c6d7e800",
			  correlation[] = "5d2f0c1a-9b3e-4c7d-8e6f-102030405060";
	char date[32] = "";
	struct tm tm;
	time_t now = time(NULL);

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%SZ", &tm);
	return json_pack("{s:s, s:o, s:[i], s:s, s:s, s:s, s:s}", "error", error,
	    "error_description",
	    json_sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", description, trace,
		correlation, date),
	    "error_codes", (int)strtol(description + strlen("AADSTS"), NULL, 10), "timestamp", date,
	    "trace_id", trace, "correlation_id", correlation, "error_uri",
	    "https://login.microsoftonline.com/error");
}

void
web_reply_error(struct web_request *r, int status, const char *error, const char *description)
{
	web_reply_json(r, status,
	    strncmp(description, "AADSTS", 6) == 0
		? microsoft_error(error, description)
		: json_pack("{s:s, s:s}", "error", error, "error_description", description));
}

void
web_reply_redirect(struct web_request *r, const char *location)
{
	struct buf page CLEANUP_BUF = BUF_INIT(16);

	if (evhttp_add_header(evhttp_request_get_output_headers(r->http), "Location", location) < 0)
		evhttp_send_error(r->http, HTTP_INTERNAL, NULL);
	else
		web_reply_page(r, 303, &page);
}

static int
parse_forms(struct web_request *r)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->http));
	const char *type = web_header(r, "Content-Type");
	struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
	size_t len = evbuffer_get_length(in);
	int error = 0;

	if (query != NULL)
		error = form_parse(&r->query, query, strlen(query));
	if (error == 0 && len > 0) {
		const unsigned char *bytes = evbuffer_pullup(in, -1);

		if (type != NULL && strncasecmp(type, "application/json", 16) == 0) {
			r->json = bytes == NULL ? NULL
						: json_loadb((const char *)bytes, len,
						      JSON_REJECT_DUPLICATES, NULL);
			return r->json == NULL ? -EBADMSG : 0;
		}
		if (type == NULL || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
			return -EBADMSG;
		error = bytes == NULL ? -ENOMEM : form_parse(&r->body, (const char *)bytes, len);
	}
	return error;
}

static void
dispatch(struct web *w, struct web_request *r, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(r->http);
	bool found = false;

	for (const struct web_route *const *table = w->tables; *table != NULL; table++)
		for (const struct web_route *route = *table; route->path != NULL; route++) {
			if (strcmp(route->path, path) != 0)
				continue;
			found = true;
			if (route->method == method) {
				route->handle(r);
				return;
			}
		}
	if (found)
		web_reply_error(
		    r, 405, "invalid_request", "This address does not take this method.");
	else
		web_reply_error(r, 404, "invalid_request", "There is nothing at this address.");
}

static void
serve(struct web *w, struct evhttp_request *http, const struct fault *resumed)
{
	struct web_request r = {.sandbox = w->sandbox, .http = http, .resumed = resumed};
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));

	if (parse_forms(&r) < 0)
		web_reply_error(&r, 400, "invalid_request",
		    "The parameters are malformed, or one is given twice.");
	else
		dispatch(w, &r, path == NULL ? "" : path);
	form_clear(&r.query);
	form_clear(&r.body);
	json_decref(r.json);
}

static void
on_request(struct evhttp_request *http, void *arg)
{
	serve(arg, http, NULL);
}

/* ---- faults ---- */

/* A request that waits. */
struct web_wait {
	TAILQ_ENTRY(web_wait) link;
	struct web *web;
	struct evhttp_request *http;
	struct event *timer;
	struct fault fault;
};

static void
waiting_free(struct web_wait *w)
{
	TAILQ_REMOVE(&w->web->waiting, w, link);
	if (w->timer != NULL)
		event_free(w->timer);
	free(w);
}

static void
on_gone(struct evhttp_connection *connection, void *arg)
{
	waiting_free(arg);
}

static void
on_waited(evutil_socket_t fd, short what, void *arg)
{
	struct web_wait *w = arg;
	struct evhttp_connection *c = evhttp_request_get_connection(w->http);
	struct evhttp_request *http = w->http;
	struct fault fault = w->fault;
	struct web *web = w->web;

	evhttp_connection_set_closecb(c, NULL, NULL);
	waiting_free(w);
	if (fault.action == FAULT_DROP || fault.action == FAULT_HANG)
		evhttp_connection_free(c);
	else
		serve(web, http, &fault);
}

/* Lets the request wait; its connection is not read meanwhile. False: no memory. */
static bool
wait_for(struct web_request *r, const struct fault *f)
{
	struct web_wait *w = calloc(1, sizeof(*w));
	unsigned ms = f->delay_ms + (f->action == FAULT_HANG ? HANG_SECONDS * 1000U : 0);
	const struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	if (w == NULL)
		return false;
	w->web = r->sandbox->web;
	w->http = r->http;
	w->fault = *f;
	w->fault.delay_ms = 0;
	TAILQ_INSERT_TAIL(&w->web->waiting, w, link);
	w->timer = evtimer_new(r->sandbox->base, on_waited, w);
	if (w->timer == NULL || event_add(w->timer, &limit) < 0) {
		waiting_free(w);
		return false;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(r->http), on_gone, w);
	return true;
}

/* Answers with the status and words of the fault: "error description". */
static void
reply_fault(struct web_request *r, struct fault *f)
{
	char seconds[16], *space = strchr(f->text, ' ');

	if (f->retry_after > 0) {
		(void)snprintf(seconds, sizeof(seconds), "%u", f->retry_after);
		/* a header that a reply lacks for want of memory changes little for the client */
		(void)evhttp_add_header(
		    evhttp_request_get_output_headers(r->http), "Retry-After", seconds);
	}
	if (space != NULL)
		*space = '\0';
	web_reply_error(r, f->code, f->text, space == NULL ? "" : space + 1);
}

void
web_refuse(struct web_request *r, const char *fault)
{
	const struct fault_event e = {.stage = FAULT_TOKEN};
	struct fault f;

	if (faults_named(fault, &e, &f))
		reply_fault(r, &f);
	else
		web_reply_error(r, 400, "invalid_request", "");
}

static void
reply_html(struct web_request *r, int status)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_error(&page, "Something is in the way",
	    "This page is where an answer for a program should be.");
	web_reply_page(r, status, &page);
}

bool
web_fault(struct web_request *r, enum fault_stage stage, const char *account, struct fault *ret)
{
	const struct fault_event e = {.stage = stage, .account = account};

	if (r->resumed != NULL)
		*ret = *r->resumed;
	else if (!faults_find(r->sandbox->faults, &e, sandbox_clock(), ret))
		return false;
	else
		log_line(LOG_LEVEL_NOTICE, "fault on demand",
		    LOG_PAIRS({LOG_OUTCOME, ret->name}, {LOG_ACCOUNT, account}));
	if ((ret->delay_ms > 0 || ret->action == FAULT_HANG || ret->action == FAULT_DROP) &&
	    wait_for(r, ret))
		return true;
	if (ret->action == FAULT_HTML)
		reply_html(r, ret->code);
	else if (ret->action == FAULT_REPLY && stage != FAULT_AUTHORIZE)
		reply_fault(r, ret);
	else
		return false;
	return true;
}

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
	struct web *w = arg;

	return sandbox_tls_connection(w->sandbox, -1);
}

static void
drop(struct web_wait *w)
{
	struct evhttp_connection *c = evhttp_request_get_connection(w->http);

	evhttp_connection_set_closecb(c, NULL, NULL);
	waiting_free(w);
	evhttp_connection_free(c);
}

struct web *
web_start(struct sandbox *s, const struct web_route *const *tables, unsigned *port, int *ret_error)
{
	struct web *w = calloc(1, sizeof(*w));
	int fds[2] = {-1, -1};
	size_t i;

	*ret_error = -ENOMEM;
	if (w == NULL)
		return NULL;
	w->sandbox = s;
	s->web = w;
	TAILQ_INIT(&w->waiting);
	w->http = evhttp_new(s->base);
	w->tables = tables;
	if (w->http == NULL)
		return web_stop(w);
	*ret_error = sandbox_listen(s, port, fds);
	if (*ret_error < 0)
		return web_stop(w);
	(void)snprintf(s->issuer, sizeof(s->issuer),
	    strchr(s->host, ':') != NULL ? "https://[%s]:%u" : "https://%s:%u", s->host, *port);
	evhttp_set_bevcb(w->http, new_connection, w);
	evhttp_set_gencb(w->http, on_request, w);
	evhttp_set_max_body_size(w->http, FORM_BYTES_MAX);
	evhttp_set_max_headers_size(w->http, 32 * 1024);
	evhttp_set_timeout(w->http, 60);
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
						EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] < 0)
			continue;
		if (evhttp_accept_socket(w->http, fds[i]) < 0) {
			(void)close(fds[i]);
			*ret_error = -ENOMEM;
			if (i == 0)
				return web_stop(w);
		}
	}
	*ret_error = 0;
	return w;
}

struct web *
web_stop(struct web *w)
{
	if (w == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&w->waiting))
		drop(TAILQ_FIRST(&w->waiting));
	if (w->http != NULL)
		evhttp_free(w->http);
	free(w);
	return NULL;
}

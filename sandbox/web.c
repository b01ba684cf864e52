/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * web.c: see web.h. The server is httpd's, over TLS: every route of the tables leads to on_request, which takes the body apart.
 *
 * Nothing of a query or a body is logged: they carry codes, passwords and tokens.
 */
#include "sandbox/web.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "sandbox/pages.h"

enum { ROUTES_MAX = 48, HANG_SECONDS = 300 };

struct web {
	struct sandbox *sandbox;
	struct httpd *http;
	const struct web_route *const *tables;
	struct httpd_route routes[ROUTES_MAX + 1];
};

uint64_t
web_now(void)
{
	return (uint64_t)time(NULL);
}

const char *
web_header(const struct web_request *r, const char *name)
{
	return httpd_header(r->http, name);
}

const char *
web_bearer(const struct web_request *r)
{
	const char *value = web_header(r, "Authorization");

	return value != NULL && strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
}

/* ---- answers ---- */

void
web_reply_page(struct web_request *r, int status, const struct buf *page)
{
	httpd_set_header(r->http, "Content-Security-Policy",
	    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri "
	    "'none'");
	if (page->failed)
		httpd_reply_error(r->http, 500, "no memory");
	else
		httpd_reply(r->http, status, "text/html; charset=utf-8", buf_str(page), page->len);
}

void
web_reply_json(struct web_request *r, int status, json_t *value)
{
	httpd_reply_json(r->http, status, value);
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
	httpd_reply_redirect(r->http, location);
}

/* ---- requests ---- */

/* Takes the body apart, where there is one. 0 or negative errno. */
static int
parse_body(struct web_request *r)
{
	const char *type = web_header(r, "Content-Type");
	size_t len;
	const char *bytes = httpd_body(r->http, &len);

	if (len == 0)
		return 0;
	if (type != NULL && strncasecmp(type, "application/json", 16) == 0) {
		r->json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
		return r->json == NULL ? -EBADMSG : 0;
	}
	if (type == NULL || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
		return -EBADMSG;
	return form_parse(&r->body, bytes, len);
}

static const struct web_route *
find_route(const struct web *w, const char *path, enum httpd_method method)
{
	for (const struct web_route *const *table = w->tables; *table != NULL; table++)
		for (const struct web_route *route = *table; route->path != NULL; route++)
			if (strcmp(route->path, path) == 0 && route->method == method)
				return route;
	return NULL;
}

static void
serve(struct web *w, struct httpd_request *http, const struct fault *resumed)
{
	struct web_request r = {.sandbox = w->sandbox,
	    .http = http,
	    .query = httpd_query_form(http),
	    .resumed = resumed};
	const struct web_route *route = find_route(w, httpd_path(http), httpd_method(http));

	if (parse_body(&r) < 0 || route == NULL)
		web_reply_error(&r, 400, "invalid_request",
		    "The parameters are malformed, or one is given twice.");
	else
		route->handle(&r);
	form_clear(&r.body);
	json_decref(r.json);
}

static void
on_request(void *arg, struct httpd_request *http)
{
	serve(arg, http, NULL);
}

/* ---- faults ---- */

/* What a request waits for. */
struct web_wait {
	struct web *web;
	struct fault fault;
};

static void
on_waited(void *arg, struct httpd_request *http, bool gone)
{
	struct web_wait *w = arg;
	struct web_wait it = *w;

	free(w);
	if (gone)
		return;
	if (it.fault.action == FAULT_DROP || it.fault.action == FAULT_HANG)
		httpd_drop(http);
	else
		serve(it.web, http, &it.fault);
}

/* Lets the request wait. False: no memory. */
static bool
wait_for(struct web_request *r, const struct fault *f)
{
	struct web_wait *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return false;
	w->web = r->sandbox->web;
	w->fault = *f;
	w->fault.delay_ms = 0;
	if (httpd_later(r->http, f->delay_ms + (f->action == FAULT_HANG ? HANG_SECONDS * 1000U : 0),
		on_waited, w) == 0)
		return true;
	free(w);
	return false;
}

/* Answers with the status and words of the fault: "error description". */
static void
reply_fault(struct web_request *r, struct fault *f)
{
	char seconds[16], *space = strchr(f->text, ' ');

	if (f->retry_after > 0) {
		(void)snprintf(seconds, sizeof(seconds), "%u", f->retry_after);
		httpd_set_header(r->http, "Retry-After", seconds);
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

/* ---- the server ---- */

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
	struct web *w = arg;

	return sandbox_tls_connection(w->sandbox, -1);
}

/* httpd's table, out of ours. */
static void
make_routes(struct web *w)
{
	size_t n = 0;

	for (const struct web_route *const *table = w->tables; *table != NULL; table++)
		for (const struct web_route *route = *table; route->path != NULL && n < ROUTES_MAX;
		     route++)
			w->routes[n++] = (struct httpd_route){
			    .methods = route->method, .path = route->path, .handle = on_request};
}

struct web *
web_start(struct sandbox *s, const struct web_route *const *tables, unsigned *port, int *ret_error)
{
	struct web *w = calloc(1, sizeof(*w));
	/* A browser says "Origin: null" with the forms of pages that send no referrer; what these forms do hangs on a random name. */
	struct httpd_options o = {.base = s->base,
	    .arg = w,
	    .tls = new_connection,
	    .tls_arg = w,
	    .body_max = FORM_BYTES_MAX,
	    .any_origin = true};
	int fds[2] = {-1, -1};

	*ret_error = -ENOMEM;
	if (w == NULL)
		return NULL;
	w->sandbox = s;
	s->web = w;
	w->tables = tables;
	make_routes(w);
	o.routes = w->routes;
	w->http = httpd_new(&o);
	if (w->http == NULL)
		return web_stop(w);
	*ret_error = sandbox_listen(s, port, fds);
	if (*ret_error < 0)
		return web_stop(w);
	(void)snprintf(s->issuer, sizeof(s->issuer),
	    strchr(s->host, ':') != NULL ? "https://[%s]:%u" : "https://%s:%u", s->host, *port);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0 && *ret_error == 0)
			*ret_error = httpd_listen(w->http, fds[i]);
	return *ret_error == 0 ? w : web_stop(w);
}

struct web *
web_stop(struct web *w)
{
	if (w == NULL)
		return NULL;
	(void)httpd_free(w->http);
	free(w);
	return NULL;
}

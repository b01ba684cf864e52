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
#include <time.h>

struct web {
	struct sandbox *sandbox;
	struct evhttp *http;
	const struct web_route *const *tables;
};

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

void
web_reply_error(struct web_request *r, int status, const char *error, const char *description)
{
	web_reply_json(
	    r, status, json_pack("{s:s, s:s}", "error", error, "error_description", description));
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
on_request(struct evhttp_request *http, void *arg)
{
	struct web *w = arg;
	struct web_request r = {.sandbox = w->sandbox, .http = http};
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));

	if (parse_forms(&r) < 0)
		web_reply_error(&r, 400, "invalid_request",
		    "The parameters are malformed, or one is given twice.");
	else
		dispatch(w, &r, path == NULL ? "" : path);
	form_clear(&r.query);
	form_clear(&r.body);
}

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
	struct web *w = arg;

	return sandbox_tls_connection(w->sandbox, -1);
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
	w->http = evhttp_new(s->base);
	w->tables = tables;
	if (w->http == NULL)
		return web_stop(w);
	*ret_error = sandbox_listen(port, fds);
	if (*ret_error < 0)
		return web_stop(w);
	(void)snprintf(s->issuer, sizeof(s->issuer), "https://localhost:%u", *port);
	evhttp_set_bevcb(w->http, new_connection, w);
	evhttp_set_gencb(w->http, on_request, w);
	evhttp_set_max_body_size(w->http, FORM_BYTES_MAX);
	evhttp_set_max_headers_size(w->http, 32 * 1024);
	evhttp_set_timeout(w->http, 60);
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD);
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
	if (w->http != NULL)
		evhttp_free(w->http);
	free(w);
	return NULL;
}

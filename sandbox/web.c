/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * web.c: see web.h. libevent's HTTP server over its OpenSSL bufferevents; every connection is TLS.
 *
 * Nothing of a query or a body is logged: they carry codes, passwords and tokens.
 */
#include "sandbox/web.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "sandbox/pages.h"

struct web {
	struct sandbox *sandbox;
	struct evhttp *http;
	struct authorizations *authorizations;
};

struct route {
	const char *path;
	enum evhttp_cmd_type method;
	void (*handle)(struct web_request *r);
};

static const struct route routes[] = {
    {"/.well-known/openid-configuration", EVHTTP_REQ_GET, discovery_get},
    {"/.well-known/oauth-authorization-server", EVHTTP_REQ_GET, discovery_get},
    {"/jwks", EVHTTP_REQ_GET, jwks_get},
    {"/authorize", EVHTTP_REQ_GET, authorize_get},
    {"/sign-in", EVHTTP_REQ_POST, sign_in_post},
    {"/consent", EVHTTP_REQ_GET, consent_get},
    {"/consent", EVHTTP_REQ_POST, consent_post},
    {"/deny", EVHTTP_REQ_POST, deny_post},
    {"/token", EVHTTP_REQ_POST, token_post},
    {"/revoke", EVHTTP_REQ_POST, revoke_post},
    {"/userinfo", EVHTTP_REQ_GET, userinfo_get},
    {"/userinfo", EVHTTP_REQ_POST, userinfo_get},
    {"/admin/stats", EVHTTP_REQ_GET, admin_stats_get},
    {"/admin/set", EVHTTP_REQ_POST, admin_set_post},
    {"/admin/revoke", EVHTTP_REQ_POST, admin_revoke_post},
};

uint64_t
web_now(void)
{
	return (uint64_t)time(NULL);
}

struct authorizations *
web_authorizations(struct web *w)
{
	return w->authorizations;
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
dispatch(struct web_request *r, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(r->http);
	bool found = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		found = true;
		if (routes[i].method == method) {
			routes[i].handle(r);
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
	struct web_request r = {.sandbox = w->sandbox, .web = w, .http = http};
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));

	if (parse_forms(&r) < 0)
		web_reply_error(&r, 400, "invalid_request",
		    "The parameters are malformed, or one is given twice.");
	else
		dispatch(&r, path == NULL ? "" : path);
	form_clear(&r.query);
	form_clear(&r.body);
}

static struct bufferevent *
new_connection(struct event_base *base, void *arg)
{
	struct web *w = arg;
	SSL *ssl = SSL_new(w->sandbox->tls);
	struct bufferevent *bev = NULL;

	if (ssl != NULL)
		bev = bufferevent_openssl_socket_new(
		    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	else
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

struct web *
web_start(struct sandbox *s, unsigned *port, int *ret_error)
{
	struct web *w = calloc(1, sizeof(*w));
	int fds[2] = {-1, -1};
	size_t i;

	*ret_error = -ENOMEM;
	if (w == NULL)
		return NULL;
	w->sandbox = s;
	w->http = evhttp_new(s->base);
	w->authorizations = authorizations_new();
	if (w->http == NULL || w->authorizations == NULL)
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
	(void)authorizations_free(w->authorizations);
	free(w);
	return NULL;
}

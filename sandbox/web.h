/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * web.h: the authorization server's HTTPS side: routes, forms in, pages and JSON out.
 *
 * Sources: RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 7009 (revocation), RFC 8252 (loopback
 * redirects), RFC 8414 and OpenID Connect Discovery, RFC 9207 (`iss` in the answer), RFC 9700
 * (rotation and reuse).
 */
#ifndef FRANK_SANDBOX_WEB_H
#define FRANK_SANDBOX_WEB_H

#include <event2/http.h>
#include <jansson.h>

#include "sandbox/form.h"
#include "sandbox/sandbox.h"

struct web;

/* Begins to serve on `*port` (0: a free one, which is stored there) and names the issuer. NULL:
 * *ret_error is a negative errno. */
struct web *web_start(struct sandbox *s, unsigned *port, int *ret_error);
/* Takes and returns NULL. */
struct web *web_stop(struct web *w);

/* One request, as a handler gets it. */
struct web_request {
	struct sandbox *sandbox;
	struct web *web;
	struct evhttp_request *http;
	struct form query;
	struct form body;
};

/* Answers. `page` is HTML from pages.h; `value` is taken, and NULL stands for "no memory". */
void web_reply_page(struct web_request *r, int status, const struct buf *page);
void web_reply_json(struct web_request *r, int status, json_t *value);
/* An error in the form of RFC 6749 section 5.2. */
void web_reply_error(struct web_request *r, int status, const char *error, const char *description);
void web_reply_redirect(struct web_request *r, const char *location);

/* The value of a request header, or NULL; borrowed. */
const char *web_header(const struct web_request *r, const char *name);
/* The token of "Authorization: Bearer", or NULL; borrowed. */
const char *web_bearer(const struct web_request *r);

/* Seconds since 1970. */
uint64_t web_now(void);

/* The authorization requests that people are looking at (authorize.c). */
struct authorizations;
struct authorizations *authorizations_new(void);
struct authorizations *authorizations_free(struct authorizations *a);
struct authorizations *web_authorizations(struct web *w);

/* The handlers: authorize.c, token.c, admin.c. */
void authorize_get(struct web_request *r);
void sign_in_post(struct web_request *r);
void consent_get(struct web_request *r);
void consent_post(struct web_request *r);
void deny_post(struct web_request *r);
void token_post(struct web_request *r);
void revoke_post(struct web_request *r);
void userinfo_get(struct web_request *r);
void discovery_get(struct web_request *r);
void jwks_get(struct web_request *r);
void admin_stats_get(struct web_request *r);
void admin_set_post(struct web_request *r);
void admin_revoke_post(struct web_request *r);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * web.h: the authorization server's HTTPS side: requests are taken apart and handed to the routes of
 * endpoints.h, which answer with a page, JSON or a redirect.
 */
#ifndef FRANK_SANDBOX_WEB_H
#define FRANK_SANDBOX_WEB_H

#include <jansson.h>

#include "httpd/form.h"
#include "httpd/httpd.h"
#include "sandbox/sandbox.h"

struct web;

/* One request, as a handler gets it. */
struct web_request {
	struct sandbox *sandbox;
	struct httpd_request *http;
	const struct form *query;
	struct form body;
	json_t *json;                /* the body where it is JSON; else NULL */
	const struct fault *resumed; /* the request waited for this one */
};

struct web_route {
	const char *path; /* NULL: the end of a table */
	enum httpd_method method;
	void (*handle)(struct web_request *r);
};

/* Begins to serve the routes of `tables` (borrowed; NULL ends them) on `*port` (0: a free one, which is stored there) and
 * names the issuer. NULL: *ret_error is a negative errno. */
struct web *web_start(
    struct sandbox *s, const struct web_route *const *tables, unsigned *port, int *ret_error);
/* Takes and returns NULL. */
struct web *web_stop(struct web *w);

/* Answers. `page` is HTML from pages.h; `value` is taken, and NULL stands for "no memory". */
void web_reply_page(struct web_request *r, int status, const struct buf *page);
void web_reply_json(struct web_request *r, int status, json_t *value);
/* An error in the form of RFC 6749 section 5.2; one of Microsoft's (AADSTS...) with the members that Microsoft adds. */
void web_reply_error(struct web_request *r, int status, const char *error, const char *description);
void web_reply_redirect(struct web_request *r, const char *location);

/* Refuses in the words of a fault of this name. */
void web_refuse(struct web_request *r, const char *fault);

/* Is there a fault for this request? True: it is answered, or will be. False: `ret->action` says what the handler is to do, which may
 * be to go on (FAULT_NONE). A request that was delayed comes to its handler again. `account` may be NULL. */
bool web_fault(
    struct web_request *r, enum fault_stage stage, const char *account, struct fault *ret);

/* The value of a request header, or NULL; borrowed. */
const char *web_header(const struct web_request *r, const char *name);
/* The token of "Authorization: Bearer", or NULL; borrowed. */
const char *web_bearer(const struct web_request *r);

/* Seconds since 1970. */
uint64_t web_now(void);

#endif

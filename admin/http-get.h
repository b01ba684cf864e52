/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * http-get.h: the one HTTP request that a browser makes at the end of a sign-in: octets in, path,
 * answer and host out. No I/O.
 *
 * It implements the part of RFC 9112 that this needs: one request with a head of at most HTTP_GET_MAX octets. The answer
 * of the authorization server is the query of a GET, or the body of a POST (OAuth 2.0 Form Post
 * Response Mode): a form with a Content-Length of at most HTTP_GET_MAX octets. Both CRLF and a lone
 * LF end a line (section 2.2); folded fields, a missing or second Host and octets outside of
 * printable US-ASCII in the request line or the form are refused.
 */
#ifndef FRANK_ADMIN_HTTP_GET_H
#define FRANK_ADMIN_HTTP_GET_H

#include <stdbool.h>

#include "base/buf.h"

enum { HTTP_GET_MAX = 16 * 1024 };

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST };

struct http_get {
	struct buf in; /* wiped: it bears a code */
	size_t body;   /* where the form begins in `in`; 0: the head is not complete */
	size_t length; /* of the form */
	/* once complete: 0, or the status to refuse it with: 400, 405, 411, 413, 415, 431, 505 */
	int status;
	bool is_tls; /* with 400: the browser speaks TLS */
	/* once complete with status 0: NUL-terminated, inside `in` */
	const char *path;
	const char *query; /* behind the '?', or the form of a POST; NULL: there was none */
	const char *host;
	enum http_method method; /* the answer to HEAD has no body */
	bool is_prefetch;        /* nobody looks at the answer yet */
	/* while the head is read */
	bool has_length, is_form;
};
#define HTTP_GET_INIT                                 \
	{                                             \
		.in = BUF_INIT_WIPE(2 * HTTP_GET_MAX) \
	}

/* Takes octets. True when the request is complete: `status` says how. -ENOMEM counts as 431. What
 * follows it is dropped. */
bool http_get_take(struct http_get *g, const char *bytes, size_t len);
/* Wipes and empties. */
void http_get_clear(struct http_get *g);

#endif

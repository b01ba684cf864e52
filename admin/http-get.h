/*
 * http-get.h: the one HTTP request that a browser makes at the end of a sign-in: octets in, path,
 * query and host out. No system call.
 *
 * RFC 9112, as much as a GET needs: the head of one request, at most HTTP_GET_MAX octets; a body is
 * never waited for. Both CRLF and a lone LF end a line (section 2.2); folded fields, a missing or
 * second Host and octets outside of printable US-ASCII in the request line are refused.
 */
#ifndef FRANK_ADMIN_HTTP_GET_H
#define FRANK_ADMIN_HTTP_GET_H

#include <stdbool.h>

#include "base/buf.h"

enum { HTTP_GET_MAX = 16 * 1024 };

struct http_get {
	struct buf head; /* wiped: the query bears a code */
	int status;      /* once complete: 0, or the status to refuse it with: 400, 405, 431, 505 */
	/* once complete with status 0: NUL-terminated, inside `head` */
	const char *path;
	const char *query; /* behind the '?'; NULL: there was none */
	const char *host;
};
#define HTTP_GET_INIT                               \
	{                                           \
		.head = BUF_INIT_WIPE(HTTP_GET_MAX) \
	}

/* Takes octets. True when the request is complete: `status` says how. -ENOMEM counts as 431. What
 * follows the head is dropped. */
bool http_get_take(struct http_get *g, const char *bytes, size_t len);
/* Wipes and empties. */
void http_get_clear(struct http_get *g);

#endif

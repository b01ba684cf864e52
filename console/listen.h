/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* listen.h: where the programs of this room are reached: at an address of loopback, or at a Unix socket, and nowhere else. */
#ifndef FRANK_CONSOLE_LISTEN_H
#define FRANK_CONSOLE_LISTEN_H

#include "admin/cli.h"
#include "httpd/httpd.h"

enum { LISTEN_ADDRESS_SIZE = 128 };

struct listening {
	int fd;                            /* -1: none, or httpd has it */
	const char *path;                  /* of the Unix socket, borrowed; NULL: an address */
	bool bound;                        /* the socket at `path` is ours */
	char address[LISTEN_ADDRESS_SIZE]; /* "http://127.0.0.1:40123", or the path */
};
#define LISTENING_INIT   \
	{                \
		.fd = -1 \
	}

/* Names that lead to an address of loopback, for httpd_options.hosts. */
extern const char *const listen_hosts[];

/* Listens at "127.0.0.1:PORT", "[::1]:PORT" (0: a free one) or a path that begins with '/', borrowed. A socket that nobody listens on any
 * more is replaced. EX_OK, or the exit status after saying why not; listen_end in any case. */
int listen_at(const struct cli *cli, const char *where, struct listening *ret);
/* Hands it over. 0 or negative errno. */
int listen_serve(struct listening *l, struct httpd *h);
/* Closes what was not handed over, and removes the socket's path. */
void listen_end(struct listening *l);

#endif

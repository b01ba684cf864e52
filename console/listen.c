/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* listen.c: see listen.h. */
#include "console/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

const char *const listen_hosts[] = {"127.0.0.1", "::1", "[::1]", "localhost", NULL};

static int
fail(const struct cli *cli, const char *where, int error)
{
	return cli_fail(cli, EX_UNAVAILABLE, NULL, "%s: %s", where, strerror(error));
}

/* A socket of this name that nobody listens on any more is removed. */
static void
remove_stale(const struct sockaddr_un *a)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && fd >= 0 &&
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
		(void)unlink(a->sun_path);
}

static int
listen_at_path(const struct cli *cli, const char *path, struct listening *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(a.sun_path))
		return cli_fail(cli, EX_USAGE, NULL, "%s: the path is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	remove_stale(&a);
	ret->path = path;
	ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret->fd < 0 || bind(ret->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return fail(cli, path, errno);
	ret->bound = true;
	if (listen(ret->fd, BACKLOG) < 0)
		return fail(cli, path, errno);
	(void)snprintf(ret->address, sizeof(ret->address), "%s", path);
	return EX_OK;
}

static bool
is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;

	return a->ss_family == AF_INET ? ntohl(four->sin_addr.s_addr) >> 24 == 127
				       : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* "127.0.0.1:9776", "[::1]:0": the caller frees. NULL: it is none. */
static struct addrinfo *
parse_address(const char *text)
{
	static const struct addrinfo hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	const char *colon = strrchr(text, ':');
	bool bracket = *text == '[' && colon != NULL && colon > text && colon[-1] == ']';
	struct addrinfo *ret = NULL;
	char host[INET6_ADDRSTRLEN];

	if (colon == NULL || (size_t)snprintf(host, sizeof(host), "%.*s",
				 (int)(colon - text) - 2 * bracket, text + bracket) >= sizeof(host))
		return NULL;
	return *host != '\0' && getaddrinfo(host, colon + 1, &hints, &ret) == 0 ? ret : NULL;
}

static int
bind_to(const struct cli *cli, const char *text, const struct addrinfo *at, struct listening *ret)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	int one = 1;

	memcpy(&a, at->ai_addr, at->ai_addrlen);
	if (!is_loopback(&a))
		return cli_fail(cli, EX_USAGE,
		    "for others: a Unix socket, or this port behind a web server that asks who "
		    "they are",
		    "%s is no address of loopback", text);
	ret->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret->fd < 0 || setsockopt(ret->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(ret->fd, at->ai_addr, at->ai_addrlen) < 0 || listen(ret->fd, BACKLOG) < 0 ||
	    getsockname(ret->fd, (struct sockaddr *)&a, &len) < 0)
		return fail(cli, text, errno);
	/* both kinds have the port at one place */
	(void)snprintf(ret->address, sizeof(ret->address), "http://%.*s:%u",
	    (int)(strrchr(text, ':') - text), text,
	    ntohs(((const struct sockaddr_in *)&a)->sin_port));
	return EX_OK;
}

int
listen_at(const struct cli *cli, const char *where, struct listening *ret)
{
	struct addrinfo *at;
	int status;

	*ret = (struct listening)LISTENING_INIT;
	if (*where == '/')
		return listen_at_path(cli, where, ret);
	at = parse_address(where);
	if (at == NULL)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--listen needs a path, or an address with a port (127.0.0.1:9776, "
		    "[::1]:9776), not %s",
		    where);
	status = bind_to(cli, where, at, ret);
	freeaddrinfo(at);
	return status;
}

int
listen_serve(struct listening *l, struct httpd *h)
{
	return httpd_listen(h, TAKE_FD(l->fd));
}

void
listen_end(struct listening *l)
{
	cleanup_close(&l->fd);
	if (l->bound)
		(void)unlink(l->path);
	l->bound = false;
}

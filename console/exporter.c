/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * exporter.c: frank-exporter ADDRESS|PATH: serves what `frank metrics` prints, for Prometheus. `frank metrics --listen` becomes it.
 *
 *   GET /metrics   the metrics, as OpenMetrics where the client takes it, else in Prometheus' older format; 503 where frankd does not
 *                  answer: never a part of them
 *   GET /livez     200: this program works
 *   GET /readyz    200: frankd answers; 503: it does not
 *
 * It has the rights of who starts it, asks frankd for each request anew, and keeps nothing. An address has to be of this machine: what
 * it prints names accounts and services, and there is no TLS here. Asking blocks for a moment (metrics.h bounds it), which is
 * why a hanging frankd makes a second client wait.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "httpd/httpd.h"

enum { BACKLOG = 16 };

struct exporter {
	struct cli cli;
	struct event_base *base;
};

/* ---- answers ---- */

static int
collect(const struct exporter *x, enum openmetrics_format f, struct buf *text)
{
	buf_init(text, METRICS_MAX);
	return metrics_collect(&x->cli, f, text);
}

static void
unavailable(struct httpd_request *r)
{
	httpd_reply_error(
	    r, 503, "frankd does not answer, or not to this user; this program's log says more.");
}

static void
on_metrics(void *arg, struct httpd_request *r)
{
	const char *accept = httpd_header(r, "Accept");
	enum openmetrics_format f =
	    accept != NULL && strstr(accept, "application/openmetrics-text") != NULL
		? OPENMETRICS_1_0
		: OPENMETRICS_PROMETHEUS;
	struct buf text;

	if (collect(arg, f, &text) == EX_OK)
		httpd_reply(r, 200, openmetrics_media_type(f), buf_str(&text), text.len);
	else
		unavailable(r);
	buf_free(&text);
}

static void
ok(struct httpd_request *r)
{
	httpd_reply(r, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static void
on_live(void *arg, struct httpd_request *r)
{
	ok(r);
}

static void
on_ready(void *arg, struct httpd_request *r)
{
	struct buf text;

	if (collect(arg, OPENMETRICS_PROMETHEUS, &text) == EX_OK)
		ok(r);
	else
		unavailable(r);
	buf_free(&text);
}

static const struct httpd_route routes[] = {
    {HTTPD_GET, "/metrics", on_metrics},
    {HTTPD_GET, "/livez", on_live},
    {HTTPD_GET, "/readyz", on_ready},
    {0},
};

/* ---- the socket ---- */

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
listen_at_path(const struct cli *cli, const char *path, int *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(a.sun_path))
		return cli_fail(cli, EX_USAGE, NULL, "%s: the path is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	remove_stale(&a);
	*ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* who may connect is decided by the folder, and by the umask */
	if (*ret < 0 || bind(*ret, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(*ret, BACKLOG) < 0)
		return fail(cli, path, errno);
	(void)printf("%s\n", path);
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
bind_to(const struct cli *cli, const char *text, const struct addrinfo *at, int *ret)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	int one = 1;

	memcpy(&a, at->ai_addr, at->ai_addrlen);
	if (!is_loopback(&a))
		return cli_fail(cli, EX_USAGE,
		    "for others: a Unix socket, or this port behind a web server that asks who "
		    "they "
		    "are",
		    "%s is no address of loopback", text);
	*ret = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*ret < 0 || setsockopt(*ret, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(*ret, at->ai_addr, at->ai_addrlen) < 0 || listen(*ret, BACKLOG) < 0 ||
	    getsockname(*ret, (struct sockaddr *)&a, &len) < 0)
		return fail(cli, text, errno);
	/* both kinds have the port at one place */
	(void)printf("http://%.*s:%u/metrics\n", (int)(strrchr(text, ':') - text), text,
	    ntohs(((const struct sockaddr_in *)&a)->sin_port));
	return EX_OK;
}

static int
listen_at_address(const struct cli *cli, const char *text, int *ret)
{
	struct addrinfo *at = parse_address(text);
	int status;

	if (at == NULL)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--listen needs a path, or an address with a port (127.0.0.1:9776, "
		    "[::1]:9776), not %s",
		    text);
	status = bind_to(cli, text, at, ret);
	freeaddrinfo(at);
	return status;
}

/* ---- the program ---- */

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)event_base_loopbreak(arg);
}

/* Serves until somebody ends it. `fd` is taken. */
static int
serve(struct exporter *x, int fd, bool by_name)
{
	/* a page of another name that leads here may not read account names (DNS rebinding) */
	static const char *const hosts[] = {"127.0.0.1", "::1", "[::1]", "localhost", NULL};
	struct httpd *h = httpd_new(&(struct httpd_options){
	    .base = x->base, .routes = routes, .arg = x, .hosts = by_name ? hosts : NULL});
	struct event *term = evsignal_new(x->base, SIGTERM, on_signal, x->base),
		     *interrupt = evsignal_new(x->base, SIGINT, on_signal, x->base);
	bool good = h != NULL && term != NULL && interrupt != NULL && event_add(term, NULL) == 0 &&
		    event_add(interrupt, NULL) == 0;

	if (h == NULL || httpd_listen(h, fd) < 0)
		good = false;
	if (good) {
		(void)fflush(stdout);
		(void)event_base_dispatch(x->base);
	}
	h = httpd_free(h);
	if (term != NULL)
		event_free(term);
	if (interrupt != NULL)
		event_free(interrupt);
	return good ? EX_OK : cli_fail(&x->cli, EX_OSERR, NULL, "memory ran out");
}

int
main(int argc, char **argv)
{
	struct exporter x = {.base = event_base_new()};
	bool path = argc == 2 && *argv[1] == '/';
	int fd = -1, status;

	if (argc != 2)
		return cli_fail(
		    &x.cli, EX_USAGE, NULL, "usage: frank-exporter ADDRESS:PORT | PATH");
	if (x.base == NULL)
		return cli_fail(&x.cli, EX_OSERR, NULL, "memory ran out");
	(void)signal(SIGPIPE, SIG_IGN);
	link_find_sockets(&x.cli);
	status =
	    path ? listen_at_path(&x.cli, argv[1], &fd) : listen_at_address(&x.cli, argv[1], &fd);
	if (status == EX_OK) {
		status = serve(&x, fd, !path);
		if (path)
			(void)unlink(argv[1]);
	} else if (fd >= 0) {
		(void)close(fd);
	}
	link_forget_sockets(&x.cli);
	event_base_free(x.base);
	return status;
}

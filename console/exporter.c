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
#include <signal.h>
#include <string.h>

#include "admin/metrics.h"
#include "console/listen.h"
#include "httpd/httpd.h"

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

/* ---- the program ---- */

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)event_base_loopbreak(arg);
}

/* Serves until somebody ends it. */
static int
serve(struct exporter *x, struct listening *at)
{
	struct httpd *h = httpd_new(&(struct httpd_options){.base = x->base,
	    .routes = routes,
	    .arg = x,
	    .hosts = at->path == NULL ? listen_hosts : NULL});
	struct event *term = evsignal_new(x->base, SIGTERM, on_signal, x->base),
		     *interrupt = evsignal_new(x->base, SIGINT, on_signal, x->base);
	bool good = h != NULL && term != NULL && interrupt != NULL && event_add(term, NULL) == 0 &&
		    event_add(interrupt, NULL) == 0 && listen_serve(at, h) == 0;

	if (good) {
		(void)printf(at->path != NULL ? "%s\n" : "%s/metrics\n", at->address);
		(void)fflush(stdout);
		(void)event_base_dispatch(x->base);
	}
	(void)httpd_free(h);
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
	struct listening at = LISTENING_INIT;
	int status;

	if (argc != 2)
		return cli_fail(
		    &x.cli, EX_USAGE, NULL, "usage: frank-exporter ADDRESS:PORT | PATH");
	if (x.base == NULL)
		return cli_fail(&x.cli, EX_OSERR, NULL, "memory ran out");
	(void)signal(SIGPIPE, SIG_IGN);
	link_find_sockets(&x.cli);
	/* who may connect to a socket is decided by its folder, and by the umask */
	status = listen_at(&x.cli, argv[1], &at);
	if (status == EX_OK)
		status = serve(&x, &at);
	listen_end(&at);
	link_forget_sockets(&x.cli);
	event_base_free(x.base);
	return status;
}

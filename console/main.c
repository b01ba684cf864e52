/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-console FRANK WHERE BROWSER: serves the console's page. `frank console` becomes it, and says where it is itself, where to
 * listen, and "browser" or "no-browser".
 *
 * It has the rights of who starts it, and asks frankd by running frank for each request: it can do nothing that its caller could not
 * type. It ends by a signal, or when nobody has asked for anything for IDLE_SECONDS.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "admin/browser.h"
#include "console/api.h"
#include "console/listen.h"

enum { IDLE_SECONDS = 60 * 60, BODY_MAX = 256 * 1024, LINK_MAX = 512, DESCRIPTORS = 512 };

struct console {
	struct cli cli;
	struct event_base *base;
	struct listening at;
	struct console_api_parts parts;
	struct console_api *api;
	struct httpd *http;
	struct event *signals[3], *browser_timer;
	pid_t browser;
	time_t last; /* when somebody asked for something */
	bool browse, told;
	char link[LINK_MAX];
};

static bool
admit(void *arg, struct httpd_request *r)
{
	struct console *c = arg;

	c->last = time(NULL);
	return console_api_admit(c->api, r);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)event_base_loopbreak(arg);
}

/* ---- the address ---- */

static void
print_link(const struct console *c)
{
	(void)puts(c->link);
	(void)fflush(stdout);
}

static void
on_browser(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	if (!browser_failed(c->browser))
		return;
	(void)fputs("No browser could be opened. Open this address yourself:\n", stderr);
	print_link(c);
}

/* Once it is known what the caller may: the page asks that first. */
static void
tell(struct console *c)
{
	const struct timeval soon = {.tv_sec = 3};

	c->told = true;
	c->browser = c->browse ? browser_open(c->link) : -1;
	if (c->browser > 0) {
		(void)fprintf(stderr, "The console opens in the browser, at %s. Ctrl-C ends it.\n",
		    c->at.address);
		(void)evtimer_add(c->browser_timer, &soon);
		return;
	}
	print_link(c);
	(void)fprintf(stderr,
	    c->at.path != NULL
		? "The address is good for one use, through the socket %s: ssh -L "
		  "8080:%s. Ctrl-C ends the console.\n"
		: "Open this address in a browser on this machine; it is good for one use. Ctrl-C "
		  "ends the console.\n",
	    c->at.address, c->at.address);
}

static void
on_sampled(void *arg)
{
	struct console *c = arg;

	if (!c->told)
		tell(c);
	if (feed_listeners(c->parts.feed) > 0)
		c->last = time(NULL);
	if (time(NULL) - c->last > IDLE_SECONDS) {
		(void)fputs("Nobody has used the console for an hour: it ends.\n", stderr);
		(void)event_base_loopbreak(c->base);
	}
}

/* ---- beginning and end ---- */

static bool
catch_signals(struct console *c)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		c->signals[i] = evsignal_new(c->base, numbers[i], on_signal, c->base);
		if (c->signals[i] == NULL || event_add(c->signals[i], NULL) < 0)
			return false;
	}
	c->browser_timer = evtimer_new(c->base, on_browser, c);
	return c->browser_timer != NULL;
}

/* A number of connections that one page needs, and no client can exceed (httpd.h). No core: it holds people's mail. */
static void
bound_process(void)
{
	struct rlimit files = {DESCRIPTORS, DESCRIPTORS}, none = {0};

	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)umask(077);
}

static int
open_parts(struct console *c, const char *frank)
{
	struct console_api_parts *p = &c->parts;
	int error = -ENOMEM;

	p->runner = run_pool_new(c->base, frank);
	if (p->runner != NULL)
		p->entry = entry_new(c->at.path == NULL, &error);
	if (p->entry != NULL)
		p->captured = captured_mail_new(c->base, p->runner, &error);
	if (p->captured == NULL)
		return error;
	p->feed = feed_new(c->base, p->runner);
	p->figures = figures_new(c->base, p->runner, on_sampled, c);
	if (p->feed == NULL || p->figures == NULL)
		return -ENOMEM;
	c->api = console_api_new(p);
	return c->api == NULL ? -ENOMEM : 0;
}

static int
open_server(struct console *c)
{
	int r;

	c->http = httpd_new(&(struct httpd_options){.base = c->base,
	    .arg = c,
	    .body_max = BODY_MAX,
	    .hosts = listen_hosts,
	    .admit = admit});
	if (c->http == NULL)
		return -ENOMEM;
	r = httpd_add_routes(c->http, entry_routes, c->parts.entry);
	if (r == 0)
		r = console_api_routes(c->api, c->http);
	return r < 0 ? r : listen_serve(&c->at, c->http);
}

static void
console_end(struct console *c)
{
	c->http = httpd_free(c->http);
	c->api = console_api_free(c->api);
	(void)figures_free(c->parts.figures);
	(void)feed_free(c->parts.feed);
	(void)captured_mail_free(c->parts.captured);
	(void)entry_free(c->parts.entry);
	(void)run_pool_free(c->parts.runner);
	for (size_t i = 0; i < ARRAY_SIZE(c->signals); i++)
		if (c->signals[i] != NULL)
			event_free(c->signals[i]);
	if (c->browser_timer != NULL)
		event_free(c->browser_timer);
	listen_end(&c->at);
	mem_wipe(c->link, sizeof(c->link));
}

static int
serve(struct console *c, const char *frank, const char *where)
{
	int status = listen_at(&c->cli, where, &c->at), r;

	if (status != EX_OK)
		return status;
	if (!catch_signals(c))
		return cli_fail(&c->cli, EX_OSERR, NULL, "memory ran out");
	r = open_parts(c, frank);
	if (r == 0)
		r = open_server(c);
	if (r < 0)
		return cli_fail(
		    &c->cli, EX_OSERR, NULL, "the console cannot begin: %s", strerror(-r));
	(void)snprintf(c->link, sizeof(c->link), "%s%s",
	    c->at.path != NULL ? "http://localhost:8080" : c->at.address,
	    entry_path(c->parts.entry));
	c->last = time(NULL);
	(void)event_base_dispatch(c->base);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	struct console c = {.at = LISTENING_INIT, .browser = -1};
	int status;

	if (argc != 4)
		return cli_fail(&c.cli, EX_USAGE, "frank console", "this program is frank's own");
	bound_process();
	c.browse = strcmp(argv[3], "browser") == 0 && browser_is_there();
	c.base = event_base_new();
	status = c.base == NULL ? cli_fail(&c.cli, EX_OSERR, NULL, "memory ran out")
				: serve(&c, argv[1], argv[2]);
	console_end(&c);
	if (c.base != NULL)
		event_base_free(c.base);
	return status;
}

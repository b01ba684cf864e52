/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox-server.c: see inbox-server.h.
 *
 * Without a login, as Mailpit: whoever is on this machine may read trial mail. Names that lead here from elsewhere (DNS
 * rebinding) and pages of other origins are refused by httpd.
 */
#include "sandbox/inbox-server.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "config.h"
#include "httpd/httpd.h"
#include "inbox/api.h"
#include "sandbox/chaos.h"

/* How long to wait before the next piece of tidying: while mail comes in, while requests do, and in between. */
enum { BUSY_MS = 100, ASKED_MS = 10, QUIET_MS = 5 };

struct inbox_server {
	struct sandbox *sandbox;
	const struct inbox_server_options *options;
	struct inbox *inbox;
	struct inbox_api *api;
	struct httpd *http;
	struct event *flush, *tidy;
	bool busy, asked; /* messages, requests have come since the last tidying */
	const char *hosts[INBOX_HOSTS_MAX + 5];
};

static bool
admit(void *arg, struct httpd_request *r)
{
	struct inbox_server *i = arg;
	const struct secret *login = i->options->login;
	const char *given = httpd_header(r, "Authorization");
	struct buf text CLEANUP_BUF = BUF_INIT_WIPE(1024);

	i->asked = true;
	if (login == NULL)
		return true;
	if (given != NULL && strncasecmp(given, "Basic ", 6) == 0 &&
	    base64_decode(&text, given + 6, strlen(given + 6)) == 0 &&
	    sandbox_secret_fits(login, buf_str(&text)))
		return true;
	httpd_set_header(r, "WWW-Authenticate", "Basic realm=\"frank-sandbox\"");
	httpd_reply(r, 401, "text/plain; charset=utf-8", "Unauthorized.\n", 14);
	return false;
}

static json_t *
chaos(void *arg)
{
	return chaos_get(arg);
}

static int
set_chaos(void *arg, const json_t *body, const char **ret_why)
{
	return chaos_put(arg, body, ret_why);
}

/* The first account stands for all. */
static json_t *
submission(void *arg)
{
	const struct inbox_server *i = arg;
	const struct sandbox *s = i->sandbox;

	return json_pack("{s:s, s:i, s:s*}", "Host", s->host, "Port",
	    (int)*i->options->submission_port, "Account",
	    s->account_count == 0 ? NULL : s->accounts[0].address);
}

static void
report(int r)
{
	if (r < 0)
		log_error("the index of the inbox cannot be written: %s", strerror(-r));
}

static void
tidy_later(struct inbox_server *i, unsigned ms)
{
	const struct timeval t = {.tv_usec = (suseconds_t)ms * 1000};

	(void)evtimer_add(i->tidy, &t);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct inbox_server *i = arg;

	report(inbox_flush(i->inbox));
	i->busy = true;
	if (!evtimer_pending(i->tidy, NULL))
		tidy_later(i, BUSY_MS);
}

/* Commits, and does in a quiet time what arrivals have put off. */
static void
on_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct inbox_server *i = arg;
	bool settling = !i->busy && inbox_settle(i->inbox);

	if (!settling)
		report(inbox_sync(i->inbox));
	if (settling || i->busy)
		tidy_later(i, i->busy ? BUSY_MS : i->asked ? ASKED_MS : QUIET_MS);
	i->busy = i->asked = false;
}

void
inbox_server_take(struct inbox_server *i, const struct inbox_arrival *a)
{
	int r = inbox_add(i->inbox, a, NULL);

	if (r < 0)
		log_error("the index of the inbox does not take %s: %s", a->name, strerror(-r));
	event_active(i->flush, EV_TIMEOUT, 0);
}

static int
listen_http(struct inbox_server *i, unsigned *port)
{
	int fds[2] = {-1, -1}, r = sandbox_listen(i->sandbox, port, fds);
	size_t n;

	for (n = 0; n < ARRAY_SIZE(fds); n++)
		if (fds[n] >= 0 && httpd_listen(i->http, fds[n]) < 0 && r == 0)
			r = -ENOMEM;
	return r;
}

static int
start_http(struct inbox_server *i, unsigned *port)
{
	struct httpd_options http = {.base = i->sandbox->base,
	    .routes = inbox_api_routes,
	    .arg = i->api,
	    .body_max = INBOX_API_BODY_MAX,
	    .hosts = i->hosts,
	    .admit = inbox_api_admit};
	size_t n = 0, k;

	i->hosts[n++] = "localhost";
	i->hosts[n++] = i->sandbox->host;
	i->hosts[n++] = "127.0.0.1";
	i->hosts[n++] = "[::1]";
	for (k = 0; k < i->options->host_count; k++)
		i->hosts[n++] = i->options->hosts[k];
	i->http = httpd_new(&http);
	return i->http == NULL ? -ENOMEM : listen_http(i, port);
}

static struct inbox_api *
new_api(struct inbox_server *i)
{
	const struct inbox_server_options *o = i->options;
	struct inbox_api_config config = {.inbox = i->inbox,
	    .root = i->sandbox->mail,
	    .base = i->sandbox->base,
	    .version = FRANK_VERSION,
	    .database = o->index,
	    .release_command = o->release_command,
	    .release_allow = o->release_allow,
	    .release_allow_count = o->release_allow_count,
	    .admit = admit,
	    .admit_arg = i,
	    .submission = submission,
	    .submission_arg = i,
	    .chaos_get = chaos,
	    .chaos_put = set_chaos,
	    .chaos_arg = i->sandbox->faults};

	return inbox_api_new(&config);
}

struct inbox_server *
inbox_server_start(struct sandbox *s, struct inbox_server_options *o, int *ret_error)
{
	struct inbox_server *i = calloc(1, sizeof(*i));

	*ret_error = -ENOMEM;
	if (i == NULL)
		return NULL;
	i->sandbox = s;
	i->options = o;
	i->flush = evtimer_new(s->base, on_flush, i);
	i->tidy = evtimer_new(s->base, on_tidy, i);
	i->inbox = inbox_open(s->mail, o->index, o->keep, ret_error);
	if (i->inbox != NULL && i->flush != NULL && i->tidy != NULL) {
		i->api = new_api(i);
		*ret_error = i->api == NULL ? -ENOMEM : start_http(i, &o->port);
	}
	if (*ret_error < 0)
		return inbox_server_stop(i);
	tidy_later(i, BUSY_MS); /* what the last run has left */
	return i;
}

struct inbox_server *
inbox_server_stop(struct inbox_server *i)
{
	if (i == NULL)
		return NULL;
	(void)httpd_free(i->http);
	(void)inbox_api_free(i->api);
	(void)inbox_close(i->inbox);
	if (i->flush != NULL)
		event_free(i->flush);
	if (i->tidy != NULL)
		event_free(i->tidy);
	free(i);
	return NULL;
}

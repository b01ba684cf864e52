/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * feed.c: see feed.h. One `frank events --follow` serves all pages; when frankd goes away it ends, and is started again after a while. It
 * begins each time with the last events, of which those that are known are left out: ids ascend.
 */
#include "console/feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "base/attr.h"

enum {
	AGAIN_SECONDS = 5,
	REFUSED_SECONDS = 300, /* who may not is asked for again: rights change */
	TOGETHER_MS = 300,
};

struct feed_page {
	TAILQ_ENTRY(feed_page) link;
	struct feed *feed;
	struct httpd_stream *stream;
};

struct kept {
	uint64_t id;
	char *text;
};

struct feed {
	struct event_base *base;
	struct run_pool *runner;
	struct run_process *run;
	struct event *again, *together;
	TAILQ_HEAD(, feed_page) listeners;
	unsigned count;
	struct kept kept[FEED_KEPT]; /* a ring */
	size_t first, kept_count;
	uint64_t last;
	bool queue, accounts; /* to be told together */
};

static void
send_all(struct feed *f, const char *type, const char *id, const char *text)
{
	struct feed_page *l;

	TAILQ_FOREACH (l, &f->listeners, link)
		httpd_stream_send(l->stream, type, id, text);
}

void
feed_tell(struct feed *f, const char *type, json_t *value)
{
	CLEANUP_FREE char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);

	json_decref(value);
	if (text != NULL)
		send_all(f, type, NULL, text);
}

static void
on_together(evutil_socket_t fd, short what, void *arg)
{
	struct feed *f = arg;

	if (f->queue)
		send_all(f, "change", NULL, "{\"what\":\"queue\"}");
	if (f->accounts)
		send_all(f, "change", NULL, "{\"what\":\"accounts\"}");
	f->queue = f->accounts = false;
}

void
feed_change(struct feed *f, bool queue, bool accounts)
{
	const struct timeval soon = {.tv_usec = TOGETHER_MS * 1000L};

	f->queue |= queue;
	f->accounts |= accounts;
	if (!evtimer_pending(f->together, NULL))
		(void)evtimer_add(f->together, &soon);
}

unsigned
feed_listeners(const struct feed *f)
{
	return f->count;
}

/* ---- frankd's events ---- */

static void
keep(struct feed *f, uint64_t id, const char *line)
{
	char *text = strdup(line);
	size_t at = (f->first + f->kept_count) % FEED_KEPT;

	if (text == NULL)
		return;
	if (f->kept_count == FEED_KEPT) {
		free(f->kept[at].text);
		f->first = (f->first + 1) % FEED_KEPT;
	} else {
		f->kept_count++;
	}
	f->kept[at] = (struct kept){.id = id, .text = text};
}

static void
on_line(void *arg, const char *line)
{
	struct feed *f = arg;
	json_t *event = json_loads(line, 0, NULL);
	const char *id = json_string_value(json_object_get(event, "id"));
	uint64_t number = id == NULL ? 0 : strtoull(id, NULL, 10);

	if (number > f->last) {
		f->last = number;
		keep(f, number, line);
		send_all(f, "event", id, line);
		feed_change(f, true, json_object_get(event, "account") != NULL);
	}
	json_decref(event);
}

static void
on_end(void *arg, int status, const char *text, size_t len)
{
	const struct timeval again = {
	    .tv_sec = status == EX_NOPERM ? REFUSED_SECONDS : AGAIN_SECONDS};
	struct feed *f = arg;

	f->run = NULL;
	(void)evtimer_add(f->again, &again);
}

static void
start(evutil_socket_t fd, short what, void *arg)
{
	static const char *const arguments[] = {"events", "--follow", "--json", NULL};
	struct feed *f = arg;

	f->run = run_start(
	    f->runner, &(struct run_options){
			   .arguments = arguments, .line = on_line, .done = on_end, .arg = f});
	if (f->run == NULL)
		on_end(f, RUN_ENDED, "", 0);
}

/* ---- pages ---- */

static void
on_gone(void *arg)
{
	struct feed_page *l = arg;

	TAILQ_REMOVE(&l->feed->listeners, l, link);
	l->feed->count--;
	free(l);
}

void
feed_serve(void *arg, struct httpd_request *r)
{
	struct feed *f = arg;
	const char *since = httpd_header(r, "Last-Event-ID");
	struct feed_page *l = f->count < FEED_STREAMS ? calloc(1, sizeof(*l)) : NULL;
	uint64_t after;
	char id[24];

	if (l == NULL) {
		httpd_reply_error(r, 503, "too many pages listen");
		return;
	}
	if (since == NULL)
		since = httpd_query(r, "since");
	after = since == NULL ? 0 : strtoull(since, NULL, 10);
	l->feed = f;
	l->stream = httpd_stream(r, on_gone, l);
	if (l->stream == NULL) {
		free(l);
		return;
	}
	TAILQ_INSERT_TAIL(&f->listeners, l, link);
	f->count++;
	for (size_t i = 0; i < f->kept_count; i++) {
		const struct kept *k = &f->kept[(f->first + i) % FEED_KEPT];

		(void)snprintf(id, sizeof(id), "%" PRIu64, k->id);
		if (k->id > after)
			httpd_stream_send(l->stream, "event", id, k->text);
	}
}

struct feed *
feed_new(struct event_base *base, struct run_pool *runner)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	TAILQ_INIT(&f->listeners);
	f->base = base;
	f->runner = runner;
	f->again = evtimer_new(base, start, f);
	f->together = evtimer_new(base, on_together, f);
	if (f->again == NULL || f->together == NULL)
		return feed_free(f);
	start(-1, 0, f);
	return f;
}

struct feed *
feed_free(struct feed *f)
{
	if (f == NULL)
		return NULL;
	(void)run_cancel(f->run);
	if (f->again != NULL)
		event_free(f->again);
	if (f->together != NULL)
		event_free(f->together);
	for (size_t i = 0; i < f->kept_count; i++)
		free(f->kept[(f->first + i) % FEED_KEPT].text);
	free(f);
	return NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* feed.h: what happens, as Server-Sent Events for the pages: the events of frankd as `frank events --follow` gives them, and what the
 * console has to tell itself. */
#ifndef FRANK_CONSOLE_FEED_H
#define FRANK_CONSOLE_FEED_H

#include "console/run.h"
#include "httpd/httpd.h"

enum {
	FEED_KEPT = 500,   /* the last events, for who comes later */
	FEED_STREAMS = 32, /* pages that listen at a time */
};

struct feed;

/* NULL: no memory. */
struct feed *feed_new(struct event_base *base, struct run_pool *runner);
/* Takes and returns NULL. */
struct feed *feed_free(struct feed *f);

/* Tells all pages: `value` is taken. */
void feed_tell(struct feed *f, const char *type, json_t *value);
/* Tells them soon that "queue" or "accounts" are to be asked for again; what comes together is told once. */
void feed_change(struct feed *f, bool queue, bool accounts);
/* How many pages listen? */
unsigned feed_listeners(const struct feed *f);

/* GET /api/console/events; the argument is the feed. */
void feed_serve(void *arg, struct httpd_request *r);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * scan.h: work that looks at every message of the spool, done in short steps.
 *
 * Anybody may ask for a list of the queue, and the queue may be long. So a scan does a bounded part
 * at a time, and in one turn of the event loop one scan takes one step: between two steps mail is
 * taken, committed and answered as usual, however many people ask for however much.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_SCAN_H
#define FRANK_BROKER_QUEUE_SPOOL_SCAN_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>

enum {
	SCAN_ROWS = 256,    /* rows to look at in one step */
	SCAN_MESSAGES = 64, /* messages to load, show or change in one step */
};

struct scans;

/* Embed it in what it belongs to; zeroed before its first scan_begin. */
struct scan {
	TAILQ_ENTRY(scan) entry;
	struct scans *all; /* NULL: no step is to come */
	bool (*step)(void *arg);
	void *arg;
};

/* NULL: no memory. */
struct scans *scans_new(struct event_base *base);
/* Calls `step` in one of the next turns of the loop, never from within this call, and again until it
 * returns false; that last step may free the scan. Does nothing while the scan is under way. */
void scan_begin(struct scans *all, struct scan *s, bool (*step)(void *arg), void *arg);
bool scan_is_under_way(const struct scan *s);
/* `step` is not called any more. */
void scan_end(struct scan *s);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * captured.h: the captured messages that the caller may see, as an inbox with Mailpit's API: copies in a folder of the console's own, which
 * goes with it. What is deleted or released on the page is deleted or released in the queue.
 */
#ifndef FRANK_CONSOLE_CAPTURED_H
#define FRANK_CONSOLE_CAPTURED_H

#include "console/run.h"
#include "httpd/httpd.h"

enum {
	CAPTURED_KEPT = 2000, /* the newest are shown */
	CAPTURED_SECONDS = 2, /* between two looks */
};

struct captured_mail;

/* Makes the folder. NULL: *ret_error is a negative errno. */
struct captured_mail *captured_mail_new(
    struct event_base *base, struct run_pool *runner, int *ret_error);
/* After the server has ended. Removes the folder. Takes and returns NULL. */
struct captured_mail *captured_mail_free(struct captured_mail *c);
/* Adds the routes of the API, and those that reach into the queue. 0 or negative errno. */
int captured_mail_routes(struct captured_mail *c, struct httpd *h);
/* Begins to look into the queue, if it has not: somebody wants to see this. */
void captured_mail_want(struct captured_mail *c);

#endif

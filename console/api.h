/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* api.h: what the console's page asks for, below /api/console/ (openapi.json), and the pages themselves. */
#ifndef FRANK_CONSOLE_API_H
#define FRANK_CONSOLE_API_H

#include "console/captured.h"
#include "console/entry.h"
#include "console/feed.h"
#include "console/figures.h"
#include "console/run.h"
#include "console/sign-ins.h"

struct console_api;

/* What it stands on, all borrowed. */
struct console_api_parts {
	struct run_pool *runner;
	struct gatekeeper *entry;
	struct feed *feed;
	struct figures *figures;
	struct captured_mail *captured;
};

/* NULL: no memory. */
struct console_api *console_api_new(const struct console_api_parts *parts);
/* Takes and returns NULL. */
struct console_api *console_api_free(struct console_api *a);
/* Adds all routes, those of the parts too. 0 or negative errno. */
int console_api_routes(struct console_api *a, struct httpd *h);
/* The server's httpd_options.admit, with the API as its argument: entry.h's checks, and nothing that changes something for who is no
 * administrator. */
bool console_api_admit(void *api, struct httpd_request *r);

#endif

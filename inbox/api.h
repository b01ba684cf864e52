/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * api.h: the inbox over HTTP: Mailpit's API v1 (https://mailpit.axllent.org/docs/api-v1/), and beyond it /api/v1/wait, /api/v1/mark,
 * /api/v1/mailboxes and /api/v1/message/{ID}/session. openapi.json, served at /api/v1/openapi.json, describes it all.
 *
 * Who may ask is decided by the server that has these routes (httpd_options.hosts, admit).
 *
 * /api/events is a stream of Server-Sent Events. Event names are Mailpit's (new, update, delete, prune, truncate, stats), and data is what
 * Mailpit sends over its web socket: {"Type": name, "Data": value}.
 */
#ifndef FRANK_INBOX_API_H
#define FRANK_INBOX_API_H

#include "httpd/httpd.h"
#include "inbox/inbox.h"

enum {
	INBOX_API_BODY_MAX = 64 * 1024 * 1024, /* octets of a request: httpd_options.body_max */
	INBOX_API_WAITING_MAX = 1000           /* requests that are answered later, and streams */
};

struct inbox_api;

/* The routes, whose handlers want a struct inbox_api as their argument; a row without a path ends them. */
extern const struct httpd_route inbox_api_routes[];

struct inbox_api_config {
	struct inbox *inbox; /* borrowed, as all here is; the API listens to it */
	int root;            /* the folder of Maildirs, for POST /send */
	struct event_base *base;
	bool tls; /* the server's addresses begin with https: */
	const char *version, *database;
	const char *release_command; /* NULL: nothing is released */
	const char *const *release_allow;
	size_t release_allow_count;
	/* Asked by inbox_api_admit: false, and it has answered. NULL: everybody may. */
	bool (*admit)(void *arg, struct httpd_request *r);
	void *admit_arg;
	/* Where mail for this inbox is submitted: {"Host", "Port", "Account"}, a new reference; NULL: not told. */
	json_t *(*submission)(void *arg);
	void *submission_arg;
	/* Mailpit's chaos; NULL: "not enabled". `put` returns 0 or says why not. */
	json_t *(*chaos_get)(void *arg);
	int (*chaos_put)(void *arg, const json_t *body, const char **ret_why);
	void *chaos_arg;
};

/* NULL: no memory. */
struct inbox_api *inbox_api_new(const struct inbox_api_config *config);
/* The server's httpd_options.admit, which hands over the API: /livez and /readyz are everybody's. */
bool inbox_api_admit(void *api, struct httpd_request *r);
/* After the server has ended. Takes and returns NULL. */
struct inbox_api *inbox_api_free(struct inbox_api *a);

#endif

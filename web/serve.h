/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* serve.h: the pages' files over HTTP. */
#ifndef FRANK_WEB_SERVE_H
#define FRANK_WEB_SERVE_H

#include "httpd/httpd.h"

/* Answers with the file of this name under the pages' policy, with 304 where the client has it already, or with 404. */
void web_serve(struct httpd_request *r, const char *name);

/* For a route "/web/{name}"; `arg` is not used. */
void web_serve_named(void *arg, struct httpd_request *r);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* ask.h: a request of a page that the command frank answers. */
#ifndef FRANK_CONSOLE_ASK_H
#define FRANK_CONSOLE_ASK_H

#include "console/run.h"
#include "httpd/httpd.h"

/* What came of it: `ok` false: an error was answered. `answer` (NULL: it is no JSON) is borrowed. */
typedef void asked(void *arg, bool ok, const json_t *answer);

/*
 * Runs frank with these arguments (NULL at the end; --json among them) and answers with what it prints, or with its error and an HTTP
 * status that goes with its exit status. After `seconds` 503 is answered; if the client goes away the run is ended. `then` (may be
 * NULL) is called after the answer, but not where the client went away.
 */
void ask(struct run_pool *runner, struct httpd_request *r, const char *const *arguments,
    unsigned seconds, asked *then, void *arg);
/* The same for what is not JSON: answered as `type`. */
void ask_plain(struct run_pool *runner, struct httpd_request *r, const char *const *arguments,
    unsigned seconds, const char *type);

#endif

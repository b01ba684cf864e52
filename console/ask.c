/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* ask.c: see ask.h. */
#include "console/ask.h"

#include <stdlib.h>
#include <sysexits.h>

struct page_question {
	struct httpd_request *request;
	struct run_process *run;
	const char *type; /* NULL: JSON */
	asked *then;
	void *arg;
};

static int
http_status(int exit)
{
	switch (exit) {
	case EX_USAGE:
	case EX_DATAERR:
		return 400;
	case EX_NOPERM:
		return 403;
	case EX_NOUSER:
	case EX_NOINPUT:
		return 404;
	case EX_SOFTWARE: /* frankd refused what was asked, and says why */
		return 409;
	case EX_PROTOCOL:
		return 502;
	case EX_UNAVAILABLE:
	case EX_TEMPFAIL:
	case RUN_ENDED:
		return 503;
	default:
		return 500;
	}
}

static void
answer_error(struct httpd_request *r, int status, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error"),
		     *next = json_object_get(answer, "next");

	httpd_reply_json(r, http_status(status),
	    json_pack("{s:s, s:O*}", "error",
		error != NULL         ? json_string_value(error)
		: status == RUN_ENDED ? "frankd took too long to answer, or said too much"
				      : "frank failed without a word",
		"next", next));
}

static void
on_done(void *arg, int status, const char *text, size_t len)
{
	struct page_question *q = arg;
	json_t *answer =
	    q->type == NULL || status != EX_OK ? json_loadb(text, len, JSON_ALLOW_NUL, NULL) : NULL;
	/* a verdict of `frank check` is an answer, whatever its exit status */
	bool ok = q->type == NULL ? answer != NULL && json_object_get(answer, "error") == NULL
				  : status == EX_OK;

	if (!ok)
		answer_error(q->request, status, answer);
	else
		httpd_reply(
		    q->request, 200, q->type == NULL ? "application/json" : q->type, text, len);
	if (q->then != NULL)
		q->then(q->arg, ok, answer);
	json_decref(answer);
	free(q);
}

static void
on_end(void *arg, struct httpd_request *r, bool gone)
{
	struct page_question *q = arg;

	(void)run_cancel(q->run);
	if (!gone)
		answer_error(r, RUN_ENDED, NULL);
	free(q);
}

static void
begin(struct run_pool *runner, struct httpd_request *r, const char *const *arguments,
    unsigned seconds, const struct page_question *what)
{
	struct page_question *q = malloc(sizeof(*q));

	if (q == NULL) {
		httpd_reply_json(r, 500, NULL);
		return;
	}
	*q = *what;
	q->request = r;
	q->run = run_start(
	    runner, &(struct run_options){
			.arguments = arguments, .seconds = seconds, .done = on_done, .arg = q});
	if (q->run == NULL) {
		httpd_reply_error(r, 503, "too much is asked at a time: try again");
		free(q);
	} else if (httpd_later(r, (seconds + 1) * 1000, on_end, q) < 0) {
		(void)run_cancel(q->run);
		httpd_reply_json(r, 500, NULL);
		free(q);
	}
}

void
ask(struct run_pool *runner, struct httpd_request *r, const char *const *arguments,
    unsigned seconds, asked *then, void *arg)
{
	begin(runner, r, arguments, seconds, &(struct page_question){.then = then, .arg = arg});
}

void
ask_plain(struct run_pool *runner, struct httpd_request *r, const char *const *arguments,
    unsigned seconds, const char *type)
{
	begin(runner, r, arguments, seconds, &(struct page_question){.type = type});
}

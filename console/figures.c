/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * figures.c: see figures.h. A sample is taken in steps: `frank status` gives what everybody may see of their own, `frank metrics` the
 * rest. Events are for administrators alone, to others frankd refuses them (EX_NOPERM): that is how the console knows whom it serves.
 */
#include "console/figures.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/attr.h"

enum { STATUS_SECONDS = 20 };

struct figures {
	struct event_base *base;
	struct run_pool *runner;
	struct run_process *run;
	struct event *timer;
	void (*sampled)(void *arg);
	void *arg;
	json_t *samples, *tokens;
	json_t *sample; /* under way */
	bool administrator;
};

/* Runs frank for the next step of a sample. */
static void
next_step(struct figures *f, const char *const *arguments, run_done *done)
{
	f->run = run_start(f->runner,
	    &(struct run_options){
		.arguments = arguments, .seconds = STATUS_SECONDS, .done = done, .arg = f});
	if (f->run == NULL)
		done(f, RUN_ENDED, "", 0);
}

/* ---- metrics ---- */

/* A family's samples are added up to one figure, without those whose labels have `but`. */
static const struct {
	const char *family, *figure, *but;
} families[] = {
    {"frank_accepted_total", "accepted", NULL},
    {"frank_delivered_total", "delivered", NULL},
    {"frank_deferred_total", "deferred", NULL},
    {"frank_bounced_total", "bounced", NULL},
    {"frank_queue_messages", "queued", "state=\"captured\""},
    {"frank_queue_oldest_seconds", "oldest", NULL},
};

/* "family{labels} value": what `frank metrics` prints, one sample a line. */
static void
add_line(json_t *sample, char *line)
{
	char *value = strrchr(line, ' '), *labels = strchr(line, '{');
	size_t name = strcspn(line, "{ ");

	if (*line == '#' || value == NULL)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		double sum;

		if (strlen(families[i].family) != name ||
		    memcmp(line, families[i].family, name) != 0 ||
		    (families[i].but != NULL && labels != NULL &&
			strstr(labels, families[i].but) != NULL))
			continue;
		sum = json_number_value(json_object_get(sample, families[i].figure)) +
		      strtod(value, NULL);
		(void)json_object_set_new(
		    sample, families[i].figure, json_integer((json_int_t)sum));
	}
}

static void
keep_sample(struct figures *f)
{
	const struct timeval next = {.tv_sec = FIGURES_SECONDS};

	if (json_array_size(f->samples) == FIGURES_KEPT)
		(void)json_array_remove(f->samples, 0);
	(void)json_array_append_new(f->samples, TAKE_PTR(f->sample));
	(void)evtimer_add(f->timer, &next);
	f->sampled(f->arg);
}

static void
on_events(void *arg, int status, const char *text, size_t len)
{
	struct figures *f = arg;

	f->run = NULL;
	if (status == EX_OK || status == EX_NOPERM)
		f->administrator = status == EX_OK;
	keep_sample(f);
}

static void
on_metrics(void *arg, int status, const char *text, size_t len)
{
	static const char *const arguments[] = {"events", "--json", NULL};
	struct figures *f = arg;
	CLEANUP_FREE char *copy = status == EX_OK ? strndup(text, len) : NULL;
	char *rest = copy, *line;

	if (copy != NULL)
		/* the sums begin anew */
		for (size_t i = 0; i < ARRAY_SIZE(families); i++)
			(void)json_object_del(f->sample, families[i].figure);
	while ((line = strsep(&rest, "\n")) != NULL)
		add_line(f->sample, line);
	next_step(f, arguments, on_events);
}

/* ---- status ---- */

static json_t *
token_of(const json_t *account)
{
	const json_t *credential = json_object_get(account, "credential");

	return json_pack("{s:O, s:O*, s:O*}", "account", json_object_get(account, "account"),
	    "since", json_object_get(credential, "since"), "until",
	    json_object_get(credential, "until"));
}

static void
take_status(struct figures *f, const json_t *status)
{
	const json_t *o;
	json_int_t accepted = 0, queued = 0;
	size_t i;

	(void)json_array_clear(f->tokens);
	json_array_foreach(json_object_get(status, "accounts"), i, o)
	{
		queued += json_integer_value(json_object_get(o, "queued"));
		if (json_object_get(o, "credential") != NULL)
			(void)json_array_append_new(f->tokens, token_of(o));
	}
	json_array_foreach(json_object_get(status, "services"), i, o) accepted +=
	    json_integer_value(json_object_get(o, "accepted"));
	(void)json_object_set_new(f->sample, "accepted", json_integer(accepted));
	(void)json_object_set_new(f->sample, "queued", json_integer(queued));
}

static void
on_status(void *arg, int status, const char *text, size_t len)
{
	static const char *const arguments[] = {"metrics", NULL};
	struct figures *f = arg;
	json_t *answer = status == EX_OK ? json_loadb(text, len, 0, NULL) : NULL;

	if (answer != NULL)
		take_status(f, answer);
	json_decref(answer);
	next_step(f, arguments, on_metrics);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	static const char *const arguments[] = {"status", "--json", NULL};
	struct figures *f = arg;

	f->sample = json_pack("{s:I}", "time", (json_int_t)time(NULL));
	next_step(f, arguments, on_status);
}

/* ---- for others ---- */

bool
figures_administrator(const struct figures *f)
{
	return f->administrator;
}

void
figures_serve(void *arg, struct httpd_request *r)
{
	const struct figures *f = arg;

	httpd_reply_json(r, 200,
	    json_pack("{s:i, s:O, s:O}", "interval", FIGURES_SECONDS, "samples", f->samples,
		"tokens", f->tokens));
}

struct figures *
figures_new(struct event_base *base, struct run_pool *runner, void (*sampled)(void *arg), void *arg)
{
	struct figures *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = (struct figures){.base = base,
	    .runner = runner,
	    .sampled = sampled,
	    .arg = arg,
	    .samples = json_array(),
	    .tokens = json_array(),
	    .timer = evtimer_new(base, on_time, f)};
	if (f->samples == NULL || f->tokens == NULL || f->timer == NULL)
		return figures_free(f);
	on_time(-1, 0, f);
	return f;
}

struct figures *
figures_free(struct figures *f)
{
	if (f == NULL)
		return NULL;
	(void)run_cancel(f->run);
	if (f->timer != NULL)
		event_free(f->timer);
	json_decref(f->samples);
	json_decref(f->tokens);
	json_decref(f->sample);
	free(f);
	return NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* reload.c: see reload.h. */
#include "broker/main/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAUSE_MS = 1000, REPORT_MAX = 256 * 1024 };

struct reload {
	struct reload_def def;
	struct event *timer;
	uint64_t not_before;   /* of now_ms */
	struct settings *next; /* while its commands run */
	struct commands *commands;
	struct buf why;
	bool asked_again, lenient;
};

static uint64_t
now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool
is_under_way(const struct reload *r)
{
	return r->next != NULL;
}

static void
finish(struct reload *r, int result)
{
	r->next = result < 0 ? settings_free(r->next) : NULL;
	r->commands = commands_free(r->commands);
	r->not_before = now_ms() + PAUSE_MS;
	r->def.end(r->def.arg, result, &r->why);
	buf_free(&r->why);
	if (r->asked_again)
		reload_ask(r);
}

/* Would something go out of force that is in force now? The files are the same, so their services are. */
static bool
loses_something(const struct settings *s, const struct settings *in_force)
{
	const struct conf *next = settings_conf(s), *now = settings_conf(in_force);

	if (settings_aliases(s)->unreadable && !settings_aliases(in_force)->unreadable)
		return true;
	if (next->listener_count < now->listener_count || next->webhook_count < now->webhook_count)
		return true;
	for (size_t i = 0; i < next->service_count && i < now->service_count; i++)
		if (next->services[i].out_of_force && !now->services[i].out_of_force)
			return true;
	for (size_t i = 0; i < next->account_count; i++) {
		const struct conf_account *before =
		    next->accounts[i].lapse == NULL
			? NULL
			: conf_find_account(now, next->accounts[i].name);

		if (before != NULL && before->lapse == NULL)
			return true;
	}
	return false;
}

/* The commands have run, or there are none. */
static void
complete(void *arg)
{
	struct reload *r = arg;
	const struct settings *now = r->def.current(r->def.arg);
	int result = settings_complete(r->next, r->commands, &r->why);

	if (r->lenient && result == 0 && loses_something(r->next, now))
		result = -ESTALE; /* the report says what cannot be had just now */
	if (r->lenient && settings_conf(r->next)->stamp != settings_conf(now)->stamp) {
		buf_clear(&r->why);
		(void)buf_append_str(&r->why,
		    "the files of the configuration were changed; frank reload takes them");
		result = -ESTALE;
	}
	if (result == 0)
		result = r->def.take(r->def.arg, r->next, r->commands, &r->why);
	finish(r, result);
}

static void
begin(struct reload *r)
{
	const struct settings *old = r->def.current(r->def.arg);
	struct conf_environment environment = *r->def.environment;
	int result;

	r->asked_again = false;
	r->why = (struct buf)BUF_INIT(REPORT_MAX);
	r->def.begin(r->def.arg);
	environment.lenient = r->lenient;
	result = settings_begin(
	    r->def.config, &environment, settings_generation(old) + 1, &r->next, &r->why);
	if (result == 0) {
		r->commands = commands_new(r->def.base);
		result = r->commands == NULL ? -ENOMEM
					     : settings_add_commands(r->next, old, r->commands);
	}
	if (result < 0)
		finish(r, result);
	else if (!commands_run(r->commands, complete, r))
		complete(r);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	if (!is_under_way(r))
		begin(r);
}

void
reload_ask(struct reload *r)
{
	uint64_t now = now_ms(), wait = now < r->not_before ? r->not_before - now : 0;
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

	r->asked_again = is_under_way(r);
	if (!r->asked_again)
		r->lenient = false;
	if (!r->asked_again && !event_pending(r->timer, EV_TIMEOUT, NULL))
		(void)event_add(r->timer, &tv);
}

void
reload_look_again(struct reload *r)
{
	if (is_under_way(r) || event_pending(r->timer, EV_TIMEOUT, NULL))
		return;
	r->lenient = true;
	begin(r);
}

struct reload *
reload_new(const struct reload_def *def)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->def = *def;
	r->timer = evtimer_new(def->base, on_timer, r);
	return r->timer == NULL ? reload_free(r) : r;
}

struct reload *
reload_free(struct reload *r)
{
	if (r == NULL)
		return NULL;
	r->commands = commands_free(r->commands);
	r->next = settings_free(r->next);
	buf_free(&r->why);
	if (r->timer != NULL)
		event_free(r->timer);
	free(r);
	return NULL;
}

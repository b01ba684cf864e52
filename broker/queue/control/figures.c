/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* figures.c: see figures.h. */
#include "broker/queue/control/figures.h"

#include <errno.h>

#include "broker/conf/event-kinds.h"
#include "broker/queue/control/problem.h"

/* Gauges, all of them times: 0 is not known. */
static void
put_time(struct message *row, enum metric metric, const char *label, int64_t at)
{
	metric_put(row, metric, label, at > 0 ? (uint64_t)at : METRIC_UNKNOWN);
}

static void
put_space(const struct control_deps *deps, struct message *row)
{
	uint64_t free, floor;

	space_numbers(deps->space, &free, &floor);
	metric_put(row, METRIC_FREE, NULL, free);
	metric_put(row, METRIC_FLOOR, NULL, floor);
}

static void
put_events(const struct control_deps *deps, struct message *row)
{
	static const char *const kinds[] = {EVENT_KINDS};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		metric_put(row, METRIC_EVENTS, kinds[i], spool_events_of(deps->spool, kinds[i]));
}

static void
put_listeners(const struct control_deps *deps, struct message *row)
{
	for (size_t i = 0; i < deps->settings->conf->listener_count; i++) {
		const char *name = deps->settings->conf->listeners[i].name;

		put_time(row, METRIC_LISTENER, name, notify_listener_expires(deps->notify, name));
	}
}

static int
row_of_host(const struct control_deps *deps, int64_t started, struct message *row)
{
	int64_t now = clock_now(deps->clock), age = 0;
	uint64_t oldest;
	int r = spool_oldest(deps->spool, &oldest);

	if (r == 0 && oldest != 0)
		age = now - (int64_t)(oldest / 1000000);
	metric_put(row, METRIC_PROCESS_START, NULL, (uint64_t)started);
	metric_put(row, METRIC_ROLE_START, "queue", (uint64_t)started);
	for (size_t i = 0; i < PROBLEM_KINDS; i++)
		metric_put(row, METRIC_PROBLEM, problem_kinds[i], problem_is(deps, i));
	metric_put(row, METRIC_REFUSED, NULL, inbound_refused(deps->inbound));
	metric_put(row, METRIC_OLDEST, NULL, age < 0 ? 0 : (uint64_t)age);
	put_space(deps, row);
	put_events(deps, row);
	put_listeners(deps, row);
	return r;
}

static void
row_of_account(const struct control_deps *deps, const struct queue_account *a, struct message *row)
{
	unsigned state = schedule_account_state(&a->schedule);
	struct tally_sums sums = spool_sums_of(deps->spool, a->name);
	int64_t held = sums.messages - sums.waiting - sums.captured - a->sending;

	message_put_str(row, F_ACCOUNT, a->name);
	count_put(&a->count, row);
	metric_put(row, METRIC_QUEUE, "queued", (uint64_t)sums.waiting);
	metric_put(row, METRIC_QUEUE, "sending", a->sending);
	/* what is being stored right now is being sent, and not in the sums yet */
	metric_put(row, METRIC_QUEUE, "held", held < 0 ? 0 : (uint64_t)held);
	metric_put(row, METRIC_QUEUE, "captured", (uint64_t)sums.captured);
	for (unsigned i = 0; i < SCHEDULE_STATE_COUNT; i++)
		metric_put(row, METRIC_ACCOUNT, schedule_state_name(i), i == state);
	put_time(row, METRIC_CERTIFICATE, NULL, a->certificate_expires);
	put_time(row, METRIC_CONSENT, NULL, a->consent_lapses);
}

static void
row_of_service(const struct control_deps *deps, const struct service *v, struct message *row)
{
	message_put_str(row, F_SERVICE, v->name);
	metric_put(row, METRIC_ACCEPTED, NULL, v->accepted);
	metric_put(row, METRIC_REFUSED, NULL, v->refused);
	metric_put(row, METRIC_SPOOL, NULL, spool_octets_of(deps->spool, v->name));
}

size_t
figures_count(const struct control_deps *deps)
{
	return 1 + deps->accounts->count + deps->services->count;
}

int
figures_row(const struct control_deps *deps, size_t at, int64_t started, struct message **ret)
{
	const struct queue_account *a =
	    at >= 1 && at <= deps->accounts->count ? deps->accounts->list[at - 1] : NULL;
	size_t service = at - 1 - deps->accounts->count;
	CLEANUP_MESSAGE struct message *row = NULL;
	int r = 0;

	*ret = NULL;
	if (at >= figures_count(deps) || (a != NULL && !a->configured))
		return 0;
	row = message_new(M_ROW_METRICS);
	if (row == NULL)
		return -ENOMEM;
	if (at == 0)
		r = row_of_host(deps, started, row);
	else if (a != NULL)
		row_of_account(deps, a, row);
	else
		row_of_service(deps, deps->services->list[service], row);
	if (r == 0)
		*ret = TAKE_PTR(row);
	return r;
}

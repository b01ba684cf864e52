/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* filter.c: see filter.h. */
#include "broker/queue/notify/filter.h"

#include <string.h>

static bool
has(const struct conf_strings *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], word) == 0)
			return true;
	return false;
}

static bool
has_kind(const struct conf_strings *kinds, const struct spool_event *e)
{
	if (kinds->count == 0)
		return !e->of_message;
	return has(kinds, e->kind) || has(kinds, e->of_message ? "messages" : "conditions") ||
	       has(kinds, "all");
}

bool
filter_mail(const struct conf *c, const struct spool_event *e)
{
	return !e->of_message && has_kind(&c->notify.events, e);
}

bool
filter_command(const struct conf *c, const struct spool_event *e)
{
	return has_kind(&c->notify.events, e);
}

bool
filter_webhook(const struct conf *c, const struct conf_webhook *w, const struct spool_event *e)
{
	if (!has_kind(w->events.count > 0 ? &w->events : &c->notify.events, e))
		return false;
	if (w->accounts.count > 0 && (e->account != NULL || e->of_message) &&
	    (e->account == NULL || !has(&w->accounts, e->account)))
		return false;
	return w->services.count == 0 || !e->of_message ||
	       (e->service != NULL && has(&w->services, e->service));
}

bool
filter_keeps(const struct conf *c, const struct spool_event *e)
{
	if (!e->of_message || (c->notify.record.count > 0 && has_kind(&c->notify.record, e)) ||
	    (c->notify.has_command && filter_command(c, e)))
		return true;
	for (size_t i = 0; i < c->webhook_count; i++)
		if (filter_webhook(c, &c->webhooks[i], e))
			return true;
	return false;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.c: see settings.h.
 */
#include "broker/queue/common/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "broker/conf/wire.h"
#include "broker/role/caller.h"
#include "broker/ipc/file.h"

enum { DAY = 24 * 3600 };

/* Takes a text out of the configuration: "" where it is absent, NULL without memory. */
static char *
take(char **from)
{
	return *from == NULL ? strdup("") : TAKE_PTR(*from);
}

static struct conf_strings
take_strings(struct conf_strings *from)
{
	struct conf_strings all = *from;

	*from = (struct conf_strings){0};
	return all;
}

/* An address as envelopes have it: the configuration may spell it otherwise, and a login must. */
static char *
take_address(char **from)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);

	if (*from == NULL || address_read(*from, strlen(*from), true, &address) < 0)
		return take(from);
	return buf_take(&address);
}

/* The texts of a list, separated by spaces. NULL: no memory. */
static char *
join(const struct conf_strings *list)
{
	struct buf all = BUF_INIT(4096);

	for (size_t i = 0; i < list->count; i++)
		(void)buf_printf(&all, "%s%s", all.len > 0 ? " " : "", list->items[i]);
	return all.len == 0 ? strdup("") : buf_take(&all);
}

struct queue_settings *
settings_new(const struct message *m)
{
	struct queue_settings *s = calloc(1, sizeof(*s));
	const char *lapse;
	size_t at = 0;

	if (s == NULL)
		return NULL;
	s->generation = message_u64(m, F_GENERATION, 0);
	s->conf = calloc(1, sizeof(*s->conf));
	while (s->conf != NULL && message_next_str(m, F_WARNING, &at, &lapse))
		if (conf_strings_add(&s->lapses, lapse) < 0)
			return settings_free(s);
	return s->conf == NULL ? settings_free(s) : s;
}

static void
clear_service(struct policy_service *v)
{
	free(v->name);
	free(v->socket);
	free(v->users);
	free(v->groups);
	conf_strings_free(&v->accounts);
	conf_strings_free(&v->senders);
	conf_strings_free(&v->recipients);
	conf_strings_free(&v->deliver_to);
}

static void
clear_account(struct settings_account *a)
{
	free(a->name);
	free(a->provider);
	free(a->mailbox);
	free(a->auth_user);
	free(a->grant);
	free(a->host);
	free(a->tls);
	free(a->transport);
	free(a->secret_from);
	free(a->mechanisms);
	free(a->lapse);
}

struct queue_settings *
settings_free(struct queue_settings *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->account_count; i++)
		clear_account(&s->accounts[i]);
	for (size_t i = 0; i < s->service_count; i++)
		clear_service(&s->services[i]);
	for (size_t i = 0; i < s->listener_count; i++) {
		free(s->listeners[i].name);
		conf_strings_free(&s->listeners[i].addresses);
	}
	free(s->accounts);
	free(s->services);
	free(s->listeners);
	conf_strings_free(&s->notify.mail_to);
	conf_strings_free(&s->notify.mail_accounts);
	conf_strings_free(&s->notify.events);
	conf_strings_free(&s->notify.record);
	for (size_t i = 0; i < s->notify.webhook_count; i++)
		conf_block_clear(CONF_BLOCK_WEBHOOK, &s->notify.webhooks[i]);
	free(s->notify.webhooks);
	free(s->hostname);
	free(s->mail_name);
	free(s->postmaster);
	conf_strings_free(&s->local_domains);
	conf_strings_free(&s->lapses);
	(void)aliases_free(s->aliases);
	(void)conf_free(s->conf);
	free(s);
	return NULL;
}

static int
make_account(struct settings_account *a, struct conf_account *c)
{
	a->name = take(&c->name);
	a->provider = take(&c->provider);
	a->mailbox = take_address(&c->mailbox);
	a->auth_user = take(&c->auth_user);
	a->grant = strdup(conf_word(CONF_TYPE_grant, c->grant));
	a->host = take(&c->host);
	a->tls = strdup(conf_word(CONF_TYPE_tls, c->tls));
	a->transport = strdup(conf_word(CONF_TYPE_transport, c->transport));
	a->secret_from = take(&c->secret_from);
	a->mechanisms = join(&c->mechanisms);
	a->lapse = take(&c->lapse);
	a->client_expires = c->client_expires;
	a->port = c->port;
	a->sessions = c->sessions == 0 ? 1 : c->sessions;
	a->rate = c->rate;
	a->recipients_max = c->recipients_max;
	return a->name != NULL && a->provider != NULL && a->mailbox != NULL &&
		       a->auth_user != NULL && a->grant != NULL && a->host != NULL &&
		       a->tls != NULL && a->transport != NULL && a->secret_from != NULL &&
		       a->mechanisms != NULL && a->lapse != NULL
		   ? 0
		   : -ENOMEM;
}

static int
make_service(struct policy_service *v, struct conf_service *c)
{
	static const enum policy_from from[] = {[CONF_FROM_REWRITE] = POLICY_REWRITE,
	    [CONF_FROM_REFUSE] = POLICY_REFUSE,
	    [CONF_FROM_KEEP] = POLICY_KEEP};

	v->name = take(&c->name);
	v->socket = c->socket && v->name != NULL ? strdup(v->name) : NULL;
	v->capture = c->mode == CONF_MODE_CAPTURE;
	v->password = c->password;
	v->any_user = c->any_user;
	v->rate_minute = c->rate_minute;
	v->rate_day = c->rate_day;
	v->recipients_max = c->recipients_max;
	v->size_max = c->size_max;
	v->queue_max = c->queue_max;
	v->from = from[c->from];
	v->user_count = c->users.count;
	v->users = TAKE_PTR(c->users.items);
	v->group_count = c->groups.count;
	v->groups = TAKE_PTR(c->groups.items);
	v->accounts = take_strings(&c->accounts);
	v->senders = take_strings(&c->senders);
	v->recipients = take_strings(&c->recipients);
	v->deliver_to = take_strings(&c->deliver_to);
	return v->name == NULL || (c->socket && v->socket == NULL) ? -ENOMEM : 0;
}

static int
make_listener(struct settings_listener *n, struct conf_listener *c)
{
	n->name = take(&c->name);
	n->tls = c->tls == CONF_TLS_IMPLICIT   ? SETTINGS_TLS_IMPLICIT
		 : c->tls == CONF_TLS_STARTTLS ? SETTINGS_TLS_STARTTLS
					       : SETTINGS_TLS_NONE;
	n->remote = c->remote;
	n->bare_line_ends_local = c->line_ends != CONF_LINE_ENDS_CRLF;
	n->bare_line_ends_remote = c->line_ends == CONF_LINE_ENDS_ANY;
	n->auth_required = c->remote || c->auth == CONF_LISTENER_AUTH_REQUIRED;
	n->addresses = take_strings(&c->addresses);
	return n->name == NULL ? -ENOMEM : 0;
}

static void
make_notify(struct settings_notify *n, struct conf *c)
{
	n->after = c->notify.after;
	n->repeat = c->notify.repeat == 0 ? DAY : c->notify.repeat;
	n->has_command = c->notify.has_command;
	n->mail_to = take_strings(&c->notify.mail_to);
	n->mail_accounts = take_strings(&c->notify.mail_accounts);
	n->events = take_strings(&c->notify.events);
	n->record = take_strings(&c->notify.record);
	n->keep_events = c->notify.keep_events;
	n->events_max = c->notify.events_max;
	n->webhooks = TAKE_PTR(c->webhooks);
	n->webhook_count = c->webhook_count;
	c->webhook_count = 0;
}

static int
make_top(struct queue_settings *s, struct conf *c)
{
	s->hostname = take(&c->hostname);
	s->mail_name = take(&c->mail_name);
	s->postmaster = take_address(&c->postmaster);
	s->local_domains = take_strings(&c->local_domains);
	s->size_max = c->size_max;
	s->min_free = c->min_free;
	s->lifetime = c->lifetime;
	s->warn_after = c->warn_after;
	s->keep_history = (c->keep_transcripts + (int64_t)DAY - 1) / DAY * DAY; /* whole days */
	s->keep_captured = c->keep_captured;
	s->captured_max = c->captured_max;
	s->transcripts_size = c->transcripts_size;
	s->hold_in_doubt = c->in_doubt == CONF_IN_DOUBT_HOLD;
	s->has_admin_gid = c->has_admin_gid;
	s->admin_gid = c->admin_gid;
	s->has_monitor_gid = c->has_monitor_gid;
	s->monitor_gid = c->monitor_gid;
	s->user_connections = c->user_connections;
	s->user_rate = c->user_rate;
	s->user_in_flight = c->user_in_flight;
	return s->hostname == NULL || s->mail_name == NULL || s->postmaster == NULL ? -ENOMEM : 0;
}

int
settings_add(struct queue_settings *s, const struct message *m)
{
	return wire_take(s->conf, ROLE_QUEUE, m, -1);
}

static int
compare(const void *a, const void *b)
{
	const struct settings_account *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int
settings_complete(struct queue_settings *s)
{
	struct conf *c = s->conf;
	int r = make_top(s, c);

	if (r == 0)
		make_notify(&s->notify, c);
	s->accounts = calloc(c->account_count + 1, sizeof(*s->accounts));
	s->services = calloc(c->service_count + 1, sizeof(*s->services));
	s->listeners = calloc(c->listener_count + 1, sizeof(*s->listeners));
	if (s->accounts == NULL || s->services == NULL || s->listeners == NULL)
		r = -ENOMEM;
	while (r == 0 && s->account_count < c->account_count) {
		r = make_account(&s->accounts[s->account_count], &c->accounts[s->account_count]);
		s->account_count++;
	}
	while (r == 0 && s->service_count < c->service_count) {
		r = make_service(&s->services[s->service_count], &c->services[s->service_count]);
		s->service_count++;
	}
	while (r == 0 && s->listener_count < c->listener_count) {
		r = make_listener(
		    &s->listeners[s->listener_count], &c->listeners[s->listener_count]);
		s->listener_count++;
	}
	if (r == 0)
		qsort(s->accounts, s->account_count, sizeof(*s->accounts), compare);
	s->conf = conf_free(s->conf);
	return r;
}

const struct settings_listener *
settings_find_listener(const struct queue_settings *s, const char *name)
{
	for (size_t i = 0; i < s->listener_count; i++)
		if (strcmp(s->listeners[i].name, name) == 0)
			return &s->listeners[i];
	return NULL;
}

int
settings_take_aliases(struct queue_settings *s, const struct message *m, int fd)
{
	CLEANUP_BUF struct buf text = BUF_INIT(ALIASES_TEXT_MAX), report = BUF_INIT(64 * 1024);
	struct aliases *a = NULL;
	int r = fd < 0 ? 0 : file_read_whole(fd, &text);

	/* Main has reported what is wrong in it. */
	if (r == 0 && fd >= 0)
		r = aliases_parse(
		    buf_str(&text), text.len, message_str(m, F_ALIASES_FILE), &a, &report);
	if (r < 0)
		return r;
	(void)aliases_free(s->aliases);
	s->aliases = a;
	return 0;
}

void
settings_server(const struct settings_account *a, struct buf *out)
{
	(void)buf_printf(out, "%s %s:%u %s %s %s %s %s", a->transport, a->host, a->port, a->tls,
	    a->grant, a->auth_user, a->mailbox, a->mechanisms);
}

uint64_t
settings_admin_group(const struct queue_settings *s)
{
	return s->has_admin_gid ? s->admin_gid : CALLER_NO_GROUP;
}

uint64_t
settings_monitor_group(const struct queue_settings *s)
{
	return s->has_monitor_gid ? s->monitor_gid : CALLER_NO_GROUP;
}

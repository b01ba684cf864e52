/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.c: see settings.h.
 */
#include "broker/queue/common/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "broker/role/caller.h"
#include "broker/ipc/file.h"

enum {
	DAY = 24 * 3600,
	LIFETIME_DEFAULT = 5 * DAY,
	WARN_AFTER_DEFAULT = 4 * 3600,
	HISTORY_DAYS_DEFAULT = 14,
	SIZE_DEFAULT = 50 * 1024 * 1024,
	SESSIONS_DEFAULT = 1,
	NOTIFY_AFTER_DEFAULT = 60,
	USER_CONNECTIONS_DEFAULT = 128,
	USER_RATE_DEFAULT = 6000,
	USER_IN_FLIGHT_DEFAULT = 512 * 1024 * 1024,
};

/* A copy of a field's text, "" where it is absent. */
static char *
copy(const struct message *m, enum field f)
{
	const char *text = message_str(m, f);

	return strdup(text == NULL ? "" : text);
}

/* An address as envelopes have it: the configuration may spell it otherwise, and a login must. */
static char *
copy_address(const struct message *m, enum field f)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);
	const char *text = message_str(m, f);

	if (text == NULL || *text == '\0')
		return strdup("");
	return address_read(text, strlen(text), true, &address) < 0 ? strdup(text)
								    : buf_take(&address);
}

/* Room for one more of `size` octets, zeroed: arrays double at the powers of two. */
static void *
grow(void *array, size_t count, size_t size)
{
	char *more = array;

	if ((count & (count - 1)) == 0) {
		more = reallocarray(array, count == 0 ? 1 : count * 2, size);
		if (more == NULL)
			return NULL;
	}
	memset(more + count * size, 0, size);
	return more;
}

static int
take_strings(const struct message *m, enum field f, struct policy_strings *ret)
{
	const char *text;
	size_t at = 0;

	while (message_next_str(m, f, &at, &text)) {
		char **all = grow(ret->items, ret->count, sizeof(*all));

		if (all == NULL)
			return -ENOMEM;
		ret->items = all;
		all[ret->count] = strdup(text);
		if (all[ret->count] == NULL)
			return -ENOMEM;
		ret->count++;
	}
	return 0;
}

/* The texts of a repeated field, separated by spaces. NULL: no memory. */
static char *
join(const struct message *m, enum field f)
{
	struct buf all = BUF_INIT(4096);
	const char *text;
	size_t at = 0;

	while (message_next_str(m, f, &at, &text))
		(void)buf_printf(&all, "%s%s", all.len > 0 ? " " : "", text);
	return all.len == 0 ? strdup("") : buf_take(&all);
}

struct settings *
settings_new(const struct message *m)
{
	struct settings *s = calloc(1, sizeof(*s));
	const char *in_doubt = message_str(m, F_IN_DOUBT);

	if (s == NULL)
		return NULL;
	s->generation = message_u64(m, F_GENERATION, 0);
	s->hostname = copy(m, F_HOSTNAME);
	s->mail_name = message_has(m, F_MAIL_NAME) ? copy(m, F_MAIL_NAME) : copy(m, F_HOSTNAME);
	s->postmaster = copy_address(m, F_POSTMASTER);
	s->size_max = message_u64(m, F_SIZE_LIMIT, SIZE_DEFAULT);
	s->min_free = message_u64(m, F_MIN_FREE, 0);
	s->lifetime = (int64_t)message_u64(m, F_LIFETIME, LIFETIME_DEFAULT);
	s->warn_after = (int64_t)message_u64(m, F_WARN_AFTER, WARN_AFTER_DEFAULT);
	s->keep_history = (int64_t)message_u64(m, F_TRANSCRIPT_DAYS, HISTORY_DAYS_DEFAULT) * DAY;
	s->transcripts_size = message_u64(m, F_TRANSCRIPT_OCTETS, UINT64_MAX);
	s->notify = (struct settings_notify){.after = NOTIFY_AFTER_DEFAULT, .repeat = DAY};
	s->hold_in_doubt = in_doubt != NULL && strcmp(in_doubt, "hold") == 0;
	s->has_admin_gid = message_has(m, F_ADMIN_GID);
	s->admin_gid = (uint32_t)message_u64(m, F_ADMIN_GID, 0);
	s->user_connections =
	    (unsigned)message_u64(m, F_USER_CONNECTIONS, USER_CONNECTIONS_DEFAULT);
	s->user_rate = (unsigned)message_u64(m, F_USER_RATE, USER_RATE_DEFAULT);
	s->user_in_flight = message_u64(m, F_USER_IN_FLIGHT, USER_IN_FLIGHT_DEFAULT);
	if (s->hostname == NULL || s->mail_name == NULL || s->postmaster == NULL ||
	    take_strings(m, F_LOCAL_DOMAIN, &s->local_domains) < 0 ||
	    take_strings(m, F_WARNING, &s->lapses) < 0)
		return settings_free(s);
	return s;
}

static void
free_strings(struct policy_strings *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
}

void
settings_service_clear(struct policy_service *v)
{
	free(v->name);
	free(v->socket);
	free(v->users);
	free(v->groups);
	free_strings(&v->accounts);
	free_strings(&v->senders);
	free_strings(&v->recipients);
}

void
settings_account_clear(struct settings_account *a)
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

struct settings *
settings_free(struct settings *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->account_count; i++)
		settings_account_clear(&s->accounts[i]);
	for (size_t i = 0; i < s->service_count; i++)
		settings_service_clear(&s->services[i]);
	for (size_t i = 0; i < s->listener_count; i++) {
		free(s->listeners[i].name);
		free_strings(&s->listeners[i].addresses);
	}
	free(s->accounts);
	free(s->services);
	free(s->listeners);
	free_strings(&s->notify.mail_to);
	free_strings(&s->notify.mail_accounts);
	free_strings(&s->notify.events);
	free_strings(&s->notify.webhooks);
	free(s->hostname);
	free(s->mail_name);
	free(s->postmaster);
	free_strings(&s->local_domains);
	free_strings(&s->lapses);
	(void)aliases_free(s->aliases);
	free(s);
	return NULL;
}

static int
add_account(struct settings *s, const struct message *m)
{
	struct settings_account *all = grow(s->accounts, s->account_count, sizeof(*all)), *a;

	if (all == NULL)
		return -ENOMEM;
	s->accounts = all;
	a = &all[s->account_count++];
	a->name = copy(m, F_ACCOUNT);
	a->provider = copy(m, F_PROVIDER);
	a->mailbox = copy_address(m, F_MAILBOX);
	a->auth_user = copy(m, F_AUTH_USER);
	a->grant = copy(m, F_GRANT);
	a->host = copy(m, F_HOST);
	a->tls = copy(m, F_TLS);
	a->transport = copy(m, F_TRANSPORT);
	a->secret_from = copy(m, F_SECRET_FROM);
	a->mechanisms = join(m, F_MECHANISM);
	a->lapse = copy(m, F_WARNING);
	a->client_expires = (int64_t)message_u64(m, F_CLIENT_EXPIRES, 0);
	a->port = (unsigned)message_u64(m, F_PORT, 0);
	a->sessions = (unsigned)message_u64(m, F_SESSIONS, SESSIONS_DEFAULT);
	if (a->sessions == 0)
		a->sessions = SESSIONS_DEFAULT;
	a->rate = (unsigned)message_u64(m, F_RATE, 0);
	a->recipients_max = (unsigned)message_u64(m, F_RECIPIENTS_MAX, 0);
	return a->name != NULL && a->provider != NULL && a->mailbox != NULL &&
		       a->auth_user != NULL && a->grant != NULL && a->host != NULL &&
		       a->tls != NULL && a->transport != NULL && a->secret_from != NULL &&
		       a->mechanisms != NULL && a->lapse != NULL
		   ? 0
		   : -ENOMEM;
}

static int
take_numbers(const struct message *m, enum field f, uint32_t **ret, size_t *ret_count)
{
	uint64_t number;
	size_t at = 0;

	while (message_next_u64(m, f, &at, &number)) {
		uint32_t *all = grow(*ret, *ret_count, sizeof(*all));

		if (all == NULL)
			return -ENOMEM;
		*ret = all;
		all[(*ret_count)++] = (uint32_t)number;
	}
	return 0;
}

static int
from_policy(const char *text, enum policy_from *ret)
{
	if (strcmp(text, "rewrite") == 0)
		*ret = POLICY_REWRITE;
	else if (strcmp(text, "refuse") == 0)
		*ret = POLICY_REFUSE;
	else if (strcmp(text, "keep") == 0)
		*ret = POLICY_KEEP;
	else
		return -EPROTO;
	return 0;
}

static int
add_service(struct settings *s, const struct message *m)
{
	struct policy_service *all = grow(s->services, s->service_count, sizeof(*all)), *v;
	const char *socket = message_str(m, F_SOCKET_NAME);
	int r;

	if (all == NULL)
		return -ENOMEM;
	s->services = all;
	v = &all[s->service_count++];
	v->name = copy(m, F_SERVICE);
	if (socket != NULL && *socket != '\0')
		v->socket = strdup(socket);
	if (v->name == NULL || (socket != NULL && *socket != '\0' && v->socket == NULL))
		return -ENOMEM;
	v->capture = strcmp(message_str(m, F_MODE), "capture") == 0;
	v->password = message_u64(m, F_PASSWORD_ALLOWED, 0) != 0;
	v->any_user = message_u64(m, F_ANY_USER, 0) != 0;
	v->rate_minute = (unsigned)message_u64(m, F_RATE, 0);
	v->rate_day = (unsigned)message_u64(m, F_RATE_DAY, 0);
	v->recipients_max = (unsigned)message_u64(m, F_RECIPIENTS_MAX, 0);
	v->size_max = message_u64(m, F_SIZE_LIMIT, 0);
	v->queue_max = message_u64(m, F_QUEUE_LIMIT, 0);
	r = from_policy(message_str(m, F_FROM_POLICY), &v->from);
	if (r == 0)
		r = take_numbers(m, F_USER, &v->users, &v->user_count);
	if (r == 0)
		r = take_numbers(m, F_GROUP, &v->groups, &v->group_count);
	if (r == 0)
		r = take_strings(m, F_ACCOUNT, &v->accounts);
	if (r == 0)
		r = take_strings(m, F_SENDERS, &v->senders);
	if (r == 0)
		r = take_strings(m, F_RECIPIENTS, &v->recipients);
	return r;
}

static int
add_listener(struct settings *s, const struct message *m)
{
	struct settings_listener *all = grow(s->listeners, s->listener_count, sizeof(*all)), *n;
	const char *tls = message_str(m, F_TLS), *line_ends = message_str(m, F_LINE_ENDS);

	if (all == NULL)
		return -ENOMEM;
	s->listeners = all;
	n = &all[s->listener_count++];
	n->name = copy(m, F_LISTENER);
	n->tls = strcmp(tls, "implicit") == 0   ? SETTINGS_TLS_IMPLICIT
		 : strcmp(tls, "starttls") == 0 ? SETTINGS_TLS_STARTTLS
						: SETTINGS_TLS_NONE;
	n->remote = message_u64(m, F_REMOTE, 0) != 0;
	n->bare_line_ends_local = line_ends == NULL || strcmp(line_ends, "any") == 0;
	n->bare_line_ends_remote = line_ends != NULL && n->bare_line_ends_local;
	n->auth_required = n->remote || message_u64(m, F_AUTH_REQUIRED, 0) != 0;
	return n->name == NULL ? -ENOMEM : take_strings(m, F_ADDRESS, &n->addresses);
}

const struct settings_listener *
settings_find_listener(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->listener_count; i++)
		if (strcmp(s->listeners[i].name, name) == 0)
			return &s->listeners[i];
	return NULL;
}

static int
take_notify(struct settings *s, const struct message *m)
{
	struct settings_notify *n = &s->notify;

	n->after = (int64_t)message_u64(m, F_AFTER, 0);
	n->repeat = (int64_t)message_u64(m, F_REPEAT, DAY);
	n->has_command = message_u64(m, F_HAS_COMMAND, 0) != 0;
	return take_strings(m, F_MAIL_TO, &n->mail_to) < 0 ||
		       take_strings(m, F_ACCOUNT, &n->mail_accounts) < 0 ||
		       take_strings(m, F_EVENT_KIND, &n->events) < 0 ||
		       take_strings(m, F_NAME, &n->webhooks) < 0
		   ? -ENOMEM
		   : 0;
}

int
settings_add(struct settings *s, const struct message *m)
{
	switch (message_type(m)) {
	case M_CONF_ACCOUNT:
		return add_account(s, m);
	case M_CONF_SERVICE:
		return add_service(s, m);
	case M_CONF_LISTENER:
		return add_listener(s, m);
	case M_CONF_NOTIFY:
		return take_notify(s, m);
	default:
		return -EPROTO;
	}
}

int
settings_take_aliases(struct settings *s, const struct message *m, int fd)
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

static int
compare(const void *a, const void *b)
{
	const struct settings_account *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void
settings_complete(struct settings *s)
{
	if (s->account_count > 0)
		qsort(s->accounts, s->account_count, sizeof(*s->accounts), compare);
}

uint64_t
settings_admin_group(const struct settings *s)
{
	return s->has_admin_gid ? s->admin_gid : CALLER_NO_GROUP;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * configuration.c: the keeper's part of the configuration, taken whole or not at all.
 *
 * An account that stays keeps its machine and its place in the store; what changed of its configuration makes a new generation
 * where it matters (account.c). One that is taken out while the server is asked to refresh for it lives on unseen until the
 * answer is stored, since that answer may bring a refresh token that replaces the stored one.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

static void
services_free(struct token_service *s, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(s[i].name);
		free(s[i].users);
		free(s[i].groups);
		for (size_t n = 0; n < s[i].account_count; n++)
			free(s[i].accounts[n]);
		free(s[i].accounts);
	}
	free(s);
}

static void
incoming_clear(struct incoming_conf *in)
{
	for (size_t i = 0; i < in->account_count; i++)
		(void)account_conf_free(in->accounts[i]);
	free(in->accounts);
	services_free(in->services, in->service_count);
	free(in->key_from);
	(void)secret_free(in->key);
	*in = (struct incoming_conf){.admin_gid = UINT64_MAX};
}

static void
conf_begin(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	const char *from = message_str(m, F_MASTER_KEY_FROM);

	incoming_clear(in);
	in->begun = true;
	in->admin_gid = message_u64(m, F_ADMIN_GID, UINT64_MAX);
	in->key_from = strdup(from == NULL ? "key-file" : from);
	in->key = message_secret(m, F_KEY);
	in->failed = in->key_from == NULL;
}

static void
conf_account(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	struct account_conf *c;

	if (in->account_count == in->account_room) {
		size_t room = in->account_room == 0 ? 16 : in->account_room * 2;
		struct account_conf **more = reallocarray(in->accounts, room, sizeof(*more));

		if (more == NULL) {
			in->failed = true;
			return;
		}
		in->accounts = more;
		in->account_room = room;
	}
	c = account_conf_new(k->vault, m);
	if (c == NULL) {
		in->failed = true;
		log_line(LOG_LEVEL_ERROR, "An account of the configuration cannot be taken.",
		    LOG_PAIRS(
			{LOG_ACCOUNT, message_str(m, F_ACCOUNT)}, {LOG_ERROR, strerror(errno)}));
		return;
	}
	in->accounts[in->account_count++] = c;
}

static int
take_ids(const struct message *m, enum field f, uid_t **ret, size_t *ret_count)
{
	size_t at = 0, count = 0;
	uint64_t value;

	while (message_next_u64(m, f, &at, &value))
		count++;
	if (count == 0)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (at = 0; message_next_u64(m, f, &at, &value);)
		(*ret)[(*ret_count)++] = (uid_t)value;
	return 0;
}

static int
take_names(const struct message *m, char ***ret, size_t *ret_count)
{
	size_t at = 0, count = 0;
	const char *s;

	while (message_next_str(m, F_ACCOUNT, &at, &s))
		count++;
	if (count == 0)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (at = 0; message_next_str(m, F_ACCOUNT, &at, &s); (*ret_count)++) {
		(*ret)[*ret_count] = strdup(s);
		if ((*ret)[*ret_count] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Only services that may have tokens are of interest, and of them those whose callers are known by
 * uid here: one with a socket of its own is recognised by that socket alone. */
static void
conf_service(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	const char *socket_name = message_str(m, F_SOCKET_NAME);
	struct token_service *more, *s;

	if (message_u64(m, F_TOKEN_ALLOWED, 0) == 0 ||
	    (socket_name != NULL && *socket_name != '\0'))
		return;
	more = reallocarray(in->services, in->service_count + 1, sizeof(*more));
	if (more == NULL) {
		in->failed = true;
		return;
	}
	in->services = more;
	s = &more[in->service_count++];
	*s = (struct token_service){.any_user = message_u64(m, F_ANY_USER, 0) != 0};
	s->name = strdup(message_str(m, F_SERVICE));
	if (s->name == NULL || take_ids(m, F_USER, &s->users, &s->user_count) < 0 ||
	    take_ids(m, F_GROUP, &s->groups, &s->group_count) < 0 ||
	    take_names(m, &s->accounts, &s->account_count) < 0)
		in->failed = true;
}

static int
by_name(const void *a, const void *b)
{
	const struct account *const *x = a, *const *y = b;

	return strcmp((*x)->conf->name, (*y)->conf->name);
}

static void
end_account(struct keeper *k, struct account *a)
{
	requests_cancel(k, a);
	prepare_cancel(k, a);
	if (a->timer != NULL)
		event_free(a->timer);
	(void)account_free(a);
}

/* Has it a refresh under way, or a refresh token that is in memory only? */
static bool
is_busy(const struct account *a)
{
	return machine_state(a->machine) == MACHINE_REFRESHING || machine_is_unwritten(a->machine);
}

/* Takes an account back that was retired, or NULL. */
static struct account *
take_retired(struct keeper *k, const char *name)
{
	for (struct account **p = &k->retired; *p != NULL; p = &(*p)->next_retired) {
		struct account *a = *p;

		if (strcmp(a->conf->name, name) == 0) {
			*p = a->next_retired;
			a->next_retired = NULL;
			return a;
		}
	}
	return NULL;
}

void
configuration_end_retired(struct keeper *k, struct account *a)
{
	if (!a->listed && !is_busy(a) && take_retired(k, a->conf->name) != NULL)
		end_account(k, a);
}

void
configuration_refuse_waiters(struct keeper *k, struct account *a)
{
	for (struct waiter *w = k->waiters, *next; w != NULL; w = next) {
		next = w->next;
		if (w->account == a) {
			machine_forget(a->machine, w->id);
			keeper_decide(k, a, w->id, false);
		}
	}
}

struct account *
configuration_find_any(const struct keeper *k, const char *name)
{
	struct account *a = keeper_find(k, name);

	for (struct account *r = k->retired; a == NULL && r != NULL; r = r->next_retired)
		if (strcmp(r->conf->name, name) == 0)
			a = r;
	return a;
}

static void
drop_account(struct keeper *k, struct account *a)
{
	authorize_forget_account(k, a);
	revoke_forget_account(k, a);
	configuration_refuse_waiters(k, a);
	a->listed = false;
	if (is_busy(a)) {
		a->next_retired = k->retired;
		k->retired = a;
		return;
	}
	end_account(k, a);
}

/* A configured account becomes one that works: the one that is there, or a new one. */
static struct account *
place_account(struct keeper *k, struct account_conf *c)
{
	struct account *a = keeper_find(k, c->name);

	if (a != NULL && !a->listed) {
		(void)account_conf_free(c); /* a name given twice: main refuses that */
		return NULL;
	}
	if (a == NULL)
		a = take_retired(k, c->name);
	if (a == NULL) {
		a = account_new(c, k->vault, &k->account_ops);
	} else {
		a->listed = false; /* taken over */
		(void)account_configure(a, c);
	}
	if (a == NULL)
		return NULL;
	a->trouble = k->trouble;
	if (a->file == NULL && k->store != NULL && account_open(a, k->store) < 0)
		a->trouble = STORE_UNREADABLE;
	return a;
}

static void
swap_accounts(struct keeper *k)
{
	struct incoming_conf *in = &k->incoming;
	struct accounts fresh = {.items = calloc(in->account_count + 1, sizeof(*fresh.items))};
	struct accounts old = k->accounts;

	if (fresh.items == NULL) {
		log_error("Memory ran out while a configuration was taken; the one before stays.");
		return;
	}
	for (size_t i = 0; i < in->account_count; i++) {
		struct account *a = place_account(k, TAKE_PTR(in->accounts[i]));

		if (a != NULL)
			fresh.items[fresh.count++] = a;
	}
	k->accounts = fresh;
	if (fresh.count > 0)
		qsort(fresh.items, fresh.count, sizeof(*fresh.items), by_name);
	for (size_t i = 0; i < old.count; i++)
		if (old.items[i]->listed)
			drop_account(k, old.items[i]);
	free(old.items);
	for (size_t i = 0; i < k->accounts.count; i++)
		keeper_run(k, k->accounts.items[i]);
	for (size_t i = 0; i < k->accounts.count; i++)
		k->accounts.items[i]->listed = true;
}

static void
conf_end(struct keeper *k)
{
	struct incoming_conf *in = &k->incoming;

	if (!in->begun || in->failed) {
		log_error("A configuration did not arrive whole; the one before stays.");
		incoming_clear(in);
		return;
	}
	keys_configured(k, keyslot_kind_by_name(in->key_from), in->key);
	k->admin_gid = in->admin_gid;
	services_free(k->services, k->service_count);
	k->services = TAKE_PTR(in->services);
	k->service_count = in->service_count;
	in->service_count = 0;
	swap_accounts(k);
	incoming_clear(in);
	clients_reloaded(k);
	keeper_tell_all(k);
}

bool
configuration_message(struct keeper *k, const struct message *m)
{
	switch (message_type(m)) {
	case M_CONF_BEGIN:
		conf_begin(k, m);
		return true;
	case M_CONF_ACCOUNT:
		conf_account(k, m);
		return true;
	case M_CONF_SERVICE:
		conf_service(k, m);
		return true;
	case M_CONF_END:
		conf_end(k);
		return true;
	default:
		return false;
	}
}

void
configuration_clear(struct keeper *k)
{
	for (struct account *a = k->retired, *next; a != NULL; a = next) {
		next = a->next_retired;
		end_account(k, a);
	}
	k->retired = NULL;
	for (size_t i = 0; i < k->accounts.count; i++)
		end_account(k, k->accounts.items[i]);
	free(k->accounts.items);
	k->accounts = (struct accounts){0};
	services_free(k->services, k->service_count);
	incoming_clear(&k->incoming);
}

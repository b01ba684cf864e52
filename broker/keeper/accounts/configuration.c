/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* configuration.c: see configuration.h. */
#include "broker/keeper/accounts/configuration.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "broker/role/caller.h"

void
configuration_clear_services(struct token_services *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct token_service *t = &s->items[i];

		free(t->name);
		free(t->users);
		free(t->groups);
		for (size_t n = 0; n < t->account_count; n++)
			free(t->accounts[n]);
		free(t->accounts);
	}
	free(s->items);
	*s = (struct token_services){0};
}

void
configuration_clear(struct configuration *c)
{
	for (size_t i = 0; i < c->account_count; i++)
		(void)account_conf_free(c->accounts[i]);
	free(c->accounts);
	configuration_clear_services(&c->services);
	(void)secret_free(c->key);
	*c = (struct configuration){.admin_gid = CALLER_NO_GROUP};
}

static void
conf_begin(struct configuration *c, const struct message *m)
{
	const char *from = message_str(m, F_MASTER_KEY_FROM);

	configuration_clear(c);
	c->begun = true;
	c->admin_gid = message_u64(m, F_ADMIN_GID, CALLER_NO_GROUP);
	c->key_from = keyslot_kind_by_name(from == NULL ? "key-file" : from);
	c->key = message_secret(m, F_KEY);
}

static void
conf_account(struct configuration *c, struct vault *v, const struct message *m)
{
	if (c->account_count == c->account_room) {
		size_t room = c->account_room == 0 ? 16 : c->account_room * 2;
		struct account_conf **more = reallocarray(c->accounts, room, sizeof(*more));

		if (more == NULL) {
			c->failed = true;
			return;
		}
		c->accounts = more;
		c->account_room = room;
	}
	c->accounts[c->account_count] = account_conf_new(v, m);
	if (c->accounts[c->account_count] != NULL) {
		c->account_count++;
		return;
	}
	c->failed = true;
	log_line(LOG_LEVEL_ERROR, "An account of the configuration cannot be taken.",
	    LOG_PAIRS({LOG_ACCOUNT, message_str(m, F_ACCOUNT)}, {LOG_ERROR, strerror(errno)}));
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
conf_service(struct configuration *c, const struct message *m)
{
	const char *socket_name = message_str(m, F_SOCKET_NAME);
	struct token_service *more, *s;

	if (message_u64(m, F_TOKEN_ALLOWED, 0) == 0 ||
	    (socket_name != NULL && *socket_name != '\0'))
		return;
	more = reallocarray(c->services.items, c->services.count + 1, sizeof(*more));
	if (more == NULL) {
		c->failed = true;
		return;
	}
	c->services.items = more;
	s = &more[c->services.count++];
	*s = (struct token_service){.any_user = message_u64(m, F_ANY_USER, 0) != 0};
	s->name = strdup(message_str(m, F_SERVICE));
	if (s->name == NULL || take_ids(m, F_USER, &s->users, &s->user_count) < 0 ||
	    take_ids(m, F_GROUP, &s->groups, &s->group_count) < 0 ||
	    take_names(m, &s->accounts, &s->account_count) < 0)
		c->failed = true;
}

bool
configuration_take(struct configuration *c, struct vault *v, const struct message *m)
{
	switch (message_type(m)) {
	case M_CONF_BEGIN:
		conf_begin(c, m);
		break;
	case M_CONF_ACCOUNT:
		conf_account(c, v, m);
		break;
	case M_CONF_SERVICE:
		conf_service(c, m);
		break;
	case M_CONF_END:
		if (c->begun && !c->failed)
			return true;
		log_error("A configuration did not arrive whole; the one before stays.");
		configuration_clear(c);
		break;
	default:
		break;
	}
	return false;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* post-account.c: see post-account.h. Accounts with an API are few: lists do. */
#include "broker/https/post-account.h"

#include <errno.h>
#include <string.h>

#include "broker/conf/wire.h"

struct post_table {
	struct post_account *accounts;
	struct conf *conf, *coming; /* NULL: none yet */
};

static void
free_accounts(struct post_account *a)
{
	while (a != NULL) {
		struct post_account *next = a->next;

		conf_block_clear(CONF_BLOCK_ACCOUNT, &a->conf);
		free(a);
		a = next;
	}
}

struct post_table *
post_table_new(void)
{
	return calloc(1, sizeof(struct post_table));
}

struct post_table *
post_table_free(struct post_table *t)
{
	if (t != NULL) {
		free_accounts(t->accounts);
		(void)conf_free(t->conf);
		(void)conf_free(t->coming);
		free(t);
	}
	return NULL;
}

static struct post_account *
find(const struct post_table *t, const char *name)
{
	struct post_account *a = t->accounts;

	while (a != NULL && strcmp(a->conf.name, name) != 0)
		a = a->next;
	return a;
}

static bool
has_api(const struct conf_account *c)
{
	return c->transport != CONF_TRANSPORT_SMTP && c->api_endpoint != NULL;
}

/* An object for each account that has none yet: from here on nothing can fail. */
static int
add_accounts(struct post_table *t)
{
	for (size_t i = 0; i < t->coming->account_count; i++) {
		const struct conf_account *c = &t->coming->accounts[i];
		struct post_account *a;

		if (!has_api(c) || find(t, c->name) != NULL)
			continue;
		a = calloc(1, sizeof(*a));
		if (a != NULL)
			a->conf.name = strdup(c->name);
		if (a == NULL || a->conf.name == NULL) {
			free(a);
			return -ENOMEM;
		}
		STAILQ_INIT(&a->waiting);
		a->next = t->accounts;
		t->accounts = a;
	}
	return 0;
}

/* What the objects had goes into `coming`, and with it. */
static int
take_over(struct post_table *t)
{
	int r = add_accounts(t);

	if (r < 0) {
		t->coming = conf_free(t->coming);
		return r;
	}
	for (struct post_account *a = t->accounts; a != NULL; a = a->next)
		a->api = NULL;
	for (size_t i = 0; i < t->coming->account_count; i++) {
		struct conf_account *c = &t->coming->accounts[i], old;
		struct post_account *a = has_api(c) ? find(t, c->name) : NULL;

		if (a == NULL)
			continue;
		old = a->conf;
		a->conf = *c;
		/* jobs borrow the name */
		a->conf.name = TAKE_PTR(old.name);
		old.name = c->name;
		*c = old;
		a->api = api_by_transport(conf_word(CONF_TYPE_transport, a->conf.transport));
	}
	(void)conf_free(t->conf);
	t->conf = TAKE_PTR(t->coming);
	return 0;
}

int
post_table_message(struct post_table *t, const struct message *m, int fd)
{
	int r = wire_collect(&t->coming, ROLE_POST, m, fd);

	return r == 1 ? take_over(t) : r;
}

struct post_account *
post_table_find(const struct post_table *t, const char *name)
{
	struct post_account *a = find(t, name);

	return a != NULL && a->api != NULL ? a : NULL;
}

const struct conf_webhook *
post_table_webhook(const struct post_table *t, const char *name)
{
	for (size_t i = 0; t->conf != NULL && i < t->conf->webhook_count; i++)
		if (strcmp(t->conf->webhooks[i].name, name) == 0)
			return &t->conf->webhooks[i];
	return NULL;
}

struct post_account *
post_table_accounts(const struct post_table *t)
{
	return t->accounts;
}

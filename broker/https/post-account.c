/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* post-account.c: see post-account.h. Accounts with an API are few: lists do. */
#include "broker/https/post-account.h"

#include <errno.h>
#include <string.h>

#include "broker/conf/wire.h"

enum { SESSIONS_USUAL = 4 };

struct post_table {
	struct post_account *accounts;
	struct conf *conf, *coming; /* NULL: none yet */
};

static void
clear_settings(struct post_account *a)
{
	free(a->endpoint);
	free(a->mailbox);
	buf_free(&a->ca);
}

static void
free_accounts(struct post_account **list)
{
	while (*list != NULL) {
		struct post_account *a = *list;

		*list = a->next;
		clear_settings(a);
		free(a->name);
		free(a);
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
		free_accounts(&t->accounts);
		(void)conf_free(t->conf);
		(void)conf_free(t->coming);
		free(t);
	}
	return NULL;
}

/* The strings and the certificates move out of `conf`. */
static int
add_account(struct post_account **list, struct conf_account *conf)
{
	struct post_account *a;

	if (conf->transport == CONF_TRANSPORT_SMTP || conf->api_endpoint == NULL)
		return 0;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->next = *list;
	*list = a;
	a->api = api_by_transport(conf_word(CONF_TYPE_transport, conf->transport));
	a->name = strdup(conf->name);
	a->endpoint = TAKE_PTR(conf->api_endpoint);
	a->sessions = conf->sessions == 0 ? SESSIONS_USUAL : conf->sessions;
	a->min_valid = conf->min_valid;
	a->ca = conf->ca_file.text;
	conf->ca_file.text = (struct buf){0};
	a->ca_broken = conf->ca_file.unreadable;
	/* A token that belongs to no person names no mailbox: the path has to. */
	if (conf->grant == GRANT_CLIENT_CREDENTIALS)
		a->mailbox = TAKE_PTR(conf->mailbox);
	return a->name == NULL || (conf->grant == GRANT_CLIENT_CREDENTIALS && a->mailbox == NULL)
		   ? -ENOMEM
		   : 0;
}

/* The new settings move into the object that jobs know. */
static void
renew(struct post_account *a, struct post_account *from)
{
	struct post_account old = *a;

	a->api = from->api;
	a->endpoint = from->endpoint;
	a->mailbox = from->mailbox;
	a->sessions = from->sessions;
	a->min_valid = from->min_valid;
	a->ca = from->ca;
	a->ca_broken = from->ca_broken;
	clear_settings(&old);
	free(from->name);
	free(from);
}

static int
take_over(struct post_table *t)
{
	struct post_account *fresh = NULL;
	int r = 0;

	for (size_t i = 0; i < t->coming->account_count && r == 0; i++)
		r = add_account(&fresh, &t->coming->accounts[i]);
	if (r < 0) {
		free_accounts(&fresh);
		t->coming = conf_free(t->coming);
		return r;
	}
	for (struct post_account *a = t->accounts; a != NULL; a = a->next)
		a->api = NULL;
	while (fresh != NULL) {
		struct post_account *from = fresh, *a = t->accounts;

		fresh = from->next;
		while (a != NULL && strcmp(a->name, from->name) != 0)
			a = a->next;
		if (a != NULL) {
			renew(a, from);
		} else {
			STAILQ_INIT(&from->waiting);
			from->next = t->accounts;
			t->accounts = from;
		}
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
	for (struct post_account *a = t->accounts; a != NULL; a = a->next)
		if (a->api != NULL && strcmp(a->name, name) == 0)
			return a;
	return NULL;
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

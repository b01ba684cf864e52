/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* post-account.c: see post-account.h. Accounts with an API are few: lists do. */
#include "broker/https/post-account.h"

#include <errno.h>
#include <string.h>

#include "broker/ipc/file.h"

enum { CA_MAX = 1024 * 1024, SESSIONS_USUAL = 4 };

struct post_table {
	struct post_account *accounts, *coming;
	struct webhook *webhooks, *coming_webhooks;
	int error;
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

static void
free_webhooks(struct webhook **list)
{
	while (*list != NULL) {
		struct webhook *w = *list;

		*list = w->next;
		free(w->name);
		(void)secret_free(w->url);
		(void)secret_free(w->key);
		for (size_t i = 0; i < w->header_count; i++)
			(void)secret_free(w->headers[i]);
		buf_free(&w->ca);
		free(w);
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
		free_accounts(&t->coming);
		free_webhooks(&t->webhooks);
		free_webhooks(&t->coming_webhooks);
		free(t);
	}
	return NULL;
}

static char *
copy(const char *s)
{
	return s == NULL ? NULL : strdup(s);
}

/* A token that belongs to no person names no mailbox: the path has to. */
static bool
is_app_only(const char *grant)
{
	return strcmp(grant, "client-credentials") == 0;
}

static int
take_account(struct post_table *t, const struct message *m, int fd)
{
	const char *transport = message_str(m, F_TRANSPORT),
		   *endpoint = message_str(m, F_API_ENDPOINT);
	const struct api *api = transport == NULL ? NULL : api_by_transport(transport);
	struct post_account *a;

	if (api == NULL || endpoint == NULL)
		return 0;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->next = t->coming;
	t->coming = a;
	a->api = api;
	a->ca = (struct buf)BUF_INIT(CA_MAX);
	a->name = copy(message_str(m, F_ACCOUNT));
	a->endpoint = copy(endpoint);
	a->sessions = (unsigned)message_u64(m, F_SESSIONS, SESSIONS_USUAL);
	if (a->sessions == 0)
		a->sessions = SESSIONS_USUAL;
	a->min_valid = (unsigned)message_u64(m, F_MIN_VALID, 0);
	if (is_app_only(message_str(m, F_GRANT))) {
		a->mailbox = copy(message_str(m, F_MAILBOX));
		if (a->mailbox == NULL)
			return -ENOMEM;
	}
	if (fd >= 0)
		a->ca_broken = file_read_whole(fd, &a->ca) < 0;
	return a->name == NULL || a->endpoint == NULL ? -ENOMEM : 0;
}

static int
take_webhook(struct post_table *t, const struct message *m, int fd)
{
	struct webhook *w = calloc(1, sizeof(*w));
	const uint8_t *bytes;
	size_t at = 0, len;

	if (w == NULL)
		return -ENOMEM;
	w->next = t->coming_webhooks;
	t->coming_webhooks = w;
	w->ca = (struct buf)BUF_INIT(CA_MAX);
	w->name = copy(message_str(m, F_NAME));
	w->url = message_secret(m, F_URL);
	if (w->name == NULL || w->url == NULL)
		return -ENOMEM;
	if (message_has(m, F_SIGNING_KEY) && (w->key = message_secret(m, F_SIGNING_KEY)) == NULL)
		return -ENOMEM;
	while (w->header_count < WEBHOOK_HEADERS_MAX &&
	       message_next(m, F_HEADER_LINE, &at, &bytes, &len)) {
		w->headers[w->header_count] = secret_new(bytes, len);
		if (w->headers[w->header_count] == NULL)
			return -ENOMEM;
		/* A second line in it would be a second header field, or more. */
		w->header_broken |= !secret_is_printable(w->headers[w->header_count], true);
		w->header_count++;
	}
	if (fd >= 0)
		w->ca_broken = file_read_whole(fd, &w->ca) < 0;
	return 0;
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
	if (t->error < 0) {
		free_accounts(&t->coming);
		free_webhooks(&t->coming_webhooks);
		return t->error;
	}
	for (struct post_account *a = t->accounts; a != NULL; a = a->next)
		a->api = NULL;
	while (t->coming != NULL) {
		struct post_account *from = t->coming, *a = t->accounts;

		t->coming = from->next;
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
	free_webhooks(&t->webhooks);
	t->webhooks = t->coming_webhooks;
	t->coming_webhooks = NULL;
	return 0;
}

int
post_table_message(struct post_table *t, const struct message *m, int fd)
{
	int r = 0;

	switch (message_type(m)) {
	case M_CONF_BEGIN:
		free_accounts(&t->coming);
		free_webhooks(&t->coming_webhooks);
		t->error = 0;
		break;
	case M_CONF_ACCOUNT:
		r = take_account(t, m, fd);
		break;
	case M_CONF_WEBHOOK:
		r = take_webhook(t, m, fd);
		break;
	case M_CONF_END:
		return take_over(t);
	default:
		break;
	}
	if (r < 0)
		t->error = r;
	return 0;
}

struct post_account *
post_table_find(const struct post_table *t, const char *name)
{
	for (struct post_account *a = t->accounts; a != NULL; a = a->next)
		if (a->api != NULL && strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

const struct webhook *
post_table_webhook(const struct post_table *t, const char *name)
{
	for (const struct webhook *w = t->webhooks; w != NULL; w = w->next)
		if (strcmp(w->name, name) == 0)
			return w;
	return NULL;
}

struct post_account *
post_table_accounts(const struct post_table *t)
{
	return t->accounts;
}

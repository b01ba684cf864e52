/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* account.c: see account.h. The table is an array sorted by name. */
#include "broker/send/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SESSIONS_USUAL = 4, SESSIONS_MOST = 64 };

struct set {
	struct smtp_account **items;
	size_t count;
};

struct account_table {
	struct set now;
};

struct smtp_account *
account_ref(struct smtp_account *a)
{
	a->refs++;
	return a;
}

struct smtp_account *
account_unref(struct smtp_account *a)
{
	if (a == NULL || --a->refs > 0)
		return NULL;
	free(a->name);
	free(a->host);
	free(a->tls_name);
	tls_rules_clear(&a->rules);
	(void)tls_context_free(a->tls_context);
	free(a);
	return NULL;
}

static void
set_clear(struct set *s)
{
	for (size_t i = 0; i < s->count; i++)
		(void)account_unref(s->items[i]);
	free(s->items);
	*s = (struct set){0};
}

struct tls_context *
account_tls_context(struct smtp_account *a, char *why, size_t why_size)
{
	if (a->broken != NULL)
		(void)snprintf(why, why_size, "%s", a->broken);
	else if (a->tls_context == NULL)
		a->tls_context = tls_context_new(&a->rules, why, why_size);
	return a->tls_context;
}

struct account_table *
account_table_new(void)
{
	return calloc(1, sizeof(struct account_table));
}

struct account_table *
account_table_free(struct account_table *t)
{
	if (t != NULL) {
		set_clear(&t->now);
		free(t);
	}
	return NULL;
}

enum smtp_tls
account_tls_by_name(const char *name)
{
	if (name != NULL && strcmp(name, "implicit") == 0)
		return SMTP_TLS_IMPLICIT;
	if (name != NULL && strcmp(name, "none") == 0)
		return SMTP_TLS_NONE;
	return SMTP_TLS_STARTTLS;
}

/* A token goes by the mechanisms for tokens alone, a password by those for passwords alone. */
static void
set_mechanisms(struct smtp_account *a, const struct conf_account *conf)
{
	unsigned fit =
	    conf->grant == GRANT_PASSWORD ? SASL_PASSWORD_MECHANISMS : SASL_TOKEN_MECHANISMS;
	unsigned listed = 0, n = 0;

	if (conf->grant == GRANT_NONE)
		return;
	for (size_t i = 0; i < conf->mechanisms.count; i++) {
		const char *name = conf->mechanisms.items[i];
		enum sasl_mechanism mechanism = sasl_mechanism_by_name(name, strlen(name));

		listed |= mechanism;
		if ((mechanism & fit) != 0 && n < SMTP_CLIENT_MECHANISMS)
			a->order[n++] = mechanism;
	}
	/* A list without one that fits leaves all: the server's offer decides, and a failure names
	 * what was possible. */
	a->mechanisms = (listed & fit) != 0 ? listed & fit : fit;
}

/* What the account's files hold moves into its rules. */
static void
set_rules(struct smtp_account *a, struct conf_account *conf)
{
	const struct {
		struct conf_file *from;
		struct buf *to;
		const char *broken;
	} files[] = {
	    {&conf->ca_file, &a->rules.ca, "The account's ca-file cannot be read."},
	    {&conf->tls_certificate, &a->rules.certificate,
		"The account's tls-certificate cannot be read."},
	    {&conf->tls_key, &a->rules.key, "The account's tls-key cannot be read."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		*files[i].to = files[i].from->text;
		files[i].from->text = (struct buf){0};
		if (files[i].from->unreadable)
			a->broken = files[i].broken;
	}
	for (size_t i = 0; i < conf->tls_pins.count; i++)
		if (!tls_rules_pin(&a->rules, conf->tls_pins.items[i]))
			a->broken = "The account's tls-pin is none.";
}

static struct smtp_account *
account_new(struct conf_account *conf)
{
	struct smtp_account *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->refs = 1;
	a->name = strdup(conf->name);
	a->host = strdup(conf->host == NULL ? "" : conf->host);
	a->tls_name = TAKE_PTR(conf->tls_name);
	if (a->name == NULL || a->host == NULL)
		return account_unref(a);
	a->port = conf->port;
	a->srv = conf->srv;
	a->tls = conf->tls == CONF_TLS_IMPLICIT ? SMTP_TLS_IMPLICIT
		 : conf->tls == CONF_TLS_NONE   ? SMTP_TLS_NONE
						: SMTP_TLS_STARTTLS;
	a->tls_either = a->srv && conf->tls == CONF_TLS_EITHER;
	a->secret_without_tls = conf->allow_plaintext_secret;
	a->sessions = conf->sessions == 0              ? SESSIONS_USUAL
		      : conf->sessions > SESSIONS_MOST ? SESSIONS_MOST
						       : conf->sessions;
	a->min_valid = conf->min_valid;
	set_rules(a, conf);
	set_mechanisms(a, conf);
	return a;
}

static bool
account_same(const struct smtp_account *a, const struct smtp_account *b)
{
	return strcmp(a->host, b->host) == 0 && a->port == b->port && a->tls == b->tls &&
	       a->mechanisms == b->mechanisms &&
	       memcmp(a->order, b->order, sizeof(a->order)) == 0 &&
	       a->secret_without_tls == b->secret_without_tls && a->srv == b->srv &&
	       a->tls_either == b->tls_either &&
	       strcmp(a->tls_name == NULL ? "" : a->tls_name,
		   b->tls_name == NULL ? "" : b->tls_name) == 0 &&
	       (a->broken == NULL) == (b->broken == NULL) && tls_rules_same(&a->rules, &b->rules);
}

static int
by_name(const void *a, const void *b)
{
	const struct smtp_account *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
name_against(const void *name, const void *b)
{
	const struct smtp_account *const *x = b;

	return strcmp(name, (*x)->name);
}

static struct smtp_account **
find(const struct set *s, const char *name)
{
	if (s->count == 0)
		return NULL;
	return bsearch(name, s->items, s->count, sizeof(struct smtp_account *), name_against);
}

struct smtp_account *
account_find(const struct account_table *t, const char *name)
{
	struct smtp_account **found = find(&t->now, name);

	return found == NULL ? NULL : *found;
}

/* Keeps the object of an account that is as it was; only its limits are taken over. */
static bool
keep_if_same(struct smtp_account **slot, struct smtp_account *old)
{
	struct smtp_account *now = *slot;

	if (!account_same(old, now))
		return false;
	old->sessions = now->sessions;
	old->min_valid = now->min_valid;
	*slot = account_ref(old);
	(void)account_unref(now);
	return true;
}

static int
make_set(struct set *s, struct conf *c)
{
	s->items = calloc(c->account_count + 1, sizeof(struct smtp_account *));
	if (s->items == NULL)
		return -ENOMEM;
	for (; s->count < c->account_count; s->count++) {
		s->items[s->count] = account_new(&c->accounts[s->count]);
		if (s->items[s->count] == NULL)
			return -ENOMEM;
	}
	if (s->count > 0)
		qsort(s->items, s->count, sizeof(struct smtp_account *), by_name);
	return 0;
}

int
account_table_take(struct account_table *t, struct conf *c,
    void (*retired)(void *arg, struct smtp_account *old, struct smtp_account *now), void *arg)
{
	struct set old = t->now, next = {0};
	int r = make_set(&next, c);

	if (r < 0) {
		set_clear(&next);
		return r;
	}
	t->now = next;
	for (size_t i = 0; i < old.count; i++) {
		struct smtp_account **slot = find(&t->now, old.items[i]->name);

		if (slot != NULL && keep_if_same(slot, old.items[i]))
			continue;
		old.items[i]->retired = true;
		retired(arg, old.items[i], slot == NULL ? NULL : *slot);
	}
	set_clear(&old);
	return 0;
}

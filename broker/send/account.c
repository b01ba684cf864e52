/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* account.c: see account.h. The table is an array sorted by name. */
#include "broker/send/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/ipc/file.h"

enum { PEM_MAX = 4 * 1024 * 1024, SESSIONS_USUAL = 4, SESSIONS_MOST = 64 };

struct set {
	struct account **items;
	size_t count, room;
};

struct account_table {
	struct set now, next;
	int error; /* of the table being collected */
};

struct account *
account_ref(struct account *a)
{
	a->refs++;
	return a;
}

struct account *
account_unref(struct account *a)
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
account_tls_context(struct account *a, char *why, size_t why_size)
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
		set_clear(&t->next);
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
take_mechanisms(struct account *a, const struct message *m)
{
	const char *grant = message_str(m, F_GRANT), *name;
	unsigned fit = SASL_TOKEN_MECHANISMS, listed = 0, n = 0;
	size_t at = 0;

	if (strcmp(grant, "none") == 0)
		return;
	if (strcmp(grant, "password") == 0)
		fit = SASL_PASSWORD_MECHANISMS;
	while (message_next_str(m, F_MECHANISM, &at, &name)) {
		enum sasl_mechanism mechanism = sasl_mechanism_by_name(name, strlen(name));

		listed |= mechanism;
		if ((mechanism & fit) != 0 && n < SMTP_CLIENT_MECHANISMS)
			a->order[n++] = mechanism;
	}
	/* A list without one that fits leaves all: the server's offer decides, and a failure names
	 * what was possible. */
	a->mechanisms = (listed & fit) != 0 ? listed & fit : fit;
}

/* False: no memory. */
static bool
take_tls(struct account *a, const struct message *m)
{
	const char *tls = message_str(m, F_TLS), *name = message_str(m, F_TLS_NAME), *pin;
	size_t at = 0;

	a->tls = account_tls_by_name(tls);
	a->srv = message_u64(m, F_BY_SRV, 0) != 0;
	a->tls_either = a->srv && tls != NULL && strcmp(tls, "either") == 0;
	a->tls_name = name == NULL ? NULL : strdup(name);
	while (message_next_str(m, F_TLS_PIN, &at, &pin))
		if (!tls_rules_pin(&a->rules, pin))
			a->broken = "The account's tls-pin is none.";
	return name == NULL || a->tls_name != NULL;
}

static struct account *
account_new(const struct message *m)
{
	struct account *a = calloc(1, sizeof(*a));
	const char *host = message_str(m, F_HOST);
	uint64_t sessions = message_u64(m, F_SESSIONS, 0);

	if (a == NULL)
		return NULL;
	a->refs = 1;
	a->rules.ca = (struct buf)BUF_INIT(PEM_MAX);
	a->rules.certificate = (struct buf)BUF_INIT_WIPE(PEM_MAX); /* the key may stand in it */
	a->rules.key = (struct buf)BUF_INIT_WIPE(PEM_MAX);
	a->name = strdup(message_str(m, F_ACCOUNT));
	a->host = strdup(host == NULL ? "" : host);
	if (a->name == NULL || a->host == NULL || !take_tls(a, m))
		return account_unref(a);
	a->port = (unsigned)message_u64(m, F_PORT, 0);
	a->secret_without_tls = message_u64(m, F_SECRET_WITHOUT_TLS, 0) != 0;
	a->sessions = sessions == 0              ? SESSIONS_USUAL
		      : sessions > SESSIONS_MOST ? SESSIONS_MOST
						 : (unsigned)sessions;
	a->min_valid = (unsigned)message_u64(m, F_MIN_VALID, 0);
	take_mechanisms(a, m);
	return a;
}

static bool
account_same(const struct account *a, const struct account *b)
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

void
account_table_begin(struct account_table *t)
{
	set_clear(&t->next);
	t->error = 0;
}

int
account_table_add(struct account_table *t, const struct message *m, int fd)
{
	struct account *a;

	if (t->next.count == t->next.room) {
		size_t room = t->next.room == 0 ? 16 : 2 * t->next.room;
		struct account **items =
		    reallocarray(t->next.items, room, sizeof(struct account *));

		if (items == NULL)
			return t->error = -ENOMEM;
		t->next.items = items;
		t->next.room = room;
	}
	a = account_new(m);
	if (a == NULL)
		return t->error = -ENOMEM;
	if (fd >= 0 && file_read_whole(fd, &a->rules.ca) < 0)
		a->broken = "The account's ca-file cannot be read.";
	t->next.items[t->next.count++] = a;
	return 0;
}

int
account_table_add_file(struct account_table *t, const struct message *m, int fd)
{
	struct account *a = t->next.count == 0 ? NULL : t->next.items[t->next.count - 1];
	bool key = strcmp(message_str(m, F_NAME), "key") == 0;

	/* It follows its account. */
	if (a == NULL || strcmp(a->name, message_str(m, F_ACCOUNT)) != 0)
		return 0;
	if (file_read_whole(fd, key ? &a->rules.key : &a->rules.certificate) < 0)
		a->broken = key ? "The account's tls-key cannot be read."
				: "The account's tls-certificate cannot be read.";
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct account *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static struct account **
find(const struct set *s, const char *name)
{
	struct account key = {.name = (char *)(uintptr_t)name}, *wanted = &key;

	if (s->count == 0)
		return NULL;
	return bsearch(&wanted, s->items, s->count, sizeof(struct account *), by_name);
}

struct account *
account_find(const struct account_table *t, const char *name)
{
	struct account **found = find(&t->now, name);

	return found == NULL ? NULL : *found;
}

/* Keeps the object of an account that is as it was; only its limits are taken over. */
static bool
keep_if_same(struct account **slot, struct account *old)
{
	struct account *now = *slot;

	if (!account_same(old, now))
		return false;
	old->sessions = now->sessions;
	old->min_valid = now->min_valid;
	*slot = account_ref(old);
	(void)account_unref(now);
	return true;
}

void
account_table_end(struct account_table *t,
    void (*retired)(void *arg, struct account *old, struct account *now), void *arg)
{
	struct set old = t->now;

	if (t->error < 0) {
		set_clear(&t->next);
		return;
	}
	if (t->next.count > 0)
		qsort(t->next.items, t->next.count, sizeof(struct account *), by_name);
	t->now = t->next;
	t->next = (struct set){0};
	for (size_t i = 0; i < old.count; i++) {
		struct account **slot = find(&t->now, old.items[i]->name);

		if (slot != NULL && keep_if_same(slot, old.items[i]))
			continue;
		old.items[i]->retired = true;
		retired(arg, old.items[i], slot == NULL ? NULL : *slot);
	}
	set_clear(&old);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* discovery-cache.c: see discovery-cache.h. A ring: entries are written in turn, so the oldest is
 * the next to go. */
#include "broker/https/discovery-cache.h"

#include <string.h>

struct cached_document {
	char *account, *issuer;
	struct discovery document;
	int64_t since;
};

struct discovery_cache {
	struct cached_document entries[DISCOVERY_CACHE_MAX];
	size_t next;
};

static void
entry_clear(struct cached_document *e)
{
	free(e->account);
	free(e->issuer);
	discovery_clear(&e->document);
	*e = (struct cached_document){0};
}

struct discovery_cache *
discovery_cache_new(void)
{
	return calloc(1, sizeof(struct discovery_cache));
}

void
discovery_cache_clear(struct discovery_cache *c)
{
	for (size_t i = 0; i < DISCOVERY_CACHE_MAX; i++)
		entry_clear(&c->entries[i]);
}

struct discovery_cache *
discovery_cache_free(struct discovery_cache *c)
{
	if (c != NULL)
		discovery_cache_clear(c);
	free(c);
	return NULL;
}

static struct cached_document *
find(const struct discovery_cache *c, const char *account, const char *issuer)
{
	for (size_t i = 0; i < DISCOVERY_CACHE_MAX; i++) {
		const struct cached_document *e = &c->entries[i];

		if (e->account != NULL && strcmp(e->account, account) == 0 &&
		    strcmp(e->issuer, issuer) == 0)
			return (struct cached_document *)e;
	}
	return NULL;
}

const struct discovery *
discovery_cache_get(
    const struct discovery_cache *c, const char *account, const char *issuer, int64_t now)
{
	const struct cached_document *e = find(c, account, issuer);

	return e == NULL || now - e->since >= DISCOVERY_CACHE_SECONDS ? NULL : &e->document;
}

void
discovery_cache_put(struct discovery_cache *c, const char *account, const char *issuer,
    const struct discovery *d, int64_t now)
{
	struct cached_document *e = find(c, account, issuer);
	struct cached_document new = {
	    .account = strdup(account), .issuer = strdup(issuer), .since = now};

	if (new.account == NULL || new.issuer == NULL || discovery_copy(&new.document, d) < 0) {
		entry_clear(&new);
		return;
	}
	if (e == NULL) {
		e = &c->entries[c->next];
		c->next = (c->next + 1) % DISCOVERY_CACHE_MAX;
	}
	entry_clear(e);
	*e = new;
}

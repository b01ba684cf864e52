/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* tally.c: see tally.h. Short lists by a hash of the name, the name that was used last in front. */
#include "broker/queue/spool/tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 64 };

struct tally_record {
	LIST_ENTRY(tally_record) entry;
	SLIST_ENTRY(tally_record) changed;
	struct tally_sums sums;
	struct tally_sums pending; /* of the transaction that is open */
	bool is_changed;           /* it is in the list `changed` */
	char name[];
};

struct tally {
	LIST_HEAD(, tally_record) records[BUCKETS];
	SLIST_HEAD(, tally_record) changed;
};

struct tally *
tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

struct tally *
tally_free(struct tally *t)
{
	for (size_t i = 0; t != NULL && i < BUCKETS; i++) {
		struct tally_record *r;

		while ((r = LIST_FIRST(&t->records[i])) != NULL) {
			LIST_REMOVE(r, entry);
			free(r);
		}
	}
	free(t);
	return NULL;
}

/* FNV-1a. */
static size_t
bucket_of(const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % BUCKETS;
}

/* NULL: there is none, and no memory or no wish to make one. */
static struct tally_record *
find(struct tally *t, const char *name, bool make)
{
	size_t size = strlen(name) + 1, bucket = bucket_of(name);
	struct tally_record *r;

	LIST_FOREACH (r, &t->records[bucket], entry)
		if (strcmp(r->name, name) == 0)
			break;
	if (r != NULL) {
		LIST_REMOVE(r, entry);
	} else {
		r = make ? calloc(1, sizeof(*r) + size) : NULL;
		if (r == NULL)
			return NULL;
		memcpy(r->name, name, size);
	}
	LIST_INSERT_HEAD(&t->records[bucket], r, entry);
	return r;
}

static void
add(struct tally_sums *to, const struct tally_sums *by, int64_t sign)
{
	to->octets += sign * by->octets;
	to->messages += sign * by->messages;
	to->waiting += sign * by->waiting;
	to->captured += sign * by->captured;
}

static int64_t
not_negative(int64_t n)
{
	return n < 0 ? 0 : n;
}

void
tally_change(struct tally *t, const char *name, const struct tally_sums *by, bool gone)
{
	struct tally_record *r = find(t, name, true);

	if (r == NULL)
		return;
	add(&r->pending, by, gone ? -1 : 1);
	if (!r->is_changed)
		SLIST_INSERT_HEAD(&t->changed, r, changed);
	r->is_changed = true;
}

void
tally_settle(struct tally *t, bool committed)
{
	struct tally_record *r;

	while ((r = SLIST_FIRST(&t->changed)) != NULL) {
		SLIST_REMOVE_HEAD(&t->changed, changed);
		if (committed)
			add(&r->sums, &r->pending, 1);
		r->pending = (struct tally_sums){0};
		r->is_changed = false;
	}
}

struct tally_sums
tally_of(struct tally *t, const char *name)
{
	const struct tally_record *r = find(t, name, false);
	struct tally_sums sums = {0};

	if (r == NULL)
		return sums;
	sums.octets = not_negative(r->sums.octets);
	sums.messages = not_negative(r->sums.messages);
	sums.waiting = not_negative(r->sums.waiting);
	sums.captured = not_negative(r->sums.captured);
	return sums;
}

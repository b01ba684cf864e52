/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* octets.c: see octets.h. A list, the service that was used last in front: most mail is of few services. */
#include "broker/queue/spool/octets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct service_octets {
	LIST_ENTRY(service_octets) entry;
	SLIST_ENTRY(service_octets) changed;
	uint64_t octets;
	int64_t pending; /* of the transaction that is open */
	bool is_changed; /* it is in the list `changed` */
	char service[];
};

struct octets {
	LIST_HEAD(, service_octets) records;
	SLIST_HEAD(, service_octets) changed;
};

struct octets *
octets_new(void)
{
	return calloc(1, sizeof(struct octets));
}

struct octets *
octets_free(struct octets *o)
{
	struct service_octets *r;

	while (o != NULL && (r = LIST_FIRST(&o->records)) != NULL) {
		LIST_REMOVE(r, entry);
		free(r);
	}
	free(o);
	return NULL;
}

/* NULL: there is none, and no memory or no wish to make one. */
static struct service_octets *
find(struct octets *o, const char *service, bool make)
{
	size_t size = strlen(service) + 1;
	struct service_octets *r;

	LIST_FOREACH (r, &o->records, entry)
		if (strcmp(r->service, service) == 0)
			break;
	if (r != NULL) {
		LIST_REMOVE(r, entry);
	} else {
		r = make ? calloc(1, sizeof(*r) + size) : NULL;
		if (r == NULL)
			return NULL;
		memcpy(r->service, service, size);
	}
	LIST_INSERT_HEAD(&o->records, r, entry);
	return r;
}

void
octets_change(struct octets *o, const char *service, int64_t by)
{
	struct service_octets *r = find(o, service, true);

	if (r == NULL)
		return;
	r->pending += by;
	if (!r->is_changed)
		SLIST_INSERT_HEAD(&o->changed, r, changed);
	r->is_changed = true;
}

void
octets_settle(struct octets *o, bool committed)
{
	struct service_octets *r;

	while ((r = SLIST_FIRST(&o->changed)) != NULL) {
		SLIST_REMOVE_HEAD(&o->changed, changed);
		if (committed && r->pending < 0 && (uint64_t)-r->pending > r->octets)
			r->octets = 0;
		else if (committed)
			r->octets += (uint64_t)r->pending;
		r->pending = 0;
		r->is_changed = false;
	}
}

uint64_t
octets_of(struct octets *o, const char *service)
{
	const struct service_octets *r = find(o, service, false);

	return r == NULL ? 0 : r->octets;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-octets.c: how much of the disk the open mail of each service takes.
 *
 * The numbers are kept in memory: what a transaction changes counts once it is committed. What was
 * there when the spool was opened is added in steps; until they are through, a message behind the
 * step that is to come counts neither when it is there nor when it goes.
 */
#include <errno.h>
#include <string.h>

#include "broker/queue/spool/spool-internal.h"

enum { STEP_ROWS = 256 };

struct spool_octets {
	struct spool_octets *next, *next_touched;
	uint64_t octets;
	int64_t pending; /* of the transaction that is open */
	bool touched;
	char service[];
};

/* The record is moved to the front: most messages are of few services. */
static struct spool_octets *
find(struct spool *s, const char *service)
{
	struct spool_octets **at = &s->octets, *o;

	while (*at != NULL && strcmp((*at)->service, service) != 0)
		at = &(*at)->next;
	o = *at;
	if (o == NULL)
		return NULL;
	*at = o->next;
	o->next = s->octets;
	s->octets = o;
	return o;
}

static struct spool_octets *
find_or_make(struct spool *s, const char *service)
{
	struct spool_octets *o = find(s, service);
	size_t size = strlen(service) + 1;

	if (o != NULL)
		return o;
	o = calloc(1, sizeof(*o) + size);
	if (o == NULL)
		return NULL;
	memcpy(o->service, service, size);
	o->next = s->octets;
	s->octets = o;
	return o;
}

void
spool_octets_change(struct spool *s, uint64_t id, const char *service, uint64_t size, bool gone)
{
	int64_t by = (int64_t)(size + SPOOL_MESSAGE_OVERHEAD);
	struct spool_octets *o;

	if (id <= s->first_top && id > s->octets_seen)
		return;
	o = find_or_make(s, service);
	if (o == NULL)
		return;
	o->pending += gone ? -by : by;
	if (o->touched)
		return;
	o->touched = true;
	o->next_touched = s->octets_touched;
	s->octets_touched = o;
}

void
spool_octets_settle(struct spool *s, bool committed)
{
	while (s->octets_touched != NULL) {
		struct spool_octets *o = s->octets_touched;

		s->octets_touched = o->next_touched;
		if (committed && o->pending < 0 && (uint64_t)-o->pending > o->octets)
			o->octets = 0;
		else if (committed)
			o->octets += (uint64_t)o->pending;
		o->pending = 0;
		o->touched = false;
	}
}

static int
add_one(void *arg, const struct spool_glance *g)
{
	struct spool *s = arg;

	if (g->id > s->first_top)
		return 1;
	s->octets_seen = g->id;
	if (g->open)
		spool_octets_change(s, g->id, g->service, g->size, false);
	return 0;
}

int
spool_octets_step(struct spool *s)
{
	uint64_t after = s->octets_seen;
	int more;

	if (s->octets_seen >= s->first_top)
		return 0;
	more = spool_scan(s, &after, STEP_ROWS, add_one, s);
	spool_octets_settle(s, true);
	if (more != 1 || after >= s->first_top)
		s->octets_seen = s->first_top;
	return more < 0 ? more : s->octets_seen < s->first_top;
}

uint64_t
spool_octets_of(struct spool *s, const char *service)
{
	const struct spool_octets *o = find(s, service);

	return o == NULL ? 0 : o->octets;
}

void
spool_octets_free(struct spool *s)
{
	while (s->octets != NULL) {
		struct spool_octets *o = s->octets;

		s->octets = o->next;
		free(o);
	}
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* space.c: see space.h. */
#include "broker/queue/spool/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "broker/queue/common/clock.h"

enum {
	ASK_MS = 250,
	MEGABYTE = 1024 * 1024,
	FLOOR_DEFAULT = 64 * MEGABYTE,
	FLOOR_SHARE = 10,  /* of a small file system no more than this part of it */
	FILES_FLOOR = 500, /* names: a body is a file */
	DROPPED_SHARE = 8, /* the floor for what is there already */
};

struct space {
	struct spool *spool;
	int folder;                /* on the file system that is asked about */
	uint64_t min_free;         /* as it is configured; 0: by the size of the file system */
	size_t services;           /* that are configured */
	uint64_t available, total; /* octets; total 0: the file system does not say */
	uint64_t files;            /* names that may still be made; UINT64_MAX: not known */
	uint64_t asked;            /* of clock_ms; 0: never */
	bool low;                  /* space_look has said so */
};

struct space *
space_new(struct spool *spool, int folder)
{
	struct space *s = calloc(1, sizeof(*s));

	if (s != NULL)
		*s = (struct space){.spool = spool, .folder = folder};
	return s;
}

void
space_configure(struct space *s, uint64_t min_free, size_t services)
{
	s->min_free = min_free;
	s->services = services;
}

static void
ask(struct space *s)
{
	uint64_t now = clock_ms();
	struct statvfs fs;

	if (s->asked != 0 && now - s->asked < ASK_MS)
		return;
	s->asked = now == 0 ? 1 : now;
	s->available = s->files = UINT64_MAX;
	s->total = 0;
	/* one in memory may know no size, and some count no files */
	if (fstatvfs(s->folder, &fs) < 0 || fs.f_blocks == 0)
		return;
	s->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	s->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (fs.f_files > 0)
		s->files = fs.f_favail;
}

static uint64_t
floor_of(const struct space *s)
{
	uint64_t share = s->total / FLOOR_SHARE;

	if (s->min_free > 0)
		return s->min_free;
	return share < FLOOR_DEFAULT ? share : FLOOR_DEFAULT;
}

/* How much a service may have: what is configured, or as much as is left to others. */
static uint64_t
quota_of(const struct space *s, const struct space_claim *c, uint64_t used, uint64_t room)
{
	if (c->quota > 0)
		return c->quota;
	if (s->services < 2 || s->total == 0)
		return UINT64_MAX;
	return used / 2 + room / 2;
}

const char *
space_refusal(struct space *s, const struct space_claim *c)
{
	uint64_t need = c->octets - c->written + SPOOL_MESSAGE_OVERHEAD, least, room, used;

	ask(s);
	least = floor_of(s) / (c->dropped ? DROPPED_SHARE : 1);
	room = s->available > least ? s->available - least : 0;
	if (s->total > 0 && (room < need || s->files < FILES_FLOOR))
		return "The disk is nearly full: try again later";
	if (c->service == NULL)
		return NULL;
	used = spool_octets_of(s->spool, c->service);
	if (used + c->octets + SPOOL_MESSAGE_OVERHEAD > quota_of(s, c, used, room))
		return "The service has as much mail in the queue as it may: try again later";
	return NULL;
}

void
space_taken(struct space *s, uint64_t octets)
{
	if (s->total > 0)
		s->available = s->available > octets ? s->available - octets : 0;
}

bool
space_is_low(struct space *s)
{
	static const struct space_claim any = {0};

	return space_refusal(s, &any) != NULL;
}

void
space_numbers(struct space *s, uint64_t *ret_free, uint64_t *ret_floor)
{
	ask(s);
	*ret_free = s->total > 0 ? s->available : 0;
	*ret_floor = floor_of(s);
}

void
space_describe(struct space *s, struct buf *out)
{
	ask(s);
	if (s->files < FILES_FLOOR)
		(void)buf_printf(
		    out, "Its file system has room for %" PRIu64 " more files.", s->files);
	else
		(void)buf_printf(out, "%" PRIu64 " MB are free, and %" PRIu64 " MB are kept free.",
		    s->available / MEGABYTE, floor_of(s) / MEGABYTE);
}

bool
space_look(struct space *s, struct buf *ret_text)
{
	bool low = space_is_low(s);

	if (low == s->low)
		return false;
	s->low = low;
	(void)buf_printf(ret_text, low ? "The disk of the spool is nearly full: no mail is taken. "
				       : "The disk of the spool has space again: mail is taken. ");
	space_describe(s, ret_text);
	return true;
}

void
space_was_low(struct space *s, bool low)
{
	s->low = low;
}

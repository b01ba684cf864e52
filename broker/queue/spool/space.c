/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* space.c: see space.h. */
#include "broker/queue/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

enum {
	ASK_MS = 250,
	MEGABYTE = 1024 * 1024,
	FLOOR_DEFAULT = 64 * MEGABYTE,
	FLOOR_SHARE = 10,  /* of a small file system no more than this part of it */
	FILES_FLOOR = 500, /* names: a body is a file */
	DROPPED_SHARE = 8, /* the floor for what is there already */
};

static void
ask(struct queue *q)
{
	struct space *s = &q->space;
	uint64_t now = clock_ms();
	struct statvfs fs;

	if (s->asked != 0 && now - s->asked < ASK_MS)
		return;
	s->asked = now == 0 ? 1 : now;
	s->available = s->files = UINT64_MAX;
	s->total = 0;
	/* one in memory may know no size, and some count no files */
	if (fstatvfs(role_dir(q->role, "bodies"), &fs) < 0 || fs.f_blocks == 0)
		return;
	s->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	s->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (fs.f_files > 0)
		s->files = fs.f_favail;
}

static uint64_t
floor_of(const struct queue *q)
{
	uint64_t share = q->space.total / FLOOR_SHARE;

	if (q->settings->min_free > 0)
		return q->settings->min_free;
	return share < FLOOR_DEFAULT ? share : FLOOR_DEFAULT;
}

/* How much a service may have: what is configured, or as much as is left to others. */
static uint64_t
quota_of(const struct queue *q, const struct service *v, uint64_t used, uint64_t room)
{
	if (v->policy.queue_max > 0)
		return v->policy.queue_max;
	if (q->service_count < 2 || q->space.total == 0)
		return UINT64_MAX;
	return used / 2 + room / 2;
}

const char *
space_refusal(struct queue *q, const struct space_claim *c)
{
	uint64_t need = c->octets - c->written + SPOOL_MESSAGE_OVERHEAD, least, room, used;

	ask(q);
	least = floor_of(q) / (c->dropped ? DROPPED_SHARE : 1);
	room = q->space.available > least ? q->space.available - least : 0;
	if (q->space.total > 0 && (room < need || q->space.files < FILES_FLOOR))
		return "The disk is nearly full: try again later";
	if (c->service == NULL)
		return NULL;
	used = spool_octets_of(q->spool, c->service->name);
	if (used + c->octets + SPOOL_MESSAGE_OVERHEAD > quota_of(q, c->service, used, room))
		return "The service has as much mail in the queue as it may: try again later";
	return NULL;
}

void
space_taken(struct queue *q, uint64_t octets)
{
	struct space *s = &q->space;

	if (s->total > 0)
		s->available = s->available > octets ? s->available - octets : 0;
}

bool
space_is_low(struct queue *q)
{
	static const struct space_claim any = {0};

	return space_refusal(q, &any) != NULL;
}

void
space_describe(struct queue *q, struct buf *out)
{
	ask(q);
	if (q->space.files < FILES_FLOOR)
		(void)buf_printf(
		    out, "Its file system has room for %" PRIu64 " more files.", q->space.files);
	else
		(void)buf_printf(out, "%" PRIu64 " MB are free, and %" PRIu64 " MB are kept free.",
		    q->space.available / MEGABYTE, floor_of(q) / MEGABYTE);
}

void
space_look(struct queue *q)
{
	CLEANUP_BUF struct buf text = BUF_INIT(512);
	bool low = space_is_low(q);

	(void)spool_reserve(q->spool);
	if (low == q->space.low)
		return;
	q->space.low = low;
	(void)buf_printf(&text, low ? "The disk of the spool is nearly full: no mail is taken. "
				    : "The disk of the spool has space again: mail is taken. ");
	space_describe(q, &text);
	notify_space(q->notify, low, buf_str(&text),
	    low ? "Free space there; mail that nobody needs goes by: frank queue delete" : NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * body.c: see body.h.
 */
#include "broker/queue/inbound/body.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

enum { COPY_SIZE = 64 * 1024 };

int
body_write(struct body *b, const char *bytes, size_t len)
{
	int r = 0;

	b->size += len;
	if (b->fd < 0 && b->small.len + len <= SPOOL_INLINE_MAX)
		return buf_append(&b->small, bytes, len);
	if (b->fd < 0) {
		b->fd = spool_body_create(b->spool, b->id);
		if (b->fd < 0)
			return b->fd;
		r = io_write_all(b->fd, buf_str(&b->small), b->small.len);
		buf_free(&b->small);
	}
	return r < 0 ? r : io_write_all(b->fd, bytes, len);
}

void
body_init(struct body *b, struct spool *spool, const struct clock *clock)
{
	*b =
	    (struct body){.spool = spool, .id = spool_new_id(spool, clock_now_us(clock)), .fd = -1};
	buf_init(&b->small, SPOOL_INLINE_MAX);
}

void
body_clear(struct body *b, bool keep)
{
	buf_free(&b->small);
	if (b->fd >= 0) {
		(void)close(b->fd);
		if (!keep)
			spool_body_remove(b->spool, b->id);
	}
	b->fd = -1;
}

int
body_start(const struct body *b, struct buf *ret)
{
	size_t len = b->size < ret->max ? (size_t)b->size : ret->max;
	ssize_t n;
	int r;

	if (b->fd < 0)
		return buf_append(ret, buf_str(&b->small), len);
	r = buf_reserve(ret, len);
	if (r < 0)
		return r;
	n = pread(b->fd, ret->data, len, 0);
	if (n < 0)
		return -errno;
	ret->len = (size_t)n;
	ret->data[n] = '\0';
	return 0;
}

int
body_recode(const struct body *b, struct recode *r)
{
	char *bytes;
	off_t at = 0;
	int e = 0;

	if (b->fd < 0)
		return recode_input(r, buf_str(&b->small), b->small.len);
	bytes = malloc(COPY_SIZE);
	if (bytes == NULL)
		return -ENOMEM;
	while (e == 0) {
		ssize_t n = pread(b->fd, bytes, COPY_SIZE, at);

		if (n < 0)
			e = -errno;
		if (n <= 0)
			break;
		at += n;
		e = recode_input(r, bytes, (size_t)n);
	}
	free(bytes);
	return e;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * content.c: see content.h. A small body is copied out of the database; of a large one the file stays
 * open, so that the answer is whole also where the message is deleted meanwhile.
 */
#include "broker/queue/control/content.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/attr.h"

struct content {
	struct spool_message message; /* its body, where that is a small one */
	int fd;                       /* -1: none */
	uint64_t at;
};

int
content_open(struct spool *s, uint64_t id, uint64_t offset, struct content **ret)
{
	struct content *c = calloc(1, sizeof(*c));
	int r;

	*ret = NULL;
	if (c == NULL)
		return -ENOMEM;
	c->fd = -1;
	c->at = offset;
	r = spool_load(s, id, true, &c->message);
	if (r == 0 && (c->message.flags & SPOOL_BODY_FILE) != 0)
		r = c->fd = spool_body_open(s, id);
	else if (r == 0 && c->message.body == NULL)
		r = -ENOENT; /* it is history */
	if (r < 0) {
		(void)content_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct content *
content_free(struct content *c)
{
	if (c != NULL) {
		spool_message_clear(&c->message);
		cleanup_close(&c->fd);
		free(c);
	}
	return NULL;
}

static int
piece_of_file(const struct content *c, struct message **ret)
{
	char bytes[MESSAGE_BODY_MAX];
	ssize_t n;

	if (c->at > INT64_MAX)
		return 0;
	n = pread(c->fd, bytes, sizeof(bytes), (off_t)c->at);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	*ret = message_new(M_CONTENT);
	message_put_bytes(*ret, F_BODY, bytes, (size_t)n);
	return 1;
}

int
content_piece(const struct content *c, struct message **ret)
{
	size_t left;

	*ret = NULL;
	if (c->fd >= 0)
		return piece_of_file(c, ret);
	if (c->at >= c->message.body_len)
		return 0;
	left = c->message.body_len - (size_t)c->at;
	*ret = message_new(M_CONTENT);
	message_put_bytes(*ret, F_BODY, c->message.body + c->at,
	    left < MESSAGE_BODY_MAX ? left : MESSAGE_BODY_MAX);
	return 1;
}

void
content_advance(struct content *c)
{
	c->at += MESSAGE_BODY_MAX; /* a shorter piece is the last one */
}

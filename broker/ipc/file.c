/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* file.c: see file.h. */
#include "broker/ipc/file.h"

#include <errno.h>

enum { PIECE = 4096 };

int
file_read_whole(int fd, struct buf *b)
{
	for (;;) {
		ssize_t n;
		int r = buf_reserve(b, PIECE);

		if (r < 0)
			return r;
		n = pread(fd, b->data + b->len, PIECE, (off_t)b->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return b->len > 0 ? 0 : -ENODATA;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

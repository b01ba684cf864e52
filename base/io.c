/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* io.c: see io.h. */
#include "base/io.h"

#include <errno.h>
#include <unistd.h>

int
io_write_all(int fd, const void *bytes, size_t len)
{
	for (const char *p = bytes; len > 0;) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int
io_write_all_at(int fd, const void *bytes, size_t len, uint64_t at)
{
	for (const char *p = bytes; len > 0;) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			at += (uint64_t)n;
		}
	}
	return 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* output.c: see output.h. */
#include "admin/output.h"

#include <errno.h>
#include <unistd.h>

int
output_whole(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

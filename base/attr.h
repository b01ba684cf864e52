/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * attr.h: the few compiler attributes and cleanup helpers that the whole tree uses.
 *
 * Cleanup attributes free what a function owns on every way out of it; a destructor takes NULL.
 */
#ifndef FRANK_BASE_ATTR_H
#define FRANK_BASE_ATTR_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define PRINTF_LIKE(string, first) __attribute__((__format__(__printf__, string, first)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void
cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void
cleanup_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_CLOSE CLEANUP(cleanup_close)

/* Takes the value out of a variable that has a cleanup attribute, so that the caller owns it. */
#define TAKE_FD(fd)                  \
	({                           \
		int take_fd_ = (fd); \
		(fd) = -1;           \
		take_fd_;            \
	})
#define TAKE_PTR(p)                            \
	({                                     \
		__typeof__(p) take_ptr_ = (p); \
		(p) = NULL;                    \
		take_ptr_;                     \
	})

#endif

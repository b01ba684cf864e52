/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * buf.h: a growable byte buffer with an upper bound.
 *
 * One type holds every run of bytes that grows: command lines, replies, transcripts, packets. It
 * always ends in a NUL that is not counted, so that a buffer known to hold text can be used as a
 * string. A buffer made with BUF_WIPE overwrites its memory before it is given back or moved.
 *
 * Functions return 0, or -ENOBUFS when the bound would be passed, or -ENOMEM; after either the
 * buffer holds what it held before. A failed append is remembered in `failed`, so that a run of
 * appends can be checked once.
 */
#ifndef FRANK_BASE_BUF_H
#define FRANK_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct buf {
	char *data;  /* NUL-terminated once anything was appended; NULL before */
	size_t len;  /* bytes held, without the NUL */
	size_t cap;  /* bytes allocated */
	size_t max;  /* the bound on len */
	bool wipe;   /* overwrite memory before releasing it */
	bool failed; /* an append did not fit or memory ran out */
};

#define BUF_INIT(bound)        \
	{                      \
		.max = (bound) \
	}
#define BUF_INIT_WIPE(bound)                 \
	{                                    \
		.max = (bound), .wipe = true \
	}

/* Starts an empty buffer that may grow to `max` bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/* Releases the memory (wiped where asked); the buffer is empty and usable again. Takes NULL. */
void buf_free(struct buf *b);
#define CLEANUP_BUF CLEANUP(buf_free)

/* Empties without releasing memory; clears `failed`. Wipes where asked. */
void buf_clear(struct buf *b);

/* Makes room for `extra` more bytes; buf_append of that many then cannot fail. */
int buf_reserve(struct buf *b, size_t extra);

int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
int buf_vprintf(struct buf *b, const char *format, va_list ap) PRINTF_LIKE(2, 0);

/* Removes the first `len` bytes (all of them where there are fewer). */
void buf_consume(struct buf *b, size_t len);

/* The text held, or "" for a buffer never appended to. Borrowed until the next change. */
const char *buf_str(const struct buf *b);

/* Hands the memory to the caller, who frees it with free(); the buffer is empty. NULL only when
 * memory ran out. */
char *buf_take(struct buf *b);

/* Overwrites memory in a way that the compiler keeps. */
void mem_wipe(void *p, size_t len);

/* Compares `len` bytes in a time that depends on `len` alone. */
bool mem_equal_ct(const void *a, const void *b, size_t len);

#endif

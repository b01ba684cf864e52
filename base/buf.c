/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * buf.c: see buf.h. Growth doubles, from 256 bytes, up to the bound. A wiping buffer never uses
 * realloc, which may leave a copy of the old bytes behind: it allocates, copies, wipes and frees.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void
mem_wipe(void *p, size_t len)
{
	if (p == NULL || len == 0)
		return;
	memset(p, 0, len);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

bool
mem_equal_ct(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

static void
release(struct buf *b)
{
	if (b->wipe)
		mem_wipe(b->data, b->cap);
	free(b->data);
}

void
buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	release(b);
	*b = (struct buf){.max = b->max, .wipe = b->wipe};
}

void
buf_clear(struct buf *b)
{
	if (b->wipe)
		mem_wipe(b->data, b->len);
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

int
buf_reserve(struct buf *b, size_t extra)
{
	size_t need, cap;
	char *data;

	if (extra > b->max || b->len > b->max - extra || b->max >= SIZE_MAX / 2) {
		b->failed = true;
		return -ENOBUFS;
	}
	need = b->len + extra + 1;
	if (b->data != NULL && need <= b->cap)
		return 0;
	cap = b->cap == 0 ? BUF_FIRST : b->cap;
	while (cap < need)
		cap *= 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	if (b->wipe) {
		data = malloc(cap);
		if (data != NULL) {
			if (b->data != NULL)
				memcpy(data, b->data, b->len);
			data[b->len] = '\0';
			release(b);
		}
	} else {
		data = realloc(b->data, cap);
	}
	if (data == NULL) {
		b->failed = true;
		return -ENOMEM;
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

int
buf_append(struct buf *b, const void *data, size_t len)
{
	int r = buf_reserve(b, len);

	if (r < 0)
		return r;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int
buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int
buf_append_char(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

int
buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int need, r;

	va_copy(again, ap);
	need = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (need < 0) {
		b->failed = true;
		return -EINVAL;
	}
	r = buf_reserve(b, (size_t)need);
	if (r < 0)
		return r;
	(void)vsnprintf(b->data + b->len, (size_t)need + 1, format, ap);
	b->len += (size_t)need;
	return 0;
}

int
buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = buf_vprintf(b, format, ap);
	va_end(ap);
	return r;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		bool failed = b->failed;

		buf_clear(b);
		b->failed = failed;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	if (b->wipe)
		mem_wipe(b->data + b->len - len, len);
	b->len -= len;
	b->data[b->len] = '\0';
}

const char *
buf_str(const struct buf *b)
{
	return b->data == NULL ? "" : b->data;
}

char *
buf_take(struct buf *b)
{
	char *data;

	if (b->data == NULL && buf_append(b, "", 0) < 0)
		return NULL;
	data = b->data;
	*b = (struct buf){.max = b->max, .wipe = b->wipe};
	return data;
}

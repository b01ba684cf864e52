/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wipe-alloc.c: see wipe-alloc.h. A block is preceded by its size, in a header of the strictest
 * alignment.
 */
#include "broker/https/wipe-alloc.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct header {
	alignas(max_align_t) size_t size;
};

void *
wipe_malloc(size_t size)
{
	struct header *h;

	if (size > PTRDIFF_MAX - sizeof(*h)) {
		errno = ENOMEM;
		return NULL;
	}
	h = malloc(sizeof(*h) + size);
	if (h == NULL)
		return NULL;
	h->size = size;
	return h + 1;
}

void *
wipe_calloc(size_t count, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = wipe_malloc(total);
	if (p != NULL)
		memset(p, 0, total);
	return p;
}

void *
wipe_realloc(void *p, size_t size)
{
	void *moved = wipe_malloc(size);

	if (moved == NULL || p == NULL)
		return moved;
	{
		size_t old = ((struct header *)p - 1)->size;

		memcpy(moved, p, old < size ? old : size);
	}
	wipe_free(p);
	return moved;
}

char *
wipe_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = wipe_malloc(size);

	if (copy != NULL)
		memcpy(copy, s, size);
	return copy;
}

void
wipe_free(void *p)
{
	struct header *h;

	if (p == NULL)
		return;
	h = (struct header *)p - 1;
	mem_wipe(p, h->size);
	free(h);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wipe-alloc.h: an allocator for libraries that hold secrets and know nothing of it (libcurl,
 * jansson): whatever is given back, or moved by a growing block, is overwritten first.
 *
 * The functions behave as their namesakes of the C library. A block must be released by wipe_free.
 */
#ifndef FRANK_BROKER_HTTPS_WIPE_ALLOC_H
#define FRANK_BROKER_HTTPS_WIPE_ALLOC_H

#include <stddef.h>

void *wipe_malloc(size_t size);
void *wipe_calloc(size_t count, size_t size);
void *wipe_realloc(void *p, size_t size);
char *wipe_strdup(const char *s);
void wipe_free(void *p);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wipe.h: for libraries that hold secrets and know nothing of it (libcurl, jansson, libcrypto): what is given
 * back, or moved by a growing block, is overwritten first. Blocks are malloc's.
 */
#ifndef FRANK_BASE_WIPE_H
#define FRANK_BASE_WIPE_H

#include <stddef.h>

/* As free(3) and realloc(3). */
void wipe_free(void *p);
void *wipe_realloc(void *p, size_t size);

#endif

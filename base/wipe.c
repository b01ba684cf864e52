/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* wipe.c: see wipe.h. The whole block is wiped, also where it is larger than what was asked for. */
#include "base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void
wipe_free(void *p)
{
	if (p != NULL)
		mem_wipe(p, malloc_usable_size(p));
	free(p);
}

void *
wipe_realloc(void *p, size_t size)
{
	size_t before = p == NULL ? 0 : malloc_usable_size(p);
	void *moved = size == 0 ? NULL : malloc(size);

	if (moved != NULL && before > 0)
		memcpy(moved, p, before < size ? before : size);
	if (moved != NULL || size == 0)
		wipe_free(p);
	return moved;
}

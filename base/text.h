/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * text.h: strings that may be absent (NULL).
 */
#ifndef FRANK_BASE_TEXT_H
#define FRANK_BASE_TEXT_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Equal strings, NULL being equal to NULL alone. */
static inline bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Sets *ret to a copy of `from`, NULL for NULL; what was there is not freed. 0 or -ENOMEM. */
static inline int
text_copy(const char *from, char **ret)
{
	*ret = from == NULL ? NULL : strdup(from);
	return from != NULL && *ret == NULL ? -ENOMEM : 0;
}

#endif

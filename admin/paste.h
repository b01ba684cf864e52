/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * paste.h: finds the callback's query in what a person pasted. Pure.
 */
#ifndef FRANK_ADMIN_PASTE_H
#define FRANK_ADMIN_PASTE_H

#include <stdbool.h>
#include <stddef.h>

enum { PASTE_MAX = 16 * 1024 };

/*
 * Takes the whole address at which a browser ended, or its query alone. Spaces and quotes around
 * it, and a fragment behind it, do not count; where the query is no answer, the fragment stands for
 * it (response_mode=fragment). True with the query (borrowed) where it holds state and code,
 * or an error, which many servers send without the state; a bare code is not taken, since without
 * the state nobody knows whose sign-in it is.
 */
bool paste_query(const char *line, size_t len, const char **ret, size_t *ret_len);

#endif

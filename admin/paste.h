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
 * Accepts the whole address at which a browser ended, or its query alone. Spaces and quotes around
 * it, and a fragment behind it, are ignored; if the query is not an answer, the fragment is used
 * instead (response_mode=fragment). True with the query (borrowed) if it has state and code, or an
 * error, which many servers send without the state. A bare code is refused: without the state it
 * cannot be matched to a sign-in.
 */
bool paste_query(const char *line, size_t len, const char **ret, size_t *ret_len);

#endif

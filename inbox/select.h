/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * select.h: a selection of messages as SQL.
 */
#ifndef FRANK_INBOX_SELECT_H
#define FRANK_INBOX_SELECT_H

#include <sqlite3.h>

#include "inbox/inbox.h"

/* Prepares `head` WHERE the selection holds for table "message m", followed by `tail`. Values of the selection are bound;
 * those of `tail` are named parameters, which the caller binds. NULL: *ret is a result code of SQLite. */
sqlite3_stmt *select_prepare(
    sqlite3 *db, const char *head, const struct inbox_selection *s, const char *tail, int *ret);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * database.h: the SQLite database under the spool: opening, tables, statements, and the space that it
 * holds ready. Knows nothing of messages.
 *
 * The database is locked exclusively for as long as it is open: nobody else needs it, the lock costs a
 * system call per transaction otherwise, and the log's index then lies in plain memory. A commit is one
 * fsync (WAL, synchronous=FULL).
 *
 * On a full disk the spool must still be written: a delivery is put on record, and what frees space,
 * deleting, is written first. So the blocks of the log, and some behind the end of the database, are
 * allocated beforehand (fallocate, without changing the sizes that SQLite sees). Nobody outside can
 * take them meanwhile, as could happen with a reserve that is given up in need. A file system that
 * writes every block anew (btrfs, zfs) makes this no promise.
 *
 * Pages that deleted mail leaves are used again first; many of them are given back to the file system,
 * in steps, when there is nothing else to do.
 *
 * Results are 0 or negative errno: -ENOSPC (disk full), -EIO, -ENOMEM, -EBADMSG (the file is damaged),
 * -EROFS, -EBUSY, -EACCES. Calls block for the disk only.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_DATABASE_H
#define FRANK_BROKER_QUEUE_SPOOL_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct database;

/* Opens DIR/spool.db. Makes or migrates its tables, and checks the file when it was not closed properly.
 * On error `why` has a sentence for a person, and *ret is NULL. */
int database_open(const char *dir, struct database **ret, struct buf *why);
/* Appends to `why`, for a person, what an error r of DIR/spool.db means and what to do. Returns r. */
int database_explain(int r, const char *dir, const char *what, struct buf *why);
/* Rolls back what is open, checkpoints, and closes. Takes NULL; returns NULL. */
struct database *database_close(struct database *db);

int database_begin(struct database *db);
/* After an error the transaction is rolled back. */
int database_commit(struct database *db);
void database_rollback(struct database *db);

/* ---- statements ---- */

/* A value for a parameter; text and blobs are borrowed until the statement ends. */
struct database_value {
	enum { DATABASE_NULL, DATABASE_NUMBER, DATABASE_TEXT, DATABASE_BLOB } kind;
	int64_t number;
	const void *bytes;
	size_t len; /* of a blob */
};

#define NUMBER(n)                                               \
	{                                                       \
		.kind = DATABASE_NUMBER, .number = (int64_t)(n) \
	}
/* A number of which one value, `none`, is stored as NULL. */
#define NUMBER_OR(n, none)                                                                      \
	{                                                                                       \
		.kind = (n) == (none) ? DATABASE_NULL : DATABASE_NUMBER, .number = (int64_t)(n) \
	}
/* NULL stays NULL. */
#define TEXT(s)                                     \
	{                                           \
		.kind = DATABASE_TEXT, .bytes = (s) \
	}
/* A text of which "" is stored as NULL, too. */
#define FILLED(s)                                                  \
	{                                                          \
		.kind = DATABASE_TEXT, .bytes = database_filled(s) \
	}
#define BLOB(p, n)                                              \
	{                                                       \
		.kind = DATABASE_BLOB, .bytes = (p), .len = (n) \
	}
/* The values of a statement's parameters, ?1 first: the last two arguments of the functions below. */
#define VALUES(...)                                   \
	(const struct database_value[]){__VA_ARGS__}, \
	    sizeof((const struct database_value[]){__VA_ARGS__}) / sizeof(struct database_value)

static inline const char *
database_filled(const char *s)
{
	return s == NULL || *s == '\0' ? NULL : s;
}

/* Runs a statement that gives no rows. `sql` is a string literal: the prepared statement is kept by its
 * address while the database is open. */
int database_run(
    struct database *db, const char *sql, const struct database_value *values, size_t count);
/* How many rows the last statement changed. */
int database_changes(const struct database *db);

/*
 * Begins a statement that gives rows; `sql` likewise. Read it so:
 *
 *	sqlite3_stmt *st = database_query(db, "SELECT ...", VALUES(NUMBER(id)));
 *	while (r == 0 && database_next(st))
 *		r = ...
 *	return database_end(db, st, r);
 *
 * A NULL statement (no memory, a damaged file) has no rows; database_end gives its error.
 */
sqlite3_stmt *database_query(
    struct database *db, const char *sql, const struct database_value *values, size_t count);
bool database_next(sqlite3_stmt *st);
/* r where that is not 0, else the error of the statement, or 0. */
int database_end(struct database *db, sqlite3_stmt *st, int r);
/* "" for NULL; borrowed until the next row. */
const char *database_text(sqlite3_stmt *st, int column);

/* SQL of one or several statements, without rows and parameters, that is run once. */
int database_script(struct database *db, const char *sql);
/* The one number that a query gives; 0 where it gives no row or NULL. */
int database_number(struct database *db, const char *sql, int64_t *ret);

/* ---- space ---- */

/* Moves the log into the database when it has grown, earlier where there is time for it (`idle`):
 * then memory is given back as well. Not within a transaction. Returns whether there was anything to
 * do. */
bool database_checkpoint(struct database *db, bool idle);
/* Sees to it that the space for a full disk is allocated. To be called now and then; costs little where
 * nothing changed. 0, or negative errno where there is not that much space now. */
int database_reserve(struct database *db);
/* The transaction failed with -ENOSPC and is rolled back: the log begins anew. True where another try
 * makes sense. */
bool database_make_room(struct database *db);
/* Is there so much unused space that it should be given back? */
bool database_may_shrink(struct database *db);
/* Gives some of it back: 1 where there is more, 0, or negative errno. Not within a transaction. */
int database_shrink(struct database *db);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-internal.h: what the files of the spool share: spool.c opens, commits and mends;
 * spool-write.c and spool-read.c hold one function per statement, spool-mend.c what follows crashes
 * and steps of the clock, spool-space.c the space held ready and given back, spool-octets.c what each
 * service takes.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_SPOOL_INTERNAL_H
#define FRANK_BROKER_QUEUE_SPOOL_SPOOL_INTERNAL_H

#include <sqlite3.h>

#include "broker/queue/spool/spool.h"

/* Prepared once, kept while the spool is open. */
enum spool_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_BODY_WANTED,
	STATEMENT_SIZE_OF,
	STATEMENT_INSERT_MESSAGE,
	STATEMENT_INSERT_BODY,
	STATEMENT_INSERT_RECIPIENT,
	STATEMENT_UPDATE_RECIPIENT,
	STATEMENT_UPDATE_MESSAGE,
	STATEMENT_UPDATE_ACCOUNT_OF,
	STATEMENT_PROLONG,
	STATEMENT_FINISH_MESSAGE,
	STATEMENT_DELETE_MESSAGE,
	STATEMENT_DELETE_BODY,
	STATEMENT_DELETE_RECIPIENTS,
	STATEMENT_DELETE_ATTEMPTS,
	STATEMENT_INSERT_ATTEMPT,
	STATEMENT_INSERT_EVENT,
	STATEMENT_SAVE_ACCOUNT,
	STATEMENT_SAVE_USED,
	STATEMENT_SAVE_SIGNED,
	STATEMENT_OLD,
	STATEMENT_DELETE_EVENTS,
	STATEMENT_TRANSCRIPT_SIZES,
	STATEMENT_FORGET_TRANSCRIPTS,
	STATEMENT_LOAD_MESSAGE,
	STATEMENT_LOAD_RECIPIENTS,
	STATEMENT_LOAD_BODY,
	STATEMENT_KNOWN,
	STATEMENT_DUE,
	STATEMENT_LANES,
	STATEMENT_SCAN,
	STATEMENT_ATTEMPTS,
	STATEMENT_LOAD_ENDPOINT,
	STATEMENT_LOAD_ACCOUNT,
	STATEMENT_LOAD_USED,
	STATEMENT_LOAD_SIGNED,
	STATEMENT_EACH_SINCE,
	STATEMENT_EACH_ATTEMPT_SINCE,
	STATEMENT_SAVE_PASSWORD,
	STATEMENT_DELETE_PASSWORD,
	STATEMENT_LOAD_PASSWORD,
	STATEMENT_TELL,
	STATEMENT_EVENTS,
	STATEMENT_EVENT_OFFSET,
	STATEMENT_SAVE_NOTICE,
	STATEMENT_DELETE_NOTICE,
	STATEMENT_NOTICES,
	STATEMENT_HAS_STATE,
	STATEMENT_ADD_OUTBOX,
	STATEMENT_STANDING,
	STATEMENT_ADD_WAY,
	STATEMENT_EACH_WAY,
	STATEMENT_DELETE_WAY,
	STATEMENT_RETRY_OUTBOX,
	STATEMENT_DELETE_OUTBOX,
	STATEMENT_OUTBOX,
	SPOOL_STATEMENTS,
};

struct spool {
	sqlite3 *db;
	int bodies;
	uint64_t last_id;
	bool open; /* a transaction is */
	int log_pages;
	bool log_grown; /* since there was nothing to do last */
	/* The database and its log, open beside SQLite for what it does not do. Closed after it: closing
	 * a file drops all locks that this process has on it. */
	int file, log;
	uint64_t log_reserve, file_reserve; /* octets */
	bool reserved;
	int64_t reserved_behind; /* the database's size then */
	struct spool_octets *octets, *octets_touched;
	uint64_t first_top;   /* the last id when it was opened */
	uint64_t octets_seen; /* of those, which are in `octets` already */
	sqlite3_stmt *statements[SPOOL_STATEMENTS];
};

/* An SQLite result as a negative errno; 0 for OK, ROW and DONE. */
int spool_errno(int code);
/* The statement, prepared at its first use; NULL with the error in the database handle. */
sqlite3_stmt *spool_prepare(struct spool *s, enum spool_statement n, const char *sql);
/* Runs a statement that gives no rows, and makes it ready again. NULL gives the handle's error. */
int spool_step(struct spool *s, sqlite3_stmt *st);
/* A message is stored, or gone: within a transaction. */
void spool_octets_change(
    struct spool *s, uint64_t id, const char *service, uint64_t size, bool gone);
/* The transaction is over. */
void spool_octets_settle(struct spool *s, bool committed);
void spool_octets_free(struct spool *s);
/* How much is held ready, by the size of the file system. */
void spool_space_measure(struct spool *s);
/* SQL that is run once, of one or several statements without rows. */
int spool_run(struct spool *s, const char *sql);
/* The one number that a query gives; 0 where it gives no row or NULL. */
int spool_number(struct spool *s, const char *sql, int64_t *ret);
/* NULL and "" are stored as NULL. The text is borrowed until the step. */
void spool_bind_text(sqlite3_stmt *st, int n, const char *text);
/* `none` is stored as NULL. */
void spool_bind_time(sqlite3_stmt *st, int n, int64_t when, int64_t none);
/* The 16 octets of a submission id in hexadecimal. False for "" and for what is none. */
bool spool_submission_bytes(const char *text, unsigned char *bytes);

#endif

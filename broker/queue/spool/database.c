/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* database.c: see database.h. The tables are in schema.h. */
#include "broker/queue/spool/database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "broker/queue/spool/schema.h"
#include "broker/queue/spool/vfs.h"

enum {
	APPLICATION_ID = 0x46726e6b, /* "Frnk" */
	LOG_PAGES_MAX = 2048,        /* the log is moved into the database after 8 MB */
	/* The same when there is time. Not at once: a log that begins anew costs the next message a
	 * second sync. */
	LOG_PAGES_IDLE = 512,
	BUSY_MS = 5000,
	STATEMENTS_MAX = 96, /* string literals that statements are written as */
	MEGABYTE = 1024 * 1024,
	LOG_RESERVE = 12 * MEGABYTE,
	FILE_RESERVE = 4 * MEGABYTE,
	LOG_SHARE = 16, /* of a small file system no more than this part of it */
	FILE_SHARE = 48,
	FREE_MANY = 2048,     /* pages: so many are given back ... */
	FREE_KEPT = 512,      /* ... but for these, which mail is about to use */
	SHRINK_STEP = 512,    /* pages */
	REWRITTEN_MAX = 4096, /* pages in use of a database that is written anew */
};

struct database {
	sqlite3 *db;
	int log_pages;
	bool log_grown; /* since there was nothing to do last */
	/* The database and its log, open beside SQLite for what it does not do. Closed after it: closing
	 * a file drops all locks that this process has on it. */
	int file, log;
	uint64_t log_reserve, file_reserve; /* octets */
	bool reserved;
	int64_t reserved_behind; /* the database's size then */
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} statements[STATEMENTS_MAX];
	size_t statement_count;
};

static int
errno_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CANTOPEN:
		return -EACCES;
	default:
		return -EIO;
	}
}

/* ---- statements ---- */

int
database_script(struct database *db, const char *sql)
{
	return errno_of(sqlite3_exec(db->db, sql, NULL, NULL, NULL));
}

int
database_number(struct database *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);

	*ret = 0;
	if (code != SQLITE_OK)
		return errno_of(code);
	code = sqlite3_step(st);
	*ret = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	(void)sqlite3_finalize(st);
	return errno_of(code);
}

/* Prepared at its first use. NULL with the error in the database handle. */
static sqlite3_stmt *
prepare(struct database *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	size_t i = 0;

	while (i < db->statement_count && db->statements[i].sql != sql)
		i++;
	if (i < db->statement_count)
		return db->statements[i].st;
	if (i == STATEMENTS_MAX ||
	    sqlite3_prepare_v3(db->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return NULL;
	db->statements[i].sql = sql;
	db->statements[i].st = st;
	db->statement_count++;
	return st;
}

static void
bind(sqlite3_stmt *st, int n, const struct database_value *v)
{
	switch (v->kind) {
	case DATABASE_NULL:
		break;
	case DATABASE_NUMBER:
		(void)sqlite3_bind_int64(st, n, v->number);
		break;
	case DATABASE_TEXT:
		if (v->bytes != NULL)
			(void)sqlite3_bind_text(st, n, v->bytes, -1, SQLITE_STATIC);
		break;
	case DATABASE_BLOB:
		(void)sqlite3_bind_blob(st, n, v->bytes, (int)v->len, SQLITE_STATIC);
		break;
	}
}

sqlite3_stmt *
database_query(
    struct database *db, const char *sql, const struct database_value *values, size_t count)
{
	sqlite3_stmt *st = prepare(db, sql);

	for (size_t i = 0; st != NULL && i < count; i++)
		bind(st, (int)i + 1, &values[i]);
	return st;
}

bool
database_next(sqlite3_stmt *st)
{
	return st != NULL && sqlite3_step(st) == SQLITE_ROW;
}

int
database_end(struct database *db, sqlite3_stmt *st, int r)
{
	int error;

	if (st == NULL) {
		error = errno_of(sqlite3_errcode(db->db));
		error = error == 0 ? -ENOMEM : error;
	} else {
		error = errno_of(sqlite3_reset(st));
		(void)sqlite3_clear_bindings(st);
	}
	return r != 0 ? r : error;
}

const char *
database_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text == NULL ? "" : (const char *)text;
}

int
database_run(
    struct database *db, const char *sql, const struct database_value *values, size_t count)
{
	sqlite3_stmt *st = database_query(db, sql, values, count);

	(void)database_next(st);
	return database_end(db, st, 0);
}

int
database_changes(const struct database *db)
{
	return sqlite3_changes(db->db);
}

/* ---- transactions ---- */

int
database_begin(struct database *db)
{
	return database_run(db, "BEGIN IMMEDIATE", NULL, 0);
}

int
database_commit(struct database *db)
{
	int r = database_run(db, "COMMIT", NULL, 0);

	if (r < 0)
		database_rollback(db);
	return r;
}

void
database_rollback(struct database *db)
{
	/* SQLite rolls back by itself on some errors. */
	if (!sqlite3_get_autocommit(db->db))
		(void)database_run(db, "ROLLBACK", NULL, 0);
}

/* ---- space ---- */

static uint64_t
at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

static void
measure(struct database *db)
{
	struct statvfs fs;
	uint64_t size = UINT64_MAX;

	if (fstatvfs(db->file, &fs) == 0 && fs.f_blocks > 0)
		size = (uint64_t)fs.f_blocks * fs.f_frsize;
	db->log_reserve = at_most(LOG_RESERVE, size / LOG_SHARE);
	db->file_reserve = at_most(FILE_RESERVE, size / FILE_SHARE);
}

int
database_reserve(struct database *db)
{
	struct stat st;
	int r = 0;

	if (fstat(db->file, &st) < 0)
		return -errno;
	if (db->reserved && st.st_size == db->reserved_behind)
		return 0;
	if (fallocate(db->log, FALLOC_FL_KEEP_SIZE, 0, (off_t)db->log_reserve) < 0 ||
	    fallocate(db->file, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)db->file_reserve) < 0)
		r = -errno;
	db->reserved = r == 0 || r == -EOPNOTSUPP;
	db->reserved_behind = st.st_size;
	return r;
}

bool
database_make_room(struct database *db)
{
	if (sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) !=
	    SQLITE_OK)
		return false;
	db->log_pages = 0;
	return true;
}

/* How many pages the file has, how many of them are free. */
static int
count_pages(struct database *db, int64_t *ret_all, int64_t *ret_free)
{
	int r = database_number(db, "PRAGMA page_count", ret_all);

	return r < 0 ? r : database_number(db, "PRAGMA freelist_count", ret_free);
}

static bool
is_incremental(struct database *db)
{
	int64_t mode;

	return database_number(db, "PRAGMA auto_vacuum", &mode) == 0 && mode == 2;
}

bool
database_may_shrink(struct database *db)
{
	int64_t all, unused;

	return count_pages(db, &all, &unused) == 0 && unused > FREE_MANY &&
	       (is_incremental(db) || all - unused <= REWRITTEN_MAX);
}

int
database_shrink(struct database *db)
{
	char step[64];
	int64_t all, unused;
	int r = count_pages(db, &all, &unused);

	if (r < 0 || unused <= FREE_KEPT)
		return r;
	if (!is_incremental(db)) {
		if (all - unused > REWRITTEN_MAX)
			return 0;
		r = database_script(db, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM;");
		(void)database_checkpoint(db, false);
		return r;
	}
	(void)snprintf(step, sizeof(step), "PRAGMA incremental_vacuum(%d)",
	    (int)at_most((uint64_t)(unused - FREE_KEPT), SHRINK_STEP));
	r = database_script(db, step);
	(void)database_checkpoint(db, false);
	return r < 0 ? r : unused - SHRINK_STEP > FREE_KEPT;
}

bool
database_checkpoint(struct database *db, bool idle)
{
	bool move = db->log_pages >= (idle ? LOG_PAGES_IDLE : LOG_PAGES_MAX), grown = db->log_grown;

	if (move)
		(void)database_make_room(db);
	if (!idle)
		return move;
	db->log_grown = false;
	if (grown)
		(void)sqlite3_db_release_memory(db->db);
	return grown;
}

/* ---- opening ---- */

static int
on_log_grown(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct database *db = arg;

	db->log_pages = pages;
	db->log_grown = true;
	return SQLITE_OK;
}

/* What happened, what was kept, and what to do, for a person who knows nothing of SQLite. */
static int
say_damaged(struct buf *why, const char *path, const char *detail)
{
	/* not .recover: the sqlite3 of distributions is often built without it */
	(void)buf_printf(why,
	    "%s: the spool is damaged (%s), so no mail is taken or sent. The file was left as it "
	    "is; large messages lie beside it in \"bodies\" and are not touched. To save what can "
	    "be read: stop frankd and its sockets (systemctl stop 'frank*'), and with sqlite3 "
	    "installed, "
	    "in the folder of that file: (sqlite3 spool.db .dump | sed "
	    "'s/^ROLLBACK.*/COMMIT;/'; echo 'PRAGMA user_version=%d;') | sqlite3 saved.db; mkdir "
	    "damaged && mv spool.db* damaged && mv saved.db spool.db && chown --reference=. "
	    "spool.db && chmod 600 spool.db; then start it again. Without that mail: move "
	    "spool.db* "
	    "away, and a new spool is made at the start.",
	    path, detail, (int)ARRAY_SIZE(migrations));
	return -EBADMSG;
}

static int
say(struct buf *why, int r, const char *path, const char *what)
{
	switch (r) {
	case -EBADMSG:
		return say_damaged(why, path, what);
	case -EROFS:
		(void)buf_printf(why,
		    "%s: %s: it cannot be written; look at its file system and its owner", path,
		    what);
		break;
	case -ENOSPC:
		(void)buf_printf(why,
		    "%s: %s: the disk is full; free some space, then start frankd again", path,
		    what);
		break;
	default:
		(void)buf_printf(why, "%s: %s: %s", path, what, strerror(-r));
		break;
	}
	return r;
}

int
database_explain(int r, const char *dir, const char *what, struct buf *why)
{
	CLEANUP_BUF struct buf path = BUF_INIT(4096);

	(void)buf_printf(&path, "%s/spool.db", dir);
	return say(why, r, buf_str(&path), what);
}

/* The first complaint of SQLite's own check, or "ok". */
static int
check(struct database *db, const char *path, struct buf *why)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(db->db, "PRAGMA quick_check(1)", -1, &st, NULL), r = 0;
	const char *text;

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (text == NULL) {
		r = code == SQLITE_ROW ? -ENOMEM : errno_of(code);
		(void)say(why, r, path, "the spool cannot be checked");
	} else if (strcmp(text, "ok") != 0) {
		r = say_damaged(why, path, text);
	}
	(void)sqlite3_finalize(st);
	return r;
}

static int
migrate(struct database *db, const char *path, struct buf *why)
{
	int64_t version;
	int r = database_number(db, "PRAGMA user_version", &version);

	if (r == 0 && version > (int64_t)ARRAY_SIZE(migrations)) {
		(void)buf_printf(why,
		    "%s: the spool was made by a newer version of Frank, which this one cannot "
		    "read; nothing was changed. Install that version again, or one after it.",
		    path);
		return -EPROTO;
	}
	while (r == 0 && version < (int64_t)ARRAY_SIZE(migrations)) {
		char pragma[64];

		r = database_script(db, "BEGIN IMMEDIATE");
		if (r == 0)
			r = database_script(db, migrations[version]);
		(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", (int)++version);
		if (r == 0)
			r = database_script(db, pragma);
		if (r == 0)
			r = database_script(db, "COMMIT");
	}
	return r < 0 ? say(why, r, path, "the spool's tables cannot be made") : 0;
}

static int
settle(struct database *db, const char *path, struct buf *why)
{
	char application[64], limit[64];
	struct stat st;
	int64_t clean, tables = 0;
	int r, keep = 1;

	/* A log that stays is overwritten in place: no write of it makes the file system's own
	 * journal grow. */
	(void)sqlite3_file_control(db->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	(void)sqlite3_busy_timeout(db->db, BUSY_MS);
	(void)sqlite3_extended_result_codes(db->db, 1);
	(void)snprintf(
	    application, sizeof(application), "PRAGMA application_id=%d", APPLICATION_ID);
	(void)snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit=%" PRIu64, db->log_reserve);
	/* How space is given back is decided before the first page is written. */
	if (fstat(db->file, &st) == 0 && st.st_size == 0)
		(void)database_script(db, "PRAGMA auto_vacuum=INCREMENTAL");
	/* The exclusive lock comes before the log's first use: no shared memory is made then. FAST:
	 * what was deleted is overwritten where that costs no write of its own. */
	r = database_script(db,
	    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	    "PRAGMA cache_size=-1024; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
	    "PRAGMA secure_delete=FAST; PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=0;"
	    "PRAGMA cell_size_check=ON; BEGIN IMMEDIATE; COMMIT;");
	if (r < 0)
		return say(why, r, path,
		    r == -EBUSY ? "the spool is in use" : "the spool cannot be opened");
	r = migrate(db, path, why);
	if (r < 0)
		return r;
	/* as a dump of a file leaves it of which nothing could be read */
	r = database_number(db, "SELECT count(*) FROM sqlite_schema WHERE name='meta'", &tables);
	if (r == 0 && tables == 0)
		return say_damaged(why, path, "it holds no mail: nothing could be saved");
	(void)database_script(db, application);
	/* a log that a flood has made large is cut when it begins anew */
	(void)database_script(db, limit);
	(void)sqlite3_wal_hook(db->db, on_log_grown, db);
	r = database_number(db, "SELECT value FROM meta WHERE key='clean'", &clean);
	if (r == 0 && !clean) {
		r = check(db, path, why);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = database_script(db, "UPDATE meta SET value=0 WHERE key='clean'");
	return r < 0 ? say(why, r, path, "the spool cannot be used") : 0;
}

static void
free_all(struct database *db)
{
	(void)sqlite3_close(db->db);
	if (db->log >= 0)
		(void)close(db->log);
	if (db->file >= 0)
		(void)close(db->file);
	free(db);
}

/* Made here for its mode, which SQLite gives to its other files as well. */
static int
open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	/* SQLite would wait for ever for what a FIFO holds. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	(void)close(fd);
	return -EINVAL;
}

int
database_open(const char *dir, struct database **ret, struct buf *why)
{
	struct database *db = calloc(1, sizeof(*db));
	CLEANUP_BUF struct buf path = BUF_INIT(4096), log = BUF_INIT(4096);
	int r;

	*ret = NULL;
	if (db == NULL || buf_printf(&path, "%s/spool.db", dir) < 0 ||
	    buf_printf(&log, "%s-wal", buf_str(&path)) < 0) {
		free(db);
		return -ENOMEM;
	}
	db->file = open_file(path.data);
	db->log = db->file < 0 ? -1 : open_file(log.data);
	r = db->file < 0 ? db->file : db->log < 0 ? db->log : 0;
	if (r == 0) {
		measure(db);
		(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
		r = errno_of(sqlite3_open_v2(
		    path.data, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs_name()));
	}
	r = r < 0 ? say(why, r, path.data, "the spool cannot be opened")
		  : settle(db, path.data, why);
	if (r < 0) {
		free_all(db);
		return r;
	}
	(void)database_reserve(db);
	*ret = db;
	return 0;
}

struct database *
database_close(struct database *db)
{
	if (db == NULL)
		return NULL;
	database_rollback(db);
	/* the blocks of the log stay: there may be no others at the next start */
	(void)database_script(
	    db, "PRAGMA journal_size_limit=-1; UPDATE meta SET value=1 WHERE key='clean'");
	for (size_t i = 0; i < db->statement_count; i++)
		(void)sqlite3_finalize(db->statements[i].st);
	free_all(db);
	return NULL;
}

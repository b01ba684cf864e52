/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool.c: see spool.h; the tables are described in spool-schema.h.
 *
 * Crash rules. A message is stored when the transaction with its rows is committed; a body in a
 * file is synced, name and content, before that. So a row never names a body that is not there; a
 * file without a row is left over from a crash or a refusal and is removed at start. A finished
 * message's body goes with the transaction that finishes it, its file after that.
 *
 * The database is locked exclusively for as long as it is open: nobody else needs it, the lock
 * costs a system call per transaction otherwise, and the log's index then lies in plain memory.
 */
#include "broker/queue/spool/spool-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/queue/spool/spool-schema.h"
#include "broker/queue/spool/spool-vfs.h"

enum {
	APPLICATION_ID = 0x46726e6b, /* "Frnk" */
	/* Pages of the log after which it is moved into the database: 8 MB. */
	LOG_PAGES_MAX = 2048,
	/* The same when there is time. Not at once: a log that begins anew costs the next message a
	 * second sync. */
	LOG_PAGES_IDLE = 512,
	BUSY_MS = 5000,
};

static const char *const state_names[SPOOL_STATE_COUNT] = {
    "queued", "sending", "delivered", "deferred", "bounced", "failed", "held", "captured"};

const char *
spool_state_name(enum spool_state state)
{
	return (unsigned)state < SPOOL_STATE_COUNT ? state_names[state] : "unknown";
}

const char *
spool_id_text(uint64_t id, char *buffer)
{
	(void)snprintf(buffer, SPOOL_ID_LEN, "%" PRIX64, id);
	return buffer;
}

int
spool_id_parse(const char *text, uint64_t *ret)
{
	uint64_t id = 0;
	size_t n = 0;

	for (; text[n] != '\0'; n++) {
		static const char digits[] = "0123456789ABCDEFabcdef";
		const char *at = strchr(digits, text[n]);

		if (at == NULL || n >= SPOOL_ID_LEN - 1)
			return -EINVAL;
		id = id << 4 | (uint64_t)(at - digits < 16 ? at - digits : at - digits - 6);
	}
	if (n == 0 || id > INT64_MAX)
		return -EINVAL;
	*ret = id;
	return 0;
}

void
spool_message_clear(struct spool_message *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++) {
		free(m->recipients[i].address);
		free(m->recipients[i].orcpt);
		smtp_reply_clear(&m->recipients[i].reply);
	}
	free(m->recipients);
	free(m->account);
	free(m->service);
	free(m->sender);
	free(m->return_to);
	free(m->envid);
	free(m->subject);
	free(m->message_id);
	free(m->body);
	*m = (struct spool_message){0};
}

struct spool_message *
spool_message_free(struct spool_message *m)
{
	spool_message_clear(m);
	free(m);
	return NULL;
}

struct smtp_rcpt_params
spool_rcpt_params(const struct spool_recipient *r)
{
	struct smtp_rcpt_params p = {.notify = r->notify};

	(void)snprintf(p.orcpt, sizeof(p.orcpt), "%s", r->orcpt == NULL ? "" : r->orcpt);
	return p;
}

enum spool_state
spool_message_state(const struct spool_message *m)
{
	/* What a person must know first. */
	static const enum spool_state order[] = {SPOOL_SENDING, SPOOL_HELD, SPOOL_FAILED,
	    SPOOL_DEFERRED, SPOOL_QUEUED, SPOOL_BOUNCED, SPOOL_CAPTURED};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		for (size_t n = 0; n < m->count; n++)
			if (m->recipients[n].state == order[i])
				return order[i];
	return SPOOL_DELIVERED;
}

/* ---- SQLite ---- */

int
spool_errno(int code)
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

int
spool_run(struct spool *s, const char *sql)
{
	return spool_errno(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *
spool_prepare(struct spool *s, enum spool_statement n, const char *sql)
{
	if (s->statements[n] == NULL &&
	    sqlite3_prepare_v3(
		s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->statements[n], NULL) != SQLITE_OK)
		return NULL;
	return s->statements[n];
}

int
spool_step(struct spool *s, sqlite3_stmt *st)
{
	int code;

	if (st == NULL)
		return spool_errno(sqlite3_errcode(s->db));
	code = sqlite3_step(st);
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return spool_errno(code);
}

void
spool_bind_text(sqlite3_stmt *st, int n, const char *text)
{
	if (text != NULL && *text != '\0')
		(void)sqlite3_bind_text(st, n, text, -1, SQLITE_STATIC);
}

void
spool_bind_time(sqlite3_stmt *st, int n, int64_t when, int64_t none)
{
	if (when != none)
		(void)sqlite3_bind_int64(st, n, when);
}

int
spool_number(struct spool *s, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	*ret = 0;
	if (code != SQLITE_OK)
		return spool_errno(code);
	code = sqlite3_step(st);
	*ret = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	(void)sqlite3_finalize(st);
	return spool_errno(code);
}

static int
on_log_grown(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct spool *s = arg;

	s->log_pages = pages;
	s->log_grown = true;
	return SQLITE_OK;
}

/* ---- opening ---- */

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
	    path, detail, (int)ARRAY_SIZE(spool_migrations));
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

/* The first complaint of SQLite's own check, or "ok". */
static int
check(struct spool *s, const char *path, struct buf *why)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL), r = 0;
	const char *text;

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (text == NULL) {
		r = code == SQLITE_ROW ? -ENOMEM : spool_errno(code);
		(void)say(why, r, path, "the spool cannot be checked");
	} else if (strcmp(text, "ok") != 0) {
		r = say_damaged(why, path, text);
	}
	(void)sqlite3_finalize(st);
	return r;
}

static int
migrate(struct spool *s, const char *path, struct buf *why)
{
	int64_t version;
	int r = spool_number(s, "PRAGMA user_version", &version);

	if (r == 0 && version > (int64_t)ARRAY_SIZE(spool_migrations)) {
		(void)buf_printf(why,
		    "%s: the spool was made by a newer version of Frank, which this one cannot "
		    "read; nothing was changed. Install that version again, or one after it.",
		    path);
		return -EPROTO;
	}
	while (r == 0 && version < (int64_t)ARRAY_SIZE(spool_migrations)) {
		char pragma[64];

		r = spool_run(s, "BEGIN IMMEDIATE");
		if (r == 0)
			r = spool_run(s, spool_migrations[version]);
		(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", (int)++version);
		if (r == 0)
			r = spool_run(s, pragma);
		if (r == 0)
			r = spool_run(s, "COMMIT");
	}
	return r < 0 ? say(why, r, path, "the spool's tables cannot be made") : 0;
}

static int
settle(struct spool *s, const char *path, struct buf *why)
{
	char application[64], limit[64];
	struct stat st;
	int64_t clean, top, tables = 0;
	int r, keep = 1;

	/* A log that stays is overwritten in place: no write of it makes the file system's own
	 * journal grow. */
	(void)sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	(void)sqlite3_busy_timeout(s->db, BUSY_MS);
	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)snprintf(
	    application, sizeof(application), "PRAGMA application_id=%d", APPLICATION_ID);
	(void)snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit=%" PRIu64, s->log_reserve);
	/* How space is given back is decided before the first page is written. */
	if (fstat(s->file, &st) == 0 && st.st_size == 0)
		(void)spool_run(s, "PRAGMA auto_vacuum=INCREMENTAL");
	/* The exclusive lock comes before the log's first use: no shared memory is made then. FAST:
	 * what was deleted is overwritten where that costs no write of its own. */
	r = spool_run(s,
	    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	    "PRAGMA cache_size=-1024; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
	    "PRAGMA secure_delete=FAST; PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=0;"
	    "PRAGMA cell_size_check=ON; BEGIN IMMEDIATE; COMMIT;");
	if (r < 0)
		return say(why, r, path,
		    r == -EBUSY ? "the spool is in use" : "the spool cannot be opened");
	r = migrate(s, path, why);
	if (r < 0)
		return r;
	/* as a dump of a file leaves it of which nothing could be read */
	r = spool_number(s, "SELECT count(*) FROM sqlite_schema WHERE name='meta'", &tables);
	if (r == 0 && tables == 0)
		return say_damaged(why, path, "it holds no mail: nothing could be saved");
	(void)spool_run(s, application);
	/* a log that a flood has made large is cut when it begins anew */
	(void)spool_run(s, limit);
	(void)sqlite3_wal_hook(s->db, on_log_grown, s);
	r = spool_number(s, "SELECT value FROM meta WHERE key='clean'", &clean);
	if (r == 0 && !clean) {
		r = check(s, path, why);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = spool_number(s, "SELECT max(id) FROM message", &top);
	if (r == 0)
		r = spool_run(s, "UPDATE meta SET value=0 WHERE key='clean'");
	s->last_id = s->first_top = r == 0 ? (uint64_t)top : 0;
	return r < 0 ? say(why, r, path, "the spool cannot be used") : 0;
}

static void
free_all(struct spool *s)
{
	(void)sqlite3_close(s->db);
	if (s->log >= 0)
		(void)close(s->log);
	if (s->file >= 0)
		(void)close(s->file);
	spool_octets_free(s);
	free(s);
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
spool_open(const char *dir, int bodies, struct spool **ret, struct buf *why)
{
	struct spool *s = calloc(1, sizeof(*s));
	CLEANUP_BUF struct buf path = BUF_INIT(4096), log = BUF_INIT(4096);
	int r;

	*ret = NULL;
	if (s == NULL || buf_printf(&path, "%s/spool.db", dir) < 0 ||
	    buf_printf(&log, "%s-wal", buf_str(&path)) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->bodies = bodies;
	s->file = open_file(path.data);
	s->log = s->file < 0 ? -1 : open_file(log.data);
	if (s->log < 0) {
		r = say(
		    why, s->file < 0 ? s->file : s->log, path.data, "the spool cannot be opened");
		free_all(s);
		return r;
	}
	spool_space_measure(s);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	r = spool_errno(sqlite3_open_v2(
	    path.data, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, spool_vfs()));
	r = r < 0 ? say(why, r, path.data, "the spool cannot be opened")
		  : settle(s, path.data, why);
	if (r < 0) {
		free_all(s);
		return r;
	}
	(void)spool_reserve(s);
	*ret = s;
	return 0;
}

struct spool *
spool_close(struct spool *s)
{
	if (s == NULL)
		return NULL;
	if (s->open)
		spool_rollback(s);
	/* the blocks of the log stay: there may be no others at the next start */
	(void)spool_run(
	    s, "PRAGMA journal_size_limit=-1; UPDATE meta SET value=1 WHERE key='clean'");
	for (size_t i = 0; i < SPOOL_STATEMENTS; i++)
		(void)sqlite3_finalize(s->statements[i]);
	free_all(s);
	return NULL;
}

uint64_t
spool_new_id(struct spool *s, int64_t now_us)
{
	uint64_t id = now_us > 0 ? (uint64_t)now_us : 0;

	s->last_id = id > s->last_id ? id : s->last_id + 1;
	return s->last_id;
}

/* ---- transactions ---- */

int
spool_begin(struct spool *s)
{
	int r = spool_step(s, spool_prepare(s, STATEMENT_BEGIN, "BEGIN IMMEDIATE"));

	s->open = r == 0;
	return r;
}

int
spool_commit(struct spool *s)
{
	int r = spool_step(s, spool_prepare(s, STATEMENT_COMMIT, "COMMIT"));

	if (r < 0)
		spool_rollback(s);
	else
		spool_octets_settle(s, true);
	s->open = false;
	return r;
}

void
spool_rollback(struct spool *s)
{
	/* SQLite rolls back by itself on some errors. */
	if (!sqlite3_get_autocommit(s->db))
		(void)spool_step(s, spool_prepare(s, STATEMENT_ROLLBACK, "ROLLBACK"));
	spool_octets_settle(s, false);
	s->open = false;
}

bool
spool_checkpoint(struct spool *s, bool idle)
{
	bool move = s->log_pages >= (idle ? LOG_PAGES_IDLE : LOG_PAGES_MAX), grown = s->log_grown;

	if (move)
		(void)spool_make_room(s);
	if (!idle)
		return move;
	s->log_grown = false;
	if (grown)
		(void)sqlite3_db_release_memory(s->db);
	return grown;
}

/* ---- bodies in files ---- */

static const char *
body_name(uint64_t id, char *buffer)
{
	return spool_id_text(id, buffer);
}

int
spool_body_create(struct spool *s, uint64_t id)
{
	char name[SPOOL_ID_LEN];
	int fd = openat(s->bodies, body_name(id, name),
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int
spool_body_sync(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

int
spool_bodies_sync(struct spool *s)
{
	return fsync(s->bodies) < 0 ? -errno : 0;
}

int
spool_body_open(struct spool *s, uint64_t id)
{
	char name[SPOOL_ID_LEN];
	int fd = openat(s->bodies, body_name(id, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

void
spool_body_remove(struct spool *s, uint64_t id)
{
	char name[SPOOL_ID_LEN];

	(void)unlinkat(s->bodies, body_name(id, name), 0);
}

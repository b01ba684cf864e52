/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox.c: see inbox.h.
 *
 * Tables: `message`, narrow, what searches look through, in the form of inbox_query_clean; `summary`, the JSON of a list's row;
 * `body`, the full text, by trigrams without positions (a third of the size and half the work); `mailbox`, which Maildirs
 * have the file; `tag`. The key of all is the message's mark.
 *
 * Files go before rows: after a crash in between, opening finds rows without files and forgets them. The other way round
 * what was deleted would come back.
 *
 * The full text costs more than all else of a message. A new one stands in table `fresh`, where it is found by looking through it, until there
 * is time to index it (inbox_settle).
 *
 * A transaction goes on over many messages: what is in it is seen by our own queries, and what a crash takes of it is in the Maildirs.
 * Nothing is synced at a commit: the index can be built anew. What SQLite finds damaged is rebuilt at the next call.
 */
#include "inbox/inbox.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/sha256.h"
#include "inbox/html.h"
#include "inbox/maildir.h"
#include "inbox/select.h"

enum {
	VERSION = 1,            /* of the tables */
	TEXT_MAX = 1024 * 1024, /* octets of a message that are searched */
	TAGS_MAX = 64,          /* of a message */
	TAG_MAX = 100,          /* octets */
	SINGLE_MAX = 200,       /* more changes than this are told as one */
	ADD_BATCH = 1000,       /* messages of a transaction while the index is built */
	BUSY_MS = 2000,
	SETTLE = 8, /* messages that one inbox_settle indexes */
};

#define TRUNCATE_BODY                \
	"DROP TABLE IF EXISTS body;" \
	"CREATE VIRTUAL TABLE body USING fts5(text, tokenize='trigram', detail=none);"

static const char schema[] =
    "CREATE TABLE message(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " read INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, attachments INTEGER NOT NULL,"
    " inline INTEGER NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL, sender TEXT NOT "
    "NULL,"
    " to_list TEXT NOT NULL, cc_list TEXT NOT NULL, bcc_list TEXT NOT NULL, reply_list TEXT NOT "
    "NULL);"
    "CREATE INDEX unread ON message(seq) WHERE read = 0;"
    "CREATE TABLE summary(seq INTEGER PRIMARY KEY, json TEXT NOT NULL);"
    "CREATE TABLE mailbox(name TEXT NOT NULL COLLATE NOCASE, seq INTEGER NOT NULL, PRIMARY "
    "KEY(seq, name)) WITHOUT ROWID;"
    "CREATE INDEX mailbox_name ON mailbox(name, seq);"
    "CREATE TABLE tag(name TEXT NOT NULL COLLATE NOCASE, seq INTEGER NOT NULL, PRIMARY KEY(seq, "
    "name)) WITHOUT ROWID;"
    "CREATE INDEX tag_name ON tag(name, seq);"
    "CREATE TABLE fresh(seq INTEGER PRIMARY KEY, text TEXT NOT NULL);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL);" TRUNCATE_BODY
    "PRAGMA user_version=1;";

enum statement {
	ADD_MESSAGE,
	ADD_SUMMARY,
	ADD_FRESH,
	GET_FRESH,
	INDEX_FRESH,
	ADD_MAILBOX,
	ADD_TAG,
	GET_TAGS,
	GET_SUMMARY,
	GET_SEQ,
	GET_NAME,
	GET_MAILBOXES,
	SET_READ,
	DELETE_MESSAGE,
	DELETE_SUMMARY,
	DELETE_FRESH,
	DELETE_BODY,
	DELETE_MAILBOXES,
	DELETE_TAGS,
	OLDEST,
	SET_META,
	STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [ADD_MESSAGE] =
	("INSERT INTO message(seq, id, name, size, attachments, inline, message_id, subject, "
	 "sender, to_list,"
	 " cc_list, bcc_list, reply_list) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)"),
    [ADD_SUMMARY] = "INSERT INTO summary(seq, json) VALUES(?1, ?2)",
    [ADD_FRESH] = "INSERT INTO fresh(seq, text) VALUES(?1, ?2)",
    [GET_FRESH] = "SELECT seq FROM fresh ORDER BY seq LIMIT ?1",
    [INDEX_FRESH] = "INSERT INTO body(rowid, text) SELECT seq, text FROM fresh WHERE seq = ?1",
    [DELETE_FRESH] = "DELETE FROM fresh WHERE seq = ?1",
    [ADD_MAILBOX] = "INSERT OR IGNORE INTO mailbox(name, seq) VALUES(?2, ?1)",
    [ADD_TAG] = "INSERT OR IGNORE INTO tag(name, seq) VALUES(?2, ?1)",
    [GET_TAGS] = "SELECT name FROM tag WHERE seq = ?1 ORDER BY name",
    [GET_SUMMARY] = ("SELECT m.seq, m.id, m.read, s.json FROM message m JOIN summary s USING(seq) "
		     "WHERE m.seq = ?1"),
    [GET_SEQ] = "SELECT seq FROM message WHERE id = ?1",
    [GET_NAME] = "SELECT name FROM message WHERE seq = ?1",
    [GET_MAILBOXES] = "SELECT name FROM mailbox WHERE seq = ?1",
    [SET_READ] = "UPDATE message SET read = ?2 WHERE seq = ?1 AND read <> ?2",
    [DELETE_MESSAGE] = "DELETE FROM message WHERE seq = ?1 RETURNING read",
    [DELETE_SUMMARY] = "DELETE FROM summary WHERE seq = ?1",
    [DELETE_BODY] = "DELETE FROM body WHERE rowid = ?1",
    [DELETE_MAILBOXES] = "DELETE FROM mailbox WHERE seq = ?1",
    [DELETE_TAGS] = "DELETE FROM tag WHERE seq = ?1",
    [OLDEST] = "SELECT seq FROM message ORDER BY seq LIMIT ?1",
    [SET_META] = "INSERT OR REPLACE INTO meta(key, value) VALUES('pruned', ?1)",
};

struct inbox {
	int root;
	char *path;
	uint64_t keep;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	bool open;        /* a transaction */
	bool damaged;     /* to be built anew */
	bool building;    /* nothing is told */
	unsigned unsaved; /* messages of the open transaction */
	uint64_t last;    /* the newest mark */
	json_t *news;     /* summaries that are not told yet */
	struct inbox_stats stats;
	inbox_changed *changed;
	void *arg;
};

/* ---- SQLite ---- */

/* What a result code is as errno; notes damage. */
static int
failed(struct inbox *i, int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		i->damaged = true;
		return -EUCLEAN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static int
script(struct inbox *i, const char *text)
{
	return failed(i, sqlite3_exec(i->db, text, NULL, NULL, NULL));
}

/* A prepared statement with `seq` as its first value. */
static sqlite3_stmt *
statement(struct inbox *i, enum statement which, uint64_t seq)
{
	sqlite3_stmt *s = i->statements[which];

	(void)sqlite3_reset(s);
	(void)sqlite3_bind_int64(s, 1, (int64_t)seq);
	return s;
}

static void
set_text(sqlite3_stmt *s, int at, const char *text)
{
	(void)sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

/* Runs one that has no rows. */
static int
run(struct inbox *i, sqlite3_stmt *s)
{
	int code = sqlite3_step(s);

	(void)sqlite3_reset(s);
	return failed(i, code);
}

static int
begin(struct inbox *i)
{
	int r = i->open ? 0 : script(i, "BEGIN IMMEDIATE");

	i->open = i->open || r == 0;
	return r;
}

static int
commit(struct inbox *i)
{
	int r = i->open ? script(i, "COMMIT") : 0;

	if (r < 0)
		(void)sqlite3_exec(i->db, "ROLLBACK", NULL, NULL, NULL);
	i->open = false;
	return r;
}

static void
count_all(struct inbox *i)
{
	sqlite3_stmt *s = NULL;
	int code = sqlite3_prepare_v2(i->db,
	    "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM message WHERE read = 0),"
	    " (SELECT max(seq) FROM message), (SELECT value FROM meta WHERE key = 'pruned')",
	    -1, &s, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
		i->stats.total = (uint64_t)sqlite3_column_int64(s, 0);
		i->stats.unread = (uint64_t)sqlite3_column_int64(s, 1);
		i->stats.pruned = (uint64_t)sqlite3_column_int64(s, 3);
		if ((uint64_t)sqlite3_column_int64(s, 2) > i->last)
			i->last = (uint64_t)sqlite3_column_int64(s, 2);
	}
	(void)failed(i, code);
	(void)sqlite3_finalize(s);
}

/* Ends a transaction: stores it where `r` is 0, else forgets it. Returns what comes of it. */
static int
end(struct inbox *i, int r)
{
	i->unsaved = 0;
	if (r == 0)
		return commit(i);
	if (i->open)
		(void)sqlite3_exec(i->db, "ROLLBACK", NULL, NULL, NULL);
	i->open = false;
	count_all(i);
	return r;
}

static void
close_database(struct inbox *i)
{
	size_t n;

	for (n = 0; n < STATEMENTS; n++) {
		(void)sqlite3_finalize(i->statements[n]);
		i->statements[n] = NULL;
	}
	(void)sqlite3_close(i->db);
	i->db = NULL;
	i->open = false;
}

static int
open_database(struct inbox *i)
{
	sqlite3_stmt *s = NULL;
	size_t n;
	int code, version = 0, r;

	code = sqlite3_open_v2(i->path, &i->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return failed(i, code);
	(void)sqlite3_busy_timeout(i->db, BUSY_MS);
	(void)sqlite3_db_config(i->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	r = script(i,
	    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
	    " PRAGMA cache_size=-65536; PRAGMA mmap_size=1073741824; PRAGMA temp_store=MEMORY");
	if (r == 0)
		r = failed(i, sqlite3_prepare_v2(i->db, "PRAGMA user_version", -1, &s, NULL));
	if (r == 0 && sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	if (r == 0 && version != 0 && version != VERSION) {
		i->damaged = true;
		r = -EUCLEAN;
	}
	if (r == 0 && version == 0)
		r = script(i, schema);
	for (n = 0; n < STATEMENTS && r == 0; n++)
		r = failed(i, sqlite3_prepare_v3(i->db, sql[n], -1, SQLITE_PREPARE_PERSISTENT,
				  &i->statements[n], NULL));
	if (r == -EIO) /* tables that are not ours */
		i->damaged = true;
	return r;
}

static int
remove_database(struct inbox *i)
{
	static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(tails); n++) {
		char *path CLEANUP_FREE = NULL;

		if (asprintf(&path, "%s%s", i->path, tails[n]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* ---- adding ---- */

static void
id_of(const char *name, char ret[INBOX_ID_SIZE])
{
	uint8_t digest[SHA256_LEN];
	size_t n;

	sha256(name, strlen(name), digest);
	for (n = 0; n < (INBOX_ID_SIZE - 1) / 2; n++)
		(void)snprintf(ret + 2 * n, 3, "%02x", digest[n]);
}

static uint64_t
now_micros(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
next_mark(struct inbox *i, uint64_t wanted)
{
	i->last = wanted > i->last ? wanted : i->last + 1;
	return i->last;
}

uint64_t
inbox_mark(struct inbox *i)
{
	(void)inbox_flush(i);
	return next_mark(i, now_micros());
}

static bool
has_address(const json_t *list, const char *address)
{
	const json_t *a;
	size_t n;

	json_array_foreach(list, n, a)
	{
		const char *there = json_string_value(json_object_get(a, "Address"));

		if (there != NULL && strcasecmp(there, address) == 0)
			return true;
	}
	return false;
}

/* Recipients that no field names were meant by Bcc; so Mailpit shows them. */
static void
add_hidden(json_t *summary, const struct inbox_arrival *a)
{
	json_t *bcc = json_object_get(summary, "Bcc");
	size_t n;

	for (n = 0; n < a->recipient_count && json_array_size(bcc) < INBOX_ADDRESSES_MAX; n++) {
		const char *address = a->recipients[n];

		if (!has_address(json_object_get(summary, "To"), address) &&
		    !has_address(json_object_get(summary, "Cc"), address) &&
		    !has_address(bcc, address))
			(void)json_array_append_new(
			    bcc, json_pack("{s:s, s:s}", "Name", "", "Address", address));
	}
}

/* Names and addresses of a summary's field, as they are searched. */
static char *
searchable(const json_t *value, struct buf *all)
{
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	const json_t *a;
	size_t n;

	if (json_is_array(value)) {
		json_array_foreach(value, n, a)(void)
		    buf_printf(&text, "%s <%s>, ", json_string_value(json_object_get(a, "Name")),
			json_string_value(json_object_get(a, "Address")));
	} else if (json_is_object(value)) {
		(void)buf_printf(&text, "%s <%s>",
		    json_string_value(json_object_get(value, "Name")),
		    json_string_value(json_object_get(value, "Address")));
	} else {
		(void)buf_append_str(&text, json_string_value(value));
	}
	if (all != NULL)
		(void)buf_printf(all, "%s ", buf_str(&text));
	return inbox_query_clean(buf_str(&text), text.len);
}

/* What a search looks at, in the order of the table's columns. */
static const char *const columns[] = {"MessageID", "Subject", "From", "To", "Cc", "Bcc", "ReplyTo"};

static int
store_row(struct inbox *i, uint64_t seq, const char *id, const char *name, const json_t *summary,
    struct buf *all)
{
	sqlite3_stmt *s = statement(i, ADD_MESSAGE, seq);
	size_t n;

	set_text(s, 2, id);
	set_text(s, 3, name);
	(void)sqlite3_bind_int64(s, 4, json_integer_value(json_object_get(summary, "Size")));
	(void)sqlite3_bind_int64(s, 5, json_integer_value(json_object_get(summary, "Attachments")));
	(void)sqlite3_bind_int64(s, 6, json_integer_value(json_object_get(summary, "Inline")));
	for (n = 0; n < ARRAY_SIZE(columns); n++) {
		char *text CLEANUP_FREE =
		    searchable(json_object_get(summary, columns[n]), n == 0 ? NULL : all);

		if (text == NULL)
			return -ENOMEM;
		set_text(s, 7 + (int)n, text);
	}
	return run(i, s);
}

static int
store_text(struct inbox *i, uint64_t seq, const struct inbox_message *m, struct buf *all)
{
	const char *text = inbox_message_text(m), *html = inbox_message_html(m);
	size_t len = strlen(text), room, n;
	struct inbox_part part;
	char *clean CLEANUP_FREE = NULL;
	sqlite3_stmt *s;

	for (n = 0; inbox_message_part(m, n, &part); n++)
		if (part.attachment && all->len + strlen(part.name) < TEXT_MAX)
			(void)buf_printf(all, "%s ", part.name);
	room = all->max - all->len;
	(void)buf_append(all, text, len < room ? len : room);
	(void)buf_append_char(all, ' ');
	(void)html_to_text(all, html, strlen(html)); /* as much as has room */
	clean = inbox_query_clean(buf_str(all), all->len);
	if (clean == NULL)
		return -ENOMEM;
	s = statement(i, ADD_FRESH, seq);
	set_text(s, 2, clean);
	return run(i, s);
}

static bool
tag_is_valid(const char *tag, size_t len)
{
	size_t n;

	if (len == 0 || len > TAG_MAX)
		return false;
	for (n = 0; n < len; n++)
		if ((unsigned char)tag[n] < 0x20 || strchr("<>\",;", tag[n]) != NULL)
			return false;
	return true;
}

static int
add_tag(struct inbox *i, uint64_t seq, const char *tag, size_t len)
{
	sqlite3_stmt *s;

	while (len > 0 && *tag == ' ') {
		tag++;
		len--;
	}
	while (len > 0 && tag[len - 1] == ' ')
		len--;
	if (!tag_is_valid(tag, len))
		return 0;
	s = statement(i, ADD_TAG, seq);
	(void)sqlite3_bind_text(s, 2, tag, (int)len, SQLITE_TRANSIENT);
	return run(i, s);
}

/* Tags that a message brings: X-Tags, and what is behind a plus in an address. */
static int
store_tags(struct inbox *i, uint64_t seq, const struct inbox_message *m, const json_t *summary)
{
	static const char *const fields[] = {"To", "Cc", "Bcc"};
	json_t *headers = inbox_message_headers(m);
	const json_t *a;
	size_t n, k, count = 0;
	const char *list = json_string_value(json_array_get(json_object_get(headers, "X-Tags"), 0));
	int r = 0;

	for (; r == 0 && list != NULL && *list != '\0' && count < TAGS_MAX; count++) {
		size_t len = strcspn(list, ",");

		r = add_tag(i, seq, list, len);
		list += len + strspn(list + len, ",");
	}
	json_decref(headers);
	for (n = 0; n < ARRAY_SIZE(fields); n++)
		json_array_foreach(json_object_get(summary, fields[n]), k, a)
		{
			const char *address = json_string_value(json_object_get(a, "Address"));
			const char *plus = strchr(address, '+'), *at = strrchr(address, '@');

			if (r == 0 && plus != NULL && at != NULL && plus < at && count++ < TAGS_MAX)
				r = add_tag(i, seq, plus + 1, (size_t)(at - plus - 1));
		}
	return r;
}

/* The names that a statement lists for a message. */
static json_t *
names_of(struct inbox *i, enum statement which, uint64_t seq)
{
	sqlite3_stmt *s = statement(i, which, seq);
	json_t *names = json_array();
	int code;

	while ((code = sqlite3_step(s)) == SQLITE_ROW)
		(void)json_array_append_new(
		    names, json_string((const char *)sqlite3_column_text(s, 0)));
	(void)failed(i, code);
	(void)sqlite3_reset(s);
	return names;
}

/* Adds to a stored summary what changes, or is not the message's own. */
static json_t *
complete(struct inbox *i, json_t *summary, uint64_t seq, const char *id, bool read)
{
	time_t seconds = (time_t)(seq / 1000000);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)json_object_set_new(summary, "ID", json_string(id));
	(void)json_object_set_new(summary, "Read", json_boolean(read));
	(void)json_object_set_new(
	    summary, "Created", json_sprintf("%s.%03uZ", text, (unsigned)(seq / 1000 % 1000)));
	(void)json_object_set_new(summary, "Tags", names_of(i, GET_TAGS, seq));
	return summary;
}

static int
store_summary(struct inbox *i, uint64_t seq, const json_t *summary)
{
	char *text = json_dumps(summary, JSON_COMPACT);
	sqlite3_stmt *s = statement(i, ADD_SUMMARY, seq);
	int r = -ENOMEM;

	if (text != NULL) {
		set_text(s, 2, text);
		r = run(i, s);
	}
	free(text);
	return r;
}

static int
store_mailboxes(struct inbox *i, uint64_t seq, const struct inbox_arrival *a)
{
	size_t n;
	int r = 0;

	for (n = 0; n < a->recipient_count && r == 0; n++) {
		char folder[MAILDIR_FOLDER_SIZE];
		sqlite3_stmt *s = statement(i, ADD_MAILBOX, seq);

		maildir_folder(a->recipients[n], folder);
		set_text(s, 2, folder);
		r = run(i, s);
	}
	return r;
}

/* Everything of one message, at the mark `seq`. */
static int
store(struct inbox *i, uint64_t seq, const char *id, const struct inbox_arrival *a,
    const struct inbox_message *m, json_t *summary)
{
	struct buf all CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	int r;

	add_hidden(summary, a);
	(void)json_object_set_new(
	    summary, "Username", json_string(a->account == NULL ? "" : a->account));
	r = store_row(i, seq, id, a->name, summary, &all);
	if (r == 0)
		r = store_summary(i, seq, summary);
	if (r == 0)
		r = store_text(i, seq, m, &all);
	if (r == 0)
		r = store_mailboxes(i, seq, a);
	if (r == 0)
		r = store_tags(i, seq, m, summary);
	return r;
}

/* Removes a message's rows. */
static int
remove_rows(struct inbox *i, uint64_t seq)
{
	static const enum statement parts[] = {
	    DELETE_SUMMARY, DELETE_FRESH, DELETE_BODY, DELETE_MAILBOXES, DELETE_TAGS};
	sqlite3_stmt *s = statement(i, DELETE_MESSAGE, seq);
	bool found, unread;
	size_t n;
	int code = sqlite3_step(s), r = failed(i, code);

	found = code == SQLITE_ROW;
	unread = found && sqlite3_column_int(s, 0) == 0;
	(void)sqlite3_reset(s);
	for (n = 0; n < ARRAY_SIZE(parts) && r == 0; n++)
		r = run(i, statement(i, parts[n], seq));
	if (r == 0 && found) {
		i->stats.total--;
		i->stats.unread -= unread;
		i->stats.deleted++;
	}
	return r;
}

static struct inbox_message *
read_from(struct inbox *i, const char *folder, const char *name, int *ret_error)
{
	int fd CLEANUP_CLOSE = maildir_open(i->root, folder, name);

	*ret_error = fd;
	return fd < 0 ? NULL : inbox_message_read(fd, ret_error);
}

static int
add_at(struct inbox *i, uint64_t seq, const struct inbox_arrival *a, const char *folder)
{
	struct inbox_message *m;
	json_t *summary;
	char id[INBOX_ID_SIZE];
	int r;

	m = read_from(i, folder, a->name, &r);
	if (m == NULL)
		return r;
	id_of(a->name, id);
	summary = inbox_message_summary(m);
	r = summary == NULL ? -ENOMEM : begin(i);
	if (r == 0) {
		r = store(i, seq, id, a, m, summary);
		if (r <
		    0) /* no savepoint: at each the full-text table would write out what it has gathered */
			(void)remove_rows(i, seq);
	}
	if (r == 0) {
		size_t len;

		i->unsaved++;
		(void)inbox_message_raw(m, &len);
		i->stats.total++;
		i->stats.unread++;
		i->stats.accepted++;
		i->stats.accepted_octets += len;
		if (!i->building)
			(void)json_array_append_new(
			    i->news, complete(i, json_incref(summary), seq, id, false));
	}
	json_decref(summary);
	(void)inbox_message_free(m);
	return r;
}

int
inbox_add(struct inbox *i, const struct inbox_arrival *a, char ret_id[INBOX_ID_SIZE])
{
	char folder[MAILDIR_FOLDER_SIZE];

	if (a->recipient_count == 0)
		return -EINVAL;
	if (ret_id != NULL)
		id_of(a->name, ret_id);
	maildir_folder(a->recipients[0], folder);
	return add_at(i, next_mark(i, now_micros()), a, folder);
}

/* ---- removing ---- */

/* Removes the files of a message; those of a mailbox that cannot be written stay. */
static void
remove_files(struct inbox *i, uint64_t seq)
{
	sqlite3_stmt *s = statement(i, GET_NAME, seq), *boxes;
	char *name CLEANUP_FREE = NULL;

	if (sqlite3_step(s) == SQLITE_ROW)
		name = strdup((const char *)sqlite3_column_text(s, 0));
	(void)sqlite3_reset(s);
	if (name == NULL)
		return;
	boxes = statement(i, GET_MAILBOXES, seq);
	while (sqlite3_step(boxes) == SQLITE_ROW)
		(void)maildir_remove(i->root, (const char *)sqlite3_column_text(boxes, 0), name);
	(void)sqlite3_reset(boxes);
	(void)maildir_note_remove(i->root, name);
}

/* Removes the oldest messages beyond `keep`. True: there were some. */
static bool
prune(struct inbox *i)
{
	uint64_t *oldest, count = 0, n;
	sqlite3_stmt *s;

	if (i->keep == 0 || i->stats.total <= i->keep || begin(i) < 0)
		return false;
	count = i->stats.total - i->keep;
	oldest = calloc(count, sizeof(*oldest));
	if (oldest == NULL)
		return false;
	s = statement(i, OLDEST, count);
	for (n = 0; n < count && sqlite3_step(s) == SQLITE_ROW; n++)
		oldest[n] = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	for (count = n, n = 0; n < count; n++) {
		remove_files(i, oldest[n]);
		if (remove_rows(i, oldest[n]) < 0)
			break;
		i->stats.pruned = oldest[n];
	}
	(void)run(i, statement(i, SET_META, i->stats.pruned));
	free(oldest);
	return n > 0;
}

/* ---- opening: the index follows the Maildirs ---- */

/* A message that was found in a Maildir. */
struct file_found {
	GPtrArray *folders; /* strings */
	bool known;         /* the index has it */
};

static void
found_free(gpointer p)
{
	struct file_found *f = p;

	(void)g_ptr_array_free(f->folders, TRUE);
	g_free(f);
}

static int
note_found(void *arg, const char *folder, const char *name)
{
	GHashTable *all = arg;
	struct file_found *f = g_hash_table_lookup(all, name);

	if (f == NULL) {
		f = g_new0(struct file_found, 1);
		f->folders = g_ptr_array_new_with_free_func(g_free);
		(void)g_hash_table_insert(all, g_strdup(name), f);
	}
	g_ptr_array_add(f->folders, g_strdup(folder));
	return 0;
}

/* Marks what the index has, and lists the rows without a file in `gone`. */
static int
compare(struct inbox *i, GHashTable *all, GArray *gone)
{
	sqlite3_stmt *s = NULL;
	int code = sqlite3_prepare_v2(i->db, "SELECT seq, name FROM message", -1, &s, NULL);

	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(s);
		if (code == SQLITE_ROW) {
			struct file_found *f =
			    g_hash_table_lookup(all, (const char *)sqlite3_column_text(s, 1));
			uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);

			if (f != NULL)
				f->known = true;
			else
				g_array_append_val(gone, seq);
		}
	}
	(void)sqlite3_finalize(s);
	return failed(i, code);
}

static gint
by_time(gconstpointer a, gconstpointer b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	uint64_t s = maildir_time(x), t = maildir_time(y);

	return s < t ? -1 : s > t ? 1 : strcmp(x, y);
}

/* Who had signed in, as the message's note says; NULL: it does not. The caller frees it. */
static char *
account_of(struct inbox *i, const char *name)
{
	struct buf note CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	json_t *json;
	char *account = NULL;
	const char *text;

	if (maildir_note_read(i->root, name, &note) < 0)
		return NULL;
	json = json_loadb(buf_str(&note), note.len, 0, NULL);
	text = json_string_value(json_object_get(json_object_get(json, "auth"), "account"));
	if (text != NULL)
		account = strdup(text);
	json_decref(json);
	return account;
}

/* Adds one that the index lacks. A file that cannot be read is left out. */
static int
add_found(struct inbox *i, const char *name, const struct file_found *f)
{
	char *account CLEANUP_FREE = account_of(i, name);
	const char *folder = g_ptr_array_index(f->folders, 0);
	struct inbox_arrival a = {.name = name,
	    .recipients = (const char *const *)f->folders->pdata,
	    .recipient_count = f->folders->len,
	    .account = account};
	uint64_t time = maildir_time(name);
	int r = add_at(i, next_mark(i, time == 0 ? now_micros() : time), &a, folder);

	return i->damaged || r == -ENOSPC || r == -ENOMEM ? r : 0;
}

static int
add_missing(struct inbox *i, GHashTable *all)
{
	GPtrArray *names = g_ptr_array_new();
	GHashTableIter iter;
	gpointer name, value;
	guint n;
	int r = 0;

	g_hash_table_iter_init(&iter, all);
	while (g_hash_table_iter_next(&iter, &name, &value))
		if (!((struct file_found *)value)->known)
			g_ptr_array_add(names, name);
	g_ptr_array_sort(names, by_time);
	i->building = true;
	for (n = 0; n < names->len && r == 0; n++) {
		name = g_ptr_array_index(names, n);
		r = add_found(i, name, g_hash_table_lookup(all, name));
		if (r == 0 && n % ADD_BATCH == ADD_BATCH - 1)
			r = commit(i);
	}
	i->building = false;
	(void)g_ptr_array_free(names, TRUE);
	return r;
}

static int
follow_maildirs(struct inbox *i)
{
	GHashTable *all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, found_free);
	GArray *gone = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	guint n;
	int r = maildir_scan(i->root, note_found, all);

	if (r == 0)
		r = compare(i, all, gone);
	if (r == 0 && gone->len > 0)
		r = begin(i);
	for (n = 0; n < gone->len && r == 0; n++)
		r = remove_rows(i, g_array_index(gone, uint64_t, n));
	if (r == 0)
		r = add_missing(i, all);
	(void)g_array_free(gone, TRUE);
	g_hash_table_destroy(all);
	if (r == 0 && i->keep > 0 && i->stats.total > i->keep && (r = begin(i)) == 0)
		(void)prune(i);
	return r == 0 ? commit(i) : r;
}

/* Opens the index and brings it up to date; what is damaged goes first. */
static int
bring_up(struct inbox *i)
{
	int r = open_database(i);

	if (r == 0) {
		count_all(i);
		r = i->damaged ? -EUCLEAN : follow_maildirs(i);
	}
	if (r < 0 && i->damaged) {
		i->damaged = false;
		close_database(i);
		r = remove_database(i);
		if (r == 0)
			r = open_database(i);
		count_all(i);
		if (r == 0)
			r = follow_maildirs(i);
	}
	return r;
}

/* Builds anew what an earlier call found damaged. */
static void
repair(struct inbox *i)
{
	if (!i->damaged)
		return;
	close_database(i);
	(void)bring_up(i);
	if (i->changed != NULL)
		i->changed(i->arg, INBOX_PRUNE, NULL);
}

struct inbox *
inbox_open(int root, const char *path, uint64_t keep, int *ret_error)
{
	struct inbox *i = calloc(1, sizeof(*i));

	*ret_error = -ENOMEM;
	if (i == NULL)
		return NULL;
	i->root = root;
	i->keep = keep;
	i->path = strdup(path);
	i->news = json_array();
	if (i->path != NULL && i->news != NULL)
		*ret_error = bring_up(i);
	if (*ret_error < 0)
		return inbox_close(i);
	i->stats.accepted = i->stats.accepted_octets = i->stats.deleted = 0;
	return i;
}

struct inbox *
inbox_close(struct inbox *i)
{
	if (i == NULL)
		return NULL;
	if (i->db != NULL) {
		(void)inbox_flush(i);
		(void)inbox_sync(i);
	}
	close_database(i);
	json_decref(i->news);
	free(i->path);
	free(i);
	return NULL;
}

void
inbox_listen(struct inbox *i, inbox_changed *changed, void *arg)
{
	i->changed = changed;
	i->arg = arg;
}

static void
tell(struct inbox *i, enum inbox_change change, json_t *value)
{
	if (i->changed != NULL)
		i->changed(i->arg, change, value);
	json_decref(value);
}

int
inbox_sync(struct inbox *i)
{
	int r = commit(i);

	i->unsaved = 0;
	if (r < 0) /* the messages are in their Maildirs: the index is built anew */
		i->damaged = true;
	return r;
}

bool
inbox_settle(struct inbox *i)
{
	sqlite3_stmt *s = statement(i, GET_FRESH, SETTLE);
	uint64_t fresh[SETTLE];
	size_t count = 0, n;
	int r = 0;

	while (count < SETTLE && sqlite3_step(s) == SQLITE_ROW)
		fresh[count++] = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	if (count > 0)
		r = begin(i);
	for (n = 0; n < count && r == 0; n++) {
		r = run(i, statement(i, INDEX_FRESH, fresh[n]));
		if (r == 0)
			r = run(i, statement(i, DELETE_FRESH, fresh[n]));
	}
	i->unsaved += (unsigned)n;
	if (r == 0 && i->unsaved >= ADD_BATCH)
		r = inbox_sync(i);
	return r == 0 && count == SETTLE;
}

int
inbox_flush(struct inbox *i)
{
	json_t *news = i->news, *value;
	bool pruned;
	size_t n;

	repair(i);
	/* a commit may have come in between: what is told does not depend on it */
	pruned = prune(i);
	if (i->unsaved >= ADD_BATCH) {
		int r = inbox_sync(i);

		if (r < 0)
			return r;
	}
	if (json_array_size(news) > 0) {
		i->news = json_array();
		json_array_foreach(news, n, value) tell(i, INBOX_NEW, json_incref(value));
		json_decref(news);
	}
	if (pruned)
		tell(i, INBOX_PRUNE, NULL);
	return i->news == NULL ? -ENOMEM : 0;
}

/* ---- looking ---- */

void
inbox_stats(struct inbox *i, struct inbox_stats *ret)
{
	sqlite3_stmt *s = NULL;

	(void)inbox_flush(i);
	*ret = i->stats;
	if (sqlite3_prepare_v2(i->db,
		"SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", -1, &s,
		NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		ret->database_octets = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
}

/* The row of GET_SUMMARY, or of a list: mark, ID, read, JSON. */
static json_t *
row_summary(struct inbox *i, sqlite3_stmt *s)
{
	json_t *summary = json_loads((const char *)sqlite3_column_text(s, 3), 0, NULL);

	if (summary == NULL)
		return NULL;
	return complete(i, summary, (uint64_t)sqlite3_column_int64(s, 0),
	    (const char *)sqlite3_column_text(s, 1), sqlite3_column_int(s, 2) != 0);
}

/* Is it every message? Then the counts are known. */
static bool
is_everything(const struct inbox_selection *s)
{
	return (s->query == NULL || s->query->count == 0) && s->after == 0 && s->before == 0;
}

static int
count_selected(
    struct inbox *i, const struct inbox_selection *s, uint64_t *ret_total, uint64_t *ret_unread)
{
	sqlite3_stmt *stmt;
	int code;

	if (ret_total == NULL && ret_unread == NULL)
		return 0;
	if (is_everything(s)) {
		*ret_total = i->stats.total;
		*ret_unread = i->stats.unread;
		return 0;
	}
	stmt = select_prepare(i->db,
	    "SELECT count(*), count(*) FILTER (WHERE m.read = 0) FROM message m", s, "", &code);
	if (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		*ret_total = (uint64_t)sqlite3_column_int64(stmt, 0);
		*ret_unread = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	(void)sqlite3_finalize(stmt);
	return failed(i, code);
}

json_t *
inbox_list(struct inbox *i, const struct inbox_selection *s, uint64_t start, uint64_t limit,
    uint64_t *ret_total, uint64_t *ret_unread)
{
	json_t *list = json_array();
	sqlite3_stmt *stmt = NULL;
	char tail[96];
	int code = SQLITE_OK, r = inbox_flush(i);

	if (r == 0)
		r = count_selected(i, s, ret_total, ret_unread);
	(void)snprintf(tail, sizeof(tail), "ORDER BY m.seq DESC LIMIT %" PRId64 " OFFSET %" PRId64,
	    (int64_t)(limit & INT64_MAX), (int64_t)(start & INT64_MAX));
	if (r == 0)
		stmt = select_prepare(i->db,
		    "SELECT m.seq, m.id, m.read, s.json FROM message m JOIN summary s USING(seq)",
		    s, tail, &code);
	while (stmt != NULL && list != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		json_t *summary = row_summary(i, stmt);

		if (summary != NULL && json_array_append_new(list, summary) < 0)
			break;
	}
	(void)sqlite3_finalize(stmt);
	if (r == 0)
		r = failed(i, code);
	if (r == 0)
		return list;
	json_decref(list);
	return NULL;
}

/* The key of a message; 0: there is none. */
static uint64_t
seq_of(struct inbox *i, const char *id)
{
	sqlite3_stmt *s = statement(i, GET_SEQ, 0);
	uint64_t seq = 0;
	int code;

	set_text(s, 1, id);
	code = sqlite3_step(s);
	if (code == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	(void)failed(i, code);
	(void)sqlite3_reset(s);
	return seq;
}

uint64_t
inbox_mark_of(struct inbox *i, const char *id)
{
	(void)inbox_flush(i);
	return seq_of(i, id);
}

json_t *
inbox_summary(struct inbox *i, const char *id)
{
	uint64_t seq = inbox_mark_of(i, id);
	sqlite3_stmt *s;
	json_t *summary = NULL;
	int code;

	if (seq == 0)
		return NULL;
	s = statement(i, GET_SUMMARY, seq);
	code = sqlite3_step(s);
	if (code == SQLITE_ROW)
		summary = row_summary(i, s);
	(void)failed(i, code);
	(void)sqlite3_reset(s);
	return summary;
}

bool
inbox_latest(struct inbox *i, const struct inbox_selection *s, char ret_id[INBOX_ID_SIZE])
{
	json_t *list = inbox_list(i, s, 0, 1, NULL, NULL);
	const char *id = json_string_value(json_object_get(json_array_get(list, 0), "ID"));
	bool found = id != NULL;

	if (found)
		(void)snprintf(ret_id, INBOX_ID_SIZE, "%s", id);
	json_decref(list);
	return found;
}

/* The file of a message, where a mailbox still has it. Negative errno. */
static int
open_file(struct inbox *i, const char *id)
{
	uint64_t seq = inbox_mark_of(i, id);
	sqlite3_stmt *s = statement(i, GET_NAME, seq);
	char *name CLEANUP_FREE = NULL;
	int fd = -ENOENT;

	if (seq != 0 && sqlite3_step(s) == SQLITE_ROW)
		name = strdup((const char *)sqlite3_column_text(s, 0));
	(void)sqlite3_reset(s);
	if (name == NULL)
		return -ENOENT;
	s = statement(i, GET_MAILBOXES, seq);
	while (fd < 0 && sqlite3_step(s) == SQLITE_ROW)
		fd = maildir_open(i->root, (const char *)sqlite3_column_text(s, 0), name);
	(void)sqlite3_reset(s);
	return fd;
}

struct inbox_message *
inbox_read(struct inbox *i, const char *id, int *ret_error)
{
	int fd CLEANUP_CLOSE = open_file(i, id);

	*ret_error = fd;
	return fd < 0 ? NULL : inbox_message_read(fd, ret_error);
}

int
inbox_session(struct inbox *i, const char *id, struct buf *ret)
{
	uint64_t seq = inbox_mark_of(i, id);
	sqlite3_stmt *s = statement(i, GET_NAME, seq);
	int r = -ENOENT;

	if (seq != 0 && sqlite3_step(s) == SQLITE_ROW)
		r = maildir_note_read(i->root, (const char *)sqlite3_column_text(s, 0), ret);
	(void)sqlite3_reset(s);
	return r;
}

/* ---- changing ---- */

int
inbox_set_read(struct inbox *i, const char *id, bool read)
{
	uint64_t seq = inbox_mark_of(i, id);
	sqlite3_stmt *s;
	int r;

	if (seq == 0)
		return 0;
	s = statement(i, SET_READ, seq);
	(void)sqlite3_bind_int(s, 2, read);
	r = run(i, s);
	if (r == 0 && sqlite3_changes(i->db) > 0) {
		i->stats.unread = read ? i->stats.unread - 1 : i->stats.unread + 1;
		tell(i, INBOX_UPDATE, json_pack("{s:s, s:b}", "ID", id, "Read", (int)read));
	}
	return r;
}

int
inbox_set_tags(struct inbox *i, const char *id, const json_t *tags)
{
	uint64_t seq = inbox_mark_of(i, id);
	const json_t *tag;
	size_t n;
	int r;

	json_array_foreach(tags, n,
	    tag) if (n >= TAGS_MAX || !json_is_string(tag) ||
		     !tag_is_valid(json_string_value(tag), json_string_length(tag))) return -EINVAL;
	if (seq == 0)
		return 0;
	r = begin(i);
	if (r == 0)
		r = run(i, statement(i, DELETE_TAGS, seq));
	json_array_foreach(tags, n, tag) if (r == 0) r =
	    add_tag(i, seq, json_string_value(tag), json_string_length(tag));
	r = end(i, r);
	if (r == 0)
		tell(i, INBOX_UPDATE,
		    json_pack("{s:s, s:o}", "ID", id, "Tags", names_of(i, GET_TAGS, seq)));
	return r;
}

/* The keys and IDs of all that are selected. */
struct chosen {
	uint64_t seq;
	char id[INBOX_ID_SIZE];
};

static GArray *
choose(struct inbox *i, const struct inbox_selection *s, int *ret_error)
{
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct chosen));
	int code;
	sqlite3_stmt *stmt;

	stmt = select_prepare(i->db, "SELECT m.seq, m.id FROM message m", s, "", &code);

	while (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct chosen c = {.seq = (uint64_t)sqlite3_column_int64(stmt, 0)};

		(void)snprintf(
		    c.id, sizeof(c.id), "%s", (const char *)sqlite3_column_text(stmt, 1));
		g_array_append_val(all, c);
	}
	(void)sqlite3_finalize(stmt);
	*ret_error = failed(i, code);
	return all;
}

static void
tell_deleted(struct inbox *i, const GArray *all)
{
	guint n;

	if (all->len > SINGLE_MAX)
		tell(i, INBOX_PRUNE, NULL);
	for (n = 0; n < all->len && all->len <= SINGLE_MAX; n++)
		tell(i, INBOX_DELETE,
		    json_pack("{s:s}", "ID", g_array_index(all, struct chosen, n).id));
}

/* Removes the chosen; the array is released. */
static int
remove_chosen(struct inbox *i, GArray *all)
{
	guint n;
	int r = all->len == 0 ? 0 : begin(i);

	for (n = 0; n < all->len && r == 0; n++) {
		remove_files(i, g_array_index(all, struct chosen, n).seq);
		r = remove_rows(i, g_array_index(all, struct chosen, n).seq);
	}
	r = end(i, r);
	if (r == 0)
		tell_deleted(i, all);
	(void)g_array_free(all, TRUE);
	return r;
}

int
inbox_delete(struct inbox *i, const char *id)
{
	struct chosen c = {.seq = inbox_mark_of(i, id)};
	GArray *one;

	if (c.seq == 0)
		return 0;
	(void)snprintf(c.id, sizeof(c.id), "%s", id);
	one = g_array_new(FALSE, FALSE, sizeof(struct chosen));
	g_array_append_val(one, c);
	return remove_chosen(i, one);
}

/* Everything: the tables are emptied as wholes. */
static int
empty(struct inbox *i, GArray *all)
{
	guint n;
	int r;

	for (n = 0; n < all->len; n++)
		remove_files(i, g_array_index(all, struct chosen, n).seq);
	r = begin(i);
	if (r == 0)
		r = script(i, "DELETE FROM message; DELETE FROM summary; DELETE FROM mailbox; "
			      "DELETE FROM tag; DELETE FROM fresh;");
	(void)sqlite3_finalize(i->statements[INDEX_FRESH]);
	(void)sqlite3_finalize(i->statements[DELETE_BODY]);
	i->statements[INDEX_FRESH] = i->statements[DELETE_BODY] = NULL;
	if (r == 0)
		r = script(i, TRUNCATE_BODY);
	r = end(i, r);
	if (r == 0)
		r = failed(i, sqlite3_prepare_v3(i->db, sql[INDEX_FRESH], -1,
				  SQLITE_PREPARE_PERSISTENT, &i->statements[INDEX_FRESH], NULL));
	if (r == 0)
		r = failed(i, sqlite3_prepare_v3(i->db, sql[DELETE_BODY], -1,
				  SQLITE_PREPARE_PERSISTENT, &i->statements[DELETE_BODY], NULL));
	if (r < 0) {
		i->damaged = true;
		return r;
	}
	i->stats.deleted += all->len;
	i->stats.total = i->stats.unread = 0;
	tell(i, INBOX_TRUNCATE, NULL);
	return 0;
}

int
inbox_delete_all(struct inbox *i, const struct inbox_selection *s)
{
	GArray *all;
	int r = inbox_flush(i);

	if (r < 0)
		return r;
	all = choose(i, s, &r);
	if (r == 0 && is_everything(s)) {
		r = empty(i, all);
		(void)g_array_free(all, TRUE);
		return r;
	}
	if (r == 0)
		return remove_chosen(i, all);
	(void)g_array_free(all, TRUE);
	return r;
}

int
inbox_set_read_all(struct inbox *i, const struct inbox_selection *s, bool read)
{
	GArray *all;
	guint n;
	uint64_t changed = 0;
	int r = inbox_flush(i);

	if (r < 0)
		return r;
	all = choose(i, s, &r);
	if (r == 0)
		r = begin(i);
	for (n = 0; n < all->len && r == 0; n++) {
		sqlite3_stmt *stmt =
		    statement(i, SET_READ, g_array_index(all, struct chosen, n).seq);

		(void)sqlite3_bind_int(stmt, 2, read);
		r = run(i, stmt);
		changed += (uint64_t)sqlite3_changes(i->db);
	}
	r = end(i, r);
	if (r == 0)
		i->stats.unread = read ? i->stats.unread - changed : i->stats.unread + changed;
	if (r == 0 && changed > 0 && all->len > SINGLE_MAX)
		tell(i, INBOX_PRUNE, NULL);
	for (n = 0; r == 0 && n < all->len && all->len <= SINGLE_MAX; n++)
		tell(i, INBOX_UPDATE,
		    json_pack("{s:s, s:b}", "ID", g_array_index(all, struct chosen, n).id, "Read",
			(int)read));
	(void)g_array_free(all, TRUE);
	return r;
}

static json_t *
counts(struct inbox *i, const char *query)
{
	sqlite3_stmt *s = NULL;
	json_t *all = json_object();
	int code;

	(void)inbox_flush(i);
	code = sqlite3_prepare_v2(i->db, query, -1, &s, NULL);
	while (code == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		(void)json_object_set_new(all, (const char *)sqlite3_column_text(s, 0),
		    json_integer(sqlite3_column_int64(s, 1)));
	(void)sqlite3_finalize(s);
	return all;
}

json_t *
inbox_tags(struct inbox *i)
{
	return counts(i, "SELECT name, count(*) FROM tag GROUP BY name ORDER BY name");
}

json_t *
inbox_mailboxes(struct inbox *i)
{
	return counts(i, "SELECT name, count(*) FROM mailbox GROUP BY name ORDER BY name");
}

json_t *
inbox_mailboxes_of(struct inbox *i, const char *id)
{
	return names_of(i, GET_MAILBOXES, inbox_mark_of(i, id));
}

int
inbox_rename_tag(struct inbox *i, const char *from, const char *to)
{
	sqlite3_stmt *s = NULL;
	int r = inbox_flush(i);

	if (to != NULL && !tag_is_valid(to, strlen(to)))
		return -EINVAL;
	if (r == 0)
		r = begin(i);
	if (r == 0 && to != NULL) {
		r = failed(i, sqlite3_prepare_v2(i->db,
				  "INSERT OR REPLACE INTO tag(name, seq) SELECT ?2, seq FROM tag "
				  "WHERE name = ?1",
				  -1, &s, NULL));
		if (r == 0) {
			set_text(s, 1, from);
			set_text(s, 2, to);
			r = run(i, s);
		}
		(void)sqlite3_finalize(s);
		s = NULL;
	}
	if (r == 0 && (to == NULL || strcasecmp(from, to) != 0)) {
		r = failed(
		    i, sqlite3_prepare_v2(i->db, "DELETE FROM tag WHERE name = ?1", -1, &s, NULL));
		if (r == 0) {
			set_text(s, 1, from);
			r = run(i, s);
		}
		(void)sqlite3_finalize(s);
	}
	r = end(i, r);
	if (r == 0)
		tell(i, INBOX_PRUNE, NULL);
	return r;
}

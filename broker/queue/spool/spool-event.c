/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-event.c: the part of spool.h about what people are told: events, what was told of accounts
 * (notices), and to whom an event still has to go (the outbox).
 */
#include <errno.h>

#include "broker/queue/spool/spool-internal.h"
#include "broker/queue/spool/spool.h"

int
spool_tell(struct spool *s, const struct spool_event *e)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_TELL,
	    "INSERT INTO event (id, at, kind, message, account, text, next, told)"
	    " VALUES (?1,?2,?3,?4,?5,?6,?7,1)");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)e->id);
		(void)sqlite3_bind_int64(st, 2, e->at);
		(void)sqlite3_bind_text(st, 3, e->kind, -1, SQLITE_STATIC);
		spool_bind_time(st, 4, (int64_t)e->message, 0);
		spool_bind_text(st, 5, e->account);
		spool_bind_text(st, 6, e->text);
		spool_bind_text(st, 7, e->next);
	}
	return spool_step(s, st);
}

static const char *
text_or_null(sqlite3_stmt *st, int n)
{
	return (const char *)sqlite3_column_text(st, n);
}

static struct spool_event
read_event(sqlite3_stmt *st)
{
	return (struct spool_event){.id = (uint64_t)sqlite3_column_int64(st, 0),
	    .at = sqlite3_column_int64(st, 1),
	    .kind = text_or_null(st, 2),
	    .message = (uint64_t)sqlite3_column_int64(st, 3),
	    .account = text_or_null(st, 4),
	    .text = text_or_null(st, 5),
	    .next = text_or_null(st, 6)};
}

/* Ends a walk over rows: 0, what `visit` said, or the database's error. */
static int
end_rows(sqlite3_stmt *st, int code, int r)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r != 0 ? r : spool_errno(code);
}

int
spool_each_event(struct spool *s, uint64_t after, unsigned max, spool_event_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_EVENTS,
	    "SELECT id, at, kind, message, account, text, next FROM event"
	    " WHERE id > ?1 AND told=1 ORDER BY id LIMIT ?2");
	int code = SQLITE_DONE, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	(void)sqlite3_bind_int(st, 2, (int)max);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_event e = read_event(st);

		r = visit(arg, &e);
	}
	return end_rows(st, r != 0 ? SQLITE_DONE : code, r);
}

int
spool_event_before_last(struct spool *s, uint64_t count, uint64_t *ret)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_EVENT_OFFSET,
	    "SELECT id FROM event WHERE told=1 ORDER BY id DESC LIMIT 1 OFFSET ?1");
	int code;

	*ret = 0;
	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)count);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	return end_rows(st, code, 0);
}

/* ---- notices ---- */

int
spool_save_notice(struct spool *s, const char *account, const struct spool_notice *n)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SAVE_NOTICE,
	    "INSERT OR REPLACE INTO notice (account, class, kind, since, told, level)"
	    " VALUES (?1,?2,?3,?4,?5,?6)");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int(st, 2, (int)n->class);
		(void)sqlite3_bind_text(st, 3, n->kind, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 4, n->since);
		(void)sqlite3_bind_int64(st, 5, n->told);
		(void)sqlite3_bind_int(st, 6, (int)n->level);
	}
	return spool_step(s, st);
}

int
spool_delete_notice(struct spool *s, const char *account, unsigned class)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_DELETE_NOTICE, "DELETE FROM notice WHERE account=?1 AND class=?2");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int(st, 2, (int)class);
	}
	return spool_step(s, st);
}

int
spool_each_notice(struct spool *s, const char *account, spool_notice_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_NOTICES,
	    "SELECT class, kind, since, told, level FROM notice WHERE account=?1");
	int code = SQLITE_DONE;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_notice n = {.class = (unsigned)sqlite3_column_int(st, 0),
		    .kind = text_or_null(st, 1),
		    .since = sqlite3_column_int64(st, 2),
		    .told = sqlite3_column_int64(st, 3),
		    .level = (unsigned)sqlite3_column_int(st, 4)};

		visit(arg, &n);
	}
	return end_rows(st, code, 0);
}

int
spool_has_state(struct spool *s, const char *account, enum spool_state state, const char *but)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_HAS_STATE,
	    "SELECT 1 FROM message m JOIN recipient r ON r.message = m.id"
	    " WHERE m.account=?1 AND m.service<>?3 AND m.done IS NULL AND r.state=?2 LIMIT 1");
	int code;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(st, 2, (int)state);
	(void)sqlite3_bind_text(st, 3, but, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	return end_rows(st, code, code == SQLITE_ROW);
}

/* ---- the outbox ---- */

int
spool_add_outbox(struct spool *s, uint64_t event, const char *to, int64_t next)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_ADD_OUTBOX,
	    "INSERT OR REPLACE INTO outbox (event, way, tries, next) VALUES (?1,?2,0,?3)");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)event);
		(void)sqlite3_bind_text(st, 2, to, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 3, next);
	}
	return spool_step(s, st);
}

int
spool_retry_outbox(struct spool *s, uint64_t event, const char *to, int64_t next)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_RETRY_OUTBOX,
	    "UPDATE outbox SET tries=tries+1, next=?3 WHERE event=?1 AND way=?2");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)event);
		(void)sqlite3_bind_text(st, 2, to, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 3, next);
	}
	return spool_step(s, st);
}

int
spool_delete_outbox(struct spool *s, uint64_t event, const char *to)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_DELETE_OUTBOX, "DELETE FROM outbox WHERE event=?1 AND way=?2");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)event);
		(void)sqlite3_bind_text(st, 2, to, -1, SQLITE_STATIC);
	}
	return spool_step(s, st);
}

int
spool_each_outbox(struct spool *s, spool_outbox_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_OUTBOX,
	    "SELECT e.id, e.at, e.kind, e.message, e.account, e.text, e.next, o.way, o.tries, "
	    "o.next"
	    " FROM outbox o JOIN event e ON e.id = o.event ORDER BY o.event");
	int code = SQLITE_DONE, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_outbox o = {.event = read_event(st),
		    .way = text_or_null(st, 7),
		    .tries = (unsigned)sqlite3_column_int(st, 8),
		    .next = sqlite3_column_int64(st, 9)};

		r = visit(arg, &o);
	}
	return end_rows(st, r != 0 ? SQLITE_DONE : code, r < 0 ? r : 0);
}

/* ---- the ways ---- */

static int
way_row(struct spool *s, enum spool_statement which, const char *sql, const char *way)
{
	sqlite3_stmt *st = spool_prepare(s, which, sql);

	if (st != NULL)
		(void)sqlite3_bind_text(st, 1, way, -1, SQLITE_STATIC);
	return spool_step(s, st);
}

int
spool_add_way(struct spool *s, const char *way)
{
	int r = way_row(s, STATEMENT_ADD_WAY, "INSERT OR IGNORE INTO way (name) VALUES (?1)", way);

	return r < 0 ? r : sqlite3_changes(s->db) > 0;
}

int
spool_delete_way(struct spool *s, const char *way)
{
	return way_row(s, STATEMENT_DELETE_WAY, "DELETE FROM way WHERE name=?1", way);
}

int
spool_each_way(struct spool *s, spool_way_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_EACH_WAY, "SELECT name FROM way");
	int code = SQLITE_DONE, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		r = visit(arg, text_or_null(st, 0));
	return end_rows(st, r != 0 ? SQLITE_DONE : code, r);
}

int
spool_each_standing(struct spool *s, spool_standing_visit *visit, void *arg)
{
	/* an event is told and noted in the same moment, also one about several accounts */
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_STANDING,
	    "SELECT e.id, e.at, e.kind, e.message, e.account, e.text, e.next, n.account"
	    " FROM notice n JOIN event e ON e.at=n.told AND e.kind=n.kind AND e.told=1"
	    " ORDER BY e.id");
	int code = SQLITE_DONE, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_event e = read_event(st);

		r = visit(arg, text_or_null(st, 7), &e);
	}
	return end_rows(st, r != 0 ? SQLITE_DONE : code, r);
}

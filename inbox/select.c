/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * select.c: see select.h.
 *
 * The columns of addresses and subject are short: they are looked through. The text is found by the trigrams of the
 * full-text table, which LIKE uses for three characters and more (https://www.sqlite.org/fts5.html, the trigram
 * tokenizer). instr() after it makes '%' and '_' mean themselves.
 */
#include "inbox/select.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"

enum { VALUES_MAX = INBOX_QUERY_TERMS_MAX * 2 + 2, SQL_MAX = 64 * 1024 };

struct builder {
	struct buf sql;
	struct {
		const char *text; /* NULL: the number */
		bool like;        /* as "%text%" */
		int64_t number;
	} values[VALUES_MAX];
	int count;
};

static void
add_text(struct builder *b, const char *text, bool like)
{
	b->values[b->count].text = text;
	b->values[b->count++].like = like;
}

static void
add_number(struct builder *b, int64_t number)
{
	b->values[b->count++].number = number;
}

/* Microseconds of a date that was written in `zone`. */
static int64_t
micros(const struct inbox_term *t, const char *zone)
{
	GTimeZone *z = zone == NULL ? NULL : g_time_zone_new_identifier(zone);
	int64_t seconds = t->number;

	if (!t->zoned) {
		if (z == NULL)
			z = g_time_zone_new_local();
		seconds -= g_time_zone_get_offset(
		    z, g_time_zone_find_interval(z, G_TIME_TYPE_STANDARD, seconds));
	}
	if (z != NULL)
		g_time_zone_unref(z);
	return seconds * 1000000;
}

/* A condition on one text; `columns` are joined by "or". */
static void
add_columns(struct builder *b, const struct inbox_term *t, const char *const *columns)
{
	size_t i;

	(void)buf_append_str(&b->sql, t->exclude ? " AND NOT (" : " AND (");
	for (i = 0; columns[i] != NULL; i++)
		(void)buf_printf(&b->sql, "%sinstr(m.%s, ?%d) > 0", i > 0 ? " OR " : "", columns[i],
		    b->count + 1);
	(void)buf_append_char(&b->sql, ')');
	add_text(b, t->text, false);
}

static void
add_full_text(struct builder *b, const struct inbox_term *t)
{
	(void)buf_printf(&b->sql,
	    " AND m.seq %s (SELECT rowid FROM body WHERE text LIKE ?%d AND instr(text, ?%d) > 0"
	    " UNION ALL SELECT seq FROM fresh WHERE instr(text, ?%d) > 0)",
	    t->exclude ? "NOT IN" : "IN", b->count + 1, b->count + 2, b->count + 2);
	add_text(b, t->text, true);
	add_text(b, t->text, false);
}

/* A comparison, turned round where the term is excluded. */
static void
add_comparison(struct builder *b, const struct inbox_term *t, const char *column, const char *when,
    const char *excluded, int64_t number)
{
	(void)buf_printf(
	    &b->sql, " AND m.%s %s ?%d", column, t->exclude ? excluded : when, b->count + 1);
	add_number(b, number);
}

static void
add_word(struct builder *b, const struct inbox_term *t, const char *holds)
{
	(void)buf_printf(&b->sql, " AND %s(%s)", t->exclude ? "NOT " : "", holds);
}

static void
add_term(struct builder *b, const struct inbox_term *t, const char *zone)
{
	static const char *const columns[][7] = {
	    [INBOX_FIELD_FROM] = {"sender"},
	    [INBOX_FIELD_TO] = {"to_list"},
	    [INBOX_FIELD_CC] = {"cc_list"},
	    [INBOX_FIELD_BCC] = {"bcc_list"},
	    [INBOX_FIELD_REPLY_TO] = {"reply_list"},
	    [INBOX_FIELD_ADDRESSED] = {"sender", "to_list", "cc_list", "bcc_list", "reply_list"},
	    [INBOX_FIELD_SUBJECT] = {"subject"},
	    [INBOX_FIELD_MESSAGE_ID] = {"message_id"},
	};

	switch (t->field) {
	case INBOX_FIELD_TEXT:
		add_full_text(b, t);
		break;
	case INBOX_FIELD_FROM:
	case INBOX_FIELD_TO:
	case INBOX_FIELD_CC:
	case INBOX_FIELD_BCC:
	case INBOX_FIELD_REPLY_TO:
	case INBOX_FIELD_ADDRESSED:
	case INBOX_FIELD_SUBJECT:
	case INBOX_FIELD_MESSAGE_ID:
		add_columns(b, t, columns[t->field]);
		break;
	case INBOX_FIELD_TAG:
	case INBOX_FIELD_MAILBOX:
		(void)buf_printf(&b->sql,
		    " AND m.seq %s (SELECT seq FROM %s WHERE name = ?%d COLLATE NOCASE)",
		    t->exclude ? "NOT IN" : "IN", t->field == INBOX_FIELD_TAG ? "tag" : "mailbox",
		    b->count + 1);
		add_text(b, t->text, false);
		break;
	case INBOX_FIELD_AFTER:
		add_comparison(b, t, "seq", ">=", "<=", micros(t, zone));
		break;
	case INBOX_FIELD_BEFORE:
		add_comparison(b, t, "seq", "<=", ">=", micros(t, zone));
		break;
	case INBOX_FIELD_LARGER:
		add_comparison(b, t, "size", ">", "<", t->number);
		break;
	case INBOX_FIELD_SMALLER:
		add_comparison(b, t, "size", "<", ">", t->number);
		break;
	case INBOX_FIELD_READ:
		add_word(b, t, "m.read = 1");
		break;
	case INBOX_FIELD_UNREAD:
		add_word(b, t, "m.read = 0");
		break;
	case INBOX_FIELD_TAGGED:
		add_word(b, t, "m.seq IN (SELECT seq FROM tag)");
		break;
	case INBOX_FIELD_INLINE:
		add_word(b, t, "m.inline > 0");
		break;
	case INBOX_FIELD_ATTACHMENT:
		add_word(b, t, "m.attachments > 0");
		break;
	}
}

static int
bind(sqlite3_stmt *stmt, const struct builder *b)
{
	int i, r = SQLITE_OK;

	for (i = 0; i < b->count && r == SQLITE_OK; i++) {
		const char *text = b->values[i].text;

		if (text == NULL) {
			r = sqlite3_bind_int64(stmt, i + 1, b->values[i].number);
		} else if (b->values[i].like) {
			char *pattern = sqlite3_mprintf("%%%s%%", text);

			r = pattern == NULL
				? SQLITE_NOMEM
				: sqlite3_bind_text(stmt, i + 1, pattern, -1, sqlite3_free);
		} else {
			r = sqlite3_bind_text(stmt, i + 1, text, -1, SQLITE_TRANSIENT);
		}
	}
	return r;
}

sqlite3_stmt *
select_prepare(
    sqlite3 *db, const char *head, const struct inbox_selection *s, const char *tail, int *ret)
{
	struct builder *b CLEANUP_FREE = calloc(1, sizeof(*b));
	sqlite3_stmt *stmt = NULL;
	size_t i;

	*ret = SQLITE_NOMEM;
	if (b == NULL)
		return NULL;
	buf_init(&b->sql, SQL_MAX);
	(void)buf_printf(&b->sql, "%s WHERE m.seq > ?1", head);
	add_number(b, (int64_t)s->after);
	if (s->before > 0) {
		(void)buf_append_str(&b->sql, " AND m.seq < ?2");
		add_number(b, (int64_t)s->before);
	}
	for (i = 0; s->query != NULL && i < s->query->count; i++)
		add_term(b, &s->query->terms[i], s->zone);
	(void)buf_printf(&b->sql, " %s", tail);
	if (!b->sql.failed)
		*ret = sqlite3_prepare_v2(db, b->sql.data, (int)b->sql.len, &stmt, NULL);
	if (*ret == SQLITE_OK)
		*ret = bind(stmt, b);
	buf_free(&b->sql);
	if (*ret == SQLITE_OK)
		return stmt;
	(void)sqlite3_finalize(stmt);
	return NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-write.c: the statements of spool.h that change something.
 */
#include "broker/queue/spool/spool-internal.h"

#include <errno.h>
#include <string.h>

enum { PURGE_STEP = 200 };

bool
spool_submission_bytes(const char *text, unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	if (strlen(text) != 32)
		return false;
	for (size_t i = 0; i < 32; i++) {
		const char *at = strchr(digits, text[i]);
		unsigned value;

		if (at == NULL)
			return false;
		value = (unsigned)(at - digits) & 15;
		bytes[i / 2] = (unsigned char)(i % 2 == 0 ? value << 4 : bytes[i / 2] | value);
	}
	return true;
}

static int
insert_message(struct spool *s, const struct spool_message *m)
{
	unsigned char submission[16];
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_INSERT_MESSAGE,
	    "INSERT INTO message (id, submission, account, service, uid, sender, return_to, envid,"
	    " subject, message_id, expires, next, done, size, header_size, flags, ret)"
	    " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
	    " ON CONFLICT (submission) WHERE submission IS NOT NULL DO NOTHING");
	int r;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
	if (spool_submission_bytes(m->submission, submission))
		(void)sqlite3_bind_blob(st, 2, submission, sizeof(submission), SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 3, m->account, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 4, m->service, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 5, m->uid);
	(void)sqlite3_bind_text(st, 6, m->sender, -1, SQLITE_STATIC);
	if (m->return_to != NULL)
		(void)sqlite3_bind_text(st, 7, m->return_to, -1, SQLITE_STATIC);
	spool_bind_text(st, 8, m->envid);
	spool_bind_text(st, 9, m->subject);
	spool_bind_text(st, 10, m->message_id);
	(void)sqlite3_bind_int64(st, 11, m->expires);
	spool_bind_time(st, 12, m->next, SPOOL_NEVER);
	spool_bind_time(st, 13, m->done, 0);
	(void)sqlite3_bind_int64(st, 14, (sqlite3_int64)m->size);
	(void)sqlite3_bind_int64(st, 15, (sqlite3_int64)m->header_size);
	(void)sqlite3_bind_int64(st, 16, m->flags);
	(void)sqlite3_bind_int(st, 17, (int)m->ret);
	r = spool_step(s, st);
	return r < 0 ? r : sqlite3_changes(s->db) == 0;
}

static int
insert_body(struct spool *s, const struct spool_message *m)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_INSERT_BODY, "INSERT INTO body (message, content) VALUES (?1,?2)");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
		(void)sqlite3_bind_blob(st, 2, m->body, (int)m->body_len, SQLITE_STATIC);
	}
	return spool_step(s, st);
}

static int
insert_recipient(struct spool *s, uint64_t id, size_t n, const struct spool_recipient *r)
{
	CLEANUP_BUF struct buf params = BUF_INIT(1024);
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_INSERT_RECIPIENT,
	    "INSERT INTO recipient (message, n, address, params, state, attempts, interrupted, "
	    "next)"
	    " VALUES (?1,?2,?3,?4,?5,0,0,?6)");
	struct smtp_rcpt_params wire = spool_rcpt_params(r);
	int e = smtp_rcpt_params_format(&params, &wire);

	if (e < 0)
		return e;
	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
		(void)sqlite3_bind_text(st, 3, r->address, -1, SQLITE_STATIC);
		spool_bind_text(st, 4, buf_str(&params));
		(void)sqlite3_bind_int(st, 5, (int)r->state);
		spool_bind_time(st, 6, r->next, SPOOL_NEVER);
	}
	return spool_step(s, st);
}

int
spool_insert(struct spool *s, const struct spool_message *m)
{
	int r = insert_message(s, m);

	if (r != 0)
		return r;
	if ((m->flags & SPOOL_BODY_FILE) == 0)
		r = insert_body(s, m);
	for (size_t i = 0; i < m->count && r == 0; i++)
		r = insert_recipient(s, m->id, i, &m->recipients[i]);
	if (r == 0 && m->done == 0)
		spool_octets_change(s, m->id, m->service, m->size, false);
	return r;
}

int
spool_update_recipient(struct spool *s, uint64_t id, size_t n, const struct spool_recipient *r)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_UPDATE_RECIPIENT,
	    "UPDATE recipient SET state=?3, attempts=?4, interrupted=?5, next=?6, at=?7, code=?8,"
	    " enhanced=?9, stage=?10, fault=?11, in_doubt=?12, reply=?13 WHERE message=?1 AND "
	    "n=?2");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
		(void)sqlite3_bind_int(st, 3, (int)r->state);
		(void)sqlite3_bind_int64(st, 4, r->attempts);
		(void)sqlite3_bind_int64(st, 5, r->interrupted);
		spool_bind_time(st, 6, r->next, SPOOL_NEVER);
		spool_bind_time(st, 7, r->at, 0);
		if (r->at != 0) {
			(void)sqlite3_bind_int(st, 8, r->reply.code);
			spool_bind_text(st, 9, r->reply.enhanced);
			(void)sqlite3_bind_int(st, 10, (int)r->reply.stage);
			(void)sqlite3_bind_int(st, 11, (int)r->reply.fault);
			(void)sqlite3_bind_int(st, 12, r->reply.in_doubt);
			spool_bind_text(st, 13, r->reply.text);
		}
	}
	return spool_step(s, st);
}

int
spool_update_message(struct spool *s, const struct spool_message *m)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_UPDATE_MESSAGE,
	    "UPDATE message SET next=?2, expires=max(expires, ?3), flags=?4 WHERE id=?1");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
		spool_bind_time(st, 2, m->next, SPOOL_NEVER);
		(void)sqlite3_bind_int64(st, 3, m->expires);
		(void)sqlite3_bind_int64(st, 4, m->flags);
	}
	return spool_step(s, st);
}

int
spool_update_account_of(struct spool *s, const struct spool_message *m)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_UPDATE_ACCOUNT_OF, "UPDATE message SET account=?2 WHERE id=?1");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
		(void)sqlite3_bind_text(st, 2, m->account, -1, SQLITE_STATIC);
	}
	return spool_step(s, st);
}

int
spool_prolong(struct spool *s, const char *account, int64_t expires)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_PROLONG,
	    "UPDATE message SET expires=?2 WHERE account=?1 AND done IS NULL AND expires < ?2");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 2, expires);
	}
	return spool_step(s, st);
}

/* Runs a statement whose only parameter is a message's id. */
static int
by_id(struct spool *s, enum spool_statement n, const char *sql, uint64_t id)
{
	sqlite3_stmt *st = spool_prepare(s, n, sql);

	if (st != NULL)
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	return spool_step(s, st);
}

static int
delete_body(struct spool *s, uint64_t id)
{
	return by_id(s, STATEMENT_DELETE_BODY, "DELETE FROM body WHERE message=?1", id);
}

/* An open message is about to go. */
static void
uncount(struct spool *s, uint64_t id)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_SIZE_OF, "SELECT service, size FROM message WHERE id=?1 AND done IS NULL");

	if (st == NULL)
		return;
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	if (sqlite3_step(st) == SQLITE_ROW)
		spool_octets_change(s, id, (const char *)sqlite3_column_text(st, 0),
		    (uint64_t)sqlite3_column_int64(st, 1), true);
	(void)sqlite3_reset(st);
}

int
spool_finish(struct spool *s, const struct spool_message *m, int64_t now, bool keep)
{
	sqlite3_stmt *st;
	int r;

	if (!keep)
		return spool_delete(s, m->id);
	uncount(s, m->id);
	r = (m->flags & SPOOL_BODY_FILE) != 0 ? 0 : delete_body(s, m->id);
	if (r < 0)
		return r;
	st = spool_prepare(s, STATEMENT_FINISH_MESSAGE,
	    "UPDATE message SET next=NULL, done=?2, flags=?3 WHERE id=?1");
	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
		(void)sqlite3_bind_int64(st, 2, now);
		(void)sqlite3_bind_int64(st, 3, m->flags);
	}
	return spool_step(s, st);
}

int
spool_delete(struct spool *s, uint64_t id)
{
	int r;

	uncount(s, id);
	r = by_id(s, STATEMENT_DELETE_RECIPIENTS, "DELETE FROM recipient WHERE message=?1", id);
	if (r == 0)
		r = by_id(s, STATEMENT_DELETE_ATTEMPTS, "DELETE FROM attempt WHERE message=?1", id);
	if (r == 0)
		r = delete_body(s, id);
	if (r == 0)
		r = by_id(s, STATEMENT_DELETE_MESSAGE, "DELETE FROM message WHERE id=?1", id);
	return r;
}

int
spool_add_attempt(struct spool *s, uint64_t id, const struct spool_attempt *a)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_INSERT_ATTEMPT,
	    "INSERT INTO attempt (message, at, endpoint, tls, mechanism, outcome, transcript, "
	    "stage,"
	    " fault) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
		(void)sqlite3_bind_int64(st, 2, a->at);
		spool_bind_text(st, 3, a->endpoint);
		spool_bind_text(st, 4, a->tls);
		spool_bind_text(st, 5, a->mechanism);
		spool_bind_text(st, 6, a->outcome);
		/* a blob, whose length is known without reading it */
		if (a->transcript != NULL && *a->transcript != '\0')
			(void)sqlite3_bind_blob(
			    st, 7, a->transcript, (int)strlen(a->transcript), SQLITE_STATIC);
		(void)sqlite3_bind_int(st, 8, a->stage);
		(void)sqlite3_bind_int(st, 9, a->fault);
	}
	return spool_step(s, st);
}

int
spool_add_event(struct spool *s, int64_t at, const char *kind, uint64_t id, const char *account,
    const char *text)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_INSERT_EVENT,
	    "INSERT INTO event (at, kind, message, account, text) VALUES (?1,?2,?3,?4,?5)");

	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, at);
		(void)sqlite3_bind_text(st, 2, kind, -1, SQLITE_STATIC);
		spool_bind_time(st, 3, (int64_t)id, 0);
		spool_bind_text(st, 4, account);
		spool_bind_text(st, 5, text);
	}
	return spool_step(s, st);
}

int
spool_save_account(struct spool *s, const char *name, const struct spool_account *a)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SAVE_ACCOUNT,
	    "INSERT OR REPLACE INTO account (name, held, state, since, until, failures, code, "
	    "enhanced,"
	    " stage, fault, reply, learned_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int(st, 2, a->schedule.held);
		(void)sqlite3_bind_int(st, 3, (int)a->schedule.server);
		(void)sqlite3_bind_int64(st, 4, a->schedule.since);
		(void)sqlite3_bind_int64(st, 5, a->schedule.until);
		(void)sqlite3_bind_int64(st, 6, a->schedule.failures);
		(void)sqlite3_bind_int(st, 7, a->reply.code);
		spool_bind_text(st, 8, a->reply.enhanced);
		(void)sqlite3_bind_int(st, 9, (int)a->reply.stage);
		(void)sqlite3_bind_int(st, 10, (int)a->reply.fault);
		spool_bind_text(st, 11, a->reply.text);
		spool_bind_text(st, 12, a->learned_at);
	}
	return spool_step(s, st);
}

int
spool_save_used(struct spool *s, const char *name, int64_t at, const char *mechanism)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SAVE_USED,
	    "INSERT OR REPLACE INTO used (account, at, mechanism) VALUES (?1,?2,?3)");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 2, at);
		spool_bind_text(st, 3, mechanism);
	}
	return spool_step(s, st);
}

int
spool_save_signed(struct spool *s, const char *name, const char *keys)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SAVE_SIGNED,
	    "INSERT OR REPLACE INTO signed (account, keys) VALUES (?1,?2)");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(st, 2, keys, -1, SQLITE_STATIC);
	}
	return spool_step(s, st);
}

int
spool_save_password(
    struct spool *s, const char *service, const uint8_t digest[SHA256_LEN], int64_t at)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SAVE_PASSWORD,
	    "INSERT OR REPLACE INTO password (service, digest, at) VALUES (?1,?2,?3)");

	if (st != NULL) {
		(void)sqlite3_bind_text(st, 1, service, -1, SQLITE_STATIC);
		(void)sqlite3_bind_blob(st, 2, digest, SHA256_LEN, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 3, at);
	}
	return spool_step(s, st);
}

int
spool_delete_password(struct spool *s, const char *service)
{
	sqlite3_stmt *st =
	    spool_prepare(s, STATEMENT_DELETE_PASSWORD, "DELETE FROM password WHERE service=?1");

	if (st != NULL)
		(void)sqlite3_bind_text(st, 1, service, -1, SQLITE_STATIC);
	return spool_step(s, st);
}

/* Ids of finished (or captured) messages that were stored before `before`: their number, or
 * negative errno. */
static int
old_ids(struct spool *s, int64_t before, uint64_t *ids)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_OLD,
	    "SELECT id FROM message WHERE id < ?1 AND (done < ?2 OR flags & 16 <> 0) LIMIT ?3");
	int code, n = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, before * 1000000);
	(void)sqlite3_bind_int64(st, 2, before);
	(void)sqlite3_bind_int(st, 3, PURGE_STEP);
	while ((code = sqlite3_step(st)) == SQLITE_ROW && n < PURGE_STEP)
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return code == SQLITE_DONE || code == SQLITE_ROW ? n : spool_errno(code);
}

int
spool_purge(struct spool *s, int64_t before, bool *ret_more)
{
	uint64_t ids[PURGE_STEP] = {0};
	int n = old_ids(s, before, ids), r = 0;
	sqlite3_stmt *st;

	*ret_more = n == PURGE_STEP;
	if (n < 0)
		return n;
	for (int i = 0; i < n && r == 0; i++) {
		r = spool_delete(s, ids[i]);
		spool_body_remove(s, ids[i]);
	}
	if (r < 0)
		return r;
	st = spool_prepare(s, STATEMENT_DELETE_EVENTS,
	    "DELETE FROM event WHERE at < ?1 AND id NOT IN (SELECT event FROM outbox)");
	if (st != NULL)
		(void)sqlite3_bind_int64(st, 1, before);
	return spool_step(s, st);
}

/* The attempt whose transcript, with all newer ones, is more than `most` octets; 0 for none. Looks at
 * lengths alone: every minute, and there may be much of it. */
static int
first_too_many(struct spool *s, uint64_t most, int64_t *ret)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_TRANSCRIPT_SIZES,
	    "SELECT id, length(transcript) FROM attempt"
	    " WHERE transcript IS NOT NULL ORDER BY id DESC");
	uint64_t sum = 0;
	int code = SQLITE_DONE;

	*ret = 0;
	if (st == NULL)
		return spool_step(s, NULL);
	while (*ret == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		sum += (uint64_t)sqlite3_column_int64(st, 1);
		if (sum > most)
			*ret = sqlite3_column_int64(st, 0);
	}
	(void)sqlite3_reset(st);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : spool_errno(code);
}

int
spool_limit_transcripts(struct spool *s, uint64_t most)
{
	int64_t from;
	int r = first_too_many(s, most, &from);
	sqlite3_stmt *st;

	if (r < 0 || from == 0)
		return r;
	st = spool_prepare(s, STATEMENT_FORGET_TRANSCRIPTS,
	    "UPDATE attempt SET transcript=NULL WHERE id <= ?1 AND transcript IS NOT NULL");
	if (st != NULL)
		(void)sqlite3_bind_int64(st, 1, from);
	return spool_step(s, st);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-read.c: the statements of spool.h that only read.
 */
#include "broker/queue/spool/spool-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"

/* Copies a column: NULL (not "") only where memory is out, which *r then says. */
static char *
copy_text(sqlite3_stmt *st, int column, int *r)
{
	const unsigned char *text = sqlite3_column_text(st, column);
	char *copy = strdup(text == NULL ? "" : (const char *)text);

	if (copy == NULL)
		*r = -ENOMEM;
	return copy;
}

static int64_t
time_or(sqlite3_stmt *st, int column, int64_t none)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL ? none
							      : sqlite3_column_int64(st, column);
}

static void
copy_enhanced(sqlite3_stmt *st, int column, struct smtp_reply *reply)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	(void)snprintf(
	    reply->enhanced, sizeof(reply->enhanced), "%s", text == NULL ? "" : (const char *)text);
}

static int
read_params(const char *text, struct spool_recipient *ret, int r)
{
	CLEANUP_BUF struct buf line = BUF_INIT(2048);
	struct smtp_rcpt_params params;
	char address[ADDRESS_MAX + 1];
	const char *why;

	if (buf_printf(&line, "TO:<x@example.com>%s", text) < 0 ||
	    smtp_rcpt_parse(line.data, line.len, SMTP_EXT_DSN, address, &params, &why) != 0)
		return r;
	ret->notify = params.notify;
	if (params.orcpt[0] == '\0')
		return r;
	ret->orcpt = strdup(params.orcpt);
	return ret->orcpt == NULL ? -ENOMEM : r;
}

static int
read_recipient(sqlite3_stmt *st, struct spool_recipient *ret)
{
	const char *params = (const char *)sqlite3_column_text(st, 1);
	int r = 0;

	*ret = (struct spool_recipient){
	    .state = (enum spool_state)sqlite3_column_int(st, 2),
	    .attempts = (unsigned)sqlite3_column_int(st, 3),
	    .interrupted = (unsigned)sqlite3_column_int(st, 4),
	    .next = time_or(st, 5, SPOOL_NEVER),
	    .at = time_or(st, 6, 0),
	    .reply = {.code = sqlite3_column_int(st, 7),
		.stage = (enum smtp_stage)sqlite3_column_int(st, 9),
		.fault = (enum smtp_fault)sqlite3_column_int(st, 10),
		.in_doubt = sqlite3_column_int(st, 11) != 0},
	};
	ret->address = copy_text(st, 0, &r);
	copy_enhanced(st, 8, &ret->reply);
	if (ret->at != 0)
		ret->reply.text = copy_text(st, 12, &r);
	return params == NULL ? r : read_params(params, ret, r);
}

static int
load_recipients(struct spool *s, struct spool_message *m)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_LOAD_RECIPIENTS,
	    "SELECT address, params, state, attempts, interrupted, next, at, code, enhanced, stage,"
	    " fault, in_doubt, reply FROM recipient WHERE message=?1 ORDER BY n");
	size_t room = 0;
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		if (m->count == room) {
			struct spool_recipient *more;

			room = room == 0 ? 1 : room * 4;
			more = reallocarray(m->recipients, room, sizeof(*more));
			if (more == NULL) {
				r = -ENOMEM;
				break;
			}
			m->recipients = more;
		}
		r = read_recipient(st, &m->recipients[m->count++]);
	}
	(void)sqlite3_reset(st);
	return r < 0 ? r : spool_errno(code);
}

static int
load_body(struct spool *s, struct spool_message *m)
{
	sqlite3_stmt *st =
	    spool_prepare(s, STATEMENT_LOAD_BODY, "SELECT content FROM body WHERE message=?1");
	int code, r;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
	code = sqlite3_step(st);
	r = spool_errno(code);
	if (code == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(st, 0);

		m->body_len = (size_t)sqlite3_column_bytes(st, 0);
		m->body = malloc(m->body_len + 1);
		if (m->body == NULL) {
			r = -ENOMEM;
		} else {
			if (m->body_len > 0)
				memcpy(m->body, bytes, m->body_len);
			m->body[m->body_len] = '\0';
		}
	}
	(void)sqlite3_reset(st);
	return r;
}

static int
load_message(struct spool *s, uint64_t id, struct spool_message *m)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_LOAD_MESSAGE,
	    "SELECT account, service, uid, sender, return_to, envid, subject, message_id, expires, "
	    "next,"
	    " done, size, header_size, flags, ret FROM message WHERE id=?1");
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		m->account = copy_text(st, 0, &r);
		m->service = copy_text(st, 1, &r);
		m->uid = sqlite3_column_int64(st, 2);
		m->sender = copy_text(st, 3, &r);
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			m->return_to = copy_text(st, 4, &r);
		m->envid = copy_text(st, 5, &r);
		m->subject = copy_text(st, 6, &r);
		m->message_id = copy_text(st, 7, &r);
		m->expires = sqlite3_column_int64(st, 8);
		m->next = time_or(st, 9, SPOOL_NEVER);
		m->done = time_or(st, 10, 0);
		m->size = (uint64_t)sqlite3_column_int64(st, 11);
		m->header_size = (uint64_t)sqlite3_column_int64(st, 12);
		m->flags = (unsigned)sqlite3_column_int64(st, 13);
		m->ret = (enum smtp_ret)sqlite3_column_int(st, 14);
	} else {
		r = code == SQLITE_DONE ? -ENOENT : spool_errno(code);
	}
	(void)sqlite3_reset(st);
	return r;
}

int
spool_load(struct spool *s, uint64_t id, bool body, struct spool_message *ret)
{
	int r;

	*ret = (struct spool_message){.id = id, .received = (int64_t)(id / 1000000)};
	r = load_message(s, id, ret);
	if (r == 0)
		r = load_recipients(s, ret);
	if (r == 0 && body && (ret->flags & SPOOL_BODY_FILE) == 0)
		r = load_body(s, ret);
	if (r < 0)
		spool_message_clear(ret);
	return r;
}

int
spool_known(struct spool *s, const char *submission)
{
	sqlite3_stmt *st =
	    spool_prepare(s, STATEMENT_KNOWN, "SELECT 1 FROM message WHERE submission=?1");
	unsigned char bytes[16];
	int code;

	if (st == NULL)
		return spool_step(s, NULL);
	if (!spool_submission_bytes(submission, bytes))
		return 0;
	(void)sqlite3_bind_blob(st, 1, bytes, sizeof(bytes), SQLITE_STATIC);
	code = sqlite3_step(st);
	(void)sqlite3_reset(st);
	return code == SQLITE_ROW ? 1 : spool_errno(code);
}

int
spool_due(struct spool *s, const char *account, const char *service, int64_t now, uint64_t *ids,
    size_t max, int64_t *ret_next)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_DUE,
	    "SELECT id, next FROM message WHERE account=?1 AND service=?2 AND done IS NULL"
	    " AND next > 0 ORDER BY next LIMIT ?3");
	int code, n = 0;

	*ret_next = SPOOL_NEVER;
	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 2, service, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 3, (sqlite3_int64)max + 1);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t next = sqlite3_column_int64(st, 1);

		if (next > now || (size_t)n == max) {
			*ret_next = next;
			break;
		}
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	}
	(void)sqlite3_reset(st);
	return code == SQLITE_ROW || code == SQLITE_DONE ? n : spool_errno(code);
}

int
spool_each_lane(struct spool *s, spool_lane_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_LANES,
	    "SELECT account, service, count(*), min(next) FROM message WHERE done IS NULL"
	    " GROUP BY account, service");
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		r = visit(arg, (const char *)sqlite3_column_text(st, 0),
		    (const char *)sqlite3_column_text(st, 1), (uint64_t)sqlite3_column_int64(st, 2),
		    time_or(st, 3, SPOOL_NEVER));
	(void)sqlite3_reset(st);
	return r != 0 ? r : spool_errno(code);
}

static const char *
text_of(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text == NULL ? "" : (const char *)text;
}

int
spool_scan(struct spool *s, uint64_t *after, unsigned max, spool_glance_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_SCAN,
	    "SELECT id, size, account, service, uid, expires, flags, done IS NULL,"
	    " next IS NOT NULL FROM message WHERE id > ?1 ORDER BY id LIMIT ?2");
	int code = SQLITE_DONE, stop = 0;
	unsigned rows = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)*after);
	(void)sqlite3_bind_int64(st, 2, max);
	while (stop == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_glance g = {.id = (uint64_t)sqlite3_column_int64(st, 0),
		    .received = sqlite3_column_int64(st, 0) / 1000000,
		    .size = (uint64_t)sqlite3_column_int64(st, 1),
		    .account = text_of(st, 2),
		    .service = text_of(st, 3),
		    .uid = sqlite3_column_int64(st, 4),
		    .expires = sqlite3_column_int64(st, 5),
		    .flags = (unsigned)sqlite3_column_int64(st, 6),
		    .open = sqlite3_column_int(st, 7) != 0,
		    .waits = sqlite3_column_int(st, 8) != 0};

		*after = g.id;
		rows++;
		stop = visit(arg, &g);
	}
	(void)sqlite3_reset(st);
	if (stop == 0 && code != SQLITE_DONE)
		return spool_errno(code);
	return stop != 0 || rows == max;
}

int
spool_each_attempt(struct spool *s, uint64_t id, spool_attempt_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_ATTEMPTS,
	    "SELECT at, endpoint, tls, mechanism, outcome, transcript, stage, fault FROM attempt"
	    " WHERE message=?1 ORDER BY id");
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_attempt_row row = {.at = sqlite3_column_int64(st, 0),
		    .endpoint = text_of(st, 1),
		    .tls = text_of(st, 2),
		    .mechanism = text_of(st, 3),
		    .outcome = text_of(st, 4),
		    .transcript = text_of(st, 5),
		    .stage = sqlite3_column_int(st, 6),
		    .fault = sqlite3_column_int(st, 7)};

		r = visit(arg, &row);
	}
	(void)sqlite3_reset(st);
	return r != 0 ? r : spool_errno(code);
}

char *
spool_load_endpoint(struct spool *s, uint64_t id, int64_t at)
{
	/* they are noted one after the other, perhaps not in the same second */
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_LOAD_ENDPOINT,
	    "SELECT endpoint FROM attempt WHERE message=?1 AND at BETWEEN ?2-1 AND ?2+1 AND"
	    " endpoint IS NOT NULL ORDER BY id DESC LIMIT 1");
	char *endpoint = NULL;

	if (st == NULL)
		return NULL;
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	(void)sqlite3_bind_int64(st, 2, at);
	if (sqlite3_step(st) == SQLITE_ROW)
		endpoint = strdup(text_of(st, 0));
	(void)sqlite3_reset(st);
	return endpoint;
}

char *
spool_load_signed(struct spool *s, const char *name)
{
	sqlite3_stmt *st =
	    spool_prepare(s, STATEMENT_LOAD_SIGNED, "SELECT keys FROM signed WHERE account=?1");
	char *keys = NULL;

	if (st == NULL)
		return NULL;
	(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW)
		keys = strdup(text_of(st, 0));
	(void)sqlite3_reset(st);
	return keys;
}

int
spool_load_used(
    struct spool *s, const char *name, int64_t *ret_at, char *mechanism, size_t mechanism_size)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_LOAD_USED, "SELECT at, mechanism FROM used WHERE account=?1");
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		*ret_at = sqlite3_column_int64(st, 0);
		(void)snprintf(mechanism, mechanism_size, "%s", text_of(st, 1));
	} else {
		r = code == SQLITE_DONE ? -ENOENT : spool_errno(code);
	}
	(void)sqlite3_reset(st);
	return r;
}

int
spool_load_account(struct spool *s, const char *name, struct spool_account *ret)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_LOAD_ACCOUNT,
	    "SELECT held, state, since, until, failures, code, enhanced, stage, fault, reply,"
	    " learned_at FROM account WHERE name=?1");
	int code, r = 0;

	*ret = (struct spool_account){0};
	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		ret->schedule.held = sqlite3_column_int(st, 0) != 0;
		ret->schedule.server = (enum schedule_state)sqlite3_column_int(st, 1);
		ret->schedule.since = sqlite3_column_int64(st, 2);
		ret->schedule.until = sqlite3_column_int64(st, 3);
		ret->schedule.failures = (unsigned)sqlite3_column_int64(st, 4);
		ret->reply.code = sqlite3_column_int(st, 5);
		copy_enhanced(st, 6, &ret->reply);
		ret->reply.stage = (enum smtp_stage)sqlite3_column_int(st, 7);
		ret->reply.fault = (enum smtp_fault)sqlite3_column_int(st, 8);
		ret->reply.text = copy_text(st, 9, &r);
		ret->learned_at = copy_text(st, 10, &r);
		if ((unsigned)ret->schedule.server >= SCHEDULE_STATE_COUNT)
			ret->schedule.server = SCHEDULE_ACTIVE;
	} else {
		r = code == SQLITE_DONE ? -ENOENT : spool_errno(code);
	}
	(void)sqlite3_reset(st);
	return r;
}

int
spool_each_since(
    struct spool *s, const char *service, int64_t since, spool_time_visit *visit, void *arg)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_EACH_SINCE,
	    "SELECT id FROM message WHERE id >= ?1 AND service=?2 AND flags & 8 = 0 ORDER BY id");
	int code;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_int64(st, 1, since * 1000000);
	(void)sqlite3_bind_text(st, 2, service, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(st)) == SQLITE_ROW)
		visit(arg, sqlite3_column_int64(st, 0));
	(void)sqlite3_reset(st);
	return spool_errno(code);
}

int
spool_each_attempt_since(struct spool *s, int64_t since, spool_tried_visit *visit, void *arg)
{
	/* ids ascend with time, so the first that is too old ends it */
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_EACH_ATTEMPT_SINCE,
	    "SELECT a.at, m.account FROM attempt a JOIN message m ON m.id=a.message"
	    " ORDER BY a.id DESC");
	int code;

	if (st == NULL)
		return spool_step(s, NULL);
	while ((code = sqlite3_step(st)) == SQLITE_ROW && sqlite3_column_int64(st, 0) >= since)
		visit(arg, (const char *)sqlite3_column_text(st, 1), sqlite3_column_int64(st, 0));
	(void)sqlite3_reset(st);
	return code == SQLITE_ROW ? 0 : spool_errno(code);
}

int
spool_load_password(
    struct spool *s, const char *service, uint8_t digest[SHA256_LEN], int64_t *ret_at)
{
	sqlite3_stmt *st = spool_prepare(
	    s, STATEMENT_LOAD_PASSWORD, "SELECT digest, at FROM password WHERE service=?1");
	int code, r = 0;

	if (st == NULL)
		return spool_step(s, NULL);
	(void)sqlite3_bind_text(st, 1, service, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW && sqlite3_column_bytes(st, 0) == SHA256_LEN) {
		memcpy(digest, sqlite3_column_blob(st, 0), SHA256_LEN);
		*ret_at = sqlite3_column_int64(st, 1);
	} else {
		r = code == SQLITE_ROW    ? -EBADMSG
		    : code == SQLITE_DONE ? -ENOENT
					  : spool_errno(code);
	}
	(void)sqlite3_reset(st);
	return r;
}

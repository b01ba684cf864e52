/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool.c: see spool.h. The tables are described in schema.h; database.c opens them.
 *
 * Crash rules. A message is stored when the transaction with its rows is committed; a body in a
 * file is synced, name and content, before that. So a row never names a body that is not there; a
 * file without a row is left over from a crash or a refusal and is removed at start. A finished
 * message's body goes with the transaction that finishes it, its file after that.
 *
 * A recipient that is SENDING when the spool is opened was handed to a network role whose answer
 * nobody wrote down. Its server may have the message: whether it is tried again, where a recipient
 * may get it twice, or held for a person, is the configuration's choice (in-doubt).
 *
 * What the open mail of each service and of each account comes to is counted in memory (tally.h). The
 * messages that were there when the spool was opened are added in steps; until the steps are through, a
 * message that they have not reached counts neither when it is there nor when it goes.
 */
#include "broker/queue/spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "broker/queue/spool/database.h"
#include "broker/queue/spool/tally.h"

enum {
	PURGE_STEP = 200,
	TRIM_STEP = 2000,
	UNREAD_LONGEST = 14 * 24 * 3600,
	TALLY_STEP = 256,
	OLDEST_STEP = 20000,
	SQL_MAX = 2048
};

struct spool {
	struct database *db;
	int bodies; /* the folder */
	uint64_t last_id;
	uint64_t message_events, message_events_before; /* now, and by the last commit */
	struct tally *services, *accounts;              /* open messages */
	struct tally *events;                           /* stored since it was opened, by kind */
	uint64_t first_top;                             /* the last id when it was opened */
	uint64_t tallied; /* of those, which are in the tallies already */
	uint64_t oldest;  /* no message before it is open, captured ones apart */
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

bool
spool_recipient_waits(const struct spool_recipient *r)
{
	return r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED;
}

int64_t
spool_earliest(const struct spool_message *m)
{
	int64_t next = SPOOL_NEVER;

	for (size_t i = 0; i < m->count; i++)
		if (spool_recipient_waits(&m->recipients[i]) && m->recipients[i].next < next)
			next = m->recipients[i].next;
	return next;
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

/* ---- the whole ---- */

int
spool_open(const char *dir, int bodies, struct spool **ret, struct buf *why)
{
	struct spool *s = calloc(1, sizeof(*s));
	int64_t top = 0, events = 0;
	int r = -ENOMEM;

	*ret = NULL;
	if (s == NULL)
		return r;
	s->bodies = bodies;
	s->services = tally_new();
	s->accounts = tally_new();
	s->events = tally_new();
	if (s->services != NULL && s->accounts != NULL && s->events != NULL)
		r = database_open(dir, &s->db, why);
	if (r == 0) {
		r = database_number(s->db,
		    "SELECT max(ifnull((SELECT max(id) FROM message), 0),"
		    " ifnull((SELECT max(id) FROM event), 0),"
		    " ifnull((SELECT max(id) FROM message_event), 0))",
		    &top);
		if (r == 0)
			r = database_number(s->db, "SELECT count(*) FROM message_event", &events);
		if (r < 0)
			(void)database_explain(r, dir, "the spool cannot be used", why);
	}
	if (r < 0) {
		(void)spool_close(s);
		return r;
	}
	s->last_id = s->first_top = (uint64_t)top;
	s->message_events = s->message_events_before = (uint64_t)events;
	*ret = s;
	return 0;
}

struct spool *
spool_close(struct spool *s)
{
	if (s != NULL) {
		(void)database_close(s->db);
		(void)tally_free(s->services);
		(void)tally_free(s->accounts);
		(void)tally_free(s->events);
		free(s);
	}
	return NULL;
}

uint64_t
spool_new_id(struct spool *s, int64_t now_us)
{
	uint64_t id = now_us > 0 ? (uint64_t)now_us : 0;

	s->last_id = id > s->last_id ? id : s->last_id + 1;
	return s->last_id;
}

int
spool_begin(struct spool *s)
{
	return database_begin(s->db);
}

static void
settle(struct spool *s, bool committed)
{
	tally_settle(s->services, committed);
	tally_settle(s->accounts, committed);
	tally_settle(s->events, committed);
	if (committed)
		s->message_events_before = s->message_events;
	else
		s->message_events = s->message_events_before;
}

int
spool_commit(struct spool *s)
{
	int r = database_commit(s->db);

	settle(s, r == 0);
	return r;
}

void
spool_rollback(struct spool *s)
{
	database_rollback(s->db);
	settle(s, false);
}

/* Ends a transaction of one function: commits it, or rolls it back where r is an error. */
static int
end_transaction(struct spool *s, int r)
{
	if (r == 0)
		return spool_commit(s);
	spool_rollback(s);
	return r;
}

bool
spool_checkpoint(struct spool *s, bool idle)
{
	return database_checkpoint(s->db, idle);
}

int
spool_reserve(struct spool *s)
{
	return database_reserve(s->db);
}

bool
spool_make_room(struct spool *s)
{
	return database_make_room(s->db);
}

bool
spool_may_shrink(struct spool *s)
{
	return database_may_shrink(s->db);
}

int
spool_shrink(struct spool *s)
{
	return database_shrink(s->db);
}

/* ---- bodies in files ---- */

/* A descriptor, or negative errno. */
static int
open_body(struct spool *s, uint64_t id, int flags)
{
	char name[SPOOL_ID_LEN];
	int fd = openat(s->bodies, spool_id_text(id, name), flags | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int
spool_body_create(struct spool *s, uint64_t id)
{
	return open_body(s, id, O_RDWR | O_CREAT | O_EXCL);
}

int
spool_body_open(struct spool *s, uint64_t id)
{
	return open_body(s, id, O_RDONLY);
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

void
spool_body_remove(struct spool *s, uint64_t id)
{
	char name[SPOOL_ID_LEN];

	(void)unlinkat(s->bodies, spool_id_text(id, name), 0);
}

/* ---- what open mail comes to ---- */

/* A message is stored, changes, or is gone: within a transaction. */
static void
count(struct spool *s, const struct spool_row *g, bool gone)
{
	const struct tally_sums by = {.octets = (int64_t)(g->size + SPOOL_MESSAGE_OVERHEAD),
	    .messages = 1,
	    .waiting = g->waits,
	    .captured = (g->flags & SPOOL_CAPTURE) != 0};

	if (g->id <= s->first_top && g->id > s->tallied)
		return;
	tally_change(s->services, g->service, &by, gone);
	tally_change(s->accounts, g->account, &by, gone);
}

/* What is about to happen to a message. */
struct change {
	bool gone;
	const char *account;             /* that it goes to; NULL: it stays */
	const struct spool_message *row; /* whose next and flags it gets; NULL: they stay */
};

/* The message, if it is open, is about to change. */
static void
recount(struct spool *s, uint64_t id, const struct change *change)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT account, service, size, flags, next IS NOT NULL FROM message WHERE id=?1 AND "
	    "done IS NULL",
	    VALUES(NUMBER(id)));

	if (database_next(st)) {
		struct spool_row g = {.id = id,
		    .account = database_text(st, 0),
		    .service = database_text(st, 1),
		    .size = (uint64_t)sqlite3_column_int64(st, 2),
		    .flags = (unsigned)sqlite3_column_int64(st, 3),
		    .waits = sqlite3_column_int(st, 4) != 0};

		count(s, &g, true);
		if (change->account != NULL)
			g.account = change->account;
		if (change->row != NULL) {
			g.waits = change->row->next != SPOOL_NEVER;
			g.flags = change->row->flags;
		}
		if (!change->gone)
			count(s, &g, false);
	}
	(void)database_end(s->db, st, 0);
}

static int
tally_row(void *arg, const struct spool_row *g)
{
	struct spool *s = arg;

	if (g->id > s->first_top)
		return 1;
	s->tallied = g->id;
	if (g->open)
		count(s, g, false);
	return 0;
}

int
spool_tally_step(struct spool *s)
{
	uint64_t after = s->tallied;
	int more;

	if (s->tallied >= s->first_top)
		return 0;
	more = spool_scan(s, &after, TALLY_STEP, tally_row, s);
	settle(s, true);
	if (more != 1 || after >= s->first_top)
		s->tallied = s->first_top;
	return more < 0 ? more : s->tallied < s->first_top;
}

uint64_t
spool_octets_of(struct spool *s, const char *service)
{
	return (uint64_t)tally_of(s->services, service).octets;
}

struct tally_sums
spool_sums_of(struct spool *s, const char *account)
{
	return tally_of(s->accounts, account);
}

uint64_t
spool_events_of(struct spool *s, const char *kind)
{
	return (uint64_t)tally_of(s->events, kind).messages;
}

bool
spool_is_tallied(const struct spool *s)
{
	return s->tallied >= s->first_top;
}

int
spool_oldest(struct spool *s, uint64_t *ret)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id, done IS NULL AND flags & 16 = 0 FROM message WHERE id >= ?1 ORDER BY id "
	    "LIMIT ?2",
	    VALUES(NUMBER(s->oldest), NUMBER(OLDEST_STEP)));
	bool found = false;
	int rows = 0;

	for (; !found && database_next(st); rows++) {
		s->oldest = (uint64_t)sqlite3_column_int64(st, 0);
		found = sqlite3_column_int(st, 1) != 0;
	}
	*ret = found || rows == OLDEST_STEP ? s->oldest : 0;
	return database_end(s->db, st, 0);
}

/* ---- writing messages ---- */

/* The 16 octets of a submission id in hexadecimal. False for "" and for what is none. */
static bool
submission_bytes(const char *text, unsigned char *bytes)
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
	unsigned char bytes[16];
	bool submitted = submission_bytes(m->submission, bytes);
	int r = database_run(s->db,
	    "INSERT INTO message (id, submission, account, service, uid, sender, return_to, envid,"
	    " subject, message_id, expires, next, done, size, header_size, flags, ret)"
	    " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
	    " ON CONFLICT (submission) WHERE submission IS NOT NULL DO NOTHING",
	    VALUES(NUMBER(m->id), BLOB(submitted ? bytes : NULL, sizeof(bytes)), TEXT(m->account),
		TEXT(m->service), NUMBER(m->uid), TEXT(m->sender), TEXT(m->return_to),
		FILLED(m->envid), FILLED(m->subject), FILLED(m->message_id), NUMBER(m->expires),
		NUMBER_OR(m->next, SPOOL_NEVER), NUMBER_OR(m->done, 0), NUMBER(m->size),
		NUMBER(m->header_size), NUMBER(m->flags), NUMBER(m->ret)));

	return r < 0 ? r : database_changes(s->db) == 0;
}

static int
insert_recipient(struct spool *s, uint64_t id, size_t n, const struct spool_recipient *r)
{
	CLEANUP_BUF struct buf params = BUF_INIT(1024);
	struct smtp_rcpt_params wire = spool_rcpt_params(r);
	int e = smtp_rcpt_params_format(&params, &wire);

	return e < 0 ? e
		     : database_run(s->db,
			   "INSERT INTO recipient (message, n, address, params, state, attempts,"
			   " interrupted, next) VALUES (?1,?2,?3,?4,?5,0,0,?6)",
			   VALUES(NUMBER(id), NUMBER(n), TEXT(r->address), FILLED(buf_str(&params)),
			       NUMBER(r->state), NUMBER_OR(r->next, SPOOL_NEVER)));
}

int
spool_insert(struct spool *s, const struct spool_message *m)
{
	int r = insert_message(s, m);

	if (r != 0)
		return r;
	if ((m->flags & SPOOL_BODY_FILE) == 0)
		r = database_run(s->db, "INSERT INTO body (message, content) VALUES (?1,?2)",
		    VALUES(NUMBER(m->id), BLOB(m->body, m->body_len)));
	for (size_t i = 0; i < m->count && r == 0; i++)
		r = insert_recipient(s, m->id, i, &m->recipients[i]);
	if (r == 0 && m->done == 0)
		count(s,
		    &(struct spool_row){.id = m->id,
			.account = m->account,
			.service = m->service,
			.size = m->size,
			.flags = m->flags,
			.waits = m->next != SPOOL_NEVER},
		    false);
	return r;
}

int
spool_update_recipient(struct spool *s, uint64_t id, size_t n, const struct spool_recipient *r)
{
	bool tried = r->at != 0;
	int64_t none = tried ? INT64_MIN : 0; /* without an outcome all of it is NULL */

	return database_run(s->db,
	    "UPDATE recipient SET state=?3, attempts=?4, interrupted=?5, next=?6, at=?7, code=?8,"
	    " enhanced=?9, stage=?10, fault=?11, in_doubt=?12, reply=?13 WHERE message=?1 AND n=?2",
	    VALUES(NUMBER(id), NUMBER(n), NUMBER(r->state), NUMBER(r->attempts),
		NUMBER(r->interrupted), NUMBER_OR(r->next, SPOOL_NEVER), NUMBER_OR(r->at, 0),
		NUMBER_OR(tried ? r->reply.code : 0, none),
		FILLED(tried ? r->reply.enhanced : NULL),
		NUMBER_OR(tried ? (int64_t)r->reply.stage : 0, none),
		NUMBER_OR(tried ? (int64_t)r->reply.fault : 0, none),
		NUMBER_OR(tried ? r->reply.in_doubt : 0, none),
		FILLED(tried ? r->reply.text : NULL)));
}

int
spool_update_message(struct spool *s, const struct spool_message *m)
{
	recount(s, m->id, &(struct change){.row = m});
	return database_run(s->db,
	    "UPDATE message SET next=?2, expires=max(expires, ?3), flags=?4 WHERE id=?1",
	    VALUES(NUMBER(m->id), NUMBER_OR(m->next, SPOOL_NEVER), NUMBER(m->expires),
		NUMBER(m->flags)));
}

int
spool_update_account_of(struct spool *s, const struct spool_message *m)
{
	recount(s, m->id, &(struct change){.account = m->account});
	return database_run(s->db, "UPDATE message SET account=?2 WHERE id=?1",
	    VALUES(NUMBER(m->id), TEXT(m->account)));
}

int
spool_prolong(struct spool *s, const char *account, int64_t expires)
{
	return database_run(s->db,
	    "UPDATE message SET expires=?2 WHERE account=?1 AND done IS NULL AND expires < ?2",
	    VALUES(TEXT(account), NUMBER(expires)));
}

static int
delete_body(struct spool *s, uint64_t id)
{
	return database_run(s->db, "DELETE FROM body WHERE message=?1", VALUES(NUMBER(id)));
}

int
spool_finish(struct spool *s, const struct spool_message *m, int64_t now, bool keep)
{
	int r;

	if (!keep)
		return spool_delete(s, m->id);
	recount(s, m->id, &(struct change){.gone = true});
	r = (m->flags & SPOOL_BODY_FILE) != 0 ? 0 : delete_body(s, m->id);
	return r < 0 ? r
		     : database_run(s->db,
			   "UPDATE message SET next=NULL, done=?2, flags=?3 WHERE id=?1",
			   VALUES(NUMBER(m->id), NUMBER(now), NUMBER(m->flags)));
}

int
spool_delete(struct spool *s, uint64_t id)
{
	int r;

	recount(s, id, &(struct change){.gone = true});
	r = database_run(s->db, "DELETE FROM recipient WHERE message=?1", VALUES(NUMBER(id)));
	if (r == 0)
		r = database_run(s->db, "DELETE FROM attempt WHERE message=?1", VALUES(NUMBER(id)));
	if (r == 0)
		r = delete_body(s, id);
	if (r == 0)
		r = database_run(s->db, "DELETE FROM message WHERE id=?1", VALUES(NUMBER(id)));
	return r;
}

int
spool_add_attempt(struct spool *s, uint64_t id, const struct spool_attempt *a)
{
	const char *transcript = database_filled(a->transcript);

	/* the transcript is a blob, whose length is known without reading it */
	return database_run(s->db,
	    "INSERT INTO attempt (message, at, endpoint, tls, mechanism, outcome, transcript, "
	    "stage,"
	    " fault) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
	    VALUES(NUMBER(id), NUMBER(a->at), FILLED(a->endpoint), FILLED(a->tls),
		FILLED(a->mechanism), FILLED(a->outcome),
		BLOB(transcript, transcript == NULL ? 0 : strlen(transcript)), NUMBER(a->stage),
		NUMBER(a->fault)));
}

/* ---- history ---- */

/* A captured message some of whose recipients get it is not removed while these wait for it, or a person
 * has to see to them (SPOOL_FAILED, SPOOL_HELD). */
#define IS_SETTLED                                                                               \
	"NOT EXISTS (SELECT 1 FROM recipient WHERE message = message.id AND state IN (0, 1, 3, " \
	"5, 6))"

/* The ids that the query, which takes them first, gives: at most PURGE_STEP. Their number, or negative errno. */
static int
take_ids(struct spool *s, sqlite3_stmt *st, uint64_t *ids)
{
	int n = 0, r;

	while (n < PURGE_STEP && database_next(st))
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	r = database_end(s->db, st, 0);
	return r < 0 ? r : n;
}

/* Removes them. `captured`: the removal is remembered. */
static int
remove_ids(struct spool *s, const uint64_t *ids, int n, bool captured)
{
	uint64_t top = 0;
	int r = 0;

	for (int i = 0; i < n && r == 0; i++) {
		r = spool_delete(s, ids[i]);
		spool_body_remove(s, ids[i]);
		if (ids[i] > top)
			top = ids[i];
	}
	if (r < 0 || !captured || n == 0)
		return r;
	return database_run(s->db,
	    "INSERT INTO meta VALUES ('captured_removed', ?1)"
	    " ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
	    VALUES(NUMBER(top)));
}

int
spool_purge(struct spool *s, int64_t before, int64_t captured_before, bool *ret_more)
{
	uint64_t ids[PURGE_STEP] = {0};
	int n = take_ids(s,
	    database_query(s->db, "SELECT id FROM message WHERE id < ?1 AND done < ?2 LIMIT ?3",
		VALUES(NUMBER(before * 1000000), NUMBER(before), NUMBER(PURGE_STEP))),
	    ids);
	int r = n < 0 ? n : remove_ids(s, ids, n, false);

	*ret_more = n == PURGE_STEP;
	if (r == 0) {
		n = take_ids(s,
		    database_query(s->db,
			"SELECT id FROM message INDEXED BY message_captured"
			" WHERE flags & 16 <> 0 AND id < ?1 AND " IS_SETTLED " LIMIT ?2",
			VALUES(NUMBER(captured_before * 1000000), NUMBER(PURGE_STEP))),
		    ids);
		*ret_more = *ret_more || n == PURGE_STEP;
		r = n < 0 ? n : remove_ids(s, ids, n, true);
	}
	return r < 0
		   ? r
		   : database_run(s->db,
			 /* what a receiver has not got stays, though not for ever */
			 "DELETE FROM event WHERE at < ?1 AND id NOT IN (SELECT event FROM outbox)"
			 " AND (notified IS NULL OR at < ?2"
			 " OR id <= (SELECT ifnull(min(position), ?3) FROM receiver))",
			 VALUES(
			     NUMBER(before), NUMBER(before - UNREAD_LONGEST), NUMBER(INT64_MAX)));
}

int
spool_limit_captured(struct spool *s, const char *service, uint64_t most, bool *ret_more)
{
	uint64_t ids[PURGE_STEP] = {0};
	int64_t over = tally_of(s->services, service).captured - (int64_t)most;
	int n = 0;

	*ret_more = over > PURGE_STEP;
	if (over > 0)
		n = take_ids(s,
		    database_query(s->db,
			"SELECT id FROM message INDEXED BY message_captured WHERE flags & 16 <> 0"
			" AND service=?1 AND " IS_SETTLED " ORDER BY id LIMIT ?2",
			VALUES(TEXT(service), NUMBER(over < PURGE_STEP ? over : PURGE_STEP))),
		    ids);
	return n < 0 ? n : remove_ids(s, ids, n, true);
}

int
spool_captured(struct spool *s, uint64_t after, uint64_t *ids, size_t max)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id FROM message INDEXED BY message_captured WHERE flags & 16 <> 0 AND id > ?1"
	    " ORDER BY id LIMIT ?2",
	    VALUES(NUMBER(after), NUMBER(max)));
	int n = 0, r;

	while ((size_t)n < max && database_next(st))
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	r = database_end(s->db, st, 0);
	return r < 0 ? r : n;
}

int
spool_captured_removed(struct spool *s, uint64_t *ret)
{
	int64_t id = 0;
	int r = database_number(
	    s->db, "SELECT coalesce(max(value), 0) FROM meta WHERE key='captured_removed'", &id);

	*ret = (uint64_t)id;
	return r;
}

/* The attempt whose transcript, with all newer ones, is more than `most` octets; 0 for none. Looks at
 * lengths alone: every minute, and there may be much of it. */
static int
first_too_many(struct spool *s, uint64_t most, int64_t *ret)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id, length(transcript) FROM attempt WHERE transcript IS NOT NULL ORDER BY id "
	    "DESC",
	    NULL, 0);
	uint64_t sum = 0;

	*ret = 0;
	while (*ret == 0 && database_next(st)) {
		sum += (uint64_t)sqlite3_column_int64(st, 1);
		if (sum > most)
			*ret = sqlite3_column_int64(st, 0);
	}
	return database_end(s->db, st, 0);
}

int
spool_limit_transcripts(struct spool *s, uint64_t most)
{
	int64_t from;
	int r = first_too_many(s, most, &from);

	return r < 0 || from == 0 ? r
				  : database_run(s->db,
					"UPDATE attempt SET transcript=NULL WHERE id <= ?1 AND "
					"transcript IS NOT NULL",
					VALUES(NUMBER(from)));
}

/* ---- reading messages ---- */

/* Copies a column: NULL (not "") only where memory is out, which *r then says. */
static char *
copy_text(sqlite3_stmt *st, int column, int *r)
{
	char *copy = strdup(database_text(st, column));

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
	(void)snprintf(reply->enhanced, sizeof(reply->enhanced), "%s", database_text(st, column));
}

static int
read_params(const char *text, struct spool_recipient *ret, int r)
{
	CLEANUP_BUF struct buf line = BUF_INIT(2048);
	struct smtp_rcpt_params params;
	char address[ADDRESS_MAX + 1];
	const char *why;

	if (*text == '\0')
		return r;
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
	return read_params(database_text(st, 1), ret, r);
}

static int
load_recipients(struct spool *s, struct spool_message *m)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT address, params, state, attempts, interrupted, next, at, code, enhanced, stage,"
	    " fault, in_doubt, reply FROM recipient WHERE message=?1 ORDER BY n",
	    VALUES(NUMBER(m->id)));
	size_t room = 0;
	int r = 0;

	while (r == 0 && database_next(st)) {
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
	return database_end(s->db, st, r);
}

static int
load_body(struct spool *s, struct spool_message *m)
{
	sqlite3_stmt *st = database_query(
	    s->db, "SELECT content FROM body WHERE message=?1", VALUES(NUMBER(m->id)));
	int r = 0;

	if (database_next(st)) {
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
	return database_end(s->db, st, r);
}

/* The end of a query that gives one row: -ENOENT where it gave none. */
static int
end_one(struct spool *s, sqlite3_stmt *st, bool found, int r)
{
	r = database_end(s->db, st, r);
	return r == 0 && !found ? -ENOENT : r;
}

static int
load_message(struct spool *s, uint64_t id, struct spool_message *m)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT account, service, uid, sender, return_to, envid, subject, message_id, expires,"
	    " next, done, size, header_size, flags, ret FROM message WHERE id=?1",
	    VALUES(NUMBER(id)));
	bool found = database_next(st);
	int r = 0;

	if (found) {
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
	}
	return end_one(s, st, found, r);
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
	unsigned char bytes[16];
	sqlite3_stmt *st;

	if (!submission_bytes(submission, bytes))
		return 0;
	st = database_query(
	    s->db, "SELECT 1 FROM message WHERE submission=?1", VALUES(BLOB(bytes, sizeof(bytes))));
	return database_end(s->db, st, database_next(st));
}

int
spool_due(struct spool *s, const char *account, const char *service, int64_t now, uint64_t *ids,
    size_t max, int64_t *ret_next)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id, next FROM message WHERE account=?1 AND service=?2 AND done IS NULL"
	    " AND next > 0 ORDER BY next LIMIT ?3",
	    VALUES(TEXT(account), TEXT(service), NUMBER(max + 1)));
	int n = 0, r;

	*ret_next = SPOOL_NEVER;
	while (database_next(st)) {
		int64_t next = sqlite3_column_int64(st, 1);

		if (next > now || (size_t)n == max) {
			*ret_next = next;
			break;
		}
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	}
	r = database_end(s->db, st, 0);
	return r < 0 ? r : n;
}

int
spool_each_lane(struct spool *s, spool_lane_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT account, service, count(*), min(next) FROM message WHERE done IS NULL"
	    " GROUP BY account, service",
	    NULL, 0);
	int r = 0;

	while (r == 0 && database_next(st))
		r = visit(arg, database_text(st, 0), database_text(st, 1),
		    (uint64_t)sqlite3_column_int64(st, 2), time_or(st, 3, SPOOL_NEVER));
	return database_end(s->db, st, r);
}

int
spool_scan(struct spool *s, uint64_t *after, unsigned max, spool_row_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id, size, account, service, uid, expires, flags, done IS NULL,"
	    " next IS NOT NULL FROM message WHERE id > ?1 ORDER BY id LIMIT ?2",
	    VALUES(NUMBER(*after), NUMBER(max)));
	unsigned rows = 0;
	int stop = 0, r;

	while (stop == 0 && database_next(st)) {
		struct spool_row g = {.id = (uint64_t)sqlite3_column_int64(st, 0),
		    .received = sqlite3_column_int64(st, 0) / 1000000,
		    .size = (uint64_t)sqlite3_column_int64(st, 1),
		    .account = database_text(st, 2),
		    .service = database_text(st, 3),
		    .uid = sqlite3_column_int64(st, 4),
		    .expires = sqlite3_column_int64(st, 5),
		    .flags = (unsigned)sqlite3_column_int64(st, 6),
		    .open = sqlite3_column_int(st, 7) != 0,
		    .waits = sqlite3_column_int(st, 8) != 0};

		*after = g.id;
		rows++;
		stop = visit(arg, &g);
	}
	r = database_end(s->db, st, 0);
	return r < 0 ? r : stop != 0 || rows == max;
}

int
spool_each_attempt(struct spool *s, uint64_t id, spool_attempt_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT at, endpoint, tls, mechanism, outcome, transcript, stage, fault FROM attempt"
	    " WHERE message=?1 ORDER BY id",
	    VALUES(NUMBER(id)));
	int r = 0;

	while (r == 0 && database_next(st)) {
		struct spool_attempt row = {.at = sqlite3_column_int64(st, 0),
		    .endpoint = database_text(st, 1),
		    .tls = database_text(st, 2),
		    .mechanism = database_text(st, 3),
		    .outcome = database_text(st, 4),
		    .transcript = database_text(st, 5),
		    .stage = sqlite3_column_int(st, 6),
		    .fault = sqlite3_column_int(st, 7)};

		r = visit(arg, &row);
	}
	return database_end(s->db, st, r);
}

/* The first column of a query's first row, the caller's; NULL: there is none. */
static char *
one_text(struct spool *s, sqlite3_stmt *st)
{
	char *text = database_next(st) ? strdup(database_text(st, 0)) : NULL;

	(void)database_end(s->db, st, 0);
	return text;
}

char *
spool_load_endpoint(struct spool *s, uint64_t id, int64_t at)
{
	/* they are noted one after the other, perhaps not in the same second */
	return one_text(
	    s, database_query(s->db,
		   "SELECT endpoint FROM attempt WHERE message=?1 AND at BETWEEN ?2-1 AND ?2+1"
		   " AND endpoint IS NOT NULL ORDER BY id DESC LIMIT 1",
		   VALUES(NUMBER(id), NUMBER(at))));
}

int
spool_each_since(
    struct spool *s, const char *service, int64_t since, spool_time_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT id FROM message WHERE id >= ?1 AND service=?2 AND flags & 8 = 0 ORDER BY id",
	    VALUES(NUMBER(since * 1000000), TEXT(service)));

	while (database_next(st))
		visit(arg, sqlite3_column_int64(st, 0));
	return database_end(s->db, st, 0);
}

int
spool_each_attempt_since(struct spool *s, int64_t since, spool_tried_visit *visit, void *arg)
{
	/* ids ascend with time, so the first that is too old ends it */
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT a.at, m.account FROM attempt a JOIN message m ON m.id=a.message"
	    " ORDER BY a.id DESC",
	    NULL, 0);

	while (database_next(st) && sqlite3_column_int64(st, 0) >= since)
		visit(arg, database_text(st, 1), sqlite3_column_int64(st, 0));
	return database_end(s->db, st, 0);
}

int
spool_has_state(struct spool *s, const char *account, enum spool_state state, const char *but)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT 1 FROM message m JOIN recipient r ON r.message = m.id"
	    " WHERE m.account=?1 AND m.service<>?3 AND m.done IS NULL AND r.state=?2 LIMIT 1",
	    VALUES(TEXT(account), NUMBER(state), TEXT(but)));

	return database_end(s->db, st, database_next(st));
}

/* ---- accounts ---- */

int
spool_save_account(struct spool *s, const char *name, const struct spool_account *a)
{
	return database_run(s->db,
	    "INSERT OR REPLACE INTO account (name, held, state, since, until, failures, code,"
	    " enhanced, stage, fault, reply, learned_at)"
	    " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
	    VALUES(TEXT(name), NUMBER(a->schedule.held), NUMBER(a->schedule.server),
		NUMBER(a->schedule.since), NUMBER(a->schedule.until), NUMBER(a->schedule.failures),
		NUMBER(a->reply.code), FILLED(a->reply.enhanced), NUMBER(a->reply.stage),
		NUMBER(a->reply.fault), FILLED(a->reply.text), FILLED(a->learned_at)));
}

int
spool_load_account(struct spool *s, const char *name, struct spool_account *ret)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT held, state, since, until, failures, code, enhanced, stage, fault, reply,"
	    " learned_at FROM account WHERE name=?1",
	    VALUES(TEXT(name)));
	bool found = database_next(st);
	int r = 0;

	*ret = (struct spool_account){0};
	if (found) {
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
	}
	return end_one(s, st, found, r);
}

int
spool_save_used(struct spool *s, const char *name, int64_t at, const char *mechanism)
{
	return database_run(s->db,
	    "INSERT OR REPLACE INTO used (account, at, mechanism) VALUES (?1,?2,?3)",
	    VALUES(TEXT(name), NUMBER(at), FILLED(mechanism)));
}

int
spool_load_used(
    struct spool *s, const char *name, int64_t *ret_at, char *mechanism, size_t mechanism_size)
{
	sqlite3_stmt *st = database_query(
	    s->db, "SELECT at, mechanism FROM used WHERE account=?1", VALUES(TEXT(name)));
	bool found = database_next(st);

	if (found) {
		*ret_at = sqlite3_column_int64(st, 0);
		(void)snprintf(mechanism, mechanism_size, "%s", database_text(st, 1));
	}
	return end_one(s, st, found, 0);
}

int
spool_save_signed(struct spool *s, const char *name, const char *keys)
{
	return database_run(s->db, "INSERT OR REPLACE INTO signed (account, keys) VALUES (?1,?2)",
	    VALUES(TEXT(name), TEXT(keys)));
}

char *
spool_load_signed(struct spool *s, const char *name)
{
	return one_text(s,
	    database_query(s->db, "SELECT keys FROM signed WHERE account=?1", VALUES(TEXT(name))));
}

/* ---- passwords ---- */

int
spool_save_password(
    struct spool *s, const char *service, const uint8_t digest[SHA256_LEN], int64_t at)
{
	return database_run(s->db,
	    "INSERT OR REPLACE INTO password (service, digest, at) VALUES (?1,?2,?3)",
	    VALUES(TEXT(service), BLOB(digest, SHA256_LEN), NUMBER(at)));
}

int
spool_delete_password(struct spool *s, const char *service)
{
	return database_run(s->db, "DELETE FROM password WHERE service=?1", VALUES(TEXT(service)));
}

int
spool_load_password(
    struct spool *s, const char *service, uint8_t digest[SHA256_LEN], int64_t *ret_at)
{
	sqlite3_stmt *st = database_query(
	    s->db, "SELECT digest, at FROM password WHERE service=?1", VALUES(TEXT(service)));
	bool found = database_next(st);
	int r = 0;

	if (found && sqlite3_column_bytes(st, 0) == SHA256_LEN) {
		memcpy(digest, sqlite3_column_blob(st, 0), SHA256_LEN);
		*ret_at = sqlite3_column_int64(st, 1);
	} else if (found) {
		r = -EBADMSG;
	}
	return end_one(s, st, found, r);
}

/* ---- events ---- */

int
spool_add_event(struct spool *s, int64_t at, const char *kind, uint64_t id, const char *account,
    const char *text)
{
	return database_run(s->db,
	    "INSERT INTO event (id, at, kind, message, account, text) VALUES (?1,?2,?3,?4,?5,?6)",
	    VALUES(NUMBER(spool_new_id(s, at * 1000000)), NUMBER(at), TEXT(kind), NUMBER_OR(id, 0),
		FILLED(account), FILLED(text)));
}

int
spool_publish_event(struct spool *s, int64_t now_us, struct spool_event *e)
{
	e->id = spool_new_id(s, now_us);
	tally_change(s->events, e->kind, &(struct tally_sums){.messages = 1}, false);
	if (!e->of_message)
		return database_run(s->db,
		    "INSERT INTO event (id, at, kind, message, account, text, next, notified)"
		    " VALUES (?1,?2,?3,?4,?5,?6,?7,1)",
		    VALUES(NUMBER(e->id), NUMBER(e->at), TEXT(e->kind), NUMBER_OR(e->message, 0),
			FILLED(e->account), FILLED(e->text), FILLED(e->next)));
	s->message_events++;
	return database_run(s->db,
	    "INSERT INTO message_event (id, at, kind, message, account, text, next, service, "
	    "sender,"
	    " recipients, recipient_count, message_id, attempt, code, enhanced, reply, verdict)"
	    " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
	    VALUES(NUMBER(e->id), NUMBER(e->at), TEXT(e->kind), NUMBER_OR(e->message, 0),
		FILLED(e->account), FILLED(e->text), FILLED(e->next), FILLED(e->service),
		TEXT(e->sender), FILLED(e->recipients), NUMBER(e->recipient_count),
		FILLED(e->message_id), NUMBER_OR(e->attempt, 0), NUMBER_OR(e->code, 0),
		FILLED(e->enhanced), FILLED(e->reply), FILLED(e->verdict)));
}

static const char *
text_or_null(sqlite3_stmt *st, int n)
{
	return (const char *)sqlite3_column_text(st, n);
}

/* The columns of an event, in the order of read_event. */
#define CONDITION_COLUMNS                                                                         \
	"e.id, e.at, e.kind, e.message, e.account, e.text, e.next, 0, NULL, NULL, NULL, 0, NULL," \
	" 0, 0, NULL, NULL, NULL"
#define MESSAGE_COLUMNS                                                                           \
	"e.id, e.at, e.kind, e.message, e.account, e.text, e.next, 1, e.service, e.sender,"       \
	" e.recipients, e.recipient_count, e.message_id, e.attempt, e.code, e.enhanced, e.reply," \
	" e.verdict"
enum { EVENT_COLUMNS = 18 };

static struct spool_event
read_event(sqlite3_stmt *st)
{
	return (struct spool_event){.id = (uint64_t)sqlite3_column_int64(st, 0),
	    .at = sqlite3_column_int64(st, 1),
	    .kind = text_or_null(st, 2),
	    .message = (uint64_t)sqlite3_column_int64(st, 3),
	    .account = text_or_null(st, 4),
	    .text = text_or_null(st, 5),
	    .next = text_or_null(st, 6),
	    .of_message = sqlite3_column_int(st, 7) != 0,
	    .service = text_or_null(st, 8),
	    .sender = text_or_null(st, 9),
	    .recipients = text_or_null(st, 10),
	    .recipient_count = (size_t)sqlite3_column_int64(st, 11),
	    .message_id = text_or_null(st, 12),
	    .attempt = (unsigned)sqlite3_column_int(st, 13),
	    .code = (unsigned)sqlite3_column_int(st, 14),
	    .enhanced = text_or_null(st, 15),
	    .reply = text_or_null(st, 16),
	    .verdict = text_or_null(st, 17)};
}

/* ?1 is the first id that is not meant, ?3 to ?7 the filter. Both parts come in the order of their ids, so SQLite
 * merges them and sorts nothing. */
#define EVENTS_FILTERED(columns_of_conditions, columns_of_messages)                    \
	"SELECT " columns_of_conditions " FROM event e"                                \
	" WHERE e.id > ?1 AND e.notified=1 AND NOT ?5 AND (?3 IS NULL OR instr(?3, ' " \
	"'||e.kind||' '))"                                                             \
	" AND (?6 IS NULL OR e.account=?6) AND ?7 IS NULL"                             \
	" UNION ALL SELECT " columns_of_messages " FROM message_event e"               \
	" WHERE e.id > ?1 AND NOT ?4 AND (?3 IS NULL OR instr(?3, ' '||e.kind||' '))"  \
	" AND (?6 IS NULL OR e.account=?6) AND (?7 IS NULL OR e.service=?7)"
#define FILTER_VALUES(f)                                                                          \
	TEXT((f)->kinds), NUMBER((f)->no_messages), NUMBER((f)->no_accounts), TEXT((f)->account), \
	    TEXT((f)->service)

int
spool_each_event(struct spool *s, const struct spool_event_filter *filter, uint64_t after,
    unsigned max, spool_event_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    EVENTS_FILTERED(CONDITION_COLUMNS, MESSAGE_COLUMNS) " ORDER BY 1 LIMIT ?2",
	    VALUES(NUMBER(after), NUMBER(max), FILTER_VALUES(filter)));
	int r = 0;

	while (r == 0 && database_next(st)) {
		struct spool_event e = read_event(st);

		r = visit(arg, &e);
	}
	return database_end(s->db, st, r);
}

int
spool_event_before_last(
    struct spool *s, const struct spool_event_filter *filter, uint64_t count, uint64_t *ret)
{
	sqlite3_stmt *st = database_query(s->db,
	    EVENTS_FILTERED("e.id", "e.id") " ORDER BY 1 DESC LIMIT 1 OFFSET ?2",
	    VALUES(NUMBER(0), NUMBER(count), FILTER_VALUES(filter)));

	*ret = database_next(st) ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	return database_end(s->db, st, 0);
}

uint64_t
spool_last_id(const struct spool *s)
{
	return s->last_id;
}

uint64_t
spool_message_events(const struct spool *s)
{
	return s->message_events;
}

int
spool_trim_events(struct spool *s, int64_t before, uint64_t most, spool_event_visit *visit,
    void *arg, unsigned *ret)
{
	uint64_t over = s->message_events > most ? s->message_events - most : 0, top = 0;
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT " MESSAGE_COLUMNS " FROM message_event e ORDER BY e.id LIMIT ?1",
	    VALUES(NUMBER(TRIM_STEP)));
	int r = 0;

	*ret = 0;
	while (r == 0 && database_next(st)) {
		struct spool_event e = read_event(st);

		if (*ret >= over && e.at >= before)
			break;
		top = e.id;
		++*ret;
		r = visit(arg, &e);
	}
	r = database_end(s->db, st, r);
	if (r < 0 || *ret == 0)
		return r;
	s->message_events -= *ret < s->message_events ? *ret : s->message_events;
	r = database_run(s->db, "DELETE FROM message_event WHERE id <= ?1", VALUES(NUMBER(top)));
	return r < 0 ? r
		     : database_run(s->db,
			   "DELETE FROM outbox WHERE event <= ?1 AND event NOT IN (SELECT id FROM "
			   "event)",
			   VALUES(NUMBER(top)));
}

int
spool_each_standing(struct spool *s, spool_standing_visit *visit, void *arg)
{
	/* an event is made and its condition noted in the same moment, also one about several accounts */
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT " CONDITION_COLUMNS ", n.account"
	    " FROM condition n JOIN event e ON e.at=n.notified AND e.kind=n.kind AND e.notified=1"
	    " ORDER BY e.id",
	    NULL, 0);
	int r = 0;

	while (r == 0 && database_next(st)) {
		struct spool_event e = read_event(st);

		r = visit(arg, text_or_null(st, EVENT_COLUMNS), &e);
	}
	return database_end(s->db, st, r);
}

int
spool_save_condition(struct spool *s, const char *account, const struct spool_condition *n)
{
	return database_run(s->db,
	    "INSERT OR REPLACE INTO condition (account, class, kind, since, notified, level)"
	    " VALUES (?1,?2,?3,?4,?5,?6)",
	    VALUES(TEXT(account), NUMBER(n->class), TEXT(n->kind), NUMBER(n->since),
		NUMBER(n->notified), NUMBER(n->level)));
}

int
spool_delete_condition(struct spool *s, const char *account, unsigned class)
{
	return database_run(s->db, "DELETE FROM condition WHERE account=?1 AND class=?2",
	    VALUES(TEXT(account), NUMBER(class)));
}

int
spool_each_condition(struct spool *s, const char *account, spool_condition_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT class, kind, since, notified, level FROM condition WHERE account=?1",
	    VALUES(TEXT(account)));

	while (database_next(st)) {
		struct spool_condition n = {.class = (unsigned)sqlite3_column_int(st, 0),
		    .kind = text_or_null(st, 1),
		    .since = sqlite3_column_int64(st, 2),
		    .notified = sqlite3_column_int64(st, 3),
		    .level = (unsigned)sqlite3_column_int(st, 4)};

		visit(arg, &n);
	}
	return database_end(s->db, st, 0);
}

/* ---- the outbox ---- */

int
spool_add_outbox(
    struct spool *s, uint64_t event, const char *receiver, unsigned tries, int64_t next)
{
	return database_run(s->db,
	    "INSERT OR REPLACE INTO outbox (event, receiver, tries, next) VALUES (?1,?2,?3,?4)",
	    VALUES(NUMBER(event), TEXT(receiver), NUMBER(tries), NUMBER(next)));
}

int
spool_delete_outbox(struct spool *s, uint64_t event, const char *receiver)
{
	return database_run(s->db, "DELETE FROM outbox WHERE event=?1 AND receiver=?2",
	    VALUES(NUMBER(event), TEXT(receiver)));
}

int
spool_each_outbox(struct spool *s, const char *receiver, spool_outbox_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT " CONDITION_COLUMNS ", o.tries, o.next FROM outbox o JOIN event e"
	    " ON e.id = o.event WHERE o.receiver=?1"
	    " UNION ALL SELECT " MESSAGE_COLUMNS
	    ", o.tries, o.next FROM outbox o JOIN message_event e"
	    " ON e.id = o.event WHERE o.receiver=?1 ORDER BY 1",
	    VALUES(TEXT(receiver)));
	int r = 0;

	while (r == 0 && database_next(st)) {
		struct spool_outbox o = {.event = read_event(st),
		    .tries = (unsigned)sqlite3_column_int(st, EVENT_COLUMNS),
		    .next = sqlite3_column_int64(st, EVENT_COLUMNS + 1)};

		r = visit(arg, &o);
	}
	r = database_end(s->db, st, r);
	return r < 0 ? r : 0;
}

int
spool_add_receiver(struct spool *s, const char *receiver)
{
	int r =
	    database_run(s->db, "INSERT OR IGNORE INTO receiver (name, position) VALUES (?1,?2)",
		VALUES(TEXT(receiver), NUMBER(s->last_id)));

	return r < 0 ? r : database_changes(s->db) > 0;
}

int
spool_delete_receiver(struct spool *s, const char *receiver)
{
	int r = database_run(s->db, "DELETE FROM outbox WHERE receiver=?1", VALUES(TEXT(receiver)));

	return r < 0 ? r
		     : database_run(
			   s->db, "DELETE FROM receiver WHERE name=?1", VALUES(TEXT(receiver)));
}

int
spool_move_receiver(struct spool *s, const char *receiver, uint64_t position)
{
	return database_run(s->db, "UPDATE receiver SET position=?2 WHERE name=?1",
	    VALUES(TEXT(receiver), NUMBER(position)));
}

int
spool_each_receiver(struct spool *s, spool_receiver_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db, "SELECT name, position FROM receiver", NULL, 0);
	int r = 0;

	while (r == 0 && database_next(st))
		r = visit(arg, text_or_null(st, 0), (uint64_t)sqlite3_column_int64(st, 1));
	return database_end(s->db, st, r);
}

/* ---- after a crash, and when the clock was set ---- */

/* Is the file of the body of a message that is open, or captured? */
static bool
body_is_wanted(struct spool *s, uint64_t id)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT 1 FROM message WHERE id=?1 AND done IS NULL AND flags & 4 <> 0",
	    VALUES(NUMBER(id)));

	/* an error is no reason to remove it */
	return database_end(s->db, st, database_next(st)) != 0;
}

static void
remove_orphans(struct spool *s)
{
	int fd = openat(s->bodies, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		uint64_t id;

		if (spool_id_parse(e->d_name, &id) == 0 && !body_is_wanted(s, id))
			spool_body_remove(s, id);
	}
	(void)closedir(d);
}

/* What a recipient that was being sent becomes: set into the statement below. */
static void
format_again(char *to, size_t size, int64_t now)
{
	(void)snprintf(to, size,
	    "interrupted=interrupted+1, next=%" PRId64
	    "+CASE WHEN interrupted > 0 THEN %d + message %% %d ELSE 0 END, state=CASE WHEN "
	    "interrupted < %d THEN %d ELSE %d END",
	    now, SCHEDULE_INTERRUPTED_DELAY, SCHEDULE_INTERRUPTED_DELAY,
	    SCHEDULE_INTERRUPTED_MAX - 1, SPOOL_QUEUED, SPOOL_HELD);
}

static void
format_held(char *to, size_t size, int64_t now)
{
	(void)snprintf(to, size,
	    "interrupted=interrupted+1, next=NULL, state=%d, at=%" PRId64
	    ", code=0, enhanced=NULL, stage=%d, fault=%d, in_doubt=1, reply='%s'",
	    SPOOL_HELD, now, SMTP_STAGE_EOM, SMTP_FAULT_LOCAL, SPOOL_IN_DOUBT_WORDS);
}

static int
visit_interrupted(struct spool *s, spool_interrupted_visit *visit, void *arg)
{
	sqlite3_stmt *st = database_query(s->db,
	    "SELECT DISTINCT message FROM recipient WHERE state=1"
	    " AND message IN (SELECT id FROM message WHERE done IS NULL)",
	    NULL, 0);
	int r = 0;

	while (r == 0 && database_next(st))
		r = visit(arg, (uint64_t)sqlite3_column_int64(st, 0));
	return database_end(s->db, st, r);
}

int
spool_recover(struct spool *s, int64_t now, bool hold, spool_interrupted_visit *visit, void *arg,
    unsigned *ret_interrupted)
{
	static const char sending[] =
	    "message IN (SELECT id FROM message WHERE done IS NULL) AND state=1";
	char sql[SQL_MAX], becomes[SQL_MAX / 2];
	int64_t count = 0;
	int r = spool_begin(s);

	(void)snprintf(
	    sql, sizeof(sql), "SELECT count(DISTINCT message) FROM recipient WHERE %s", sending);
	if (r == 0)
		r = database_number(s->db, sql, &count);
	if (hold)
		format_held(becomes, sizeof(becomes), now);
	else
		format_again(becomes, sizeof(becomes), now);
	(void)snprintf(sql, sizeof(sql),
	    "INSERT INTO attempt (message, at, outcome) SELECT DISTINCT message, %" PRId64
	    ", 'interrupted' FROM recipient WHERE %s;"
	    "UPDATE message SET next=NULL WHERE id IN (SELECT message FROM recipient WHERE %s);"
	    "UPDATE recipient SET %s WHERE %s;"
	    /* Recipients that were not being sent waited for the end of their siblings' try. */
	    "UPDATE message SET next=(SELECT min(next) FROM recipient WHERE message=id"
	    " AND state IN (0, 3)) WHERE done IS NULL AND next IS NULL;",
	    now, sending, sending, becomes, sending);
	if (r == 0 && count > 0)
		r = visit_interrupted(s, visit, arg);
	if (r == 0 && count > 0)
		r = database_script(s->db, sql);
	r = end_transaction(s, r);
	*ret_interrupted = (unsigned)count;
	if (r == 0)
		remove_orphans(s);
	return r;
}

int
spool_shift(struct spool *s, const struct spool_step *step)
{
	static const char open[] = "message IN (SELECT id FROM message WHERE done IS NULL)";
	char sql[SQL_MAX], tried[SQL_MAX / 8];
	int r = spool_begin(s);

	(void)snprintf(
	    tried, sizeof(tried), "at BETWEEN %" PRId64 " AND %" PRId64, step->since, step->until);
	(void)snprintf(sql, sizeof(sql),
	    "UPDATE message SET expires=expires+%" PRId64 " WHERE id >= %" PRIu64
	    " AND done IS NULL;"
	    "UPDATE recipient SET next=next+%" PRId64
	    " WHERE next IS NOT NULL AND (message >= %" PRIu64 " OR %s) AND %s;"
	    "UPDATE recipient SET at=at+%" PRId64 " WHERE %s AND %s;"
	    "UPDATE recipient SET next=%" PRId64 " WHERE next > %" PRId64 " AND %s;"
	    "UPDATE outbox SET next=%" PRId64 " WHERE next > %" PRId64 ";"
	    "UPDATE message SET next=(SELECT min(next) FROM recipient WHERE message=id"
	    " AND state IN (0, 3)) WHERE done IS NULL AND next IS NOT NULL;",
	    step->delta, step->first, step->delta, step->first, tried, open, step->delta, tried,
	    open, step->latest, step->latest, open, step->latest, step->latest);
	if (r == 0)
		r = database_script(s->db, sql);
	r = end_transaction(s, r);
	return r;
}

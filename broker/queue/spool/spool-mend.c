/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-mend.c: what the spool needs when something went wrong outside of it: a process died with
 * mail under way, or the system's clock was set.
 *
 * A recipient that is SENDING when the spool is opened was handed to a network role whose answer
 * nobody wrote down. Its server may have the message: whether it is tried again, where a recipient
 * may get it twice, or held for a person, is the configuration's choice (in-doubt).
 */
#include "broker/queue/spool/spool-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum { SQL_MAX = 2048 };

/* Is the file of the body of a message that is open, or captured? */
static bool
body_is_wanted(struct spool *s, uint64_t id)
{
	sqlite3_stmt *st = spool_prepare(s, STATEMENT_BODY_WANTED,
	    "SELECT 1 FROM message WHERE id=?1 AND done IS NULL AND flags & 4 <> 0");
	bool wanted;

	if (st == NULL)
		return true;
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	wanted = sqlite3_step(st) != SQLITE_DONE;
	(void)sqlite3_reset(st);
	return wanted;
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

int
spool_recover(struct spool *s, int64_t now, bool hold, unsigned *ret_interrupted)
{
	static const char sending[] =
	    "message IN (SELECT id FROM message WHERE done IS NULL) AND state=1";
	char sql[SQL_MAX], becomes[SQL_MAX / 2];
	int64_t count = 0;
	int r = spool_begin(s);

	(void)snprintf(
	    sql, sizeof(sql), "SELECT count(DISTINCT message) FROM recipient WHERE %s", sending);
	if (r == 0)
		r = spool_number(s, sql, &count);
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
		r = spool_run(s, sql);
	if (r == 0)
		r = spool_commit(s);
	else
		spool_rollback(s);
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
		r = spool_run(s, sql);
	if (r == 0)
		r = spool_commit(s);
	else
		spool_rollback(s);
	return r;
}

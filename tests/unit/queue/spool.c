/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/queue/spool/spool.c: what was stored comes back, what a crash left is mended, and
 * no failure of the disk loses or half-stores anything. Faults come from a thin VFS over SQLite's
 * own, which fails the Nth write, sync or truncation, until an N is reached that no longer happens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/queue/spool/vfs.h"
#include "broker/queue/spool/schema.h"
#include "broker/queue/spool/spool.h"

/* ---- a VFS that fails ---- */

static struct {
	sqlite3_vfs vfs, *real;
	unsigned calls, fail_at; /* fail_at 0: never */
	bool lasting;            /* all calls after that one fail as well */
	int code;
} faulty;

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static bool
fails(void)
{
	faulty.calls++;
	return faulty.fail_at != 0 && (faulty.calls == faulty.fail_at ||
					  (faulty.lasting && faulty.calls > faulty.fail_at));
}

#define REAL(f) (((struct faulty_file *)(f))->real)

static int
on_interrupted(void *arg, uint64_t id)
{
	return 0;
}

static int
f_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int
f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int
f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	return fails() ? faulty.code : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int
f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return fails() ? SQLITE_IOERR_TRUNCATE : REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int
f_sync(sqlite3_file *f, int flags)
{
	return fails() ? SQLITE_IOERR_FSYNC : REAL(f)->pMethods->xSync(REAL(f), flags);
}

static int
f_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int
f_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int
f_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int
f_reserved(sqlite3_file *f, int *ret)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}

static int
f_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int
f_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int
f_character(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

/* Version 1: without shared memory, which an exclusive lock does not need. */
static const sqlite3_io_methods methods = {1, f_close, f_read, f_write, f_truncate, f_sync, f_size,
    f_lock, f_unlock, f_reserved, f_control, f_sector, f_character, NULL, NULL, NULL, NULL, NULL,
    NULL};

static int
v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct faulty_file *file = (struct faulty_file *)f;
	int code;

	file->real = (sqlite3_file *)(file + 1);
	code = faulty.real->xOpen(faulty.real, name, file->real, flags, ret_flags);
	file->base.pMethods = code == SQLITE_OK ? &methods : NULL;
	return code;
}

static void
install_faulty_vfs(void)
{
	faulty.real = sqlite3_vfs_find(NULL);
	faulty.vfs = *faulty.real;
	faulty.vfs.zName = "faulty";
	faulty.vfs.szOsFile = (int)sizeof(struct faulty_file) + faulty.real->szOsFile;
	faulty.vfs.xOpen = v_open;
	faulty.vfs.pNext = NULL;
	assert_int_equal(sqlite3_vfs_register(&faulty.vfs, 1), SQLITE_OK);
}

static void
fail_at(unsigned n, bool lasting, int code)
{
	faulty.calls = 0;
	faulty.fail_at = n;
	faulty.lasting = lasting;
	faulty.code = code;
}

/* ---- a spool in a folder of its own ---- */

struct place {
	char dir[64];
	int bodies;
	struct spool *spool;
};

static void
open_spool(struct place *p)
{
	CLEANUP_BUF struct buf why = BUF_INIT(1000);

	if (spool_open(p->dir, p->bodies, &p->spool, &why) < 0)
		fail_msg("%s", buf_str(&why));
}

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char bodies[80];

	assert_non_null(p);
	fail_at(0, false, 0);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/frank-spool-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(bodies, sizeof(bodies), "%s/bodies", p->dir);
	assert_int_equal(mkdir(bodies, 0700), 0);
	p->bodies = open(bodies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_spool(p);
	*state = p;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	return remove(path);
}

static int
teardown(void **state)
{
	struct place *p = *state;

	fail_at(0, false, 0);
	p->spool = spool_close(p->spool);
	close(p->bodies);
	assert_int_equal(nftw(p->dir, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
	free(p);
	return 0;
}

/* As after kill -9: nothing is closed by SQLite's rules. */
static void
crash(struct place *p)
{
	char from[100], to[100], command[400];

	(void)snprintf(from, sizeof(from), "%s", p->dir);
	(void)snprintf(to, sizeof(to), "%s.crash", p->dir);
	(void)snprintf(command, sizeof(command), "rm -rf %s && cp -a %s %s", to, from, to);
	assert_int_equal(system(command), 0);
	p->spool = spool_close(p->spool);
	close(p->bodies);
	(void)snprintf(command, sizeof(command), "rm -rf %s && mv %s %s", from, to, from);
	assert_int_equal(system(command), 0);
	(void)snprintf(command, sizeof(command), "%s/bodies", p->dir);
	p->bodies = open(command, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_spool(p);
}

static struct spool_message
message(struct spool *s, size_t recipients)
{
	struct spool_message m = {
	    .id = spool_new_id(s, 1000000 * 1795514400LL),
	    .account = strdup("billing"),
	    .service = strdup("cron"),
	    .uid = 33,
	    .sender = strdup("billing@example.com"),
	    .envid = strdup(""),
	    .subject = strdup("S\xc3\xbc"),
	    .message_id = strdup("<x@example.com>"),
	    .received = 1795514400,
	    .expires = 1795514400 + 432000,
	    .next = 1795514400,
	    .size = 12,
	    .header_size = 5,
	    .body = strdup("A: b\r\n\r\nhi\r\n"),
	    .body_len = 12,
	    .count = recipients,
	};

	m.recipients = calloc(recipients, sizeof(*m.recipients));
	for (size_t i = 0; i < recipients; i++) {
		char address[40];

		(void)snprintf(address, sizeof(address), "r%zu@example.org", i);
		m.recipients[i].address = strdup(address);
		m.recipients[i].next = m.next;
	}
	return m;
}

static uint64_t
store(struct place *p, struct spool_message *m)
{
	uint64_t id = m->id;

	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_insert(p->spool, m), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	spool_message_clear(m);
	return id;
}

static void
test_message_comes_back(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 3), back;
	uint64_t id;

	(void)snprintf(m.submission, sizeof(m.submission), "00112233445566778899aAbBcCdDeEfF");
	m.return_to = strdup("boss@example.com");
	m.recipients[1].notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY;
	m.recipients[1].orcpt = strdup("rfc822;a+2Bb@c");
	id = store(p, &m);
	assert_int_equal(spool_load(p->spool, id, true, &back), 0);
	assert_string_equal(back.account, "billing");
	assert_string_equal(back.service, "cron");
	assert_string_equal(back.sender, "billing@example.com");
	assert_string_equal(back.return_to, "boss@example.com");
	assert_string_equal(back.subject, "S\xc3\xbc");
	assert_string_equal(back.envid, "");
	assert_int_equal(back.uid, 33);
	assert_int_equal(back.received, 1795514400);
	assert_int_equal(back.next, 1795514400);
	assert_int_equal(back.done, 0);
	assert_int_equal(back.count, 3);
	assert_string_equal(back.recipients[2].address, "r2@example.org");
	assert_int_equal(back.recipients[1].notify, SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
	assert_string_equal(back.recipients[1].orcpt, "rfc822;a+2Bb@c");
	assert_int_equal(back.recipients[0].notify, 0);
	assert_int_equal(back.body_len, 12);
	assert_memory_equal(back.body, "A: b\r\n\r\nhi\r\n", 12);
	assert_int_equal(spool_message_state(&back), SPOOL_QUEUED);
	spool_message_clear(&back);
	assert_int_equal(spool_known(p->spool, "00112233445566778899aabbccddeeff"), 1);
	assert_int_equal(spool_known(p->spool, "00112233445566778899aabbccddeefe"), 0);
	assert_int_equal(spool_known(p->spool, "' OR 1"), 0);
	assert_int_equal(spool_load(p->spool, id + 1, true, &back), -ENOENT);
}

static int
count_glance(void *arg, const struct spool_row *g)
{
	++*(unsigned *)arg;
	return 0;
}

/* Parts of any size, one behind the other, make the whole, each message once. */
static void
test_scans_in_parts(void **state)
{
	enum { MESSAGES = 7 };
	struct place *p = *state;

	for (int i = 0; i < MESSAGES; i++) {
		struct spool_message m = message(p->spool, 1);

		(void)store(p, &m);
	}
	for (unsigned part = 1; part <= MESSAGES + 1; part++) {
		unsigned seen = 0, parts = 1;
		uint64_t after = 0;
		int r;

		while ((r = spool_scan(p->spool, &after, part, count_glance, &seen)) == 1)
			parts++;
		assert_int_equal(r, 0);
		assert_int_equal(seen, MESSAGES);
		assert_int_equal(parts, MESSAGES / part + 1);
	}
}

static void
test_a_submission_is_stored_once(void **state)
{
	struct place *p = *state;
	struct spool_message a = message(p->spool, 1), b = message(p->spool, 1);
	uint64_t after = 0;
	unsigned count = 0;

	(void)snprintf(a.submission, sizeof(a.submission), "00112233445566778899aabbccddeeff");
	(void)snprintf(b.submission, sizeof(b.submission), "00112233445566778899aabbccddeeff");
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_insert(p->spool, &a), 0);
	assert_int_equal(spool_insert(p->spool, &b), 1);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_scan(p->spool, &after, 10, count_glance, &count), 0);
	assert_int_equal(count, 1);
	spool_message_clear(&a);
	spool_message_clear(&b);
}

static void
test_due(void **state)
{
	struct place *p = *state;
	static const int64_t next[] = {50, 10, 30, SPOOL_NEVER, 20, 40};
	uint64_t ids[6], due[10];
	int64_t after;

	for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
		struct spool_message m = message(p->spool, 1);

		m.next = next[i];
		ids[i] = store(p, &m);
	}
	assert_int_equal(spool_due(p->spool, "billing", "cron", 30, due, 10, &after), 3);
	assert_int_equal(due[0], ids[1]);
	assert_int_equal(due[1], ids[4]);
	assert_int_equal(due[2], ids[2]);
	assert_int_equal(after, 40);
	assert_int_equal(spool_due(p->spool, "billing", "cron", 99, due, 2, &after), 2);
	assert_int_equal(after, 30);
	assert_int_equal(spool_due(p->spool, "billing", "cron", 9, due, 10, &after), 0);
	assert_int_equal(after, 10);
	assert_int_equal(spool_due(p->spool, "billing", "web", 99, due, 10, &after), 0);
	assert_int_equal(after, SPOOL_NEVER);
}

static int
count_lane(void *arg, const char *account, const char *service, uint64_t open, int64_t next)
{
	uint64_t *seen = arg;

	assert_string_equal(account, "billing");
	seen[0] += open;
	seen[1] = (uint64_t)next;
	return 0;
}

static int
count_transcript(void *arg, const struct spool_attempt *a)
{
	*(unsigned *)arg += a->transcript[0] != 0;
	return 0;
}

static int
count_attempt(void *arg, const struct spool_attempt *a)
{
	(*(unsigned *)arg)++;
	assert_string_equal(a->outcome, "250 ok");
	assert_string_equal(a->mechanism, "");
	return 0;
}

static void
test_results_and_history(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 2), back;
	uint64_t id = store(p, &m), lanes[2] = {0};
	struct spool_attempt a = {
	    .at = 5, .endpoint = "x:1", .outcome = "250 ok", .transcript = "C: MAIL"};
	unsigned attempts = 0, transcripts;
	bool more;

	assert_int_equal(spool_load(p->spool, id, false, &m), 0);
	m.recipients[0].state = SPOOL_DELIVERED;
	m.recipients[0].at = 77;
	m.recipients[0].next = SPOOL_NEVER;
	m.recipients[0].reply = (struct smtp_reply){
	    .code = 250, .enhanced = "2.0.0", .stage = SMTP_STAGE_EOM, .text = strdup("ok")};
	m.recipients[1].state = SPOOL_DEFERRED;
	m.recipients[1].attempts = 1;
	m.recipients[1].next = 99;
	m.recipients[1].at = 77;
	m.recipients[1].reply = (struct smtp_reply){
	    .fault = SMTP_FAULT_CLOSED, .stage = SMTP_STAGE_EOM, .in_doubt = true};
	m.next = 99;
	m.flags |= SPOOL_WARNED;
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_update_recipient(p->spool, id, 0, &m.recipients[0]), 0);
	assert_int_equal(spool_update_recipient(p->spool, id, 1, &m.recipients[1]), 0);
	assert_int_equal(spool_update_message(p->spool, &m), 0);
	assert_int_equal(spool_add_attempt(p->spool, id, &a), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_load(p->spool, id, false, &back), 0);
	assert_null(back.body);
	assert_int_equal(back.next, 99);
	assert_int_equal(back.flags, SPOOL_WARNED);
	assert_int_equal(spool_message_state(&back), SPOOL_DEFERRED);
	assert_string_equal(back.recipients[0].reply.text, "ok");
	assert_string_equal(back.recipients[0].reply.enhanced, "2.0.0");
	assert_true(back.recipients[1].reply.in_doubt);
	assert_int_equal(back.recipients[1].reply.fault, SMTP_FAULT_CLOSED);
	assert_int_equal(back.recipients[1].attempts, 1);
	spool_message_clear(&back);
	assert_int_equal(spool_each_lane(p->spool, count_lane, lanes), 0);
	assert_int_equal(lanes[0], 1);
	assert_int_equal(lanes[1], 99);
	assert_int_equal(spool_each_attempt(p->spool, id, count_attempt, &attempts), 0);
	assert_int_equal(attempts, 1);

	/* of transcripts the newest stay, as far as they fit; the attempts stay all */
	a.transcript = "0123456789";
	assert_int_equal(spool_begin(p->spool), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(spool_add_attempt(p->spool, id, &a), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_limit_transcripts(p->spool, 29), 0);
	attempts = 0;
	assert_int_equal(spool_each_attempt(p->spool, id, count_attempt, &attempts), 0);
	assert_int_equal(attempts, 4);
	transcripts = 0;
	assert_int_equal(spool_each_attempt(p->spool, id, count_transcript, &transcripts), 0);
	assert_int_equal(transcripts, 2);
	assert_int_equal(spool_limit_transcripts(p->spool, 20), 0);
	transcripts = 0;
	assert_int_equal(spool_each_attempt(p->spool, id, count_transcript, &transcripts), 0);
	assert_int_equal(transcripts, 2);

	/* finished: no longer open, kept as history without its body, then gone */
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_finish(p->spool, &m, m.received + 10, true), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	lanes[0] = 0;
	assert_int_equal(spool_each_lane(p->spool, count_lane, lanes), 0);
	assert_int_equal(lanes[0], 0);
	assert_int_equal(spool_load(p->spool, id, true, &back), 0);
	assert_null(back.body);
	assert_int_equal(back.done, m.received + 10);
	spool_message_clear(&back);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_purge(p->spool, m.received + 10, m.received + 10, &more), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_load(p->spool, id, true, &back), 0);
	spool_message_clear(&back);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_purge(p->spool, m.received + 11, m.received + 11, &more), 0);
	assert_false(more);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_load(p->spool, id, true, &back), -ENOENT);
	attempts = 0;
	assert_int_equal(spool_each_attempt(p->spool, id, count_attempt, &attempts), 0);
	assert_int_equal(attempts, 0);
	spool_message_clear(&m);
}

static void
limit_captured(struct spool *s, uint64_t most)
{
	bool more;

	assert_int_equal(spool_begin(s), 0);
	assert_int_equal(spool_limit_captured(s, "cron", most, &more), 0);
	assert_false(more);
	assert_int_equal(spool_commit(s), 0);
}

/* What is captured goes by number and by age, the oldest first, but not while a recipient waits for it, or a person has to see to
 * one. */
static void
captured_goes(struct place *p, enum spool_state waits)
{
	uint64_t all[6], ids[6], removed;
	bool more;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct spool_message m = message(p->spool, 2);

		all[i] = m.id;
		m.flags |= i == 5 ? 0 : SPOOL_CAPTURE;
		for (size_t k = 0; k < 2; k++)
			m.recipients[k].state = i == 0 && k == 0 ? waits : SPOOL_CAPTURED;
		(void)store(p, &m);
	}
	assert_int_equal(spool_captured(p->spool, 0, ids, 6), 5);
	assert_int_equal(spool_captured(p->spool, all[1], ids, 2), 2);
	assert_int_equal(ids[0], all[2]);
	assert_int_equal(spool_captured_removed(p->spool, &removed), 0);
	assert_int_equal(removed, 0);
	limit_captured(p->spool, 2);
	assert_int_equal(spool_captured(p->spool, 0, ids, 6), 2);
	assert_int_equal(ids[0], all[0]);
	assert_int_equal(ids[1], all[4]);
	assert_int_equal(spool_captured_removed(p->spool, &removed), 0);
	assert_int_equal(removed, all[3]);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_purge(p->spool, 0, (int64_t)(all[5] / 1000000) + 1, &more), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_captured(p->spool, 0, ids, 6), 1);
	assert_int_equal(spool_captured_removed(p->spool, &removed), 0);
	assert_int_equal(removed, all[4]);
}

static void
test_captured_goes(void **state)
{
	captured_goes(*state, SPOOL_DEFERRED);
}

static void
test_captured_stays_held(void **state)
{
	captured_goes(*state, SPOOL_HELD);
}

static void
test_captured_stays_failed(void **state)
{
	captured_goes(*state, SPOOL_FAILED);
}

static void
assert_sums(struct place *p, const char *account, int messages, int waiting, int captured)
{
	struct tally_sums sums = spool_sums_of(p->spool, account);

	assert_int_equal(sums.messages, messages);
	assert_int_equal(sums.waiting, waiting);
	assert_int_equal(sums.captured, captured);
	assert_int_equal(sums.octets, messages * (12 + SPOOL_MESSAGE_OVERHEAD));
}

/* What open mail comes to is right after every change, after one that was rolled back, and after a restart. */
static void
test_sums(void **state)
{
	struct place *p = *state;
	struct spool_message m[3];
	uint64_t oldest;

	for (int i = 0; i < 3; i++) {
		m[i] = message(p->spool, 1);
		if (i == 0) {
			m[i].flags |= SPOOL_CAPTURE;
			m[i].next = SPOOL_NEVER;
		}
		assert_int_equal(spool_begin(p->spool), 0);
		assert_int_equal(spool_insert(p->spool, &m[i]), 0);
		assert_sums(p, "billing", i, i < 2 ? 0 : 1, i > 0);
		assert_int_equal(spool_commit(p->spool), 0);
	}
	assert_sums(p, "billing", 3, 2, 1);
	assert_int_equal(spool_octets_of(p->spool, "cron"), 3 * (12 + SPOOL_MESSAGE_OVERHEAD));
	assert_int_equal(spool_oldest(p->spool, &oldest), 0);
	assert_int_equal(oldest, m[1].id);
	/* one is being sent, and comes back */
	m[1].next = SPOOL_NEVER;
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_update_message(p->spool, &m[1]), 0);
	spool_rollback(p->spool);
	assert_sums(p, "billing", 3, 2, 1);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_update_message(p->spool, &m[1]), 0);
	assert_int_equal(spool_update_message(p->spool, &m[1]), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_sums(p, "billing", 3, 1, 1);
	/* another goes to another account, first its account and then its time */
	free(m[2].account);
	m[2].account = strdup("other");
	assert_int_equal(spool_begin(p->spool), 0);
	m[2].next = SPOOL_NEVER;
	assert_int_equal(spool_update_account_of(p->spool, &m[2]), 0);
	m[2].next = 7;
	assert_int_equal(spool_update_message(p->spool, &m[2]), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_sums(p, "billing", 2, 0, 1);
	assert_sums(p, "other", 1, 1, 0);
	assert_sums(p, "nobody", 0, 0, 0);
	/* counted anew */
	p->spool = spool_close(p->spool);
	open_spool(p);
	assert_false(spool_is_tallied(p->spool));
	while (spool_tally_step(p->spool) == 1)
		;
	assert_true(spool_is_tallied(p->spool));
	assert_sums(p, "billing", 2, 0, 1);
	assert_sums(p, "other", 1, 1, 0);
	/* and gone: one into history, one for good */
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_finish(p->spool, &m[1], 9, true), 0);
	assert_int_equal(spool_delete(p->spool, m[0].id), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_sums(p, "billing", 0, 0, 0);
	assert_int_equal(spool_oldest(p->spool, &oldest), 0);
	assert_int_equal(oldest, m[2].id);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_delete(p->spool, m[2].id), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_sums(p, "other", 0, 0, 0);
	assert_int_equal(spool_octets_of(p->spool, "cron"), 0);
	assert_int_equal(spool_oldest(p->spool, &oldest), 0);
	assert_int_equal(oldest, 0);
	for (int i = 0; i < 3; i++)
		spool_message_clear(&m[i]);
}

static void
test_crash_in_flight(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 2), back;
	unsigned interrupted;
	uint64_t id;

	m.next = SPOOL_NEVER;
	m.recipients[0].state = SPOOL_SENDING;
	m.recipients[0].next = SPOOL_NEVER;
	id = store(p, &m);
	for (unsigned i = 1; i <= 3; i++) {
		crash(p);
		assert_int_equal(
		    spool_recover(p->spool, 100 + i, false, on_interrupted, NULL, &interrupted), 0);
		assert_int_equal(interrupted, 1);
		assert_int_equal(spool_load(p->spool, id, false, &back), 0);
		assert_int_equal(back.recipients[0].interrupted, i);
		assert_int_equal(back.recipients[1].interrupted, 0);
		assert_int_equal(back.recipients[0].state, i < 3 ? SPOOL_QUEUED : SPOOL_HELD);
		/* the second time it waits until the burst of crashes is over */
		if (i < 3)
			assert_in_range(back.next, i == 1 ? 101 : 122, i == 1 ? 101 : 141);
		back.recipients[0].state = SPOOL_SENDING;
		if (i < 3) {
			assert_int_equal(spool_begin(p->spool), 0);
			assert_int_equal(
			    spool_update_recipient(p->spool, id, 0, &back.recipients[0]), 0);
			assert_int_equal(spool_commit(p->spool), 0);
		}
		spool_message_clear(&back);
	}
	assert_int_equal(
	    spool_recover(p->spool, 200, false, on_interrupted, NULL, &interrupted), 0);
	assert_int_equal(interrupted, 0);
}

/* One recipient is held after its third crash, the other waits on: its time must not be lost with the message's. */
static void
test_crash_leaves_siblings_waiting(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 2), back;
	unsigned interrupted;
	uint64_t id;

	m.next = SPOOL_NEVER;
	m.recipients[0].state = SPOOL_SENDING;
	m.recipients[0].next = SPOOL_NEVER;
	m.recipients[0].interrupted = 2;
	m.recipients[1].state = SPOOL_DEFERRED;
	m.recipients[1].next = 500;
	id = m.id;
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_insert(p->spool, &m), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(spool_update_recipient(p->spool, id, i, &m.recipients[i]), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	spool_message_clear(&m);
	crash(p);
	assert_int_equal(
	    spool_recover(p->spool, 100, false, on_interrupted, NULL, &interrupted), 0);
	assert_int_equal(interrupted, 1);
	assert_int_equal(spool_load(p->spool, id, false, &back), 0);
	assert_int_equal(back.recipients[0].state, SPOOL_HELD);
	assert_int_equal(back.recipients[1].state, SPOOL_DEFERRED);
	assert_int_equal(back.next, 500);
	spool_message_clear(&back);
}

static void
test_crash_in_doubt(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 2), back;
	unsigned interrupted;
	uint64_t id;

	m.next = SPOOL_NEVER;
	m.recipients[0].state = SPOOL_SENDING;
	m.recipients[0].next = SPOOL_NEVER;
	id = store(p, &m);
	crash(p);
	assert_int_equal(spool_recover(p->spool, 100, true, on_interrupted, NULL, &interrupted), 0);
	assert_int_equal(interrupted, 1);
	assert_int_equal(spool_load(p->spool, id, false, &back), 0);
	assert_int_equal(back.recipients[0].state, SPOOL_HELD);
	assert_int_equal(back.recipients[0].next, SPOOL_NEVER);
	assert_int_equal(back.recipients[0].at, 100);
	assert_true(back.recipients[0].reply.in_doubt);
	assert_string_equal(back.recipients[0].reply.text, SPOOL_IN_DOUBT_WORDS);
	assert_int_equal(back.recipients[1].state, SPOOL_QUEUED);
	spool_message_clear(&back);
}

/* The times of one message: what the clock's step must and must not move. */
static void
test_clock_steps(void **state)
{
	static const struct {
		bool own;
		int64_t at, next;
		struct spool_step step;
		int64_t wanted_next, wanted_at;
	} rows[] = {
	    /* handed in by this run */
	    {true, 0, 500, {0, 400, 450, 1000, 9000}, 1500, 0},
	    {true, 0, 500, {0, 400, 450, -200, 9000}, 300, 0},
	    /* tried by this run */
	    {false, 420, 500, {0, 400, 450, 1000, 9000}, 1500, 1420},
	    /* neither: before it, or after it by a clock that was wrong then */
	    {false, 300, 500, {0, 400, 450, 1000, 9000}, 500, 300},
	    {false, 460, 500, {0, 400, 450, 1000, 9000}, 500, 460},
	    /* waits longer than any schedule says */
	    {false, 300, 500, {0, 400, 450, -10, 440}, 440, 300},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct place *p = *state;
		struct spool_message m = message(p->spool, 1), back;
		struct spool_step step = rows[i].step;
		int64_t expires = m.expires;
		uint64_t id;

		step.first = m.id + !rows[i].own;
		m.next = m.recipients[0].next = rows[i].next;
		m.recipients[0].state = SPOOL_DEFERRED;
		m.recipients[0].at = rows[i].at;
		id = m.id;
		assert_int_equal(spool_begin(p->spool), 0);
		assert_int_equal(spool_insert(p->spool, &m), 0);
		assert_int_equal(spool_update_recipient(p->spool, id, 0, &m.recipients[0]), 0);
		assert_int_equal(spool_commit(p->spool), 0);
		spool_message_clear(&m);
		assert_int_equal(spool_shift(p->spool, &step), 0);
		assert_int_equal(spool_load(p->spool, id, false, &back), 0);
		assert_int_equal(back.recipients[0].next, rows[i].wanted_next);
		assert_int_equal(back.next, rows[i].wanted_next);
		assert_int_equal(back.recipients[0].at, rows[i].wanted_at);
		assert_int_equal(back.expires, expires + (rows[i].own ? step.delta : 0));
		spool_message_clear(&back);
		assert_int_equal(spool_begin(p->spool), 0);
		assert_int_equal(spool_delete(p->spool, id), 0);
		assert_int_equal(spool_commit(p->spool), 0);
	}
}

static void
test_bodies_in_files(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 1);
	uint64_t orphan = spool_new_id(p->spool, 0), id = m.id;
	unsigned interrupted;
	char bytes[10];
	int fd = spool_body_create(p->spool, m.id);

	assert_true(fd >= 0);
	assert_int_equal(spool_body_create(p->spool, m.id), -EEXIST);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(spool_body_sync(fd), 0);
	close(fd);
	fd = spool_body_create(p->spool, orphan);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(spool_bodies_sync(p->spool), 0);
	m.flags = SPOOL_BODY_FILE;
	(void)store(p, &m);
	crash(p);
	assert_int_equal(spool_recover(p->spool, 0, false, on_interrupted, NULL, &interrupted), 0);
	fd = spool_body_open(p->spool, id);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 5);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	assert_int_equal(spool_body_open(p->spool, orphan), -ENOENT);
	spool_body_remove(p->spool, id);
	assert_int_equal(spool_body_open(p->spool, id), -ENOENT);
}

static void
test_accounts(void **state)
{
	struct place *p = *state;
	struct spool_account a = {.schedule = {.held = true,
				      .server = SCHEDULE_REFUSED,
				      .since = 5,
				      .until = 9,
				      .failures = 3},
	    .reply = {.code = 535,
		.enhanced = "5.7.8",
		.stage = SMTP_STAGE_AUTH,
		.text = (char *)"no"},
	    .learned_at = (char *)"smtp there:587"};
	struct spool_account back;

	assert_int_equal(spool_load_account(p->spool, "billing", &back), -ENOENT);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_begin(p->spool), 0);
		assert_int_equal(spool_save_account(p->spool, "billing", &a), 0);
		assert_int_equal(spool_commit(p->spool), 0);
	}
	assert_int_equal(spool_load_account(p->spool, "billing", &back), 0);
	assert_true(back.schedule.held);
	assert_int_equal(back.schedule.server, SCHEDULE_REFUSED);
	assert_int_equal(back.schedule.until, 9);
	assert_int_equal(back.schedule.failures, 3);
	assert_int_equal(back.reply.code, 535);
	assert_string_equal(back.reply.text, "no");
	assert_string_equal(back.learned_at, "smtp there:587");
	free(back.learned_at);
	smtp_reply_clear(&back.reply);
}

static void
test_ids(void **state)
{
	struct place *p = *state;
	char text[SPOOL_ID_LEN];
	uint64_t a = spool_new_id(p->spool, 1000), b = spool_new_id(p->spool, 1000),
		 c = spool_new_id(p->spool, 5), back;

	assert_int_equal(a, 1000);
	assert_int_equal(b, 1001);
	assert_int_equal(c, 1002); /* the clock went back */
	assert_int_equal(spool_id_parse(spool_id_text(0x3f2aULL, text), &back), 0);
	assert_string_equal(text, "3F2A");
	assert_int_equal(back, 0x3f2a);
	assert_int_equal(spool_id_parse("3f2a", &back), 0);
	assert_int_equal(back, 0x3f2a);
	assert_int_equal(spool_id_parse("", &back), -EINVAL);
	assert_int_equal(spool_id_parse("../x", &back), -EINVAL);
	assert_int_equal(spool_id_parse("00000000000000001", &back), -EINVAL);
	assert_int_equal(spool_id_parse("ffffffffffffffff", &back), -EINVAL);
}

static void
test_ids_go_on_after_restart(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 1);
	uint64_t id = store(p, &m);

	p->spool = spool_close(p->spool);
	open_spool(p);
	assert_true(spool_new_id(p->spool, 1) > id);
}

static void
test_damage_and_strangers(void **state)
{
	struct place *p = *state;
	CLEANUP_BUF struct buf why = BUF_INIT(1000);
	struct spool *second = NULL;
	char path[100], pragma[40];
	sqlite3 *db;
	int fd;

	p->spool = spool_close(p->spool);
	(void)snprintf(path, sizeof(path), "%s/spool.db", p->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version=99",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(spool_open(p->dir, p->bodies, &second, &why), -EPROTO);
	assert_non_null(strstr(buf_str(&why), "newer version"));
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "this is no database ", 20), 20);
	close(fd);
	buf_clear(&why);
	assert_int_equal(spool_open(p->dir, p->bodies, &second, &why), -EBADMSG);
	/* what happened, and what to do: in words, not those of errno */
	assert_non_null(strstr(buf_str(&why), "the spool is damaged"));
	assert_non_null(strstr(buf_str(&why), ".dump"));
	assert_null(strstr(buf_str(&why), "Bad message"));
	assert_null(second);
	assert_int_equal(unlink(path), 0);
	/* what a dump of it makes where nothing can be read: a version, and no tables */
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu", ARRAY_SIZE(migrations));
	assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	buf_clear(&why);
	assert_int_equal(spool_open(p->dir, p->bodies, &second, &why), -EBADMSG);
	assert_non_null(strstr(buf_str(&why), "nothing could be saved"));
	assert_int_equal(unlink(path), 0);
	/* nobody writes there: it is not waited for */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(spool_open(p->dir, p->bodies, &second, &why), -EINVAL);
	assert_int_equal(unlink(path), 0);
	open_spool(p);
}

/* A spool that was closed properly is not checked as a whole; what opening reads of it may be damaged. */
static void
test_damage_of_a_table(void **state)
{
	struct place *p = *state;
	struct spool_message m = message(p->spool, 1);
	CLEANUP_BUF struct buf why = BUF_INIT(1000);
	unsigned char rubbish[65536];
	struct spool *second = NULL;
	sqlite3_int64 root, size;
	sqlite3_stmt *st;
	char path[100];
	sqlite3 *db;
	int fd;

	(void)store(p, &m);
	p->spool = spool_close(p->spool);
	(void)snprintf(path, sizeof(path), "%s/spool.db", p->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
			     "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size"
			     " WHERE name='message'",
			     -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	root = sqlite3_column_int64(st, 0);
	size = sqlite3_column_int64(st, 1);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_in_range(size, 512, sizeof(rubbish));
	memset(rubbish, 0xff, sizeof(rubbish));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, rubbish, (size_t)size, (root - 1) * size), size);
	close(fd);
	assert_int_equal(spool_open(p->dir, p->bodies, &second, &why), -EBADMSG);
	assert_null(second);
	assert_non_null(strstr(buf_str(&why), "the spool is damaged"));
	assert_non_null(strstr(buf_str(&why), ".dump"));
	assert_null(strstr(buf_str(&why), "Bad message"));
	assert_int_equal(unlink(path), 0);
	open_spool(p);
}

/* One turn of the queue's loop: a result, then two new messages. */
static int
turn(struct place *p, uint64_t old, struct spool_message *a, struct spool_message *b)
{
	struct spool_recipient r = {.state = SPOOL_DELIVERED, .at = 7, .next = SPOOL_NEVER};
	struct spool_message finished = {.id = old};
	int e = spool_begin(p->spool);

	if (e == 0)
		e = spool_update_recipient(p->spool, old, 0, &r);
	if (e == 0)
		e = spool_finish(p->spool, &finished, 8, true);
	if (e == 0)
		e = spool_insert(p->spool, a);
	if (e == 0)
		e = spool_insert(p->spool, b);
	if (e == 0)
		return spool_commit(p->spool);
	spool_rollback(p->spool);
	return e;
}

static void
count_stored(
    struct place *p, uint64_t old, uint64_t a, uint64_t b, bool *ret_finished, unsigned *ret_new)
{
	struct spool_message m;

	assert_int_equal(spool_load(p->spool, old, true, &m), 0);
	*ret_finished = m.done != 0;
	assert_int_equal(m.recipients[0].state, m.done != 0 ? SPOOL_DELIVERED : SPOOL_QUEUED);
	assert_int_equal(m.body == NULL, m.done != 0);
	spool_message_clear(&m);
	*ret_new = 0;
	for (int i = 0; i < 2; i++) {
		int r = spool_load(p->spool, i == 0 ? a : b, true, &m);

		if (r == -ENOENT)
			continue;
		assert_int_equal(r, 0);
		assert_int_equal(m.count, 30);
		assert_non_null(m.body);
		spool_message_clear(&m);
		(*ret_new)++;
	}
}

/* What commit said is what is there: after the error, and after a crash. */
static void
fail_every_operation(struct place *p, bool lasting, int code)
{
	for (unsigned n = 1;; n++) {
		struct spool_message old = message(p->spool, 1), a = message(p->spool, 30),
				     b = message(p->spool, 30);
		uint64_t ids[] = {store(p, &old), a.id, b.id};
		bool finished;
		unsigned new, interrupted;
		int r;

		fail_at(n, lasting, code);
		r = turn(p, ids[0], &a, &b);
		if (r < 0)
			assert_true(faulty.calls >= n);
		if (lasting && r < 0) {
			/* nothing of it, and it can be tried again once there is room */
			fail_at(0, false, 0);
			count_stored(p, ids[0], ids[1], ids[2], &finished, &new);
			assert_false(finished);
			assert_int_equal(new, 0);
		}
		if (r < 0) {
			fail_at(0, false, 0);
			assert_int_equal(turn(p, ids[0], &a, &b), 0);
		}
		/* moving the log fails as well as it likes */
		fail_at(n, lasting, code);
		(void)spool_checkpoint(p->spool, true);
		fail_at(0, false, 0);
		crash(p);
		assert_int_equal(
		    spool_recover(p->spool, 9, false, on_interrupted, NULL, &interrupted), 0);
		count_stored(p, ids[0], ids[1], ids[2], &finished, &new);
		assert_true(finished);
		assert_int_equal(new, 2);
		spool_message_clear(&a);
		spool_message_clear(&b);
		if (r == 0)
			break;
		assert_true(n < 200);
	}
}

static void
test_every_write_fails_once(void **state)
{
	fail_every_operation(*state, false, SQLITE_IOERR_WRITE);
}

static void
test_disk_full_from_any_write_on(void **state)
{
	fail_every_operation(*state, true, SQLITE_FULL);
}

static void
test_passwords(void **state)
{
	struct place *p = *state;
	uint8_t one[SHA256_LEN], two[SHA256_LEN], back[SHA256_LEN];
	int64_t at = 0;

	memset(one, 1, sizeof(one));
	memset(two, 2, sizeof(two));
	assert_int_equal(spool_load_password(p->spool, "svc", back, &at), -ENOENT);
	for (int i = 0; i < 2; i++) {
		const uint8_t *digest = i == 0 ? one : two;

		assert_int_equal(spool_begin(p->spool), 0);
		assert_int_equal(spool_save_password(p->spool, "svc", digest, 1000 + i), 0);
		assert_int_equal(spool_commit(p->spool), 0);
		p->spool = spool_close(p->spool);
		open_spool(p);
		assert_int_equal(spool_load_password(p->spool, "svc", back, &at), 0);
		assert_memory_equal(back, digest, sizeof(back));
		assert_int_equal(at, 1000 + i);
		assert_int_equal(spool_load_password(p->spool, "other", back, &at), -ENOENT);
	}
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_delete_password(p->spool, "svc"), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	p->spool = spool_close(p->spool);
	open_spool(p);
	assert_int_equal(spool_load_password(p->spool, "svc", back, &at), -ENOENT);
}

/* What the log's file did not take fails the commit, whichever call met the error first. */
static void
test_lost_writes_fail_the_sync(void **state)
{
	struct place *p = *state;
	sqlite3_vfs *vfs = sqlite3_vfs_find(vfs_name());
	CLEANUP_FREE sqlite3_file *log = calloc(1, (size_t)vfs->szOsFile);
	char path[200];
	sqlite3_int64 size;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL;

	/* a log gets the mode of its database, which has to be there */
	(void)snprintf(path, sizeof(path), "%s/spool.db-wal", p->dir);
	p->spool = spool_close(p->spool);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(vfs->xOpen(vfs, path, log, flags, NULL), SQLITE_OK);
	assert_int_equal(log->pMethods->xWrite(log, "abc", 3, 0), SQLITE_OK);
	fail_at(1, false, SQLITE_FULL);
	assert_int_equal(log->pMethods->xFileSize(log, &size), SQLITE_FULL);
	assert_int_equal(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL), SQLITE_FULL);
	/* a transaction of its own later on is not to blame */
	assert_int_equal(log->pMethods->xWrite(log, "abc", 3, 0), SQLITE_OK);
	assert_int_equal(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(log->pMethods->xFileSize(log, &size), SQLITE_OK);
	assert_int_equal(size, 3);
	assert_int_equal(log->pMethods->xClose(log), SQLITE_OK);
	assert_int_equal(unlink(path), 0);
	open_spool(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_message_comes_back),
	    TEST(test_scans_in_parts),
	    TEST(test_a_submission_is_stored_once),
	    TEST(test_due),
	    TEST(test_results_and_history),
	    TEST(test_captured_goes),
	    TEST(test_captured_stays_held),
	    TEST(test_captured_stays_failed),
	    TEST(test_sums),
	    TEST(test_crash_in_flight),
	    TEST(test_crash_in_doubt),
	    TEST(test_clock_steps),
	    TEST(test_crash_leaves_siblings_waiting),
	    TEST(test_bodies_in_files),
	    TEST(test_accounts),
	    TEST(test_passwords),
	    TEST(test_ids),
	    TEST(test_ids_go_on_after_restart),
	    TEST(test_damage_and_strangers),
	    TEST(test_damage_of_a_table),
	    TEST(test_lost_writes_fail_the_sync),
	    TEST(test_every_write_fails_once),
	    TEST(test_disk_full_from_any_write_on),
	};

	install_faulty_vfs();
	return cmocka_run_group_tests_name("queue/spool", tests, NULL, NULL);
}

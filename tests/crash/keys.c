/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keys.c: dies, and runs out of disk, at every file operation of a change of the master key, and looks
 * at what is left.
 *
 * A store with two key slots and the records of four accounts (one of them large, one with a name too
 * long for a file's) gets a new master key. A child does it and dies at the Nth operation, in the ways
 * of disk.h; then this process does it with the Nth operation failing, and with all from the Nth on
 * failing, for want of space. After each the store must open by both keys, each record must be there
 * whole, and going on must end with no record left under the key before. Then N + 1.
 *
 * A backup is written the same way, onto a disk that fails at each operation; whatever prefix of it is
 * left by whatever death is no backup, and the whole one is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/crash/disk.h"
#include "tokenstore/backup.h"
#include "tokenstore/store.h"

enum { ACCOUNTS = 4, FILES_MAX = 16, LARGE = 20000 };

static char long_name[230];
static const char *const names[ACCOUNTS] = {"billing", "a%b c", "large", long_name};
static const char *const keys[2] = {
    "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"};

static struct store *
open_by(const struct file_ops *ops, int dir, int which)
{
	CLEANUP_SECRET struct secret *key = secret_new(keys[which], strlen(keys[which]));
	enum store_trouble trouble;
	struct store *s = NULL;
	bool made;
	int r = store_open(ops, dir, KEYSLOT_KEY_FILE, key, 0, &s, &made, &trouble);

	CHECK(r == 0, "key %d: %s: %s", which, store_trouble_text(trouble), strerror(-r));
	return s;
}

static struct secret *
record_of(int account)
{
	struct secret *s = secret_new_zero(account == 2 ? LARGE : 100);

	memset(secret_fill(s), 'a' + account, secret_len(s));
	return s;
}

static void
fill(int dir)
{
	CLEANUP_SECRET struct secret *second = secret_new(keys[1], strlen(keys[1]));
	struct store *s;

	disk_empty(dir);
	s = open_by(&file_ops_system, dir, 0);
	CHECK(store_key_add(s, KEYSLOT_CREDENTIAL, second, 0) == 0, "the second slot");
	for (int i = 0; i < ACCOUNTS; i++) {
		CLEANUP_SECRET struct secret *record = record_of(i);
		struct store_account *a;

		CHECK(store_account_open(s, names[i], &a) == 0, "memory");
		for (int n = 0; n <= i; n++)
			CHECK(store_account_write(a, 1, record, false) == 0, "the real disk");
		(void)store_account_free(a);
	}
	(void)store_free(s);
}

struct files {
	char names[FILES_MAX][256];
	size_t count;
};

static int
take_file(void *arg, const char *name)
{
	struct files *f = arg;

	CHECK(f->count < FILES_MAX, "too many files");
	(void)snprintf(f->names[f->count++], sizeof(f->names[0]), "%s", name);
	return 0;
}

/* 0 once no record is under the key before; else the first error, the rest having been tried. */
static int
reseal(struct store *s)
{
	struct files files = {.count = 0};
	int r = store_walk(s, take_file, &files);

	for (size_t i = 0; i < files.count; i++) {
		int one = store_reseal(s, files.names[i], NULL);

		if (one < 0 && one != -EINVAL && r == 0)
			r = one;
	}
	return r < 0 ? r : store_reseal_end(s);
}

static int
rotate(struct store *s)
{
	CLEANUP_SECRET struct secret *first = secret_new(keys[0], strlen(keys[0])),
				     *second = secret_new(keys[1], strlen(keys[1]));
	const struct store_opener by[] = {{.key = first}, {.key = second}};
	unsigned slot;
	int r = store_rotate(s, by, 2, 1, &slot);

	return r < 0 ? r : reseal(s);
}

/* Every record is there. */
static void
look(struct store *s, unsigned long at)
{
	for (int i = 0; i < ACCOUNTS; i++) {
		CLEANUP_SECRET struct secret *want = record_of(i), *got = NULL;
		struct store_account *a;

		CHECK(store_account_open(s, names[i], &a) == 0, "memory");
		got = store_account_take(a);
		CHECK(store_account_status(a) == FILE_GOOD, "operation %lu: %s: %s", at, names[i],
		    store_file_status_name(store_account_status(a)));
		CHECK(secret_equal(got, want), "operation %lu: %s", at, names[i]);
		(void)store_account_free(a);
	}
}

struct tally {
	unsigned times, before, between, after;
};

/* What is left opens by both keys, and going on ends it. `old_id` are the octets of a file under the
 * first master key. */
static void
go_on(int dir, unsigned long at, const struct buf *old, struct tally *t)
{
	struct buf now CLEANUP_BUF = BUF_INIT(64 * 1024);
	struct store *s = open_by(&file_ops_system, dir, 1);
	struct store_keys list;
	int fd;

	look(s, at);
	(void)store_free(s);
	s = open_by(&file_ops_system, dir, 0);
	look(s, at);
	CHECK(store_keys_list(s, &list) == 0 && list.count == 2, "operation %lu: slots", at);
	fd = openat(dir, "keyslots", O_RDONLY | O_CLOEXEC);
	CHECK(buf_reserve(&now, 8192) == 0, "memory");
	now.len = (size_t)read(fd, now.data, 8192);
	close(fd);
	t->times++;
	if (list.resealing)
		t->between++;
	else if (now.len == old->len && memcmp(now.data, old->data, old->len) == 0)
		t->before++;
	else
		t->after++;
	CHECK(reseal(s) == 0, "operation %lu: going on", at);
	CHECK(store_keys_list(s, &list) == 0 && !list.resealing, "operation %lu: the end", at);
	(void)store_free(s);
	/* The key before is gone now: whatever still opens is under the new one. */
	s = open_by(&file_ops_system, dir, 0);
	look(s, at);
	CHECK(store_ledger_bad(s) == 0, "operation %lu: the ledger", at);
	(void)store_free(s);
}

static void
read_keyslots(int dir, struct buf *ret)
{
	int fd = openat(dir, "keyslots", O_RDONLY | O_CLOEXEC);

	buf_clear(ret);
	CHECK(fd >= 0 && buf_reserve(ret, 8192) == 0, "keyslots");
	ret->len = (size_t)read(fd, ret->data, 8192);
	close(fd);
}

static void
die_everywhere(int dir, enum death death)
{
	struct buf old CLEANUP_BUF = BUF_INIT(64 * 1024);
	struct tally t = {0};

	for (unsigned long at = 1;; at++) {
		int status;
		pid_t pid;

		fill(dir);
		read_keyslots(dir, &old);
		pid = fork();
		if (pid == 0) {
			struct file_ops ops = disk_ops(death);
			struct store *s = open_by(&ops, dir, 0);

			disk_arm(at);
			CHECK(rotate(s) == 0, "rotation");
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "operation %lu", at);
		if (WEXITSTATUS(status) == 0)
			break;
		CHECK(WEXITSTATUS(status) == FAULTY_STATUS, "operation %lu: status %d", at,
		    WEXITSTATUS(status));
		go_on(dir, at, &old, &t);
	}
	printf(
	    "new master key, %-26s %3u times: %2u before it was in force, %2u while records were "
	    "re-sealed, %2u after; every record opened, by both keys\n",
	    death_names[death], t.times, t.before, t.between, t.after);
	CHECK(t.times > 30 && t.before > 2 && t.between > 20, "the test did not do what it is for");
}

static void
fail_everywhere(int dir, bool for_good, enum faulty_how how)
{
	struct buf old CLEANUP_BUF = BUF_INIT(64 * 1024);
	struct tally t = {0};
	unsigned failed = 0;

	for (unsigned long at = 1;; at++) {
		struct faulty faults = {.error = ENOSPC, .for_good = for_good, .how = how};
		struct file_ops ops = faulty_ops(&faults);
		struct store *s;
		int r;

		fill(dir);
		read_keyslots(dir, &old);
		s = open_by(&ops, dir, 0);
		faults.count = 0;
		faults.at = at;
		r = rotate(s);
		CHECK(r == 0 || r == -ENOSPC || r == -EIO, "operation %lu: %s", at, strerror(-r));
		failed += r < 0;
		faults.at = 0;
		look(s, at); /* it goes on working in the process that saw the error, too */
		(void)store_free(s);
		if (!faults.reached)
			break;
		go_on(dir, at, &old, &t);
	}
	printf("new master key, full disk (%s) %3u times, %2u said so: %2u before it was in force, "
	       "%2u while "
	       "records were re-sealed, %2u after; every record opened\n",
	    for_good ? "from then on" : "once       ", t.times, failed, t.before, t.between,
	    t.after);
	CHECK(t.times > 50 && failed > 40, "the test did not do what it is for");
}

/* ---- backup ---- */

static int
write_backup(const struct file_ops *ops, int fd, const struct secret *passphrase)
{
	struct backup b;
	int r = backup_write_begin(&b, ops, fd, passphrase, 1);

	for (int i = 0; i < 3 && r == 0; i++) {
		CLEANUP_SECRET struct secret *record = record_of(i);

		r = backup_write_record(&b, names[i], 7, record);
	}
	if (r == 0)
		r = backup_write_end(&b);
	backup_clear(&b);
	return r;
}

static enum backup_verdict
read_backup(int fd, const struct secret *passphrase, unsigned *ret_records)
{
	enum backup_verdict v;
	struct backup b;

	*ret_records = 0;
	v = backup_read_begin(&b, &file_ops_system, fd, passphrase);
	while (v == BACKUP_GOOD) {
		struct backup_record record;

		v = backup_read_record(&b, &record);
		if (v == BACKUP_GOOD) {
			CLEANUP_SECRET struct secret *want = record_of((int)*ret_records);

			CHECK(secret_equal(record.payload, want) && record.generation == 7 &&
				  strcmp(record.name, names[*ret_records]) == 0,
			    "record %u", *ret_records);
			++*ret_records;
		}
		backup_record_clear(&record);
	}
	backup_clear(&b);
	return v;
}

static void
backup_everywhere(int dir)
{
	CLEANUP_SECRET struct secret *passphrase = secret_new("correct horse", 13);
	unsigned records, refused = 0, times = 0;
	off_t size;
	int fd = openat(dir, "backup", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (unsigned long at = 1;; at++) {
		struct faulty faults = {.error = ENOSPC, .at = at, .how = FAULTY_SHORT};
		struct file_ops ops = faulty_ops(&faults);
		int r;

		CHECK(ftruncate(fd, 0) == 0, "the real disk");
		r = write_backup(&ops, fd, passphrase);
		CHECK(r == (faults.reached ? -ENOSPC : 0), "operation %lu: %d", at, r);
		if (!faults.reached)
			break;
		times++;
		/* all but a failed sync leave less than a backup */
		refused += read_backup(fd, passphrase, &records) == BACKUP_DAMAGED;
	}
	CHECK(refused >= times - 1 && times >= 6, "%u of %u", refused, times);
	CHECK(read_backup(fd, passphrase, &records) == BACKUP_END && records == 3, "the whole one");
	printf("backup, full disk %u times: each said so, and what was left was refused %u times\n",
	    times, refused);
	size = lseek(fd, 0, SEEK_END);
	/* at the end of the file, of its last frame's inside, of its length, of the frame before */
	for (off_t cut = size - 1; cut > 0; cut -= cut > size - 29 ? 14 : 5555) {
		CHECK(ftruncate(fd, cut) == 0, "the real disk");
		CHECK(read_backup(fd, passphrase, &records) == BACKUP_DAMAGED, "cut at %ld",
		    (long)cut);
	}
	close(fd);
}

int
main(void)
{
	char path[128];
	int dir;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	log_open("crash-keys", LOG_LEVEL_ERROR);
	memset(long_name, 'n', sizeof(long_name) - 1);
	(void)snprintf(path, sizeof(path), "%s/frank-crash-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	CHECK(mkdtemp(path) != NULL, "%s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0, "%s", path);
	for (unsigned death = 0; death < DEATHS; death++)
		die_everywhere(dir, (enum death)death);
	fail_everywhere(dir, false, FAULTY_FAIL);
	fail_everywhere(dir, true, FAULTY_SHORT);
	backup_everywhere(dir);
	disk_empty(dir);
	close(dir);
	(void)rmdir(path);
	return 0;
}

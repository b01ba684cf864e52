/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool-space.c: the space that the spool holds ready, and what it gives back.
 *
 * On a full disk the spool must still be written: a delivery is put on record, and what frees space,
 * deleting, is written first. So the blocks of the log, and some behind the end of the database, are
 * allocated beforehand (fallocate, without changing the sizes that SQLite sees). Nobody outside can
 * take them meanwhile, as could happen with a reserve that is given up in need. A file system that
 * writes every block anew (btrfs, zfs) makes this no promise.
 *
 * Pages that deleted mail leaves are used again first; many of them are given back to the file
 * system, in steps, when there is nothing else to do. A database of an earlier version cannot do that
 * in steps: it is written anew once, when little is left in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "broker/queue/spool/spool-internal.h"

enum {
	MEGABYTE = 1024 * 1024,
	LOG_RESERVE = 12 * MEGABYTE,
	FILE_RESERVE = 4 * MEGABYTE,
	LOG_SHARE = 16, /* of a small file system no more than this part of it */
	FILE_SHARE = 48,
	FREE_MANY = 2048,     /* pages: so many are given back ... */
	FREE_KEPT = 512,      /* ... but for these, which mail is about to use */
	SHRINK_STEP = 512,    /* pages */
	REWRITTEN_MAX = 4096, /* pages in use of a database that is written anew */
};

static uint64_t
at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

void
spool_space_measure(struct spool *s)
{
	struct statvfs fs;
	uint64_t size = UINT64_MAX;

	if (fstatvfs(s->file, &fs) == 0 && fs.f_blocks > 0)
		size = (uint64_t)fs.f_blocks * fs.f_frsize;
	s->log_reserve = at_most(LOG_RESERVE, size / LOG_SHARE);
	s->file_reserve = at_most(FILE_RESERVE, size / FILE_SHARE);
}

int
spool_reserve(struct spool *s)
{
	struct stat st;
	int r = 0;

	if (fstat(s->file, &st) < 0)
		return -errno;
	if (s->reserved && st.st_size == s->reserved_behind)
		return 0;
	if (fallocate(s->log, FALLOC_FL_KEEP_SIZE, 0, (off_t)s->log_reserve) < 0 ||
	    fallocate(s->file, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)s->file_reserve) < 0)
		r = -errno;
	s->reserved = r == 0 || r == -EOPNOTSUPP;
	s->reserved_behind = st.st_size;
	return r;
}

bool
spool_make_room(struct spool *s)
{
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) !=
	    SQLITE_OK)
		return false;
	s->log_pages = 0;
	return true;
}

/* How many pages the file has, how many of them are free. */
static int
count_pages(struct spool *s, int64_t *ret_all, int64_t *ret_free)
{
	int r = spool_number(s, "PRAGMA page_count", ret_all);

	return r < 0 ? r : spool_number(s, "PRAGMA freelist_count", ret_free);
}

static bool
is_incremental(struct spool *s)
{
	int64_t mode;

	return spool_number(s, "PRAGMA auto_vacuum", &mode) == 0 && mode == 2;
}

bool
spool_may_shrink(struct spool *s)
{
	int64_t all, unused;

	return count_pages(s, &all, &unused) == 0 && unused > FREE_MANY &&
	       (is_incremental(s) || all - unused <= REWRITTEN_MAX);
}

int
spool_shrink(struct spool *s)
{
	char step[64];
	int64_t all, unused;
	int r = count_pages(s, &all, &unused);

	if (r < 0 || unused <= FREE_KEPT)
		return r;
	if (!is_incremental(s)) {
		if (all - unused > REWRITTEN_MAX)
			return 0;
		r = spool_run(s, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM;");
		(void)spool_checkpoint(s, false);
		return r;
	}
	(void)snprintf(step, sizeof(step), "PRAGMA incremental_vacuum(%d)",
	    (int)at_most((uint64_t)(unused - FREE_KEPT), SHRINK_STEP));
	r = spool_run(s, step);
	(void)spool_checkpoint(s, false);
	return r < 0 ? r : unused - SHRINK_STEP > FREE_KEPT;
}

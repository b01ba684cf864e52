/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * vfs.c: what SQLite writes to its log goes to the kernel in one piece.
 *
 * A commit appends a few pages to the log, each as two writes (a header of 24 octets, the page), and
 * syncs it. Collected here until the sync, or until anybody looks at the file, they are one write:
 * a message costs one system call instead of sixteen, while its caller waits. Nothing else changes:
 * before xSync returns, everything is with the kernel and synced, and what a crash takes before
 * that was not promised to anybody. An error of the write comes with the sync, and fails the commit,
 * also where it was met before by a call whose error SQLite may pass over.
 *
 * Only the log is treated so; every other file is SQLite's own.
 */
#include "broker/queue/spool/vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECT_MAX = 128 * 1024 };

struct log_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
	unsigned char *bytes;
	int len;
	sqlite3_int64 at; /* where they belong */
	int lost;         /* the error with which some did not get there; SQLITE_OK: none */
};

static sqlite3_vfs layer, *below;

static struct log_file *
log_of(sqlite3_file *f)
{
	return (struct log_file *)f;
}

/* The file is as SQLite believes it to be. */
static int
flush(struct log_file *l)
{
	int len = l->len, r;

	l->len = 0;
	if (len == 0)
		return SQLITE_OK;
	r = l->real->pMethods->xWrite(l->real, l->bytes, len, l->at);
	if (r != SQLITE_OK)
		l->lost = r;
	return r;
}

static int
log_close(sqlite3_file *f)
{
	struct log_file *l = log_of(f);
	int written = flush(l), r = l->real->pMethods->xClose(l->real);

	free(l->bytes);
	return written != SQLITE_OK ? written : r;
}

static int
log_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
	struct log_file *l = log_of(f);
	int r = flush(l);

	return r != SQLITE_OK ? r : l->real->pMethods->xRead(l->real, to, len, at);
}

static int
log_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
	struct log_file *l = log_of(f);

	if (at != l->at + l->len || len > COLLECT_MAX - l->len) {
		int r = flush(l);

		if (r != SQLITE_OK)
			return r;
		l->at = at;
	}
	if (len > COLLECT_MAX)
		return l->real->pMethods->xWrite(l->real, bytes, len, at);
	memcpy(l->bytes + l->len, bytes, (size_t)len);
	l->len += len;
	return SQLITE_OK;
}

static int
log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct log_file *l = log_of(f);
	int r = flush(l);

	return r != SQLITE_OK ? r : l->real->pMethods->xTruncate(l->real, size);
}

static int
log_sync(sqlite3_file *f, int flags)
{
	struct log_file *l = log_of(f);
	int r;

	(void)flush(l);
	r = l->lost;
	l->lost = SQLITE_OK;
	return r != SQLITE_OK ? r : l->real->pMethods->xSync(l->real, flags);
}

static int
log_size(sqlite3_file *f, sqlite3_int64 *size)
{
	struct log_file *l = log_of(f);
	int r = flush(l);

	return r != SQLITE_OK ? r : l->real->pMethods->xFileSize(l->real, size);
}

static int
log_lock(sqlite3_file *f, int level)
{
	return log_of(f)->real->pMethods->xLock(log_of(f)->real, level);
}

static int
log_unlock(sqlite3_file *f, int level)
{
	return log_of(f)->real->pMethods->xUnlock(log_of(f)->real, level);
}

static int
log_check_lock(sqlite3_file *f, int *ret)
{
	return log_of(f)->real->pMethods->xCheckReservedLock(log_of(f)->real, ret);
}

static int
log_control(sqlite3_file *f, int what, void *arg)
{
	struct log_file *l = log_of(f);
	int r = flush(l);

	return r != SQLITE_OK ? r : l->real->pMethods->xFileControl(l->real, what, arg);
}

static int
log_sector_size(sqlite3_file *f)
{
	return log_of(f)->real->pMethods->xSectorSize(log_of(f)->real);
}

static int
log_characteristics(sqlite3_file *f)
{
	return log_of(f)->real->pMethods->xDeviceCharacteristics(log_of(f)->real);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int
layer_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct log_file *l = log_of(f);
	int r;

	if ((flags & SQLITE_OPEN_WAL) == 0)
		return below->xOpen(below, name, f, flags, ret_flags);
	*l = (struct log_file){.real = (sqlite3_file *)(l + 1), .bytes = malloc(COLLECT_MAX)};
	if (l->bytes == NULL)
		return SQLITE_NOMEM;
	r = below->xOpen(below, name, l->real, flags, ret_flags);
	if (l->real->pMethods == NULL) {
		free(l->bytes);
		return r;
	}
	/* xClose is called even after an error. */
	l->base.pMethods = &log_methods;
	return r;
}

const char *
vfs_name(void)
{
	if (layer.zName != NULL)
		return layer.zName;
	below = sqlite3_vfs_find(NULL);
	if (below == NULL)
		return NULL;
	layer = *below;
	layer.pNext = NULL;
	layer.szOsFile = (int)sizeof(struct log_file) + below->szOsFile;
	layer.zName = "frank-spool";
	layer.xOpen = layer_open;
	if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
		layer.zName = NULL;
	return layer.zName;
}

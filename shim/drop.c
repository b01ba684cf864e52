/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * drop.c: a message kept for a daemon that is down.
 *
 * The directory is write-only for everybody but the daemon (mode 3733): the file is written as
 * .<id>.tmp, synced, and renamed to <id>.drop, which the daemon takes in with the file's owner as
 * the caller. Its content is what would have gone to the socket. Mode 0640 lets the daemon's group
 * read it, which the setgid directory gives to the file.
 *
 * A file system that is nearly full takes none: what is left is for the daemon.
 *
 * The rename must be durable, too. Who may not read the directory cannot sync it; then the whole
 * file system is synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "shim/shim.h"

enum { RESERVE_BYTES = 16 * 1024 * 1024, RESERVE_FILES = 1000 };

static void
name_file(char *out, size_t size, const char *before, const char *id, const char *after)
{
	size_t len = 0;
	const char *const parts[] = {before, id, after};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (const char *s = parts[i]; *s != '\0' && len < size - 1; s++)
			out[len++] = *s;
	out[len] = '\0';
}

/* Programs that loop while the daemon is down must leave it room to start. A file system in memory
 * may know no size. */
bool
drop_disk_is_nearly_full(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 &&
	       ((fs.f_blocks > 0 && fs.f_frsize > 0 && fs.f_bavail < RESERVE_BYTES / fs.f_frsize) ||
		   (fs.f_files > 0 && fs.f_favail < RESERVE_FILES));
}

int
drop_open(struct drop_file *d, const char *directory, const char *id)
{
	int error;

	d->file = -1;
	/* A limit on the size of files then fails the write, as a full disk does: the signal would end us and
	 * leave the file behind. */
	(void)signal(SIGXFSZ, SIG_IGN);
	d->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->directory < 0)
		return -errno;
	if (drop_disk_is_nearly_full(d->directory)) {
		drop_abandon(d);
		return -ENOSPC;
	}
	name_file(d->name, sizeof(d->name), ".", id, ".tmp");
	d->file = openat(
	    d->directory, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	/* whatever the caller's umask is */
	if (d->file >= 0 && fchmod(d->file, 0640) == 0)
		return 0;
	error = -errno;
	drop_abandon(d);
	return error;
}

int
drop_write(struct drop_file *d, const char *bytes, size_t len)
{
	return io_write_all(d->file, bytes, len);
}

static void
close_both(struct drop_file *d)
{
	if (d->file >= 0)
		(void)close(d->file);
	if (d->directory >= 0)
		(void)close(d->directory);
	d->file = d->directory = -1;
}

void
drop_abandon(struct drop_file *d)
{
	if (d->file >= 0)
		(void)unlinkat(d->directory, d->name, 0);
	close_both(d);
}

static int
sync_directory(const struct drop_file *d)
{
	int readable = openat(d->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (readable < 0)
		return syncfs(d->file) < 0 ? -errno : 0;
	r = fsync(readable) < 0 ? -errno : 0;
	(void)close(readable);
	return r;
}

int
drop_sync(struct drop_file *d)
{
	return fsync(d->file) < 0 ? -errno : 0;
}

int
drop_commit(struct drop_file *d)
{
	char id[sizeof(d->name)], last[sizeof(d->name)];
	int r = 0;

	/* ".<id>.tmp" without its ends */
	name_file(id, strlen(d->name) - strlen(".tmp"), "", d->name + 1, "");
	name_file(last, sizeof(last), "", id, ".drop");
	if (renameat(d->directory, d->name, d->directory, last) < 0) {
		r = -errno;
		drop_abandon(d);
		return r;
	}
	r = sync_directory(d);
	/* Not known to be durable: take it back, so that the caller's next try makes no second one.
	 */
	if (r < 0)
		(void)unlinkat(d->directory, last, 0);
	close_both(d);
	return r;
}

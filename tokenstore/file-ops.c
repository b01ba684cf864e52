/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * file-ops.c: see file-ops.h. The system's file operations with EINTR retried and errno made
 * negative.
 */
#include "tokenstore/file-ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int
system_openat(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	int fd;

	do
		fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int
system_close(void *arg, int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static int64_t
system_size(void *arg, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? st.st_size : -EINVAL;
}

static ssize_t
system_pread(void *arg, int fd, void *to, size_t len, off_t at)
{
	ssize_t n;

	do
		n = pread(fd, to, len, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t
system_pwrite(void *arg, int fd, const void *from, size_t len, off_t at)
{
	ssize_t n;

	do
		n = pwrite(fd, from, len, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int
system_fdatasync(void *arg, int fd)
{
	int r;

	do
		r = fdatasync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int
system_syncdir(void *arg, int dir)
{
	int r;

	do
		r = fsync(dir);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int
system_renameat(void *arg, int dir, const char *from, const char *to)
{
	return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

static int
system_linkat(void *arg, int dir, const char *from, const char *to)
{
	return linkat(dir, from, dir, to, 0) < 0 ? -errno : 0;
}

static int
system_list(void *arg, int dir, int (*visit)(void *visit_arg, const char *name), void *visit_arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (d == NULL) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	for (;;) {
		errno = 0;
		e = readdir(d);
		if (e == NULL) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = visit(visit_arg, e->d_name);
		if (r != 0)
			break;
	}
	(void)closedir(d);
	return r;
}

static int
system_random(void *arg, void *to, size_t len)
{
	uint8_t *at = to;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

const struct file_ops file_ops_system = {
    .openat = system_openat,
    .close = system_close,
    .size = system_size,
    .pread = system_pread,
    .pwrite = system_pwrite,
    .fdatasync = system_fdatasync,
    .syncdir = system_syncdir,
    .renameat = system_renameat,
    .linkat = system_linkat,
    .list = system_list,
    .random = system_random,
};

ssize_t
file_read_full(const struct file_ops *ops, int fd, void *to, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
		    ops->pread(ops->arg, fd, (char *)to + done, len - done, at + (off_t)done);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
file_write_full(const struct file_ops *ops, int fd, const void *from, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = ops->pwrite(
		    ops->arg, fd, (const char *)from + done, len - done, at + (off_t)done);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

int
file_put(
    const struct file_ops *ops, int dir, const char *name, int flags, const void *bytes, size_t len)
{
	int fd = ops->openat(ops->arg, dir, name, O_WRONLY | flags, 0600), r;

	if (fd < 0)
		return fd;
	r = file_write_full(ops, fd, bytes, len, 0);
	if (r == 0)
		r = ops->fdatasync(ops->arg, fd);
	(void)ops->close(ops->arg, fd);
	return r;
}

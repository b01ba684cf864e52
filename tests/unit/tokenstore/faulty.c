/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* faulty.c: see faulty.h. */
#include "tests/unit/tokenstore/faulty.h"

#include <unistd.h>

/* 0: go on; else negative errno. `mid` tells a write to store half first. */
static int
gate(struct faulty *f, bool *mid)
{
	*mid = false;
	f->count++;
	if (f->at == 0 || f->count < f->at || (f->count > f->at && !f->for_good))
		return 0;
	f->reached = true;
	if (f->how == FAULTY_EXIT)
		_exit(FAULTY_STATUS);
	*mid = f->how == FAULTY_SHORT || f->how == FAULTY_EXIT_MID;
	return -f->error;
}

/* After the half that a write stores: the end of the process, or the error. */
static int
fail(struct faulty *f, int error)
{
	if (f->how == FAULTY_EXIT_MID)
		_exit(FAULTY_STATUS);
	return error;
}

#define GATE(f)                                   \
	do {                                      \
		bool mid_;                        \
		int error_ = gate((f), &mid_);    \
		if (error_ < 0 || mid_)           \
			return fail((f), error_); \
	} while (0)

static int
faulty_openat(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	GATE(arg);
	return file_ops_system.openat(NULL, dir, name, flags, mode);
}

static int
faulty_close(void *arg, int fd)
{
	return file_ops_system.close(NULL, fd);
}

static int64_t
faulty_size(void *arg, int fd)
{
	GATE(arg);
	return file_ops_system.size(NULL, fd);
}

static ssize_t
faulty_pread(void *arg, int fd, void *to, size_t len, off_t at)
{
	GATE(arg);
	return file_ops_system.pread(NULL, fd, to, len, at);
}

static ssize_t
faulty_pwrite(void *arg, int fd, const void *from, size_t len, off_t at)
{
	bool mid;
	int r = gate(arg, &mid);

	if (mid)
		(void)file_ops_system.pwrite(NULL, fd, from, len / 2, at);
	if (r < 0 || mid)
		return fail(arg, r);
	return file_ops_system.pwrite(NULL, fd, from, len, at);
}

static int
faulty_fdatasync(void *arg, int fd)
{
	GATE(arg);
	return file_ops_system.fdatasync(NULL, fd);
}

static int
faulty_syncdir(void *arg, int dir)
{
	GATE(arg);
	return file_ops_system.syncdir(NULL, dir);
}

static int
faulty_renameat(void *arg, int dir, const char *from, const char *to)
{
	GATE(arg);
	return file_ops_system.renameat(NULL, dir, from, to);
}

static int
faulty_linkat(void *arg, int dir, const char *from, const char *to)
{
	GATE(arg);
	return file_ops_system.linkat(NULL, dir, from, to);
}

static int
faulty_list(void *arg, int dir, int (*visit)(void *visit_arg, const char *name), void *visit_arg)
{
	GATE(arg);
	return file_ops_system.list(NULL, dir, visit, visit_arg);
}

static int
faulty_random(void *arg, void *to, size_t len)
{
	GATE(arg);
	return file_ops_system.random(NULL, to, len);
}

struct file_ops
faulty_ops(struct faulty *f)
{
	return (struct file_ops){
	    .openat = faulty_openat,
	    .close = faulty_close,
	    .size = faulty_size,
	    .pread = faulty_pread,
	    .pwrite = faulty_pwrite,
	    .fdatasync = faulty_fdatasync,
	    .syncdir = faulty_syncdir,
	    .renameat = faulty_renameat,
	    .linkat = faulty_linkat,
	    .list = faulty_list,
	    .random = faulty_random,
	    .arg = f,
	};
}

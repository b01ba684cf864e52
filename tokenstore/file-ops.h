/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * file-ops.h: the file operations of the token store, as a table, so that a test can fail or cut
 * short the Nth.
 *
 * Each returns what the system call returns, or negative errno; none is interrupted half-way (EINTR
 * is retried). All names are taken below the directory given, and no link is followed.
 */
#ifndef FRANK_TOKENSTORE_FILE_OPS_H
#define FRANK_TOKENSTORE_FILE_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct file_ops {
	int (*openat)(void *arg, int dir, const char *name, int flags, mode_t mode);
	int (*close)(void *arg, int fd);
	int64_t (*size)(void *arg, int fd);
	ssize_t (*pread)(void *arg, int fd, void *to, size_t len, off_t at);
	ssize_t (*pwrite)(void *arg, int fd, const void *from, size_t len, off_t at);
	int (*fdatasync)(void *arg, int fd);
	/* Makes names durable: fsync of the directory. */
	int (*syncdir)(void *arg, int dir);
	int (*renameat)(void *arg, int dir, const char *from, const char *to);
	int (*linkat)(void *arg, int dir, const char *from, const char *to);
	/* Calls `visit` for every name but "." and ".."; a non-zero return ends the walk and is
	 * returned. */
	int (*list)(
	    void *arg, int dir, int (*visit)(void *visit_arg, const char *name), void *visit_arg);
	/* Fills with random octets. */
	int (*random)(void *arg, void *to, size_t len);
	void *arg;
};

/* The system's own. */
extern const struct file_ops file_ops_system;

/* Whole reads and writes. read_full: the octets read (fewer only at the end of the file) or
 * negative errno. */
ssize_t file_read_full(const struct file_ops *ops, int fd, void *to, size_t len, off_t at);
int file_write_full(const struct file_ops *ops, int fd, const void *from, size_t len, off_t at);
/* Writes a whole file and syncs its octets; `flags` are O_CREAT and O_TRUNC as for open(2), the mode is
 * 0600. 0 or negative errno: then the file is there in part, or not at all. */
int file_put(const struct file_ops *ops, int dir, const char *name, int flags, const void *bytes,
    size_t len);

#endif

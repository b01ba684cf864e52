/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * overflow.c: the part of a message that does not fit into the buffer, in a private file.
 *
 * The whole message is kept until somebody has promised to keep it, so that no restart of the
 * daemon, no limit on connections and no pause of the caller loses any of it. The file has no name
 * and ends with the process. It lies in /var/tmp, else in /tmp. A place without room for more
 * (also: a limit on the size of files, a quota) is left for the next one, together with what was
 * written; the last part of a message may stay in memory, see input_collect.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "shim/shim.h"

static const char *const places[] = {"/var/tmp", "/tmp"};

struct copy {
	int fd;
	uint64_t at;
};

static int
copy_piece(void *arg, const char *bytes, size_t len)
{
	struct copy *c = arg;
	int r = io_write_all_at(c->fd, bytes, len, c->at);

	c->at += len;
	return r;
}

/* Goes on in the next place that takes what was written so far. -ENOSPC: there is none. */
static int
move_on(struct overflow *o)
{
	for (; o->tried < ARRAY_SIZE(places); o->tried++) {
		struct copy c = {
		    .fd = open(places[o->tried], O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600)};

		if (c.fd < 0)
			continue;
		if (o->size > 0 &&
		    (drop_disk_is_nearly_full(c.fd) || overflow_read(o, copy_piece, &c) < 0)) {
			(void)close(c.fd);
			continue;
		}
		if (o->size > 0)
			(void)close(o->fd);
		o->fd = c.fd;
		o->tried++;
		return 0;
	}
	return -ENOSPC;
}

int
overflow_write(struct overflow *o, const char *bytes, size_t len)
{
	int r;

	/* A limit on the size of files then fails the write, as a full disk does: the signal would end us. */
	if (o->tried == 0)
		(void)signal(SIGXFSZ, SIG_IGN);
	do {
		if (o->tried > 0 && !drop_disk_is_nearly_full(o->fd) &&
		    io_write_all_at(o->fd, bytes, len, o->size) == 0) {
			o->size += len;
			return 0;
		}
		r = move_on(o);
	} while (r == 0);
	return r;
}

int
overflow_read(
    const struct overflow *o, int (*take)(void *arg, const char *bytes, size_t len), void *arg)
{
	static char piece[INPUT_CHUNK];
	uint64_t at = 0;
	int r = 0;

	while (at < o->size && r == 0) {
		size_t want = o->size - at < sizeof(piece) ? (size_t)(o->size - at) : sizeof(piece);
		ssize_t n = (ssize_t)want;

		if (o->mapped == NULL)
			n = pread(o->fd, piece, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = take(arg, o->mapped == NULL ? piece : o->mapped + at, (size_t)n);
		at += (uint64_t)n;
	}
	return r;
}

void
overflow_spare_descriptor(struct overflow *o)
{
	int other = o->size == 0 ? -1 : fcntl(o->fd, F_DUPFD_CLOEXEC, 0);

	if (o->size == 0 || other >= 0 || errno != EMFILE) {
		if (other >= 0)
			(void)close(other);
		return;
	}
	/* not for every message: the pages of a mapping count as this process's memory */
	o->mapped = mmap(NULL, (size_t)o->size, PROT_READ, MAP_PRIVATE, o->fd, 0);
	if (o->mapped == MAP_FAILED)
		o->mapped = NULL;
	else
		(void)close(o->fd);
}

void
overflow_close(struct overflow *o)
{
	if (o->mapped != NULL)
		(void)munmap(o->mapped, (size_t)o->size);
	else if (o->size > 0)
		(void)close(o->fd);
	o->size = 0;
}

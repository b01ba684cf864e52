/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * maildir.c: see maildir.h and https://cr.yp.to/proto/maildir.html.
 *
 * Order of operations: write ROOT/.incoming/NAME, fsync, link to ADDRESS/Maildir/new/NAME, fsync
 * that folder. A crash leaves at most a file in .incoming, which nobody reads.
 */
#include "sandbox/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/attr.h"
#include "base/io.h"

struct maildir_message {
	int root, fd, error;
	bool cr; /* a CR was read and not yet written */
	size_t used;
	char name[96];
	char buffer[16 * 1024];
};

static int
open_folder(int at, const char *path)
{
	int fd;

	if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
maildir_begin(int root, struct maildir_message **ret)
{
	static unsigned long serial;
	struct maildir_message *m;
	struct timespec now;
	int dir CLEANUP_CLOSE = open_folder(root, ".incoming");

	if (dir < 0)
		return dir;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(m->name, sizeof(m->name), "%lld.M%06ldP%ldQ%lu.frank-sandbox",
	    (long long)now.tv_sec, now.tv_nsec / 1000, (long)getpid(), ++serial);
	m->root = root;
	m->fd = openat(dir, m->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (m->fd < 0) {
		int error = -errno;

		free(m);
		return error;
	}
	*ret = m;
	return 0;
}

static void
flush_buffer(struct maildir_message *m)
{
	if (m->error == 0)
		m->error = io_write_all(m->fd, m->buffer, m->used);
	m->used = 0;
}

static void
put(struct maildir_message *m, char c)
{
	if (m->used == sizeof(m->buffer))
		flush_buffer(m);
	m->buffer[m->used++] = c;
}

int
maildir_write(struct maildir_message *m, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (m->cr && bytes[i] != '\n')
			put(m, '\r');
		m->cr = bytes[i] == '\r';
		if (!m->cr)
			put(m, bytes[i]);
	}
	return m->error;
}

int
maildir_commit(struct maildir_message *m)
{
	if (m->cr)
		put(m, '\r');
	m->cr = false;
	flush_buffer(m);
	if (m->error == 0 && fsync(m->fd) < 0)
		m->error = -errno;
	return m->error;
}

/* The folder's name for an address: lower case, and nothing that a path could misread. */
static void
folder_name(const char *address, char *ret, size_t size)
{
	size_t i;

	for (i = 0; address[i] != '\0' && i + 1 < size; i++) {
		char c = address[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '/' || (unsigned char)c < 0x21 || c == 0x7f || (i == 0 && c == '.'))
			c = '_';
		ret[i] = c;
	}
	ret[i] = '\0';
}

int
maildir_link(struct maildir_message *m, const char *address)
{
	static const char *const parts[] = {"tmp", "cur", "new"};
	int user CLEANUP_CLOSE = -1, maildir CLEANUP_CLOSE = -1, part = -1,
		 incoming CLEANUP_CLOSE = -1;
	char folder[256];
	size_t i;
	int r = 0;

	folder_name(address, folder, sizeof(folder));
	user = open_folder(m->root, folder);
	if (user < 0)
		return user;
	maildir = open_folder(user, "Maildir");
	if (maildir < 0)
		return maildir;
	incoming = open_folder(m->root, ".incoming");
	if (incoming < 0)
		return incoming;
	for (i = 0; i < ARRAY_SIZE(parts) && r == 0; i++) {
		if (part >= 0)
			(void)close(part);
		part = open_folder(maildir, parts[i]);
		r = part < 0 ? part : 0;
	}
	/* the last one opened is "new" */
	if (r == 0 && linkat(incoming, m->name, part, m->name, 0) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0 && fsync(part) < 0)
		r = -errno;
	if (part >= 0)
		(void)close(part);
	return r;
}

int
maildir_note(const struct maildir_message *m, const char *text)
{
	int dir CLEANUP_CLOSE = open_folder(m->root, ".smtp"), fd CLEANUP_CLOSE = -1, r;
	char name[sizeof(m->name) + 8];

	if (dir < 0)
		return dir;
	(void)snprintf(name, sizeof(name), "%s.json", m->name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, strlen(text));
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

const char *
maildir_name(const struct maildir_message *m)
{
	return m->name;
}

struct maildir_message *
maildir_end(struct maildir_message *m)
{
	int dir CLEANUP_CLOSE = -1;

	if (m == NULL)
		return NULL;
	dir = open_folder(m->root, ".incoming");
	if (dir >= 0)
		(void)unlinkat(dir, m->name, 0);
	(void)close(m->fd);
	free(m);
	return NULL;
}

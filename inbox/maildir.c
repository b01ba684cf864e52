/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * maildir.c: see maildir.h and https://cr.yp.to/proto/maildir.html.
 *
 * Order of operations: write ROOT/.incoming/NAME, link to ADDRESS/Maildir/new/NAME, remove the first. A crash leaves at most a
 * file in .incoming, which nobody reads.
 */
#include "inbox/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/attr.h"
#include "base/codec.h"
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
	return m->error;
}

void
maildir_folder(const char *address, char ret[MAILDIR_FOLDER_SIZE])
{
	size_t i;

	for (i = 0; address[i] != '\0' && i + 1 < MAILDIR_FOLDER_SIZE; i++) {
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
	char folder[MAILDIR_FOLDER_SIZE];
	size_t i;
	int r = 0;

	maildir_folder(address, folder);
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
	return r;
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

/* ---- reading ---- */

/* The folder "new" or "cur" of a mailbox. Negative errno. */
static int
open_part(int root, const char *folder, const char *part)
{
	char path[MAILDIR_FOLDER_SIZE + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/Maildir/%s", folder, part);
	fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static DIR *
open_list(int root, const char *folder, const char *part)
{
	int fd = part == NULL ? openat(root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			      : open_part(root, folder, part);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d == NULL && fd >= 0)
		(void)close(fd);
	return d;
}

/* The length of a file's name without the flags that readers put behind it. */
static size_t
bare_length(const char *name)
{
	return strcspn(name, ":");
}

/* Finds the file in "cur", where its name has flags. 0 or -ENOENT. */
static int
find_moved(int root, const char *folder, const char *name, char *ret, size_t size)
{
	DIR *d = open_list(root, folder, "cur");
	struct dirent *e;
	int r = -ENOENT;

	while (d != NULL && r < 0 && (e = readdir(d)) != NULL) {
		size_t n = bare_length(e->d_name);

		if (n == strlen(name) && memcmp(e->d_name, name, n) == 0 &&
		    strlen(e->d_name) < size) {
			(void)snprintf(ret, size, "%s", e->d_name);
			r = 0;
		}
	}
	if (d != NULL)
		(void)closedir(d);
	return r;
}

int
maildir_open(int root, const char *folder, const char *name)
{
	int part CLEANUP_CLOSE = open_part(root, folder, "new"), cur CLEANUP_CLOSE = -1;
	char moved[NAME_MAX + 1];
	int fd = part < 0 ? -1 : openat(part, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (find_moved(root, folder, name, moved, sizeof(moved)) < 0)
		return -ENOENT;
	cur = open_part(root, folder, "cur");
	fd = cur < 0 ? -1 : openat(cur, moved, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
maildir_remove(int root, const char *folder, const char *name)
{
	int part CLEANUP_CLOSE = open_part(root, folder, "new"), cur CLEANUP_CLOSE = -1;
	char moved[NAME_MAX + 1];

	if (part >= 0 && unlinkat(part, name, 0) == 0)
		return 0;
	if (part >= 0 && errno != ENOENT)
		return -errno;
	if (find_moved(root, folder, name, moved, sizeof(moved)) < 0)
		return 0;
	cur = open_part(root, folder, "cur");
	return cur >= 0 && unlinkat(cur, moved, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static void
note_path(const char *name, char *ret, size_t size)
{
	(void)snprintf(ret, size, ".smtp/%s.json", name);
}

int
maildir_note_read(int root, const char *name, struct buf *ret)
{
	char path[NAME_MAX + 16], bytes[16 * 1024];
	int fd CLEANUP_CLOSE = -1, r = 0;
	ssize_t n = 1;

	note_path(name, path, sizeof(path));
	fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (r == 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		r = buf_append(ret, bytes, (size_t)n);
	return n < 0 ? -errno : r;
}

int
maildir_note_remove(int root, const char *name)
{
	char path[NAME_MAX + 16];

	note_path(name, path, sizeof(path));
	return unlinkat(root, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

uint64_t
maildir_time(const char *name)
{
	size_t seconds = strspn(name, "0123456789"), micro;
	uint64_t s, us;

	if (name[seconds] != '.' || name[seconds + 1] != 'M')
		return 0;
	micro = strspn(name + seconds + 2, "0123456789");
	if (!text_number(name, seconds, &s) || !text_number(name + seconds + 2, micro, &us) ||
	    s > UINT32_MAX || us > 999999)
		return 0;
	return s * 1000000 + us;
}

static int
scan_part(int root, const char *folder, const char *part, maildir_found *found, void *arg)
{
	DIR *d = open_list(root, folder, part);
	struct dirent *e;
	int r = 0;

	while (d != NULL && r >= 0 && (e = readdir(d)) != NULL) {
		char name[NAME_MAX + 1];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)bare_length(e->d_name), e->d_name);
		r = found(arg, folder, name);
	}
	if (d != NULL)
		(void)closedir(d);
	return r;
}

int
maildir_scan(int root, maildir_found *found, void *arg)
{
	DIR *d = open_list(root, ".", NULL);
	struct dirent *e;
	int r = 0;

	if (d == NULL)
		return -errno;
	while (r >= 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= MAILDIR_FOLDER_SIZE)
			continue;
		r = scan_part(root, e->d_name, "new", found, arg);
		if (r >= 0)
			r = scan_part(root, e->d_name, "cur", found, arg);
	}
	(void)closedir(d);
	return r < 0 ? r : 0;
}

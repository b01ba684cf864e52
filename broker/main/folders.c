/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* folders.c: see folders.h. */
#include "broker/main/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct folder_def {
	const char *name;
	enum role_id role;
	mode_t mode;
};

static const struct folder_def defs[FOLDER_COUNT] = {
    [FOLDER_SPOOL] = {"spool", ROLE_QUEUE, 0700},
    [FOLDER_BODIES] = {"bodies", ROLE_QUEUE, 0700},
    [FOLDER_DROP] = {"drop", ROLE_QUEUE, 03733},
    [FOLDER_TOKENS] = {"tokens", ROLE_KEEPER, 0700},
};

static int
complain(struct buf *why, const char *what, const char *path, int err)
{
	(void)buf_printf(why, "%s %s: %s", what, path, strerror(err));
	return -err;
}

int
folder_make(const char *path, struct buf *why)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return complain(why, "cannot make the folder", path, ENAMETOOLONG);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return complain(why, "cannot make the folder", part, errno);
	}
	return 0;
}

static int
take_lock(struct folders *f, struct buf *why)
{
	char pid[24] = "";
	struct stat st;
	ssize_t len;

	f->lock = openat(f->state, "frankd.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (f->lock < 0 || fstat(f->lock, &st) < 0)
		return complain(why, "cannot open the lock, frankd.lock in", f->path, errno);
	/* it is written to: where the folder is another user's, it must not lead to a file that is
	 * not */
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return complain(why, "the lock is a link: frankd.lock in", f->path, EMLINK);
	if (flock(f->lock, LOCK_EX | LOCK_NB) < 0) {
		int err = errno;

		if (err != EWOULDBLOCK)
			return complain(why, "cannot lock", f->path, err);
		len = pread(f->lock, pid, sizeof(pid) - 1, 0);
		pid[len < 0 ? 0 : strcspn(pid, "\n")] = '\0';
		(void)buf_printf(why,
		    "another frankd (process %s) has the state folder %s; stop it first, or give "
		    "this one "
		    "a state-dir of its own",
		    pid, f->path);
		return -EBUSY;
	}
	/* written over what is there, which takes no block of a disk that may be full */
	len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (pwrite(f->lock, pid, (size_t)len, 0) != len || ftruncate(f->lock, len) < 0)
		return complain(why, "cannot write the lock in", f->path, errno);
	return 0;
}

int
folders_open(struct folders *f, const char *path, struct buf *why)
{
	struct stat st;
	int r = folder_make(path, why);

	if (r < 0)
		return r;
	f->path = realpath(path, NULL);
	f->state = f->path == NULL ? -1 : open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->state < 0 || fstat(f->state, &st) < 0)
		return complain(why, "cannot open the state folder", path, errno);
	f->owner = (struct identity){.uid = st.st_uid, .gid = st.st_gid};
	return take_lock(f, why);
}

/* A file that is somebody else's stays so: it would be a link that the earlier user laid to it. */
static int
give_file(int dir, const char *name, uid_t from, const struct identity *to)
{
	CLEANUP_CLOSE int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid == from && fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* Files that belong to the user of an earlier installation go to the present one. */
static int
give_files(int dir, uid_t from, const struct identity *to)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (d == NULL) {
		r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = give_file(dir, e->d_name, from, to);
	}
	(void)closedir(d);
	return r;
}

/* Ownership and mode are set where they differ, so that a folder on a read-only or foreign mount
 * that is right stays untouched. Files dropped by users keep their owners: those say whose mail it
 * is. */
static int
give_folder(int fd, mode_t mode, const struct identity *to)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (geteuid() == 0 && (st.st_uid != to->uid || st.st_gid != to->gid)) {
		r = (mode & S_IWOTH) != 0 ? 0 : give_files(fd, st.st_uid, to);
		if (r < 0)
			return r;
		if (fchown(fd, to->uid, to->gid) < 0)
			return -errno;
	}
	if (fstat(fd, &st) < 0 || ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0))
		return -errno;
	return 0;
}

static int
prepare_one(struct folders *f, enum folder which, bool one_user, struct buf *why)
{
	const struct folder_def *def = &defs[which];
	/* In user mode nobody else hands in mail, and the group of a file would not say that it was
	 * made here: every file of the user has it. */
	mode_t mode = one_user ? 0700 : def->mode;
	struct identity to;
	int fd, r = identity_of(def->role, one_user, &f->owner, &to);

	if (r < 0)
		return complain(
		    why, "the user database does not say who owns the folder", def->name, -r);
	if (mkdirat(f->state, def->name, 0700) < 0 && errno != EEXIST)
		return complain(why, "cannot make the folder", def->name, errno);
	fd = openat(f->state, def->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return complain(why, "cannot open the folder", def->name, errno);
	f->fds[which] = fd;
	r = give_folder(fd, mode, &to);
	return r < 0 ? complain(why, "cannot set owner and mode of the folder", def->name, -r) : 0;
}

/* The documented name of the database, for people and their scripts. */
static int
link_spool(const struct folders *f, struct buf *why)
{
	if (symlinkat("spool/spool.db", f->state, "spool.db") < 0 && errno != EEXIST)
		return complain(why, "cannot make the link spool.db in", f->path, errno);
	return 0;
}

int
folders_prepare(struct folders *f, bool one_user, struct buf *why)
{
	int r = 0;

	for (int which = 0; which < FOLDER_COUNT && r == 0; which++)
		r = prepare_one(f, (enum folder)which, one_user, why);
	return r == 0 ? link_spool(f, why) : r;
}

int
folders_no_tokens(const struct folders *f)
{
	int copy = openat(f->fds[FOLDER_TOKENS], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), none = 1;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (d == NULL) {
		int err = errno;

		if (copy >= 0)
			(void)close(copy);
		return -err;
	}
	while (none == 1 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			none = 0;
	(void)closedir(d);
	return none;
}

void
folders_close(struct folders *f)
{
	for (int which = 0; which < FOLDER_COUNT; which++)
		if (f->fds[which] >= 0)
			(void)close(f->fds[which]);
	if (f->state >= 0)
		(void)close(f->state);
	if (f->lock >= 0)
		(void)close(f->lock);
	free(f->path);
}

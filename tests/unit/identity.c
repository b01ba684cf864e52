/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.c: see identity.h.
 *
 * A socket is bound to an abstract name that says whose it is, which the other end can read; files stand in a table in shared
 * memory. Whatever is nobody else's is root's, whoever runs the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "frank-identity uid=%u gid=%u %d.%u"

enum { FILES_MAX = 64 };

static struct owners {
	unsigned count;
	struct owner {
		dev_t dev;
		ino_t ino;
		uid_t uid;
		gid_t gid;
	} of[FILES_MAX];
} * owners;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_fstat64(int fd, struct stat64 *st);
int __wrap_fstat64(int fd, struct stat64 *st);
int __real_fstatat64(int dir, const char *path, struct stat64 *st, int flags);
int __wrap_fstatat64(int dir, const char *path, struct stat64 *st, int flags);
uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_getuid(void);

__attribute__((constructor)) static void
begin(void)
{
	owners =
	    mmap(NULL, sizeof(*owners), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

uid_t
__wrap_geteuid(void)
{
	return 0;
}

uid_t
__wrap_getuid(void)
{
	return 0;
}

/* ---- sockets ---- */

void
identity_of_socket(int fd, uid_t uid, gid_t gid)
{
	static unsigned serial;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, NAME, (unsigned)uid, (unsigned)gid,
	    (int)getpid(), ++serial);

	assert_int_equal(bind(fd, (struct sockaddr *)&a,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
	    0);
}

int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct sockaddr_un peer = {0};
	socklen_t peer_len = sizeof(peer) - 1;
	struct ucred *cred = value;
	unsigned uid, gid;
	int r;

	if (level != SOL_SOCKET || (name != SO_PEERCRED && name != SO_PEERGROUPS))
		return __real_getsockopt(fd, level, name, value, len);
	if (name == SO_PEERGROUPS) {
		*len = 0;
		return 0;
	}
	r = __real_getsockopt(fd, level, name, value, len);
	if (r < 0)
		return r;
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	    sscanf(peer.sun_path + 1, "frank-identity uid=%u gid=%u", &uid, &gid) == 2) {
		cred->uid = uid;
		cred->gid = gid;
	} else if (cred->uid == __real_geteuid())
		cred->uid = cred->gid = 0;
	return 0;
}

/* ---- files ---- */

void
identity_of_file(int fd, uid_t uid, gid_t gid)
{
	struct stat64 st;
	unsigned i = 0;

	assert_int_equal(__real_fstat64(fd, &st), 0);
	while (
	    i < owners->count && (owners->of[i].dev != st.st_dev || owners->of[i].ino != st.st_ino))
		i++;
	assert_in_range(i, 0, FILES_MAX - 1);
	owners->of[i] = (struct owner){st.st_dev, st.st_ino, uid, gid};
	if (i == owners->count)
		owners->count++;
}

static void
disguise(struct stat64 *st)
{
	if (st->st_uid == __real_geteuid())
		st->st_uid = st->st_gid = 0;
	for (unsigned i = 0; i < owners->count; i++)
		if (owners->of[i].dev == st->st_dev && owners->of[i].ino == st->st_ino) {
			st->st_uid = owners->of[i].uid;
			st->st_gid = owners->of[i].gid;
		}
}

int
__wrap_fstat64(int fd, struct stat64 *st)
{
	int r = __real_fstat64(fd, st);

	if (r == 0)
		disguise(st);
	return r;
}

int
__wrap_fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	int r = __real_fstatat64(dir, path, st, flags);

	if (r == 0)
		disguise(st);
	return r;
}

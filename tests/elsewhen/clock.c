/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * clock.c: a shared object for /etc/ld.so.preload that shows its processes another wall clock, OFFSET seconds ahead.
 *
 * Monotonic clocks are left alone, so that nothing waits longer. Files that were written since SINCE (by the true clock) show their
 * times in the other clock too, for the kernel stamps them with its own; older files keep theirs. A time that is set is taken back
 * by OFFSET. Static programs are not reached.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <utime.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	static __typeof__(&clock_gettime) next;
	int r;

	if (next == NULL)
		next = NEXT(clock_gettime);
	r = next(clock, t);
	if (r == 0 &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
		t->tv_sec += OFFSET;
	return r;
}

int
timespec_get(struct timespec *t, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

time_t
time(time_t *ret)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	if (ret != NULL)
		*ret = t.tv_sec;
	return t.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, __attribute__((unused)) void *restrict tz)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

/* ---- files ---- */

static int
shown(int r, struct stat *st)
{
	struct timespec *times[] = {&st->st_atim, &st->st_mtim, &st->st_ctim};

	for (size_t i = 0; r == 0 && i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i]->tv_sec >= SINCE)
			times[i]->tv_sec += OFFSET;
	return r;
}

/* On 64-bit machines the functions with 64 in their names are the same. */
int
fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
	return shown(NEXT(fstatat)(dir, path, st, flags), st);
}

int
stat(const char *restrict path, struct stat *restrict st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}

int
lstat(const char *restrict path, struct stat *restrict st)
{
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int
fstat(int fd, struct stat *st)
{
	return shown(NEXT(fstat)(fd, st), st);
}

int fstatat64(int dir, const char *restrict path, struct stat64 *restrict st, int flags)
    __attribute__((alias("fstatat")));
int stat64(const char *restrict path, struct stat64 *restrict st) __attribute__((alias("stat")));
int lstat64(const char *restrict path, struct stat64 *restrict st) __attribute__((alias("lstat")));
int fstat64(int fd, struct stat64 *st) __attribute__((alias("fstat")));

int
statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
	int r = NEXT(statx)(dir, path, flags, mask, st);
	struct statx_timestamp *times[] = {
	    &st->stx_atime, &st->stx_mtime, &st->stx_ctime, &st->stx_btime};

	for (size_t i = 0; r == 0 && i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i]->tv_sec >= SINCE)
			times[i]->tv_sec += OFFSET;
	return r;
}

static const struct timespec *
taken_back(const struct timespec times[2], struct timespec real[2])
{
	for (size_t i = 0; times != NULL && i < 2; i++) {
		real[i] = times[i];
		if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT)
			real[i].tv_sec -= OFFSET;
	}
	return times == NULL ? NULL : real;
}

int
utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	struct timespec real[2];

	return NEXT(utimensat)(dir, path, taken_back(times, real), flags);
}

int
futimens(int fd, const struct timespec times[2])
{
	struct timespec real[2];

	return NEXT(futimens)(fd, taken_back(times, real));
}

int
utimes(const char *path, const struct timeval times[2])
{
	struct timespec t[2];

	for (size_t i = 0; times != NULL && i < 2; i++)
		t[i] = (struct timespec){times[i].tv_sec, times[i].tv_usec * 1000};
	return utimensat(AT_FDCWD, path, times == NULL ? NULL : t, 0);
}

int
utime(const char *path, const struct utimbuf *times)
{
	struct timespec t[2];

	if (times != NULL) {
		t[0] = (struct timespec){.tv_sec = times->actime};
		t[1] = (struct timespec){.tv_sec = times->modtime};
	}
	return utimensat(AT_FDCWD, path, times == NULL ? NULL : t, 0);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* disk.c: see disk.h. What was written and not synced is remembered, and stored at the sync. */
#include "tests/crash/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PENDING_MAX = 512 };

const char *const death_names[DEATHS] = {
    "killed", "killed in a write", "power lost", "power lost, half written"};

struct pending {
	int fd;
	void *bytes;
	size_t len;
	off_t at;
};

struct disk {
	struct faulty faults;
	struct file_ops below;
	enum death death;
	struct pending writes[PENDING_MAX];
	size_t count;
	char from[300], to[300]; /* a rename that is not durable yet */
	int dir;
};

static struct disk disk;

/* The end of the power: what was not synced is gone, or half of it is there. */
static void
lose_power(void)
{
	if (disk.death == POWER_LOST_HALF) {
		for (size_t i = 0; i < disk.count; i++)
			(void)!pwrite(disk.writes[i].fd, disk.writes[i].bytes,
			    disk.writes[i].len / 2, disk.writes[i].at);
		if (disk.from[0] != '\0')
			(void)renameat(disk.dir, disk.from, disk.dir, disk.to);
	}
	_exit(FAULTY_STATUS);
}

/* Counts; ends the child when its time has come. */
static void
tick(void)
{
	if (++disk.faults.count == disk.faults.at)
		lose_power();
}

static ssize_t
disk_pwrite(void *arg, int fd, const void *from, size_t len, off_t at)
{
	struct pending *p = &disk.writes[disk.count];

	tick();
	CHECK(disk.count < PENDING_MAX, "too much is never synced");
	*p = (struct pending){.fd = dup(fd), .bytes = malloc(len), .len = len, .at = at};
	memcpy(p->bytes, from, len);
	disk.count++;
	return (ssize_t)len;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static int
disk_fdatasync(void *arg, int fd)
{
	size_t kept = 0;

	tick();
	for (size_t i = 0; i < disk.count; i++) {
		struct pending p = disk.writes[i];

		if (!same_file(p.fd, fd)) {
			disk.writes[kept++] = p;
			continue;
		}
		CHECK(pwrite(p.fd, p.bytes, p.len, p.at) == (ssize_t)p.len, "the real disk");
		close(p.fd);
		free(p.bytes);
	}
	disk.count = kept;
	return 0;
}

static int
disk_renameat(void *arg, int dir, const char *from, const char *to)
{
	tick();
	(void)snprintf(disk.from, sizeof(disk.from), "%s", from);
	(void)snprintf(disk.to, sizeof(disk.to), "%s", to);
	disk.dir = dir;
	return 0;
}

static int
disk_syncdir(void *arg, int dir)
{
	tick();
	if (disk.from[0] != '\0')
		CHECK(renameat(dir, disk.from, dir, disk.to) == 0, "the real disk");
	disk.from[0] = '\0';
	return 0;
}

struct file_ops
disk_ops(enum death death)
{
	struct file_ops ops;

	disk = (struct disk){.death = death};
	if (death == KILLED || death == KILLED_MID_WRITE) {
		disk.faults =
		    (struct faulty){.how = death == KILLED ? FAULTY_EXIT : FAULTY_EXIT_MID};
		return faulty_ops(&disk.faults);
	}
	ops = file_ops_system;
	ops.pwrite = disk_pwrite;
	ops.fdatasync = disk_fdatasync;
	ops.renameat = disk_renameat;
	ops.syncdir = disk_syncdir;
	return ops;
}

void
disk_arm(unsigned long at)
{
	disk.faults.count = 0;
	disk.faults.at = at;
}

void
disk_empty(int dir)
{
	DIR *d = fdopendir(dup(dir));
	struct dirent *e;

	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dir, e->d_name, 0);
	closedir(d);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * landlock.c: the part of confine.h that governs files (and TCP ports), by Landlock's three system
 * calls.
 *
 * The constants stand here and not by <linux/landlock.h>, because the headers of a distribution are
 * older than the kernels that the program may run on; the numbers are the kernel's ABI. What a
 * kernel does not know is left out, by the version it reports:
 *
 *   1 (Linux 5.13) files; 2 (5.19) moves between directories; 3 (6.2) truncation; 4 (6.7) TCP bind
 * and connect; 5 (6.10) device ioctls; 6 (6.12) abstract Unix sockets and signals to the outside.
 */
#include "broker/role/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/role/confine.h"
#include "config.h"

enum { SYS_CREATE_RULESET = 444, SYS_ADD_RULE = 445, SYS_RESTRICT_SELF = 446 };
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
};

struct ruleset_attr {
	uint64_t handled_fs;
	uint64_t handled_net;
	uint64_t scoped;
};

struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

/* What resolving a name and checking a certificate read. */
static const char *const etc_paths[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
    /* whither /etc/resolv.conf points where a service manages it; that file is replaced, so the
       folder is named */
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/netconfig",
};

/* An administrator's tool may replace /etc/resolv.conf itself, and a rule holds for a file, not for
 * a name. So a role may read all of /etc that its user may; as root that would be too much. */
static const char etc_folder[] = "/etc";

#ifdef FRANK_SANITIZED
/* AddressSanitizer reads its own maps to name the place of an error. */
static const char *const sanitizer_paths[] = {"/proc/self"};
#endif

int
confine_landlock_version(void)
{
	long version = syscall(SYS_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	return version < 0 ? 0 : (int)version;
}

static uint64_t
known_fs(int version)
{
	uint64_t known = FS_ALL_1;

	if (version >= 2)
		known |= FS_REFER;
	if (version >= 3)
		known |= FS_TRUNCATE;
	if (version >= 5)
		known |= FS_IOCTL_DEV;
	return known;
}

static int
allow_beneath(int ruleset, int fd, uint64_t allowed)
{
	struct path_beneath_attr rule = {.allowed = allowed, .parent = fd};

	return syscall(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

/* A path that is not there needs no rule. */
static int
allow_reading(int ruleset, const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return allow_beneath(
	    ruleset, fd, S_ISDIR(st.st_mode) ? FS_READ_FILE | FS_READ_DIR : FS_READ_FILE);
}

static int
allow_all_reading(int ruleset, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = allow_reading(ruleset, paths[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int
add_rules(int ruleset, int version, unsigned rights, const int *dirs, size_t count)
{
	uint64_t state = (FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_REMOVE_FILE |
			     FS_MAKE_REG | FS_REFER | FS_TRUNCATE) &
			 known_fs(version);
	int r = 0;

	if ((rights & ROLE_MAY_WRITE_STATE) != 0)
		for (size_t i = 0; i < count && r == 0; i++)
			r = allow_beneath(ruleset, dirs[i], state);
	if (r == 0 && (rights & ROLE_MAY_READ_ETC) != 0) {
		r = allow_all_reading(ruleset, etc_paths, ARRAY_SIZE(etc_paths));
		if (r == 0 && geteuid() != 0)
			r = allow_reading(ruleset, etc_folder);
	}
#ifdef FRANK_SANITIZED
	if (r == 0)
		r = allow_all_reading(ruleset, sanitizer_paths, ARRAY_SIZE(sanitizer_paths));
#endif
	return r;
}

int
landlock_confine(unsigned rights, const int *dirs, size_t count)
{
	int version = confine_landlock_version(), r;
	struct ruleset_attr attr = {.handled_fs = known_fs(version)};
	size_t size = sizeof(attr.handled_fs);
	CLEANUP_CLOSE int ruleset = -1;

	if (version == 0)
		return 0;
	if (version >= 4) {
		attr.handled_net = NET_BIND_TCP;
		if ((rights & ROLE_MAY_CONNECT) == 0)
			attr.handled_net |= NET_CONNECT_TCP;
		size += sizeof(attr.handled_net);
	}
	if (version >= 6) {
		attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size += sizeof(attr.scoped);
	}
	ruleset = (int)syscall(SYS_CREATE_RULESET, &attr, size, 0);
	if (ruleset < 0)
		return -errno;
	r = add_rules(ruleset, version, rights, dirs, count);
	if (r < 0)
		return r;
	return syscall(SYS_RESTRICT_SELF, ruleset, 0) < 0 ? -errno : 0;
}

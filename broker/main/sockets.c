/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* sockets.c: see sockets.h. */
#include "broker/main/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/log.h"

enum { FIRST_ACTIVATED = 3, ACTIVATED_MAX = 64 };
enum { LEFTOVER_STEP = 50, LEFTOVER_LONGEST = 10000 }; /* ms */

static const struct {
	const char *name;
	int type;
} defs[SOCKET_COUNT] = {
    [SOCKET_SUBMIT] = {"submit", SOCK_STREAM},
    [SOCKET_CONTROL] = {"control", SOCK_SEQPACKET},
    [SOCKET_KEEPER] = {"keeper", SOCK_SEQPACKET},
};

const char *
socket_name(enum socket_id id)
{
	return defs[id].name;
}

static int
make_address(
    struct sockaddr_un *address, const char *runtime_dir, enum socket_id id, struct buf *why)
{
	int len;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	len = snprintf(
	    address->sun_path, sizeof(address->sun_path), "%s/%s.sock", runtime_dir, defs[id].name);
	if (len < 0 || (size_t)len >= sizeof(address->sun_path)) {
		(void)buf_printf(why,
		    "runtime-dir \"%s\" is too long; a socket's path has at most %zu octets",
		    runtime_dir, sizeof(address->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	return 0;
}

/* A socket that nobody answers is what a killed daemon left behind. */
int
socket_remove_stale(const struct sockaddr_un *address, int type, struct buf *why)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		(void)buf_printf(why, "%s is in the way: it is no socket", address->sun_path);
		return -EEXIST;
	}
	/* only this says that nobody is there: a living socket of another type, or one that may not
	 * be asked, stays */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED) {
		(void)buf_printf(why, "another program answers at %s", address->sun_path);
		return -EADDRINUSE;
	}
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* The roles of a frankd that was killed answer until they see that it is gone. The state folder's lock is ours by now, so
 * they will: they are waited for, and none of them is still writing when ours begin. */
static int
remove_stale_in_time(const struct sockaddr_un *address, int type, struct buf *why)
{
	static const struct timespec step = {.tv_nsec = LEFTOVER_STEP * 1000000};
	int r = socket_remove_stale(address, type, why);

	for (int waited = 0; r == -EADDRINUSE && waited < LEFTOVER_LONGEST;
	     waited += LEFTOVER_STEP) {
		(void)nanosleep(&step, NULL);
		buf_clear(why);
		r = socket_remove_stale(address, type, why);
	}
	return r;
}

static int
make_one(struct sockets *s, enum socket_id id, const struct sockaddr_un *address, struct buf *why)
{
	CLEANUP_CLOSE int fd = -1;
	mode_t mask;
	int r = remove_stale_in_time(address, defs[id].type, why);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, defs[id].type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0111);
	r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	s->paths[id] = strdup(address->sun_path);
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	s->fds[id] = TAKE_FD(fd);
	return 0;
}

/* The number that a variable of systemd's protocol holds; 0 for none. */
static unsigned long
number_of(const char *variable)
{
	const char *text = secure_getenv(variable);
	char *end;
	unsigned long value;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	return *end != '\0' || errno != 0 ? 0 : value;
}

/* Takes a descriptor where it is the socket at `address`. */
static bool
take_activated(struct sockets *s, enum socket_id id, const struct sockaddr_un *address, int fd)
{
	struct sockaddr_un is = {0};
	socklen_t len = sizeof(is), type_len = sizeof(int);
	int type = 0;

	if (s->fds[id] >= 0 || getsockname(fd, (struct sockaddr *)&is, &len) < 0 ||
	    is.sun_family != AF_UNIX ||
	    strncmp(is.sun_path, address->sun_path, sizeof(is.sun_path)) != 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != defs[id].type)
		return false;
	/* out of the low numbers, where roles have their channel */
	s->fds[id] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (s->fds[id] < 0)
		return false;
	(void)fcntl(s->fds[id], F_SETFL, O_NONBLOCK);
	(void)close(fd);
	return true;
}

static void
take_all_activated(struct sockets *s, const struct sockaddr_un addresses[SOCKET_COUNT])
{
	unsigned long count = number_of("LISTEN_FDS");

	if (number_of("LISTEN_PID") != (unsigned long)getpid() || count > ACTIVATED_MAX)
		count = 0;
	for (unsigned long i = 0; i < count; i++) {
		int fd = FIRST_ACTIVATED + (int)i;
		bool taken = false;

		for (int id = 0; id < SOCKET_COUNT && !taken; id++)
			taken = take_activated(s, (enum socket_id)id, &addresses[id], fd);
		if (!taken) {
			log_warning(
			    "Descriptor %d of systemd is none of the sockets in runtime-dir; it is "
			    "closed. Its "
			    "ListenStream= or ListenSequentialPacket= must agree with runtime-dir.",
			    fd);
			(void)close(fd);
		}
	}
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDNAMES");
}

int
sockets_check(const char *runtime_dir, struct buf *why)
{
	struct sockaddr_un address;
	int r = 0;

	for (int id = 0; id < SOCKET_COUNT && r == 0; id++)
		r = make_address(&address, runtime_dir, (enum socket_id)id, why);
	return r;
}

int
sockets_open(struct sockets *s, const char *runtime_dir, struct buf *why)
{
	struct sockaddr_un addresses[SOCKET_COUNT];
	int r = 0;

	for (int id = 0; id < SOCKET_COUNT && r == 0; id++)
		r = make_address(&addresses[id], runtime_dir, (enum socket_id)id, why);
	if (r < 0)
		return r;
	take_all_activated(s, addresses);
	for (int id = 0; id < SOCKET_COUNT && r == 0; id++) {
		if (s->fds[id] >= 0)
			continue;
		r = make_one(s, (enum socket_id)id, &addresses[id], why);
		if (r < 0 && why->len == 0)
			(void)buf_printf(
			    why, "cannot listen at %s: %s", addresses[id].sun_path, strerror(-r));
	}
	return r;
}

void
sockets_close(struct sockets *s)
{
	for (int id = 0; id < SOCKET_COUNT; id++) {
		if (s->paths[id] != NULL)
			(void)unlink(s->paths[id]);
		if (s->fds[id] >= 0)
			(void)close(s->fds[id]);
		free(s->paths[id]);
	}
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notify.c: see notify.h. One datagram a state to the socket that $NOTIFY_SOCKET names; '@' begins
 * an abstract name.
 */
#include "broker/main/notify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_MS = 20 * 1000, WATCH_MS_LEAST = 50 };

static struct {
	int fd;
	struct sockaddr_un address;
	socklen_t len;
	unsigned watch_ms;
	bool watches;
} manager = {.fd = -1, .watch_ms = WATCH_MS};

/* A quarter of the time that the manager gives: two of our ticks may be late. */
static void
read_watchdog(void)
{
	const char *time = secure_getenv("WATCHDOG_USEC"), *pid = secure_getenv("WATCHDOG_PID");
	uint64_t ms = time == NULL ? 0 : strtoull(time, NULL, 10) / 4000;

	if (ms > 0 && (pid == NULL || strtoull(pid, NULL, 10) == (uint64_t)getpid())) {
		manager.watches = true;
		if (ms < manager.watch_ms)
			manager.watch_ms = ms < WATCH_MS_LEAST ? WATCH_MS_LEAST : (unsigned)ms;
	}
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

unsigned
notify_watch_ms(void)
{
	return manager.watch_ms;
}

void
notify_alive(void)
{
	if (manager.watches)
		notify_send("WATCHDOG=1");
}

void
notify_open(void)
{
	const char *path = secure_getenv("NOTIFY_SOCKET");
	size_t len = path == NULL ? 0 : strlen(path);

	if (len > 1 && len < sizeof(manager.address.sun_path) &&
	    (path[0] == '/' || path[0] == '@')) {
		manager.address.sun_family = AF_UNIX;
		memcpy(manager.address.sun_path, path, len);
		if (path[0] == '@')
			manager.address.sun_path[0] = '\0';
		manager.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
		manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	(void)unsetenv("NOTIFY_SOCKET");
	read_watchdog();
}

void
notify_send(const char *state)
{
	if (manager.fd >= 0)
		(void)sendto(manager.fd, state, strlen(state), MSG_NOSIGNAL,
		    (const struct sockaddr *)&manager.address, manager.len);
}

void
notify_reloading(void)
{
	struct timespec now = {0};
	char state[64];

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	notify_send(state);
}

/*
 * notify.c: see notify.h. One datagram a state to the socket that $NOTIFY_SOCKET names; '@' begins
 * an abstract name.
 */
#include "broker/main/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct {
	int fd;
	struct sockaddr_un address;
	socklen_t len;
} manager = {.fd = -1};

void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
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

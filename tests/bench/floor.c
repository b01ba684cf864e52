/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * floor.c: the least that a durable hand-over over a Unix socket can cost: a client that sends its
 * standard input and waits, and a server that takes all waiting clients a turn, writes what they
 * sent with one sync, and answers them.
 *
 * usage: floor SOCKET            client: exit status 0 once the octets are on disk
 *        floor -s SOCKET FILE    server, in the foreground; FILE is 16 MiB that are written round
 * and round
 *
 * It keeps no order, no envelope and no promise to anybody: it is what the bench compares with.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 256, RING = 16 * 1024 * 1024 };

static int
open_socket(const char *path, int flags, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return -1;
	memcpy(address->sun_path, path, strlen(path));
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static int
client(const char *path)
{
	struct sockaddr_un address;
	int fd = open_socket(path, 0, &address);
	char bytes[65536], answer;
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return 75;
	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		if (write(fd, bytes, (size_t)n) != n)
			return 75;
	(void)shutdown(fd, SHUT_WR);
	return read(fd, &answer, 1) == 1 ? 0 : 75;
}

struct ring {
	int fd;
	off_t at;
};

/* Passes what a client sent on to the disk: 1 when it has sent all, 0 when more is to come, -1 when
 * it is gone. */
static int
take(struct ring *r, int fd)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		if (r->at + n > RING)
			r->at = 0;
		if (pwrite(r->fd, bytes, (size_t)n, r->at) != n)
			return -1;
		r->at += n;
	}
	return n == 0 ? 1 : errno == EAGAIN ? 0 : -1;
}

/* Every caller that waits; what it has sent already belongs to this turn. */
static nfds_t
accept_all(struct pollfd *p, nfds_t count)
{
	int fd;

	while (count <= CLIENTS &&
	       (fd = accept4(p[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		p[count++] = (struct pollfd){.fd = fd, .events = POLLIN, .revents = POLLIN};
	return count;
}

static int
server(const char *path, const char *file)
{
	static const char zeros[65536];
	struct pollfd p[CLIENTS + 1];
	struct sockaddr_un address;
	struct ring r = {.fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
	nfds_t count = 1;

	p[0] = (struct pollfd){.fd = open_socket(path, SOCK_NONBLOCK, &address), .events = POLLIN};
	(void)unlink(path);
	if (r.fd < 0 || p[0].fd < 0 ||
	    bind(p[0].fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(p[0].fd, CLIENTS) < 0)
		return 71;
	for (off_t at = 0; at < RING; at += (off_t)sizeof(zeros))
		if (pwrite(r.fd, zeros, sizeof(zeros), at) != (ssize_t)sizeof(zeros))
			return 71;
	if (fsync(r.fd) < 0)
		return 71;
	while (poll(p, count, -1) >= 0) {
		int done[CLIENTS];
		nfds_t complete = 0, kept = 1;

		if ((p[0].revents & POLLIN) != 0)
			count = accept_all(p, count);
		for (nfds_t i = 1; i < count; i++) {
			int result = p[i].revents != 0 ? take(&r, p[i].fd) : 0;

			if (result > 0)
				done[complete++] = p[i].fd;
			else if (result < 0)
				(void)close(p[i].fd);
			else
				p[kept++] = p[i];
		}
		count = kept;
		if (complete > 0 && fdatasync(r.fd) < 0)
			return 74;
		while (complete > 0) {
			(void)!write(done[--complete], "y", 1);
			(void)close(done[complete]);
		}
	}
	return 71;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "-s") == 0)
		return server(argv[2], argv[3]);
	return argc == 2 ? client(argv[1]) : 64;
}

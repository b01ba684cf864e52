/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * link.c: see cli.h: a blocking connection to frankd. A short-lived command needs no event loop.
 *
 * Every wait is bounded. A frankd that hangs or cannot start does not read its socket, though the
 * service manager accepts connections for it. This is detected after UNREAD_PATIENCE, however long the
 * answer itself may take.
 */
#include "admin/cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

enum {
	UNREAD_PATIENCE = 10, /* seconds until a request must have been read */
	ANSWER_FACTOR = 10,   /* a whole answer may take so many times the wait for a part of it */
};

uint64_t
link_clock(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The path of a socket in the folder of control.sock. */
static const char *
beside(const char *control, const char *name, struct buf *path)
{
	const char *slash = strrchr(control, '/');

	(void)buf_append(path, control, slash == NULL ? 0 : (size_t)(slash + 1 - control));
	(void)buf_append_str(path, name);
	return buf_str(path);
}

void
link_find_sockets(struct cli *cli)
{
	const char *control = secure_getenv("FRANK_CONTROL_SOCKET");

	buf_init(&cli->keeper_path, 4096);
	buf_init(&cli->submit_path, 4096);
	if (control == NULL || *control == '\0')
		control = FRANK_CONTROL_SOCKET;
	cli->control = control;
	cli->keeper = beside(control, "keeper.sock", &cli->keeper_path);
	cli->submit = beside(control, "submit.sock", &cli->submit_path);
}

void
link_forget_sockets(struct cli *cli)
{
	buf_free(&cli->keeper_path);
	buf_free(&cli->submit_path);
}

static const char *
path_of(const struct link *l)
{
	return l->peer == ROLE_KEEPER ? l->cli->keeper : l->cli->control;
}

static int
fail_connect(const struct link *l, int error)
{
	const struct cli *cli = l->cli;
	const char *path = path_of(l);

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		/* installed, and no more than that */
		if (strcmp(cli->control, FRANK_CONTROL_SOCKET) == 0 &&
		    access(FRANK_CONFIG_FILE, F_OK) < 0 && errno == ENOENT)
			return cli_fail(cli, EX_UNAVAILABLE, "frank account add",
			    "Frank has no account yet; mail that programs hand in is kept");
		return cli_fail(cli, EX_UNAVAILABLE,
		    "start it (systemctl start frank), or name its socket in FRANK_CONTROL_SOCKET",
		    "frankd is not running: %s: %s", path, strerror(error));
	case EAGAIN:
		return cli_fail(cli, EX_TEMPFAIL, "read the log of frankd",
		    "frankd does not answer on %s", path);
	case EACCES:
	case EPERM:
		return cli_fail(cli, EX_NOPERM, "ask an administrator of this machine", "%s: %s",
		    path, strerror(error));
	default:
		return cli_fail(cli, EX_UNAVAILABLE, NULL, "%s: %s", path, strerror(error));
	}
}

int
link_open(struct link *l, const struct cli *cli, enum role_id peer, unsigned patience)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const struct timeval limit = {
	    .tv_sec = patience < UNREAD_PATIENCE ? (time_t)patience : UNREAD_PATIENCE};
	const char *path;

	*l = (struct link){.cli = cli, .peer = peer, .sock = -1, .patience = patience};
	path = path_of(l);
	if (strlen(path) >= sizeof(a.sun_path))
		return cli_fail(
		    cli, EX_CONFIG, NULL, "%s: the path is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	l->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (l->sock < 0)
		return cli_fail(cli, EX_OSERR, NULL, "cannot make a socket: %s", strerror(errno));
	/* it bounds connect as well */
	if (setsockopt(l->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(l->sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		return fail_connect(l, errno);
	return EX_OK;
}

static int
fail_talk(const struct link *l, int r)
{
	const char *path = path_of(l);

	switch (r) {
	case -EAGAIN:
		return fail_connect(l, EAGAIN);
	case -EPROTO:
		return cli_fail(l->cli, EX_PROTOCOL,
		    "install frank and frankd of one version, and restart frankd",
		    "frankd answered on %s in a way that this frank does not understand", path);
	case 0:
	case -EPIPE:
	case -ECONNRESET:
		return cli_fail(l->cli, EX_TEMPFAIL, "read the log of frankd, and try again",
		    "frankd closed the connection to %s without an answer", path);
	default:
		return cli_fail(l->cli, EX_OSERR, NULL, "%s: %s", path, strerror(-r));
	}
}

int
link_send_fd(struct link *l, struct message *m, int fd)
{
	CLEANUP_MESSAGE struct message *taken = m;
	int r = taken == NULL ? -ENOMEM : message_write(l->sock, taken, fd);

	l->end = link_clock() + (uint64_t)l->patience * 1000 * ANSWER_FACTOR;
	return r < 0 ? fail_talk(l, r) : EX_OK;
}

int
link_send(struct link *l, struct message *m)
{
	return link_send_fd(l, m, -1);
}

int
link_wait(int sock, uint64_t end)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	uint64_t now;
	int n;

	do {
		now = link_clock();
		n = poll(&p, 1, end > now ? (int)(end - now) : 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int
await_packet(const struct link *l)
{
	uint64_t now = link_clock(), end = now + (uint64_t)l->patience * 1000, soon;
	int unread = 0, r;

	if (end > l->end)
		end = l->end;
	soon = now + UNREAD_PATIENCE * 1000;
	r = link_wait(l->sock, soon < end ? soon : end);
	if (r == 0 && ioctl(l->sock, TIOCOUTQ, &unread) == 0 && unread == 0)
		r = link_wait(l->sock, end);
	return r == 0 ? -EAGAIN : r;
}

int
link_receive(struct link *l, struct message **ret)
{
	CLEANUP_CLOSE int fd = -1;
	const char *why;
	int r = await_packet(l);

	if (r > 0)
		r = message_read(l->sock, ret, &fd);
	else
		*ret = NULL;

	if (r <= 0)
		return fail_talk(l, r);
	r = message_check(*ret, l->peer, ROLE_CLIENT, fd >= 0, &why);
	if (r < 0) {
		*ret = message_free(*ret);
		return fail_talk(l, -EPROTO);
	}
	return EX_OK;
}

int
link_exchange(struct link *l, struct message *request, enum message_type want, const char *what,
    struct message **ret)
{
	CLEANUP_MESSAGE struct message *answer = NULL;
	int status = link_send(l, request);

	*ret = NULL;
	if (status == EX_OK)
		status = link_receive(l, &answer);
	if (status != EX_OK)
		return status;
	if (message_type(answer) == want) {
		*ret = TAKE_PTR(answer);
		return EX_OK;
	}
	if (message_type(answer) == M_KEEPER_DONE || message_type(answer) == M_QUEUE_DONE)
		status = link_done(l->cli, answer);
	return status != EX_OK
		   ? status
		   : cli_fail(l->cli, EX_PROTOCOL, NULL, "frankd gave no %s, and no error", what);
}

int
link_done(const struct cli *cli, const struct message *m)
{
	const char *error = message_str(m, F_ERROR), *next = NULL;
	int status = (int)message_u64(m, F_EXIT, error == NULL ? EX_OK : EX_SOFTWARE);

	if (message_type(m) == M_KEEPER_DONE)
		next = message_str(m, F_NEXT);
	return error == NULL
		   ? status
		   : cli_fail(cli, status == EX_OK ? EX_SOFTWARE : status, next, "%s", error);
}

int
link_rows(struct link *l, link_row *row, void *arg, struct message **ret_done)
{
	int status = EX_OK;

	while (status == EX_OK) {
		CLEANUP_MESSAGE struct message *m = NULL;

		status = link_receive(l, &m);
		if (status != EX_OK)
			break;
		if (message_type(m) == M_QUEUE_DONE || message_type(m) == M_KEEPER_DONE) {
			if (ret_done == NULL)
				return link_done(l->cli, m);
			*ret_done = TAKE_PTR(m);
			return EX_OK;
		}
		status = row == NULL ? EX_OK : row(arg, m);
	}
	return status;
}

int
link_list(
    struct link *l, struct message *request, link_row *row, void *arg, struct message **ret_done)
{
	int status = link_send(l, request);

	return status == EX_OK ? link_rows(l, row, arg, ret_done) : status;
}

int
link_ask(const struct cli *cli, enum role_id peer, unsigned patience, struct message *request,
    link_row *row, void *arg, struct message **ret_done)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	CLEANUP_MESSAGE struct message *m = request;
	int status = link_open(&l, cli, peer, patience);

	return status == EX_OK ? link_list(&l, TAKE_PTR(m), row, arg, ret_done) : status;
}

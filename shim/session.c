/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session.c: the client's side of one connection to the Unix socket.
 *
 * Everything is pipelined: commands are written without waiting, replies are counted as they come,
 * and the first refusal ends the session. The socket never blocks: while it takes no more octets,
 * replies are read, so that neither side can wait for the other for good, however many recipients
 * or chunks are under way.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "shim/shim.h"

static int
connect_once(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error, high;

	if (fd < 0)
		return -errno;
	/* A caller that closed its standard files must not find its words of error in the session.
	 */
	if (fd <= STDERR_FILENO) {
		high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		(void)close(fd);
		if (high < 0)
			return -EMFILE;
		fd = high;
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	return -error;
}

uint64_t
clock_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
session_open(struct shim_session *s, const char *path, unsigned patience)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned pause = 20, busy = SESSION_GREETING_PATIENCE, *left;

	s->fd = -1;
	s->patience = SESSION_REPLY_PATIENCE;
	s->waits = 0;
	s->deadline = 0;
	s->replies = 0;
	s->refusal = 0;
	s->closed = false;
	s->held = 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	for (;;) {
		int fd = connect_once(&address);

		if (fd >= 0) {
			s->fd = fd;
			return 0;
		}
		/* EAGAIN is a daemon with more callers than it could greet yet: worth waiting for. */
		if (fd == -EAGAIN)
			left = &busy;
		else if ((fd == -ENOENT || fd == -ECONNREFUSED))
			left = &patience;
		else
			return fd;
		if (*left == 0)
			return fd;
		pause = pause < *left ? pause : *left;
		(void)poll(NULL, 0, (int)pause);
		*left -= pause;
		pause = pause < 200 ? pause * 2 : pause;
	}
}

void
session_close(struct shim_session *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

/* The enhanced code that a text begins with, "5.1.1 "; its length, or 0. */
static size_t
enhanced_length(const char *text, size_t len)
{
	size_t i = 0, dots = 0;

	while (i < len && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.'))
		dots += text[i++] == '.';
	return dots == 2 && i >= 5 && i < sizeof(((struct shim_session *)0)->enhanced) ? i : 0;
}

static void
keep_refusal(struct shim_session *s, int code, const char *text, size_t len)
{
	size_t enhanced = enhanced_length(text, len);

	s->refusal = code;
	s->refused = s->replies;
	memcpy(s->enhanced, text, enhanced);
	s->enhanced[enhanced] = '\0';
	if (len > sizeof(s->text) - 1)
		len = sizeof(s->text) - 1;
	memcpy(s->text, text, len);
	s->text[len] = '\0';
}

/* One line of a reply, without its line end. A line that is none is a refusal, too: whoever speaks
 * there is no SMTP server. */
static void
take_line(struct shim_session *s, const char *line, size_t len)
{
	int code = 0;

	for (size_t i = 0; i < 3 && i < len && line[i] >= '0' && line[i] <= '9'; i++)
		code = code * 10 + (line[i] - '0');
	if (code < 200 || (len > 3 && line[3] != ' ' && line[3] != '-')) {
		if (s->refusal == 0)
			keep_refusal(s, 421, "the socket speaks no SMTP",
			    strlen("the socket speaks no SMTP"));
		return;
	}
	line += len > 3 ? 4 : 3;
	len -= len > 3 ? 4 : 3;
	if (code < 400 && s->line != NULL)
		s->line(s->arg, s->replies, line, len);
	if (code >= 400 && s->refusal == 0)
		keep_refusal(s, code, line, len);
	if (line[-1] == '-')
		return;
	/* Behind the greeting another patience begins. */
	if (s->replies++ == 0) {
		s->waits = 0;
		s->deadline = 0;
	}
}

static void
take_input(struct shim_session *s)
{
	char *line = s->input, *lf;

	while ((lf = memchr(line, '\n', (size_t)(s->input + s->held - line))) != NULL) {
		take_line(s, line, (size_t)(lf - line) - (lf > line && lf[-1] == '\r'));
		line = lf + 1;
	}
	s->held -= (size_t)(line - s->input);
	memmove(s->input, line, s->held);
	/* A line that fills the buffer says nothing more behind it that matters. */
	if (s->held == sizeof(s->input))
		s->held--;
}

/* Reads what is there. 0, or -EAGAIN when nothing is, or -ECONNRESET at the end. */
static int
read_replies(struct shim_session *s)
{
	ssize_t n;

	do
		n = recv(s->fd, s->input + s->held, sizeof(s->input) - s->held, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0) {
		s->closed = true;
		return -ECONNRESET;
	}
	s->held += (size_t)n;
	take_input(s);
	return 0;
}

/* 0 also where a signal came first: *ret is 0 then. */
static int
wait_for(struct shim_session *s, short events, short *ret)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	unsigned left = s->replies == 0 ? SESSION_GREETING_PATIENCE : s->patience;
	int n;

	if (s->waits++ > 0) {
		uint64_t now = clock_ms();

		if (s->deadline == 0)
			s->deadline = now + left;
		left = s->deadline > now ? (unsigned)(s->deadline - now) : 0;
	}
	n = poll(&p, 1, (int)left);
	*ret = n > 0 ? p.revents : 0;
	return n > 0 || (n < 0 && errno == EINTR) ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

int
session_send(struct shim_session *s, const char *a, size_t a_len, const char *b, size_t b_len)
{
	while (a_len + b_len > 0 && s->refusal == 0) {
		struct iovec v[2] = {{(void *)a, a_len}, {(void *)b, b_len}};
		struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
		ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
		short ready;
		int r;

		if (n >= 0) {
			size_t of_a = (size_t)n < a_len ? (size_t)n : a_len;

			a += of_a;
			a_len -= of_a;
			b += (size_t)n - of_a;
			b_len -= (size_t)n - of_a;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			/* The peer may have said why before it closed. */
			while (read_replies(s) == 0 && s->refusal == 0)
				;
			s->closed = true;
			return s->refusal != 0 ? 0 : -ECONNRESET;
		}
		r = wait_for(s, POLLIN | POLLOUT, &ready);
		if (r == 0 && (ready & POLLIN) != 0)
			r = read_replies(s);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return 0;
}

int
session_wait(struct shim_session *s, unsigned replies)
{
	while (s->replies < replies && s->refusal == 0) {
		short ready;
		int r = wait_for(s, POLLIN, &ready);

		if (r == 0 && ready != 0)
			r = read_replies(s);
		if (r < 0 && r != -EAGAIN)
			return s->refusal != 0 ? 0 : r;
	}
	return 0;
}

bool
session_is_read(const struct shim_session *s)
{
	int unread = 0;

	return ioctl(s->fd, TIOCOUTQ, &unread) < 0 || unread == 0;
}

int
session_exit_status(int code, const char *enhanced)
{
	const char *subject = enhanced[0] != '\0' && enhanced[1] == '.' ? enhanced + 2 : "";

	if (code < 400)
		return EX_OK;
	if (code < 500)
		return EX_TEMPFAIL;
	if (code == 552 || strncmp(subject, "6.", 2) == 0 || strcmp(subject, "3.4") == 0)
		return EX_DATAERR;
	if (strncmp(subject, "1.", 2) == 0)
		return EX_NOUSER;
	if (strncmp(subject, "7.", 2) == 0)
		return EX_NOPERM;
	if (strcmp(subject, "3.5") == 0)
		return EX_CONFIG;
	return EX_UNAVAILABLE;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reference.c: see reference.h. Main reads them, before the roles get their parts. A command runs without a shell and without
 * arguments, with an empty environment but for PATH, and has ten seconds.
 */
#include "broker/conf/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const char command_scheme[] = "command:";

static time_t
seconds_now(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Waits for something to read, to `deadline` (of seconds_now). A signal ends no wait: a read that
 * blocks would know no deadline. */
static int
wait_readable(int fd, time_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		time_t now = seconds_now();
		int n = now >= deadline ? 0 : poll(&p, 1, (int)(deadline - now) * 1000);

		if (n >= 0)
			return n == 0 ? -ETIMEDOUT : 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Reads to the end of the file, or to `deadline` (0: none). 0 or negative errno. */
static int
read_all(int fd, struct buf *out, time_t deadline)
{
	char piece[4096];
	int r = 0;

	for (;;) {
		ssize_t n;

		if (deadline != 0 && (r = wait_readable(fd, deadline)) < 0)
			break;
		n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		r = buf_append(out, piece, (size_t)n);
		if (r < 0)
			break;
	}
	mem_wipe(piece, sizeof(piece));
	return r;
}

static int
from_file(const char *path, struct buf *out, struct buf *why)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		(void)buf_printf(why, "%s cannot be read: %s", path, strerror(errno));
		return r;
	}
	r = S_ISREG(st.st_mode) ? read_all(fd, out, 0) : -EINVAL;
	if (r < 0)
		(void)buf_printf(why, "%s cannot be read: %s", path,
		    r == -EINVAL    ? "it is no regular file"
		    : r == -ENOBUFS ? "it is larger than 16 KiB"
				    : strerror(-r));
	return r;
}

static int
from_credential(const char *name, struct buf *out, struct buf *why)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
	CLEANUP_BUF struct buf path = BUF_INIT(4096);

	if (dir == NULL) {
		(void)buf_printf(why,
		    "credential \"%s\": no credentials were passed to this service; add "
		    "LoadCredential= or LoadCredentialEncrypted= to its unit",
		    name);
		return -ENOENT;
	}
	if (strchr(name, '/') != NULL || name[0] == '.' ||
	    buf_printf(&path, "%s/%s", dir, name) < 0) {
		(void)buf_append_str(why, "a credential's name has no '/' and no leading '.'");
		return -EINVAL;
	}
	return from_file(buf_str(&path), out, why);
}

static int
spawn(const char *path, int out, pid_t *pid)
{
	char own[PATH_MAX],
	    search[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const argv[] = {own, NULL}, *const env[] = {search, NULL};
	posix_spawn_file_actions_t actions;
	int r;

	if (strlen(path) >= sizeof(own))
		return -ENAMETOOLONG;
	memcpy(own, path, strlen(path) + 1);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	if ((r = posix_spawn_file_actions_addopen(
		 &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) == 0 &&
	    (r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO)) == 0)
		r = posix_spawn(pid, path, &actions, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Waits for the end of a process, and kills it at `deadline`: -ETIMEDOUT. */
static int
reap(pid_t pid, time_t deadline, int *status)
{
	const struct timespec pause = {.tv_nsec = 1000 * 1000};
	pid_t got;

	while ((got = waitpid(pid, status, WNOHANG)) == 0) {
		if (seconds_now() >= deadline) {
			(void)kill(pid, SIGKILL);
			while (waitpid(pid, status, 0) < 0 && errno == EINTR)
				;
			return -ETIMEDOUT;
		}
		(void)nanosleep(&pause, NULL);
	}
	return got < 0 ? -errno : 0;
}

bool
reference_is_command(const struct conf_reference *ref)
{
	return ref->text != NULL && strncmp(ref->text, command_scheme, strlen(command_scheme)) == 0;
}

static int
start_command(const char *path, pid_t *ret_pid, int *ret_fd, struct buf *why)
{
	int ends[2], r;

	if (path[0] != '/') {
		(void)buf_append_str(
		    why, "a command is given by its absolute path, without arguments");
		return -EINVAL;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = spawn(path, ends[1], ret_pid);
	(void)close(ends[1]);
	if (r < 0) {
		(void)close(ends[0]);
		(void)buf_printf(why, "command %s cannot be run: %s", path, strerror(-r));
		return r;
	}
	*ret_fd = ends[0];
	return 0;
}

int
reference_command_start(
    const struct conf_reference *ref, pid_t *ret_pid, int *ret_fd, struct buf *why)
{
	return start_command(ref->text + strlen(command_scheme), ret_pid, ret_fd, why);
}

/* 0 for a command whose output counts. `r`: how reading it ended. */
static int
judge_command(const char *path, int r, int status, struct buf *why)
{
	if (r == -ETIMEDOUT) {
		(void)buf_printf(why, "command %s did not end within %d seconds", path,
		    REFERENCE_COMMAND_SECONDS);
	} else if (r < 0) {
		(void)buf_printf(why, "command %s: %s", path,
		    r == -ENOBUFS ? "it printed more than 16 KiB" : strerror(-r));
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		(void)buf_printf(why, "command %s failed with %s %d", path,
		    WIFEXITED(status) ? "exit status" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		r = -EIO;
	}
	return r;
}

static int
from_command(const char *path, struct buf *out, struct buf *why)
{
	time_t deadline = seconds_now() + REFERENCE_COMMAND_SECONDS;
	int fd = -1, status = 0, r, ended;
	pid_t pid = 0;

	r = start_command(path, &pid, &fd, why);
	if (r < 0)
		return r;
	r = read_all(fd, out, deadline);
	(void)close(fd);
	ended = reap(pid, r < 0 ? 0 : deadline, &status);
	return judge_command(path, r < 0 ? r : ended, status, why);
}

/* What was read, without its line end. */
static struct secret *
make_secret(const char *text, struct buf *out, struct buf *why)
{
	struct secret *s;

	if (out->len > 0 && out->data[out->len - 1] == '\n')
		out->len--;
	if (out->len > 0 && out->data[out->len - 1] == '\r')
		out->len--;
	if (out->len == 0) {
		(void)buf_printf(why, "%s is empty", text);
		return NULL;
	}
	s = secret_new(out->data, out->len);
	if (s == NULL)
		(void)buf_append_str(why, "no memory");
	return s;
}

struct secret *
reference_command_end(
    const struct conf_reference *ref, int r, int status, struct buf *out, struct buf *why)
{
	const char *path = ref->text + strlen(command_scheme);

	return judge_command(path, r, status, why) < 0 ? NULL : make_secret(ref->text, out, why);
}

struct secret *
reference_read(const struct conf_reference *ref, struct buf *why)
{
	static const struct {
		const char *scheme;
		int (*read)(const char *rest, struct buf *out, struct buf *why);
	} schemes[] = {
	    {"file:", from_file}, {"credential:", from_credential}, {command_scheme, from_command}};
	CLEANUP_BUF struct buf out = BUF_INIT_WIPE(REFERENCE_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].scheme);

		if (strncmp(ref->text, schemes[i].scheme, len) != 0)
			continue;
		if (schemes[i].read(ref->text + len, &out, why) < 0)
			return NULL;
		return make_secret(ref->text, &out, why);
	}
	(void)buf_append_str(
	    why, "a secret is given as \"file:PATH\", \"credential:NAME\" or \"command:PATH\"");
	return NULL;
}

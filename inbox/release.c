/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * release.c: see release.h. The message waits in a memfd, so that the command reads at its own pace; what it says on standard output and
 * error comes by a pipe, whose end tells that it is done.
 */
#include "inbox/release.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/header.h"
#include "base/io.h"

enum { WORDS_MAX = 1024 };

struct release {
	pid_t pid;
	int words; /* the reading end of the pipe */
	struct event *event, *limit;
	char said[WORDS_MAX];
	size_t len;
	release_done *done;
	void *arg;
};

bool
release_allows(const char *const *allow, size_t count, const char *address)
{
	size_t n;

	for (n = 0; n < count; n++)
		if (fnmatch(allow[n], address, FNM_CASEFOLD) == 0)
			return true;
	return count == 0;
}

/* Fields that are not the author's: added on the way in, or not to be seen by recipients. */
static bool
is_dropped(const struct header_field *f)
{
	static const char *const names[] = {
	    "Bcc", "Return-Path", "X-Frank-Sandbox-Mechanism", "X-Frank-Sandbox-Account"};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(names); n++)
		if (header_is(f, names[n]))
			return true;
	return false;
}

/* A file with the message as it goes out, at its start. Negative errno. */
static int
message_file(const struct inbox_message *m)
{
	size_t len, at = 0, body;
	const char *raw = inbox_message_raw(m, &len);
	struct header_field f;
	int fd = memfd_create("message", MFD_CLOEXEC), r = fd < 0 ? -errno : 0;

	while (r == 0 && header_next(raw, len, true, &at, &f) > 0)
		if (!is_dropped(&f))
			r = io_write_all(fd, f.whole, f.whole_len);
	body = at;
	if (r == 0)
		r = io_write_all(fd, "\n", 1);
	if (r == 0)
		r = io_write_all(fd, raw + body, len - body);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* The address of Sender, or of From. The caller frees it; NULL: there is none. */
static char *
sender_of(const struct inbox_message *m)
{
	static const char *const fields[] = {"Sender", "From"};
	char *sender = NULL;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(fields) && sender == NULL; n++) {
		json_t *list = inbox_message_addresses(m, fields[n]);
		const char *address =
		    json_string_value(json_object_get(json_array_get(list, 0), "Address"));

		if (address != NULL && address[0] != '\0' && address[0] != '-')
			sender = strdup(address);
		json_decref(list);
	}
	return sender;
}

static void
release_free(struct release *r)
{
	if (r->event != NULL)
		event_free(r->event);
	if (r->limit != NULL)
		event_free(r->limit);
	if (r->words >= 0)
		(void)close(r->words);
	free(r);
}

static void
finish(struct release *r, const char *why)
{
	release_done *done = r->done;
	void *arg = r->arg;

	done(arg, why);
	release_free(r);
}

/* The command has closed its output: it ends, or has ended. */
static void
finish_ended(struct release *r)
{
	struct buf why CLEANUP_BUF = BUF_INIT(2 * WORDS_MAX);
	int status = 0;

	if (waitpid(r->pid, &status, WNOHANG) == 0) { /* it runs on without words */
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, &status, 0);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		finish(r, NULL);
		return;
	}
	if (WIFEXITED(status))
		(void)buf_printf(&why, "the command exited with %d", WEXITSTATUS(status));
	else
		(void)buf_append_str(&why, "the command was ended by a signal");
	if (r->len > 0) {
		(void)buf_append_str(&why, ": ");
		(void)text_plain(&why, r->said, r->len, WORDS_MAX);
	}
	finish(r, buf_str(&why));
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct release *r = arg;

	(void)kill(r->pid, SIGKILL);
	(void)waitpid(r->pid, NULL, 0);
	finish(r, "the command did not end in time");
}

static void
on_words(evutil_socket_t fd, short what, void *arg)
{
	struct release *r = arg;
	char bytes[512];
	ssize_t n;

	n = read(fd, bytes, sizeof(bytes));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish_ended(r);
		return;
	}
	if ((size_t)n > sizeof(r->said) - r->len)
		n = (ssize_t)(sizeof(r->said) - r->len);
	memcpy(r->said + r->len, bytes, (size_t)n);
	r->len += (size_t)n;
}

/* Runs the command. 0 or negative errno. */
static int
spawn(struct release *r, const char *command, const char *sender, const json_t *recipients,
    int input, int output)
{
	const char *argv[RELEASE_RECIPIENTS_MAX + 8];
	posix_spawn_file_actions_t files;
	const json_t *to;
	size_t n, argc = 0;
	int error;

	argv[argc++] = command;
	argv[argc++] = "-i";
	argv[argc++] = "-f";
	argv[argc++] = sender;
	argv[argc++] = "--";
	json_array_foreach(recipients, n, to) argv[argc++] = json_string_value(to);
	argv[argc] = NULL;
	if (posix_spawn_file_actions_init(&files) != 0)
		return -ENOMEM;
	(void)posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	(void)posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
	error = posix_spawn(&r->pid, command, &files, NULL, (char *const *)argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	return -error;
}

struct release *
release_start(struct event_base *base, const char *command, const struct inbox_message *m,
    const json_t *recipients, release_done *done, void *arg, int *ret_error)
{
	static const struct timeval limit = {.tv_sec = RELEASE_SECONDS};
	struct release *r = calloc(1, sizeof(*r));
	char *sender CLEANUP_FREE = sender_of(m);
	int input CLEANUP_CLOSE = -1, output CLEANUP_CLOSE = -1, ends[2];

	*ret_error = r == NULL ? -ENOMEM : sender == NULL ? -EDOM : 0;
	if (*ret_error < 0) {
		free(r);
		return NULL;
	}
	r->words = -1;
	r->done = done;
	r->arg = arg;
	input = message_file(m);
	if (input < 0)
		*ret_error = input;
	else if (pipe2(ends, O_CLOEXEC) < 0)
		*ret_error = -errno;
	if (*ret_error == 0) {
		r->words = ends[0];
		output = ends[1];
		r->event = event_new(base, ends[0], EV_READ | EV_PERSIST, on_words, r);
		r->limit = evtimer_new(base, on_limit, r);
		if (r->event == NULL || r->limit == NULL || event_add(r->event, NULL) < 0 ||
		    event_add(r->limit, &limit) < 0 || evutil_make_socket_nonblocking(ends[0]) < 0)
			*ret_error = -ENOMEM;
	}
	if (*ret_error == 0)
		*ret_error = spawn(r, command, sender, recipients, input, output);
	if (*ret_error == 0)
		return r;
	release_free(r);
	return NULL;
}

struct release *
release_cancel(struct release *r)
{
	if (r == NULL)
		return NULL;
	(void)kill(r->pid, SIGKILL);
	(void)waitpid(r->pid, NULL, 0);
	release_free(r);
	return NULL;
}

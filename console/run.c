/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * run.c: see run.h. A run is over when its output has ended and it has been waited for, in whichever order.
 *
 * A child that is given up is killed and waited for later, by the same handler of SIGCHLD; until then it keeps its place among RUN_MAX.
 */
#include "console/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/io.h"

enum { CHUNK = 64 * 1024 };

struct run_process {
	TAILQ_ENTRY(run_process) link;
	struct run_pool *runner;
	struct run_options o; /* `arguments` is not kept */
	pid_t pid;            /* 0: waited for */
	int status;
	int in; /* -1: none */
	struct event *out, *timer;
	bool ended; /* the output has */
	bool given_up;
	struct buf text;
};

struct run_pool {
	struct event_base *base;
	const char *frank;
	struct event *child;
	TAILQ_HEAD(, run_process) runs;
	unsigned count;
};

static void
run_free(struct run_process *r)
{
	TAILQ_REMOVE(&r->runner->runs, r, link);
	r->runner->count--;
	if (r->out != NULL) {
		(void)close(event_get_fd(r->out));
		event_free(r->out);
	}
	if (r->timer != NULL)
		event_free(r->timer);
	cleanup_close(&r->in);
	buf_free(&r->text);
	free(r);
}

/* Is it over? Then whoever started it hears so. */
static void
settle(struct run_process *r)
{
	int status = r->status;

	if (r->pid != 0 || (!r->ended && !r->given_up))
		return;
	if (!r->given_up)
		r->o.done(r->o.arg, status, buf_str(&r->text), r->text.len);
	run_free(r);
}

static void
stop_output(struct run_process *r)
{
	if (r->out == NULL)
		return;
	(void)close(event_get_fd(r->out));
	event_free(r->out);
	r->out = NULL;
	r->ended = true;
}

/* Too long, or too much. */
static void
stop(struct run_process *r)
{
	r->status = RUN_ENDED;
	stop_output(r);
	buf_clear(&r->text);
	if (r->pid != 0)
		(void)kill(r->pid, SIGKILL);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	stop(arg);
	settle(arg);
}

static void
take_lines(struct run_process *r)
{
	size_t at = 0;
	char *end;

	while (r->o.line != NULL && r->text.len > at &&
	       (end = memchr(r->text.data + at, '\n', r->text.len - at)) != NULL) {
		*end = '\0';
		r->o.line(r->o.arg, r->text.data + at);
		at = (size_t)(end + 1 - r->text.data);
	}
	buf_consume(&r->text, at);
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct run_process *r = arg;
	char chunk[CHUNK];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && buf_append(&r->text, chunk, (size_t)n) == 0) {
		take_lines(r);
	} else if (n > 0) {
		stop(r);
		settle(r);
	} else {
		stop_output(r);
		settle(r);
	}
	mem_wipe(chunk, n > 0 ? (size_t)n : 0);
}

static void
on_child(evutil_socket_t number, short what, void *arg)
{
	struct run_pool *runner = arg;
	struct run_process *r, *next;

	for (r = TAILQ_FIRST(&runner->runs); r != NULL; r = next) {
		int status;

		next = TAILQ_NEXT(r, link);
		if (r->pid == 0 || waitpid(r->pid, &status, WNOHANG) != r->pid)
			continue;
		r->pid = 0;
		if (r->status == 0)
			r->status = WIFEXITED(status) ? WEXITSTATUS(status) : RUN_ENDED;
		settle(r);
	}
}

struct run_pool *
run_pool_new(struct event_base *base, const char *frank)
{
	struct run_pool *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	TAILQ_INIT(&r->runs);
	r->base = base;
	r->frank = frank;
	r->child = evsignal_new(base, SIGCHLD, on_child, r);
	if (r->child == NULL || event_add(r->child, NULL) < 0)
		return run_pool_free(r);
	return r;
}

struct run_pool *
run_pool_free(struct run_pool *r)
{
	struct run_process *run;

	if (r == NULL)
		return NULL;
	while ((run = TAILQ_FIRST(&r->runs)) != NULL) {
		if (run->pid != 0 && kill(run->pid, SIGKILL) == 0)
			(void)waitpid(run->pid, NULL, 0);
		run_free(run);
	}
	if (r->child != NULL)
		event_free(r->child);
	free(r);
	return NULL;
}

/* ---- starting ---- */

/* In the child: never returns. */
__attribute__((noreturn)) static void
become(const struct run_pool *runner, const struct run_options *o, int in, int out, pid_t parent)
{
	const char *argv[RUN_ARGUMENTS_MAX + 2] = {"frank"};
	CLEANUP_CLOSE int null = -1;
	sigset_t none;
	size_t n = 1;

	for (; n <= RUN_ARGUMENTS_MAX && o->arguments[n - 1] != NULL; n++)
		argv[n] = o->arguments[n - 1];
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(in >= 0 ? in : null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(o->errors ? out : null, STDERR_FILENO) >= 0 && close_range(3, UINT_MAX, 0) == 0)
		(void)execv(runner->frank, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Starts the process; on success the parent's ends are in fds[0] (output) and *in (-1: none). */
static pid_t
start_process(const struct run_pool *runner, const struct run_options *o, int fds[2], int *in)
{
	int input[2] = {-1, -1};
	pid_t pid, parent = getpid();

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	if (o->input && pipe2(input, O_CLOEXEC) < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become(runner, o, input[0], fds[1], parent);
	(void)close(fds[1]);
	cleanup_close(&input[0]);
	if (pid < 0) {
		(void)close(fds[0]);
		cleanup_close(&input[1]);
	}
	*in = input[1];
	return pid;
}

struct run_process *
run_start(struct run_pool *runner, const struct run_options *o)
{
	const struct timeval limit = {.tv_sec = o->seconds};
	struct run_process *r = runner->count < RUN_MAX ? calloc(1, sizeof(*r)) : NULL;
	int fds[2];

	if (r == NULL)
		return NULL;
	r->runner = runner;
	r->o = *o;
	r->o.arguments = NULL;
	buf_init(&r->text, RUN_OUTPUT_MAX);
	r->pid = start_process(runner, o, fds, &r->in);
	if (r->pid < 0) {
		free(r);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&runner->runs, r, link);
	runner->count++;
	r->out = event_new(runner->base, fds[0], EV_READ | EV_PERSIST, on_output, r);
	r->timer = evtimer_new(runner->base, on_late, r);
	if (r->out == NULL)
		(void)close(fds[0]);
	if (r->out == NULL || r->timer == NULL || evutil_make_socket_nonblocking(fds[0]) < 0 ||
	    event_add(r->out, NULL) < 0 || (o->seconds > 0 && event_add(r->timer, &limit) < 0))
		return run_cancel(r);
	return r;
}

int
run_write(struct run_process *r, const char *text, size_t len)
{
	/* a pipe takes this much at once */
	if (r->in < 0 || len > RUN_INPUT_MAX || io_write_all(r->in, text, len) < 0)
		return -EPIPE;
	return 0;
}

struct run_process *
run_cancel(struct run_process *r)
{
	if (r == NULL)
		return NULL;
	r->given_up = true;
	stop(r);
	if (r->pid == 0)
		run_free(r);
	return NULL;
}

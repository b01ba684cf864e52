/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * commands.c: see commands.h. A command is over when its output has ended and it was waited for, or
 * when its time is up: then it is killed, and what remains of it a moment later is left alone.
 */
#include "broker/main/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/conf/reference.h"

enum { AT_ONCE_MAX = 8, KILL_SECONDS = 1 };

enum state { WAITS, RUNS, KILLED, ENDED };

struct command {
	struct commands *all;
	const struct conf_reference *reference;
	enum state state;
	pid_t pid; /* 0: none, or waited for */
	int fd;    /* -1: its output has ended */
	int r, status;
	struct event *readable, *deadline;
	struct buf out, why;
	struct secret *secret;
};

struct commands {
	struct event_base *base;
	struct command **items;
	size_t count;
	struct event *child_signal, *over;
	void (*done)(void *arg);
	void *arg;
};

static void run_some(struct commands *c);

static void
close_output(struct command *x)
{
	if (x->readable != NULL)
		event_free(x->readable);
	x->readable = NULL;
	if (x->fd >= 0)
		(void)close(TAKE_FD(x->fd));
}

/* Judges the command and goes on with others. */
static void
end(struct command *x)
{
	close_output(x);
	(void)event_del(x->deadline);
	x->state = ENDED;
	x->secret = reference_command_end(x->reference, x->r, x->status, &x->out, &x->why);
	buf_free(&x->out);
	run_some(x->all);
}

static void
look(struct command *x)
{
	if ((x->state == RUNS || x->state == KILLED) && x->pid == 0 && x->fd < 0)
		end(x);
}

static void
stop(struct command *x, int r)
{
	static const struct timeval grace = {KILL_SECONDS, 0};

	x->r = r;
	x->state = KILLED;
	close_output(x);
	if (x->pid > 0)
		(void)kill(x->pid, SIGKILL);
	(void)event_add(x->deadline, &grace);
	look(x);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct command *x = arg;
	char piece[4096];
	ssize_t n = read(fd, piece, sizeof(piece));
	int r = n > 0 ? buf_append(&x->out, piece, (size_t)n) : 0;

	mem_wipe(piece, sizeof(piece));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 || r < 0) {
		stop(x, n < 0 ? -errno : r);
	} else if (n == 0) {
		close_output(x);
		look(x);
	}
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct command *x = arg;

	if (x->state == RUNS)
		stop(x, -ETIMEDOUT);
	else
		end(x);
}

static void
on_child(evutil_socket_t number, short what, void *arg)
{
	struct commands *c = arg;

	for (size_t i = 0; i < c->count; i++) {
		struct command *x = c->items[i];

		if (x->pid > 0 && waitpid(x->pid, &x->status, WNOHANG) == x->pid) {
			x->pid = 0;
			look(x);
		}
	}
}

static void
start(struct command *x)
{
	static const struct timeval limit = {REFERENCE_COMMAND_SECONDS, 0};
	int r = reference_command_start(x->reference, &x->pid, &x->fd, &x->why);

	x->state = RUNS;
	if (r < 0) {
		x->pid = 0;
		x->state = ENDED;
		if (x->why.len == 0)
			(void)buf_append_str(&x->why, strerror(-r));
		return;
	}
	(void)evutil_make_socket_nonblocking(x->fd);
	x->readable = event_new(x->all->base, x->fd, EV_READ | EV_PERSIST, on_readable, x);
	if (x->readable == NULL || event_add(x->readable, NULL) < 0 ||
	    event_add(x->deadline, &limit) < 0)
		stop(x, -ENOMEM);
}

static size_t
count_in(const struct commands *c, enum state state)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += c->items[i]->state == state;
	return n;
}

static void
run_some(struct commands *c)
{
	static const struct timeval now = {0, 0};

	for (size_t i = 0; i < c->count; i++)
		if (c->items[i]->state == WAITS &&
		    count_in(c, RUNS) + count_in(c, KILLED) < AT_ONCE_MAX)
			start(c->items[i]);
	/* Also where none could be started: from the loop. */
	if (count_in(c, ENDED) == c->count)
		(void)event_add(c->over, &now);
}

static void
on_over(evutil_socket_t number, short what, void *arg)
{
	struct commands *c = arg;

	(void)event_del(c->child_signal);
	c->done(c->arg);
}

struct commands *
commands_new(struct event_base *base)
{
	struct commands *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->base = base;
	c->child_signal = evsignal_new(base, SIGCHLD, on_child, c);
	c->over = evtimer_new(base, on_over, c);
	return c->child_signal == NULL || c->over == NULL ? commands_free(c) : c;
}

static void
command_free(struct command *x)
{
	if (x->pid > 0) {
		(void)kill(x->pid, SIGKILL);
		while (waitpid(x->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	close_output(x);
	if (x->deadline != NULL)
		event_free(x->deadline);
	buf_free(&x->out);
	buf_free(&x->why);
	(void)secret_free(x->secret);
	free(x);
}

struct commands *
commands_free(struct commands *c)
{
	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < c->count; i++)
		command_free(c->items[i]);
	free(c->items);
	if (c->child_signal != NULL)
		event_free(c->child_signal);
	if (c->over != NULL)
		event_free(c->over);
	free(c);
	return NULL;
}

static struct command *
find(const struct commands *c, const struct conf_reference *r)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i]->reference->text, r->text) == 0)
			return c->items[i];
	return NULL;
}

int
commands_add(struct commands *c, const struct conf_reference *r)
{
	struct command **more, *x;

	if (!reference_is_command(r) || find(c, r) != NULL)
		return 0;
	more = reallocarray(c->items, c->count + 1, sizeof(struct command *));
	if (more == NULL)
		return -ENOMEM;
	c->items = more;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return -ENOMEM;
	x->all = c;
	x->reference = r;
	x->fd = -1;
	x->out = (struct buf)BUF_INIT_WIPE(REFERENCE_MAX);
	x->why = (struct buf)BUF_INIT(1024);
	x->deadline = evtimer_new(c->base, on_deadline, x);
	if (x->deadline == NULL) {
		free(x);
		return -ENOMEM;
	}
	c->items[c->count++] = x;
	return 0;
}

bool
commands_run(struct commands *c, void (*done)(void *arg), void *arg)
{
	if (c->count == 0)
		return false;
	c->done = done;
	c->arg = arg;
	(void)event_add(c->child_signal, NULL);
	run_some(c);
	return true;
}

struct secret *
commands_take(struct commands *c, const struct conf_reference *r, struct buf *why)
{
	struct command *x = find(c, r);

	if (x == NULL) {
		(void)buf_printf(why, "%s was not run", r->text);
		return NULL;
	}
	if (x->secret == NULL) {
		(void)buf_append(why, buf_str(&x->why), x->why.len);
		return NULL;
	}
	return secret_ref(x->secret);
}

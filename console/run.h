/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * run.h: runs the command frank for the console, with its rights and nobody else's.
 *
 * Each request to frankd is a process of its own: it can be given up at any time, blocks nobody, and whatever it does a
 * person could have typed. At most RUN_MAX at a time. They end with the console, however that ends.
 */
#ifndef FRANK_CONSOLE_RUN_H
#define FRANK_CONSOLE_RUN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	RUN_MAX = 32,
	RUN_ARGUMENTS_MAX = 40,
	RUN_OUTPUT_MAX = 64 * 1024 * 1024, /* octets; a run that prints more is ended */
	RUN_INPUT_MAX = 16 * 1024,         /* octets for its standard input */
};

/* In place of an exit status. */
enum { RUN_ENDED = -1 /* by a signal, by its time, or for printing too much */ };

struct run_pool;
struct run_process;

/* `frank` is the program's path, borrowed. NULL: no memory. */
struct run_pool *run_pool_new(struct event_base *base, const char *frank);
/* Ends all runs; nobody is called. Takes and returns NULL. */
struct run_pool *run_pool_free(struct run_pool *r);

/* It has ended: `text` is what it printed and has not been taken line by line, with a NUL behind it. The run is gone afterwards. */
typedef void run_done(void *arg, int status, const char *text, size_t len);
/* A line of it, without its end. Does not cancel the run. */
typedef void run_line(void *arg, const char *line);

struct run_options {
	const char *const *arguments; /* behind "frank"; NULL at the end */
	unsigned seconds;             /* it may last; 0: as long as it wants */
	bool input;     /* it has a standard input, for run_write; else an empty one */
	bool errors;    /* what it says on standard error counts as printed */
	run_line *line; /* called for each line as it comes; NULL: all of it goes to `done` */
	run_done *done;
	void *arg;
};

/* NULL: it cannot be started (RUN_MAX, memory, processes). */
struct run_process *run_start(struct run_pool *r, const struct run_options *o);
/* Gives it a line to read. 0, or -EPIPE: it does not read, or nothing any more. */
int run_write(struct run_process *r, const char *text, size_t len);
/* Ends it; `done` is not called. Takes and returns NULL. */
struct run_process *run_cancel(struct run_process *r);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Runs of a command: what they print, how they end, and that none outlives its bounds. A shell stands for frank. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "console/run.h"

static struct event_base *base;
static struct run_pool *pool;

struct outcome {
	unsigned count; /* how often it was told */
	int status;
	char text[256];
	size_t len;
	char lines[256];
};

static void
on_line(void *arg, const char *line)
{
	struct outcome *o = arg;
	size_t at = strlen(o->lines);

	(void)snprintf(o->lines + at, sizeof(o->lines) - at, "%s|", line);
}

static void
on_done(void *arg, int status, const char *text, size_t len)
{
	struct outcome *o = arg;

	o->count++;
	o->status = status;
	o->len = len;
	assert_int_equal(text[len], '\0');
	(void)snprintf(o->text, sizeof(o->text), "%.200s", text);
	(void)event_base_loopbreak(base);
}

static struct run_process *
start(struct outcome *o, const char *script, struct run_options options)
{
	const char *arguments[] = {"-c", script, NULL};

	*o = (struct outcome){.count = 0};
	options.arguments = arguments;
	options.done = on_done;
	options.arg = o;
	return run_start(pool, &options);
}

static void
run(struct outcome *o, const char *script, struct run_options options)
{
	assert_non_null(start(o, script, options));
	(void)event_base_dispatch(base);
	assert_int_equal(o->count, 1);
}

static void
test_ends(void **state)
{
	struct outcome o;

	run(&o, "echo one; echo two; exit 7", (struct run_options){0});
	assert_int_equal(o.status, 7);
	assert_string_equal(o.text, "one\ntwo\n");
	run(&o, "echo error >&2", (struct run_options){0});
	assert_string_equal(o.text, "");
	run(&o, "echo error >&2", (struct run_options){.errors = true});
	assert_string_equal(o.text, "error\n");
	run(&o, "kill -9 $$", (struct run_options){0});
	assert_int_equal(o.status, RUN_ENDED);
	/* a child of it holds the output: it is over when that has ended */
	run(&o, "(sleep 0.2; echo late) & echo soon", (struct run_options){0});
	assert_string_equal(o.text, "soon\nlate\n");
}

static void
test_lines(void **state)
{
	struct outcome o;

	run(&o, "printf 'a\\nb'; sleep 0.1; printf 'c\\n\\nrest'",
	    (struct run_options){.line = on_line});
	assert_string_equal(o.lines, "a|bc||");
	assert_string_equal(o.text, "rest");
}

static void
test_input(void **state)
{
	struct outcome o;
	struct run_process *r;

	/* none: its input is at its end */
	run(&o, "cat; echo end", (struct run_options){0});
	assert_string_equal(o.text, "end\n");
	r = start(&o, "read x; echo \"<$x>\"", (struct run_options){.input = true});
	assert_non_null(r);
	assert_int_equal(run_write(r, "word\n", 5), 0);
	(void)event_base_dispatch(base);
	assert_string_equal(o.text, "<word>\n");
}

/* It inherits nothing but its three descriptors. */
static void
test_descriptors(void **state)
{
	int fd = dup(1); /* without O_CLOEXEC */
	struct outcome o;

	run(&o, "for i in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$i ] && echo $i; done; true",
	    (struct run_options){0});
	(void)close(fd);
	assert_string_equal(o.text, "");
}

static void
test_bounds(void **state)
{
	struct run_process *many[RUN_MAX + 1];
	struct outcome o;
	size_t n = 0;

	run(&o, "sleep 60", (struct run_options){.seconds = 1});
	assert_int_equal(o.status, RUN_ENDED);
	run(&o, "exec cat /dev/zero", (struct run_options){0});
	assert_int_equal(o.status, RUN_ENDED);
	assert_int_equal(o.len, 0);
	while (n < RUN_MAX && (many[n] = start(&o, "sleep 60", (struct run_options){0})) != NULL)
		n++;
	assert_int_equal(n, RUN_MAX);
	assert_null(start(&o, "true", (struct run_options){0}));
	while (n-- > 0)
		(void)run_cancel(many[n]);
	/* those that were given up make room again, and nobody hears of them */
	while (start(&o, "echo room", (struct run_options){0}) == NULL)
		(void)event_base_loop(base, EVLOOP_ONCE);
	(void)event_base_dispatch(base);
	assert_int_equal(o.count, 1);
	assert_string_equal(o.text, "room\n");
}

static int
begin(void **state)
{
	(void)signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	pool = run_pool_new(base, "/bin/sh");
	return base == NULL || pool == NULL ? -1 : 0;
}

static int
end(void **state)
{
	struct outcome o;

	/* those under way end with the pool */
	(void)start(&o, "sleep 60", (struct run_options){0});
	pool = run_pool_free(pool);
	event_base_free(base);
	return o.count == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_input),
	    cmocka_unit_test(test_descriptors),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

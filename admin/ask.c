/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* ask.c: see ask.h. */
#include "admin/ask.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "admin/terminal.h"

/* The terminal must be put back by whatever ends the command; tcsetattr is one of the functions
 * that a handler may call (signal-safety(7)). */
static struct terminal *hidden;

static void
on_signal(int number)
{
	terminal_restore(hidden); /* NOLINT(bugprone-signal-handler): it calls tcsetattr alone */
	_exit(128 + number);
}

static int
read_terminal(const char *prompt, struct buf *b)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	void (*before[ARRAY_SIZE(signals)])(int);
	struct terminal t;
	enum terminal_line got = TERMINAL_MORE;
	char chunk[256];
	ssize_t n = 0;

	(void)fputs(prompt, stderr);
	hidden = &t;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		before[i] = signal(signals[i], on_signal);
	terminal_hide(&t, STDIN_FILENO);
	while (got == TERMINAL_MORE) {
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		got = n <= 0 ? TERMINAL_END : terminal_take(b, chunk, (size_t)n);
	}
	mem_wipe(chunk, sizeof(chunk));
	terminal_restore(&t);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)signal(signals[i], before[i]);
	(void)fputc('\n', stderr);
	return n < 0 ? -errno : 0;
}

/* One octet at a time where a line is wanted: what is behind it is the next one's. */
static int
read_input(struct buf *b, bool line)
{
	for (;;) {
		ssize_t n;
		int r = buf_reserve(b, line ? 1 : 1024);

		if (r < 0)
			return r;
		n = read(STDIN_FILENO, b->data + b->len, line ? 1 : 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (line && b->data[b->len - 1] == '\n')
			break;
	}
	if (b->len > 0 && b->data[b->len - 1] == '\n')
		b->len--;
	if (b->len > 0 && b->data[b->len - 1] == '\r')
		b->len--;
	return 0;
}

static int
ask(const struct cli *cli, const char *prompt, const char *what, bool line, struct buf *b)
{
	int r = isatty(STDIN_FILENO) ? read_terminal(prompt, b) : read_input(b, line);

	if (r == -ENOBUFS || b->failed)
		return cli_fail(
		    cli, EX_DATAERR, NULL, "%s is longer than %zu octets", what, b->max);
	if (r < 0)
		return cli_fail(cli, EX_IOERR, NULL, "standard input: %s", strerror(-r));
	if (b->len == 0)
		return cli_fail(
		    cli, EX_DATAERR, NULL, "%s was not given; nothing was changed", what);
	if (memchr(b->data, '\0', b->len) != NULL)
		return cli_fail(cli, EX_DATAERR, NULL, "%s holds a NUL; nothing was changed", what);
	return EX_OK;
}

int
ask_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret)
{
	return ask(cli, prompt, what, true, ret);
}

int
ask_all(const struct cli *cli, const char *prompt, const char *what, struct buf *ret)
{
	return ask(cli, prompt, what, false, ret);
}

int
ask_new_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret)
{
	CLEANUP_BUF struct buf again = BUF_INIT_WIPE(ret->max);
	int status = ask(cli, prompt, what, true, ret);

	if (status != EX_OK || !isatty(STDIN_FILENO))
		return status;
	status = ask(cli, "Once more: ", what, true, &again);
	if (status != EX_OK)
		return status;
	if (again.len != ret->len || !mem_equal_ct(again.data, ret->data, ret->len))
		return cli_fail(cli, EX_DATAERR, NULL, "the two lines differ; nothing was changed");
	return EX_OK;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * terminal.h: reads a line that must not be shown or kept: a password, or the address of a finished
 * sign-in.
 *
 * Meanwhile the terminal neither echoes nor edits lines: the kernel's line editing is limited to 4,095
 * octets (termios(3)), and a sign-in's address may be longer.
 */
#ifndef FRANK_ADMIN_TERMINAL_H
#define FRANK_ADMIN_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

#include "base/buf.h"

struct terminal {
	int fd;
	bool changed;
	struct termios before;
};

/* Switches echo and line editing off if `fd` is a terminal. terminal_restore undoes it. */
void terminal_hide(struct terminal *t, int fd);
void terminal_restore(struct terminal *t);

enum terminal_line { TERMINAL_MORE, TERMINAL_LINE, TERMINAL_END };

/*
 * Adds what was read to the current line: Backspace and Ctrl-U erase, a line end or Ctrl-D ends the
 * line. Octets behind the line end are dropped. A line longer than the buffer's bound sets its
 * `failed`.
 */
enum terminal_line terminal_take(struct buf *line, const char *bytes, size_t len);

#endif

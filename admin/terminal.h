/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * terminal.h: a line from a person that must not be shown or kept: a password, the address of a
 * finished sign-in.
 *
 * While the line is typed the terminal neither echoes nor edits lines: a line that the kernel edits
 * ends at 4,095 octets (termios(3)), and a sign-in's address may be longer.
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

/* Switches echo and line editing off where `fd` is a terminal; else does nothing. terminal_restore
 * undoes it. */
void terminal_hide(struct terminal *t, int fd);
void terminal_restore(struct terminal *t);

enum terminal_line { TERMINAL_MORE, TERMINAL_LINE, TERMINAL_END };

/*
 * Takes what was read into the line under way: erases on Backspace and Ctrl-U, ends at a line end
 * or Ctrl-D. Octets behind the line end are dropped. A line longer than the buffer's bound sets
 * `failed` of it.
 */
enum terminal_line terminal_take(struct buf *line, const char *bytes, size_t len);

#endif

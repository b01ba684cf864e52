/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* terminal.c: see terminal.h. Ctrl-C stays a signal. */
#include "admin/terminal.h"

void
terminal_hide(struct terminal *t, int fd)
{
	struct termios hidden;

	*t = (struct terminal){.fd = fd};
	if (tcgetattr(fd, &t->before) < 0)
		return;
	hidden = t->before;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON);
	hidden.c_cc[VMIN] = 1;
	hidden.c_cc[VTIME] = 0;
	t->changed = tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
}

void
terminal_restore(struct terminal *t)
{
	if (t->changed)
		(void)tcsetattr(t->fd, TCSAFLUSH, &t->before);
	t->changed = false;
}

static void
erase(struct buf *line)
{
	/* a whole UTF-8 character */
	while (line->len > 0) {
		unsigned char c = (unsigned char)line->data[--line->len];

		line->data[line->len] = '\0';
		if ((c & 0xc0) != 0x80)
			break;
	}
}

enum terminal_line
terminal_take(struct buf *line, const char *bytes, size_t len)
{
	enum { CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };

	for (size_t i = 0; i < len; i++) {
		switch (bytes[i]) {
		case '\r':
		case '\n':
			return TERMINAL_LINE;
		case CTRL_D:
			return line->len > 0 ? TERMINAL_LINE : TERMINAL_END;
		case BACKSPACE:
		case DELETE:
			erase(line);
			break;
		case CTRL_U:
			buf_clear(line);
			break;
		default:
			(void)buf_append_char(line, bytes[i]);
			break;
		}
	}
	return TERMINAL_MORE;
}

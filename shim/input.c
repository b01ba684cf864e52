/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * input.c: standard input, in constant memory: what the buffer does not hold goes to a file
 * (overflow.c), and into a larger buffer only where no file has room for it.
 *
 * Unless the caller says -i, a line of one dot ends the message, and a line that begins with two
 * loses one of them, as Sendmail's collect() has it: programs that stuff dots rely on that, and
 * others lose nothing but a dot that they doubled themselves. What a dot at the start of a line
 * means is known an octet or two later: until then these octets are `held`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/header.h"
#include "shim/shim.h"

void
input_init(struct input *in, int fd, char *first, bool dots)
{
	*in = (struct input){
	    .fd = fd, .data = first, .cap = INPUT_CHUNK, .dots = dots, .at_line_start = true};
}

enum dot { DOT_TEXT, DOT_STUFFED, DOT_END, DOT_UNDECIDED };

/* What the dot at the start of a line means, `len` octets of the line being known. */
static enum dot
judge_dot(const char *line, size_t len, bool eof)
{
	if (len == 1)
		return eof ? DOT_END : DOT_UNDECIDED;
	if (line[1] == '.')
		return DOT_STUFFED;
	if (line[1] == '\n')
		return DOT_END;
	if (line[1] != '\r')
		return DOT_TEXT;
	if (len == 2)
		return eof ? DOT_END : DOT_UNDECIDED;
	return line[2] == '\n' ? DOT_END : DOT_TEXT;
}

/* Takes data[len..len+held+fresh) in: what is decided becomes content. */
static void
take(struct input *in, size_t fresh)
{
	char *from = in->data + in->len, *end = from + in->held + fresh, *to = from;

	in->held = 0;
	if (!in->dots) {
		in->len = (size_t)(end - in->data);
		return;
	}
	while (from < end) {
		const char *lf;
		size_t run;

		if (in->at_line_start && *from == '.') {
			enum dot dot = judge_dot(from, (size_t)(end - from), in->eof);

			if (dot == DOT_UNDECIDED) {
				in->held = (size_t)(end - from);
				memmove(to, from, in->held);
				break;
			}
			if (dot == DOT_END) {
				in->eof = true;
				in->dots = false;
				break;
			}
			from += dot == DOT_STUFFED;
		}
		lf = memchr(from, '\n', (size_t)(end - from));
		run = lf != NULL ? (size_t)(lf - from) + 1 : (size_t)(end - from);
		memmove(to, from, run);
		to += run;
		from += run;
		in->at_line_start = lf != NULL;
	}
	in->len = (size_t)(to - in->data);
}

/* A read that outlasts signals, and waits where the caller made the descriptor one that does not. A
 * descriptor that was never open is an empty input, as /dev/null is. */
static ssize_t
read_some(int fd, char *to, size_t len)
{
	for (;;) {
		ssize_t n = read(fd, to, len);
		int error = errno;

		if (n >= 0)
			return n;
		if (error == EBADF && fcntl(fd, F_GETFL) < 0)
			return 0;
		if (error != EINTR && error != EAGAIN)
			return -error;
		if (error == EAGAIN)
			(void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
	}
}

/* A program goes on writing behind the closing dot: let it, so that it gets no SIGPIPE. */
static void
drain(int fd)
{
	char scrap[4096];

	while (read_some(fd, scrap, sizeof(scrap)) > 0)
		;
}

/* What git format-patch writes and mail filters pass on, "From sender Mon Jan  1 00:00:00 2024". */
static void
drop_from_line(struct input *in)
{
	size_t line;

	(void)header_skip_envelope(in->data, in->len, true, &line);
	in->len -= line;
	memmove(in->data, in->data + line, in->len + in->held);
}

/* Reads until the buffer is full or the input has ended (after a closing dot the rest is read and
 * dropped): waits as long as the caller takes. 0 or negative errno. */
static int
fill(struct input *in)
{
	while (!in->eof && in->len + in->held < in->cap) {
		size_t used = in->len + in->held;
		ssize_t n = read_some(in->fd, in->data + used, in->cap - used);

		if (n < 0)
			return (int)n;
		in->eof = n == 0;
		take(in, (size_t)n);
		if (in->eof && n > 0 && !isatty(in->fd))
			drain(in->fd);
	}
	if (!in->begun)
		drop_from_line(in);
	in->begun = true;
	return 0;
}

static int
grow(struct input *in)
{
	size_t cap;
	char *data;

	if (__builtin_mul_overflow(in->cap, 2, &cap))
		return -ENOMEM;
	data = realloc(in->grown, cap);
	if (data == NULL)
		return -ENOMEM;
	if (in->grown == NULL)
		memcpy(data, in->data, in->len + in->held);
	in->grown = in->data = data;
	in->cap = cap;
	return 0;
}

/* Length of the header section at the start of the content, or -EAGAIN when it is not known yet. */
static int
measure_header(const struct input *in, size_t *ret_len)
{
	struct header_field f;
	size_t at = 0;
	int r;

	while ((r = header_next(in->data, in->len, in->eof, &at, &f)) == 1)
		;
	*ret_len = at;
	return r;
}

int
input_fill_header(struct input *in, size_t *ret_len)
{
	for (;;) {
		int r = fill(in);

		if (r == 0)
			r = measure_header(in, ret_len);
		if (r != -EAGAIN)
			return r;
		r = in->cap * 2 > INPUT_HEADER_MAX ? -EMSGSIZE : grow(in);
		if (r < 0)
			return r;
	}
}

uint64_t
input_size(const struct input *in)
{
	return in->overflow.size + in->len;
}

int
input_collect(struct input *in, uint64_t max)
{
	for (;;) {
		int r = fill(in);

		if (r < 0 || in->eof)
			return r;
		if (input_size(in) > max)
			return -EFBIG;
		in->unplaced = in->unplaced || overflow_write(&in->overflow, in->data, in->len) < 0;
		if (in->unplaced) {
			r = grow(in);
			if (r < 0)
				return r;
		} else {
			memmove(in->data, in->data + in->len, in->held);
			in->len = 0;
		}
	}
}

void
input_free(struct input *in)
{
	overflow_close(&in->overflow);
	free(in->grown);
	in->grown = NULL;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* drop-file.c: see drop-file.h. */
#include "broker/queue/inbound/drop-file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum {
	WINDOW = 32 * 1024,
	DIGITS_MAX = 12,
	LINES_MAX = 72 * 1024 * 1024, /* octets: sendmail writes at most 64 MiB of lines */
};

/* A part of the file; a line has to fit into it. */
struct window {
	int fd;
	off_t next; /* where the file goes on behind the window */
	size_t at, len;
	size_t lines; /* octets of lines so far */
	char bytes[WINDOW];
};

/* Moves what is not read yet to the front and reads on. 0 at the end of the file. */
static ssize_t
slide(struct window *w)
{
	ssize_t n;

	memmove(w->bytes, w->bytes + w->at, w->len - w->at);
	w->len -= w->at;
	w->at = 0;
	do
		n = pread(w->fd, w->bytes + w->len, sizeof(w->bytes) - w->len, w->next);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	w->len += (size_t)n;
	w->next += n;
	return n;
}

/* The next line without its CRLF: its length with *ret, borrowed until the next call. */
static ssize_t
next_line(struct window *w, const char **ret)
{
	for (;;) {
		const char *start = w->bytes + w->at, *lf = memchr(start, '\n', w->len - w->at);
		ssize_t n;

		if (lf != NULL && (lf == start || lf[-1] != '\r'))
			return -EBADMSG;
		if (lf != NULL) {
			w->at += (size_t)(lf + 1 - start);
			w->lines += (size_t)(lf + 1 - start);
			*ret = start;
			return w->lines > LINES_MAX ? -EBADMSG : lf - 1 - start;
		}
		if (w->at == 0 && w->len == sizeof(w->bytes))
			return -EBADMSG;
		n = slide(w);
		if (n <= 0)
			return n < 0 ? n : -EBADMSG;
	}
}

/* Skips or visits `size` octets. */
static int
pass_content(struct window *w, uint64_t size, const struct drop_file_ops *ops, void *arg)
{
	int r = 0;

	while (size > 0 && r == 0) {
		size_t have = w->len - w->at;
		size_t n = have < size ? have : (size_t)size;

		if (n > 0 && ops->content != NULL)
			r = ops->content(arg, w->bytes + w->at, n);
		w->at += n;
		size -= n;
		if (size == 0 || r != 0)
			break;
		if (ops->content == NULL) {
			/* what is behind the window is not read at all */
			w->next += (off_t)size;
			w->at = w->len = 0;
			size = 0;
		} else {
			ssize_t more = slide(w);

			r = more < 0 ? (int)more : more == 0 ? -EBADMSG : 0;
		}
	}
	return r;
}

static bool
begins(const char *line, size_t len, const char *with)
{
	return len > strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* "123" or "123 LAST". */
static bool
parse_bdat(const char *argument, size_t len, uint64_t *ret_size, bool *ret_last)
{
	static const char last[] = " LAST";
	size_t digits = 0;

	*ret_size = 0;
	for (; digits < len && argument[digits] >= '0' && argument[digits] <= '9'; digits++) {
		if (digits == DIGITS_MAX)
			return false;
		*ret_size = *ret_size * 10 + (uint64_t)(argument[digits] - '0');
	}
	*ret_last =
	    len - digits == strlen(last) && memcmp(argument + digits, last, strlen(last)) == 0;
	return digits > 0 && (*ret_last || digits == len);
}

static int
read_content(struct window *w, const struct drop_file_ops *ops, void *arg)
{
	static const char bdat[] = "BDAT ";
	bool last = false;
	int r = 0;

	while (!last && r == 0) {
		const char *line;
		ssize_t len = next_line(w, &line);
		uint64_t size;

		if (len < 0)
			return (int)len;
		if (!begins(line, (size_t)len, bdat) ||
		    !parse_bdat(line + strlen(bdat), (size_t)len - strlen(bdat), &size, &last))
			return -EBADMSG;
		r = pass_content(w, size, ops, arg);
	}
	return r;
}

static int
read_recipients(struct window *w, const struct drop_file_ops *ops, void *arg)
{
	static const char rcpt[] = "RCPT ";
	bool any = false;

	for (;;) {
		const char *line;
		ssize_t len = next_line(w, &line);
		int r = 0;

		if (len < 0)
			return (int)len;
		if (!begins(line, (size_t)len, "RCPT TO:")) {
			/* next_line may have slid the window: the line begins where it is */
			w->at = (size_t)(line - w->bytes);
			return any ? 0 : -EBADMSG;
		}
		any = true;
		if (ops->rcpt != NULL)
			r = ops->rcpt(arg, line + strlen(rcpt), (size_t)len - strlen(rcpt));
		if (r != 0)
			return r;
	}
}

static int
read_sender(struct window *w, const struct drop_file_ops *ops, void *arg)
{
	static const char mail[] = "MAIL ";
	const char *line;
	ssize_t len = next_line(w, &line);

	if (len < 0)
		return (int)len;
	if (!begins(line, (size_t)len, "EHLO "))
		return -EBADMSG;
	len = next_line(w, &line);
	if (len < 0)
		return (int)len;
	if (!begins(line, (size_t)len, "MAIL FROM:"))
		return -EBADMSG;
	return ops->mail == NULL ? 0
				 : ops->mail(arg, line + strlen(mail), (size_t)len - strlen(mail));
}

static int
read_end(struct window *w)
{
	static const char quit[] = "QUIT";
	const char *line;
	ssize_t len = next_line(w, &line), more;

	if (len < 0)
		return (int)len;
	if ((size_t)len != strlen(quit) || memcmp(line, quit, strlen(quit)) != 0 || w->at < w->len)
		return -EBADMSG;
	more = slide(w);
	return more < 0 ? (int)more : more > 0 ? -EBADMSG : 0;
}

int
drop_file_read(int fd, const struct drop_file_ops *ops, void *arg)
{
	struct window w = {.fd = fd};
	int r = read_sender(&w, ops, arg);

	if (r == 0)
		r = read_recipients(&w, ops, arg);
	if (r == 0)
		r = read_content(&w, ops, arg);
	return r != 0 ? r : read_end(&w);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * header.c: see header.h. A line is known to be a field, or known to be none, as soon as the first
 * octet that no name may hold was seen, so that the first line of a long body is not searched for
 * its end.
 */
#include "base/header.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

enum {
	/* A longer line is none of those in front of a message, and names no field. */
	ENVELOPE_LINE_MAX = 1000,
	/* Whoever asks with each line that comes in has all of them read again each time. */
	ENVELOPE_LINES_MAX = 16,
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Behind the line that begins at `at`, its line end included; 0 where the line does not end within
 * `len`. */
static size_t
line_end(const char *data, size_t len, size_t at)
{
	const char *lf = at < len ? memchr(data + at, '\n', len - at) : NULL;

	return lf == NULL ? 0 : (size_t)(lf - data) + 1;
}

/* Length of the blank line at `at`; 0 where the line is none. */
static size_t
blank_line(const char *data, size_t len, size_t at)
{
	size_t i = at;

	while (i < len && data[i] == '\r')
		i++;
	return i < len && data[i] == '\n' ? i + 1 - at : 0;
}

/* The colon of the field that begins at `at`: 1 and *ret_name (its length) and *ret_colon; 0 when
 * the line is no field; -EAGAIN when the octets end before either is known. */
static int
find_colon(const char *data, size_t len, size_t at, size_t *ret_name, size_t *ret_colon)
{
	size_t i = at;

	while (i < len && data[i] > ' ' && data[i] < 0x7f && data[i] != ':')
		i++;
	*ret_name = i - at;
	while (i < len && is_blank(data[i]) && *ret_name > 0)
		i++;
	*ret_colon = i;
	if (i == len)
		return -EAGAIN;
	return data[i] == ':' && *ret_name > 0;
}

int
header_next(const char *data, size_t len, bool eof, size_t *at, struct header_field *ret)
{
	size_t start = *at, name, colon, end, value_end;
	int r;

	if (start >= len)
		return eof ? 0 : -EAGAIN;
	r = find_colon(data, len, start, &name, &colon);
	if (r == 0) {
		end = blank_line(data, len, start);
		/* A CR at the very end of the octets may be half a blank line. */
		for (value_end = start;
		     end == 0 && !eof && value_end < len && data[value_end] == '\r';)
			value_end++;
		if (end == 0 && !eof && value_end == len)
			return -EAGAIN;
		*at = start + end;
		return 0;
	}
	if (r < 0)
		return eof ? 0 : r;
	for (end = colon;;) {
		size_t next = line_end(data, len, end);

		if (next == 0 && !eof)
			return -EAGAIN;
		if (next == 0) {
			end = value_end = len;
			break;
		}
		end = next;
		if (end == len && !eof)
			return -EAGAIN;
		if (end == len || !is_blank(data[end])) {
			for (value_end = end - 1;
			     value_end > colon + 1 && data[value_end - 1] == '\r';)
				value_end--;
			break;
		}
	}
	*ret = (struct header_field){
	    .name = data + start,
	    .name_len = name,
	    .value = data + colon + 1,
	    .value_len = value_end - colon - 1,
	    .whole = data + start,
	    .whole_len = end - start,
	};
	*at = end;
	return 1;
}

/* Does a line in front of a message begin at data[0..len)? 1, 0, or -EAGAIN. */
static int
begins_envelope(const char *data, size_t len, bool eof)
{
	static const char word[] = ">From ";
	size_t skip = len == 0 || *data != '>', n = sizeof(word) - 1 - skip;

	if (len < n)
		return !eof && memcmp(data, word + skip, len) == 0 ? -EAGAIN : 0;
	return memcmp(data, word + skip, n) == 0;
}

static bool
has_time(const char *line, size_t len)
{
	for (size_t i = 1; i + 1 < len; i++)
		if (line[i] == ':' && line[i - 1] >= '0' && line[i - 1] <= '9' &&
		    line[i + 1] >= '0' && line[i + 1] <= '9')
			return true;
	return false;
}

int
header_skip_envelope(const char *data, size_t len, bool eof, size_t *ret_len)
{
	size_t at = 0, dated = 0, lines = 0, name, colon, end;
	int r, field;

	*ret_len = 0;
	for (;;) {
		bool whole = eof || len - at >= ENVELOPE_LINE_MAX;
		size_t seen = whole && len - at > ENVELOPE_LINE_MAX ? ENVELOPE_LINE_MAX : len - at;

		r = begins_envelope(data + at, seen, eof);
		if (r < 0 || (r == 0 && at == 0))
			return r;
		field = find_colon(data + at, seen, 0, &name, &colon);
		if (field < 0 && !whole)
			return field;
		end = line_end(data, at + seen, at);
		if (r == 0 || field == 1 || (end == 0 && whole) || lines++ == ENVELOPE_LINES_MAX)
			break;
		if (end == 0)
			return -EAGAIN;
		if (has_time(data + at, end - at))
			dated = end;
		at = end;
	}
	*ret_len = field == 1 ? at : dated;
	return 0;
}

bool
header_is(const struct header_field *f, const char *name)
{
	return text_is(f->name, f->name_len, name);
}

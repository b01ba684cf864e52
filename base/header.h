/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * header.h: finds the header section and the fields of a message (RFC 5322 section 2.2), in any line ending.
 *
 * Works on a prefix of the message held in memory. It changes nothing and allocates nothing: fields are offsets.
 */
#ifndef FRANK_BASE_HEADER_H
#define FRANK_BASE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct header_field {
	const char *name;  /* start of the name */
	size_t name_len;   /* without white space before the colon */
	const char *value; /* after the colon, folds and line ends inside as they are */
	size_t value_len;  /* without the last line end */
	const char *whole; /* the field from its first octet */
	size_t whole_len;  /* to the end of its last line, line end included */
};

/*
 * Reads the field at *at in data[0..len). Returns 1 and moves *at behind it; 0 at the end of the header section:
 * *at then stands at the body (behind the blank line where there is one, at the line that is no field where
 * there is none); -EAGAIN when the field may go on behind `len` (never with `eof`).
 *
 * A field is a name of printable US-ASCII but ':' , optional white space, and ':'; it goes on over lines that begin with
 * a space or a tab. A line end is LF or CRLF (CR CR LF counts as one); a lone CR is text.
 */
int header_next(const char *data, size_t len, bool eof, size_t *at, struct header_field *ret);

/*
 * The lines that mbox files and old mail transports put in front of a message, "From sender date" and behind
 * it ">From ...": they are no fields, and no text either. They count as such where the line behind them is a
 * field, or where one has a time of day, as mbox files have it, in which case that one and those before it
 * count whatever follows; a text that begins with the word has neither. Behind the 16th there are no more.
 *
 * Returns 0 with *ret_len their length (0 where there are none), or -EAGAIN when more must be seen (never with
 * `eof`, which says that data[0..len) is all there is).
 */
int header_skip_envelope(const char *data, size_t len, bool eof, size_t *ret_len);

/* Is the field's name `name`, without regard to ASCII case? */
bool header_is(const struct header_field *f, const char *name);

#endif

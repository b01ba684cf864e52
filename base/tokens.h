/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tokens.h: the words of the files that people write for Frank: frank.conf(5), and what frank test release reads.
 *
 *   token = word | "string" | 'string' | = | { | } | ,
 *
 * A comment begins with # or // and ends with its line, or stands between slash-star and star-slash. A string ends on its
 * line; in "..." a backslash makes \n, \r, \t, or itself whatever else follows it that is no letter or digit; in '...' it does
 * so before a quote or a backslash alone. No I/O.
 */
#ifndef FRANK_BASE_TOKENS_H
#define FRANK_BASE_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"

enum token {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_EQUALS = '=',
	TOKEN_OPEN = '{',
	TOKEN_CLOSE = '}',
	TOKEN_COMMA = ',',
};

enum { TOKENS_VALUE_MAX = 1024 * 1024 };

struct tokens {
	const char *at, *end;
	unsigned line;
	enum token token; /* the next one, and its line */
	unsigned token_line;
	struct buf value; /* of a word or a string */
	bool
	    failed; /* an error of form: what follows could be taken for something else, and is not read */
	struct buf error; /* it, for a person, and its line */
	unsigned error_line;
};

/* The text is borrowed. tokens_next gives the first one. */
void tokens_init(struct tokens *t, const char *text, size_t len);
void tokens_clear(struct tokens *t);
/* Steps to the next token. */
void tokens_next(struct tokens *t);
/* Is it a word or a string? */
bool tokens_is_value(const struct tokens *t);
/* An error of form at this line: the first one stays, and TOKEN_END follows. */
void tokens_fail(struct tokens *t, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);

#endif

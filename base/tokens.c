/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* tokens.c: see tokens.h. */
#include "base/tokens.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

enum { ERROR_MAX = 4096 };

void
tokens_init(struct tokens *t, const char *text, size_t len)
{
	*t = (struct tokens){.at = text,
	    .end = text + len,
	    .line = 1,
	    .value = BUF_INIT(TOKENS_VALUE_MAX),
	    .error = BUF_INIT(ERROR_MAX)};
}

void
tokens_clear(struct tokens *t)
{
	buf_free(&t->value);
	buf_free(&t->error);
}

void
tokens_fail(struct tokens *t, unsigned line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!t->failed) {
		(void)buf_vprintf(&t->error, format, ap);
		t->error_line = line;
	}
	va_end(ap);
	t->failed = true;
	t->token = TOKEN_END;
}

static bool
begins(const struct tokens *t, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(t->end - t->at) >= len && memcmp(t->at, text, len) == 0;
}

static void
skip_comment(struct tokens *t)
{
	unsigned line = t->line;

	for (t->at += 2; t->at < t->end && !begins(t, "*/"); t->at++)
		t->line += *t->at == '\n';
	if (t->at == t->end)
		tokens_fail(t, line, "a comment that begins here is never closed with */");
	else
		t->at += 2;
}

static void
skip_space(struct tokens *t)
{
	while (t->at < t->end) {
		if (*t->at == '#' || begins(t, "//")) {
			while (t->at < t->end && *t->at != '\n')
				t->at++;
		} else if (begins(t, "/*")) {
			skip_comment(t);
		} else if (isspace((unsigned char)*t->at)) {
			t->line += *t->at++ == '\n';
		} else {
			return;
		}
	}
}

/* The character that a backslash and `c` stand for; '\0' for none. */
static char
unescape(char quote, char c)
{
	if (quote == '\'' || ispunct((unsigned char)c) || c == ' ')
		return c;
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : '\0';
}

/* No value holds a line end, so that a quote that is missing is reported on its line. */
static void
read_string(struct tokens *t)
{
	char quote = *t->at++;

	for (; t->at < t->end && *t->at != quote && *t->at != '\n'; t->at++) {
		char c = *t->at;

		if (c == '\\' && t->at + 1 < t->end && t->at[1] != '\n' &&
		    (quote == '"' || t->at[1] == quote || t->at[1] == c)) {
			c = unescape(quote, *++t->at);
			if (c == '\0') {
				tokens_fail(t, t->line,
				    "\"\\%c\" means nothing in a string; a backslash itself is "
				    "written \"\\\\\"",
				    *t->at);
				return;
			}
		} else if (quote == '"' && begins(t, "${")) {
			tokens_fail(t, t->line,
			    "\"${\" is not replaced from the environment; write it in single "
			    "quotes if it "
			    "is meant as it stands");
			return;
		}
		(void)buf_append_char(&t->value, c);
	}
	if (t->at == t->end || *t->at != quote)
		tokens_fail(t, t->line, "a string that begins here is never closed with %c", quote);
	else
		t->at++;
}

void
tokens_next(struct tokens *t)
{
	if (t->failed)
		return;
	skip_space(t);
	if (t->failed)
		return;
	buf_clear(&t->value);
	t->token_line = t->line;
	if (t->at == t->end) {
		t->token = TOKEN_END;
	} else if (strchr("={},", *t->at) != NULL) {
		t->token = (enum token) * t->at++;
	} else if (*t->at == '"' || *t->at == '\'') {
		t->token = TOKEN_STRING;
		read_string(t);
	} else {
		t->token = TOKEN_WORD;
		for (; t->at < t->end && strchr("={},\"' \t\r\n\v\f", *t->at) == NULL; t->at++)
			(void)buf_append_char(&t->value, *t->at);
	}
	if (t->value.failed)
		tokens_fail(t, t->line, "a value of more than %d octets", TOKENS_VALUE_MAX);
}

bool
tokens_is_value(const struct tokens *t)
{
	return t->token == TOKEN_WORD || t->token == TOKEN_STRING;
}

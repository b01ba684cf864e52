/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token.c: finds the words in the answer of a token endpoint, however it was printed.
 *
 * People paste it as their program showed it: the JSON itself, often within a line of a log
 * ("TokenStore::Refresh: code=400, response={...}"), the query of a redirect (error=access_denied&
 * error_description=AADSTS65004%3a+...), or the sentence alone. The rules look for words. So this file
 * undoes escapes, spells Microsoft's number as AADSTS if only error_codes has it, and looks for the
 * HTTP status in the words if it is not known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "diagnosis/rule.h"

/* The character that `digits` hexadecimal digits stand for: ASCII that can be printed, else a space;
 * -1 where they are none. */
static int
hex_char(const char *s, size_t digits)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++) {
		int v = hex_value(s[i]);

		if (v < 0)
			return -1;
		value = value * 16 + v;
	}
	return value > ' ' && value < 0x7f ? value : ' ';
}

/* "%3A" and "+" of a query. */
static void
undo_url(char *words)
{
	char *out = words;

	for (const char *in = words; *in != '\0'; in++) {
		int c = *in == '%' ? hex_char(in + 1, 2) : -1;

		*out++ = c >= 0 ? (char)c : *in == '+' ? ' ' : *in;
		in += c >= 0 ? 2 : 0;
	}
	*out = '\0';
}

/* The escapes of a JSON string: \" \/ \\ \n \u0027. */
static void
undo_json(char *words)
{
	char *out = words;

	for (const char *in = words; *in != '\0'; in++) {
		int c = -1;

		if (in[0] == '\\' && in[1] == 'u' && (c = hex_char(in + 2, 4)) >= 0) {
			*out++ = (char)c;
			in += 5;
		} else if (in[0] == '\\' && in[1] != '\0') {
			in++;
			*out++ = strchr("nrtbf", *in) != NULL ? ' ' : *in;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

/* {"error_codes":[90009]} without the number in words. */
static void
name_number(struct diagnosis_match *m)
{
	const char *at = strstr(m->words, "error_codes");
	size_t len = strlen(m->words), digits;

	if (at == NULL || strcasestr(m->words, "AADSTS") != NULL)
		return;
	at += strcspn(at, "0123456789");
	digits = strspn(at, "0123456789");
	if (digits >= 5 && digits <= 8 && len + digits + sizeof(" AADSTS") <= sizeof(m->words))
		(void)snprintf(
		    m->words + len, sizeof(m->words) - len, " AADSTS%.*s", (int)digits, at);
}

/* Do the words before `at`, without what separates them from a number, end in a word for a status? */
static bool
follows_status(const char *words, const char *at)
{
	static const char *const names[] = {"http", "http/1.1", "http/1.0", "http/2", "status",
	    "code", "http error", "http response"};

	while (at > words && strchr(" :=(\"'", at[-1]) != NULL)
		at--;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);

		if ((size_t)(at - words) >= len && strncasecmp(at - len, names[i], len) == 0)
			return true;
	}
	return false;
}

static bool
precedes_reason(const char *at)
{
	static const char *const reasons[] = {"Bad Request", "Unauthorized", "Forbidden",
	    "Too Many Requests", "Internal Server Error", "Bad Gateway", "Service Unavailable",
	    "Gateway Time"};

	at += strspn(at, " :-\"'");
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strncasecmp(at, reasons[i], strlen(reasons[i])) == 0)
			return true;
	return false;
}

/* "HTTP/1.1 401 Unauthorized", "code=400": the status, or 0. */
static int
status_in(const char *words)
{
	for (const char *at = words; *at != '\0'; at += strcspn(at, "0123456789")) {
		size_t digits = strspn(at, "0123456789");

		if (digits == 3 && (at[0] == '4' || at[0] == '5') &&
		    (follows_status(words, at) || precedes_reason(at + 3)))
			return (at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0');
		at += digits;
	}
	return 0;
}

void
diagnosis_token_words(struct diagnosis_match *m)
{
	if (strstr(m->words, "error=") != NULL || strstr(m->words, "error_description=") != NULL)
		undo_url(m->words);
	if (strstr(m->words, "\":") != NULL || strstr(m->words, "\\\"") != NULL)
		undo_json(m->words);
	name_number(m);
	if (m->stage == SMTP_STAGE_TOKEN && m->code == 0)
		m->code = status_in(m->words);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * read.c: reads a refusal as a person pastes it.
 *
 * People paste what a program printed: a plain reply, a reply inside a sentence ("host x said: 535 5.7.8
 * ... (in reply to AUTH PLAIN command)", "(535, b'5.7.8 ...')", "Expected response code 250 but got code
 * "530""), an enhanced code alone, the base64 of an error challenge, or words. The whole sentence is
 * kept as the reply's words, since it says more than the reply alone.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "diagnosis/rule.h"

enum { CHALLENGE_MIN = 16, CHALLENGE_MAX = 4096 };

/* ---- a reply of lines ---- */

/* The length of the line at `at`, which ends at a line end, at the two characters \n, or at " / "
 * before a code; *ret_skip is what lies between it and the next. */
static size_t
line_length(const char *at, size_t *ret_skip)
{
	size_t len = strcspn(at, "\r\n");
	const char *joined = memmem(at, len, "\\n", 2), *slash = memmem(at, len, " / ", 3);

	*ret_skip = 0;
	if (joined != NULL) {
		len = (size_t)(joined - at);
		*ret_skip = 2;
	} else if (slash != NULL && strspn(slash + 3, "2345") == 1) {
		len = (size_t)(slash - at);
		*ret_skip = 3;
	}
	return len;
}

/* Is the text a reply and nothing else? 1, 0, or -ENOMEM. */
static int
read_lines(const char *text, enum smtp_stage stage, struct smtp_reply *ret)
{
	struct smtp_reply_parser p = {0};
	int r = 0;

	while (r == 0 && *text != '\0') {
		size_t skip, len = line_length(text, &skip);

		if (len > 0)
			r = smtp_reply_parser_line(&p, text, len);
		text += len + skip;
		text += strspn(text, "\r\n");
	}
	/* also where the last line says that more follow: that is all there is */
	if (p.lines > 0 && r >= 0 && *text == '\0')
		r = smtp_reply_parser_take(&p, stage, ret) < 0 ? -ENOMEM : 1;
	else
		r = r == -ENOMEM ? r : 0;
	smtp_reply_parser_free(&p);
	return r;
}

/* ---- a reply in a sentence ---- */

/* The enhanced code of a refusal that `s` begins with, in a sentence: its length, or 0. */
static size_t
enhanced_length(const char *s)
{
	size_t len = *s == '4' || *s == '5' ? match_enhanced_length(s) : 0;

	return s[len] == '.' || isalnum((unsigned char)s[len]) ? 0 : len;
}

/* The code of a refusal at `s`, or 0. Most other numbers of three digits (ports, sizes) are excluded. */
static int
code_of(const char *s)
{
	static const char second[] = "234577"; /* of 4xx: 42x to 45x and 47x */

	if (strspn(s, "0123456789") != 3)
		return 0;
	if (*s == '4' ? strchr(second, s[1]) == NULL && strncmp(s, "403", 3) != 0 &&
			    strncmp(s, "401", 3) != 0
		      : *s != '5' || strchr("0123457", s[1]) == NULL)
		return 0;
	return (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

/* Is the number at `at` no part of a longer word, and none like "port 25", ":587" or "Errno 101"? */
static bool
stands_alone(const char *text, const char *at)
{
	static const char *const other[] = {
	    "port ", "port=", "port: ", "errno ", "os error ", "line ", "timeout "};

	if (at > text && (isalnum((unsigned char)at[-1]) || strchr(".-_/#", at[-1]) != NULL))
		return false;
	if (at > text + 1 && at[-1] == ':' && isalnum((unsigned char)at[-2]) &&
	    (at < text + 6 || strncasecmp(at - 6, "error", 5) != 0))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		size_t len = strlen(other[i]);

		if ((size_t)(at - text) >= len && strncasecmp(at - len, other[i], len) == 0)
			return false;
	}
	return true;
}

/* What may stand between a code and its enhanced code: ", b'", ") ", "-" and the like. */
static const char *
skip_quotes(const char *s)
{
	size_t n = strspn(s, " ,)]\"':-");

	if (s[n] == 'b' && (s[n + 1] == '\'' || s[n + 1] == '"'))
		n += 2;
	return s + n;
}

/* Finds the refusal that the sentence quotes: the first code with an enhanced one behind it, else the
 * first code that words follow, else the first enhanced code. */
static void
find_reply(const char *text, struct smtp_reply *ret)
{
	const char *enhanced = NULL;

	for (const char *at = text; *at != '\0'; at++) {
		int code = stands_alone(text, at) ? code_of(at) : 0;
		const char *behind = code == 0 ? at : skip_quotes(at + 3);
		size_t len = stands_alone(text, at) ? enhanced_length(behind) : 0;

		if (len > 0 && len < sizeof(ret->enhanced) && (code != 0 || enhanced == NULL)) {
			memcpy(ret->enhanced, behind, len);
			ret->enhanced[len] = '\0';
			enhanced = behind;
		}
		if (code != 0 && len > 0) {
			ret->code = code;
			return;
		}
		if (code != 0 && ret->code == 0 && (behind > at + 3 || at[3] == '\0'))
			ret->code = code;
	}
	/* An enhanced code that belongs to another class is of another reply. */
	if (ret->code != 0 && enhanced != NULL && ret->enhanced[0] - '0' != ret->code / 100)
		ret->enhanced[0] = '\0';
}

/* The stage, by the words with which programs report it. */
static enum smtp_stage
find_stage(const char *text, const struct smtp_reply *r)
{
	static const struct {
		const char *words;
		enum smtp_stage stage;
	} stages[] = {
	    {"in reply to end of data|data end|end of data|data not accepted|after data|message "
	     "failed",
		SMTP_STAGE_EOM},
	    {"in reply to rcpt|rcpt to|after rcpt|recipients failed|recipientsrefused|all "
	     "recipients",
		SMTP_STAGE_RCPT},
	    {"in reply to mail|mail from|after mail|senderrefused|from address failed|"
	     "envelope from address|mail command",
		SMTP_STAGE_MAIL},
	    {"in reply to auth|authenticationerror|authenticationfailed|invalid login|"
	     "could not authenticate|authenticator|sasl authentication failed|"
	     "authentication failed (method|password command failed|after auth",
		SMTP_STAGE_AUTH},
	    {"in reply to starttls|after starttls", SMTP_STAGE_STARTTLS},
	    {"in reply to ehlo|in reply to helo|after ehlo|after helo", SMTP_STAGE_EHLO},
	    {"refused to talk to me|initial connection|initial server greeting",
		SMTP_STAGE_GREETING},
	};

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		if (words_say(text, stages[i].words))
			return stages[i].stage;
	return r->code == 535 || r->code == 534 || r->code == 538 ? SMTP_STAGE_AUTH
								  : SMTP_STAGE_NONE;
}

/* ---- an error challenge ---- */

static bool
is_challenge(const char *json)
{
	return json[0] == '{' && words_say(json, "\"status\"");
}

/* Decodes the base64 at `at` if it is a challenge: true. */
static bool
decode_challenge(const char *at, size_t len, char *out, size_t size)
{
	CLEANUP_BUF struct buf json = BUF_INIT(CHALLENGE_MAX);

	if (len < CHALLENGE_MIN || base64_decode(&json, at, len) < 0 ||
	    !is_challenge(buf_str(&json)) || json.len >= size)
		return false;
	memcpy(out, buf_str(&json), json.len + 1);
	return true;
}

/* Finds one, as base64 or decoded. Where nothing but a challenge was pasted, the reply that ends the
 * login is still to come: it is always a refusal. */
static bool
find_challenge(const char *text, char *out, size_t size)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	out[0] = '\0';
	for (const char *at = text; (at = strstr(at, "ey")) != NULL; at++)
		if (decode_challenge(at, strspn(at, alphabet), out, size))
			return true;
	if (is_challenge(text) && strlen(text) < size && words_say(text, "\"schemes\"|\"scope\"")) {
		memcpy(out, text, strlen(text) + 1);
		return true;
	}
	return false;
}

int
diagnosis_read(
    const char *text, enum smtp_stage stage, struct smtp_reply *ret, char *challenge, size_t size)
{
	bool challenged = stage != SMTP_STAGE_TOKEN && find_challenge(text, challenge, size);
	int r;

	if (!challenged)
		challenge[0] = '\0';
	*ret = (struct smtp_reply){.stage = stage};
	r = read_lines(text, stage, ret);
	if (r < 0)
		return r;
	if (r == 0) {
		ret->text = strdup(text);
		if (ret->text == NULL)
			return -ENOMEM;
		if (stage != SMTP_STAGE_TOKEN && stage != SMTP_STAGE_API && !is_challenge(text))
			find_reply(text, ret);
	}
	if (ret->stage == SMTP_STAGE_NONE)
		ret->stage = find_stage(text, ret);
	if (challenged && (ret->code == 334 || ret->code == 0)) {
		ret->code = 535;
		ret->stage = SMTP_STAGE_AUTH;
	}
	return 0;
}

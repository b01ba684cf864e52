/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server-content.c: DATA and BDAT in the SMTP server engine; see server.h.
 *
 * Only CRLF "." CRLF ends the content: a server that also takes LF "." LF lets the author of a
 * message's text write commands behind it. Where bare CR and LF are passed on, a line "." next to one
 * of them is content; of two dots behind a bare LF the client has added one, as behind CRLF. The one
 * exception is a session of a program whose own commands end in bare LF, on an entrance that takes
 * such sessions: it has no other way to end its content, and no CRLF to be confused with.
 *
 * The octets of a chunk are always taken off the stream before anything is answered, refused or
 * not: they must not be read as commands (RFC 3030 section 2). A refused chunk ends the
 * transaction.
 */
#include "base/smtp/server-private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void
fail(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	server_words_set(&s->failure, code, enhanced, text);
}

/* Gives content to the owner, up to the limit. */
static void
give(struct smtp_server *s, const char *bytes, size_t len)
{
	bool over = s->config.size_max > 0 && len > s->config.size_max - s->octets;

	if (s->failure.code != 0 || s->closing)
		return;
	if (over)
		len = (size_t)(s->config.size_max - s->octets);
	s->octets += len;
	s->said.code = 0;
	if (len > 0 && s->ops->content(s->arg, bytes, len) == SMTP_REFUSE) {
		if (s->said.code >= 400)
			fail(s, s->said.code, s->said.enhanced, s->said.text);
		fail(s, 451, "4.3.0", "Content not accepted");
	}
	if (over)
		server_words_too_large(s, &s->failure);
}

/* The content is complete: the owner decides, unless that is done. */
static void
content_end(struct smtp_server *s)
{
	s->state = SERVER_COMMAND;
	if (s->closing)
		return;
	if (s->failure.code == 0) {
		s->said.code = 0;
		server_decide(s, SERVER_PENDING_END, s->ops->end(s->arg));
		return;
	}
	server_reply(s, s->failure.code, s->failure.enhanced, s->failure.text);
	server_end_transaction(s);
}

static void
bare(struct smtp_server *s)
{
	if (!s->config.bare_line_ends && !s->binary)
		fail(s, 550, "5.6.11", "A line of the content ends in a bare CR or LF");
}

/* Why content may not begin now; `ret` is left alone when it may. */
static void
check_turn(const struct smtp_server *s, struct server_words *ret)
{
	if (!s->transaction)
		server_words_set(ret, 503, "5.5.1", "MAIL comes first");
	else if (s->all_or_nothing && s->refused_recipient.code != 0)
		server_words_set(ret, s->refused_recipient.code, s->refused_recipient.enhanced,
		    s->refused_recipient.text);
	else if (s->recipients == 0)
		server_words_set(ret, 554, "5.5.1", "No valid recipients");
}

/* ---- DATA ---- */

void
server_data_command(struct smtp_server *s, size_t argument_len)
{
	struct server_words no = {.code = 0};

	if (argument_len > 0)
		server_words_set(&no, 501, "5.5.4", "DATA takes no argument");
	check_turn(s, &no);
	if (s->chunks)
		server_words_set(&no, 503, "5.5.1", "BDAT was used already");
	if (s->binary)
		server_words_set(&no, 503, "5.5.1", "BINARYMIME needs BDAT");
	if (no.code == 501 || no.code == 503) {
		server_bad(s, no.code, no.enhanced, no.text);
	} else if (no.code != 0) {
		server_reply(s, no.code, no.enhanced, no.text);
	} else {
		s->said.code = 0;
		s->loose = s->config.lf_sessions && s->line_bare;
		server_decide(s, SERVER_PENDING_DATA, s->ops->data(s->arg));
	}
}

void
server_data_decided(struct smtp_server *s, bool accepted)
{
	if (!accepted) {
		server_reply_refusal(s, 451, "4.3.0", "Content not accepted");
		server_end_transaction(s);
		return;
	}
	s->said.code = 0;
	s->state = SERVER_DATA;
	s->line = LINE_START;
	server_reply(s, 354, NULL, "Go ahead, end with CRLF.CRLF");
}

/* Where in its line `c` stands. A dot at the start of a line and a CR behind it are the caller's.
 */
static enum server_line
next_in_line(struct smtp_server *s, char c)
{
	if (c == '\n') {
		if (s->line == LINE_CR || s->loose)
			return LINE_START;
		bare(s);
		return LINE_LF;
	}
	if (s->line == LINE_CR)
		bare(s);
	return c == '\r' ? LINE_CR : LINE_TEXT;
}

/* Is a dot at the start of a line, with `c` behind it, the author's own? */
static bool
keeps_dot(const struct smtp_server *s, char c)
{
	return s->line == LINE_LF_DOT ? c != '.' : c == '\n' && s->config.bare_line_ends;
}

/* Takes content up to `len` or its end; `from` is where the octets not yet given to the owner
 * begin. */
size_t
server_data_input(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		if (s->line == LINE_DOT_CR || (s->line == LINE_DOT && s->loose && c == '\n')) {
			if (c == '\n') {
				content_end(s);
				return i + 1;
			}
			/* The dot was one of stuffing, and the CR stands alone. */
			give(s, "\r", 1);
			s->line = LINE_CR;
			from = i;
		} else if (s->line == LINE_DOT || s->line == LINE_LF_DOT) {
			if (s->line == LINE_DOT && c == '\r') {
				s->line = LINE_DOT_CR;
				from = i + 1;
				continue;
			}
			if (keeps_dot(s, c))
				give(s, ".", 1);
			s->line = LINE_TEXT;
			from = i;
		} else if ((s->line == LINE_START || s->line == LINE_LF) && c == '.') {
			give(s, bytes + from, i - from);
			s->line = s->line == LINE_START ? LINE_DOT : LINE_LF_DOT;
			from = i + 1;
			continue;
		}
		/* What stood before an octet that ends the transaction is given first, so that the
		 * owner sees the same octets however the stream was cut. */
		if (!s->config.bare_line_ends && (s->line == LINE_CR) != (c == '\n')) {
			give(s, bytes + from, i - from);
			from = i;
		}
		s->line = next_in_line(s, c);
	}
	give(s, bytes + from, len - from);
	return len;
}

/* ---- BDAT ---- */

/* "size [LAST]" */
static bool
parse_bdat(const char *s, size_t len, uint64_t *ret_size, bool *ret_last)
{
	size_t i = 0;

	*ret_size = 0;
	for (; i < len && s[i] >= '0' && s[i] <= '9'; i++)
		if (__builtin_mul_overflow(*ret_size, 10, ret_size) ||
		    __builtin_add_overflow(*ret_size, (uint64_t)(s[i] - '0'), ret_size))
			return false;
	if (i == 0 || (i < len && s[i] != ' '))
		return false;
	for (; i < len && s[i] == ' '; i++)
		;
	*ret_last = len - i == 4 && strncasecmp(s + i, "LAST", 4) == 0;
	return i == len || *ret_last;
}

void
server_bdat_command(struct smtp_server *s, const char *argument, size_t len)
{
	if ((s->config.extensions & SMTP_EXT_CHUNKING) == 0) {
		server_bad(s, 502, "5.5.1", "BDAT is not offered");
		return;
	}
	if (!parse_bdat(argument, len, &s->chunk_size, &s->chunk_last)) {
		/* Nobody knows how many octets of content follow, and they are no commands. */
		server_reply(s, 501, "5.5.4", "BDAT takes a size and LAST");
		s->closing = true;
		server_end_transaction(s);
		return;
	}
	s->chunk_left = s->chunk_size;
	s->state = SERVER_CHUNK;
	s->said.code = 0;
	if (s->chunks) {
		server_chunk_decided(s, true);
		return;
	}
	s->line = LINE_TEXT;
	check_turn(s, &s->failure);
	s->chunks = s->failure.code == 0;
	if (s->failure.code != 0)
		server_chunk_decided(s, true);
	else
		server_decide(s, SERVER_PENDING_CHUNK, s->ops->data(s->arg));
}

static void
chunk_end(struct smtp_server *s)
{
	char octets[48];

	s->state = SERVER_COMMAND;
	if (s->chunk_last && s->line == LINE_CR)
		bare(s);
	if (s->failure.code == 503) {
		struct server_words failure = s->failure;

		server_end_transaction(s);
		server_bad(s, failure.code, failure.enhanced, failure.text);
	} else if (s->failure.code != 0 || s->chunk_last) {
		content_end(s);
	} else {
		(void)snprintf(octets, sizeof(octets), "%llu octets received",
		    (unsigned long long)s->chunk_size);
		server_reply(s, 250, "2.0.0", octets);
	}
}

void
server_chunk_decided(struct smtp_server *s, bool accepted)
{
	if (!accepted) {
		if (s->said.code >= 400)
			fail(s, s->said.code, s->said.enhanced, s->said.text);
		fail(s, 451, "4.3.0", "Content not accepted");
	}
	s->said.code = 0;
	if (s->chunk_left == 0)
		chunk_end(s);
}

/* Looks for bare CR and LF; returns how many octets stand before the first that fails the content.
 */
static size_t
check_chunk(struct smtp_server *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && s->failure.code == 0; i++) {
		if (bytes[i] == '\n' ? s->line != LINE_CR : s->line == LINE_CR) {
			bare(s);
			if (s->failure.code != 0)
				return i;
		}
		s->line = bytes[i] == '\r' ? LINE_CR : LINE_TEXT;
	}
	return len;
}

size_t
server_chunk_input(struct smtp_server *s, const char *bytes, size_t len)
{
	struct server_words failure;
	size_t good;

	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	s->chunk_left -= len;
	if (s->failure.code == 0) {
		good = check_chunk(s, bytes, len);
		failure = s->failure;
		/* The octets before the fault are given, as they would have been had they come
		 * alone. */
		s->failure.code = 0;
		give(s, bytes, good);
		if (s->failure.code == 0)
			s->failure = failure;
	}
	if (s->chunk_left == 0)
		chunk_end(s);
	return len;
}

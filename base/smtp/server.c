/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server.c: the SMTP server engine: input, commands, content, replies; see server.h.
 *
 * INPUT is parsed where it lies. What cannot be parsed yet (half a line, or anything behind a
 * decision that is awaited) is kept in `in` and parsed later, so that the result does not depend on
 * how the stream was cut. Parsing also stops while much output is unwritten: a peer that sends
 * without reading fills its own socket, not our memory.
 *
 * COMMANDS are checked in this order: whether the command is offered, whether it is in sequence, whether
 * its syntax is right, whether the owner agrees. Replies are those of RFC 5321 section 4.3.2 with the enhanced codes of RFC 3463.
 * mail() and reset() are called in turn: whatever comes of a transaction, reset() ends it.
 *
 * CONTENT behind DATA ends with CRLF "." CRLF alone: a server that also takes LF "." LF lets the
 * author of a message's text write commands behind it. Where bare CR and LF are passed on, a line
 * "." next to one of them is content; of two dots behind a bare LF the client has added one, as
 * behind CRLF. The one exception is a session of a program whose own commands end in bare LF, on an
 * entrance that takes such sessions: it has no other way to end its content, and no CRLF to be
 * confused with. The octets of a BDAT chunk are always taken off the stream before anything is
 * answered, refused or not: they must not be read as commands (RFC 3030 section 2). A refused chunk
 * ends the transaction.
 */
#include "base/smtp/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"

enum {
	COMMAND_MAX = 2048,           /* a command without CRLF; AUTH has its own bound */
	INPUT_MAX = 64 * 1024,        /* what waits for a decision */
	OUTPUT_HIGH = 16 * 1024,      /* with so much unwritten, nothing more is parsed */
	LISTING_MAX = 1024 * 1024,    /* of XFRANK LIST */
	OUTPUT_MAX = 8 * LISTING_MAX, /* where each line of it is short */
	WORDS_MAX = 512,
};

/* What the next octets are. */
enum server_state { STATE_COMMAND, STATE_AUTH, STATE_DATA, STATE_CHUNK, STATE_TLS };

/* Which decision is awaited. */
enum server_pending {
	PENDING_NOTHING,
	PENDING_MAIL,
	PENDING_RCPT,
	PENDING_DATA,
	PENDING_CHUNK,
	PENDING_END,
	PENDING_AUTH,
	PENDING_LIST,
	PENDING_ALIASES,
	PENDING_COMMAND, /* whether the line that comes next is looked at at all */
};

/* Where in a line of DATA the last octet stood. LINE_LF: a bare one, behind which no end of the content can stand. */
enum server_line { LINE_START, LINE_TEXT, LINE_CR, LINE_DOT, LINE_DOT_CR, LINE_LF, LINE_LF_DOT };

struct server_words {
	int code; /* 0: none */
	char enhanced[12];
	char text[WORDS_MAX];
};

/* How far a mail transaction is. It is open from mail() to reset(), which end_transaction calls. */
enum server_stage { MAIL_NONE, MAIL_ENVELOPE, MAIL_CHUNKS /* BDAT was used */ };

struct server_mail {
	enum server_stage stage;
	bool smtputf8, binary;
	bool all_or_nothing; /* it has a submission id */
	unsigned recipients;
	uint64_t octets;                       /* of content so far */
	struct server_words refused_recipient; /* the first one, for all_or_nothing */
	/* The content is refused with these words; what is left of it is dropped. */
	struct server_words failure;
	char text[WORDS_MAX]; /* by smtp_server_reply_text */
};

struct smtp_server {
	struct smtp_server_config config;
	const struct smtp_server_ops *ops;
	void *arg;

	struct buf in, out;
	enum server_state state;
	enum server_pending pending;
	bool running;   /* parsing: not to be entered again from a callback */
	bool overlong;  /* the rest of a line that was too long is skipped */
	bool line_bare; /* the last line ended in a bare LF */
	bool eof, closing;
	int error; /* memory ran out: the connection is to be closed */
	unsigned bad_commands;

	bool command_decided, command_accepted; /* what was answered for PENDING_COMMAND */

	bool hello, tls, authenticated;
	char mechanism[32]; /* of the AUTH exchange under way */
	bool challenged;    /* the owner gave a challenge in the callback that runs */

	struct server_mail mail;
	uint64_t size_offered;

	/* content under way */
	enum server_line line;
	bool loose; /* lines of DATA end in LF, as the DATA command did */
	bool chunk_last;
	uint64_t chunk_size, chunk_left;

	struct server_words said; /* by smtp_server_refuse, for the decision to come */
	struct buf listing;       /* of XFRANK LIST */
};

/* ---- replies ---- */

/* Ends the transaction, if there is one. */
static void
end_transaction(struct smtp_server *s)
{
	bool open = s->mail.stage != MAIL_NONE;

	s->mail = (struct server_mail){.stage = MAIL_NONE};
	if (open)
		s->ops->reset(s->arg);
}

static void
trace(struct smtp_server *s, bool from_client, const char *text, size_t len)
{
	if (s->ops->trace != NULL)
		s->ops->trace(s->arg, from_client, text, len);
}

static void
reply_line(
    struct smtp_server *s, int code, const char *enhanced, const char *text, size_t len, bool last)
{
	size_t start = s->out.len;

	(void)buf_printf(&s->out, "%03d%c", code, last ? ' ' : '-');
	if (enhanced != NULL && *enhanced != '\0' &&
	    (s->config.extensions & SMTP_EXT_ENHANCED) != 0)
		(void)buf_printf(&s->out, "%s ", enhanced);
	/* Words may come from outside: nothing in them may look like another reply. */
	for (size_t i = 0; i < len; i++)
		(void)buf_append_char(
		    &s->out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
	if (!s->out.failed)
		trace(s, false, s->out.data + start, s->out.len - start);
	(void)buf_append_str(&s->out, "\r\n");
}

/* Queues a reply; `enhanced` may be NULL. Text may hold several lines. 421 closes. */
static void
reply(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	const char *stop;

	if (s->closing)
		return;
	while ((stop = strchr(text, '\n')) != NULL) {
		reply_line(s, code, enhanced, text, (size_t)(stop - text), false);
		text = stop + 1;
	}
	reply_line(s, code, enhanced, text, strlen(text), true);
	if (code == 421) {
		s->closing = true;
		end_transaction(s);
	}
}

/* Replies 250 with lines that are printed as they are, without an enhanced code. */
static void
reply_lines(struct smtp_server *s, struct buf *lines)
{
	if (lines->len > 0 && lines->data[lines->len - 1] == '\n')
		lines->data[lines->len - 1] = '\0';
	reply(s, 250, NULL, buf_str(lines));
}

/* The same for a command that breaks the protocol: counted, and 421 instead beyond the bound. */
static void
reply_bad(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	s->bad_commands++;
	if (s->config.bad_commands_max > 0 && s->bad_commands > s->config.bad_commands_max)
		reply(s, 421, "4.7.0", "Too many errors");
	else
		reply(s, code, enhanced, text);
}

/* Sets words unless there are some. */
static void
words_set(struct server_words *w, int code, const char *enhanced, const char *text)
{
	if (w->code != 0)
		return;
	w->code = code;
	(void)snprintf(w->enhanced, sizeof(w->enhanced), "%s", enhanced == NULL ? "" : enhanced);
	(void)snprintf(w->text, sizeof(w->text), "%s", text);
}

/* Sets the words for a message over the limit, which they name. */
static void
words_too_large(const struct smtp_server *s, struct server_words *w)
{
	char text[WORDS_MAX];

	(void)snprintf(text, sizeof(text), "The message is larger than the limit of %llu octets",
	    (unsigned long long)s->config.size_max);
	words_set(w, 552, "5.3.4", text);
}

/* Replies with what the owner said if that fits a refusal, else with the words given here. */
static void
reply_refusal(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	if (s->said.code >= 400)
		reply(s, s->said.code, s->said.enhanced, s->said.text);
	else
		reply(s, code, enhanced, text);
	s->said.code = 0;
}

/* Replies positively: with what the owner said if that fits, else with the words given here. */
static void
reply_accept(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	if (s->said.code >= 200 && s->said.code < 400)
		reply(s, s->said.code, s->said.enhanced, s->said.text);
	else
		reply(s, code, enhanced, text);
	s->said.code = 0;
}

void
smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced, const char *format, ...)
{
	char text[WORDS_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	s->said.code = 0;
	words_set(&s->said, code, enhanced, text);
}

void
smtp_server_reply_text(struct smtp_server *s, const char *text)
{
	(void)snprintf(s->mail.text, sizeof(s->mail.text), "%s", text);
}

/* ---- decisions: what an answer of the owner leads to ---- */

static void
fail(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	words_set(&s->mail.failure, code, enhanced, text);
}

/* Gives content to the owner, up to the limit. */
static void
give(struct smtp_server *s, const char *bytes, size_t len)
{
	bool over = s->config.size_max > 0 && len > s->config.size_max - s->mail.octets;

	if (s->mail.failure.code != 0 || s->closing)
		return;
	if (over)
		len = (size_t)(s->config.size_max - s->mail.octets);
	s->mail.octets += len;
	s->said.code = 0;
	if (len > 0 && s->ops->content(s->arg, bytes, len) == SMTP_REFUSE) {
		if (s->said.code >= 400)
			fail(s, s->said.code, s->said.enhanced, s->said.text);
		fail(s, 451, "4.3.0", "Content not accepted");
	}
	if (over)
		words_too_large(s, &s->mail.failure);
}

static void
bare(struct smtp_server *s)
{
	if (!s->config.bare_line_ends && !s->mail.binary)
		fail(s, 550, "5.6.11", "A line of the content ends in a bare CR or LF");
}

static void
mail_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		reply_accept(s, 250, "2.1.0", "Sender accepted");
		return;
	}
	reply_refusal(s, 451, "4.3.0", "Sender not accepted");
	end_transaction(s);
}

static void
rcpt_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		s->mail.recipients++;
		reply_accept(s, 250, "2.1.5", "Recipient accepted");
		return;
	}
	if (s->said.code >= 400)
		words_set(&s->mail.refused_recipient, s->said.code, s->said.enhanced, s->said.text);
	words_set(&s->mail.refused_recipient, 451, "4.3.0", "Recipient not accepted");
	reply_refusal(s, 451, "4.3.0", "Recipient not accepted");
}

static void
data_decided(struct smtp_server *s, bool accepted)
{
	if (!accepted) {
		reply_refusal(s, 451, "4.3.0", "Content not accepted");
		end_transaction(s);
		return;
	}
	s->state = STATE_DATA;
	s->line = LINE_START;
	reply_accept(s, 354, NULL, "Go ahead, end with CRLF.CRLF");
}

static void content_end(struct smtp_server *s);

static void
chunk_end(struct smtp_server *s)
{
	char octets[48];

	s->state = STATE_COMMAND;
	if (s->chunk_last && s->line == LINE_CR)
		bare(s);
	if (s->mail.failure.code == 503) {
		struct server_words failure = s->mail.failure;

		end_transaction(s);
		reply_bad(s, failure.code, failure.enhanced, failure.text);
	} else if (s->mail.failure.code != 0 || s->chunk_last) {
		content_end(s);
	} else {
		(void)snprintf(octets, sizeof(octets), "%llu octets received",
		    (unsigned long long)s->chunk_size);
		reply(s, 250, "2.0.0", octets);
	}
}

static void
chunk_decided(struct smtp_server *s, bool accepted)
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

static void
end_decided(struct smtp_server *s, bool accepted)
{
	if (accepted)
		reply_accept(s, 250, "2.0.0", s->mail.text[0] == '\0' ? "Accepted" : s->mail.text);
	else
		reply_refusal(s, 451, "4.3.0", "Message not accepted");
	end_transaction(s);
}

static void
auth_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		s->authenticated = true;
		reply_accept(s, 235, "2.7.0", "Authentication successful");
		return;
	}
	s->bad_commands++;
	reply_refusal(s, 535, "5.7.8", "Authentication failed");
	if (s->config.bad_commands_max > 0 && s->bad_commands > s->config.bad_commands_max)
		reply(s, 421, "4.7.0", "Too many errors");
}

static void
list_decided(struct smtp_server *s, bool accepted)
{
	struct buf *l = &s->listing;

	if (accepted && !l->failed)
		reply_lines(s, l);
	else
		reply_refusal(s, 451, "4.3.0", "The listing cannot be had now");
	buf_free(l);
}

/* Acts on a decision, also one that came later. */
static void
decide(struct smtp_server *s, enum server_pending what, enum smtp_decision decision)
{
	bool accepted = decision == SMTP_ACCEPT;

	if (s->closing)
		return;
	if (decision == SMTP_LATER) {
		if (what == PENDING_AUTH && s->challenged)
			s->state = STATE_AUTH;
		else
			s->pending = what;
		return;
	}
	switch (what) {
	case PENDING_MAIL:
		mail_decided(s, accepted);
		break;
	case PENDING_RCPT:
		rcpt_decided(s, accepted);
		break;
	case PENDING_DATA:
		data_decided(s, accepted);
		break;
	case PENDING_CHUNK:
		chunk_decided(s, accepted);
		break;
	case PENDING_END:
		end_decided(s, accepted);
		break;
	case PENDING_AUTH:
		auth_decided(s, accepted);
		break;
	case PENDING_LIST:
		list_decided(s, accepted);
		break;
	case PENDING_ALIASES:
		reply_refusal(s, 451, "4.3.0", "The aliases cannot be read now");
		break;
	case PENDING_COMMAND:
		s->command_decided = true;
		s->command_accepted = accepted;
		break;
	case PENDING_NOTHING:
		break;
	}
}

/* ---- content ---- */

/* The content is complete: the owner decides, unless it has been refused already. */
static void
content_end(struct smtp_server *s)
{
	s->state = STATE_COMMAND;
	if (s->closing)
		return;
	if (s->mail.failure.code == 0) {
		s->said.code = 0;
		decide(s, PENDING_END, s->ops->end(s->arg));
		return;
	}
	reply(s, s->mail.failure.code, s->mail.failure.enhanced, s->mail.failure.text);
	end_transaction(s);
}

/* Why content may not begin now; `ret` is left alone when it may. */
static void
check_turn(const struct smtp_server *s, struct server_words *ret)
{
	if (s->mail.stage == MAIL_NONE)
		words_set(ret, 503, "5.5.1", "MAIL comes first");
	else if (s->mail.all_or_nothing && s->mail.refused_recipient.code != 0)
		words_set(ret, s->mail.refused_recipient.code, s->mail.refused_recipient.enhanced,
		    s->mail.refused_recipient.text);
	else if (s->mail.recipients == 0)
		words_set(ret, 554, "5.5.1", "No valid recipients");
}

static void
command_data(struct smtp_server *s, const char *argument, size_t len)
{
	struct server_words no = {.code = 0};

	if (len > 0)
		words_set(&no, 501, "5.5.4", "DATA takes no argument");
	check_turn(s, &no);
	if (s->mail.stage == MAIL_CHUNKS)
		words_set(&no, 503, "5.5.1", "BDAT was used already");
	if (s->mail.binary)
		words_set(&no, 503, "5.5.1", "BINARYMIME needs BDAT");
	if (no.code == 501 || no.code == 503) {
		reply_bad(s, no.code, no.enhanced, no.text);
	} else if (no.code != 0) {
		reply(s, no.code, no.enhanced, no.text);
	} else {
		s->said.code = 0;
		s->loose = s->config.lf_sessions && s->line_bare;
		decide(s, PENDING_DATA, s->ops->data(s->arg));
	}
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
static size_t
data_input(struct smtp_server *s, const char *bytes, size_t len)
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

/* "size [LAST]" */
static bool
parse_bdat(const char *s, size_t len, uint64_t *ret_size, bool *ret_last)
{
	size_t i = 0;

	while (i < len && s[i] != ' ')
		i++;
	if (!text_number(s, i, ret_size))
		return false;
	for (; i < len && s[i] == ' '; i++)
		;
	*ret_last = text_is(s + i, len - i, "LAST");
	return i == len || *ret_last;
}

static void
command_bdat(struct smtp_server *s, const char *argument, size_t len)
{
	if ((s->config.extensions & SMTP_EXT_CHUNKING) == 0) {
		reply_bad(s, 502, "5.5.1", "BDAT is not offered");
		return;
	}
	if (!parse_bdat(argument, len, &s->chunk_size, &s->chunk_last)) {
		/* Nobody knows how many octets of content follow, and they are no commands. */
		reply(s, 501, "5.5.4", "BDAT takes a size and LAST");
		s->closing = true;
		end_transaction(s);
		return;
	}
	s->chunk_left = s->chunk_size;
	s->state = STATE_CHUNK;
	s->said.code = 0;
	if (s->mail.stage == MAIL_CHUNKS) {
		chunk_decided(s, true);
		return;
	}
	s->line = LINE_TEXT;
	check_turn(s, &s->mail.failure);
	if (s->mail.failure.code == 0)
		s->mail.stage = MAIL_CHUNKS;
	if (s->mail.failure.code != 0)
		chunk_decided(s, true);
	else
		decide(s, PENDING_CHUNK, s->ops->data(s->arg));
}

/* Looks for bare CR and LF; returns how many octets stand before the first that fails the content.
 */
static size_t
check_chunk(struct smtp_server *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && s->mail.failure.code == 0; i++) {
		if (bytes[i] == '\n' ? s->line != LINE_CR : s->line == LINE_CR) {
			bare(s);
			if (s->mail.failure.code != 0)
				return i;
		}
		s->line = bytes[i] == '\r' ? LINE_CR : LINE_TEXT;
	}
	return len;
}

/* Takes content of a chunk; returns how many octets, at least one where len > 0. */
static size_t
chunk_input(struct smtp_server *s, const char *bytes, size_t len)
{
	struct server_words failure;
	size_t good;

	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	s->chunk_left -= len;
	if (s->mail.failure.code == 0) {
		good = check_chunk(s, bytes, len);
		failure = s->mail.failure;
		/* The octets before the fault are given, as they would have been had they come
		 * alone. */
		s->mail.failure.code = 0;
		give(s, bytes, good);
		if (s->mail.failure.code == 0)
			s->mail.failure = failure;
	}
	if (s->chunk_left == 0)
		chunk_end(s);
	return len;
}

/* ---- greeting ---- */

/* The extensions offered now: some need a callback of the owner, some depend on TLS. */
static unsigned
extensions(const struct smtp_server *s)
{
	unsigned e = s->config.extensions;

	if (s->ops->starttls == NULL || s->tls)
		e &= ~(unsigned)SMTP_EXT_STARTTLS;
	if (s->ops->auth == NULL || s->config.auth_mechanisms == NULL ||
	    (s->config.tls_required && !s->tls))
		e &= ~(unsigned)SMTP_EXT_AUTH;
	if (s->ops->known == NULL)
		e &= ~(unsigned)SMTP_EXT_XFRANK;
	/* RFC 8689 section 4.2.1: inside TLS. What has XFRANK is a socket of this machine, where nobody
	 * listens in. */
	if (!s->tls && (e & SMTP_EXT_XFRANK) == 0)
		e &= ~(unsigned)SMTP_EXT_REQUIRETLS;
	/* RFC 3030 section 3: BINARYMIME needs CHUNKING. */
	if ((e & SMTP_EXT_CHUNKING) == 0)
		e &= ~(unsigned)SMTP_EXT_BINARYMIME;
	return e;
}

static void
ehlo_reply(struct smtp_server *s)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	unsigned offered = extensions(s);

	(void)buf_append_str(&text, s->config.hello != NULL ? s->config.hello : s->config.hostname);
	for (size_t i = 0; i < SMTP_KEYWORDS; i++) {
		if ((offered & smtp_keywords[i].extension) == 0)
			continue;
		(void)buf_printf(&text, "\n%s", smtp_keywords[i].word);
		if (smtp_keywords[i].extension == SMTP_EXT_SIZE)
			(void)buf_printf(&text, " %llu", (unsigned long long)s->size_offered);
		else if (smtp_keywords[i].extension == SMTP_EXT_AUTH)
			(void)buf_printf(&text, " %s", s->config.auth_mechanisms);
	}
	if (text.failed)
		s->out.failed = true;
	reply(s, 250, NULL, buf_str(&text));
}

static void
hello(struct smtp_server *s, const char *argument, size_t len, bool extended)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	bool named = len > 0 && memchr(argument, ' ', len) == NULL;

	if (len >= sizeof(name) || (!named && !s->config.lenient)) {
		reply_bad(s, 501, "5.5.4", "A host name is needed");
		return;
	}
	memcpy(name, argument, len);
	name[len] = '\0';
	end_transaction(s);
	s->hello = true;
	if (s->ops->hello != NULL)
		s->ops->hello(s->arg, name);
	if (extended)
		ehlo_reply(s);
	else
		reply(s, 250, NULL, s->config.hello != NULL ? s->config.hello : s->config.hostname);
}

static void
command_ehlo(struct smtp_server *s, const char *argument, size_t len)
{
	hello(s, argument, len, true);
}

static void
command_helo(struct smtp_server *s, const char *argument, size_t len)
{
	hello(s, argument, len, false);
}

/* ---- envelope ---- */

/* Replies to an argument that the grammar refused. */
static void
bad_argument(struct smtp_server *s, int code, const char *address_status, const char *why)
{
	if (code == 553)
		reply(s, code, address_status, why);
	else if (code >= 500)
		reply_bad(s, code, "5.5.4", why);
	else
		reply(s, code, "4.3.0", "Out of memory");
}

/* RFC 6531 section 3.5. Programs on a lenient entrance seldom know that they should have said so.
 */
static bool
utf8_refused(struct smtp_server *s, const char *address, bool announced)
{
	if (announced || s->config.lenient || !address_is_utf8(address, strlen(address)))
		return false;
	reply(s, 553, "5.6.7", "An address in UTF-8 needs SMTPUTF8");
	return true;
}

static void
command_mail(struct smtp_server *s, const char *argument, size_t len)
{
	char address[ADDRESS_MAX + 1];
	struct smtp_mail_params params;
	struct server_words no = {.code = 0};
	const char *why;
	int code;

	if (!s->hello && !s->config.lenient) {
		reply_bad(s, 503, "5.5.1", "Say EHLO first");
		return;
	}
	if (s->config.tls_required && !s->tls) {
		reply_bad(s, 530, "5.7.0", "STARTTLS comes first");
		return;
	}
	if (s->config.auth_required && !s->authenticated) {
		reply_bad(s, 530, "5.7.0", "Authentication required");
		return;
	}
	if (s->mail.stage != MAIL_NONE) {
		reply_bad(s, 503, "5.5.1", "A transaction is open already");
		return;
	}
	code = smtp_mail_parse(argument, len, extensions(s), address, &params, &why);
	if (code != 0) {
		bad_argument(s, code, "5.1.7", why);
		return;
	}
	if (s->config.size_max > 0 && params.size > s->config.size_max) {
		words_too_large(s, &no);
		reply(s, no.code, no.enhanced, no.text);
		return;
	}
	if (utf8_refused(s, address, params.smtputf8))
		return;
	s->mail.stage = MAIL_ENVELOPE;
	s->mail.smtputf8 = params.smtputf8;
	s->mail.binary = params.body == SMTP_BODY_BINARYMIME;
	s->mail.all_or_nothing = params.submission_id[0] != '\0';
	decide(s, PENDING_MAIL, s->ops->mail(s->arg, address, &params));
}

/* 452: the client may split the message and send the rest by itself (RFC 5321 section 4.5.3.1.10). 552: a
 * transaction that is all or nothing will never fit. */
static void
refuse_many(struct smtp_server *s)
{
	char words[WORDS_MAX];

	(void)snprintf(words, sizeof(words), "Too many recipients: at most %u in a message",
	    s->config.recipients_max);
	if (s->mail.all_or_nothing)
		words_set(&s->mail.refused_recipient, 552, "5.5.3", words);
	reply(s, s->mail.all_or_nothing ? 552 : 452, s->mail.all_or_nothing ? "5.5.3" : "4.5.3",
	    words);
}

static void
command_rcpt(struct smtp_server *s, const char *argument, size_t len)
{
	char address[ADDRESS_MAX + 1];
	struct smtp_rcpt_params params;
	const char *why;
	int code;

	if (s->mail.stage != MAIL_ENVELOPE) {
		reply_bad(s, 503, "5.5.1",
		    s->mail.stage == MAIL_CHUNKS ? "The content has begun" : "MAIL comes first");
		return;
	}
	if (s->config.recipients_max > 0 && s->mail.recipients >= s->config.recipients_max) {
		refuse_many(s);
		return;
	}
	code = smtp_rcpt_parse(argument, len, extensions(s), address, &params, &why);
	if (code != 0) {
		words_set(&s->mail.refused_recipient, code, code == 553 ? "5.1.3" : "5.5.4", why);
		bad_argument(s, code, "5.1.3", why);
		return;
	}
	if (utf8_refused(s, address, s->mail.smtputf8)) {
		words_set(
		    &s->mail.refused_recipient, 553, "5.6.7", "An address in UTF-8 needs SMTPUTF8");
		return;
	}
	decide(s, PENDING_RCPT, s->ops->rcpt(s->arg, address, &params));
}

static void
command_rset(struct smtp_server *s, const char *argument, size_t len)
{
	end_transaction(s);
	reply(s, 250, "2.0.0", "Reset");
}

/* ---- STARTTLS and AUTH ---- */

static void
command_starttls(struct smtp_server *s, const char *argument, size_t len)
{
	if (s->tls) {
		reply_bad(s, 503, "5.5.1", "TLS is active already");
		return;
	}
	if ((extensions(s) & SMTP_EXT_STARTTLS) == 0) {
		reply_bad(s, 502, "5.5.1", "STARTTLS is not offered");
		return;
	}
	if (len > 0) {
		reply_bad(s, 501, "5.5.4", "STARTTLS takes no argument");
		return;
	}
	/* The reply waits until it is certain that nothing follows. */
	end_transaction(s);
	s->state = STATE_TLS;
}

/* Finds the mechanism in the list offered, and keeps its name as it is spelled there. */
static bool
choose_mechanism(struct smtp_server *s, const char *name, size_t len)
{
	const char *at = s->config.auth_mechanisms;

	while (*at != '\0') {
		size_t n = strcspn(at, " ");

		if (n == len && n > 0 && n < sizeof(s->mechanism) &&
		    strncasecmp(at, name, n) == 0) {
			memcpy(s->mechanism, at, n);
			s->mechanism[n] = '\0';
			return true;
		}
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

static void
run_auth(struct smtp_server *s, const char *response, size_t len)
{
	s->challenged = false;
	decide(s, PENDING_AUTH, s->ops->auth(s->arg, s->mechanism, response, len));
}

/* The AUTH exchange under way is over without a decision. */
static void
auth_abort(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	s->state = STATE_COMMAND;
	reply_bad(s, code, enhanced, text);
	s->ops->reset(s->arg);
}

/* Decodes a response and gives it to the owner. */
static void
auth_response(struct smtp_server *s, const char *text, size_t len)
{
	CLEANUP_BUF struct buf response = BUF_INIT_WIPE(SMTP_AUTH_LINE_MAX);
	int r = base64_decode(&response, text, len);

	if (r == -EBADMSG)
		auth_abort(s, 501, "5.5.2", "Not base64");
	else if (r < 0)
		auth_abort(s, 454, "4.3.0", "Out of memory");
	else
		run_auth(s, buf_str(&response), response.len);
}

static void
command_auth(struct smtp_server *s, const char *argument, size_t len)
{
	const char *space = memchr(argument, ' ', len);
	size_t name = space == NULL ? len : (size_t)(space - argument), rest = len - name;

	if (!s->hello || s->authenticated || s->mail.stage != MAIL_NONE) {
		reply_bad(s, 503, "5.5.1", s->hello ? "Not now" : "Say EHLO first");
		return;
	}
	if (s->config.tls_required && !s->tls) {
		reply_bad(s, 530, "5.7.0", "STARTTLS comes first");
		return;
	}
	if ((extensions(s) & SMTP_EXT_AUTH) == 0) {
		reply_bad(s, 502, "5.5.1", "AUTH is not offered");
		return;
	}
	if (name == 0) {
		reply_bad(s, 501, "5.5.4", "A mechanism is needed");
		return;
	}
	if (!choose_mechanism(s, argument, name)) {
		reply_bad(s, 504, "5.5.4", "The mechanism is not offered");
		return;
	}
	for (; rest > 0 && argument[len - rest] == ' '; rest--)
		;
	if (rest == 0)
		run_auth(s, NULL, 0);
	else if (rest == 1 && argument[len - 1] == '=')
		run_auth(s, "", 0);
	else
		auth_response(s, argument + len - rest, rest);
}

static void
auth_line(struct smtp_server *s, const char *line, size_t len)
{
	s->state = STATE_COMMAND;
	trace(s, true, len <= 1 ? line : "***", len <= 1 ? len : 3);
	if (len == 1 && *line == '*')
		auth_abort(s, 501, "5.7.0", "Authentication cancelled");
	else
		auth_response(s, line, len);
}

/* ---- the rest ---- */

static void
command_noop(struct smtp_server *s, const char *argument, size_t len)
{
	reply(s, 250, "2.0.0", "OK");
}

static void
command_quit(struct smtp_server *s, const char *argument, size_t len)
{
	reply(s, 221, "2.0.0", "Bye");
	s->closing = true;
	end_transaction(s);
}

/* The address of VRFY and EXPN, in angle brackets or without; false where it is none. */
static bool
read_address(const char *argument, size_t len, char *to)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);

	if (len >= 2 && argument[0] == '<' && argument[len - 1] == '>') {
		argument++;
		len -= 2;
	}
	if (address_read(argument, len, true, &address) < 0)
		return false;
	memcpy(to, address.data, address.len + 1);
	return true;
}

/* Asks the owner where the address leads. False: refused, and answered. */
static bool
expand(struct smtp_server *s, const char *argument, size_t len, struct buf *out)
{
	char address[ADDRESS_MAX + 1];

	if (!read_address(argument, len, address)) {
		reply_bad(s, 501, "5.1.3", "An address is needed");
		return false;
	}
	s->said.code = 0;
	if (s->ops->expand(s->arg, address, out) == SMTP_ACCEPT && !out->failed)
		return true;
	reply_refusal(s, 451, "4.3.0", "Cannot be told now");
	return false;
}

/* Whether a mailbox elsewhere exists cannot be known here, so the reply is 252 (RFC 5321 section 3.5.3). What a local name expands to
 * is shown only within a transaction, because then the caller is known to be allowed to send. */
static void
command_vrfy(struct smtp_server *s, const char *argument, size_t len)
{
	CLEANUP_BUF struct buf to = BUF_INIT(LISTING_MAX);

	if (s->ops->expand == NULL || s->mail.stage == MAIL_NONE)
		reply(s, 252, "2.1.5", "Send some mail, and see");
	else if (expand(s, argument, len, &to))
		reply(s, 252, "2.1.5", "Mail for this address is taken");
}

static void
command_expn(struct smtp_server *s, const char *argument, size_t len)
{
	CLEANUP_BUF struct buf to = BUF_INIT(LISTING_MAX);

	if (s->ops->expand == NULL)
		reply_bad(s, 502, "5.5.1", "Not implemented");
	else if (expand(s, argument, len, &to))
		reply_lines(s, &to);
}

static void
command_help(struct smtp_server *s, const char *argument, size_t len)
{
	reply(s, 214, "2.0.0",
	    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT\nSee RFC 5321");
}

static void
xfrank_list(struct smtp_server *s)
{
	if (s->ops->list == NULL) {
		reply_bad(s, 502, "5.5.1", "LIST is not offered");
		return;
	}
	buf_free(&s->listing);
	s->listing = (struct buf)BUF_INIT(LISTING_MAX);
	s->said.code = 0;
	decide(s, PENDING_LIST, s->ops->list(s->arg, &s->listing));
}

static void
xfrank_aliases(struct smtp_server *s)
{
	if (s->ops->aliases == NULL) {
		reply_bad(s, 502, "5.5.1", "ALIASES is not offered");
		return;
	}
	s->said.code = 0;
	decide(s, PENDING_ALIASES, s->ops->aliases(s->arg));
}

static void
xfrank_flush(struct smtp_server *s)
{
	if (s->ops->flush == NULL) {
		reply_bad(s, 502, "5.5.1", "FLUSH is not offered");
		return;
	}
	s->ops->flush(s->arg);
	reply(s, 250, "2.0.0", "Trying");
}

static void
command_xfrank(struct smtp_server *s, const char *argument, size_t len)
{
	char id[33];

	if ((extensions(s) & SMTP_EXT_XFRANK) == 0) {
		reply_bad(s, 500, "5.5.1", "Command not recognized");
		return;
	}
	if (text_is(argument, len, "LIST")) {
		xfrank_list(s);
		return;
	}
	if (text_is(argument, len, "FLUSH")) {
		xfrank_flush(s);
		return;
	}
	if (text_is(argument, len, "ALIASES")) {
		xfrank_aliases(s);
		return;
	}
	if (len != sizeof(id) - 1 || strspn(argument, "0123456789abcdef") < len) {
		reply_bad(s, 501, "5.5.4", "Not a submission id");
		return;
	}
	memcpy(id, argument, len);
	id[len] = '\0';
	if (s->ops->known(s->arg, id))
		reply(s, 250, "2.0.0", "Stored");
	else
		reply(s, 550, "5.1.0", "Not stored");
}

/* ---- lines ---- */

/* A web page can make a browser post to a port on loopback: such a session ends before its body is
 * read. */
static bool
is_http(const char *line, size_t len)
{
	static const char *const methods[] = {
	    "GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "CONNECT ", "DELETE "};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (len > strlen(methods[i]) && memcmp(line, methods[i], strlen(methods[i])) == 0)
			return true;
	return false;
}

static bool
has_control(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return true;
	return false;
}

typedef void command_function(struct smtp_server *s, const char *argument, size_t len);

static command_function *const commands[] = {
    [SMTP_VERB_EHLO] = command_ehlo,
    [SMTP_VERB_HELO] = command_helo,
    [SMTP_VERB_MAIL] = command_mail,
    [SMTP_VERB_RCPT] = command_rcpt,
    [SMTP_VERB_DATA] = command_data,
    [SMTP_VERB_BDAT] = command_bdat,
    [SMTP_VERB_RSET] = command_rset,
    [SMTP_VERB_NOOP] = command_noop,
    [SMTP_VERB_QUIT] = command_quit,
    [SMTP_VERB_VRFY] = command_vrfy,
    [SMTP_VERB_EXPN] = command_expn,
    [SMTP_VERB_HELP] = command_help,
    [SMTP_VERB_STARTTLS] = command_starttls,
    [SMTP_VERB_AUTH] = command_auth,
    [SMTP_VERB_XFRANK] = command_xfrank,
};

/* Shows a command to the owner, without what may be a secret: the response of AUTH, and lines that are no command, for such may be
 * a response too, sent behind an AUTH that was refused. */
static void
trace_command(struct smtp_server *s, const struct smtp_command *c, const char *line, size_t len)
{
	char text[80];
	const char *space;
	int n;

	if (s->ops->trace == NULL)
		return;
	if (c->verb == SMTP_VERB_UNKNOWN) {
		n = snprintf(text, sizeof(text), "(%zu octets that are no command)", len);
	} else if (c->verb == SMTP_VERB_AUTH &&
		   (space = memchr(c->argument, ' ', c->argument_len)) != NULL) {
		n = snprintf(text, sizeof(text), "AUTH %.*s ***",
		    (int)(space - c->argument < 32 ? space - c->argument : 32), c->argument);
	} else {
		trace(s, true, line, len);
		return;
	}
	trace(s, true, text, (size_t)n);
}

/* May the command be looked at? False: it was refused, or waits. */
static bool
command_allowed(struct smtp_server *s, const struct smtp_command *c, const char *line, size_t len)
{
	bool asked = s->command_decided, accepted = s->command_accepted;
	enum smtp_decision d;

	s->command_decided = false;
	if (!asked) {
		trace_command(s, c, line, len);
		if (s->ops->command == NULL)
			return true;
		s->said.code = 0;
		d = s->ops->command(s->arg, c->verb);
		if (d == SMTP_LATER)
			s->pending = PENDING_COMMAND;
		if (d == SMTP_LATER || s->closing)
			return false;
		accepted = d == SMTP_ACCEPT;
	}
	if (!accepted)
		reply_refusal(s, 451, "4.3.0", "Not now");
	return accepted;
}

static void
command(struct smtp_server *s, const char *line, size_t len)
{
	struct smtp_command c;

	if (has_control(line, len)) {
		reply_bad(s, 500, "5.5.2", "Control characters in a command");
		return;
	}
	smtp_command_parse(line, len, &c);
	if (!command_allowed(s, &c, line, len))
		return;
	if (len > COMMAND_MAX && c.verb != SMTP_VERB_AUTH)
		reply_bad(s, 500, "5.5.2", "Line too long");
	else if (c.verb != SMTP_VERB_UNKNOWN)
		commands[c.verb](s, c.argument, c.argument_len);
	else if (is_http(line, len))
		reply(s, 421, "4.7.0", "This is no web server");
	else
		reply_bad(s, 500, "5.5.1", "Command not recognized");
}

/* ---- input ---- */

static bool
blocked(const struct smtp_server *s)
{
	return s->closing || s->pending != PENDING_NOTHING || s->state == STATE_TLS ||
	       s->out.len >= OUTPUT_HIGH;
}

static void
line_too_long(struct smtp_server *s)
{
	if (s->state == STATE_AUTH)
		auth_abort(s, 500, "5.5.6", "Line too long");
	else
		reply_bad(s, 500, "5.5.2", "Line too long");
}

/* Takes one line from the input; returns the octets taken, 0 when the line is not complete. */
static size_t
line_input(struct smtp_server *s, const char *bytes, size_t len)
{
	const char *lf = memchr(bytes, '\n', len);
	size_t line = lf == NULL ? len : (size_t)(lf - bytes);
	bool cr = lf != NULL && line > 0 && lf[-1] == '\r';

	if (lf == NULL) {
		/* One octet more may be the CR of a line that just fits. */
		if (!s->overlong && len <= SMTP_AUTH_LINE_MAX - 1)
			return 0;
		s->overlong = true;
		return len;
	}
	if (s->overlong || line - cr > SMTP_AUTH_LINE_MAX - 2) {
		s->overlong = false;
		line_too_long(s);
	} else if (s->state == STATE_AUTH) {
		auth_line(s, bytes, line - cr);
	} else {
		s->line_bare = !cr;
		command(s, bytes, line - cr);
		if (s->pending == PENDING_COMMAND) /* the line comes again when it is decided */
			return 0;
	}
	return line + 1;
}

/* RFC 3207 and CVE-2011-0411: what was sent before TLS must not be taken for what came through it.
 */
static void
check_tls_switch(struct smtp_server *s, size_t left)
{
	if (s->state != STATE_TLS)
		return;
	if (left > 0) {
		s->state = STATE_COMMAND;
		reply(s, 554, "5.5.0", "Nothing may follow STARTTLS");
		s->closing = true;
		return;
	}
	reply(s, 220, "2.0.0", "Ready to start TLS");
	s->ops->starttls(s->arg);
}

/* Parses as far as possible; returns the octets taken. */
static size_t
parse(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t at = 0, n;

	s->running = true;
	while (at < len && !blocked(s)) {
		if (s->state == STATE_DATA)
			n = data_input(s, bytes + at, len - at);
		else if (s->state == STATE_CHUNK)
			n = chunk_input(s, bytes + at, len - at);
		else
			n = line_input(s, bytes + at, len - at);
		if (n == 0)
			break;
		at += n;
		check_tls_switch(s, len - at);
	}
	s->running = false;
	return s->closing ? len : at;
}

static void
finish(struct smtp_server *s)
{
	if (s->out.failed && s->error == 0)
		s->error = -ENOMEM;
	if (s->eof && (!blocked(s) || s->state == STATE_TLS)) {
		s->closing = true;
		end_transaction(s);
	}
}

/* Goes on with the input that waited. */
static void
resume(struct smtp_server *s)
{
	if (s->running)
		return;
	if (s->in.len > 0)
		buf_consume(&s->in, parse(s, s->in.data, s->in.len));
	finish(s);
}

int
smtp_server_input(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t taken = 0;
	int r;

	if (s->closing)
		return s->error;
	if (s->state == STATE_TLS) {
		s->closing = true;
		return 0;
	}
	if (s->in.len == 0)
		taken = parse(s, bytes, len);
	if (taken < len) {
		r = buf_append(&s->in, bytes + taken, len - taken);
		if (r < 0)
			s->error = r;
		else if (taken == 0)
			resume(s);
	}
	finish(s);
	return s->error;
}

void
smtp_server_eof(struct smtp_server *s)
{
	s->eof = true;
	if (!s->running)
		finish(s);
}

const struct buf *
smtp_server_output(const struct smtp_server *s)
{
	return &s->out;
}

void
smtp_server_wrote(struct smtp_server *s, size_t len)
{
	buf_consume(&s->out, len);
	resume(s);
}

bool
smtp_server_waiting(const struct smtp_server *s)
{
	return blocked(s) && !s->closing;
}

bool
smtp_server_closing(const struct smtp_server *s)
{
	return s->closing;
}

bool
smtp_server_idle(const struct smtp_server *s)
{
	return s->mail.stage == MAIL_NONE && s->in.len == 0 && !s->overlong &&
	       s->state == STATE_COMMAND && s->pending == PENDING_NOTHING;
}

/* ---- what the owner says outside of callbacks ---- */

void
smtp_server_answer(struct smtp_server *s, enum smtp_decision decision)
{
	enum server_pending what = s->pending;

	if (what == PENDING_NOTHING || decision == SMTP_LATER)
		return;
	s->pending = PENDING_NOTHING;
	decide(s, what, decision);
	resume(s);
}

void
smtp_server_answer_lines(struct smtp_server *s, const char *lines)
{
	CLEANUP_BUF struct buf copy = BUF_INIT(LISTING_MAX);

	if (s->pending != PENDING_ALIASES)
		return;
	s->pending = PENDING_NOTHING;
	if (buf_append_str(&copy, lines) < 0)
		reply(s, 451, "4.3.0", "Out of memory");
	else
		reply_lines(s, &copy);
	resume(s);
}

void
smtp_server_offer_size(struct smtp_server *s, uint64_t octets)
{
	s->size_offered = octets;
}

void
smtp_server_challenge(struct smtp_server *s, const void *bytes, size_t len)
{
	size_t start;

	if (s->closing)
		return;
	start = s->out.len;
	(void)buf_append_str(&s->out, "334 ");
	(void)base64_encode(&s->out, bytes, len);
	if (!s->out.failed)
		trace(s, false, s->out.data + start, s->out.len - start);
	(void)buf_append_str(&s->out, "\r\n");
	s->challenged = true;
	if (s->pending == PENDING_AUTH) {
		s->pending = PENDING_NOTHING;
		s->state = STATE_AUTH;
		resume(s);
	}
}

void
smtp_server_tls_started(struct smtp_server *s)
{
	if (s->state != STATE_TLS)
		return;
	/* RFC 3207 section 4.2: everything learned from the client before is forgotten. */
	buf_clear(&s->in);
	s->state = STATE_COMMAND;
	s->tls = true;
	s->hello = s->authenticated = false;
}

void
smtp_server_close(struct smtp_server *s, const char *enhanced, const char *words)
{
	smtp_server_end(s, 421, enhanced, words);
}

void
smtp_server_end(struct smtp_server *s, int code, const char *enhanced, const char *words)
{
	s->pending = PENDING_NOTHING;
	reply(s, code, enhanced, words);
	s->closing = true;
	end_transaction(s);
}

/* ---- life ---- */

struct smtp_server *
smtp_server_new(
    const struct smtp_server_config *config, const struct smtp_server_ops *ops, void *arg)
{
	struct smtp_server *s = calloc(1, sizeof(*s));
	char greeting[WORDS_MAX];

	if (s == NULL)
		return NULL;
	s->config = *config;
	s->ops = ops;
	s->arg = arg;
	s->tls = config->tls_active;
	s->size_offered = config->size_max;
	/* The input wipes, because passwords and tokens of clients pass through it. */
	s->in = (struct buf)BUF_INIT_WIPE(INPUT_MAX + SMTP_AUTH_LINE_MAX);
	s->out = (struct buf)BUF_INIT(OUTPUT_MAX);
	(void)snprintf(
	    greeting, sizeof(greeting), "%s ESMTP %s", config->hostname, config->software);
	if (config->greeting != NULL)
		(void)snprintf(greeting, sizeof(greeting), "%s", config->greeting);
	reply(s, 220, NULL, greeting);
	if (s->out.failed)
		return smtp_server_free(s);
	return s;
}

struct smtp_server *
smtp_server_free(struct smtp_server *s)
{
	if (s == NULL)
		return NULL;
	end_transaction(s);
	buf_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->listing);
	free(s);
	return NULL;
}

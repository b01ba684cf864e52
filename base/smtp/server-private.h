/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server-private.h: what the parts of the SMTP server engine share: server.c (bytes in and out, replies),
 * server-command.c (commands), server-content.c (DATA and BDAT). For these three files only.
 */
#ifndef FRANK_BASE_SMTP_SERVER_PRIVATE_H
#define FRANK_BASE_SMTP_SERVER_PRIVATE_H

#include "base/smtp/server.h"

enum {
	SERVER_LINE_MAX = 2048,           /* a command without CRLF; AUTH has its own bound */
	SERVER_INPUT_MAX = 64 * 1024,     /* what waits for a decision */
	SERVER_OUTPUT_HIGH = 16 * 1024,   /* with so much unwritten, nothing more is parsed */
	SERVER_LISTING_MAX = 1024 * 1024, /* of XFRANK LIST */
	SERVER_OUTPUT_MAX = 8 * SERVER_LISTING_MAX, /* where each line of it is short */
	SERVER_WORDS_MAX = 512,
};

/* What the next octets are. */
enum server_state { SERVER_COMMAND, SERVER_AUTH, SERVER_DATA, SERVER_CHUNK, SERVER_TLS };

/* Which decision is awaited. */
enum server_pending {
	SERVER_NOTHING,
	SERVER_PENDING_MAIL,
	SERVER_PENDING_RCPT,
	SERVER_PENDING_DATA,
	SERVER_PENDING_CHUNK,
	SERVER_PENDING_END,
	SERVER_PENDING_AUTH,
	SERVER_PENDING_LIST,
	SERVER_PENDING_ALIASES,
};

/* Where in a line of DATA the last octet stood. LINE_LF: a bare one, behind which no end of the content can stand. */
enum server_line { LINE_START, LINE_TEXT, LINE_CR, LINE_DOT, LINE_DOT_CR, LINE_LF, LINE_LF_DOT };

struct server_words {
	int code; /* 0: none */
	char enhanced[12];
	char text[SERVER_WORDS_MAX];
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

	bool hello, tls, authenticated;
	char mechanism[32]; /* of the AUTH exchange under way */
	bool challenged;    /* the owner gave a challenge in the callback that runs */

	bool transaction; /* mail() was called, and reset() not yet */
	bool smtputf8, binary;
	bool all_or_nothing; /* it has a submission id */
	unsigned recipients;
	struct server_words refused_recipient; /* the first one, for all_or_nothing */

	bool chunks; /* BDAT was used in this transaction */
	bool loose;  /* lines of DATA end in LF, as the DATA command did */
	bool chunk_last;
	uint64_t chunk_size, chunk_left;
	uint64_t octets; /* of content so far */
	uint64_t size_offered;
	enum server_line line;
	struct server_words
	    failure; /* the content is refused with these words; what is left of it is dropped */

	struct server_words said;    /* by smtp_server_refuse, for the decision to come */
	char text[SERVER_WORDS_MAX]; /* by smtp_server_reply_text */
	struct buf listing;          /* of XFRANK LIST */
};

/* server.c */

/* Queues a reply; `enhanced` may be NULL. Text may hold several lines. 421 closes. */
void server_reply(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* The same for a command that breaks the protocol: counted, and 421 instead beyond the bound. */
void server_bad(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Sets words unless there are some. */
void server_words_set(struct server_words *w, int code, const char *enhanced, const char *text);
/* Replies with what the owner said if that fits a refusal, else with the words given here. */
void server_reply_refusal(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Replies positively: with what the owner said if that fits, else with the words given here. */
void server_reply_accept(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Replies 250 with lines that are printed as they are, without an enhanced code. */
void server_reply_lines(struct smtp_server *s, struct buf *lines);
/* Sets the words for a message over the limit, which they name. */
void server_words_too_large(const struct smtp_server *s, struct server_words *w);
/* Ends the transaction, if there is one. */
void server_end_transaction(struct smtp_server *s);

/* server-command.c */

unsigned server_extensions(const struct smtp_server *s);
void server_command(struct smtp_server *s, const char *line, size_t len);
void server_auth_line(struct smtp_server *s, const char *line, size_t len);
/* The AUTH exchange under way is over without a decision. */
void server_auth_abort(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Acts on a decision, also one that came later. */
void server_decide(struct smtp_server *s, enum server_pending what, enum smtp_decision decision);

/* server-content.c */

void server_data_command(struct smtp_server *s, size_t argument_len);
void server_bdat_command(struct smtp_server *s, const char *argument, size_t len);
void server_data_decided(struct smtp_server *s, bool accepted);
void server_chunk_decided(struct smtp_server *s, bool accepted);
/* Takes content from the input: returns how many octets, at least one where len > 0. */
size_t server_data_input(struct smtp_server *s, const char *bytes, size_t len);
size_t server_chunk_input(struct smtp_server *s, const char *bytes, size_t len);

#endif

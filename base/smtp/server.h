/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server.h: the SMTP server engine: bytes in, calls and bytes out. It makes no system call and asks no clock.
 *
 * Whoever owns the connection feeds what was read to smtp_server_input, writes out smtp_server_output, and is
 * called back for each step that needs a decision. The engine keeps the grammar, the order of commands, the
 * recipients' count, PIPELINING, CHUNKING, dot-unstuffing, limits on lines, and refuses smuggling: a bare CR or
 * LF in the content ends the transaction with 550 5.6.11 (RFC 5321 section 2.3.8), or with `bare_line_ends` it ends no line.
 *
 * Used by frankd's queue (Unix socket, loopback, drop files) and by frank-sandbox.
 */
#ifndef FRANK_BASE_SMTP_SERVER_H
#define FRANK_BASE_SMTP_SERVER_H

#include "base/smtp/smtp.h"

struct smtp_server;

/* A decision: accepted, refused with the reply given to smtp_server_refuse, or to be answered later. */
enum smtp_decision { SMTP_ACCEPT, SMTP_REFUSE, SMTP_LATER };

/*
 * The owner's decisions. Each may be NULL where marked so. On SMTP_REFUSE the callback has called smtp_server_refuse
 * first (else the refusal is a 451 without a reason). SMTP_LATER (not for content) stops the engine until
 * smtp_server_answer is called, which is done from outside the callbacks: input is kept, not parsed, so later
 * commands wait in order.
 *
 * Every mail() is followed by exactly one reset(), whatever comes of the transaction; smtp_server_free calls it for one that
 * is open. smtp_server_close may be called in any callback, smtp_server_free in none.
 */
struct smtp_server_ops {
	/* MAIL: a new transaction. One with a submission id is all or nothing: after a recipient that is refused, DATA and BDAT are refused
	 * with the same reply. In any other, those that were accepted get the message (RFC 5321 section 3.3). */
	enum smtp_decision (*mail)(
	    void *arg, const char *sender, const struct smtp_mail_params *params);
	enum smtp_decision (*rcpt)(
	    void *arg, const char *recipient, const struct smtp_rcpt_params *params);
	/* DATA or the first BDAT: content follows. */
	enum smtp_decision (*data)(void *arg);
	/* A piece of content: CRLF line ends as received, dots unstuffed. Refusing drops the rest of the content. */
	enum smtp_decision (*content)(void *arg, const char *bytes, size_t len);
	/* The content is complete. SMTP_LATER is the usual case, for a group commit. */
	enum smtp_decision (*end)(void *arg);
	/* The transaction is over (RSET, EHLO, refused, answered, connection lost): forget it. Also called when an AUTH
	 * exchange ends without a decision (cancelled, not base64): forget that. */
	void (*reset)(void *arg);
	/* AUTH: the engine has framed the exchange; `response` is decoded bytes or NULL at the start without an initial
	 * response; `mechanism` is spelled as in the configuration. The owner calls smtp_server_challenge and returns
	 * SMTP_LATER to ask for more, or decides. NULL: AUTH is not offered. */
	enum smtp_decision (*auth)(
	    void *arg, const char *mechanism, const char *response, size_t len);
	/* STARTTLS was answered with 220 and the output must be flushed before TLS begins; the owner calls
	 * smtp_server_tls_started afterwards. NULL: not offered. */
	void (*starttls)(void *arg);
	/* XFRANK <id>: is a message with this submission id stored? NULL: extension not offered. */
	bool (*known)(void *arg, const char *submission_id);
	/* A command came, before it is looked at: SMTP_REFUSE answers it, SMTP_LATER lets it wait. For an owner that plays other servers'
	 * faults. NULL: every command is looked at. */
	enum smtp_decision (*command)(void *arg, enum smtp_verb verb);
	/* A line of the conversation, without its line end, and without what a client proves itself with: "***" stands for it. The content
	 * is not shown. Nothing may be called in here. NULL: nobody wants to know. */
	void (*trace)(void *arg, bool from_client, const char *text, size_t len);
	/* HELO or EHLO was given (after the engine checked it), and is answered next. May be NULL. */
	void (*hello)(void *arg, const char *name);
	/* XFRANK LIST: appends the listing that mailq prints to the caller to `out`, which is the engine's and lives until the
	 * decision; lines ended by LF (answered as the lines of one 250). SMTP_REFUSE: 451. NULL: 502. */
	enum smtp_decision (*list)(void *arg, struct buf *out);
	/* XFRANK ALIASES: the aliases file is to be read anew. On SMTP_LATER the owner answers with smtp_server_answer_lines. NULL: 502. */
	enum smtp_decision (*aliases)(void *arg);
	/* EXPN and VRFY: appends where mail for the address goes, one address a line ended by LF. SMTP_REFUSE as above. NULL: EXPN is
	 * not implemented, VRFY answers 252, as it does outside a transaction. */
	enum smtp_decision (*expand)(void *arg, const char *address, struct buf *out);
	/* XFRANK FLUSH: what may be tried is tried now; answered 250. NULL: 502. */
	void (*flush)(void *arg);
};

struct smtp_server_config {
	const char *hostname;        /* in greeting and EHLO reply; borrowed */
	const char *software;        /* word behind ESMTP in the greeting; borrowed */
	const char *auth_mechanisms; /* "XOAUTH2 PLAIN", or NULL; borrowed */
	const char *greeting; /* all words behind 220, or NULL: hostname ESMTP software; borrowed */
	const char *hello;    /* first line of the EHLO reply, or NULL: hostname; borrowed */
	/* SMTP_EXT_* offered; STARTTLS, AUTH and XFRANK need their callback as well */
	unsigned extensions;
	uint64_t size_max; /* octets of a message; 0: no limit */
	/* per transaction; beyond 452 4.5.3, or 552 5.5.3 where it is all or nothing; 0: no
	 * limit */
	unsigned recipients_max;
	unsigned bad_commands_max; /* 421 beyond; failed AUTH counts; 0: no limit */
	/* the entrance of programs and devices: HELO may be missing or name nobody, UTF-8
	 * addresses need no SMTPUTF8 */
	bool lenient;
	bool bare_line_ends; /* bare CR and LF in content are passed on, for the owner to mend */
	bool lf_sessions;    /* content ends in LF.LF where the DATA command itself ended in LF */
	bool auth_required;  /* MAIL before AUTH is refused with 530 */
	/* AUTH and MAIL before STARTTLS are refused with 530; AUTH is not listed */
	bool tls_required;
	bool tls_active; /* implicit TLS: the connection is already inside TLS */
};

/* `ops` and the strings of `config` are borrowed while the engine lives. The greeting is output at once. NULL: no memory. */
struct smtp_server *smtp_server_new(
    const struct smtp_server_config *config, const struct smtp_server_ops *ops, void *arg);
struct smtp_server *smtp_server_free(struct smtp_server *s);

/* Takes bytes that were read, at most 64 KiB a call; consumes all of them: what waits for a decision is kept, up to 64 KiB
 * (feed nothing while smtp_server_waiting). Returns 0, or -ENOMEM / -ENOBUFS: close the connection. After STARTTLS
 * was answered nothing may come until smtp_server_tls_started: it closes. */
int smtp_server_input(struct smtp_server *s, const char *bytes, size_t len);
/* The peer sent its end of file; an unfinished transaction is dropped. */
void smtp_server_eof(struct smtp_server *s);

/* Bytes to write; smtp_server_wrote removes what was written and goes on with input that waited for it: nothing is
 * parsed while 16 KiB or more are unwritten. So always write before reading. */
const struct buf *smtp_server_output(const struct smtp_server *s);
void smtp_server_wrote(struct smtp_server *s, size_t len);

/* A decision, the switch to TLS or unwritten output is pending: do not read more. */
bool smtp_server_waiting(const struct smtp_server *s);
/* After the output is written the connection is to be closed (QUIT, 421). */
bool smtp_server_closing(const struct smtp_server *s);
/* True when no transaction is open, no command half read and nothing pending: idle limits differ. */
bool smtp_server_idle(const struct smtp_server *s);

/* The reply for SMTP_REFUSE, or for a pending or accepted decision that wants words of its own (a 2xx code then).
 * `enhanced` such as "5.7.1" or NULL; a line feed in the text makes a reply of several lines; 421 closes. */
void smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced, const char *format,
    ...) PRINTF_LIKE(4, 5);
/* Ends SMTP_LATER: accept (with the text of smtp_server_reply_text if set) or refuse (after smtp_server_refuse). Goes on with
 * waiting input. */
void smtp_server_answer(struct smtp_server *s, enum smtp_decision decision);
/* The same with a positive reply of many lines, ended by LF, for what answers in lines (XFRANK ALIASES). */
void smtp_server_answer_lines(struct smtp_server *s, const char *lines);
/* What EHLO names as SIZE from here on, where the owner has a lower limit for this caller, which it keeps itself. At the earliest in
 * hello(). */
void smtp_server_offer_size(struct smtp_server *s, uint64_t octets);
/* Text of the next positive answer to the end of the content, as "queued as 3F2A"; copied. */
void smtp_server_reply_text(struct smtp_server *s, const char *text);
/* A SASL challenge: sent as 334 with base64. */
void smtp_server_challenge(struct smtp_server *s, const void *bytes, size_t len);
void smtp_server_tls_started(struct smtp_server *s);
/* Ends the session: 421 with these words, then closing. */
void smtp_server_close(struct smtp_server *s, const char *enhanced, const char *words);
/* The same with another code (554: a server that talks to nobody). */
void smtp_server_end(struct smtp_server *s, int code, const char *enhanced, const char *words);

#endif

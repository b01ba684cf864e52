/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of base/smtp/server*.c. Each case is a stream of the client with the whole output and
 * the calls that must come of it; it is fed at once, cut in two at every octet, and octet by octet,
 * and nothing may differ.
 *
 * The owner of the test decides by address: "no..." is refused, "later..." is answered after the
 * input was taken, "multi..." is refused in two lines, "close..." ends the session, and an address
 * of "words..." is accepted in words of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/smtp/server.h"

#define ALL                                                                           \
	(SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN | \
	    SMTP_EXT_CHUNKING | SMTP_EXT_STARTTLS | SMTP_EXT_AUTH | SMTP_EXT_XFRANK | \
	    SMTP_EXT_SIZE | SMTP_EXT_ENHANCED | SMTP_EXT_REQUIRETLS | SMTP_EXT_BINARYMIME)

struct owner {
	struct smtp_server *s;
	struct buf log; /* the calls */
	struct buf out; /* what the client reads */
	bool in_content;
	bool later;
	bool open; /* mail() without reset() */
	enum smtp_decision answer;
	bool list_later, end_later, end_refused, content_refused, data_refused;
	unsigned auth_step;
	bool lines; /* the answer is one of lines */
	bool tls_at_once;
	bool asked; /* each command is asked for, and the conversation is noted */
};

static void note(struct owner *o, const char *format, ...) PRINTF_LIKE(2, 3);

static void
note(struct owner *o, const char *format, ...)
{
	va_list ap;

	if (o->in_content)
		assert_int_equal(buf_append_str(&o->log, "]\n"), 0);
	o->in_content = false;
	va_start(ap, format);
	assert_int_equal(buf_vprintf(&o->log, format, ap), 0);
	va_end(ap);
}

static enum smtp_decision
decide(struct owner *o, const char *address)
{
	o->answer = SMTP_ACCEPT;
	if (strncmp(address, "no", 2) == 0) {
		smtp_server_refuse(o->s, 550, "5.1.1", "No such user %s", "here");
		return SMTP_REFUSE;
	}
	if (strncmp(address, "bare", 4) == 0)
		return SMTP_REFUSE;
	if (strncmp(address, "multi", 5) == 0) {
		smtp_server_refuse(o->s, 450, "4.2.1", "One\nTwo\rX");
		return SMTP_REFUSE;
	}
	if (strncmp(address, "close", 5) == 0) {
		smtp_server_close(o->s, "4.3.2", "Going down");
		return SMTP_REFUSE;
	}
	if (strncmp(address, "words", 5) == 0)
		smtp_server_refuse(o->s, 251, "2.1.5", "Will forward");
	if (strncmp(address, "later", 5) == 0) {
		o->later = true;
		if (strncmp(address, "laterno", 7) == 0)
			o->answer = SMTP_REFUSE;
		return SMTP_LATER;
	}
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *p)
{
	struct owner *o = arg;

	assert_false(o->open);
	o->open = true;
	note(o, "mail %s%s%s%s\n", sender, p->smtputf8 ? " utf8" : "",
	    p->submission_id[0] ? " " : "", p->submission_id);
	return decide(o, sender);
}

static enum smtp_decision
on_rcpt(void *arg, const char *recipient, const struct smtp_rcpt_params *p)
{
	struct owner *o = arg;

	assert_true(o->open);
	note(o, "rcpt %s%s%s\n", recipient, p->orcpt[0] ? " " : "", p->orcpt);
	return decide(o, recipient);
}

static enum smtp_decision
on_data(void *arg)
{
	struct owner *o = arg;

	assert_true(o->open);
	note(o, "data\n");
	if (o->data_refused)
		smtp_server_refuse(o->s, 552, "5.2.2", "Over quota");
	return o->data_refused ? SMTP_REFUSE : SMTP_ACCEPT;
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	struct owner *o = arg;

	assert_true(o->open);
	assert_true(len > 0);
	if (!o->in_content)
		assert_int_equal(buf_append_char(&o->log, '['), 0);
	o->in_content = true;
	if (o->content_refused) {
		smtp_server_refuse(o->s, 554, "5.6.0", "I do not like it");
		return SMTP_REFUSE;
	}
	assert_int_equal(buf_append(&o->log, bytes, len), 0);
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_end(void *arg)
{
	struct owner *o = arg;

	assert_true(o->open);
	note(o, "end\n");
	o->answer = SMTP_ACCEPT;
	if (o->end_refused) {
		smtp_server_refuse(o->s, 451, "4.3.1", "Disk full");
		o->answer = SMTP_REFUSE;
	} else {
		smtp_server_reply_text(o->s, "queued as 3F2A");
	}
	if (!o->end_later)
		return o->answer;
	o->later = true;
	return SMTP_LATER;
}

static void
on_reset(void *arg)
{
	struct owner *o = arg;

	o->open = false;
	note(o, "reset\n");
}

/* PLAIN and XOAUTH2 in one step; LOGIN asks twice; SLOW decides later; ASK asks later. */
static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	struct owner *o = arg;

	note(o, "auth %s %s%.*s\n", mechanism, response == NULL ? "-" : ":", (int)len,
	    response == NULL ? "" : response);
	if (strcmp(mechanism, "LOGIN") == 0 && o->auth_step < 2) {
		smtp_server_challenge(o->s, o->auth_step == 0 ? "User" : "Pass", 4);
		o->auth_step++;
		return SMTP_LATER;
	}
	if (response == NULL) {
		o->later = strcmp(mechanism, "ASK") == 0;
		if (!o->later)
			smtp_server_challenge(o->s, "", 0);
		return SMTP_LATER;
	}
	o->auth_step = 0;
	if (strcmp(mechanism, "SLOW") == 0) {
		o->later = true;
		o->answer = SMTP_ACCEPT;
		return SMTP_LATER;
	}
	return len > 0 && response[0] == 'x' ? SMTP_REFUSE : SMTP_ACCEPT;
}

static void
on_starttls(void *arg)
{
	note(arg, "starttls\n");
}

static bool
on_known(void *arg, const char *id)
{
	note(arg, "known %s\n", id);
	return id[0] == 'a';
}

static void
on_hello(void *arg, const char *name)
{
	note(arg, "hello %s\n", name);
}

static enum smtp_decision
on_list(void *arg, struct buf *out)
{
	struct owner *o = arg;

	note(o, "list\n");
	if (o->data_refused)
		return SMTP_REFUSE;
	(void)buf_append_str(out, o->content_refused ? "" : "3F2A  you@b.test\n\n-- 1 Request.\n");
	o->later = o->list_later;
	o->answer = SMTP_ACCEPT;
	return o->later ? SMTP_LATER : SMTP_ACCEPT;
}

static void
on_flush(void *arg)
{
	note(arg, "flush\n");
}

static enum smtp_decision
on_aliases(void *arg)
{
	struct owner *o = arg;

	note(o, "aliases\n");
	o->answer = SMTP_REFUSE;
	o->lines = !o->end_refused;
	o->later = true;
	return SMTP_LATER;
}

static enum smtp_decision
on_expand(void *arg, const char *address, struct buf *out)
{
	struct owner *o = arg;
	enum smtp_decision d;

	note(o, "expand %s\n", address);
	d = decide(o, address);
	(void)buf_append_str(out, "a@b.test\nc@d.test\n");
	return d;
}

static const struct smtp_server_ops ops = {
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_starttls,
    .known = on_known,
    .hello = on_hello,
    .list = on_list,
    .flush = on_flush,
    .aliases = on_aliases,
    .expand = on_expand,
};

static const struct smtp_server_config strict = {
    .hostname = "mx.test",
    .software = "Frank",
    .auth_mechanisms = "PLAIN LOGIN XOAUTH2 SLOW ASK",
    .extensions = ALL,
    .size_max = 1000,
    .recipients_max = 3,
    .bad_commands_max = 3,
};

/* Refuses VRFY, at once or (HELP) later; NOOP waits. */
static enum smtp_decision
on_command(void *arg, enum smtp_verb verb)
{
	struct owner *o = arg;

	o->later = verb == SMTP_VERB_NOOP || verb == SMTP_VERB_HELP;
	o->answer = verb == SMTP_VERB_NOOP ? SMTP_ACCEPT : SMTP_REFUSE;
	if (o->later)
		return SMTP_LATER;
	if (verb == SMTP_VERB_VRFY)
		smtp_server_refuse(o->s, 454, "4.7.0", "Not today");
	return verb == SMTP_VERB_VRFY ? SMTP_REFUSE : SMTP_ACCEPT;
}

static void
on_trace(void *arg, bool from_client, const char *text, size_t len)
{
	note(arg, "%s%.*s\n", from_client ? ">" : "<", (int)len, text);
}

static const struct smtp_server_ops asking_ops = {
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .command = on_command,
    .trace = on_trace,
};

/* Reads all output and gives all awaited decisions, as long as there are any. */
static void
pump(struct owner *o)
{
	for (;;) {
		const struct buf *out = smtp_server_output(o->s);

		if (out->len > 0) {
			assert_int_equal(buf_append(&o->out, out->data, out->len), 0);
			smtp_server_wrote(o->s, out->len);
		} else if (o->later) {
			assert_true(smtp_server_waiting(o->s));
			o->later = false;
			if (o->lines)
				smtp_server_answer_lines(o->s, "one\ntwo\n");
			else if (o->auth_step == 0 && o->answer == SMTP_LATER)
				smtp_server_challenge(o->s, "ask", 3);
			else
				smtp_server_answer(o->s, o->answer);
		} else if (o->tls_at_once && smtp_server_waiting(o->s)) {
			smtp_server_tls_started(o->s);
		} else {
			return;
		}
	}
}

static void
feed(struct owner *o, const char *bytes, size_t len)
{
	/* A copy of its own, so that the sanitizer sees a read behind the piece. */
	char *piece = malloc(len == 0 ? 1 : len);

	assert_non_null(piece);
	memcpy(piece, bytes, len);
	assert_int_equal(smtp_server_input(o->s, piece, len), 0);
	free(piece);
	pump(o);
}

struct test_case {
	const char *name;
	const char *in;
	const char *out; /* without greeting */
	const char *log;
	struct owner owner;
	struct smtp_server_config config; /* with hostname NULL: strict */
	size_t in_len;                    /* 0: a string */
	bool closed;
};

#define EHLO "EHLO a.test\r\n"
#define EHLO_OUT(auth_tls)                                                                 \
	"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-" \
	"CHUNKING\r\n"                                                                     \
	"250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n" auth_tls
#define EHLO_PLAIN                                                                             \
	EHLO_OUT(                                                                              \
	    "250-REQUIRETLS\r\n250-STARTTLS\r\n250-XFRANK\r\n250-SIZE 1000\r\n250 AUTH PLAIN " \
	    "LOGIN XOAUTH2 SLOW ASK\r\n")
#define MAIL "MAIL FROM:<me@a.test>\r\n"
#define WHOLE "MAIL FROM:<me@a.test> XID=" ID "\r\n"
#define RCPT "RCPT TO:<you@b.test>\r\n"
#define HELO "HELO a\r\n"
#define HELO_OUT "250 mx.test\r\n"
#define MAIL_OK "250 2.1.0 Sender accepted\r\n"
#define RCPT_OK "250 2.1.5 Recipient accepted\r\n"
#define DATA_OK "354 Go ahead, end with CRLF.CRLF\r\n"
#define QUEUED "250 2.0.0 queued as 3F2A\r\n"
#define BEGIN HELO MAIL RCPT
#define BEGIN_OUT HELO_OUT MAIL_OK RCPT_OK
#define BEGIN_LOG "hello a\nmail me@a.test\nrcpt you@b.test\n"
#define WHOLE_LOG "hello a\nmail me@a.test " ID "\nrcpt you@b.test\n"
#define QUIT "QUIT\r\n"
#define BYE "221 2.0.0 Bye\r\n"
#define ID "a0123456789abcdef0123456789abcde"
#define LENIENT                                                                                 \
	{                                                                                       \
		.hostname = "mx.test", .software = "Frank", .extensions = ALL, .lenient = true, \
		.bare_line_ends = true, .lf_sessions = true                                     \
	}

static void
run_cut(const struct test_case *t, size_t first, size_t step)
{
	struct owner o = t->owner;
	size_t len = t->in_len > 0 ? t->in_len : strlen(t->in), at = 0;
	static const char greeting[] = "220 mx.test ESMTP Frank\r\n";

	buf_init(&o.log, 1 << 20);
	buf_init(&o.out, 1 << 20);
	o.s = smtp_server_new(
	    t->config.hostname == NULL ? &strict : &t->config, o.asked ? &asking_ops : &ops, &o);
	assert_non_null(o.s);
	pump(&o);
	while (at < len) {
		size_t n = at == 0 ? first : step;

		n = n > len - at ? len - at : n;
		feed(&o, t->in + at, n);
		at += n;
	}
	assert_int_equal(strncmp(buf_str(&o.out), greeting, strlen(greeting)), 0);
	if (strcmp(buf_str(&o.out) + strlen(greeting), t->out) != 0)
		fail_msg("%s, cut at %zu: output\n%s", t->name, first, buf_str(&o.out));
	if (o.in_content)
		note(&o, "%s", "");
	if (strcmp(buf_str(&o.log), t->log) != 0)
		fail_msg("%s, cut at %zu: calls\n%s", t->name, first, buf_str(&o.log));
	if (smtp_server_closing(o.s) != t->closed)
		fail_msg("%s: closing is %d", t->name, !t->closed);
	assert_false(smtp_server_waiting(o.s));
	smtp_server_eof(o.s);
	assert_true(smtp_server_closing(o.s));
	assert_false(o.open);
	o.s = smtp_server_free(o.s);
	buf_free(&o.log);
	buf_free(&o.out);
}

static void
run_all(const struct test_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = cases[i].in_len > 0 ? cases[i].in_len : strlen(cases[i].in);

		for (size_t cut = len; cut >= 1; cut--)
			run_cut(&cases[i], cut, len);
		run_cut(&cases[i], 1, 1);
	}
}

/* An owner that is asked before each command, and is shown the conversation. */
static void
test_asked(void **state)
{
	static const struct test_case cases[] = {
	    {"commands wait, and are refused", "NOOP\r\nVRFY x\r\nHELP\r\n" HELO QUIT,
		"250 2.0.0 OK\r\n454 4.7.0 Not today\r\n451 4.3.0 Not now\r\n" HELO_OUT BYE,
		"<220 mx.test ESMTP Frank\n>NOOP\n<250 2.0.0 OK\n>VRFY x\n<454 4.7.0 Not today\n"
		">HELP\n<451 4.3.0 Not now\n>HELO a\n<250 mx.test\n>QUIT\n<221 2.0.0 Bye\n",
		.owner.asked = true, .closed = true},
	    {"a transaction", BEGIN "DATA\r\nsecret\r\n.\r\n" QUIT, BEGIN_OUT DATA_OK QUEUED BYE,
		"<220 mx.test ESMTP Frank\n>HELO a\n<250 mx.test\n>MAIL FROM:<me@a.test>\nmail "
		"me@a.test\n<250 2.1.0 Sender accepted\n>RCPT TO:<you@b.test>\nrcpt "
		"you@b.test\n<250 2.1.5 Recipient accepted\n>DATA\ndata\n<354 Go ahead, end with "
		"CRLF.CRLF\n[secret\r\n]\nend\n<250 2.0.0 queued as 3F2A\nreset\n>QUIT\n<221 "
		"2.0.0 Bye\n",
		.owner.asked = true, .closed = true},
	    {"what may be a secret is not shown",
		HELO "AUTH NONE c2VjcmV0\r\nc2VjcmV0\r\nAUTH LOGIN\r\nc2VjcmV0\r\nc2VjcmV0\r\n"
		     "auth PLAIN  c2VjcmV0\r\n",
		HELO_OUT "504 5.5.4 The mechanism is not offered\r\n500 5.5.1 Command not "
			 "recognized\r\n334 VXNlcg==\r\n334 UGFzcw==\r\n235 2.7.0 "
			 "Authentication successful\r\n503 5.5.1 Not now\r\n",
		"<220 mx.test ESMTP Frank\n>HELO a\n<250 mx.test\n>AUTH NONE ***\n<504 5.5.4 The "
		"mechanism is not offered\n>(8 octets that are no command)\n<500 5.5.1 Command not "
		"recognized\n>AUTH LOGIN\nauth LOGIN -\n<334 VXNlcg==\n>***\nauth LOGIN "
		":secret\n<334 UGFzcw==\n>***\nauth LOGIN :secret\n<235 2.7.0 Authentication "
		"successful\n>AUTH PLAIN ***\n<503 5.5.1 Not now\n",
		.owner.asked = true},
	};

	run_all(cases, ARRAY_SIZE(cases));
}

static void
test_session(void **state)
{
	static const struct test_case cases[] = {
	    {"whole session", EHLO MAIL RCPT "DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n" QUIT,
		EHLO_PLAIN MAIL_OK RCPT_OK DATA_OK QUEUED BYE,
		"hello a.test\nmail me@a.test\nrcpt you@b.test\ndata\n[Subject: "
		"x\r\n\r\nhi\r\n]\nend\nreset\n",
		.closed = true},
	    {"decisions that come later",
		HELO "MAIL FROM:<later@x>\r\n" RCPT "RCPT TO:<later2@x>\r\nRCPT TO:<laterno@x>\r\n"
		     "DATA\r\nx\r\n.\r\nNOOP\r\n" QUIT,
		HELO_OUT MAIL_OK RCPT_OK RCPT_OK
		"451 4.3.0 Recipient not accepted\r\n" DATA_OK QUEUED "250 2.0.0 OK\r\n" BYE,
		"hello a\nmail later@x\nrcpt you@b.test\nrcpt later2@x\nrcpt "
		"laterno@x\ndata\n[x\r\n]\nend\nreset\n",
		.owner = {.end_later = true}, .closed = true},
	    {"message refused at its end, later", BEGIN "DATA\r\n.\r\n" MAIL,
		BEGIN_OUT DATA_OK "451 4.3.1 Disk full\r\n" MAIL_OK,
		BEGIN_LOG "data\nend\nreset\nmail me@a.test\n",
		.owner = {.end_later = true, .end_refused = true}},
	    {"own words",
		HELO MAIL "RCPT TO:<words@x>\r\nRCPT TO:<multi@x>\r\nRCPT TO:<bare@x>\r\nRCPT "
			  "TO:<no@x>\r\nRSET\r\n",
		HELO_OUT MAIL_OK "251 2.1.5 Will forward\r\n450-4.2.1 One\r\n450 4.2.1 Two?X\r\n"
				 "451 4.3.0 Recipient not accepted\r\n550 5.1.1 No such user "
				 "here\r\n250 2.0.0 Reset\r\n",
		"hello a\nmail me@a.test\nrcpt words@x\nrcpt multi@x\nrcpt bare@x\nrcpt "
		"no@x\nreset\n"},
	    {"sender refused", HELO "MAIL FROM:<no@x>\r\n" RCPT,
		HELO_OUT "550 5.1.1 No such user here\r\n503 5.5.1 MAIL comes first\r\n",
		"hello a\nmail no@x\nreset\n"},
	    {"owner closes", HELO "MAIL FROM:<close@x>\r\n" RCPT,
		HELO_OUT "421 4.3.2 Going down\r\n", "hello a\nmail close@x\nreset\n",
		.closed = true},
	    {"out of turn", MAIL HELO RCPT "DATA\r\n",
		"503 5.5.1 Say EHLO first\r\n" HELO_OUT
		"503 5.5.1 MAIL comes first\r\n503 5.5.1 MAIL comes first\r\n",
		"hello a\n"},
	    {"nested MAIL, EHLO resets", BEGIN MAIL HELO MAIL,
		BEGIN_OUT "503 5.5.1 A transaction is open already\r\n" HELO_OUT MAIL_OK,
		BEGIN_LOG "reset\nhello a\nmail me@a.test\n"},
	    {"no recipients", HELO MAIL "RCPT TO:<no@x>\r\nDATA\r\n" RCPT "DATA\r\n.\r\n",
		HELO_OUT MAIL_OK
		"550 5.1.1 No such user here\r\n554 5.5.1 No valid recipients\r\n" RCPT_OK DATA_OK
		    QUEUED,
		"hello a\nmail me@a.test\nrcpt no@x\nrcpt you@b.test\ndata\nend\nreset\n"},
	    {"too many recipients", BEGIN RCPT RCPT RCPT,
		BEGIN_OUT RCPT_OK RCPT_OK
		"452 4.5.3 Too many recipients: at most 3 in a message\r\n",
		BEGIN_LOG "rcpt you@b.test\nrcpt you@b.test\n"},
	    {"too many recipients of what is all or nothing",
		HELO WHOLE RCPT RCPT RCPT RCPT "BDAT 1 LAST\r\nxNOOP\r\n",
		HELO_OUT MAIL_OK RCPT_OK RCPT_OK RCPT_OK
		"552 5.5.3 Too many recipients: at most 3 in a message\r\n"
		"552 5.5.3 Too many recipients: at most 3 in a message\r\n250 2.0.0 OK\r\n",
		WHOLE_LOG "rcpt you@b.test\nrcpt you@b.test\nreset\n"},
	    {"lenient: no HELO, no name, no angle brackets",
		"MAIL FROM: me@a.test\r\nRCPT TO: you@b.test\r\nDATA\r\n.\r\nHELO\r\nHELO a b\r\n",
		MAIL_OK RCPT_OK DATA_OK QUEUED HELO_OUT HELO_OUT,
		"mail me@a.test\nrcpt you@b.test\ndata\nend\nreset\nhello \nhello a b\n",
		.config = LENIENT},
	    {"too many errors", "\r\nFOO\r\nHELO\r\nEXPN\r\nNOOP\r\n",
		"500 5.5.1 Command not recognized\r\n500 5.5.1 Command not recognized\r\n501 5.5.4 "
		"A host name is needed\r\n"
		"421 4.7.0 Too many errors\r\n",
		"", .closed = true},
	    {"small commands", "noop x\r\nHELP\r\nrset\r\nNOOP \t\r\n",
		"250 2.0.0 OK\r\n214-2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP "
		"QUIT\r\n214 2.0.0 See RFC 5321\r\n250 2.0.0 Reset\r\n250 2.0.0 OK\r\n",
		""},
	    {"VRFY and EXPN",
		"VRFY root\r\n" HELO MAIL
		"VRFY root\r\nEXPN <root>\r\nVRFY no@x\r\nEXPN no@x\r\nVRFY a b\r\n",
		"252 2.1.5 Send some mail, and see\r\n" HELO_OUT MAIL_OK
		"252 2.1.5 Mail for this address is taken\r\n250-a@b.test\r\n250 c@d.test\r\n"
		"550 5.1.1 No such user here\r\n550 5.1.1 No such user here\r\n501 5.1.3 An "
		"address is needed\r\n",
		"hello a\nmail me@a.test\nexpand root\nexpand root\nexpand no@x\nexpand no@x\n"},
	    {"aliases read anew", EHLO "XFRANK ALIASES\r\nNOOP\r\n",
		EHLO_PLAIN "250-one\r\n250 two\r\n250 2.0.0 OK\r\n", "hello a.test\naliases\n"},
	    {"aliases that cannot be read", EHLO "xfrank aliases\r\nNOOP\r\n",
		EHLO_PLAIN "451 4.3.0 The aliases cannot be read now\r\n250 2.0.0 OK\r\n",
		"hello a.test\naliases\n", .owner = {.end_refused = true}},
	    {"a web page's request", "POST / HTTP/1.1\r\nMAIL FROM:<a@b>\r\n",
		"421 4.7.0 This is no web server\r\n", "", .closed = true},
	    {"control characters", "NOOP \r\r\nNOOP \x7f\r\n",
		"500 5.5.2 Control characters in a command\r\n500 5.5.2 Control characters in a "
		"command\r\n",
		""},
	    {"commands that end in LF", "NOOP\nHELO a\n", "250 2.0.0 OK\r\n" HELO_OUT, "hello a\n"},
	    {"bad arguments",
		HELO "MAIL FROM:\r\nMAIL FROM:<a b@c>\r\nMAIL FROM:<a@b> FOO=1\r\n" MAIL
		     "RCPT TO:<>\r\n",
		HELO_OUT "501 5.5.4 An address is needed\r\n553 5.1.7 Bad "
			 "address syntax\r\n"
			 "555 5.5.4 Unsupported parameter\r\n" MAIL_OK
			 "553 5.1.3 A recipient is needed\r\n",
		"hello a\nmail me@a.test\n"},
	    {"announced size", HELO "MAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=1000\r\n",
		HELO_OUT
		"552 5.3.4 The message is larger than the limit of 1000 octets\r\n" MAIL_OK,
		"hello a\nmail a@b\n"},
	    {"UTF-8 announced",
		HELO "MAIL FROM:<\xc3\xa4@b>\r\nMAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\nRCPT "
		     "TO:<\xc3\xb6@c>\r\n",
		HELO_OUT "553 5.6.7 An address in UTF-8 needs SMTPUTF8\r\n" MAIL_OK RCPT_OK,
		"hello a\nmail \xc3\xa4@b utf8\nrcpt \xc3\xb6@c\n"},
	    {"UTF-8 not announced", HELO MAIL "RCPT TO:<\xc3\xb6@c>\r\n",
		HELO_OUT MAIL_OK "553 5.6.7 An address in UTF-8 needs SMTPUTF8\r\n",
		"hello a\nmail me@a.test\n"},
	    {"XFRANK",
		EHLO
		"XFRANK " ID
		"\r\nXFRANK b0123456789abcdef0123456789abcde\r\nXFRANK 1\r\nMAIL FROM:<> XID=" ID
		"\r\n",
		EHLO_PLAIN "250 2.0.0 Stored\r\n550 5.1.0 Not stored\r\n501 5.5.4 Not a submission "
			   "id\r\n" MAIL_OK,
		"hello a.test\nknown " ID "\nknown b0123456789abcdef0123456789abcde\nmail  " ID
		"\n"},
	    {"mailq", "XFRANK list\r\nXFRANK FLUSH\r\n",
		"250-3F2A  you@b.test\r\n250-\r\n250 -- 1 Request.\r\n250 2.0.0 Trying\r\n",
		"list\nflush\n"},
	    {"mailq, nothing", "XFRANK LIST\r\n", "250 \r\n", "list\n",
		.owner = {.content_refused = true}},
	    {"mailq, later", "XFRANK LIST\r\nNOOP\r\n",
		"250-3F2A  you@b.test\r\n250-\r\n250 -- 1 Request.\r\n250 2.0.0 OK\r\n", "list\n",
		.owner = {.list_later = true}},
	    {"mailq, trouble", "XFRANK LIST\r\n", "451 4.3.0 The listing cannot be had now\r\n",
		"list\n", .owner = {.data_refused = true}},
	};

	run_all(cases, ARRAY_SIZE(cases));
}

static void
test_data(void **state)
{
	static const char nul[] = BEGIN "DATA\r\na\0b\r\n.\r\n";
	static const struct test_case cases[] = {
	    {"dots", BEGIN "DATA\r\n..\r\n...\r\n.a\r\nb.\r\n..\r\n.\r\n" QUIT,
		BEGIN_OUT DATA_OK QUEUED BYE,
		BEGIN_LOG "data\n[.\r\n..\r\na\r\nb.\r\n.\r\n]\nend\nreset\n", .closed = true},
	    {"empty", BEGIN "DATA\r\n.\r\n", BEGIN_OUT DATA_OK QUEUED,
		BEGIN_LOG "data\nend\nreset\n"},
	    {"smuggling: LF . LF", BEGIN "DATA\r\na\n.\nMAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n",
		BEGIN_OUT DATA_OK
		"550 5.6.11 A line of the content ends in a bare CR or LF\r\n250 2.0.0 OK\r\n",
		BEGIN_LOG "data\n[a]\nreset\n"},
	    {"smuggling: LF . CRLF", BEGIN "DATA\r\na\n.\r\nb\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a]\nreset\n"},
	    {"smuggling: CRLF . LF", BEGIN "DATA\r\na\r\n.\nb\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r\n]\nreset\n"},
	    {"smuggling: CR . CR", BEGIN "DATA\r\na\r.\rb\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r]\nreset\n"},
	    {"smuggling: CRLF . CR", BEGIN "DATA\r\na\r\n.\rb\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r\n\r]\nreset\n"},
	    {"smuggling: CR CRLF", BEGIN "DATA\r\na\r\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r]\nreset\n"},
	    {"lenient: bare ones are passed on, but end nothing",
		BEGIN "DATA\r\na\n.\nb\r.\rc\r\n.\nd\r\n.\re\r\n.\r\n" QUIT,
		BEGIN_OUT DATA_OK QUEUED BYE,
		BEGIN_LOG "data\n[a\n.\nb\r.\rc\r\n.\nd\r\n\re\r\n]\nend\nreset\n",
		.config = LENIENT, .closed = true},
	    {"lenient smuggling: LF . CRLF",
		BEGIN "DATA\r\na\n.\r\nMAIL FROM:<evil@x>\r\n.\r\n" QUIT,
		BEGIN_OUT DATA_OK QUEUED BYE,
		BEGIN_LOG "data\n[a\n.\r\nMAIL FROM:<evil@x>\r\n]\nend\nreset\n", .config = LENIENT,
		.closed = true},
	    {"lenient smuggling: CRLF . LF",
		BEGIN "DATA\r\na\r\n.\nMAIL FROM:<evil@x>\r\n.\r\n" QUIT,
		BEGIN_OUT DATA_OK QUEUED BYE,
		BEGIN_LOG "data\n[a\r\n.\nMAIL FROM:<evil@x>\r\n]\nend\nreset\n", .config = LENIENT,
		.closed = true},
	    {"lenient smuggling: LF . CR CRLF, CR . CR, CRLF . CR CRLF",
		BEGIN "DATA\r\na\n.\r\r\nb\r.\r\r\n.\r\r\nc\r\n.\r\n" QUIT,
		BEGIN_OUT DATA_OK QUEUED BYE,
		BEGIN_LOG "data\n[a\n.\r\r\nb\r.\r\r\n\r\r\nc\r\n]\nend\nreset\n",
		.config = LENIENT, .closed = true},
	    {"lenient: dots that the client stuffed behind a bare LF",
		BEGIN "DATA\r\n..a\n..\n.b\n...c\r\n.\r\n", BEGIN_OUT DATA_OK QUEUED,
		BEGIN_LOG "data\n[.a\n.\n.b\n..c\r\n]\nend\nreset\n", .config = LENIENT},
	    {"lenient: CR CRLF ends a line", BEGIN "DATA\r\na\r\r\n..b\r\r\n.\r\n",
		BEGIN_OUT DATA_OK QUEUED, BEGIN_LOG "data\n[a\r\r\n.b\r\r\n]\nend\nreset\n",
		.config = LENIENT},
	    {"bare line ends, but no sessions of LF", "HELO a\n" MAIL RCPT "DATA\na\n.\nb\r\n.\r\n",
		BEGIN_OUT DATA_OK QUEUED, BEGIN_LOG "data\n[a\n.\nb\r\n]\nend\nreset\n",
		.config = {.hostname = "mx.test",
		    .software = "Frank",
		    .extensions = ALL,
		    .bare_line_ends = true}},
	    {"lenient: a program that ends lines in LF",
		"HELO a\nMAIL FROM:<me@a.test>\nRCPT "
		"TO:<you@b.test>\nDATA\na\n..b\r\n..\nc\n.\nQUIT\n",
		BEGIN_OUT DATA_OK QUEUED BYE, BEGIN_LOG "data\n[a\n.b\r\n.\nc\n]\nend\nreset\n",
		.config = LENIENT, .closed = true},
	    {"strict: LF behind DATA changes nothing", BEGIN "DATA\na\r\n.\nb\r\n.\r\n",
		BEGIN_OUT DATA_OK "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r\n]\nreset\n"},
	    {"NUL is content", nul, BEGIN_OUT DATA_OK QUEUED, BEGIN_LOG "data\n[a",
		.in_len = sizeof(nul) - 1},
	    {"too large", BEGIN "DATA\r\n123456789\r\n.\r\nNOOP\r\n",
		BEGIN_OUT DATA_OK
		"552 5.3.4 The message is larger than the limit of 9 octets\r\n250 2.0.0 OK\r\n",
		BEGIN_LOG "data\n[123456789]\nreset\n",
		.config =
		    {.hostname = "mx.test", .software = "Frank", .extensions = ALL, .size_max = 9}},
	    {"owner refuses DATA", BEGIN "DATA\r\nNOOP\r\n" MAIL,
		BEGIN_OUT "552 5.2.2 Over quota\r\n250 2.0.0 OK\r\n" MAIL_OK,
		BEGIN_LOG "data\nreset\nmail me@a.test\n", .owner = {.data_refused = true}},
	    {"owner refuses content", BEGIN "DATA\r\nx\r\nQUIT\r\n.\r\nNOOP\r\n",
		BEGIN_OUT DATA_OK "554 5.6.0 I do not like it\r\n250 2.0.0 OK\r\n",
		BEGIN_LOG "data\n[]\nreset\n", .owner = {.content_refused = true}},
	    {"DATA with an argument", BEGIN "DATA x\r\n",
		BEGIN_OUT "501 5.5.4 DATA takes no argument\r\n", BEGIN_LOG},
	    {"BINARYMIME by DATA", HELO "MAIL FROM:<me@a.test> BODY=BINARYMIME\r\n" RCPT "DATA\r\n",
		BEGIN_OUT "503 5.5.1 BINARYMIME needs BDAT\r\n", BEGIN_LOG},
	    {"those who were accepted get it", BEGIN "RCPT TO:<no@x>\r\nDATA\r\n.\r\n",
		BEGIN_OUT "550 5.1.1 No such user here\r\n" DATA_OK QUEUED,
		BEGIN_LOG "rcpt no@x\ndata\nend\nreset\n", .config = LENIENT},
	    {"all or nothing",
		HELO WHOLE RCPT "RCPT TO:<no@x>\r\n" RCPT "DATA\r\nRSET\r\n" MAIL RCPT
				"DATA\r\n.\r\n",
		BEGIN_OUT
		"550 5.1.1 No such user here\r\n" RCPT_OK
		"550 5.1.1 No such user here\r\n250 2.0.0 Reset\r\n" MAIL_OK RCPT_OK DATA_OK QUEUED,
		WHOLE_LOG "rcpt no@x\nrcpt you@b.test\nreset\nmail me@a.test\nrcpt "
			  "you@b.test\ndata\nend\nreset\n",
		.config = LENIENT},
	    {"all or nothing: syntax", HELO WHOLE RCPT "RCPT TO:<a b>\r\nBDAT 1 LAST\r\nxNOOP\r\n",
		BEGIN_OUT
		"553 5.1.3 Bad address syntax\r\n553 5.1.3 Bad address syntax\r\n250 2.0.0 OK\r\n",
		WHOLE_LOG "reset\n", .config = LENIENT},
	};

	run_all(cases, ARRAY_SIZE(cases));
}

static void
test_bdat(void **state)
{
	static const struct test_case cases[] = {
	    {"one chunk", BEGIN "BDAT 4 LAST\r\nab\r\n" QUIT, BEGIN_OUT QUEUED BYE,
		BEGIN_LOG "data\n[ab\r\n]\nend\nreset\n", .closed = true},
	    {"three chunks and an empty one",
		BEGIN "BDAT 3\r\nab\rBDAT 0\r\nBDAT 1\r\n\nbdat 5 last\r\n.\r\n.\nQUIT\r\n",
		BEGIN_OUT "250 2.0.0 3 octets received\r\n250 2.0.0 0 octets received\r\n250 2.0.0 "
			  "1 octets received\r\n" QUEUED BYE,
		BEGIN_LOG "data\n[ab\r\n.\r\n.\n]\nend\nreset\n", .config = LENIENT,
		.closed = true},
	    {"only an empty last one", BEGIN "BDAT 0 LAST\r\n", BEGIN_OUT QUEUED,
		BEGIN_LOG "data\nend\nreset\n"},
	    {"last one empty", BEGIN "BDAT 2\r\n\r\nBDAT 0 LAST\r\n",
		BEGIN_OUT "250 2.0.0 2 octets received\r\n" QUEUED,
		BEGIN_LOG "data\n[\r\n]\nend\nreset\n"},
	    {"commands inside are content", BEGIN "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
		BEGIN_OUT QUEUED "250 2.0.0 OK\r\n", BEGIN_LOG "data\n[QUIT\r\n]\nend\nreset\n"},
	    {"bare LF across chunks", BEGIN "BDAT 2\r\na\rBDAT 3\r\nb\r\nBDAT 0 LAST\r\n",
		BEGIN_OUT "250 2.0.0 2 octets received\r\n550 5.6.11 A line of the content ends in "
			  "a bare CR or LF\r\n503 5.5.1 MAIL comes first\r\n",
		BEGIN_LOG "data\n[a\r]\nreset\n"},
	    {"CR at the very end", BEGIN "BDAT 2 LAST\r\na\r",
		BEGIN_OUT "550 5.6.11 A line of the content ends in a bare CR or LF\r\n",
		BEGIN_LOG "data\n[a\r]\nreset\n"},
	    {"BINARYMIME",
		HELO "MAIL FROM:<me@a.test> BODY=BINARYMIME\r\n" RCPT "BDAT 4 LAST\r\n\na\rb",
		BEGIN_OUT QUEUED, BEGIN_LOG "data\n[\na\rb]\nend\nreset\n"},
	    {"refused at the first chunk; its octets are no commands",
		BEGIN "BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL,
		BEGIN_OUT "552 5.2.2 Over quota\r\n503 5.5.1 MAIL comes first\r\n" MAIL_OK,
		BEGIN_LOG "data\nreset\nmail me@a.test\n", .owner = {.data_refused = true}},
	    {"content refused", BEGIN "BDAT 2\r\nabBDAT 0 LAST\r\n",
		BEGIN_OUT "554 5.6.0 I do not like it\r\n503 5.5.1 MAIL comes first\r\n",
		BEGIN_LOG "data\n[]\nreset\n", .owner = {.content_refused = true}},
	    {"no transaction", "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
		"503 5.5.1 MAIL comes first\r\n250 2.0.0 OK\r\n", ""},
	    {"no recipients, pipelined", HELO MAIL "RCPT TO:<no@x>\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL,
		HELO_OUT MAIL_OK
		"550 5.1.1 No such user here\r\n554 5.5.1 No valid recipients\r\n" MAIL_OK,
		"hello a\nmail me@a.test\nrcpt no@x\nreset\nmail me@a.test\n"},
	    {"too large", BEGIN "BDAT 5\r\n12345BDAT 5 LAST\r\n67890NOOP\r\n",
		BEGIN_OUT "250 2.0.0 5 octets received\r\n552 5.3.4 The message is larger than the "
			  "limit of 9 octets\r\n250 2.0.0 OK\r\n",
		BEGIN_LOG "data\n[123456789]\nreset\n",
		.config =
		    {.hostname = "mx.test", .software = "Frank", .extensions = ALL, .size_max = 9}},
	    {"a size that is none ends the session", BEGIN "BDAT 1x\r\nNOOP\r\n",
		BEGIN_OUT "501 5.5.4 BDAT takes a size and LAST\r\n", BEGIN_LOG "reset\n",
		.closed = true},
	    {"a size beyond all numbers", BEGIN "BDAT 18446744073709551616\r\n",
		BEGIN_OUT "501 5.5.4 BDAT takes a size and LAST\r\n", BEGIN_LOG "reset\n",
		.closed = true},
	    {"RCPT and DATA behind a chunk", BEGIN "BDAT 1\r\nx" RCPT "DATA\r\nRSET\r\n",
		BEGIN_OUT "250 2.0.0 1 octets received\r\n503 5.5.1 The content has begun\r\n503 "
			  "5.5.1 BDAT was used already\r\n250 2.0.0 Reset\r\n",
		BEGIN_LOG "data\n[x]\nreset\n"},
	    {"not offered", "BDAT 1 LAST\r\n", "502 BDAT is not offered\r\n", "",
		.config = {.hostname = "mx.test", .software = "Frank"}},
	    {"end later, next message behind it",
		BEGIN "BDAT 1 LAST\r\nx" MAIL RCPT "BDAT 1 LAST\r\ny" QUIT,
		BEGIN_OUT QUEUED MAIL_OK RCPT_OK QUEUED BYE,
		BEGIN_LOG
		"data\n[x]\nend\nreset\nmail me@a.test\nrcpt you@b.test\ndata\n[y]\nend\nreset\n",
		.owner = {.end_later = true}, .closed = true},
	};

	run_all(cases, ARRAY_SIZE(cases));
}

static void
test_auth(void **state)
{
	static const struct smtp_server_config required = {.hostname = "mx.test",
	    .software = "Frank",
	    .auth_mechanisms = "PLAIN",
	    .extensions = ALL,
	    .auth_required = true,
	    .tls_required = true};
	static const struct test_case cases[] = {
	    {"initial response", HELO "AUTH plain YWJj\r\nAUTH PLAIN YWJj\r\n",
		HELO_OUT "235 2.7.0 Authentication successful\r\n503 5.5.1 Not now\r\n",
		"hello a\nauth PLAIN :abc\n"},
	    {"empty initial response", HELO "AUTH PLAIN =\r\n",
		HELO_OUT "235 2.7.0 Authentication successful\r\n", "hello a\nauth PLAIN :\n"},
	    {"two lines", HELO "AUTH XOAUTH2\r\nYWJj\r\nNOOP\r\n",
		HELO_OUT "334 \r\n235 2.7.0 Authentication successful\r\n250 2.0.0 OK\r\n",
		"hello a\nauth XOAUTH2 -\nauth XOAUTH2 :abc\n"},
	    {"empty response", HELO "AUTH XOAUTH2\r\n\r\n",
		HELO_OUT "334 \r\n235 2.7.0 Authentication successful\r\n",
		"hello a\nauth XOAUTH2 -\nauth XOAUTH2 :\n"},
	    {"LOGIN", HELO "AUTH LOGIN\r\nYQ==\r\nYg==\r\n",
		HELO_OUT "334 VXNlcg==\r\n334 UGFzcw==\r\n235 2.7.0 Authentication successful\r\n",
		"hello a\nauth LOGIN -\nauth LOGIN :a\nauth LOGIN :b\n"},
	    {"cancelled", HELO "AUTH XOAUTH2\r\n*\r\nNOOP\r\n",
		HELO_OUT "334 \r\n501 5.7.0 Authentication cancelled\r\n250 2.0.0 OK\r\n",
		"hello a\nauth XOAUTH2 -\nreset\n"},
	    {"no base64", HELO "AUTH PLAIN Y\r\nAUTH PLAIN\r\nYWJj YWJj\r\nNOOP\r\n",
		HELO_OUT "501 5.5.2 Not base64\r\n334 \r\n501 5.5.2 Not base64\r\n250 2.0.0 OK\r\n",
		"hello a\nreset\nauth PLAIN -\nreset\n"},
	    {"= is no response line", HELO "AUTH PLAIN\r\n=\r\n",
		HELO_OUT "334 \r\n501 5.5.2 Not base64\r\n", "hello a\nauth PLAIN -\nreset\n"},
	    {"refused, again, accepted", HELO "AUTH PLAIN eA==\r\nAUTH PLAIN YQ==\r\n",
		HELO_OUT
		"535 5.7.8 Authentication failed\r\n235 2.7.0 Authentication successful\r\n",
		"hello a\nauth PLAIN :x\nauth PLAIN :a\n"},
	    {"refused too often",
		HELO "AUTH PLAIN eA==\r\nAUTH PLAIN eA==\r\nAUTH PLAIN eA==\r\nAUTH PLAIN "
		     "eA==\r\nNOOP\r\n",
		HELO_OUT "535 5.7.8 Authentication failed\r\n535 5.7.8 Authentication "
			 "failed\r\n535 5.7.8 Authentication failed\r\n"
			 "535 5.7.8 Authentication failed\r\n421 4.7.0 Too many errors\r\n",
		"hello a\nauth PLAIN :x\nauth PLAIN :x\nauth PLAIN :x\nauth PLAIN :x\n",
		.closed = true},
	    {"decided later", HELO "AUTH SLOW YQ==\r\nNOOP\r\n",
		HELO_OUT "235 2.7.0 Authentication successful\r\n250 2.0.0 OK\r\n",
		"hello a\nauth SLOW :a\n"},
	    {"challenged later", HELO "AUTH ASK\r\nYQ==\r\n",
		HELO_OUT "334 YXNr\r\n235 2.7.0 Authentication successful\r\n",
		"hello a\nauth ASK -\nauth ASK :a\n", .owner = {.answer = SMTP_LATER}},
	    {"out of turn", "AUTH PLAIN YQ==\r\n" HELO "AUTH\r\nAUTH FOO\r\n",
		"503 5.5.1 Say EHLO first\r\n" HELO_OUT
		"501 5.5.4 A mechanism is needed\r\n504 5.5.4 The mechanism is not offered\r\n",
		"hello a\n"},
	    {"in a transaction", BEGIN "AUTH PLAIN YQ==\r\n", BEGIN_OUT "503 5.5.1 Not now\r\n",
		BEGIN_LOG},
	    {"required for MAIL", HELO MAIL "AUTH PLAIN YQ==\r\n" MAIL,
		HELO_OUT "530 5.7.0 Authentication required\r\n235 2.7.0 Authentication "
			 "successful\r\n" MAIL_OK,
		"hello a\nauth PLAIN :a\nmail me@a.test\n",
		.config = {.hostname = "mx.test",
		    .software = "Frank",
		    .auth_mechanisms = "PLAIN",
		    .extensions = ALL,
		    .auth_required = true}},
	    {"required",
		HELO MAIL "AUTH PLAIN YQ==\r\nSTARTTLS\r\n" EHLO MAIL "AUTH PLAIN YQ==\r\n" MAIL,
		HELO_OUT "530 5.7.0 STARTTLS comes first\r\n530 5.7.0 STARTTLS comes first\r\n554 "
			 "5.5.0 Nothing may follow STARTTLS\r\n",
		"hello a\n", .closed = true},
	};
	static const struct test_case cut_at_tls[] = {
	    {"required, with TLS", HELO MAIL "STARTTLS\r\n",
		HELO_OUT "530 5.7.0 STARTTLS comes first\r\n220 2.0.0 Ready to start TLS\r\n",
		"hello a\nstarttls\n", .owner = {.tls_at_once = true}},
	};
	struct test_case c;

	run_all(cases, ARRAY_SIZE(cases) - 1);
	/* Here the cut matters: behind the 220 any octet ends the session. */
	c = cases[ARRAY_SIZE(cases) - 1];
	c.config = required;
	run_cut(&c, strlen(c.in), 1);
	c = cut_at_tls[0];
	c.config = required;
	run_all(&c, 1);
}

static void
test_starttls(void **state)
{
	struct owner o = {.tls_at_once = false};

	buf_init(&o.log, 1 << 16);
	buf_init(&o.out, 1 << 16);
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	feed(&o, EHLO MAIL "STARTTLS\r\n", strlen(EHLO MAIL "STARTTLS\r\n"));
	assert_true(smtp_server_waiting(o.s));
	assert_false(o.open);
	assert_non_null(strstr(o.out.data, "220 2.0.0 Ready to start TLS\r\n"));
	smtp_server_tls_started(o.s);
	assert_false(smtp_server_waiting(o.s));
	buf_clear(&o.out);
	/* Everything from before is forgotten, the greeting too. */
	feed(&o, MAIL EHLO "STARTTLS\r\n", strlen(MAIL EHLO "STARTTLS\r\n"));
	assert_string_equal(o.out.data,
	    "503 5.5.1 Say EHLO first\r\n" EHLO_OUT(
		"250-REQUIRETLS\r\n250-XFRANK\r\n250-SIZE 1000\r\n"
		"250 AUTH PLAIN LOGIN XOAUTH2 SLOW ASK\r\n") "503 5.5.1 TLS is active already\r\n");
	o.s = smtp_server_free(o.s);

	/* Octets between the 220 and TLS. */
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	buf_clear(&o.log);
	feed(&o, "STARTTLS\r\n", 10);
	feed(&o, EHLO, strlen(EHLO));
	assert_true(smtp_server_closing(o.s));
	assert_string_equal(o.log.data, "starttls\n");
	o.s = smtp_server_free(o.s);
	buf_free(&o.log);
	buf_free(&o.out);
}

/* Lines at the bound and one octet beyond, at once and cut. */
static void
test_long_lines(void **state)
{
	static const struct {
		const char *begin;
		size_t len; /* of the line without CRLF */
		bool fits;
	} lines[] = {
	    {"NOOP ", 2048, true},
	    {"NOOP ", 2049, false},
	    {"NOOP ", 12287, false},
	    {"NOOP ", 60000, false},
	    {"AUTH PLAIN ", 12286 - 3, true},
	    {"AUTH PLAIN ", 12287, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		size_t len = lines[i].len, begin = strlen(lines[i].begin);
		size_t cuts[] = {len + 8, 1, 100, 2048, 2049, 12286, 12287, 12288, len, len + 1};
		CLEANUP_FREE char *line = malloc(len + 8);

		assert_non_null(line);
		memset(line, 'A', len);
		memcpy(line, lines[i].begin, begin);
		memcpy(line + len, "\r\nNOOP\r\n", 8);
		for (size_t j = 0; j < ARRAY_SIZE(cuts); j++) {
			struct owner o = {.answer = SMTP_ACCEPT};

			buf_init(&o.log, 1 << 20);
			buf_init(&o.out, 1 << 16);
			o.s = smtp_server_new(&strict, &ops, &o);
			assert_non_null(o.s);
			feed(&o, HELO, strlen(HELO));
			buf_clear(&o.out);
			for (size_t at = 0, n; at < len + 8; at += n) {
				n = cuts[j] < len + 8 - at ? cuts[j] : len + 8 - at;
				feed(&o, line + at, n);
			}
			assert_int_equal(strstr(o.out.data, "500 5.5.2 Line too long\r\n") == NULL,
			    lines[i].fits);
			assert_non_null(strstr(o.out.data, "250 2.0.0 OK\r\n"));
			o.s = smtp_server_free(o.s);
			buf_free(&o.log);
			buf_free(&o.out);
		}
	}
}

static void
test_long_response(void **state)
{
	struct owner o = {.answer = SMTP_ACCEPT};
	CLEANUP_FREE char *line = malloc(20002);

	buf_init(&o.log, 1 << 20);
	buf_init(&o.out, 1 << 16);
	assert_non_null(line);
	memset(line, 'A', 20000);
	memcpy(line + 20000, "\r\n", 2);
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	feed(&o, HELO "AUTH XOAUTH2\r\n", strlen(HELO "AUTH XOAUTH2\r\n"));
	feed(&o, line, 20002);
	assert_non_null(strstr(o.out.data, "500 5.5.6 Line too long\r\n"));
	feed(&o, "NOOP\r\n", 6);
	assert_non_null(strstr(o.out.data, "250 2.0.0 OK\r\n"));
	o.s = smtp_server_free(o.s);
	buf_free(&o.log);
	buf_free(&o.out);
}

/* A peer that sends and does not read: our output stays bounded, and nothing is lost once it reads.
 */
static void
test_back_pressure(void **state)
{
	struct owner o = {.answer = SMTP_ACCEPT};
	CLEANUP_BUF struct buf in = BUF_INIT(1 << 20);
	size_t count = 0;

	for (int i = 0; i < 8000; i++)
		assert_int_equal(buf_append_str(&in, "EHLO a\r\n"), 0);
	buf_init(&o.log, 1 << 20);
	buf_init(&o.out, 1 << 24);
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	assert_int_equal(smtp_server_input(o.s, in.data, in.len), 0);
	assert_true(smtp_server_waiting(o.s));
	assert_true(smtp_server_output(o.s)->len < 20000);
	smtp_server_eof(o.s);
	assert_false(smtp_server_closing(o.s));
	pump(&o);
	for (const char *at = o.out.data; (at = strstr(at, "250-mx.test")) != NULL; at++)
		count++;
	assert_int_equal(count, 8000);
	assert_true(smtp_server_closing(o.s));
	o.s = smtp_server_free(o.s);
	buf_free(&o.log);
	buf_free(&o.out);
}

/* What waits behind a decision is bounded. */
static void
test_waiting_bound(void **state)
{
	struct owner o = {.answer = SMTP_ACCEPT};
	static char much[64 * 1024];
	int r = 0;

	memset(much, '\n', sizeof(much));
	buf_init(&o.log, 1 << 20);
	buf_init(&o.out, 1 << 24);
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	assert_int_equal(smtp_server_input(o.s, HELO "MAIL FROM:<later@x>\r\n",
			     strlen(HELO "MAIL FROM:<later@x>\r\n")),
	    0);
	assert_false(smtp_server_idle(o.s));
	assert_int_equal(smtp_server_input(o.s, much, sizeof(much)), 0);
	for (int i = 0; i < 3 && r == 0; i++)
		r = smtp_server_input(o.s, much, sizeof(much));
	assert_int_equal(r, -105); /* ENOBUFS */
	o.s = smtp_server_free(o.s);
	assert_false(o.open);
	buf_free(&o.log);
	buf_free(&o.out);
}

/* The peer closes its half while the decision is awaited: the answer comes all the same. */
static void
test_eof_while_pending(void **state)
{
	struct owner o = {.end_later = true};

	buf_init(&o.log, 1 << 16);
	buf_init(&o.out, 1 << 16);
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	assert_int_equal(smtp_server_input(o.s, BEGIN "BDAT 1 LAST\r\nxQUIT\r\n",
			     strlen(BEGIN "BDAT 1 LAST\r\nxQUIT\r\n")),
	    0);
	smtp_server_eof(o.s);
	assert_false(smtp_server_closing(o.s));
	pump(&o);
	assert_non_null(strstr(o.out.data, QUEUED BYE));
	assert_true(smtp_server_closing(o.s));
	o.s = smtp_server_free(o.s);

	/* An unfinished transaction is dropped. */
	o.s = smtp_server_new(&strict, &ops, &o);
	assert_non_null(o.s);
	assert_int_equal(
	    smtp_server_input(o.s, BEGIN "DATA\r\nabc", strlen(BEGIN "DATA\r\nabc")), 0);
	assert_true(o.open);
	smtp_server_eof(o.s);
	assert_false(o.open);
	assert_true(smtp_server_closing(o.s));
	o.s = smtp_server_free(o.s);
	buf_free(&o.log);
	buf_free(&o.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_session),
	    cmocka_unit_test(test_asked),
	    cmocka_unit_test(test_data),
	    cmocka_unit_test(test_bdat),
	    cmocka_unit_test(test_auth),
	    cmocka_unit_test(test_starttls),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_long_response),
	    cmocka_unit_test(test_back_pressure),
	    cmocka_unit_test(test_waiting_bound),
	    cmocka_unit_test(test_eof_while_pending),
	};

	return cmocka_run_group_tests_name("base/smtp/server", tests, NULL, NULL);
}

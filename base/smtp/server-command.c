/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * server-command.c: what the SMTP server engine does with each command; see server.h.
 *
 * Order of checks for a command: is it offered, is its turn come, is its syntax right, does the
 * owner agree. Replies are those of RFC 5321 section 4.3.2 with the enhanced codes of RFC 3463.
 */
#include "base/smtp/server-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"

/* ---- greeting ---- */

/* The extensions offered now: some need a callback of the owner, some depend on TLS. */
unsigned
server_extensions(const struct smtp_server *s)
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
	static const struct keyword {
		unsigned extension;
		const char *word;
	} keywords[] = {
	    {SMTP_EXT_PIPELINING, "PIPELINING"},
	    {SMTP_EXT_8BITMIME, "8BITMIME"},
	    {SMTP_EXT_SMTPUTF8, "SMTPUTF8"},
	    {SMTP_EXT_DSN, "DSN"},
	    {SMTP_EXT_CHUNKING, "CHUNKING"},
	    {SMTP_EXT_BINARYMIME, "BINARYMIME"},
	    {SMTP_EXT_ENHANCED, "ENHANCEDSTATUSCODES"},
	    {SMTP_EXT_REQUIRETLS, "REQUIRETLS"},
	    {SMTP_EXT_STARTTLS, "STARTTLS"},
	    {SMTP_EXT_XFRANK, "XFRANK"},
	};
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	unsigned offered = server_extensions(s);

	(void)buf_append_str(&text, s->config.hostname);
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if ((offered & keywords[i].extension) != 0)
			(void)buf_printf(&text, "\n%s", keywords[i].word);
	if ((offered & SMTP_EXT_SIZE) != 0)
		(void)buf_printf(&text, "\nSIZE %llu", (unsigned long long)s->size_offered);
	if ((offered & SMTP_EXT_AUTH) != 0)
		(void)buf_printf(&text, "\nAUTH %s", s->config.auth_mechanisms);
	if (text.failed)
		s->out.failed = true;
	server_reply(s, 250, NULL, buf_str(&text));
}

static void
hello(struct smtp_server *s, const char *argument, size_t len, bool extended)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	bool named = len > 0 && memchr(argument, ' ', len) == NULL;

	if (len >= sizeof(name) || (!named && !s->config.lenient)) {
		server_bad(s, 501, "5.5.4", "A host name is needed");
		return;
	}
	memcpy(name, argument, len);
	name[len] = '\0';
	server_end_transaction(s);
	s->hello = true;
	if (s->ops->hello != NULL)
		s->ops->hello(s->arg, name);
	if (extended)
		ehlo_reply(s);
	else
		server_reply(s, 250, NULL, s->config.hostname);
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
		server_reply(s, code, address_status, why);
	else if (code >= 500)
		server_bad(s, code, "5.5.4", why);
	else
		server_reply(s, code, "4.3.0", "Out of memory");
}

/* RFC 6531 section 3.5. Programs on a lenient entrance seldom know that they should have said so.
 */
static bool
utf8_refused(struct smtp_server *s, const char *address, bool announced)
{
	if (announced || s->config.lenient || !address_is_utf8(address, strlen(address)))
		return false;
	server_reply(s, 553, "5.6.7", "An address in UTF-8 needs SMTPUTF8");
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
		server_bad(s, 503, "5.5.1", "Say EHLO first");
		return;
	}
	if (s->config.tls_required && !s->tls) {
		server_bad(s, 530, "5.7.0", "STARTTLS comes first");
		return;
	}
	if (s->config.auth_required && !s->authenticated) {
		server_bad(s, 530, "5.7.0", "Authentication required");
		return;
	}
	if (s->transaction) {
		server_bad(s, 503, "5.5.1", "A transaction is open already");
		return;
	}
	code = smtp_mail_parse(argument, len, server_extensions(s), address, &params, &why);
	if (code != 0) {
		bad_argument(s, code, "5.1.7", why);
		return;
	}
	if (s->config.size_max > 0 && params.size > s->config.size_max) {
		server_words_too_large(s, &no);
		server_reply(s, no.code, no.enhanced, no.text);
		return;
	}
	if (utf8_refused(s, address, params.smtputf8))
		return;
	s->transaction = true;
	s->smtputf8 = params.smtputf8;
	s->binary = params.body == SMTP_BODY_BINARYMIME;
	s->all_or_nothing = params.submission_id[0] != '\0';
	server_decide(s, SERVER_PENDING_MAIL, s->ops->mail(s->arg, address, &params));
}

static void
mail_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		server_reply_accept(s, 250, "2.1.0", "Sender accepted");
		return;
	}
	server_reply_refusal(s, 451, "4.3.0", "Sender not accepted");
	server_end_transaction(s);
}

/* Who may split it sends the rest by itself (RFC 5321 section 4.5.3.1.10). What is all or nothing never
 * fits. */
static void
refuse_many(struct smtp_server *s)
{
	char words[SERVER_WORDS_MAX];

	(void)snprintf(words, sizeof(words), "Too many recipients: at most %u in a message",
	    s->config.recipients_max);
	if (s->all_or_nothing)
		server_words_set(&s->refused_recipient, 552, "5.5.3", words);
	server_reply(
	    s, s->all_or_nothing ? 552 : 452, s->all_or_nothing ? "5.5.3" : "4.5.3", words);
}

static void
command_rcpt(struct smtp_server *s, const char *argument, size_t len)
{
	char address[ADDRESS_MAX + 1];
	struct smtp_rcpt_params params;
	const char *why;
	int code;

	if (!s->transaction || s->chunks) {
		server_bad(
		    s, 503, "5.5.1", s->chunks ? "The content has begun" : "MAIL comes first");
		return;
	}
	if (s->config.recipients_max > 0 && s->recipients >= s->config.recipients_max) {
		refuse_many(s);
		return;
	}
	code = smtp_rcpt_parse(argument, len, server_extensions(s), address, &params, &why);
	if (code != 0) {
		server_words_set(&s->refused_recipient, code, code == 553 ? "5.1.3" : "5.5.4", why);
		bad_argument(s, code, "5.1.3", why);
		return;
	}
	if (utf8_refused(s, address, s->smtputf8)) {
		server_words_set(
		    &s->refused_recipient, 553, "5.6.7", "An address in UTF-8 needs SMTPUTF8");
		return;
	}
	server_decide(s, SERVER_PENDING_RCPT, s->ops->rcpt(s->arg, address, &params));
}

static void
rcpt_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		s->recipients++;
		server_reply_accept(s, 250, "2.1.5", "Recipient accepted");
		return;
	}
	if (s->said.code >= 400)
		server_words_set(
		    &s->refused_recipient, s->said.code, s->said.enhanced, s->said.text);
	server_words_set(&s->refused_recipient, 451, "4.3.0", "Recipient not accepted");
	server_reply_refusal(s, 451, "4.3.0", "Recipient not accepted");
}

static void
command_data(struct smtp_server *s, const char *argument, size_t len)
{
	server_data_command(s, len);
}

static void
command_rset(struct smtp_server *s, const char *argument, size_t len)
{
	server_end_transaction(s);
	server_reply(s, 250, "2.0.0", "Reset");
}

static void
end_decided(struct smtp_server *s, bool accepted)
{
	if (accepted)
		server_reply_accept(s, 250, "2.0.0", s->text[0] == '\0' ? "Accepted" : s->text);
	else
		server_reply_refusal(s, 451, "4.3.0", "Message not accepted");
	server_end_transaction(s);
}

/* ---- STARTTLS and AUTH ---- */

static void
command_starttls(struct smtp_server *s, const char *argument, size_t len)
{
	if (s->tls) {
		server_bad(s, 503, "5.5.1", "TLS is active already");
		return;
	}
	if ((server_extensions(s) & SMTP_EXT_STARTTLS) == 0) {
		server_bad(s, 502, "5.5.1", "STARTTLS is not offered");
		return;
	}
	if (len > 0) {
		server_bad(s, 501, "5.5.4", "STARTTLS takes no argument");
		return;
	}
	/* The reply waits until it is certain that nothing follows. */
	server_end_transaction(s);
	s->state = SERVER_TLS;
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
	server_decide(s, SERVER_PENDING_AUTH, s->ops->auth(s->arg, s->mechanism, response, len));
}

/* Decodes a response and gives it to the owner. */
static void
auth_response(struct smtp_server *s, const char *text, size_t len)
{
	CLEANUP_BUF struct buf response = BUF_INIT_WIPE(SMTP_AUTH_LINE_MAX);
	int r = base64_decode(&response, text, len);

	if (r == -EBADMSG)
		server_auth_abort(s, 501, "5.5.2", "Not base64");
	else if (r < 0)
		server_auth_abort(s, 454, "4.3.0", "Out of memory");
	else
		run_auth(s, buf_str(&response), response.len);
}

static void
command_auth(struct smtp_server *s, const char *argument, size_t len)
{
	const char *space = memchr(argument, ' ', len);
	size_t name = space == NULL ? len : (size_t)(space - argument), rest = len - name;

	if (!s->hello || s->authenticated || s->transaction) {
		server_bad(s, 503, "5.5.1", s->hello ? "Not now" : "Say EHLO first");
		return;
	}
	if (s->config.tls_required && !s->tls) {
		server_bad(s, 530, "5.7.0", "STARTTLS comes first");
		return;
	}
	if ((server_extensions(s) & SMTP_EXT_AUTH) == 0) {
		server_bad(s, 502, "5.5.1", "AUTH is not offered");
		return;
	}
	if (name == 0) {
		server_bad(s, 501, "5.5.4", "A mechanism is needed");
		return;
	}
	if (!choose_mechanism(s, argument, name)) {
		server_bad(s, 504, "5.5.4", "The mechanism is not offered");
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

void
server_auth_abort(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	s->state = SERVER_COMMAND;
	server_bad(s, code, enhanced, text);
	s->ops->reset(s->arg);
}

void
server_auth_line(struct smtp_server *s, const char *line, size_t len)
{
	s->state = SERVER_COMMAND;
	if (len == 1 && *line == '*')
		server_auth_abort(s, 501, "5.7.0", "Authentication cancelled");
	else
		auth_response(s, line, len);
}

static void
auth_decided(struct smtp_server *s, bool accepted)
{
	if (accepted) {
		s->authenticated = true;
		server_reply_accept(s, 235, "2.7.0", "Authentication successful");
		return;
	}
	s->bad_commands++;
	server_reply_refusal(s, 535, "5.7.8", "Authentication failed");
	if (s->config.bad_commands_max > 0 && s->bad_commands > s->config.bad_commands_max)
		server_reply(s, 421, "4.7.0", "Too many errors");
}

/* ---- the rest ---- */

static void
command_noop(struct smtp_server *s, const char *argument, size_t len)
{
	server_reply(s, 250, "2.0.0", "OK");
}

static void
command_quit(struct smtp_server *s, const char *argument, size_t len)
{
	server_reply(s, 221, "2.0.0", "Bye");
	s->closing = true;
	server_end_transaction(s);
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
		server_bad(s, 501, "5.1.3", "An address is needed");
		return false;
	}
	s->said.code = 0;
	if (s->ops->expand(s->arg, address, out) == SMTP_ACCEPT && !out->failed)
		return true;
	server_reply_refusal(s, 451, "4.3.0", "Cannot be told now");
	return false;
}

/* Whether a mailbox elsewhere exists is not known here: 252 (RFC 5321 section 3.5.3). What local names lead to is told within a
 * transaction alone, when it is known that the caller may send. */
static void
command_vrfy(struct smtp_server *s, const char *argument, size_t len)
{
	CLEANUP_BUF struct buf to = BUF_INIT(SERVER_LISTING_MAX);

	if (s->ops->expand == NULL || !s->transaction)
		server_reply(s, 252, "2.1.5", "Send some mail, and see");
	else if (expand(s, argument, len, &to))
		server_reply(s, 252, "2.1.5", "Mail for this address is taken");
}

static void
command_expn(struct smtp_server *s, const char *argument, size_t len)
{
	CLEANUP_BUF struct buf to = BUF_INIT(SERVER_LISTING_MAX);

	if (s->ops->expand == NULL)
		server_bad(s, 502, "5.5.1", "Not implemented");
	else if (expand(s, argument, len, &to))
		server_reply_lines(s, &to);
}

static void
command_help(struct smtp_server *s, const char *argument, size_t len)
{
	server_reply(s, 214, "2.0.0",
	    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT\nSee RFC 5321");
}

static void
list_decided(struct smtp_server *s, bool accepted)
{
	struct buf *l = &s->listing;

	if (accepted && !l->failed)
		server_reply_lines(s, l);
	else
		server_reply_refusal(s, 451, "4.3.0", "The listing cannot be had now");
	buf_free(l);
}

static void
xfrank_list(struct smtp_server *s)
{
	if (s->ops->list == NULL) {
		server_bad(s, 502, "5.5.1", "LIST is not offered");
		return;
	}
	buf_free(&s->listing);
	s->listing = (struct buf)BUF_INIT(SERVER_LISTING_MAX);
	s->said.code = 0;
	server_decide(s, SERVER_PENDING_LIST, s->ops->list(s->arg, &s->listing));
}

static void
xfrank_aliases(struct smtp_server *s)
{
	if (s->ops->aliases == NULL) {
		server_bad(s, 502, "5.5.1", "ALIASES is not offered");
		return;
	}
	s->said.code = 0;
	server_decide(s, SERVER_PENDING_ALIASES, s->ops->aliases(s->arg));
}

static void
xfrank_flush(struct smtp_server *s)
{
	if (s->ops->flush == NULL) {
		server_bad(s, 502, "5.5.1", "FLUSH is not offered");
		return;
	}
	s->ops->flush(s->arg);
	server_reply(s, 250, "2.0.0", "Trying");
}

static void
command_xfrank(struct smtp_server *s, const char *argument, size_t len)
{
	char id[33];

	if ((server_extensions(s) & SMTP_EXT_XFRANK) == 0) {
		server_bad(s, 500, "5.5.1", "Command not recognized");
		return;
	}
	if (len == 4 && strncasecmp(argument, "LIST", len) == 0) {
		xfrank_list(s);
		return;
	}
	if (len == 5 && strncasecmp(argument, "FLUSH", len) == 0) {
		xfrank_flush(s);
		return;
	}
	if (len == 7 && strncasecmp(argument, "ALIASES", len) == 0) {
		xfrank_aliases(s);
		return;
	}
	if (len != sizeof(id) - 1 || strspn(argument, "0123456789abcdef") < len) {
		server_bad(s, 501, "5.5.4", "Not a submission id");
		return;
	}
	memcpy(id, argument, len);
	id[len] = '\0';
	if (s->ops->known(s->arg, id))
		server_reply(s, 250, "2.0.0", "Stored");
	else
		server_reply(s, 550, "5.1.0", "Not stored");
}

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
    [SMTP_VERB_BDAT] = server_bdat_command,
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

void
server_command(struct smtp_server *s, const char *line, size_t len)
{
	struct smtp_command c;

	if (has_control(line, len)) {
		server_bad(s, 500, "5.5.2", "Control characters in a command");
		return;
	}
	smtp_command_parse(line, len, &c);
	if (len > SERVER_LINE_MAX && c.verb != SMTP_VERB_AUTH)
		server_bad(s, 500, "5.5.2", "Line too long");
	else if (c.verb != SMTP_VERB_UNKNOWN)
		commands[c.verb](s, c.argument, c.argument_len);
	else if (is_http(line, len))
		server_reply(s, 421, "4.7.0", "This is no web server");
	else
		server_bad(s, 500, "5.5.1", "Command not recognized");
}

void
server_decide(struct smtp_server *s, enum server_pending what, enum smtp_decision decision)
{
	bool accepted = decision == SMTP_ACCEPT;

	if (s->closing)
		return;
	if (decision == SMTP_LATER) {
		if (what == SERVER_PENDING_AUTH && s->challenged)
			s->state = SERVER_AUTH;
		else
			s->pending = what;
		return;
	}
	switch (what) {
	case SERVER_PENDING_MAIL:
		mail_decided(s, accepted);
		break;
	case SERVER_PENDING_RCPT:
		rcpt_decided(s, accepted);
		break;
	case SERVER_PENDING_DATA:
		server_data_decided(s, accepted);
		break;
	case SERVER_PENDING_CHUNK:
		server_chunk_decided(s, accepted);
		break;
	case SERVER_PENDING_END:
		end_decided(s, accepted);
		break;
	case SERVER_PENDING_AUTH:
		auth_decided(s, accepted);
		break;
	case SERVER_PENDING_LIST:
		list_decided(s, accepted);
		break;
	case SERVER_PENDING_ALIASES:
		server_reply_refusal(s, 451, "4.3.0", "The aliases cannot be read now");
		break;
	case SERVER_NOTHING:
		break;
	}
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reply.c: names of stages and faults, the result struct, and the parser of a server's replies
 * (smtp.h).
 *
 * A reply line is "250-text" or "250 text" or "250"; the lines of one reply bear one code (RFC 5321
 * section 4.2.1). What the server wrote is kept raw in the parser and becomes printable text only
 * in smtp_reply_parser_take, so that an EHLO list or a SASL challenge can be read from it before.
 */
#include "base/smtp/smtp.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

static const char *const stage_names[SMTP_STAGE_COUNT] = {
    [SMTP_STAGE_NONE] = "none",
    [SMTP_STAGE_TOKEN] = "token",
    [SMTP_STAGE_DNS] = "dns",
    [SMTP_STAGE_CONNECT] = "connect",
    [SMTP_STAGE_TLS] = "tls",
    [SMTP_STAGE_GREETING] = "greeting",
    [SMTP_STAGE_EHLO] = "ehlo",
    [SMTP_STAGE_STARTTLS] = "starttls",
    [SMTP_STAGE_AUTH] = "auth",
    [SMTP_STAGE_MAIL] = "mail",
    [SMTP_STAGE_RCPT] = "rcpt",
    [SMTP_STAGE_DATA] = "data",
    [SMTP_STAGE_EOM] = "eom",
    [SMTP_STAGE_QUIT] = "quit",
    [SMTP_STAGE_API] = "api",
};

static const char *const fault_names[SMTP_FAULT_COUNT] = {
    [SMTP_FAULT_NONE] = "",
    [SMTP_FAULT_NO_HOST] = "no-host",
    [SMTP_FAULT_DNS] = "dns-failure",
    [SMTP_FAULT_REFUSED] = "connection-refused",
    [SMTP_FAULT_UNREACHABLE] = "unreachable",
    [SMTP_FAULT_CONNECT_TIMEOUT] = "connect-timeout",
    [SMTP_FAULT_CERT_EXPIRED] = "certificate-expired",
    [SMTP_FAULT_CERT_NAME] = "certificate-name",
    [SMTP_FAULT_CERT_UNTRUSTED] = "certificate-untrusted",
    [SMTP_FAULT_TLS_PLAINTEXT] = "tls-plaintext",
    [SMTP_FAULT_TLS_SILENT] = "tls-silent",
    [SMTP_FAULT_TLS] = "tls-failure",
    [SMTP_FAULT_NO_STARTTLS] = "no-starttls",
    [SMTP_FAULT_INJECTION] = "starttls-injection",
    [SMTP_FAULT_NO_AUTH] = "no-auth",
    [SMTP_FAULT_NO_MECHANISM] = "no-mechanism",
    [SMTP_FAULT_NOT_SECURE] = "not-secure",
    [SMTP_FAULT_TIMEOUT] = "timeout",
    [SMTP_FAULT_CLOSED] = "closed",
    [SMTP_FAULT_PROTOCOL] = "protocol-error",
    [SMTP_FAULT_TOO_BIG] = "too-big",
    [SMTP_FAULT_NO_8BITMIME] = "no-8bitmime",
    [SMTP_FAULT_NO_SMTPUTF8] = "no-smtputf8",
    [SMTP_FAULT_NO_REQUIRETLS] = "no-requiretls",
    [SMTP_FAULT_NO_CREDENTIAL] = "no-credential",
    [SMTP_FAULT_CREDENTIAL_LATER] = "credential-later",
    [SMTP_FAULT_LOCAL] = "local",
    [SMTP_FAULT_API_ENVELOPE] = "api-envelope",
};

const char *
smtp_stage_name(enum smtp_stage stage)
{
	return (unsigned)stage < SMTP_STAGE_COUNT ? stage_names[stage] : "none";
}

enum smtp_stage
smtp_stage_by_name(const char *name)
{
	for (unsigned i = 0; i < SMTP_STAGE_COUNT; i++)
		if (strcmp(stage_names[i], name) == 0)
			return (enum smtp_stage)i;
	return SMTP_STAGE_NONE;
}

const char *
smtp_fault_name(enum smtp_fault fault)
{
	return (unsigned)fault < SMTP_FAULT_COUNT ? fault_names[fault] : "local";
}

void
smtp_reply_clear(struct smtp_reply *r)
{
	if (r == NULL)
		return;
	free((char *)r->text); /* owned, though nobody writes to it */
	*r = (struct smtp_reply){0};
}

int
smtp_reply_copy(struct smtp_reply *to, const struct smtp_reply *from)
{
	struct smtp_reply copy = *from;

	if (from->text != NULL)
		copy.text = strdup(from->text);
	smtp_reply_clear(to);
	*to = copy;
	return from->text != NULL && copy.text == NULL ? -ENOMEM : 0;
}

static size_t
digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

/* Length of the enhanced status code (RFC 3463 section 2) that `text` begins with, or 0. It ends
 * the text or stands before a space. Its class is not compared with the reply's: servers exist that
 * disagree with themselves. */
static size_t
enhanced_length(const char *text, size_t len)
{
	size_t at = 2, n;

	if (len < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.')
		return 0;
	n = digits(text + at, len - at);
	if (n < 1 || n > 3 || at + n >= len || text[at + n] != '.')
		return 0;
	at += n + 1;
	n = digits(text + at, len - at);
	if (n < 1 || n > 3 || (at + n < len && text[at + n] != ' '))
		return 0;
	return at + n;
}

int
smtp_reply_parser_line(struct smtp_reply_parser *p, const char *line, size_t len)
{
	size_t enhanced;
	int code, r = 0;

	if (len < 3 || len > SMTP_REPLY_LINE_MAX - 2 || digits(line, 3) != 3 || line[0] < '2' ||
	    line[0] > '5' || (len > 3 && line[3] != ' ' && line[3] != '-'))
		return -EBADMSG;
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	if (p->lines == 0) {
		p->code = code;
		p->text.max = SMTP_REPLY_MAX;
	}
	if (code != p->code || p->lines == SMTP_REPLY_LINES_MAX)
		return -EBADMSG;
	if (p->lines > 0)
		r = buf_append_char(&p->text, '\n');
	if (r == 0 && len > 4)
		r = buf_append(&p->text, line + 4, len - 4);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	p->lines++;
	enhanced = len > 4 ? enhanced_length(line + 4, len - 4) : 0;
	if (enhanced > 0 && p->enhanced[0] == '\0')
		memcpy(p->enhanced, line + 4, enhanced);
	return len > 3 && line[3] == '-' ? 0 : 1;
}

/* The lines without the reply's enhanced code and without empty ones, joined by " / ". */
static int
printable_text(const struct smtp_reply_parser *p, struct buf *out)
{
	const char *at = buf_str(&p->text), *end = at + p->text.len;
	size_t code = strlen(p->enhanced);
	int r = 0;

	while (at < end && r == 0) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const char *next = stop == NULL ? end : stop + 1;
		size_t len = (size_t)((stop == NULL ? end : stop) - at);

		if (code > 0 && enhanced_length(at, len) == code &&
		    memcmp(at, p->enhanced, code) == 0) {
			at += code;
			len -= code;
		}
		for (; len > 0 && *at == ' '; len--)
			at++;
		if (len > 0 && out->len > 0)
			r = buf_append_str(out, " / ");
		if (r == 0)
			r = text_escape(out, at, len, false);
		at = next;
	}
	return r;
}

int
smtp_reply_parser_take(struct smtp_reply_parser *p, enum smtp_stage stage, struct smtp_reply *ret)
{
	/* An octet becomes four at most, and a separator takes three. */
	CLEANUP_BUF struct buf text = BUF_INIT(4 * SMTP_REPLY_MAX + 3 * SMTP_REPLY_LINES_MAX);
	char *words;

	if (printable_text(p, &text) < 0)
		return -ENOMEM;
	words = buf_take(&text);
	if (words == NULL)
		return -ENOMEM;
	smtp_reply_clear(ret);
	ret->code = p->code;
	ret->stage = stage;
	ret->text = words;
	memcpy(ret->enhanced, p->enhanced, sizeof(ret->enhanced));
	smtp_reply_parser_free(p);
	return 0;
}

void
smtp_reply_parser_free(struct smtp_reply_parser *p)
{
	if (p == NULL)
		return;
	buf_free(&p->text);
	*p = (struct smtp_reply_parser){0};
}

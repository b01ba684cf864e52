/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * smtp.h: what the SMTP client, the SMTP server and whoever reads their results have in common.
 *
 * A result of any kind, a server's reply or a fault on our side of the wire, is one struct smtp_reply: a fault
 * has code 0 and says which in `fault`, so that one channel carries every outcome.
 */
#ifndef FRANK_BASE_SMTP_SMTP_H
#define FRANK_BASE_SMTP_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* RFC 5321 section 4.5.3.1, octets with CRLF. We accept longer lines than the standard's 512 and 998. */
enum {
	SMTP_COMMAND_MAX = 512,
	SMTP_AUTH_LINE_MAX = 12288, /* RFC 4954 section 4 */
	SMTP_TEXT_LINE_MAX = 1000,
	SMTP_REPLY_LINE_MAX = 4096,
	SMTP_REPLY_LINES_MAX = 256,
	SMTP_REPLY_MAX = 64 * 1024,
};

/* Where in a session something happened; the order is that of a session. */
enum smtp_stage {
	SMTP_STAGE_NONE,
	SMTP_STAGE_TOKEN, /* no credential could be had: nothing was sent */
	SMTP_STAGE_DNS,
	SMTP_STAGE_CONNECT,
	SMTP_STAGE_TLS,
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO,
	SMTP_STAGE_STARTTLS,
	SMTP_STAGE_AUTH,
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,
	SMTP_STAGE_EOM, /* the reply to the final dot or to BDAT LAST */
	SMTP_STAGE_QUIT,
	SMTP_STAGE_API, /* an HTTP API's answer to a message: the code is an HTTP status */
	SMTP_STAGE_COUNT,
};

/* "dns", "connect", "auth", ...; never NULL. */
const char *smtp_stage_name(enum smtp_stage stage);
/* The reverse; SMTP_STAGE_NONE for an unknown name. */
enum smtp_stage smtp_stage_by_name(const char *name);

/* What went wrong on our side of the wire, where no reply says it. */
enum smtp_fault {
	SMTP_FAULT_NONE,
	SMTP_FAULT_NO_HOST,     /* the name does not exist */
	SMTP_FAULT_DNS,         /* the resolver did not answer */
	SMTP_FAULT_REFUSED,     /* connection refused */
	SMTP_FAULT_UNREACHABLE, /* no route */
	SMTP_FAULT_CONNECT_TIMEOUT,
	SMTP_FAULT_CERT_EXPIRED,
	SMTP_FAULT_CERT_NAME,
	SMTP_FAULT_CERT_UNTRUSTED, /* unknown issuer or self-signed */
	SMTP_FAULT_TLS_PLAINTEXT, /* the server spoke plain text where TLS was expected: a STARTTLS port */
	SMTP_FAULT_TLS_SILENT,   /* no greeting on a STARTTLS port: perhaps an implicit TLS port */
	SMTP_FAULT_TLS,          /* any other failure of the handshake */
	SMTP_FAULT_NO_STARTTLS,  /* not offered */
	SMTP_FAULT_INJECTION,    /* octets after the reply to STARTTLS (CVE-2011-0411) */
	SMTP_FAULT_NO_AUTH,      /* AUTH not offered */
	SMTP_FAULT_NO_MECHANISM, /* no acceptable mechanism offered */
	SMTP_FAULT_NOT_SECURE,   /* a credential would have gone over a connection without TLS */
	SMTP_FAULT_TIMEOUT,      /* no reply in time */
	SMTP_FAULT_CLOSED,       /* the server closed the connection */
	SMTP_FAULT_PROTOCOL,     /* a reply that breaks the protocol */
	SMTP_FAULT_TOO_BIG,      /* over the server's SIZE */
	SMTP_FAULT_NO_8BITMIME,  /* content or address needs an extension that is not offered */
	SMTP_FAULT_NO_SMTPUTF8,
	SMTP_FAULT_NO_CREDENTIAL, /* stage token: needs authorization, no password stored, refused client */
	SMTP_FAULT_CREDENTIAL_LATER, /* stage token: the authorization server is not reachable now */
	SMTP_FAULT_LOCAL,            /* memory, files: our own trouble */
	SMTP_FAULT_API_ENVELOPE, /* an HTTP API, which has no envelope, would send to others than the recipients */
	SMTP_FAULT_NO_REQUIRETLS, /* the message is for TLS all the way, which the server does not offer */
	SMTP_FAULT_COUNT,
};

/* "no-host", "certificate-expired", ...; never NULL; "" for SMTP_FAULT_NONE. */
const char *smtp_fault_name(enum smtp_fault fault);

struct smtp_reply {
	int code;          /* 200..599, or 0: see fault */
	char enhanced[12]; /* "5.7.8", or "" */
	enum smtp_stage stage;
	enum smtp_fault fault;
	/* seconds that the server asked to be left alone for; 0: it did not */
	unsigned retry_after;
	bool in_doubt; /* the whole content was sent and no reply came: it may have been accepted */
	/* lines joined by " / ", escaped, without codes; or a sentence about the fault. Owned;
	 * may be NULL */
	const char *text;
};

/* Frees the text and zeroes the struct. Takes NULL. */
void smtp_reply_clear(struct smtp_reply *r);
/* Makes `to` a copy with a text of its own. 0, or -ENOMEM: all was copied but the text, which is NULL then. */
int smtp_reply_copy(struct smtp_reply *to, const struct smtp_reply *from);

/* Collects one reply from lines. Zero-initialised means empty. */
struct smtp_reply_parser {
	int code;
	unsigned lines;
	char enhanced[12];
	struct buf text; /* lines joined by LF, raw */
};

/*
 * Takes one line, without its CRLF. Returns 1 when the reply is complete (code, enhanced and text then hold it), 0
 * when more lines follow, -EBADMSG for a line that is no reply, a code that changes or a bound that is passed.
 * Rules: `code` is three digits with the first 2..5; then '-' (more), ' ' or nothing (last); an enhanced code
 * may stand at the start of any line's text (RFC 2034 section 4).
 */
int smtp_reply_parser_line(struct smtp_reply_parser *p, const char *line, size_t len);
/* Moves what was collected into `ret` (cleared first) with the given stage; the parser is empty again. 0 or -ENOMEM. */
int smtp_reply_parser_take(
    struct smtp_reply_parser *p, enum smtp_stage stage, struct smtp_reply *ret);
void smtp_reply_parser_free(struct smtp_reply_parser *p);

/* ESMTP parameters of MAIL and RCPT (RFC 1870, 6152, 3461, 6531, 8689). */
enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8
};
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_mail_params {
	uint64_t size; /* octets announced; 0: not */
	enum smtp_body body;
	bool smtputf8;
	bool requiretls;
	enum smtp_ret ret;
	char envid[101]; /* as on the wire (xtext); "" when absent */
	/* private to the Unix socket, extension XFRANK: MAIL parameters XID=hex, XNAME=xtext, XACCOUNT=xtext,
	 * XCALLER */
	char submission_id[33]; /* hexadecimal; "" when absent */
	char full_name[257];    /* -F, decoded; "" when absent */
	char account[257];      /* by this account and no other, decoded; "" when absent */
	bool caller;            /* XCALLER: the sender is to be the calling user's own address */
};

struct smtp_rcpt_params {
	unsigned notify; /* bits of enum smtp_notify; 0: absent */
	char orcpt[501]; /* as on the wire, "rfc822;xtext"; "" when absent */
};

/* Commands, as the server engine's parser tells them apart. */
enum smtp_verb {
	SMTP_VERB_UNKNOWN,
	SMTP_VERB_EHLO,
	SMTP_VERB_HELO,
	SMTP_VERB_MAIL,
	SMTP_VERB_RCPT,
	SMTP_VERB_DATA,
	SMTP_VERB_BDAT,
	SMTP_VERB_RSET,
	SMTP_VERB_NOOP,
	SMTP_VERB_QUIT,
	SMTP_VERB_VRFY,
	SMTP_VERB_EXPN,
	SMTP_VERB_HELP,
	SMTP_VERB_STARTTLS,
	SMTP_VERB_AUTH,
	SMTP_VERB_XFRANK,
};

/* A command line split by its grammar; pointers into the caller's line. */
struct smtp_command {
	enum smtp_verb verb;
	const char *argument; /* what follows the verb, spaces trimmed */
	size_t argument_len;
};

/* Splits a line without CRLF. Always succeeds: an unknown verb is SMTP_VERB_UNKNOWN. */
void smtp_command_parse(const char *line, size_t len, struct smtp_command *ret);

/* Extensions a server offers, which bound the parameters it takes. */
enum smtp_extension {
	SMTP_EXT_PIPELINING = 1 << 0,
	SMTP_EXT_8BITMIME = 1 << 1,
	SMTP_EXT_SMTPUTF8 = 1 << 2,
	SMTP_EXT_DSN = 1 << 3,
	SMTP_EXT_CHUNKING = 1 << 4,
	SMTP_EXT_STARTTLS = 1 << 5,
	SMTP_EXT_AUTH = 1 << 6,
	SMTP_EXT_XFRANK = 1 << 7,
	SMTP_EXT_SIZE = 1 << 8,
	SMTP_EXT_ENHANCED = 1 << 9,
	SMTP_EXT_REQUIRETLS = 1 << 10,
	SMTP_EXT_BINARYMIME = 1 << 11,
};

/* Their keywords in the reply to EHLO, in the order in which our server lists them. */
enum { SMTP_KEYWORDS = 12 };
struct smtp_keyword {
	enum smtp_extension extension;
	const char *word;
};
extern const struct smtp_keyword smtp_keywords[SMTP_KEYWORDS];

/*
 * Parses the argument of MAIL ("FROM:<path> params") or RCPT ("TO:<path> params"); a path that is an address
 * may stand without its angle brackets. The address is written to
 * `ret_address` (ADDRESS_MAX + 1 octets), "" for the null sender, as address_read writes it; routes are dropped; "<local>" without a domain
 * is taken (RFC 5321 section 4.5.1 wants it for postmaster; the shim sends names of users). Parameters of
 * extensions not in `extensions` are refused.
 *
 * Returns 0, or the reply code to give: 501 with *ret_why for bad syntax, 555 for an unknown parameter, 553 for
 * a bad address, 451 where memory ran out. *ret_why is a constant string.
 */
int smtp_mail_parse(const char *argument, size_t len, unsigned extensions, char *ret_address,
    struct smtp_mail_params *ret, const char **ret_why);
int smtp_rcpt_parse(const char *argument, size_t len, unsigned extensions, char *ret_address,
    struct smtp_rcpt_params *ret, const char **ret_why);

/* Appends " NOTIFY=... ORCPT=..." to a command under construction. */
int smtp_rcpt_params_format(struct buf *out, const struct smtp_rcpt_params *p);

#endif

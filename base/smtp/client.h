/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client.h: the SMTP submission engine: bytes in, bytes and events out. No system call, no clock:
 * `now` is an argument, in milliseconds of any monotonic clock.
 *
 * One engine is one connection. The owner connects, then loops: write smtp_client_output, read into
 * smtp_client_input, and after every call take events with smtp_client_next until there are none.
 * Messages are given with smtp_client_submit while smtp_client_room says there is room; every
 * submitted job ends in exactly one SMTP_CLIENT_JOB_DONE, also when the connection is lost.
 *
 * Each job has a send and a receive position over one list of steps (RSET, MAIL, RCPT..., DATA, end
 * of message), so that PIPELINING works within a message and across messages: with CHUNKING a whole
 * message is one flight and any number of them stand back to back; with DATA the content and the
 * next message's envelope are one flight (RFC 2920 section 3.1 allows the content as the first of a
 * group). One message only is on its way until a first one was accepted on this connection, then
 * `window` of them at most: all of them are in doubt when the line drops. RSET stands before a MAIL
 * whose predecessor's outcome is not known or was not a clean end.
 *
 * Nothing learned before STARTTLS is kept (RFC 3207 section 4.2); octets behind the reply to
 * STARTTLS end the session. A secret reaches the output buffer and nothing else: the transcript
 * says `AUTH XOAUTH2 <user=..., token 1,874 octets>`, and a server's words that repeat what was
 * sent in AUTH are blanked out.
 */
#ifndef FRANK_BASE_SMTP_CLIENT_H
#define FRANK_BASE_SMTP_CLIENT_H

#include "base/secret.h"
#include "base/smtp/sasl.h"
#include "base/smtp/scram.h"
#include "base/smtp/smtp.h"

struct smtp_client;

enum smtp_tls { SMTP_TLS_STARTTLS, SMTP_TLS_IMPLICIT, SMTP_TLS_NONE };

enum { SMTP_CLIENT_TRANSCRIPT_MAX = 8 * 1024, SMTP_CLIENT_MECHANISMS = 6 };

struct smtp_client_config {
	const char *host; /* the configured name (OAUTHBEARER, transcript); copied */
	unsigned port;
	const char *ehlo_name; /* copied */
	enum smtp_tls tls;
	unsigned mechanisms; /* enum sasl_mechanism bits that the account's credential allows; 0: no
				AUTH at all */
	/* preference; ends at the first SASL_NONE */
	enum sasl_mechanism order[SMTP_CLIENT_MECHANISMS];
	bool secret_without_tls;          /* loopback, when the configuration says so */
	const struct scram_crypto *scram; /* borrowed for good; NULL: no SCRAM */
	unsigned window;                  /* messages in flight at most, >= 1 */
	uint64_t window_bytes; /* content in flight at most; one message is always allowed */
	unsigned mails_max;    /* messages of one session at most; 0: only the server's own limit
				  (LIMITS MAILMAX) */
};

struct smtp_client_recipient {
	const char *address; /* borrowed until the job is done */
	const char *params;  /* " NOTIFY=... ORCPT=..." as smtp_rcpt_params_format writes them, or
				""; borrowed */
};

struct smtp_client_job {
	uint64_t id;                                    /* the owner's */
	const char *sender;                             /* "" for the null sender; borrowed */
	const struct smtp_client_recipient *recipients; /* at least one; borrowed */
	size_t recipient_count;
	const char *body; /* CRLF line ends, not dot-stuffed; borrowed until the job is done */
	size_t body_len;
	bool eight_bit;  /* content has octets above 0x7F */
	bool smtputf8;   /* an address or header needs SMTPUTF8 */
	bool requiretls; /* TLS on every hop, or not at all (RFC 8689) */
	enum smtp_ret ret;
	const char *envid; /* xtext or ""; borrowed */
	/* Why it was not made fit for a server that lacks SMTPUTF8 or 8BITMIME, for the words of that refusal; NULL:
	 * nothing is known. Borrowed. */
	const char *unfit;
	/* The envelope alone, to hear what the server says to it: neither DATA nor BDAT follows, and
	 * each recipient's reply is the last one that concerned it. */
	bool trial;
};

/* What a server offered in EHLO. */
struct smtp_client_offer {
	bool given;          /* there was an EHLO, and it was answered */
	unsigned extensions; /* bits of enum smtp_extension */
	const char *auth;    /* the mechanisms as the server spelled them; "" for none; borrowed */
	uint64_t size_max;   /* octets; 0: not told */
};

enum smtp_client_event_type {
	SMTP_CLIENT_NONE,
	SMTP_CLIENT_START_TLS,  /* begin the handshake, read nothing before; then
				   smtp_client_tls_done */
	SMTP_CLIENT_CREDENTIAL, /* give one fit for `mechanism` with smtp_client_credential, or
				   smtp_client_fail */
	SMTP_CLIENT_READY,      /* authenticated by `mechanism`, or no AUTH needed (SASL_NONE): jobs
				   flow. Once. */
	SMTP_CLIENT_AUTH_FAILED, /* `reply` has the final words; answer with smtp_client_credential
				    once, or smtp_client_fail */
	SMTP_CLIENT_JOB_DONE,
	SMTP_CLIENT_CLOSED, /* the session is over; `reply` says why (221, a refusal, a 421, or a
			       fault). Last event. */
};

struct smtp_client_event {
	enum smtp_client_event_type type;
	/* AUTH_FAILED, CLOSED; borrowed until the next call of smtp_client_next */
	const struct smtp_reply *reply;
	enum sasl_mechanism mechanism; /* CREDENTIAL, AUTH_FAILED, READY */
	uint64_t job;                  /* JOB_DONE */
	/* JOB_DONE: one per recipient, in order; borrowed likewise */
	const struct smtp_reply *replies;
	/* JOB_DONE: nothing of the job was sent, or the server provably took none of it for no
	 * fault of the job's: give it to another session, no attempt counted. `replies` then say
	 * what ended the session. */
	bool untried;
};

/* The strings of `config` are copied. NULL: no memory. */
struct smtp_client *smtp_client_new(const struct smtp_client_config *config, uint64_t now);
/* Wipes and frees, whatever the state; jobs not yet reported are dropped. Takes NULL; returns NULL.
 */
struct smtp_client *smtp_client_free(struct smtp_client *c);

/* Takes bytes that were read, all of them. A reply that breaks the protocol, or memory running out,
 * ends the session by an event; there is no other error. */
void smtp_client_input(struct smtp_client *c, const char *bytes, size_t len, uint64_t now);
/* The connection ended (0 octets read, or a fault that the owner found). `stage` SMTP_STAGE_NONE:
 * where the session stood. `words` may be NULL. */
void smtp_client_lost(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);

/* Bytes to write now, borrowed until the next call; NULL with *len 0 where there are none. Commands
 * and content of several messages stand in it together. */
const char *smtp_client_output(struct smtp_client *c, size_t *len);
/* `len` of them were taken by the connection. */
void smtp_client_wrote(struct smtp_client *c, size_t len, uint64_t now);

/* The next event: false when there is none. */
bool smtp_client_next(struct smtp_client *c, struct smtp_client_event *ret);

/* TLS is up; `description` such as "TLSv1.3 TLS_AES_256_GCM_SHA384" goes to the transcript. */
void smtp_client_tls_done(struct smtp_client *c, const char *description, uint64_t now);
/* What ties a login to the TLS connection, for SCRAM-SHA-256-PLUS; before smtp_client_tls_done.
 * Copied. Without it -PLUS is not used. */
void smtp_client_binding(struct smtp_client *c, const struct scram_binding *binding);
/* Answers CREDENTIAL or AUTH_FAILED. `user` is borrowed for the call; of `secret` a reference may be
 * kept until the login is over. */
void smtp_client_credential(
    struct smtp_client *c, const char *user, struct secret *secret, uint64_t now);
/* Ends the session for a reason of the owner's. A QUIT is left in the output where the protocol
 * allows one: write it if the connection takes it, and close. */
void smtp_client_fail(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);

/* How many more jobs smtp_client_submit takes now (0 before READY, and while the session is
 * ending). */
unsigned smtp_client_room(const struct smtp_client *c);
/* Takes a job. 0; -EAGAIN without room; -EINVAL for a job without recipients or an address or
 * parameter that would break a command line; -ENOMEM. A job that the server cannot take (SIZE,
 * 8BITMIME, SMTPUTF8) is taken and done at once. */
int smtp_client_submit(struct smtp_client *c, const struct smtp_client_job *job, uint64_t now);
/* No more jobs: QUIT once all are done. */
void smtp_client_quit(struct smtp_client *c, uint64_t now);

/* When smtp_client_timeout must be called unless something happens before (RFC 5321
 * section 4.5.3.2); UINT64_MAX for never. */
uint64_t smtp_client_deadline(const struct smtp_client *c);
void smtp_client_timeout(struct smtp_client *c, uint64_t now);

/* Bits of enum smtp_extension that the server offers in the present state (after TLS: the offer
 * inside TLS). */
unsigned smtp_client_extensions(const struct smtp_client *c);

/* What was offered before TLS, and within it (`within`); what is not known is not given. Borrowed
 * until the next call. */
struct smtp_client_offer smtp_client_offer(const struct smtp_client *c, bool within);

/* Waits for the server's first octets: nothing was ever received. */
bool smtp_client_is_greeted(const struct smtp_client *c);

/* The session's part of the transcript (greeting to READY) and the part of the job reported last.
 * Text, lines ending in LF, "C: ", "S: " and "* " prefixes, secrets never in it, at most
 * SMTP_CLIENT_TRANSCRIPT_MAX octets each. Borrowed until the next call. */
const char *smtp_client_session_transcript(const struct smtp_client *c);
const char *smtp_client_job_transcript(const struct smtp_client *c);

#endif

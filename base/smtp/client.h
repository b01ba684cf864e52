/*
 * client.h: the SMTP submission engine: bytes in, bytes and events out. No system call, no clock: `now` is an
 * argument, in milliseconds of any monotonic clock.
 *
 * One engine is one connection. The owner connects, then loops: write smtp_client_output, read into
 * smtp_client_input, and after every call take events with smtp_client_next until there are none. Messages are
 * given with smtp_client_submit while smtp_client_room says there is room; every submitted job ends in exactly one
 * SMTP_CLIENT_JOB_DONE, also when the connection is lost.
 *
 * The engine keeps separate send and receive states over a queue of awaited replies, so that PIPELINING works within a
 * message and across messages: with CHUNKING a whole message is one flight; with DATA the content and the
 * next message's envelope are. The window of messages in flight is 1 until a first message was
 * accepted on this connection, then at most `window`: all of them are in doubt when the line drops. RSET stands before a MAIL whose
 * predecessor's outcome is not known.
 *
 * Nothing learned before STARTTLS is kept (RFC 3207 section 4.2); octets behind the reply to STARTTLS end the session.
 * A secret reaches the output buffer and nothing else: the transcript says `AUTH XOAUTH2 <user=..., token 1,874 bytes>`.
 */
#ifndef FRANK_BASE_SMTP_CLIENT_H
#define FRANK_BASE_SMTP_CLIENT_H

#include "base/secret.h"
#include "base/smtp/sasl.h"
#include "base/smtp/smtp.h"

struct smtp_client;

enum smtp_tls { SMTP_TLS_STARTTLS, SMTP_TLS_IMPLICIT, SMTP_TLS_NONE };

struct smtp_client_config {
	const char *host;      /* the configured name (OAUTHBEARER, transcript); copied */
	unsigned port;
	const char *ehlo_name; /* copied */
	enum smtp_tls tls;
	unsigned mechanisms;   /* enum sasl_mechanism bits that the account's credential allows; 0: no AUTH at all */
	enum sasl_mechanism order[4]; /* preference; unused entries SASL_NONE */
	bool secret_without_tls; /* loopback, when the configuration says so */
	unsigned window;       /* messages in flight at most, >= 1 */
	uint64_t window_bytes; /* content in flight at most; one message is always allowed */
};

struct smtp_client_recipient {
	const char *address; /* borrowed until the job is done */
	struct smtp_rcpt_params params;
};

struct smtp_client_job {
	uint64_t id;                   /* the owner's */
	const char *sender;            /* "" for the null sender; borrowed */
	const struct smtp_client_recipient *recipients; /* borrowed */
	size_t recipient_count;
	const char *body;              /* CRLF line ends, not dot-stuffed; borrowed until the job is done */
	size_t body_len;
	bool eight_bit;                /* content has octets above 0x7F */
	bool smtputf8;                 /* an address or header needs SMTPUTF8 */
	enum smtp_ret ret;
	const char *envid;             /* xtext or ""; borrowed */
};

enum smtp_client_event_type {
	SMTP_CLIENT_NONE,
	SMTP_CLIENT_START_TLS,   /* flush nothing, begin the handshake, then smtp_client_tls_done */
	SMTP_CLIENT_CREDENTIAL,  /* give one with smtp_client_credential or smtp_client_fail */
	SMTP_CLIENT_READY,       /* authenticated (or no AUTH needed): jobs flow. Once. */
	SMTP_CLIENT_AUTH_FAILED, /* `reply` has the final words; the session may be asked again with smtp_client_credential once, or failed */
	SMTP_CLIENT_JOB_DONE,
	SMTP_CLIENT_CLOSED,      /* the session is over; `reply` says why (code 221, a 421, or a fault). Last event. */
};

struct smtp_client_event {
	enum smtp_client_event_type type;
	const struct smtp_reply *reply;  /* AUTH_FAILED, CLOSED; borrowed until the next call */
	enum sasl_mechanism mechanism;   /* CREDENTIAL, AUTH_FAILED */
	uint64_t job;                    /* JOB_DONE */
	const struct smtp_reply *replies; /* JOB_DONE: one per recipient, in order; borrowed until the next call */
	bool untried;                    /* JOB_DONE: nothing of the job reached the server: give it to another session, no attempt counted */
};

struct smtp_client *smtp_client_new(const struct smtp_client_config *config, uint64_t now);
struct smtp_client *smtp_client_free(struct smtp_client *c);

int smtp_client_input(struct smtp_client *c, const char *bytes, size_t len, uint64_t now);
/* The connection ended (len 0 read, or a fault the owner found: SMTP_FAULT_CLOSED, _TLS, _TIMEOUT...). `words` may be NULL. */
void smtp_client_lost(struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);

/* Bytes to write now; NULL with *len 0 where there are none. Content is streamed through a bounded window. */
const char *smtp_client_output(struct smtp_client *c, size_t *len);
void smtp_client_wrote(struct smtp_client *c, size_t len, uint64_t now);

/* The next event: false when there is none. */
bool smtp_client_next(struct smtp_client *c, struct smtp_client_event *ret);

/* TLS is up; `description` such as "TLSv1.3 TLS_AES_256_GCM_SHA384" goes to the transcript. */
void smtp_client_tls_done(struct smtp_client *c, const char *description, uint64_t now);
/* Answers CREDENTIAL or AUTH_FAILED. `user` and `secret` are borrowed for the call. */
void smtp_client_credential(struct smtp_client *c, const char *user, const struct secret *secret, uint64_t now);
/* Ends the session for a reason of the owner's: all jobs get this fault, untried. */
void smtp_client_fail(struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);

/* How many more jobs smtp_client_submit takes now (0 before READY). */
unsigned smtp_client_room(const struct smtp_client *c);
int smtp_client_submit(struct smtp_client *c, const struct smtp_client_job *job, uint64_t now);
unsigned smtp_client_in_flight(const struct smtp_client *c);
/* No more jobs: QUIT once all are done. */
void smtp_client_quit(struct smtp_client *c, uint64_t now);

/* When smtp_client_timeout must be called unless something happens before (RFC 5321 section 4.5.3.2); UINT64_MAX for never. */
uint64_t smtp_client_deadline(const struct smtp_client *c);
void smtp_client_timeout(struct smtp_client *c, uint64_t now);

/* The session's part of the transcript (greeting to READY) and the job's own part: call at JOB_DONE. Text, lines ending in LF,
 * "C: " and "S: " and "* " prefixes, secrets never in it, at most 16 KiB each. Borrowed until the next call. */
const char *smtp_client_session_transcript(const struct smtp_client *c);
const char *smtp_client_job_transcript(const struct smtp_client *c);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client-internal.h: what the files of the submission engine share. Nobody else includes it.
 *
 *   client.c          life, events, lines in, replies of jobs, the end of a session, deadlines
 *   client-session.c  greeting to READY: EHLO, STARTTLS, AUTH
 *   client-send.c     commands and content out
 */
#ifndef FRANK_BASE_SMTP_CLIENT_INTERNAL_H
#define FRANK_BASE_SMTP_CLIENT_INTERNAL_H

#include "base/smtp/client.h"

/* Where the session stands; the order is that of a session. */
enum phase {
	PHASE_TLS, /* the owner shakes hands */
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_CREDENTIAL, /* the owner is asked */
	PHASE_AUTH,
	PHASE_AUTH_FAILED, /* the owner is asked */
	PHASE_READY,
	PHASE_QUIT,
	PHASE_CLOSED,
};

/*
 * The steps of a job, in the order of the wire, as one number: RSET (where needed), MAIL, RCPT of
 * each recipient, DATA (without CHUNKING), end of message. `sent` is the next step to send, `got`
 * the next to be answered; whatever lies between is awaited.
 */
enum { STEP_RSET, STEP_MAIL, STEP_RCPT };

struct job {
	struct job *next;
	struct smtp_client_job spec;
	struct smtp_reply
	    *replies; /* per recipient; code 0 without fault: undecided; 250: accepted so far */
	struct buf transcript;
	unsigned lines_left_out;
	size_t rcpts; /* recipients that are sent: all but those over the server's limit */
	size_t sent, got;
	size_t accepted;     /* recipients that RCPT accepted */
	size_t body_at;      /* content produced */
	uint64_t start, end; /* positions in the stream of output: before the first command; behind
				the content */
	bool begun;          /* something was produced */
	bool streaming;      /* the content is being produced */
	bool content_done;   /* all of it, with its end, was produced: `end` holds */
	bool bdat;           /* by CHUNKING */
	bool patient;        /* the content waits for the replies to the envelope */
	bool go_ahead;       /* 354 came */
	bool cut;            /* no further step will be sent */
	bool clean;          /* ended so that the next MAIL needs no RSET */
	bool answered;       /* a reply to one of its own steps came */
	bool at_line_start;  /* of the content, for dots */
	bool untried;
};

struct auth {
	enum sasl_mechanism mechanism;
	unsigned tried; /* mechanisms that the server could not do */
	struct buf
	    raw[2]; /* responses, wiped; kept while AUTH lasts so that an echo can be blanked out */
	struct buf encoded[2]; /* base64 of them, wiped */
	size_t secret_at;      /* where the secret begins in the last of `raw` */
	char said[2][320];     /* what the transcript says instead */
	unsigned count, next;  /* responses there are; the next to be sent */
	struct scram *scram; /* of a SCRAM login; the second response is made from the challenge */
	bool challenged;     /* the error challenge was answered */
	bool cancelled;      /* `*` was sent */
	char challenge[512]; /* the error challenge decoded and escaped, for people */
};

struct smtp_client {
	struct smtp_client_config config;
	char *host, *ehlo_name;
	enum phase phase;
	bool tls_active;
	bool awaiting;       /* a reply to the session's own command (greeting to AUTH, QUIT) */
	bool quitting;       /* the owner wants no more */
	bool draining;       /* this session takes no more: limits, a refused RSET */
	uint64_t now, since; /* the last call's time; when anything last moved */
	uint64_t heard;      /* when a whole reply last came */
	bool received;       /* any octet at all */

	/* offered; forgotten at STARTTLS */
	unsigned extensions, offered_mechanisms;
	char auth_list[256]; /* as the server spelled it, for people */
	uint64_t size_max, recipients_max, domains_max, mails_left;
	/* That this session's recipients had, each with LF; while there is a limit. */
	struct buf domains;
	uint64_t domain_count;
	bool offered;
	/* what was offered before TLS, for people alone */
	bool clear_offered;
	unsigned clear_extensions;
	char clear_auth_list[256];
	uint64_t clear_size_max;

	struct auth auth;
	struct scram_binding binding; /* of the TLS connection; type NULL: none */
	struct buf in;                /* an unfinished line */
	struct smtp_reply_parser parser;
	struct buf out;
	size_t out_at;              /* written so far of `out` */
	uint64_t produced, written; /* octets of the whole session */

	struct job *jobs, **last; /* in order of submission, until done */
	struct job *done, **done_last;
	struct job *reported; /* handed out by the last event */
	unsigned in_flight;
	uint64_t bytes_in_flight;
	unsigned jobs_done; /* answered by the server on this session */
	bool proven;        /* a first message was accepted */
	bool dirty;         /* the server may hold an open transaction */

	enum smtp_client_event_type event; /* waiting to be taken, before those of `done` */
	struct smtp_reply event_reply;     /* of AUTH_FAILED */
	struct smtp_reply closing;         /* of CLOSED */
	bool close_reported;

	struct buf transcript;
	unsigned lines_left_out;
};

/* ---- client.c ---- */

/* A line of the transcript of `j`, or of the session's where it is NULL. `must` lines use the room
 * that is kept. */
void client_note(struct smtp_client *c, struct job *j, bool must, const char *prefix,
    const char *text, size_t len);
void client_note_format(struct smtp_client *c, struct job *j, bool must, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The session is over with this reply (moved from): every unfinished job ends. */
void client_close(struct smtp_client *c, struct smtp_reply *why);
/* The same with a fault; stage NONE: where the session stands. */
void client_fault(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words);

/* The same with the reply just received. */
void client_close_by_reply(struct smtp_client *c);
/* The same for a reply whose code is out of place. */
void client_protocol_error(struct smtp_client *c, const char *what);

/* The stage that a reply coming now would belong to. */
enum smtp_stage client_stage(const struct smtp_client *c);

/* The job whose reply comes next, or NULL. */
struct job *client_awaited_job(const struct smtp_client *c);

size_t job_step_data(const struct job *j);
size_t job_step_end(const struct job *j);
/* Is nobody left to whom the message could go? */
bool job_is_refused(const struct job *j);
/* Gives every recipient that is not refused yet a copy of `r`. */
void job_decide(struct job *j, const struct smtp_reply *r);
/* Takes finished jobs off the list and reports them. */
void client_finish_jobs(struct smtp_client *c);

/* ---- client-session.c ---- */

/* A complete reply while the session's own command is awaited. */
void client_session_reply(struct smtp_client *c);
/* Blanks out of a line received during AUTH whatever repeats what was sent. */
void client_blank_secrets(const struct smtp_client *c, char *text, size_t len);
void client_auth_wipe(struct smtp_client *c);

/* ---- client-send.c ---- */

/* Appends a command line of the session's own and notes it. Ends the session when memory is out. */
void client_command(struct smtp_client *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Appends octets that no transcript shows. False when memory is out (the session is then over). */
bool client_put(struct smtp_client *c, const char *bytes, size_t len);
/* Can the job be put in command lines at all: recipients, addresses, parameters? */
bool client_job_is_sendable(const struct smtp_client_job *spec);
/* Decides whether the content waits for the replies to the envelope. */
void client_job_set_patience(struct smtp_client *c, struct job *j);
/* Fills the output while there is something to send and room. */
void client_produce(struct smtp_client *c);

#endif

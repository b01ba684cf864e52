/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client.c: the SMTP submission engine: a session from the greeting to QUIT, and the jobs in it.
 *
 * Replies come in the order of the commands, so no list says what the next one answers: it is the
 * session's own command where one is awaited, else the first job that has sent more steps than were
 * answered.
 *
 * THE SESSION sends one command at a time until it is READY; nothing is ever sent behind STARTTLS
 * or AUTH. The offer that counts is the last EHLO's: the one inside TLS. The next mechanism is tried
 * only where the server says that it does not do this one (504) or not in this way (501): any further
 * attempt after a 535 would count towards a lock-out. A server that refuses a token may first send a
 * challenge with its reasons (RFC 7628 section 3.2.2; Google's page on XOAUTH2). The engine answers
 * it as the mechanism wants, so that the final reply follows, and cancels a second challenge.
 *
 * A JOB has a list of steps in the order of the wire, counted by one number: RSET (where needed),
 * MAIL, RCPT of each recipient, DATA (without CHUNKING), end of message. `sent` is the next step to
 * send, `got` the next to be answered; whatever lies between is awaited. What is still to be sent is
 * its state, which job_enter alone changes:
 *
 *   state      what is next                            leaves to
 *   QUEUED     RSET or MAIL                            ENVELOPE
 *   ENVELOPE   MAIL, RCPT; then DATA, or BDAT          DATA, CONTENT (BDAT), CUT
 *   DATA       nothing: 354 is awaited                 GO_AHEAD, CUT
 *   GO_AHEAD   the content, or where every recipient   CONTENT
 *              was refused an empty one
 *   CONTENT    the rest of the content, and its end    SENT
 *   SENT       nothing: the final reply is awaited     TAKEN (a 2yz reply)
 *   TAKEN      nothing, and the next MAIL needs no RSET
 *   CUT        nothing: what was sent is still answered
 *
 * A job is finished when nothing is awaited in SENT, TAKEN or CUT. Each step's reply may decide
 * recipients at any time, also while CONTENT is being sent.
 *
 * OUTPUT is filled when the owner asks for it, so that whatever may go together goes together. The
 * engine sends nothing while a reply is awaited where PIPELINING is not offered. With CHUNKING the
 * content follows its envelope in the same flight, with two exceptions: a big message waits until
 * the envelope is accepted, and so does the first message after the connection stood idle, because
 * its server may be gone.
 *
 * WHEN A SESSION ENDS, each unfinished job is
 *
 *   in doubt   if all of its content was handed to the connection and no reply to it came, unless a
 *              421 answered an earlier command: then the server says that it went no further;
 *   untried    if none of its commands was answered, and either none was sent or jobs before it on
 *              this session were done: then the session ended between two messages. Giving it to
 *              another session at once makes no loop, since every such session has done a job;
 *   failed     else.
 */
#include "base/smtp/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/codec.h"

enum {
	TRANSCRIPT_KEPT = 2048, /* room at the end of a transcript for lines that matter */
	TRANSCRIPT_LINE = 1000, /* octets of one line shown */
	DOMAINS_MAX = 64 * 1024,
	SLOW = 1000, /* ms: a reply that took longer is noted */
	MINUTE = 60 * 1000,
	OUT_FULL = 64 * 1024, /* the output is filled up to this */
	OUT_LOW = 16 * 1024,  /* when no more than this is left of it: what TLS takes at once */
	CONTENT_PIECE = 16 * 1024,
	EAGER_MAX = 64 * 1024, /* content up to this size follows its envelope at once */
	IDLE_DOUBT = 2000,     /* ms without a reply: the server is asked before it gets content */
	COMMAND_ROOM = 2048,
	PARAMS_MAX = 1000,
	ENVID_MAX = 100,
	BLANK_RUN = 8, /* so many octets of a secret in a server's line, or more, are blanked out */
	BLANK_LEAST = 4, /* a shorter secret is not looked for */
};

/* RFC 5321 section 4.5.3.2; TLS, AUTH and QUIT are ours. */
enum {
	WAIT_TLS = MINUTE,
	WAIT_REPLY = 5 * MINUTE,
	WAIT_AUTH = 2 * MINUTE,
	WAIT_DATA = 2 * MINUTE,
	WAIT_BLOCK = 3 * MINUTE,
	WAIT_EOM = 10 * MINUTE,
	WAIT_QUIT = 10 * 1000,
};

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

enum { STEP_RSET, STEP_MAIL, STEP_RCPT };

/* What of a job is still to be sent: see the table in the head of this file. */
enum job_state {
	JOB_QUEUED,
	JOB_ENVELOPE,
	JOB_DATA,
	JOB_GO_AHEAD,
	JOB_CONTENT,
	JOB_SENT,
	JOB_TAKEN,
	JOB_CUT,
};

struct smtp_job {
	STAILQ_ENTRY(smtp_job) link;
	struct smtp_client_job spec;
	enum job_state state;
	/* Per recipient; code 0 without fault: undecided; 250: accepted so far. */
	struct smtp_reply *replies;
	struct buf transcript;
	unsigned lines_left_out;
	size_t rcpts; /* recipients that are sent: all but those over the server's limit */
	size_t sent, got;
	size_t accepted; /* recipients that RCPT accepted */
	size_t body_at;  /* content produced */
	/* Positions in the stream of output: before the first command; behind the content, from
	 * SENT on. */
	uint64_t start, end;
	bool bdat;          /* by CHUNKING */
	bool patient;       /* the content waits for the replies to the envelope */
	bool at_line_start; /* of the content, for dots */
	bool untried;       /* see smtp_client_event */
};

STAILQ_HEAD(smtp_jobs, smtp_job);

/* What a server offered in EHLO. */
struct offer {
	bool given;
	unsigned extensions, mechanisms;
	char auth[256];                                 /* as the server spelled it, for people */
	uint64_t size_max, recipients_max, domains_max; /* 0: no limit told */
};

struct auth {
	enum sasl_mechanism mechanism;
	unsigned tried; /* mechanisms that the server could not do */
	/* responses, wiped; kept while AUTH lasts so that an echo can be blanked out */
	struct buf raw[2];
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
	bool received;       /* any octet at all */
	bool quitting;       /* the owner wants no more */
	bool draining;       /* this session takes no more: limits, a refused RSET */
	uint64_t now, since; /* the last call's time; when anything last moved */
	uint64_t heard;      /* when a whole reply last came */

	struct offer offer; /* the last; forgotten at STARTTLS */
	struct offer clear; /* what was offered before TLS, for people alone */
	uint64_t mails_left;
	/* That this session's recipients had, each with LF; while there is a limit. */
	struct buf domains;
	uint64_t domain_count;

	struct auth auth;
	struct scram_binding binding; /* of the TLS connection; type NULL: none */
	struct buf in;                /* an unfinished line */
	struct smtp_reply_parser parser;
	struct buf out;
	size_t out_at;              /* written so far of `out` */
	uint64_t produced, written; /* octets of the whole session */

	struct smtp_jobs jobs, done; /* in order of submission, until done; not yet handed out */
	struct smtp_job *reported;   /* handed out by the last event */
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

/* ---- the transcript ---- */

/* Adds a line to the transcript of `j`, or to the session's where it is NULL. `must` lines use the
 * room that is kept for them. */
static void
note(struct smtp_client *c, struct smtp_job *j, bool must, const char *prefix, const char *text,
    size_t len)
{
	struct buf *t = j == NULL ? &c->transcript : &j->transcript;
	unsigned *left_out = j == NULL ? &c->lines_left_out : &j->lines_left_out;
	size_t before = t->len, room = t->max - t->len,
	       shown = len < TRANSCRIPT_LINE ? len : TRANSCRIPT_LINE;

	if (room < 4 * shown + 64 || (!must && room < TRANSCRIPT_KEPT + 4 * shown)) {
		(*left_out)++;
		return;
	}
	if (must && *left_out > 0) {
		(void)buf_printf(t, "* (%u lines left out)\n", *left_out);
		*left_out = 0;
	}
	(void)buf_append_str(t, prefix);
	(void)text_escape(t, text, shown, false);
	(void)buf_append_str(t, shown < len ? "...\n" : "\n");
	if (t->failed && t->len > before) {
		t->len = before;
		t->data[before] = '\0';
	}
}

static void PRINTF_LIKE(4, 5)
    note_format(struct smtp_client *c, struct smtp_job *j, bool must, const char *format, ...)
{
	CLEANUP_BUF struct buf text = BUF_INIT(8 * TRANSCRIPT_LINE);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	note(c, j, must, "* ", buf_str(&text), text.len);
}

const char *
smtp_client_session_transcript(const struct smtp_client *c)
{
	return buf_str(&c->transcript);
}

const char *
smtp_client_job_transcript(const struct smtp_client *c)
{
	return c->reported == NULL ? "" : buf_str(&c->reported->transcript);
}

/* ---- jobs ---- */

static void
job_free(struct smtp_job *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; j->replies != NULL && i < j->spec.recipient_count; i++)
		smtp_reply_clear(&j->replies[i]);
	free(j->replies);
	buf_free(&j->transcript);
	free(j);
}

static void
jobs_free(struct smtp_jobs *jobs)
{
	struct smtp_job *j;

	while ((j = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, link);
		job_free(j);
	}
}

/* The one place where a job's state changes. */
static void
job_enter(struct smtp_client *c, struct smtp_job *j, enum job_state state)
{
	j->state = state;
	if (state == JOB_ENVELOPE) {
		j->start = c->produced;
		c->bytes_in_flight += j->spec.body_len;
	} else if (state == JOB_SENT) {
		j->end = c->produced;
	}
}

/* Was all of the content handed to the connection, with its end? */
static bool
job_is_written(const struct smtp_client *c, const struct smtp_job *j)
{
	return (j->state == JOB_SENT || j->state == JOB_TAKEN) && c->written >= j->end;
}

static size_t
job_step_data(const struct smtp_job *j)
{
	return STEP_RCPT + j->rcpts;
}

static size_t
job_step_end(const struct smtp_job *j)
{
	return job_step_data(j) + (j->bdat ? 0 : 1);
}

static enum smtp_stage
job_stage(const struct smtp_client *c, const struct smtp_job *j)
{
	if (j->got <= STEP_MAIL)
		return SMTP_STAGE_MAIL;
	if (j->got < job_step_data(j))
		return SMTP_STAGE_RCPT;
	if (j->got < job_step_end(j))
		return SMTP_STAGE_DATA;
	return job_is_written(c, j) ? SMTP_STAGE_EOM : SMTP_STAGE_DATA;
}

static bool
recipient_is_open(const struct smtp_job *j, size_t i)
{
	return j->replies[i].code < 400 && j->replies[i].fault == SMTP_FAULT_NONE;
}

/* Is nobody left to whom the message could go? */
static bool
job_is_refused(const struct smtp_job *j)
{
	for (size_t i = 0; i < j->spec.recipient_count; i++)
		if (recipient_is_open(j, i))
			return false;
	return true;
}

/* Gives every recipient that is not refused yet a copy of `r`. */
static void
job_decide(struct smtp_job *j, const struct smtp_reply *r)
{
	for (size_t i = 0; i < j->spec.recipient_count; i++)
		if (recipient_is_open(j, i))
			(void)smtp_reply_copy(&j->replies[i], r);
}

static void
report_job(struct smtp_client *c, struct smtp_job *j)
{
	STAILQ_INSERT_TAIL(&c->done, j, link);
}

/* Takes the first job off the list. */
static struct smtp_job *
take_first(struct smtp_client *c)
{
	struct smtp_job *j = STAILQ_FIRST(&c->jobs);

	STAILQ_REMOVE_HEAD(&c->jobs, link);
	c->in_flight--;
	if (j->state != JOB_QUEUED)
		c->bytes_in_flight -= j->spec.body_len;
	return j;
}

static bool
job_is_finished(const struct smtp_job *j)
{
	return j->got == j->sent && j->state >= JOB_SENT;
}

/* Takes finished jobs off the list and reports them. */
static void
finish_jobs(struct smtp_client *c)
{
	struct smtp_job *j;

	while ((j = STAILQ_FIRST(&c->jobs)) != NULL && job_is_finished(j)) {
		(void)take_first(c);
		c->jobs_done++;
		c->dirty = j->state != JOB_TAKEN;
		report_job(c, j);
	}
	/* A session that takes no more gives back what it has not begun. */
	while (c->draining && (j = STAILQ_FIRST(&c->jobs)) != NULL && j->state == JOB_QUEUED) {
		const struct smtp_reply why = {
		    .stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_CLOSED};

		(void)take_first(c);
		job_decide(j, &why);
		j->untried = true;
		report_job(c, j);
	}
}

/* Is a reply to the session's own command awaited? */
static bool
session_awaits(const struct smtp_client *c)
{
	switch (c->phase) {
	case PHASE_GREETING:
	case PHASE_EHLO:
	case PHASE_HELO:
	case PHASE_STARTTLS:
	case PHASE_AUTH:
	case PHASE_QUIT:
		return true;
	default:
		return false;
	}
}

/* The job whose reply comes next, or NULL. */
static struct smtp_job *
awaited_job(const struct smtp_client *c)
{
	struct smtp_job *j = STAILQ_FIRST(&c->jobs);

	return j != NULL && j->got < j->sent ? j : NULL;
}

/* ---- the end ---- */

static void
auth_wipe(struct smtp_client *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->auth.raw); i++) {
		buf_free(&c->auth.raw[i]);
		buf_free(&c->auth.encoded[i]);
	}
	c->auth.scram = scram_free(c->auth.scram);
	c->auth.count = c->auth.next = 0;
	c->auth.challenged = c->auth.cancelled = false;
	c->auth.challenge[0] = '\0';
}

/* The stage that a reply coming now would belong to. */
static enum smtp_stage
session_stage(const struct smtp_client *c)
{
	const struct smtp_job *j = STAILQ_FIRST(&c->jobs);

	switch (c->phase) {
	case PHASE_TLS:
		return SMTP_STAGE_TLS;
	case PHASE_GREETING:
		return SMTP_STAGE_GREETING;
	case PHASE_EHLO:
	case PHASE_HELO:
		return SMTP_STAGE_EHLO;
	case PHASE_STARTTLS:
		return SMTP_STAGE_STARTTLS;
	case PHASE_CREDENTIAL:
	case PHASE_AUTH:
	case PHASE_AUTH_FAILED:
		return SMTP_STAGE_AUTH;
	case PHASE_READY:
		return j != NULL && j->state != JOB_QUEUED ? job_stage(c, j) : SMTP_STAGE_NONE;
	default:
		return SMTP_STAGE_QUIT;
	}
}

/* Does nothing stand in the way of a command: no reply that is awaited, no job, no handshake? */
static bool
session_is_free(const struct smtp_client *c)
{
	return STAILQ_EMPTY(&c->jobs) &&
	       (c->phase == PHASE_CREDENTIAL || c->phase == PHASE_AUTH_FAILED ||
		   c->phase == PHASE_READY);
}

/* Changes the session's phase, which nothing else does, and tells the owner where it has to act. A refused login that the owner
 * does not know of yet is reported before the end: a server may send 535 and 421 in one piece, and the 535 is the reason. */
static void
enter(struct smtp_client *c, enum phase phase)
{
	static const enum smtp_client_event_type events[] = {
	    [PHASE_TLS] = SMTP_CLIENT_START_TLS,
	    [PHASE_CREDENTIAL] = SMTP_CLIENT_CREDENTIAL,
	    [PHASE_AUTH_FAILED] = SMTP_CLIENT_AUTH_FAILED,
	    [PHASE_READY] = SMTP_CLIENT_READY,
	    [PHASE_CLOSED] = SMTP_CLIENT_NONE, /* and all others */
	};

	smtp_reply_parser_free(&c->parser);
	c->phase = phase;
	if (phase != PHASE_CLOSED || c->event != SMTP_CLIENT_AUTH_FAILED)
		c->event = events[phase];
}

/* Ends one job of a session that is over (see the head of this file). */
static void
abandon_job(struct smtp_client *c, struct smtp_job *j)
{
	bool maybe_taken = job_is_written(c, j) && c->closing.code != 421 && j->got < j->sent;
	bool reached = j->state != JOB_QUEUED && c->written > j->start;
	bool answered = j->got > STEP_MAIL;
	struct smtp_reply r = c->closing;

	r.in_doubt = maybe_taken;
	if (reached)
		r.stage = job_stage(c, j);
	job_decide(j, &r);
	j->untried = !maybe_taken && !answered && (!reached || c->jobs_done > 0);
	if (c->closing.code == 0)
		note_format(c, j, true, "%s%s",
		    c->closing.text == NULL ? "The session ended." : c->closing.text,
		    maybe_taken ? " (The whole message was sent; it may have been accepted.)" : "");
}

/* The session is over with this reply (moved from): every unfinished job ends. */
static void
end_session(struct smtp_client *c, struct smtp_reply *why)
{
	if (c->phase == PHASE_CLOSED) {
		smtp_reply_clear(why);
		return;
	}
	c->closing = *why;
	*why = (struct smtp_reply){0};
	if (c->phase < PHASE_READY && c->closing.code == 0)
		note_format(c, NULL, true, "%s",
		    c->closing.text == NULL ? "The session ended." : c->closing.text);
	while (!STAILQ_EMPTY(&c->jobs)) {
		struct smtp_job *j = take_first(c);

		abandon_job(c, j);
		report_job(c, j);
	}
	enter(c, PHASE_CLOSED);
	auth_wipe(c);
	buf_clear(&c->out);
	c->out_at = 0;
}

static const char *
fault_words(enum smtp_fault fault)
{
	switch (fault) {
	case SMTP_FAULT_CLOSED:
		return "The server closed the connection.";
	case SMTP_FAULT_TIMEOUT:
		return "The server did not answer in time.";
	case SMTP_FAULT_LOCAL:
		return "Out of memory.";
	default:
		return NULL;
	}
}

/* The same with a fault; stage NONE: where the session stands. */
static void
fail_session(struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	struct smtp_reply r = {
	    .stage = stage == SMTP_STAGE_NONE ? session_stage(c) : stage, .fault = fault};

	if (words == NULL)
		words = fault_words(fault);
	if (words != NULL)
		r.text = strdup(words);
	end_session(c, &r);
}

void
smtp_client_lost(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	fail_session(c, stage, fault, words);
}

void
smtp_client_fail(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	bool may_quit = session_is_free(c);

	fail_session(c, stage, fault, words);
	if (may_quit)
		(void)buf_append_str(&c->out, "QUIT\r\n");
}

void
smtp_client_quit(struct smtp_client *c, uint64_t now)
{
	c->now = now;
	if (!session_awaits(c) && STAILQ_EMPTY(&c->jobs))
		c->since = now;
	c->quitting = true;
}

/* Moves the reply out of the parser. False when memory is out: the session is then over. */
static bool
take_reply(struct smtp_client *c, enum smtp_stage stage, struct smtp_reply *ret)
{
	*ret = (struct smtp_reply){0};
	if (smtp_reply_parser_take(&c->parser, stage, ret) == 0)
		return true;
	fail_session(c, stage, SMTP_FAULT_LOCAL, NULL);
	return false;
}

/* The session is over with the reply just received. */
static void
end_by_reply(struct smtp_client *c)
{
	struct smtp_reply r;

	if (take_reply(c, session_stage(c), &r))
		end_session(c, &r);
}

/* The same for a reply whose code is out of place. */
static void
protocol_error(struct smtp_client *c, const char *what)
{
	char words[160];

	(void)snprintf(words, sizeof(words), "%s: %d", what, c->parser.code);
	fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL, words);
}

/* ---- commands ---- */

/* Appends octets that no transcript shows. False when memory is out (the session is then over). */
static bool
put(struct smtp_client *c, const char *bytes, size_t len)
{
	if (c->phase == PHASE_CLOSED)
		return false;
	if (buf_append(&c->out, bytes, len) < 0) {
		fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
		return false;
	}
	c->produced += len;
	return true;
}

static bool PRINTF_LIKE(3, 0)
    put_command(struct smtp_client *c, struct smtp_job *j, const char *format, va_list ap)
{
	char line[COMMAND_ROOM];
	int len = vsnprintf(line, sizeof(line) - 2, format, ap);

	if (len < 0 || (size_t)len >= sizeof(line) - 2) {
		fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, "A command is too long.");
		return false;
	}
	note(c, j, j == NULL, "C: ", line, (size_t)len);
	line[len] = '\r';
	line[len + 1] = '\n';
	return put(c, line, (size_t)len + 2);
}

/* Appends a command line of the session's own and notes it. Ends the session when memory is out. */
static void PRINTF_LIKE(2, 3) send_command(struct smtp_client *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)put_command(c, NULL, format, ap);
	va_end(ap);
}

/* The command of the step at j->sent. */
static bool PRINTF_LIKE(3, 4)
    step_command(struct smtp_client *c, struct smtp_job *j, const char *format, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, format);
	ok = put_command(c, j, format, ap);
	va_end(ap);
	if (ok)
		j->sent++;
	return ok;
}

/* ---- the offer ---- */

/* The next word of a line; words are separated by spaces. False at the end. */
static bool
next_word(const char **at, const char *end, const char **word, size_t *len)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	*word = *at;
	while (*at < end && **at != ' ' && **at != '\t')
		(*at)++;
	*len = (size_t)(*at - *word);
	return *len > 0;
}

static void
parse_auth(struct smtp_client *c, const char *at, const char *end)
{
	size_t used = strlen(c->offer.auth), len;
	const char *word;

	while (next_word(&at, end, &word, &len)) {
		c->offer.mechanisms |= sasl_mechanism_by_name(word, len);
		if (used + len + 2 < sizeof(c->offer.auth)) {
			if (used > 0)
				c->offer.auth[used++] = ' ';
			memcpy(c->offer.auth + used, word, len);
			used += len;
			c->offer.auth[used] = '\0';
		}
	}
}

/* RFC 9422: unknown names and bad values are passed over. */
static void
parse_limits(struct smtp_client *c, const char *at, const char *end)
{
	const char *word;
	size_t len;

	while (next_word(&at, end, &word, &len)) {
		const char *equals = memchr(word, '=', len);
		size_t name = equals == NULL ? len : (size_t)(equals - word);
		uint64_t n;

		if (equals == NULL || !text_number(equals + 1, len - name - 1, &n) || n == 0)
			continue;
		if (text_is(word, name, "MAILMAX") && n < c->mails_left)
			c->mails_left = n;
		if (text_is(word, name, "RCPTMAX"))
			c->offer.recipients_max = n;
		if (text_is(word, name, "RCPTDOMAINMAX"))
			c->offer.domains_max = n;
	}
}

static void
parse_keyword(struct smtp_client *c, const char *line, size_t line_len)
{
	const char *at = line, *end = line + line_len, *word;
	enum smtp_extension extension = 0;
	size_t len;

	if (!next_word(&at, end, &word, &len))
		return;
	if (len > 5 && strncasecmp(word, "AUTH=", 5) == 0) { /* the spelling of before RFC 2554 */
		at = word + 5;
		len = 4;
	}
	for (size_t i = 0; i < SMTP_KEYWORDS; i++)
		if (text_is(word, len, smtp_keywords[i].word))
			extension = smtp_keywords[i].extension;
	c->offer.extensions |= extension;
	if (extension == SMTP_EXT_AUTH)
		parse_auth(c, at, end);
	else if (extension == SMTP_EXT_SIZE && next_word(&at, end, &word, &len))
		(void)text_number(word, len, &c->offer.size_max);
	else if (text_is(word, len, "LIMITS"))
		parse_limits(c, at, end);
}

static void
forget_offer(struct smtp_client *c)
{
	c->offer = (struct offer){0};
	c->mails_left = c->config.mails_max > 0 ? c->config.mails_max : UINT64_MAX;
}

/* The first line of the reply is the server's name, the others a keyword each. */
static void
parse_offer(struct smtp_client *c)
{
	const char *at = buf_str(&c->parser.text), *end = at + c->parser.text.len;

	forget_offer(c);
	c->offer.given = true;
	for (bool first = true; at < end; first = false) {
		const char *lf = memchr(at, '\n', (size_t)(end - at)),
			   *stop = lf == NULL ? end : lf;

		if (!first)
			parse_keyword(c, at, (size_t)(stop - at));
		at = lf == NULL ? end : lf + 1;
	}
}

struct smtp_client_offer
smtp_client_offer(const struct smtp_client *c, bool within)
{
	static const struct offer none;
	const struct offer *o = within == c->tls_active ? &c->offer : within ? &none : &c->clear;

	return (struct smtp_client_offer){o->given, o->extensions, o->auth, o->size_max};
}

unsigned
smtp_client_extensions(const struct smtp_client *c)
{
	return c->offer.extensions;
}

/* ---- from the greeting to READY ---- */

static void
say_hello(struct smtp_client *c)
{
	enter(c, PHASE_EHLO);
	send_command(c, "EHLO %s", c->ehlo_name);
}

static void
ready(struct smtp_client *c)
{
	auth_wipe(c);
	enter(c, PHASE_READY);
	if (c->out.len == c->out_at) {
		buf_free(&c->out);
		c->out.wipe = false;
		c->out_at = 0;
	}
}

/* The order where the account has none of its own: what gives the server least comes first. */
static const enum sasl_mechanism usual[] = {SASL_XOAUTH2, SASL_OAUTHBEARER, SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_256, SASL_PLAIN, SASL_LOGIN};

static enum sasl_mechanism
choose_mechanism(const struct smtp_client *c)
{
	unsigned fit = c->config.mechanisms & c->offer.mechanisms & ~c->auth.tried;

	if (c->config.scram == NULL)
		fit &= ~(unsigned)SASL_SCRAM_MECHANISMS;
	if (c->binding.type == NULL)
		fit &= ~(unsigned)SASL_SCRAM_SHA_256_PLUS;
	for (size_t i = 0; i < ARRAY_SIZE(c->config.order) && c->config.order[i] != SASL_NONE; i++)
		if ((fit & c->config.order[i]) != 0)
			return c->config.order[i];
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((fit & usual[i]) != 0)
			return usual[i];
	return SASL_NONE;
}

static void
fail_without_mechanism(struct smtp_client *c)
{
	CLEANUP_BUF struct buf words = BUF_INIT(4096);

	(void)buf_append_str(&words, "The server offers AUTH ");
	(void)text_escape(&words, c->offer.auth, strlen(c->offer.auth), false);
	(void)buf_append_str(&words, "; the account can use");
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((c->config.mechanisms & usual[i]) != 0)
			(void)buf_printf(&words, " %s", sasl_mechanism_name(usual[i]));
	fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_NO_MECHANISM, buf_str(&words));
}

static void
begin_auth(struct smtp_client *c)
{
	if (c->config.mechanisms == 0) {
		ready(c);
	} else if (!c->tls_active && !c->config.secret_without_tls) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_NOT_SECURE,
		    "A credential would go over a connection without TLS.");
	} else if ((c->offer.extensions & SMTP_EXT_AUTH) == 0) {
		fail_session(
		    c, SMTP_STAGE_AUTH, SMTP_FAULT_NO_AUTH, "The server does not offer AUTH.");
	} else {
		c->auth.mechanism = choose_mechanism(c);
		if (c->auth.mechanism == SASL_NONE)
			fail_without_mechanism(c);
		else
			enter(c, PHASE_CREDENTIAL);
	}
}

static void
greeting_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400)
		end_by_reply(c);
	else if (c->parser.code != 220)
		protocol_error(c, "The server greets with a code of its own");
	else
		say_hello(c);
}

static void
ehlo_reply(struct smtp_client *c)
{
	bool plain = c->config.tls == SMTP_TLS_NONE && c->config.mechanisms == 0;

	if (c->parser.code >= 500 && plain) {
		/* A server of before ESMTP: enough for an account that wants neither TLS nor AUTH.
		 */
		forget_offer(c);
		enter(c, PHASE_HELO);
		send_command(c, "HELO %s", c->ehlo_name);
		return;
	}
	if (c->parser.code >= 400) {
		end_by_reply(c);
		return;
	}
	if (c->parser.code >= 300) {
		protocol_error(c, "The server answers EHLO with a code of its own");
		return;
	}
	parse_offer(c);
	if (c->config.tls != SMTP_TLS_STARTTLS || c->tls_active) {
		begin_auth(c);
	} else if ((c->offer.extensions & SMTP_EXT_STARTTLS) == 0) {
		fail_session(c, SMTP_STAGE_STARTTLS, SMTP_FAULT_NO_STARTTLS,
		    "The server does not offer STARTTLS.");
	} else {
		enter(c, PHASE_STARTTLS);
		send_command(c, "STARTTLS");
	}
}

static void
helo_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400) {
		end_by_reply(c);
		return;
	}
	ready(c);
}

static void
starttls_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400) {
		end_by_reply(c);
		return;
	}
	if (c->parser.code != 220) {
		protocol_error(c, "The server answers STARTTLS with a code of its own");
		return;
	}
	c->clear = c->offer;
	forget_offer(c);
	enter(c, PHASE_TLS);
}

void
smtp_client_binding(struct smtp_client *c, const struct scram_binding *binding)
{
	c->binding = *binding;
}

void
smtp_client_tls_done(struct smtp_client *c, const char *description, uint64_t now)
{
	if (c->phase != PHASE_TLS)
		return;
	c->now = c->since = now;
	c->tls_active = true;
	note_format(c, NULL, true, "%s", description);
	if (c->config.tls == SMTP_TLS_IMPLICIT)
		enter(c, PHASE_GREETING);
	else
		say_hello(c);
}

/* ---- AUTH ---- */

/* Overwrites every run of `text` that is also in `secret`. */
static void
blank_runs(char *text, size_t len, const char *secret, size_t secret_len)
{
	size_t least = secret_len < BLANK_RUN ? secret_len : BLANK_RUN;

	for (size_t at = 0; least >= BLANK_LEAST && at + least <= len; at++) {
		const char *found = memmem(secret, secret_len, text + at, least);
		const char *end = secret + secret_len;
		size_t run = least;

		if (found == NULL)
			continue;
		while (at + run < len && found + run < end && text[at + run] == found[run])
			run++;
		memset(text + at, '*', run);
		at += run - 1;
	}
}

/* Blanks out of a line received during AUTH whatever repeats what was sent. */
static void
blank_secrets(const struct smtp_client *c, char *text, size_t len)
{
	const struct auth *a = &c->auth;
	unsigned last;

	if (a->count == 0)
		return;
	last = a->count - 1;
	if (a->scram != NULL) {
		const struct secret *password = scram_password(a->scram);

		/* The proof is good for this login only; the password was never said. */
		blank_runs(text, len, (const char *)secret_bytes(password), secret_len(password));
		return;
	}
	/* Of two responses only the last is secret: the first is the user name. */
	blank_runs(text, len, a->encoded[last].data, a->encoded[last].len);
	blank_runs(text, len, a->raw[last].data + a->secret_at, a->raw[last].len - a->secret_at);
}

static void
describe_responses(struct auth *a, const char *user, size_t secret_len)
{
	char shown[200];
	CLEANUP_BUF struct buf escaped = BUF_INIT(4096);

	(void)text_escape(&escaped, user, strnlen(user, 256), false);
	(void)snprintf(shown, sizeof(shown), "%s", buf_str(&escaped));
	if (a->scram != NULL) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, nonce>", shown);
		(void)snprintf(a->said[1], sizeof(a->said[1]), "<proof>");
	} else if ((a->mechanism & SASL_TOKEN_MECHANISMS) != 0) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, token %zu octets>", shown,
		    secret_len);
	} else if (a->count == 1) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, password>", shown);
	} else {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s>", shown);
		(void)snprintf(a->said[1], sizeof(a->said[1]), "<password>");
	}
}

/* What the server may conclude about our binding (scram.h). */
static enum scram_use
scram_use(const struct smtp_client *c)
{
	bool can_bind =
	    c->binding.type != NULL && (c->config.mechanisms & SASL_SCRAM_SHA_256_PLUS) != 0;

	if (c->auth.mechanism == SASL_SCRAM_SHA_256_PLUS)
		return SCRAM_BOUND;
	return can_bind && (c->offer.mechanisms & SASL_SCRAM_SHA_256_PLUS) == 0 ? SCRAM_OFFERED
										: SCRAM_UNBOUND;
}

/* The next response of SCRAM, behind what the server said. As scram_respond. */
static int
prepare_scram(struct smtp_client *c, const char *challenge, size_t len, const char **ret_why)
{
	struct auth *a = &c->auth;
	unsigned i = a->count;
	int r = scram_respond(a->scram, challenge, len, &a->raw[i], ret_why);

	if (r == 0)
		r = base64_encode(&a->encoded[i], a->raw[i].data, a->raw[i].len);
	if (r == 0)
		a->count++;
	return r;
}

/* The first response: the others come from what the server says. */
static int
begin_scram(struct smtp_client *c, const char *user, struct secret *secret)
{
	const char *why;
	int r;

	c->auth.scram = scram_new(c->config.scram, scram_use(c), &c->binding, user, secret);
	if (c->auth.scram == NULL)
		return -errno;
	r = prepare_scram(c, NULL, 0, &why);
	if (r == 0)
		describe_responses(&c->auth, user, secret_len(secret));
	return r;
}

/* Makes all responses. 0; -EINVAL, -EMSGSIZE: the mechanism cannot carry them; -ENOMEM. */
static int
prepare_responses(struct smtp_client *c, const char *user, struct secret *secret)
{
	struct auth *a = &c->auth;
	unsigned count = sasl_response_count(a->mechanism), last = count - 1;
	size_t tail = (a->mechanism & SASL_TOKEN_MECHANISMS) != 0
			  ? 2
			  : 0; /* what follows a token in its response */
	int r = 0;

	auth_wipe(c);
	if ((a->mechanism & SASL_SCRAM_MECHANISMS) != 0)
		return begin_scram(c, user, secret);
	for (unsigned i = 0; i < count && r == 0; i++) {
		r = sasl_response(
		    a->mechanism, i, user, secret, c->host, c->config.port, &a->raw[i]);
		if (r == 0)
			r = base64_encode(&a->encoded[i], a->raw[i].data, a->raw[i].len);
		if (r == 0 && a->encoded[i].len + 2 > SMTP_AUTH_LINE_MAX)
			r = -EMSGSIZE;
	}
	if (r < 0)
		return r == -ENOBUFS ? -EMSGSIZE : r;
	a->count = count;
	a->secret_at = a->raw[last].len - tail - secret_len(secret);
	describe_responses(a, user, secret_len(secret));
	return 0;
}

/* Sends the next response on a line of its own, or behind `command`. */
static void
send_response(struct smtp_client *c, const char *command)
{
	struct auth *a = &c->auth;
	const struct buf *encoded = &a->encoded[a->next];
	char line[400];

	(void)snprintf(line, sizeof(line), "%s%s", command, a->said[a->next]);
	note(c, NULL, true, "C: ", line, strlen(line));
	a->next++;
	if (put(c, command, strlen(command)) && put(c, encoded->data, encoded->len))
		(void)put(c, "\r\n", 2);
}

void
smtp_client_credential(struct smtp_client *c, const char *user, struct secret *secret, uint64_t now)
{
	const char *name = sasl_mechanism_name(c->auth.mechanism);
	char command[32], words[160];
	size_t len;
	int r;

	if (c->phase != PHASE_CREDENTIAL && c->phase != PHASE_AUTH_FAILED)
		return;
	c->now = c->since = now;
	r = prepare_responses(c, user, secret);
	if (r == -EINVAL || r == -EMSGSIZE) {
		(void)snprintf(words, sizeof(words), "%s, so %s cannot carry it.",
		    r == -EINVAL ? "The user name or the secret is empty or holds a control "
				   "character or a space"
				 : "The secret is too long for an SMTP line",
		    name);
		smtp_client_fail(c, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL, words);
		return;
	}
	if (r < 0) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
		return;
	}
	enter(c, PHASE_AUTH);
	len = (size_t)snprintf(command, sizeof(command), "AUTH %s ", name);
	/* RFC 4954 section 4: a command line that would be too long goes without the initial
	 * response. */
	if (sasl_has_initial_response(c->auth.mechanism) &&
	    len + c->auth.encoded[0].len + 2 <= SMTP_COMMAND_MAX)
		send_response(c, command);
	else
		send_command(c, "AUTH %s", name);
}

/* Keeps the text of a challenge for people to read. It is JSON in practice but may be anything, so it is escaped. */
static void
keep_challenge(struct smtp_client *c)
{
	CLEANUP_BUF struct buf json = BUF_INIT(SMTP_REPLY_LINE_MAX),
			       shown = BUF_INIT((size_t)4 * SMTP_REPLY_LINE_MAX);
	struct auth *a = &c->auth;
	size_t len = c->parser.text.len / 4 * 4;

	if (base64_decode(&json, buf_str(&c->parser.text), len) < 0 || json.len == 0)
		return;
	blank_secrets(c, json.data, json.len);
	if (text_escape(&shown, json.data, json.len < 400 ? json.len : 400, false) < 0)
		return;
	(void)snprintf(a->challenge, sizeof(a->challenge), "%s", buf_str(&shown));
	note_format(c, NULL, true, "the challenge says %s", a->challenge);
}

/* An empty line, which lets the server go on to its final reply. */
static void
answer_nothing(struct smtp_client *c)
{
	note(c, NULL, true, "C: ", "", 0);
	(void)put(c, "\r\n", 2);
}

static void
answer_scram(struct smtp_client *c)
{
	CLEANUP_BUF struct buf challenge = BUF_INIT(SMTP_REPLY_LINE_MAX);
	struct auth *a = &c->auth;
	const char *why;
	int r;

	if (base64_decode(&challenge, buf_str(&c->parser.text), c->parser.text.len) < 0)
		buf_clear(&challenge); /* no message of SCRAM either */
	if (challenge.len >= 2 && memcmp(challenge.data, "e=", 2) == 0 && !a->challenged) {
		keep_challenge(c);
		a->challenged = true;
		answer_nothing(c);
		return;
	}
	r = a->count < ARRAY_SIZE(a->raw)
		? prepare_scram(c, buf_str(&challenge), challenge.len, &why)
		: scram_respond(a->scram, buf_str(&challenge), challenge.len, &a->raw[1], &why);
	if (r == -EBADMSG) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL, why);
	} else if (r < 0) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
	} else if (scram_is_proven(a->scram)) {
		note_format(c, NULL, true, "the server proved that it knows the password too");
		answer_nothing(c);
	} else {
		send_response(c, "");
	}
}

static void
answer_challenge(struct smtp_client *c)
{
	struct auth *a = &c->auth;
	const char *answer = a->challenged ? NULL : sasl_error_answer(a->mechanism);

	if (a->next < a->count) {
		send_response(c, "");
	} else if (a->scram != NULL && !a->challenged) {
		answer_scram(c);
	} else if (answer != NULL && *answer == '\0') {
		keep_challenge(c);
		a->challenged = true;
		answer_nothing(c);
	} else if (answer != NULL) {
		CLEANUP_BUF struct buf encoded = BUF_INIT(64);

		keep_challenge(c);
		a->challenged = true;
		if (base64_encode(&encoded, answer, strlen(answer)) == 0)
			send_command(c, "%s", buf_str(&encoded));
		else
			fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
	} else {
		a->cancelled = true;
		send_command(c, "*");
	}
	smtp_reply_parser_free(&c->parser);
}

/* The final words, with what the challenge said. */
static void
auth_failed(struct smtp_client *c)
{
	char *text = NULL;

	smtp_reply_clear(&c->event_reply);
	if (smtp_reply_parser_take(&c->parser, SMTP_STAGE_AUTH, &c->event_reply) < 0) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
		return;
	}
	if (c->auth.challenge[0] != '\0' &&
	    asprintf(&text, "%s [challenge: %s]", c->event_reply.text, c->auth.challenge) >= 0) {
		struct smtp_reply longer = c->event_reply;

		longer.text = text;
		(void)smtp_reply_copy(&c->event_reply, &longer);
		free(text);
	}
	auth_wipe(c);
	enter(c, PHASE_AUTH_FAILED);
}

static void
auth_refused(struct smtp_client *c)
{
	int code = c->parser.code;
	enum sasl_mechanism next = SASL_NONE;

	if (c->auth.cancelled) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL,
		    "The server asked for more than the mechanism has to say.");
		return;
	}
	if ((code == 504 || code == 501) && !c->auth.challenged) {
		c->auth.tried |= c->auth.mechanism;
		next = choose_mechanism(c);
	}
	if (next == SASL_NONE) {
		auth_failed(c);
		return;
	}
	auth_wipe(c);
	c->auth.mechanism = next;
	enter(c, PHASE_CREDENTIAL);
}

static void
auth_reply(struct smtp_client *c)
{
	int code = c->parser.code;

	if (code >= 400) {
		auth_refused(c);
	} else if (code >= 300) {
		answer_challenge(c);
	} else if (c->auth.scram != NULL && !scram_is_proven(c->auth.scram)) {
		fail_session(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL,
		    "The server accepts the login without having proved that it knows the "
		    "password.");
	} else {
		ready(c);
	}
}

/* A complete reply while the session's own command is awaited. */
static void
session_reply(struct smtp_client *c)
{
	if (c->parser.code == 421 || c->phase == PHASE_QUIT) {
		end_by_reply(c);
		return;
	}
	switch (c->phase) {
	case PHASE_GREETING:
		greeting_reply(c);
		break;
	case PHASE_EHLO:
		ehlo_reply(c);
		break;
	case PHASE_HELO:
		helo_reply(c);
		break;
	case PHASE_STARTTLS:
		starttls_reply(c);
		break;
	default:
		auth_reply(c);
		break;
	}
}

/* ---- a job is taken ---- */

static bool
text_is_sendable(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

/* What was taken is an address by the same grammar, and every command fits into its line. */
_Static_assert(ADDRESS_MAX + PARAMS_MAX + 16 < COMMAND_ROOM, "RCPT must fit");
_Static_assert(ADDRESS_MAX + ENVID_MAX + 128 < COMMAND_ROOM, "MAIL must fit");

static bool
address_is_sendable(const char *s)
{
	return address_is_valid(s, strlen(s), true);
}

/* Can the job be put in command lines at all: recipients, addresses, parameters? */
static bool
job_is_sendable(const struct smtp_client_job *spec)
{
	if (spec->recipient_count == 0 || !text_is_sendable(spec->envid, ENVID_MAX))
		return false;
	if (spec->sender[0] != '\0' && !address_is_sendable(spec->sender))
		return false;
	for (size_t i = 0; i < spec->recipient_count; i++)
		if (!address_is_sendable(spec->recipients[i].address) ||
		    !text_is_sendable(spec->recipients[i].params, PARAMS_MAX))
			return false;
	return true;
}

/* Decides whether the content waits for the replies to the envelope. */
static void
set_patience(struct smtp_client *c, struct smtp_job *j)
{
	bool idle = STAILQ_EMPTY(&c->jobs) && c->jobs_done > 0 && c->now - c->heard > IDLE_DOUBT;

	j->patient = idle || j->spec.body_len > EAGER_MAX;
}

static struct smtp_job *
job_new(const struct smtp_client *c, const struct smtp_client_job *spec)
{
	struct smtp_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->spec = *spec;
	j->transcript = (struct buf)BUF_INIT(SMTP_CLIENT_TRANSCRIPT_MAX);
	j->replies = calloc(spec->recipient_count, sizeof(*j->replies));
	if (j->replies == NULL) {
		free(j);
		return NULL;
	}
	j->at_line_start = true;
	j->bdat = (c->offer.extensions & SMTP_EXT_CHUNKING) != 0;
	j->rcpts = spec->recipient_count;
	return j;
}

/* The recipients behind the first `keep` are not asked about. */
static void
leave_out(struct smtp_job *j, size_t keep, const char *words)
{
	for (size_t i = keep; i < j->rcpts; i++) {
		struct smtp_reply r = {.code = 452, .enhanced = "4.5.3", .stage = SMTP_STAGE_RCPT};

		r.text = strdup(words);
		j->replies[i] = r;
	}
	j->rcpts = keep;
}

/* Recipients over the server's RCPTMAX (RFC 9422) get what the server would answer (RFC 5321
 * section 4.5.3.1.10), without asking. */
static void
limit_recipients(const struct smtp_client *c, struct smtp_job *j)
{
	if (c->offer.recipients_max == 0 || j->spec.recipient_count <= c->offer.recipients_max)
		return;
	leave_out(j, (size_t)c->offer.recipients_max,
	    "The server limits the recipients of one message (LIMITS RCPTMAX)");
}

/* Notes the domain of an address as one of this session's. False where it is one too many: RFC 9422
 * section 4.3. Without memory to note it in, it is. */
static bool
fit_domain(struct smtp_client *c, const char *address)
{
	const char *domain = strrchr(address, '@'), *at = buf_str(&c->domains);
	size_t len;

	if (c->offer.domains_max == 0)
		return true;
	domain = domain == NULL ? "" : domain + 1;
	len = strlen(domain);
	for (; *at != '\0'; at = strchr(at, '\n') + 1)
		if (strncasecmp(at, domain, len) == 0 && at[len] == '\n')
			return true;
	if (c->domain_count >= c->offer.domains_max || buf_printf(&c->domains, "%s\n", domain) < 0)
		return false;
	c->domain_count++;
	return true;
}

/* Recipients from the first one on whose domain is too many for the session: another session takes
 * them, all where nothing was sent on this one's account, else as with RCPTMAX. False: none fits. */
static bool
limit_domains(struct smtp_client *c, struct smtp_job *j)
{
	size_t fit = 0;

	while (fit < j->rcpts && fit_domain(c, j->spec.recipients[fit].address))
		fit++;
	if (fit < j->rcpts)
		leave_out(
		    j, fit, "The server limits the domains of one session (LIMITS RCPTDOMAINMAX)");
	return fit > 0;
}

/* Why the server cannot take the message, by what it offers. */
static enum smtp_fault
job_fault(struct smtp_client *c, const struct smtp_client_job *spec, char *words, size_t size)
{
	if (c->offer.size_max > 0 && spec->body_len > c->offer.size_max) {
		(void)snprintf(words, size,
		    "The message has %zu octets; the server takes %llu (SIZE)", spec->body_len,
		    (unsigned long long)c->offer.size_max);
		return SMTP_FAULT_TOO_BIG;
	}
	if (spec->smtputf8 && (c->offer.extensions & SMTP_EXT_SMTPUTF8) == 0) {
		(void)snprintf(words, size,
		    "An address or a header needs SMTPUTF8, which the server does not offer%s%s",
		    spec->unfit == NULL ? "" : ": ", spec->unfit == NULL ? "" : spec->unfit);
		return SMTP_FAULT_NO_SMTPUTF8;
	}
	/* Only what is offered inside TLS counts (RFC 8689 section 4.2.1). */
	if (spec->requiretls &&
	    ((c->offer.extensions & SMTP_EXT_REQUIRETLS) == 0 || !c->tls_active)) {
		(void)snprintf(words, size,
		    "The message is to go by TLS all the way, and the server does not offer "
		    "REQUIRETLS");
		return SMTP_FAULT_NO_REQUIRETLS;
	}
	if (spec->eight_bit && (c->offer.extensions & SMTP_EXT_8BITMIME) == 0) {
		(void)snprintf(words, size,
		    "The content has 8-bit octets, and the server does not offer 8BITMIME%s%s",
		    spec->unfit == NULL ? "" : ": ", spec->unfit == NULL ? "" : spec->unfit);
		return SMTP_FAULT_NO_8BITMIME;
	}
	return SMTP_FAULT_NONE;
}

unsigned
smtp_client_room(const struct smtp_client *c)
{
	bool many = c->proven && (c->offer.extensions & SMTP_EXT_PIPELINING) != 0;
	unsigned window = many ? c->config.window : 1, room;

	if (c->phase != PHASE_READY || c->quitting || c->draining || c->in_flight >= window)
		return 0;
	room = window - c->in_flight;
	return c->mails_left < room ? (unsigned)c->mails_left : room;
}

int
smtp_client_submit(struct smtp_client *c, const struct smtp_client_job *spec, uint64_t now)
{
	char words[240];
	enum smtp_fault fault;
	struct smtp_job *j;

	if (smtp_client_room(c) == 0)
		return -EAGAIN;
	if (!job_is_sendable(spec))
		return -EINVAL;
	j = job_new(c, spec);
	if (j == NULL)
		return -ENOMEM;
	fault = job_fault(c, spec, words, sizeof(words));
	if (fault != SMTP_FAULT_NONE) {
		const struct smtp_reply r = {
		    .stage = SMTP_STAGE_MAIL, .fault = fault, .text = words};

		job_decide(j, &r);
		note_format(c, j, true, "%s", words);
		report_job(c, j);
		return 0;
	}
	limit_recipients(c, j);
	if (!limit_domains(c, j)) {
		/* A new session has room for them. */
		j->untried = true;
		c->draining = true;
		report_job(c, j);
		return 0;
	}
	c->now = now;
	set_patience(c, j);
	if (STAILQ_EMPTY(&c->jobs))
		c->since = now;
	STAILQ_INSERT_TAIL(&c->jobs, j, link);
	c->in_flight++;
	c->mails_left--;
	return 0;
}

/* ---- a job is sent ---- */

static bool
begin(struct smtp_client *c, struct smtp_job *j, const struct smtp_job *before)
{
	/* Behind another job's: as far as the window in octets goes. */
	if (before != NULL && c->bytes_in_flight + j->spec.body_len > c->config.window_bytes)
		return false;
	job_enter(c, j, JOB_ENVELOPE);
	if (before != NULL ? before->bdat : c->dirty)
		return step_command(c, j, "RSET");
	j->sent = j->got = STEP_MAIL;
	return true;
}

static bool
send_mail(struct smtp_client *c, struct smtp_job *j)
{
	static const char *const ret[] = {
	    [SMTP_RET_NONE] = "", [SMTP_RET_FULL] = " RET=FULL", [SMTP_RET_HDRS] = " RET=HDRS"};
	const struct smtp_client_job *m = &j->spec;
	bool dsn = (c->offer.extensions & SMTP_EXT_DSN) != 0, envid = dsn && m->envid[0] != '\0';
	char size[32] = "";

	if ((c->offer.extensions & SMTP_EXT_SIZE) != 0)
		(void)snprintf(size, sizeof(size), " SIZE=%zu", m->body_len);
	return step_command(c, j, "MAIL FROM:<%s>%s%s%s%s%s%s%s", m->sender, size,
	    m->eight_bit ? " BODY=8BITMIME" : "", m->smtputf8 ? " SMTPUTF8" : "",
	    m->requiretls ? " REQUIRETLS" : "", dsn ? ret[m->ret] : "", envid ? " ENVID=" : "",
	    envid ? m->envid : "");
}

static bool
send_rcpt(struct smtp_client *c, struct smtp_job *j)
{
	const struct smtp_client_recipient *r = &j->spec.recipients[j->sent - STEP_RCPT];

	return step_command(c, j, "RCPT TO:<%s>%s", r->address,
	    (c->offer.extensions & SMTP_EXT_DSN) != 0 ? r->params : "");
}

static bool
send_bdat(struct smtp_client *c, struct smtp_job *j)
{
	if (j->patient && j->got < job_step_data(j))
		return false;
	if (!step_command(c, j, "BDAT %zu LAST", j->spec.body_len))
		return false;
	note_format(c, j, false, "%zu octets of content", j->spec.body_len);
	job_enter(c, j, JOB_CONTENT);
	return true;
}

/* The content behind DATA. The server asks for it even where it refused every recipient (RFC 2920
 * section 3.1): it then gets an empty message, which it refuses in turn. */
static bool
start_content(struct smtp_client *c, struct smtp_job *j)
{
	if (job_is_refused(j)) {
		j->body_at = j->spec.body_len;
		note_format(c, j, false, "no content: nobody is left to take it");
	} else {
		note_format(
		    c, j, false, "%zu octets of content, and the final dot", j->spec.body_len);
	}
	j->sent++;
	job_enter(c, j, JOB_CONTENT);
	return true;
}

/* A piece of content with its dots doubled (RFC 5321 section 4.5.2). */
static bool
put_stuffed(struct smtp_client *c, struct smtp_job *j, const char *p, size_t len)
{
	while (len > 0) {
		const char *lf = memchr(p, '\n', len);
		size_t take = lf == NULL ? len : (size_t)(lf - p) + 1;

		if (j->at_line_start && *p == '.' && !put(c, ".", 1))
			return false;
		if (!put(c, p, take))
			return false;
		j->at_line_start = lf != NULL;
		p += take;
		len -= take;
	}
	return true;
}

/* Sends the next piece of the content, or its end. */
static bool
stream(struct smtp_client *c, struct smtp_job *j)
{
	size_t left = j->spec.body_len - j->body_at,
	       take = left < CONTENT_PIECE ? left : CONTENT_PIECE;
	const char *p = j->spec.body + j->body_at;

	if (take > 0) {
		if (!(j->bdat ? put(c, p, take) : put_stuffed(c, j, p, take)))
			return false;
		j->body_at += take;
		if (take < left)
			return true;
	}
	if (!j->bdat && !put(c, j->at_line_start ? ".\r\n" : "\r\n.\r\n", j->at_line_start ? 3 : 5))
		return false;
	job_enter(c, j, JOB_SENT);
	finish_jobs(c);
	return true;
}

/* Sends the next step of a job. False when it has to wait, is cut short, or the session is over. */
static bool
send_step(struct smtp_client *c, struct smtp_job *j, const struct smtp_job *before)
{
	if (j->state == JOB_CONTENT)
		return stream(c, j);
	if ((c->offer.extensions & SMTP_EXT_PIPELINING) == 0 && awaited_job(c) != NULL)
		return false;
	if (j->state == JOB_QUEUED)
		return begin(c, j, before);
	if (j->state == JOB_GO_AHEAD)
		return start_content(c, j);
	if (j->state != JOB_ENVELOPE)
		return false;
	if (j->sent == STEP_MAIL)
		return send_mail(c, j);
	if (j->sent < job_step_data(j))
		return send_rcpt(c, j);
	if (j->spec.trial) {
		job_enter(c, j, JOB_CUT);
		return false;
	}
	if (j->bdat)
		return send_bdat(c, j);
	if (!step_command(c, j, "DATA"))
		return false;
	job_enter(c, j, JOB_DATA);
	return true;
}

/* The first job with something left to send, and the one in front of it. */
static struct smtp_job *
sending_job(const struct smtp_client *c, struct smtp_job **before)
{
	struct smtp_job *j;

	*before = NULL;
	STAILQ_FOREACH (j, &c->jobs, link) {
		if (j->state < JOB_SENT)
			break;
		*before = j;
	}
	return j;
}

static bool
may_quit(const struct smtp_client *c)
{
	bool wanted = c->quitting || c->draining || (c->phase == PHASE_READY && c->mails_left == 0);

	return wanted && session_is_free(c);
}

/* Fills the output while there is something to send and room. */
static void
produce(struct smtp_client *c)
{
	struct smtp_job *j, *before;

	if (c->out.len - c->out_at > OUT_LOW || c->phase == PHASE_CLOSED)
		return;
	if (c->out_at > 0) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
	while (c->phase == PHASE_READY && c->out.len < OUT_FULL) {
		j = sending_job(c, &before);
		if (j == NULL || !send_step(c, j, before))
			break;
	}
	if (may_quit(c)) {
		enter(c, PHASE_QUIT);
		c->since = c->now;
		send_command(c, "QUIT");
	}
}

/* ---- output ---- */

const char *
smtp_client_output(struct smtp_client *c, size_t *len)
{
	produce(c);
	*len = c->out.len - c->out_at;
	return *len == 0 ? NULL : c->out.data + c->out_at;
}

void
smtp_client_wrote(struct smtp_client *c, size_t len, uint64_t now)
{
	c->now = c->since = now;
	c->out_at += len;
	c->written += len;
	if (c->out_at >= c->out.len) {
		buf_clear(&c->out);
		c->out_at = 0;
	}
}

/* ---- input ---- */

static void
recipient_reply(struct smtp_job *j, size_t i, struct smtp_reply *r)
{
	if (!recipient_is_open(j, i))
		return; /* MAIL was refused: the server merely repeats itself */
	if (r->code < 400)
		j->accepted++;
	smtp_reply_clear(&j->replies[i]);
	j->replies[i] = *r;
	*r = (struct smtp_reply){0};
}

/* The reply to a step from MAIL on; it has the class that the step may get. */
static void
step_reply(struct smtp_client *c, struct smtp_job *j, size_t step, struct smtp_reply *r)
{
	bool ok = r->code < 400;

	if (step == STEP_MAIL) {
		if (!ok)
			job_decide(j, r);
	} else if (step < job_step_data(j)) {
		recipient_reply(j, step - STEP_RCPT, r);
	} else if (step < job_step_end(j)) {
		job_enter(c, j, ok ? JOB_GO_AHEAD : JOB_CUT);
		if (!ok)
			job_decide(j, r);
	} else {
		job_decide(j, r);
		if (ok)
			job_enter(c, j, JOB_TAKEN);
		c->proven = c->proven || (ok && j->accepted > 0);
	}
}

/* Is the class of a reply one that this step may get? Success is 2yz, to DATA alone 3yz; and a
 * message cannot be accepted before its end was sent. */
static bool
reply_fits(const struct smtp_client *c, const struct smtp_job *j, size_t step, int code)
{
	if (code >= 400)
		return true;
	if (step == job_step_data(j) && !j->bdat)
		return code >= 300;
	if (step == job_step_end(j) && !job_is_written(c, j))
		return false;
	return code < 300;
}

static void
job_reply(struct smtp_client *c, struct smtp_job *j)
{
	size_t step = j->got;
	struct smtp_reply r;

	if (c->parser.code == 421) {
		end_by_reply(c);
		return;
	}
	if (!reply_fits(c, j, step, c->parser.code)) {
		protocol_error(c, "The server gave a reply that does not fit the command");
		return;
	}
	if (!take_reply(c, job_stage(c, j), &r))
		return;
	j->got++;
	if (step == STEP_RSET)
		c->draining = c->draining || r.code >= 400;
	else
		step_reply(c, j, step, &r);
	smtp_reply_clear(&r);
	/* No recipient is left: send nothing more. What was sent already is still answered. */
	if (j->state == JOB_ENVELOPE &&
	    (job_is_refused(j) || (j->spec.trial && j->got == job_step_data(j))))
		job_enter(c, j, JOB_CUT);
	finish_jobs(c);
}

static void
reply(struct smtp_client *c)
{
	struct smtp_job *j = awaited_job(c);

	c->heard = c->since = c->now;
	if (session_awaits(c))
		session_reply(c);
	else if (j != NULL)
		job_reply(c, j);
	else if (c->parser.code == 421)
		end_by_reply(c);
	else
		protocol_error(c, "The server sent a reply that nothing had asked for");
}

/* A transcript always has room for refusals and for the reply to the content. */
static bool
must_be_shown(const struct smtp_job *j, const char *line, size_t len)
{
	return (len > 0 && line[0] >= '4') || (j != NULL && j->got >= job_step_end(j));
}

/* One line without its line end. */
static void
take_line(struct smtp_client *c, const char *line, size_t len)
{
	struct smtp_job *j = awaited_job(c);
	char shown[SMTP_REPLY_LINE_MAX];
	int r;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (c->phase == PHASE_AUTH && !(c->auth.scram != NULL && line[0] == '3')) {
		/* A challenge may be longer than any reply. Its beginning is enough to know it for
		 * what it is. Those of SCRAM are taken as they are, and shown by nobody. */
		if (len > SMTP_REPLY_LINE_MAX - 2)
			len = SMTP_REPLY_LINE_MAX - 2;
		memcpy(shown, line, len);
		blank_secrets(c, shown, len);
		line = shown;
	}
	if (c->parser.lines == 0 && c->now - c->since >= SLOW)
		note_format(c, j, true, "%llu.%llu s later",
		    (unsigned long long)(c->now - c->since) / 1000,
		    (unsigned long long)(c->now - c->since) % 1000 / 100);
	/* Don't note a challenge here: it may echo secrets. keep_challenge notes it after decoding. */
	note(c, j, must_be_shown(j, line, len), "S: ", line,
	    c->phase == PHASE_AUTH && len > 4 && line[0] == '3' ? 4 : len);
	r = smtp_reply_parser_line(&c->parser, line, len);
	if (r > 0)
		reply(c);
	else if (r == -ENOMEM)
		fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
	else if (r < 0)
		fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL,
		    "The server sent a line that is no reply.");
}

static size_t
line_limit(const struct smtp_client *c)
{
	return c->phase == PHASE_AUTH ? SMTP_REPLY_MAX : SMTP_REPLY_LINE_MAX;
}

void
smtp_client_input(struct smtp_client *c, const char *bytes, size_t len, uint64_t now)
{
	c->now = now;
	c->received = c->received || len > 0;
	while (len > 0 && c->phase != PHASE_CLOSED) {
		const char *lf = memchr(bytes, '\n', len);
		size_t take = lf == NULL ? len : (size_t)(lf - bytes) + 1;

		if (c->phase == PHASE_TLS) {
			fail_session(c, SMTP_STAGE_STARTTLS, SMTP_FAULT_INJECTION,
			    "The server sent more in clear behind its reply to STARTTLS.");
			return;
		}
		if (c->in.len + take > line_limit(c)) {
			fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL,
			    "The server sent a line without end.");
			return;
		}
		if (lf != NULL && c->in.len == 0) {
			take_line(c, bytes, take - 1);
		} else if (buf_append(&c->in, bytes, take) < 0) {
			fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
		} else if (lf != NULL) {
			take_line(c, c->in.data, c->in.len - 1);
			buf_clear(&c->in);
		}
		bytes += take;
		len -= take;
	}
}

bool
smtp_client_is_greeted(const struct smtp_client *c)
{
	return c->received;
}

/* ---- events ---- */

bool
smtp_client_next(struct smtp_client *c, struct smtp_client_event *ret)
{
	*ret = (struct smtp_client_event){.type = c->event, .mechanism = c->auth.mechanism};
	job_free(c->reported);
	c->reported = NULL;
	if (c->event != SMTP_CLIENT_NONE) {
		ret->reply = c->event == SMTP_CLIENT_AUTH_FAILED ? &c->event_reply : NULL;
		c->event = SMTP_CLIENT_NONE;
		return true;
	}
	if (!STAILQ_EMPTY(&c->done)) {
		struct smtp_job *j = STAILQ_FIRST(&c->done);

		STAILQ_REMOVE_HEAD(&c->done, link);
		c->reported = j;
		ret->type = SMTP_CLIENT_JOB_DONE;
		ret->job = j->spec.id;
		ret->replies = j->replies;
		ret->untried = j->untried;
		return true;
	}
	if (c->phase == PHASE_CLOSED && !c->close_reported) {
		c->close_reported = true;
		ret->type = SMTP_CLIENT_CLOSED;
		ret->reply = &c->closing;
		return true;
	}
	return false;
}

/* ---- deadlines ---- */

static uint64_t
patience(const struct smtp_client *c)
{
	const struct smtp_job *j = awaited_job(c);

	switch (c->phase) {
	case PHASE_TLS:
		return WAIT_TLS;
	case PHASE_AUTH:
		return WAIT_AUTH;
	case PHASE_QUIT:
		return WAIT_QUIT;
	default:
		break;
	}
	if (c->out.len > c->out_at)
		return WAIT_BLOCK;
	if (j != NULL && j->got >= job_step_end(j))
		return WAIT_EOM;
	if (j != NULL && j->got == job_step_data(j))
		return WAIT_DATA;
	return session_awaits(c) || j != NULL ? WAIT_REPLY : 0;
}

uint64_t
smtp_client_deadline(const struct smtp_client *c)
{
	uint64_t wait = c->phase == PHASE_CLOSED ? 0 : patience(c);

	return wait == 0 ? UINT64_MAX : c->since + wait;
}

void
smtp_client_timeout(struct smtp_client *c, uint64_t now)
{
	if (now < smtp_client_deadline(c))
		return;
	c->now = now;
	fail_session(c, SMTP_STAGE_NONE, SMTP_FAULT_TIMEOUT, NULL);
}

/* ---- life ---- */

struct smtp_client *
smtp_client_new(const struct smtp_client_config *config, uint64_t now)
{
	struct smtp_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->config = *config;
	c->host = strdup(config->host);
	c->ehlo_name = strdup(config->ehlo_name);
	c->in = (struct buf)BUF_INIT(SMTP_REPLY_MAX);
	/* The AUTH lines pass through here: wiping until the session is authenticated. */
	c->out = (struct buf)BUF_INIT_WIPE(SIZE_MAX / 4);
	c->transcript = (struct buf)BUF_INIT(SMTP_CLIENT_TRANSCRIPT_MAX);
	c->domains = (struct buf)BUF_INIT(DOMAINS_MAX);
	for (unsigned i = 0; i < ARRAY_SIZE(c->auth.raw); i++) {
		c->auth.raw[i] = (struct buf)BUF_INIT_WIPE(SECRET_MAX + 4096);
		c->auth.encoded[i] = (struct buf)BUF_INIT_WIPE((size_t)2 * SECRET_MAX);
	}
	STAILQ_INIT(&c->jobs);
	STAILQ_INIT(&c->done);
	c->now = c->since = c->heard = now;
	if (c->host == NULL || c->ehlo_name == NULL)
		return smtp_client_free(c);
	c->config.host = c->host;
	c->config.ehlo_name = c->ehlo_name;
	if (c->config.window == 0)
		c->config.window = 1;
	enter(c, config->tls == SMTP_TLS_IMPLICIT ? PHASE_TLS : PHASE_GREETING);
	return c;
}

struct smtp_client *
smtp_client_free(struct smtp_client *c)
{
	if (c == NULL)
		return NULL;
	auth_wipe(c);
	c->out.wipe = c->phase < PHASE_READY || c->out.wipe;
	buf_free(&c->out);
	buf_free(&c->in);
	buf_free(&c->transcript);
	buf_free(&c->domains);
	smtp_reply_parser_free(&c->parser);
	smtp_reply_clear(&c->event_reply);
	smtp_reply_clear(&c->closing);
	jobs_free(&c->jobs);
	jobs_free(&c->done);
	job_free(c->reported);
	free(c->host);
	free(c->ehlo_name);
	free(c);
	return NULL;
}

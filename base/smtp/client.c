/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client.c: the submission engine's life: lines in, replies of jobs, events, deadlines and the end
 * of a session.
 *
 * Replies come in the order of the commands, so what the next one answers needs no list: it is the
 * session's own command where one is awaited, else the first job that has sent more steps than were
 * answered.
 *
 * When a session ends, a job is
 *
 *   in doubt   if all of its content was handed to the connection and no reply to it came, unless a
 *              421 answered an earlier command: then the server says that it went no further;
 *   untried    if none of its commands was answered, and either none was sent or jobs before it on
 *              this session were done: then the session ended between two messages. That it is given
 *              to another session at once makes no loop, since every such session has done a job;
 *   failed     else.
 */
#include "base/smtp/client-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum {
	TRANSCRIPT_KEPT = 2048, /* room at the end of a transcript for lines that matter */
	TRANSCRIPT_LINE = 1000, /* octets of one line shown */
	DOMAINS_MAX = 64 * 1024,
	SLOW = 1000, /* ms: a reply that took longer is noted */
	MINUTE = 60 * 1000,
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
	c->last = &c->jobs;
	c->done_last = &c->done;
	c->now = c->since = c->heard = now;
	if (c->host == NULL || c->ehlo_name == NULL)
		return smtp_client_free(c);
	c->config.host = c->host;
	c->config.ehlo_name = c->ehlo_name;
	if (c->config.window == 0)
		c->config.window = 1;
	if (config->tls == SMTP_TLS_IMPLICIT) {
		c->phase = PHASE_TLS;
		c->event = SMTP_CLIENT_START_TLS;
	} else {
		c->phase = PHASE_GREETING;
		c->awaiting = true;
	}
	return c;
}

static void
job_free(struct job *j)
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
jobs_free(struct job *j)
{
	while (j != NULL) {
		struct job *next = j->next;

		job_free(j);
		j = next;
	}
}

struct smtp_client *
smtp_client_free(struct smtp_client *c)
{
	if (c == NULL)
		return NULL;
	client_auth_wipe(c);
	c->out.wipe = c->phase < PHASE_READY || c->out.wipe;
	buf_free(&c->out);
	buf_free(&c->in);
	buf_free(&c->transcript);
	buf_free(&c->domains);
	smtp_reply_parser_free(&c->parser);
	smtp_reply_clear(&c->event_reply);
	smtp_reply_clear(&c->closing);
	jobs_free(c->jobs);
	jobs_free(c->done);
	job_free(c->reported);
	free(c->host);
	free(c->ehlo_name);
	free(c);
	return NULL;
}

/* ---- the transcript ---- */

void
client_note(struct smtp_client *c, struct job *j, bool must, const char *prefix, const char *text,
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

void
client_note_format(struct smtp_client *c, struct job *j, bool must, const char *format, ...)
{
	CLEANUP_BUF struct buf text = BUF_INIT(8 * TRANSCRIPT_LINE);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	client_note(c, j, must, "* ", buf_str(&text), text.len);
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

size_t
job_step_data(const struct job *j)
{
	return STEP_RCPT + j->rcpts;
}

size_t
job_step_end(const struct job *j)
{
	return job_step_data(j) + (j->bdat ? 0 : 1);
}

static enum smtp_stage
job_stage(const struct smtp_client *c, const struct job *j)
{
	if (j->got <= STEP_MAIL)
		return SMTP_STAGE_MAIL;
	if (j->got < job_step_data(j))
		return SMTP_STAGE_RCPT;
	if (j->got < job_step_end(j))
		return SMTP_STAGE_DATA;
	return j->content_done && c->written >= j->end ? SMTP_STAGE_EOM : SMTP_STAGE_DATA;
}

static bool
recipient_is_open(const struct job *j, size_t i)
{
	return j->replies[i].code < 400 && j->replies[i].fault == SMTP_FAULT_NONE;
}

bool
job_is_refused(const struct job *j)
{
	for (size_t i = 0; i < j->spec.recipient_count; i++)
		if (recipient_is_open(j, i))
			return false;
	return true;
}

/* A copy that never fails: where memory is out the words are missing. */
static void
reply_set(struct smtp_reply *to, const struct smtp_reply *from)
{
	if (smtp_reply_copy(to, from) == 0)
		return;
	free(to->text);
	*to = *from;
	to->text = NULL;
}

void
job_decide(struct job *j, const struct smtp_reply *r)
{
	for (size_t i = 0; i < j->spec.recipient_count; i++)
		if (recipient_is_open(j, i))
			reply_set(&j->replies[i], r);
}

static void
report_job(struct smtp_client *c, struct job *j)
{
	j->next = NULL;
	*c->done_last = j;
	c->done_last = &j->next;
}

/* Takes the first job off the list. */
static struct job *
take_first(struct smtp_client *c)
{
	struct job *j = c->jobs;

	c->jobs = j->next;
	if (c->jobs == NULL)
		c->last = &c->jobs;
	c->in_flight--;
	if (j->begun)
		c->bytes_in_flight -= j->spec.body_len;
	return j;
}

static bool
job_is_finished(const struct job *j)
{
	return j->got == j->sent && (j->cut || j->content_done);
}

void
client_finish_jobs(struct smtp_client *c)
{
	while (c->jobs != NULL && job_is_finished(c->jobs)) {
		struct job *j = take_first(c);

		c->jobs_done++;
		c->dirty = !j->clean;
		report_job(c, j);
	}
	/* A session that takes no more gives back what it has not begun. */
	while (c->draining && c->jobs != NULL && !c->jobs->begun) {
		const struct smtp_reply why = {
		    .stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_CLOSED};
		struct job *j = take_first(c);

		job_decide(j, &why);
		j->untried = true;
		report_job(c, j);
	}
}

static struct job *
job_new(const struct smtp_client *c, const struct smtp_client_job *spec)
{
	struct job *j = calloc(1, sizeof(*j));

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
	j->bdat = (c->extensions & SMTP_EXT_CHUNKING) != 0;
	j->rcpts = spec->recipient_count;
	return j;
}

/* The recipients behind the first `keep` are not asked about. */
static void
leave_out(struct job *j, size_t keep, const char *words)
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
limit_recipients(const struct smtp_client *c, struct job *j)
{
	if (c->recipients_max == 0 || j->spec.recipient_count <= c->recipients_max)
		return;
	leave_out(j, (size_t)c->recipients_max,
	    "The server limits the recipients of one message (LIMITS RCPTMAX)");
}

/* Notes the domain of an address as one of this session's. False where it is one too many: RFC 9422
 * section 4.3. Without memory to note it in, it is. */
static bool
fit_domain(struct smtp_client *c, const char *address)
{
	const char *domain = strrchr(address, '@'), *at = buf_str(&c->domains);
	size_t len;

	if (c->domains_max == 0)
		return true;
	domain = domain == NULL ? "" : domain + 1;
	len = strlen(domain);
	for (; *at != '\0'; at = strchr(at, '\n') + 1)
		if (strncasecmp(at, domain, len) == 0 && at[len] == '\n')
			return true;
	if (c->domain_count >= c->domains_max || buf_printf(&c->domains, "%s\n", domain) < 0)
		return false;
	c->domain_count++;
	return true;
}

/* Recipients from the first one on whose domain is too many for the session: another session takes
 * them, all where nothing was sent on this one's account, else as with RCPTMAX. False: none fits. */
static bool
limit_domains(struct smtp_client *c, struct job *j)
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
	if (c->size_max > 0 && spec->body_len > c->size_max) {
		(void)snprintf(words, size,
		    "The message has %zu octets; the server takes %llu (SIZE)", spec->body_len,
		    (unsigned long long)c->size_max);
		return SMTP_FAULT_TOO_BIG;
	}
	if (spec->smtputf8 && (c->extensions & SMTP_EXT_SMTPUTF8) == 0) {
		(void)snprintf(words, size,
		    "An address or a header needs SMTPUTF8, which the server does not offer%s%s",
		    spec->unfit == NULL ? "" : ": ", spec->unfit == NULL ? "" : spec->unfit);
		return SMTP_FAULT_NO_SMTPUTF8;
	}
	/* Only what is offered inside TLS counts (RFC 8689 section 4.2.1). */
	if (spec->requiretls && ((c->extensions & SMTP_EXT_REQUIRETLS) == 0 || !c->tls_active)) {
		(void)snprintf(words, size,
		    "The message is to go by TLS all the way, and the server does not offer "
		    "REQUIRETLS");
		return SMTP_FAULT_NO_REQUIRETLS;
	}
	if (spec->eight_bit && (c->extensions & SMTP_EXT_8BITMIME) == 0) {
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
	bool many = c->proven && (c->extensions & SMTP_EXT_PIPELINING) != 0;
	unsigned window = many ? c->config.window : 1, room;

	if (c->phase != PHASE_READY || c->quitting || c->draining || c->in_flight >= window)
		return 0;
	room = window - c->in_flight;
	return c->mails_left < room ? (unsigned)c->mails_left : room;
}

unsigned
smtp_client_in_flight(const struct smtp_client *c)
{
	return c->in_flight;
}

int
smtp_client_submit(struct smtp_client *c, const struct smtp_client_job *spec, uint64_t now)
{
	char words[240];
	enum smtp_fault fault;
	struct job *j;

	if (smtp_client_room(c) == 0)
		return -EAGAIN;
	if (!client_job_is_sendable(spec))
		return -EINVAL;
	j = job_new(c, spec);
	if (j == NULL)
		return -ENOMEM;
	fault = job_fault(c, spec, words, sizeof(words));
	if (fault != SMTP_FAULT_NONE) {
		const struct smtp_reply r = {
		    .stage = SMTP_STAGE_MAIL, .fault = fault, .text = words};

		job_decide(j, &r);
		client_note_format(c, j, true, "%s", words);
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
	client_job_set_patience(c, j);
	if (c->jobs == NULL)
		c->since = now;
	*c->last = j;
	c->last = &j->next;
	c->in_flight++;
	c->mails_left--;
	return 0;
}

/* ---- the end ---- */

enum smtp_stage
client_stage(const struct smtp_client *c)
{
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
		return c->jobs != NULL && c->jobs->begun ? job_stage(c, c->jobs) : SMTP_STAGE_NONE;
	default:
		return SMTP_STAGE_QUIT;
	}
}

/* Ends one job of a session that is over (see the head of this file). */
static void
abandon_job(struct smtp_client *c, struct job *j)
{
	bool maybe_taken =
	    j->content_done && c->written >= j->end && c->closing.code != 421 && j->got < j->sent;
	bool reached = j->begun && c->written > j->start;
	struct smtp_reply r = c->closing;

	r.in_doubt = maybe_taken;
	if (reached)
		r.stage = job_stage(c, j);
	job_decide(j, &r);
	j->untried = !maybe_taken && !j->answered && (!reached || c->jobs_done > 0);
	if (c->closing.code == 0)
		client_note_format(c, j, true, "%s%s",
		    c->closing.text == NULL ? "The session ended." : c->closing.text,
		    maybe_taken ? " (The whole message was sent; it may have been accepted.)" : "");
}

void
client_close(struct smtp_client *c, struct smtp_reply *why)
{
	if (c->phase == PHASE_CLOSED) {
		smtp_reply_clear(why);
		return;
	}
	c->closing = *why;
	*why = (struct smtp_reply){0};
	if (c->phase < PHASE_READY && c->closing.code == 0)
		client_note_format(c, NULL, true, "%s",
		    c->closing.text == NULL ? "The session ended." : c->closing.text);
	while (c->jobs != NULL) {
		struct job *j = take_first(c);

		abandon_job(c, j);
		report_job(c, j);
	}
	c->phase = PHASE_CLOSED;
	c->awaiting = false;
	c->event = SMTP_CLIENT_NONE;
	client_auth_wipe(c);
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

void
client_fault(struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	struct smtp_reply r = {
	    .stage = stage == SMTP_STAGE_NONE ? client_stage(c) : stage, .fault = fault};

	if (words == NULL)
		words = fault_words(fault);
	if (words != NULL)
		r.text = strdup(words);
	client_close(c, &r);
}

void
smtp_client_lost(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	client_fault(c, stage, fault, words);
}

void
smtp_client_fail(
    struct smtp_client *c, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	bool may_quit = !c->awaiting && c->jobs == NULL &&
			(c->phase == PHASE_CREDENTIAL || c->phase == PHASE_AUTH_FAILED ||
			    c->phase == PHASE_READY);

	client_fault(c, stage, fault, words);
	if (may_quit)
		(void)buf_append_str(&c->out, "QUIT\r\n");
}

void
smtp_client_quit(struct smtp_client *c, uint64_t now)
{
	c->now = now;
	if (!c->awaiting && c->jobs == NULL)
		c->since = now;
	c->quitting = true;
}

/* ---- replies ---- */

struct job *
client_awaited_job(const struct smtp_client *c)
{
	return c->jobs != NULL && c->jobs->got < c->jobs->sent ? c->jobs : NULL;
}

/* Moves the reply out of the parser. False when memory is out: the session is then over. */
static bool
take_reply(struct smtp_client *c, enum smtp_stage stage, struct smtp_reply *ret)
{
	*ret = (struct smtp_reply){0};
	if (smtp_reply_parser_take(&c->parser, stage, ret) == 0)
		return true;
	client_fault(c, stage, SMTP_FAULT_LOCAL, NULL);
	return false;
}

void
client_close_by_reply(struct smtp_client *c)
{
	struct smtp_reply r;

	if (take_reply(c, client_stage(c), &r))
		client_close(c, &r);
}

void
client_protocol_error(struct smtp_client *c, const char *what)
{
	char words[160];

	(void)snprintf(words, sizeof(words), "%s: %d", what, c->parser.code);
	client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL, words);
}

static void
recipient_reply(struct job *j, size_t i, struct smtp_reply *r)
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
step_reply(struct smtp_client *c, struct job *j, size_t step, struct smtp_reply *r)
{
	bool ok = r->code < 400;

	j->answered = true;
	if (step == STEP_MAIL) {
		if (!ok)
			job_decide(j, r);
	} else if (step < job_step_data(j)) {
		recipient_reply(j, step - STEP_RCPT, r);
	} else if (step < job_step_end(j)) {
		j->go_ahead = ok;
		if (!ok) {
			job_decide(j, r);
			j->cut = true;
		}
	} else {
		job_decide(j, r);
		j->clean = ok;
		c->proven = c->proven || (ok && j->accepted > 0);
	}
}

/* Is the class of a reply one that this step may get? Success is 2yz, to DATA alone 3yz; and a
 * message cannot be accepted before its end was sent. */
static bool
reply_fits(const struct smtp_client *c, const struct job *j, size_t step, int code)
{
	if (code >= 400)
		return true;
	if (step == job_step_data(j) && !j->bdat)
		return code >= 300;
	if (step == job_step_end(j) && (!j->content_done || c->written < j->end))
		return false;
	return code < 300;
}

static void
job_reply(struct smtp_client *c, struct job *j)
{
	size_t step = j->got;
	struct smtp_reply r;

	if (c->parser.code == 421) {
		client_close_by_reply(c);
		return;
	}
	if (!reply_fits(c, j, step, c->parser.code)) {
		client_protocol_error(c, "The server gave a reply that does not fit the command");
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
	/* Nobody is left: nothing more is sent, except what is on its way or asked for already. */
	if (j->sent <= job_step_data(j) && job_is_refused(j))
		j->cut = true;
	if (j->spec.trial && j->got == job_step_data(j))
		j->cut = true;
	client_finish_jobs(c);
}

static void
reply(struct smtp_client *c)
{
	c->heard = c->since = c->now;
	if (c->awaiting)
		client_session_reply(c);
	else if (client_awaited_job(c) != NULL)
		job_reply(c, c->jobs);
	else if (c->parser.code == 421)
		client_close_by_reply(c);
	else
		client_protocol_error(c, "The server sent a reply that nothing had asked for");
}

/* Refusals, and what became of the content, stand in a transcript also where there is hardly room.
 */
static bool
must_be_shown(const struct job *j, const char *line, size_t len)
{
	return (len > 0 && line[0] >= '4') || (j != NULL && j->got >= job_step_end(j));
}

/* One line without its line end. */
static void
take_line(struct smtp_client *c, const char *line, size_t len)
{
	struct job *j = c->awaiting ? NULL : client_awaited_job(c);
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
		client_blank_secrets(c, shown, len);
		line = shown;
	}
	if (c->parser.lines == 0 && c->now - c->since >= SLOW)
		client_note_format(c, j, true, "%llu.%llu s later",
		    (unsigned long long)(c->now - c->since) / 1000,
		    (unsigned long long)(c->now - c->since) % 1000 / 100);
	/* A challenge may hold anything, in base64: what it says is noted where it is understood.
	 */
	client_note(c, j, must_be_shown(j, line, len), "S: ", line,
	    c->phase == PHASE_AUTH && len > 4 && line[0] == '3' ? 4 : len);
	r = smtp_reply_parser_line(&c->parser, line, len);
	if (r > 0)
		reply(c);
	else if (r == -ENOMEM)
		client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
	else if (r < 0)
		client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL,
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
			client_fault(c, SMTP_STAGE_STARTTLS, SMTP_FAULT_INJECTION,
			    "The server sent more in clear behind its reply to STARTTLS.");
			return;
		}
		if (c->in.len + take > line_limit(c)) {
			client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_PROTOCOL,
			    "The server sent a line without end.");
			return;
		}
		if (lf != NULL && c->in.len == 0) {
			take_line(c, bytes, take - 1);
		} else if (buf_append(&c->in, bytes, take) < 0) {
			client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_LOCAL, NULL);
		} else if (lf != NULL) {
			take_line(c, c->in.data, c->in.len - 1);
			buf_clear(&c->in);
		}
		bytes += take;
		len -= take;
	}
}

/* ---- output ---- */

const char *
smtp_client_output(struct smtp_client *c, size_t *len)
{
	client_produce(c);
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
	if (c->done != NULL) {
		struct job *j = c->done;

		c->done = j->next;
		if (c->done == NULL)
			c->done_last = &c->done;
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

unsigned
smtp_client_extensions(const struct smtp_client *c)
{
	return c->extensions;
}

bool
smtp_client_is_greeted(const struct smtp_client *c)
{
	return c->received;
}

/* ---- deadlines ---- */

static uint64_t
patience(const struct smtp_client *c)
{
	const struct job *j = client_awaited_job(c);

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
	return c->awaiting || j != NULL ? WAIT_REPLY : 0;
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
	client_fault(c, SMTP_STAGE_NONE, SMTP_FAULT_TIMEOUT, NULL);
}

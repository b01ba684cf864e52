/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session.c: see session.h.
 *
 * Every callback of the loop does its part and then calls drive(), which takes the engine's events,
 * writes what there is to write, and frees the session at its end: nothing touches a session behind
 * drive(). Whatever others ask of a session (a job, an end) is noted, and the loop is asked to
 * drive it later, so that jobs that come together are written together.
 */
#include "broker/send/session-internal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/message/adapt.h"

enum {
	GREETING_DOUBT =
	    5 * 1000, /* ms of silence on a plain connection after which TLS is suspected */
	IDLE_MAX = 60 * 1000,
	AGE_MAX = 5 * 60 * 1000,
	READS_PER_TURN = 64,
	READ_SIZE = 16 * 1024,
	PRELUDE_MAX = 1024,
};

/* ---- facts ---- */

void
session_note(struct session *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)buf_append_str(&s->prelude, "* ");
	(void)buf_vprintf(&s->prelude, format, ap);
	(void)buf_append_str(&s->prelude, "\n");
	va_end(ap);
}

struct job_session
session_facts(const struct session *s)
{
	struct session *own = (struct session *)(uintptr_t)s; /* its scratch buffer */
	struct job_session facts = {.endpoint = s->endpoint};

	buf_clear(&own->transcript);
	(void)buf_append_str(&own->transcript, buf_str(&s->prelude));
	if (s->client != NULL) {
		(void)buf_append_str(&own->transcript, smtp_client_session_transcript(s->client));
		facts.dsn = (smtp_client_extensions(s->client) & SMTP_EXT_DSN) != 0;
		facts.tls = s->tls_text[0] != '\0' ? s->tls_text : "none";
	}
	if (s->mechanism != SASL_NONE)
		facts.mechanism = sasl_mechanism_name(s->mechanism);
	facts.transcript = buf_str(&s->transcript);
	return facts;
}

struct session *
session_next(const struct session *s)
{
	return s->next;
}

void
session_set_next(struct session *s, struct session *next)
{
	s->next = next;
}

bool
session_is_ready(const struct session *s)
{
	return s->opened && !s->ended;
}

uint64_t
session_retry(const struct session *s)
{
	return s->retry_fits ? s->rejected : 0;
}

/* ---- the end ---- */

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	(void)resolver_cancel(s->lookup);
	(void)probe_free(s->probe);
	session_close_attempts(s);
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	if (s->timer != NULL)
		event_free(s->timer);
	if (s->kick != NULL)
		event_free(s->kick);
	SSL_free(s->ssl);
	if (s->fd >= 0)
		(void)close(s->fd);
	(void)smtp_client_free(s->client);
	while (s->jobs != NULL) {
		struct job *j = s->jobs;

		s->jobs = j->next;
		(void)job_free(j);
	}
	(void)secret_free(s->secret);
	free(s->user);
	smtp_reply_clear(&s->why);
	buf_free(&s->prelude);
	buf_free(&s->transcript);
	(void)account_unref(s->account);
	free(s);
}

void
session_fail(struct session *s, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	if (s->client != NULL) {
		smtp_client_lost(s->client, stage, fault, words);
	} else if (!s->ended) {
		s->ended = true;
		s->why = (struct smtp_reply){.stage = stage, .fault = fault, .text = strdup(words)};
		session_note(s, "%s", words);
	}
}

static void
log_end(const struct session *s)
{
	const struct smtp_reply *r = &s->why;
	char reply[16];
	const char *outcome = r->code > 0 ? smtp_stage_name(r->stage) : smtp_fault_name(r->fault);

	(void)snprintf(reply, sizeof(reply), "%d", r->code);
	if (s->opened || s->retry_fits)
		return;
	log_line(LOG_LEVEL_WARNING, "No session with the submission server.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_OUTCOME, outcome}, {LOG_REPLY, r->code > 0 ? reply : NULL},
		{LOG_ERROR, r->text}));
}

/* What the engine left to be said goes out if the socket takes it. */
static void
say_goodbye(struct session *s)
{
	size_t len = 0;
	const char *bytes;

	if (s->state != STATE_RUNNING || s->client == NULL || s->broken)
		return;
	bytes = smtp_client_output(s->client, &len);
	ERR_clear_error();
	if (s->ssl == NULL) {
		if (bytes != NULL)
			(void)send(s->fd, bytes, len, MSG_NOSIGNAL);
		return;
	}
	if (bytes != NULL && len <= INT_MAX)
		(void)SSL_write(s->ssl, bytes, (int)len);
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
}

static void
finish(struct session *s)
{
	struct pool *p = s->pool;

	say_goodbye(s);
	log_end(s);
	pool_session_ended(p, s, s->opened, &s->why);
	session_free(s);
	pool_release(p);
}

/* ---- octets ---- */

enum { IO_AGAIN = -1, IO_END = -2 };

static ssize_t
io_result(struct session *s, int r)
{
	int error = SSL_get_error(s->ssl, r);

	if (error == SSL_ERROR_WANT_WRITE)
		(void)event_add(s->writable, NULL);
	ERR_clear_error();
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? IO_AGAIN : IO_END;
}

static ssize_t
read_octets(struct session *s, char *to, size_t size)
{
	ssize_t n;

	if (s->ssl != NULL) {
		int r;

		ERR_clear_error();
		r = SSL_read(s->ssl, to, (int)size);
		return r > 0 ? r : io_result(s, r);
	}
	n = recv(s->fd, to, size, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN : IO_END;
}

static ssize_t
write_octets(struct session *s, const char *bytes, size_t len)
{
	ssize_t n;

	if (s->ssl != NULL) {
		int r;

		ERR_clear_error();
		r = SSL_write(s->ssl, bytes, (int)(len < INT32_MAX ? len : INT32_MAX));
		return r > 0 ? r : io_result(s, r);
	}
	n = send(s->fd, bytes, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return IO_END;
	(void)event_add(s->writable, NULL);
	return IO_AGAIN;
}

static void take_events(struct session *s);

/* Until nothing more waits. Events are taken after each piece, so that no octet behind the reply to
 * STARTTLS is read as if it were plain text. */
static void
read_some(struct session *s)
{
	char bytes[READ_SIZE];
	ssize_t n = IO_AGAIN;

	for (int i = 0; i < READS_PER_TURN && s->state == STATE_RUNNING && !s->ended; i++) {
		n = read_octets(s, bytes, sizeof(bytes));
		if (n < 0)
			break;
		smtp_client_input(s->client, bytes, (size_t)n, send_now());
		take_events(s);
	}
	if (s->ended || s->state != STATE_RUNNING)
		return;
	if (n == IO_END)
		smtp_client_lost(s->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	else if (n >= 0)
		event_active(s->kick, EV_READ, 0); /* more may wait inside TLS */
}

/* True when something was written. A connection that takes no more may still hold the server's last
 * words. */
static bool
write_some(struct session *s)
{
	size_t len;
	const char *bytes = s->broken ? NULL : smtp_client_output(s->client, &len);
	ssize_t n;

	if (bytes == NULL)
		return false;
	n = write_octets(s, bytes, len);
	if (n == IO_END) {
		s->broken = true;
		read_some(s);
		if (!s->ended && s->state == STATE_RUNNING)
			smtp_client_lost(s->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
		take_events(s);
	}
	if (n <= 0)
		return false;
	smtp_client_wrote(s->client, (size_t)n, send_now());
	return true;
}

/* ---- events of the engine ---- */

static void
on_ready(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->opened = true;
	s->retry_fits = false;
	s->secret = secret_free(s->secret);
	s->opened_at = s->idle_since = send_now();
	log_line(LOG_LEVEL_INFO, "Session with the submission server.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_MECHANISM, mechanism == SASL_NONE ? NULL : sasl_mechanism_name(mechanism)}));
	pool_session_ready(s->pool, s);
}

static void
on_job_done(struct session *s, const struct smtp_client_event *e)
{
	struct job **at = &s->jobs, *j;

	while (*at != NULL && (*at)->spec.id != e->job)
		at = &(*at)->next;
	j = *at;
	if (j == NULL)
		return;
	*at = j->next;
	if (*at == NULL)
		s->last_job = at;
	j->next = NULL;
	s->load -= j->spec.body_len;
	if (s->jobs == NULL)
		s->idle_since = send_now();
	pool_job_done(s->pool, s, j, e->replies, e->untried, smtp_client_job_transcript(s->client));
}

static void
on_closed(struct session *s, const struct smtp_reply *reply)
{
	s->ended = true;
	if (s->why.code != 0)
		return; /* the refusal of AUTH counts, not how the session ended after it */
	if (smtp_reply_copy(&s->why, reply) < 0)
		s->why = (struct smtp_reply){
		    .code = reply->code, .stage = reply->stage, .fault = reply->fault};
	/* No newer token was to be had: another session would meet the same. */
	if (reply->stage == SMTP_STAGE_TOKEN)
		s->retry_fits = false;
}

static void
take_events(struct session *s)
{
	struct smtp_client_event e;

	while (!s->ended && s->client != NULL && smtp_client_next(s->client, &e)) {
		switch (e.type) {
		case SMTP_CLIENT_START_TLS:
			session_start_tls(s);
			break;
		case SMTP_CLIENT_CREDENTIAL:
			session_on_credential_wanted(s, e.mechanism);
			break;
		case SMTP_CLIENT_READY:
			on_ready(s, e.mechanism);
			break;
		case SMTP_CLIENT_AUTH_FAILED:
			session_on_auth_failed(s, e.reply);
			break;
		case SMTP_CLIENT_JOB_DONE:
			on_job_done(s, &e);
			break;
		case SMTP_CLIENT_CLOSED:
			on_closed(s, e.reply);
			break;
		default:
			break;
		}
	}
}

/* ---- time ---- */

static uint64_t
next_deadline(const struct session *s)
{
	uint64_t at = s->client == NULL ? UINT64_MAX : smtp_client_deadline(s->client);

	if (s->state == STATE_CONNECTING)
		at = session_connect_deadline(s);
	if (s->client != NULL && !s->probed && s->tls != SMTP_TLS_IMPLICIT &&
	    !smtp_client_is_greeted(s->client) && s->connected_at + GREETING_DOUBT < at)
		at = s->connected_at + GREETING_DOUBT;
	if (s->opened && s->jobs == NULL && s->idle_since + IDLE_MAX < at)
		at = s->idle_since + IDLE_MAX;
	if (s->opened && s->opened_at + AGE_MAX < at)
		at = s->opened_at + AGE_MAX;
	return at;
}

/* A timer that goes off too early is armed again then: cheaper than moving it with every reply. */
static void
arm_timer(struct session *s)
{
	uint64_t at = next_deadline(s), now = send_now(), wait;
	struct timeval tv;

	if (at == UINT64_MAX || (s->timer_at != 0 && s->timer_at <= at))
		return;
	wait = at > now ? at - now : 0;
	tv = (struct timeval){
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000};
	if (event_add(s->timer, &tv) == 0)
		s->timer_at = at;
}

static void
look_at_clock(struct session *s)
{
	uint64_t now = send_now();

	if (s->state == STATE_CONNECTING) {
		session_connect_clock(s, now);
		return;
	}
	if (s->client == NULL)
		return;
	if (!s->probed && s->tls != SMTP_TLS_IMPLICIT && !smtp_client_is_greeted(s->client) &&
	    now >= s->connected_at + GREETING_DOUBT) {
		s->probed = true;
		session_probe(s);
	}
	if (s->opened && (now >= s->opened_at + AGE_MAX ||
			     (s->jobs == NULL && now >= s->idle_since + IDLE_MAX))) {
		s->opened_at = s->idle_since = UINT64_MAX - AGE_MAX; /* said once */
		smtp_client_quit(s->client, now);
	}
	smtp_client_timeout(s->client, now);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	s->timer_at = 0;
	look_at_clock(s);
	session_drive(s);
}

/* ---- the loop ---- */

void
session_drive(struct session *s)
{
	do
		take_events(s);
	while (!s->ended && s->state == STATE_RUNNING && write_some(s));
	if (s->ended)
		finish(s);
	else
		arm_timer(s);
}

void
session_on_io(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == STATE_HANDSHAKE)
		session_shake_hands(s);
	else
		read_some(s);
	session_drive(s);
}

static void
on_kick(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	if ((what & EV_READ) != 0 && s->state == STATE_RUNNING && !s->ended)
		read_some(s);
	session_drive(s);
}

/* ---- what others ask ---- */

struct session *
session_new(struct pool *p, uint64_t rejected)
{
	struct session *s = calloc(1, sizeof(*s));
	bool made = false;

	if (s == NULL)
		return NULL;
	s->pool = p;
	s->send = p->send;
	s->account = account_ref(p->account);
	s->fd = -1;
	s->last_job = &s->jobs;
	s->rejected = rejected;
	s->renewed = rejected > 0;
	s->prelude = (struct buf)BUF_INIT(PRELUDE_MAX);
	s->transcript = (struct buf)BUF_INIT(PRELUDE_MAX + SMTP_CLIENT_TRANSCRIPT_MAX);
	s->tls = p->account->tls;
	s->timer = event_new(s->send->base, -1, 0, on_timer, s);
	s->kick = event_new(s->send->base, -1, 0, on_kick, s);
	if (s->timer != NULL && s->kick != NULL)
		made = session_resolve(s);
	if (!made) {
		session_free(s);
		return NULL;
	}
	if (s->account->mechanisms != 0)
		session_ask_keeper(s);
	return s;
}

uint64_t
session_load(const struct session *s, size_t len, bool *room)
{
	*room = s->opened && !s->ended && smtp_client_room(s->client) > 0 &&
		(s->jobs == NULL || s->load + len <= SESSION_WINDOW_BYTES);
	return s->load;
}

int
session_submit(struct session *s, struct job *j)
{
	int r = adapt_job(j, smtp_client_extensions(s->client));

	if (r == 0)
		r = smtp_client_submit(s->client, &j->spec, send_now());
	if (r < 0)
		return r;
	*s->last_job = j;
	s->last_job = &j->next;
	s->load += j->spec.body_len;
	event_active(s->kick, EV_TIMEOUT, 0);
	return 0;
}

void
session_quit(struct session *s)
{
	if (s->client != NULL)
		smtp_client_quit(s->client, send_now());
	else
		session_fail(s, SMTP_STAGE_CONNECT, SMTP_FAULT_CLOSED,
		    "The session is not needed any more.");
	event_active(s->kick, EV_TIMEOUT, 0);
}

void
session_abort(struct session *s)
{
	session_fail(
	    s, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, "Frank was stopped before the server answered.");
	event_active(s->kick, EV_TIMEOUT, 0);
}

void
session_hang_up(struct session *s)
{
	if (!s->opened || s->ended || s->jobs != NULL)
		return;
	smtp_client_quit(s->client, send_now());
	say_goodbye(s);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* script.c: see script.h. */
#include "script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

enum { EVENTS_MAX = 64, JOBS_MAX = 40, RCPTS_MAX = 8, EVERY = -1, NEVER = -2 };

struct played_job {
	struct smtp_client_recipient recipients[RCPTS_MAX];
	char addresses[RCPTS_MAX][64];
	bool done;
};

struct play {
	struct smtp_client *client;
	uint64_t now;
	long cut; /* offset in all that the server says at which input is cut; EVERY: at each; NEVER
		   */
	long fed; /* octets so far */
	bool gather;        /* lines in a row are given at once */
	struct buf waiting; /* gathered */
	struct buf out;     /* written by the engine, not yet expected */
	char events[EVENTS_MAX][512];
	unsigned first, count;
	struct buf job_transcript, everything;
	struct played_job jobs[JOBS_MAX];
	unsigned line;
	const char *text;
	char secret[64];
};

struct smtp_client_config
script_config(void)
{
	return (struct smtp_client_config){
	    .host = "mx.test",
	    .port = 587,
	    .ehlo_name = "client.test",
	    .tls = SMTP_TLS_STARTTLS,
	    .mechanisms = SASL_TOKEN_MECHANISMS,
	    .order = {SASL_XOAUTH2, SASL_OAUTHBEARER},
	    .window = 4,
	    .window_bytes = 1024 * 1024,
	};
}

static void __attribute__((noreturn)) PRINTF_LIKE(2, 3)
    differ(const struct play *p, const char *format, ...)
{
	char words[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	fail_msg("line %u (cut %ld%s): %s", p->line, p->cut, p->gather ? ", gathered" : "", words);
	abort();
}

static void
reply_text(const struct smtp_reply *r, char *to, size_t size)
{
	char code[32];

	(void)snprintf(code, sizeof(code), "%d", r->code);
	(void)snprintf(to, size, "%s%s%s/%s%s", r->code > 0 ? code : smtp_fault_name(r->fault),
	    r->enhanced[0] != '\0' ? " " : "", r->enhanced, smtp_stage_name(r->stage),
	    r->in_doubt ? "?" : "");
}

/* "READY XOAUTH2", "DONE 1 250 2.0.0/eom 550/rcpt", "DONE 2 untried closed/mail", "CLOSED
 * 421 4.3.2/mail". */
static void
event_text(struct play *p, const struct smtp_client_event *e, char *to, size_t size)
{
	static const char *const names[] = {
	    "NONE", "START_TLS", "CREDENTIAL", "READY", "AUTH_FAILED", "DONE", "CLOSED"};
	char one[128];
	size_t n = (size_t)snprintf(to, size, "%s", names[e->type]);

	if (e->type != SMTP_CLIENT_START_TLS && e->type != SMTP_CLIENT_JOB_DONE &&
	    e->type != SMTP_CLIENT_CLOSED && e->mechanism != SASL_NONE)
		n += (size_t)snprintf(to + n, size - n, " %s", sasl_mechanism_name(e->mechanism));
	if (e->reply != NULL) {
		reply_text(e->reply, one, sizeof(one));
		(void)snprintf(to + n, size - n, " %s", one);
		if (e->reply->text != NULL)
			(void)buf_append_str(&p->everything, e->reply->text);
	}
	if (e->type != SMTP_CLIENT_JOB_DONE)
		return;
	n += (size_t)snprintf(
	    to + n, size - n, " %u%s", (unsigned)e->job, e->untried ? " untried" : "");
	for (unsigned i = 0; i < RCPTS_MAX && p->jobs[e->job].addresses[i][0] != '\0'; i++) {
		reply_text(&e->replies[i], one, sizeof(one));
		n += (size_t)snprintf(to + n, size - n, " %s", one);
		if (e->replies[i].text != NULL)
			(void)buf_append_str(&p->everything, e->replies[i].text);
	}
}

static void
take_events(struct play *p)
{
	struct smtp_client_event e;

	while (smtp_client_next(p->client, &e)) {
		assert_true(p->count < EVENTS_MAX);
		event_text(p, &e, p->events[p->count++], sizeof(p->events[0]));
		if (e.type == SMTP_CLIENT_JOB_DONE) {
			assert_false(p->jobs[e.job].done); /* exactly once */
			p->jobs[e.job].done = true;
			buf_clear(&p->job_transcript);
			(void)buf_append_str(
			    &p->job_transcript, smtp_client_job_transcript(p->client));
			(void)buf_append_str(&p->everything, smtp_client_job_transcript(p->client));
		}
	}
}

/* Takes what the engine wants to write: all of it, or `most` octets; octet by octet where input is
 * cut everywhere. */
static void
take_output(struct play *p, size_t most)
{
	const char *bytes;
	size_t len;

	while (most > 0 && (bytes = smtp_client_output(p->client, &len)) != NULL) {
		if (p->cut == EVERY)
			len = 1;
		if (len > most)
			len = most;
		assert_int_equal(buf_append(&p->out, bytes, len), 0);
		smtp_client_wrote(p->client, len, p->now);
		most -= len;
		take_events(p);
	}
	take_events(p);
}

static void
feed(struct play *p, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t take = len;

		if (p->cut == EVERY)
			take = 1;
		else if (p->cut > p->fed && p->cut < p->fed + (long)len)
			take = (size_t)(p->cut - p->fed);
		smtp_client_input(p->client, bytes, take, p->now);
		take_events(p);
		p->fed += (long)take;
		bytes += take;
		len -= take;
	}
}

static void
feed_waiting(struct play *p)
{
	if (p->waiting.len > 0)
		feed(p, p->waiting.data, p->waiting.len);
	buf_clear(&p->waiting);
}

static const char *
body_named(const char *name)
{
	static char big[200 * 1024];

	if (strcmp(name, "small") == 0)
		return "Subject: x\r\n\r\nhello\r\n";
	if (strcmp(name, "dots") == 0)
		return ".\r\n..\r\n.dot\r\nin.side\r\n\r\n.\r\n";
	if (strcmp(name, "open") == 0)
		return "no line end";
	assert_string_equal(name, "big");
	for (size_t i = 0; i + 1 < sizeof(big); i++)
		big[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	big[sizeof(big) - 1] = '\0';
	return big;
}

static void
submit(struct play *p, const char *words)
{
	struct smtp_client_job job = {.sender = "s@a.test", .envid = ""};
	char body[16] = "", flags[64] = "";
	unsigned id = 0, count = 0;
	struct played_job *j;
	int r;

	assert_true(sscanf(words, "%u %u %15s %63s", &id, &count, body, flags) >= 3);
	assert_true(id < JOBS_MAX && count <= RCPTS_MAX);
	j = &p->jobs[id];
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(j->addresses[i], sizeof(j->addresses[i]),
		    strstr(flags, "elsewhere") != NULL ? "r%u@C.test" : "r%u@b.test", i + 1);
		j->recipients[i].address = j->addresses[i];
		j->recipients[i].params = strstr(flags, "dsn") != NULL ? " NOTIFY=NEVER" : "";
	}
	job.id = id;
	job.recipients = j->recipients;
	job.recipient_count = count;
	job.body = body_named(body);
	job.body_len = strlen(job.body);
	job.eight_bit = strstr(flags, "8bit") != NULL;
	job.smtputf8 = strstr(flags, "utf8") != NULL;
	job.requiretls = strstr(flags, "requiretls") != NULL;
	job.trial = strstr(flags, "trial") != NULL;
	if (strstr(flags, "dsn") != NULL) {
		job.ret = SMTP_RET_HDRS;
		job.envid = "id+2B1";
	}
	if (strstr(flags, "null") != NULL)
		job.sender = "";
	if (strstr(flags, "bad") != NULL)
		job.sender = "a@b.test>\r\nRSET";
	r = smtp_client_submit(p->client, &job, p->now);
	if (strstr(flags, "full") != NULL)
		assert_int_equal(r, -EAGAIN);
	else if (strstr(flags, "bad") != NULL)
		assert_int_equal(r, -EINVAL);
	else if (r != 0)
		differ(p, "the job is refused: %d", r);
}

static void
wait_for(struct play *p, uint64_t ms)
{
	p->now += ms;
	if (p->now >= smtp_client_deadline(p->client))
		smtp_client_timeout(p->client, p->now);
}

static void
act(struct play *p, const char *what)
{
	char user[64], secret[64];
	unsigned n;

	if (strcmp(what, "tls") == 0) {
		smtp_client_tls_done(p->client, "TLSv1.3 TEST", p->now);
	} else if (sscanf(what, "token %63s %63s", user, secret) == 2) {
		CLEANUP_SECRET struct secret *s = secret_new(secret, strlen(secret));

		(void)snprintf(p->secret, sizeof(p->secret), "%s", secret);
		smtp_client_credential(p->client, user, s, p->now);
	} else if (strncmp(what, "submit ", 7) == 0) {
		submit(p, what + 7);
	} else if (strcmp(what, "quit") == 0) {
		smtp_client_quit(p->client, p->now);
	} else if (strcmp(what, "lost") == 0) {
		smtp_client_lost(p->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	} else if (strcmp(what, "fail") == 0) {
		smtp_client_fail(p->client, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL, "no token");
	} else if (sscanf(what, "wait %u", &n) == 1) {
		wait_for(p, n);
	} else if (sscanf(what, "write %u", &n) == 1) {
		take_output(p, n);
	} else {
		differ(p, "no such action: %s", what);
	}
	take_events(p);
}

static void
expect_line(struct play *p, const char *text, size_t len)
{
	const char *lf;
	size_t got;

	take_output(p, SIZE_MAX);
	lf = p->out.len == 0 ? NULL : memchr(p->out.data, '\n', p->out.len);
	got = lf == NULL ? p->out.len : (size_t)(lf - p->out.data) + 1;
	if (got < 2 || got - 2 != len || memcmp(p->out.data, text, len) != 0)
		differ(p, "expected C: %.*s, got: %.*s", (int)len, text,
		    (int)(got < 200 ? got : 200), buf_str(&p->out));
	buf_consume(&p->out, got);
}

static void
skip_lines(struct play *p, unsigned count)
{
	size_t at = 0;

	take_output(p, SIZE_MAX);
	for (; count > 0; count--) {
		const char *lf = memchr(buf_str(&p->out) + at, '\n', p->out.len - at);

		if (lf == NULL)
			differ(p, "%u lines more were expected", count);
		at = (size_t)(lf - p->out.data) + 1;
	}
	buf_consume(&p->out, at);
}

static void
expect_event(struct play *p, const char *text, size_t len)
{
	if (p->first == p->count)
		differ(p, "expected the event %.*s, got none", (int)len, text);
	if (strlen(p->events[p->first]) != len || memcmp(p->events[p->first], text, len) != 0)
		differ(p, "expected the event %.*s, got %s", (int)len, text, p->events[p->first]);
	p->first++;
}

static void
play_line(struct play *p, const char *line, size_t len)
{
	char text[512];
	bool says = line[0] == 'S' || line[0] == 's';

	if (len < 2)
		return;
	(void)snprintf(text, sizeof(text), "%.*s", (int)(len > 3 ? len - 3 : 0), line + 3);
	if (!says || !p->gather)
		feed_waiting(p);
	switch (line[0]) {
	case 'S':
	case 's':
		(void)buf_append_str(&p->waiting, text);
		if (line[0] == 'S')
			(void)buf_append_str(&p->waiting, "\r\n");
		break;
	case 'C':
		if (line[1] == '=') {
			take_output(p, SIZE_MAX);
			if (p->out.len > 0)
				differ(p, "expected silence, got: %s", buf_str(&p->out));
		} else if (line[1] == '!') {
			buf_clear(&p->out);
		} else if (line[1] == '~') {
			skip_lines(p, (unsigned)strtoul(text, NULL, 10));
		} else {
			expect_line(p, text, strlen(text));
		}
		break;
	case 'E':
		if (line[1] == '=') {
			if (p->first != p->count)
				differ(p, "expected no event, got %s", p->events[p->first]);
		} else {
			expect_event(p, text, strlen(text));
		}
		break;
	case 'A':
		act(p, text);
		break;
	case 'T':
		if (strstr(buf_str(&p->job_transcript), text) == NULL)
			differ(p, "the job's transcript lacks: %s\n%s", text,
			    buf_str(&p->job_transcript));
		break;
	case 't':
		if (strstr(smtp_client_session_transcript(p->client), text) == NULL)
			differ(p, "the session's transcript lacks: %s\n%s", text,
			    smtp_client_session_transcript(p->client));
		break;
	default:
		differ(p, "no such line");
	}
	if (says && !p->gather)
		feed_waiting(p);
}

static void
check_no_secret(struct play *p)
{
	CLEANUP_BUF struct buf encoded = BUF_INIT(256);

	if (strlen(p->secret) < 8)
		return; /* part of any word */
	(void)buf_append_str(&p->everything, smtp_client_session_transcript(p->client));
	assert_null(strstr(buf_str(&p->everything), p->secret));
	assert_int_equal(base64_encode(&encoded, p->secret, strlen(p->secret)), 0);
	assert_null(strstr(buf_str(&p->everything), buf_str(&encoded)));
}

/* Plays once. Returns how many octets the server said. */
static long
play_once(const struct smtp_client_config *config, const char *script, long cut, bool gather)
{
	struct play *p = calloc(1, sizeof(*p));
	long said;

	assert_non_null(p);
	p->cut = cut;
	p->gather = gather;
	p->now = 1000;
	p->waiting = p->out = p->job_transcript = p->everything =
	    (struct buf)BUF_INIT(8 * 1024 * 1024);
	p->client = smtp_client_new(config, p->now);
	assert_non_null(p->client);
	take_events(p);
	while (*script != '\0') {
		size_t len = strcspn(script, "\n");

		p->line++;
		play_line(p, script, len);
		script += len + (script[len] == '\n');
	}
	feed_waiting(p);
	take_output(p, SIZE_MAX);
	if (p->out.len > 0)
		differ(p, "unexpected output at the end: %s", buf_str(&p->out));
	if (p->first != p->count)
		differ(p, "unexpected event at the end: %s", p->events[p->first]);
	check_no_secret(p);
	said = p->fed;
	(void)smtp_client_free(p->client);
	buf_free(&p->waiting);
	buf_free(&p->out);
	buf_free(&p->job_transcript);
	buf_free(&p->everything);
	free(p);
	return said;
}

void
script_play(const struct smtp_client_config *config, const char *script)
{
	long said = play_once(config, script, NEVER, false);

	(void)play_once(config, script, NEVER, true);
	(void)play_once(config, script, EVERY, false);
	(void)play_once(config, script, EVERY, true);
	for (long cut = 1; cut < said; cut++)
		(void)play_once(config, script, cut, true);
}

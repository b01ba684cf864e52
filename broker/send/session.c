/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session.c: see session.h.
 *
 * The credential is asked for while the name is still looked up, and its secret is held until the server accepted
 * it. A token that the server refuses may have been revoked or have expired on the way: one newer one is asked for and
 * tried. A refusal that passes by itself (4yz) says nothing about the token.
 */
#include "broker/send/session.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/message/adapt.h"
#include "broker/send/connection.h"

enum {
	IDLE_MAX = 60 * 1000, /* ms */
	AGE_MAX = 5 * 60 * 1000,
	WINDOW_BYTES = 256 * 1024, /* content on its way at most, unless one message has more */
	MAILS_MAX = 1000,          /* of one session */
	WINDOW = 16,               /* messages in flight */
};

enum state {
	STATE_OPENING,
	STATE_LOGIN, /* the engine waits for the credential */
	STATE_READY,
	STATE_ENDED,
};

struct session {
	LIST_ENTRY(session) link;
	const struct session_ops *ops;
	void *arg;
	struct send_env *env;
	struct smtp_account *account;
	struct smtp_connection *connection;
	enum state state;
	bool retry_fits; /* see session_retry */
	struct auth_secret auth;
	enum sasl_mechanism mechanism;
	struct smtp_reply refusal; /* of AUTH, where that is final */

	struct job_list jobs; /* given to the engine, in order */
	uint64_t load;
	struct event *timer; /* of its age and idleness */
	uint64_t opened_at, idle_since;
};

/* ---- facts ---- */

struct job_session
session_facts(const struct session *s)
{
	const struct smtp_client *client = connection_client(s->connection);
	const char *tls = connection_tls(s->connection);
	struct job_session facts = {.endpoint = connection_endpoint(s->connection),
	    .transcript = connection_transcript(s->connection)};

	if (client != NULL) {
		facts.dsn = (smtp_client_extensions(client) & SMTP_EXT_DSN) != 0;
		facts.tls = *tls != '\0' ? tls : "none";
	}
	if (s->mechanism != SASL_NONE)
		facts.mechanism = sasl_mechanism_name(s->mechanism);
	return facts;
}

struct session *
session_next(const struct session *s)
{
	return LIST_NEXT(s, link);
}

bool
session_is_ready(const struct session *s)
{
	return s->state == STATE_READY;
}

uint64_t
session_retry(const struct session *s)
{
	return s->retry_fits ? s->auth.refused : 0;
}

/* ---- the credential ---- */

static void
give_credential(struct session *s)
{
	const struct auth_secret *c = &s->auth;

	s->state = STATE_OPENING;
	smtp_client_credential(
	    connection_client(s->connection), c->user, c->secret, clock_boottime_ms());
	connection_wake(s->connection);
}

static void
credential_failed(struct session *s, const struct smtp_reply *why)
{
	connection_fail(s->connection, why->stage, why->fault, why->text);
}

bool
session_credential(struct session *s, uint64_t id, const struct message *m)
{
	struct auth_secret *c = &s->auth;
	struct smtp_reply why;

	if (!auth_secret_is_asked(c, id))
		return false;
	if (!auth_secret_take(c, m, &why))
		credential_failed(s, &why);
	else if ((s->account->mechanisms &
		     (c->kind == AUTH_SECRET_TOKEN ? SASL_TOKEN_MECHANISMS
						   : SASL_PASSWORD_MECHANISMS)) == 0)
		connection_fail(s->connection, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL,
		    "The credential is of another kind than the account's mechanisms need.");
	else if (s->state == STATE_LOGIN)
		give_credential(s);
	return true;
}

void
session_keeper_up(struct session *s, bool up)
{
	struct smtp_reply why;

	if (!auth_secret_keeper_up(&s->auth, up, &why))
		credential_failed(s, &why);
}

static void
on_credential_wanted(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->state = STATE_LOGIN;
	if (s->auth.state == AUTH_SECRET_HELD)
		give_credential(s);
	else if (s->auth.state == AUTH_SECRET_NONE)
		auth_secret_ask(&s->auth);
}

static void
on_auth_failed(struct session *s, const struct smtp_reply *reply)
{
	bool token = (s->mechanism & SASL_TOKEN_MECHANISMS) != 0;

	log_line(LOG_LEVEL_NOTICE, "The submission server refused the credential.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name},
		{LOG_ENDPOINT, connection_endpoint(s->connection)},
		{LOG_MECHANISM, sasl_mechanism_name(s->mechanism)}, {LOG_REPLY, reply->text}));
	if (token && reply->code >= 500 && !s->auth.renewed) {
		s->retry_fits = true;
		s->state = STATE_LOGIN;
		auth_secret_renew(&s->auth);
		return;
	}
	s->retry_fits = false;
	(void)smtp_reply_copy(&s->refusal, reply);
	connection_quit(s->connection);
}

/* ---- time ---- */

static uint64_t
next_deadline(const struct session *s, uint64_t now)
{
	uint64_t idle = (STAILQ_EMPTY(&s->jobs) ? s->idle_since : now) + IDLE_MAX,
		 age = s->opened_at + AGE_MAX;

	return idle < age ? idle : age;
}

/* Jobs do not move the timer: it looks anew when it goes off. */
static void
arm_timer(struct session *s)
{
	uint64_t now = clock_boottime_ms(), at = next_deadline(s, now),
		 wait = at > now ? at - now : 0;
	struct timeval tv = {
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000};

	(void)event_add(s->timer, &tv);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;
	uint64_t now = clock_boottime_ms();

	if (s->state != STATE_READY)
		return;
	if (now >= next_deadline(s, now))
		connection_quit(s->connection);
	else
		arm_timer(s);
}

/* ---- events of the connection ---- */

static void
on_ready(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->state = STATE_READY;
	s->retry_fits = false;
	auth_secret_drop(&s->auth);
	s->opened_at = s->idle_since = clock_boottime_ms();
	arm_timer(s);
	log_line(LOG_LEVEL_INFO, "Session with the submission server.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name},
		{LOG_ENDPOINT, connection_endpoint(s->connection)},
		{LOG_MECHANISM, mechanism == SASL_NONE ? NULL : sasl_mechanism_name(mechanism)}));
	s->ops->ready(s->arg, s);
}

static void
on_job_done(struct session *s, const struct smtp_client_event *e)
{
	struct job *j = STAILQ_FIRST(&s->jobs);

	while (j != NULL && j->spec.id != e->job)
		j = STAILQ_NEXT(j, link);
	if (j == NULL)
		return;
	STAILQ_REMOVE(&s->jobs, j, job, link);
	s->load -= j->spec.body_len;
	if (STAILQ_EMPTY(&s->jobs))
		s->idle_since = clock_boottime_ms();
	s->ops->job_done(s->arg, s, j, e->replies, e->untried,
	    smtp_client_job_transcript(connection_client(s->connection)));
}

static void
on_closed(struct session *s, const struct smtp_reply *reply)
{
	bool opened = s->state == STATE_READY;
	char code[16];

	s->state = STATE_ENDED;
	/* The refusal of AUTH counts, not how the session ended after it. */
	if (s->refusal.code != 0)
		reply = &s->refusal;
	/* No newer token was to be had: another session would meet the same. */
	else if (reply->stage == SMTP_STAGE_TOKEN)
		s->retry_fits = false;
	(void)snprintf(code, sizeof(code), "%d", reply->code);
	if (!opened && !s->retry_fits)
		log_line(LOG_LEVEL_WARNING, "No session with the submission server.",
		    LOG_PAIRS({LOG_ACCOUNT, s->account->name},
			{LOG_ENDPOINT, connection_endpoint(s->connection)},
			{LOG_OUTCOME, reply->code > 0 ? smtp_stage_name(reply->stage)
						      : smtp_fault_name(reply->fault)},
			{LOG_REPLY, reply->code > 0 ? code : NULL}, {LOG_ERROR, reply->text}));
	s->ops->ended(s->arg, s, opened, reply);
}

static void
on_event(void *arg, const struct smtp_client_event *e)
{
	struct session *s = arg;

	switch (e->type) {
	case SMTP_CLIENT_CREDENTIAL:
		on_credential_wanted(s, e->mechanism);
		break;
	case SMTP_CLIENT_READY:
		on_ready(s, e->mechanism);
		break;
	case SMTP_CLIENT_AUTH_FAILED:
		on_auth_failed(s, e->reply);
		break;
	case SMTP_CLIENT_JOB_DONE:
		on_job_done(s, e);
		break;
	case SMTP_CLIENT_CLOSED:
		on_closed(s, e->reply);
		break;
	default:
		break;
	}
}

static struct tls_context *
tls_context(void *arg, char *why, size_t why_size)
{
	return account_tls_context(((struct session *)arg)->account, why, why_size);
}

static const struct connection_ops connection_ops = {.tls_context = tls_context, .event = on_event};

/* ---- what the owner asks ---- */

static struct smtp_connection *
begin(struct session *s)
{
	const struct smtp_account *a = s->account;
	struct connection_config config = {.base = s->env->base,
	    .resolver = s->env->resolver,
	    .smtp = {.host = a->srv ? NULL : a->host,
		.port = a->port,
		.ehlo_name = s->env->hostname,
		.tls = a->tls,
		.mechanisms = a->mechanisms,
		.secret_without_tls = a->secret_without_tls,
		.window = WINDOW,
		.window_bytes = WINDOW_BYTES,
		.mails_max = MAILS_MAX},
	    .domain = a->srv ? a->host : NULL,
	    .tls_either = a->tls_either,
	    .tls_name = a->tls_name,
	    .ops = &connection_ops,
	    .arg = s};

	memcpy(config.smtp.order, a->order, sizeof(a->order));
	return connection_new(&config);
}

struct session *
session_new(struct session_list *list, struct send_env *env, struct smtp_account *a,
    uint64_t refused, const struct session_ops *ops, void *arg)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->account = account_ref(a);
	s->ops = ops;
	s->arg = arg;
	s->auth = (struct auth_secret){.to_keeper = env->ops->to_keeper,
	    .arg = env->arg,
	    .account = a->name,
	    .min_valid = a->min_valid,
	    .last_id = &env->last_id,
	    .renewed = refused > 0,
	    .refused = refused};
	STAILQ_INIT(&s->jobs);
	LIST_INSERT_HEAD(list, s, link);
	s->timer = event_new(env->base, -1, 0, on_timer, s);
	s->connection = s->timer == NULL ? NULL : begin(s);
	if (s->connection == NULL) {
		session_free(s);
		return NULL;
	}
	if (a->mechanisms != 0)
		auth_secret_ask(&s->auth);
	return s;
}

void
session_free(struct session *s)
{
	LIST_REMOVE(s, link);
	(void)connection_free(s->connection);
	if (s->timer != NULL)
		event_free(s->timer);
	job_list_free(&s->jobs);
	auth_secret_drop(&s->auth);
	smtp_reply_clear(&s->refusal);
	(void)account_unref(s->account);
	free(s);
}

uint64_t
session_load(const struct session *s, size_t len, bool *room)
{
	*room = s->state == STATE_READY && smtp_client_room(connection_client(s->connection)) > 0 &&
		(STAILQ_EMPTY(&s->jobs) || s->load + len <= WINDOW_BYTES);
	return s->load;
}

int
session_submit(struct session *s, struct job *j)
{
	struct smtp_client *client = connection_client(s->connection);
	int r = adapt_job(j, smtp_client_extensions(client));

	if (r == 0)
		r = smtp_client_submit(client, &j->spec, clock_boottime_ms());
	if (r < 0)
		return r;
	STAILQ_INSERT_TAIL(&s->jobs, j, link);
	s->load += j->spec.body_len;
	connection_wake(s->connection);
	return 0;
}

void
session_quit(struct session *s)
{
	connection_quit(s->connection);
}

void
session_abort(struct session *s)
{
	connection_fail(s->connection, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED,
	    "Frank was stopped before the server answered.");
}

void
session_hang_up(struct session *s)
{
	if (s->state == STATE_READY && STAILQ_EMPTY(&s->jobs))
		connection_hang_up(s->connection);
}

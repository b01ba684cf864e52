/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check.c: see check.h.
 *
 *   name ─┬─▶ look at the configured port ──▶ token ──▶ login ──▶ each sender ──▶ (send) ──┬─▶ done
 *         ├─▶ look at the other ports ─────────────────────────────────────────────────────┤
 *   domain's records ──────────────────────────────────────────────────────────────────────┘
 *
 * The first thing that goes wrong on the upper line decides the verdict, and what would come behind
 * it is not tried. A token that is refused is replaced once, as delivery does.
 *
 * A look has no credential. Where a certificate is not accepted it goes on, so that what the server says can be told;
 * nothing that it learns reaches the login.
 */
#include "broker/send/check/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/codec.h"
#include "broker/ipc/reply.h"
#include "broker/send/check/check-domain.h"
#include "broker/send/connection.h"

enum {
	PORTS_MAX = 6,
	PATIENCE = 20 * 1000,      /* ms without an answer at the configured port */
	PATIENCE_OTHER = 6 * 1000, /* at the others */
	SEEN_MAX = 4,
	CHECKS_MAX = 8,
	TRANSCRIPT_ALL = 40 * 1024,
	STEP_TEXT_MAX = 6 * 1024
};

/* One port that is looked at. */
struct port {
	struct check_run *check;
	struct smtp_connection *connection;
	unsigned number;
	enum smtp_tls tls;
	bool done, fine; /* SMTP was spoken to the end */
	bool trusted;    /* and the certificate was accepted */
};

enum login_state {
	LOGIN_NONE, /* not begun */
	LOGIN_OPENING,
	LOGIN_WAITING, /* the engine waits for the credential */
	LOGIN_TRYING,  /* logged in: each sender is tried */
	LOGIN_SENDING, /* the message that was asked for */
	LOGIN_DONE,
};

struct check_run {
	LIST_ENTRY(check_run) link;
	struct send_env *env;
	uint64_t id;
	struct smtp_account *account; /* a reference; NULL: a server alone */
	char *host, *provider, *to, *selector, *body;
	size_t body_len;
	char **senders;
	size_t sender_count;
	unsigned port;
	enum smtp_tls tls;
	uint64_t flags;
	/* Two, so that nothing which a look has learned reaches the login. */
	struct tls_context *context, *login_context;
	char *service; /* the domain whose DNS named the server; NULL: it is configured itself */

	struct lookup *lookup, *alias; /* questions that are open */
	struct netaddr addresses[RESOLVER_ADDRESSES_MAX];
	size_t address_count;
	struct port ports[PORTS_MAX]; /* the configured one first */
	size_t port_count;
	struct check_domain *domain; /* NULL: not asked, or done */

	enum login_state login;
	struct smtp_connection *connection; /* of the login */
	bool reopened;                      /* it is the second: the server closed the first */
	struct auth_secret auth;
	size_t sender_at; /* the one that is tried */
	struct smtp_client_recipient recipient;

	bool decided;
	struct smtp_reply why;
	char mechanism_name[32], deciding_sender[ADDRESS_MAX + 1], endpoint[400];
	struct buf transcript;
};

static void go_on(struct check_run *c);

/* ---- telling ---- */

static void PRINTF_LIKE(4, 5)
    step(struct check_run *c, const char *name, const char *state, const char *format, ...)
{
	struct message *m = message_new(M_CHECK_STEP);
	CLEANUP_BUF struct buf text = BUF_INIT(STEP_TEXT_MAX), clean = BUF_INIT(STEP_TEXT_MAX);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	/* A word of a server's or of DNS's that is no UTF-8 would end the report: JSON has no room for it. */
	(void)text_clean(&clean, buf_str(&text));
	message_put_u64(m, F_ID, c->id);
	message_put_str(m, F_NAME, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, buf_str(&clean));
	if (m != NULL)
		c->env->ops->to_queue(c->env->arg, m);
}

static void
decide(struct check_run *c, const struct smtp_reply *why)
{
	if (c->decided)
		return;
	c->decided = true;
	(void)smtp_reply_copy(&c->why, why);
}

static void
reply_text(const struct smtp_reply *r, char *to, size_t size)
{
	const char *text = r->text == NULL ? smtp_fault_name(r->fault) : r->text;

	if (r->code > 0)
		(void)snprintf(to, size, "%d%s%s %s", r->code, r->enhanced[0] != '\0' ? " " : "",
		    r->enhanced, text);
	else
		(void)snprintf(to, size, "%s", text);
}

static void
keep_transcript(struct check_run *c, const char *title, const char *text)
{
	if (*text == '\0')
		return;
	if (title != NULL)
		(void)buf_printf(&c->transcript, "* ---- %s\n", title);
	(void)buf_append_str(&c->transcript, text);
}

/* ---- the end ---- */

static void
check_free(struct check_run *c)
{
	LIST_REMOVE(c, link);
	(void)resolver_cancel(c->lookup);
	(void)resolver_cancel(c->alias);
	(void)check_domain_free(c->domain);
	(void)connection_free(c->connection);
	for (size_t i = 0; i < c->port_count; i++)
		(void)connection_free(c->ports[i].connection);
	auth_secret_drop(&c->auth);
	(void)tls_context_free(c->context);
	(void)tls_context_free(c->login_context);
	(void)account_unref(c->account);
	for (size_t i = 0; i < c->sender_count; i++)
		free(c->senders[i]);
	free(c->senders);
	free(c->host);
	free(c->service);
	free(c->provider);
	free(c->to);
	free(c->selector);
	free(c->body);
	smtp_reply_clear(&c->why);
	buf_free(&c->transcript);
	free(c);
}

/* Is it a fault that another port of the same server may not have? */
static bool
is_of_port(const struct smtp_reply *why)
{
	switch (why->fault) {
	case SMTP_FAULT_REFUSED:
	case SMTP_FAULT_UNREACHABLE:
	case SMTP_FAULT_CONNECT_TIMEOUT:
	case SMTP_FAULT_TLS_PLAINTEXT:
	case SMTP_FAULT_TLS_SILENT:
	case SMTP_FAULT_NO_STARTTLS:
	case SMTP_FAULT_NO_AUTH:
		return true;
	default:
		return false;
	}
}

/* What works instead of the configured port, as a next step. "" where nothing does. */
static void
suggest_port(const struct check_run *c, char *to, size_t size)
{
	to[0] = '\0';
	for (size_t i = 1; i < c->port_count; i++) {
		const struct port *l = &c->ports[i];

		if (!l->fine || !l->trusted || l->number == 25)
			continue;
		(void)snprintf(to, size,
		    "Port %u answers with %s: submit = \"%s:%u\" and tls = \"%s\".", l->number,
		    l->tls == SMTP_TLS_IMPLICIT ? "TLS from the first octet" : "STARTTLS", c->host,
		    l->number, l->tls == SMTP_TLS_IMPLICIT ? "implicit" : "starttls");
		return;
	}
}

static void
finish(struct check_run *c)
{
	struct message *m = message_new(M_CHECK_DONE);
	char next[400] = "";

	if (c->decided && is_of_port(&c->why))
		suggest_port(c, next, sizeof(next));
	message_put_u64(m, F_ID, c->id);
	if (c->decided)
		reply_put(m, F_RESULT, &c->why);
	message_put_str(m, F_ENDPOINT, c->endpoint);
	if (c->mechanism_name[0] != '\0')
		message_put_str(m, F_MECHANISM, c->mechanism_name);
	if (c->deciding_sender[0] != '\0')
		message_put_str(m, F_SENDER, c->deciding_sender);
	if (next[0] != '\0')
		message_put_str(m, F_NEXT, next);
	message_put_str(m, F_TRANSCRIPT, buf_str(&c->transcript));
	c->env->ops->to_queue(c->env->arg, m);
	check_free(c);
}

/* ---- looking at a port ---- */

static void
put_offer(struct buf *out, const struct smtp_client_offer *o)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{SMTP_EXT_PIPELINING, "PIPELINING"}, {SMTP_EXT_8BITMIME, "8BITMIME"},
	    {SMTP_EXT_SMTPUTF8, "SMTPUTF8"}, {SMTP_EXT_DSN, "DSN"}, {SMTP_EXT_CHUNKING, "CHUNKING"},
	    {SMTP_EXT_STARTTLS, "STARTTLS"}, {SMTP_EXT_REQUIRETLS, "REQUIRETLS"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((o->extensions & names[i].bit) != 0)
			(void)buf_printf(out, "%s%s", out->len > 0 ? " " : "", names[i].name);
	if (o->size_max > 0)
		(void)buf_printf(
		    out, "%sSIZE %llu", out->len > 0 ? " " : "", (unsigned long long)o->size_max);
}

static const char *
or_none(const char *s)
{
	return *s == '\0' ? "none" : s;
}

static const char *
tls_words(enum smtp_tls tls)
{
	return tls == SMTP_TLS_IMPLICIT ? "TLS from the first octet"
	       : tls == SMTP_TLS_NONE   ? "no TLS"
					: "STARTTLS";
}

/* The offers, before and within TLS. */
static void
report_offers(struct check_run *c, const struct port *l)
{
	struct smtp_client_offer clear = connection_offer(l->connection, false),
				 within = connection_offer(l->connection, true);
	CLEANUP_BUF struct buf before = BUF_INIT(1000), inside = BUF_INIT(1000);
	bool secure;

	put_offer(&before, &clear);
	put_offer(&inside, &within);
	if (clear.given)
		step(c, "ehlo", "info", "before TLS: %s", or_none(buf_str(&before)));
	if (within.given)
		step(c, "ehlo", "info", "within TLS: %s", or_none(buf_str(&inside)));
	secure = l->tls != SMTP_TLS_NONE;
	if (!clear.given && !within.given)
		return;
	if (clear.given && within.given)
		step(c, "auth-offer",
		    *clear.auth != '\0'    ? "warn"
		    : *within.auth != '\0' ? "ok"
					   : "info",
		    "before TLS: %s%s; within TLS: %s", or_none(clear.auth),
		    *clear.auth != '\0'
			? " (a client that forgets TLS would give its password away)"
			: "",
		    or_none(within.auth));
	else
		step(c, "auth-offer", *(secure ? within : clear).auth != '\0' ? "ok" : "info",
		    "%s TLS: %s", secure ? "within" : "without",
		    or_none((secure ? within : clear).auth));
}

static void
report_certificate(struct check_run *c, const struct port *l)
{
	const struct tls_trouble *t = connection_trouble(l->connection);

	if (*connection_chain(l->connection) == '\0')
		return;
	step(c, "certificate", t->fault == SMTP_FAULT_NONE ? "ok" : "fail", "%s%s%s",
	    t->fault == SMTP_FAULT_NONE ? "" : t->words, t->fault == SMTP_FAULT_NONE ? "" : "\n",
	    connection_chain(l->connection));
}

static void
report_configured(struct check_run *c, struct port *l, const struct smtp_reply *end)
{
	const struct tls_trouble *t = connection_trouble(l->connection);
	char text[600];

	reply_text(end, text, sizeof(text));
	if (*connection_address(l->connection) == '\0') {
		step(c, "connect", "fail", "%s", text);
		decide(c, end);
		return;
	}
	(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u [%s]", c->host, c->port,
	    connection_address(l->connection));
	step(c, "connect", "ok", "%s", c->endpoint);
	if (*connection_tls(l->connection) != '\0')
		step(c, "tls", "ok", "%s, %s", tls_words(l->tls), connection_tls(l->connection));
	report_certificate(c, l);
	if (t->fault != SMTP_FAULT_NONE && end->code == 0 && t->fault == end->fault) {
		step(c, "tls", "fail", "%s", text);
		decide(c, end);
	} else if (t->fault != SMTP_FAULT_NONE) {
		const struct smtp_reply bad = {
		    .stage = SMTP_STAGE_TLS, .fault = t->fault, .text = t->words};

		decide(c, &bad);
	}
	if (!l->fine) {
		if (!c->decided)
			step(c,
			    end->stage == SMTP_STAGE_TLS || end->stage == SMTP_STAGE_STARTTLS
				? "tls"
				: smtp_stage_name(end->stage),
			    "fail", "%s", text);
		decide(c, end);
	}
}

/* A server without an account, that is no relay: people log in there. */
static void
judge_offer(struct check_run *c, const struct port *l)
{
	const struct smtp_reply none = {.stage = SMTP_STAGE_AUTH,
	    .fault = SMTP_FAULT_NO_AUTH,
	    .text = "The server does not offer AUTH."};

	if (c->account == NULL && l->number != 25 &&
	    *connection_offer(l->connection, l->tls != SMTP_TLS_NONE).auth == '\0')
		decide(c, &none);
}

static void
report_other(struct check_run *c, struct port *l, const struct smtp_reply *end)
{
	char name[24], text[600];

	(void)snprintf(name, sizeof(name), "port %u", l->number);
	reply_text(end, text, sizeof(text));
	if (l->fine) {
		const char *auth = connection_offer(l->connection, l->tls != SMTP_TLS_NONE).auth;

		step(c, name, "info", "%s, AUTH %s%s", tls_words(l->tls), or_none(auth),
		    connection_trouble(l->connection)->fault != SMTP_FAULT_NONE
			? "; its certificate is not accepted"
			: "");
	} else {
		step(c, name, "info", "%s", text);
	}
}

static void
look_ended(struct port *l, const struct smtp_reply *end)
{
	struct check_run *c = l->check;
	bool own = l == &c->ports[0];
	char title[400];

	if (l->done)
		return;
	l->done = true;
	l->fine = l->fine || (end->code == 220 && end->stage == SMTP_STAGE_TLS);
	l->trusted = l->fine && connection_trouble(l->connection)->fault == SMTP_FAULT_NONE;
	if (own)
		report_configured(c, l, end);
	else
		report_other(c, l, end);
	(void)snprintf(
	    title, sizeof(title), "%s:%u, looking without a credential", c->host, l->number);
	if (own || l->fine)
		keep_transcript(c, title, connection_transcript(l->connection));
}

static void
on_look(void *arg, const struct smtp_client_event *e)
{
	static const struct smtp_reply fine = {.code = 250, .stage = SMTP_STAGE_EHLO};
	struct port *l = arg;
	struct check_run *c = l->check;
	bool was_done = l->done, own = l == &c->ports[0];

	if (e->type == SMTP_CLIENT_READY) {
		l->fine = true;
		look_ended(l, &fine);
		if (own) {
			report_offers(c, l);
			judge_offer(c, l);
		}
		connection_quit(l->connection);
		go_on(c);
	} else if (e->type == SMTP_CLIENT_CLOSED) {
		look_ended(l, e->reply);
		if (own && !was_done)
			report_offers(c, l);
		l->connection = connection_free(l->connection);
		go_on(c);
	}
}

static struct tls_context *
look_context(void *arg, char *why, size_t why_size)
{
	return ((struct port *)arg)->check->context;
}

/* What a look and the login have in common. */
static struct connection_config
connection_config(const struct check_run *c, unsigned port, enum smtp_tls tls)
{
	return (struct connection_config){.base = c->env->base,
	    .resolver = c->env->resolver,
	    .smtp = {.host = c->host,
		.port = port,
		.ehlo_name = c->env->hostname,
		.tls = tls,
		.window = 1},
	    .domain = c->service,
	    .tls_name = c->account == NULL ? NULL : c->account->tls_name,
	    .addresses = c->addresses,
	    .address_count = c->address_count,
	    .patience = PATIENCE};
}

static void
look_at(struct check_run *c, unsigned port, enum smtp_tls tls)
{
	static const struct connection_ops ops = {.tls_context = look_context, .event = on_look};
	struct port *l = &c->ports[c->port_count];
	struct connection_config config = connection_config(c, port, tls);

	config.purpose = (c->flags & CHECK_API) != 0 ? CONNECTION_LOOKS_AT_TLS : CONNECTION_LOOKS;
	if (c->port_count++ > 0)
		config.patience = PATIENCE_OTHER;
	config.ops = &ops;
	config.arg = l;
	*l = (struct port){.check = c, .number = port, .tls = tls};
	l->connection = connection_new(&config);
	l->done = l->connection == NULL;
}

/* ---- the credential ---- */

static void
credential_failed(struct check_run *c, const struct smtp_reply *why)
{
	step(c, "credential", "fail", "%s", why->text);
	decide(c, why);
	c->login = LOGIN_DONE;
	auth_secret_drop(&c->auth);
	c->connection = connection_free(c->connection);
	go_on(c);
}

static void
give_credential(struct check_run *c)
{
	c->login = LOGIN_OPENING;
	smtp_client_credential(
	    connection_client(c->connection), c->auth.user, c->auth.secret, clock_boottime_ms());
	connection_wake(c->connection);
}

static void
take_credential(struct check_run *c, const struct message *m)
{
	const struct auth_secret *a = &c->auth;
	uint64_t now = (uint64_t)time(NULL);
	struct smtp_reply why;
	char until[40] = "";

	if (!auth_secret_take(&c->auth, m, &why)) {
		credential_failed(c, &why);
		return;
	}
	if (a->until > now)
		(void)snprintf(until, sizeof(until), ", valid for %llu min",
		    (unsigned long long)(a->until - now) / 60);
	step(c, "credential", "ok", "%s %s for %s%s", a->renewed ? "a newer" : "a",
	    a->kind == AUTH_SECRET_TOKEN ? "token" : "password", a->user, until);
	if ((c->flags & CHECK_API) != 0) {
		c->login = LOGIN_DONE;
		go_on(c);
	} else if (c->login == LOGIN_WAITING) {
		give_credential(c);
	}
}

bool
check_credential(struct check_list *list, uint64_t id, const struct message *m)
{
	struct check_run *c = LIST_FIRST(list);

	while (c != NULL && !auth_secret_is_asked(&c->auth, id))
		c = LIST_NEXT(c, link);
	if (c != NULL)
		take_credential(c, m);
	return c != NULL;
}

void
check_keeper_up(struct check_list *list, bool up)
{
	struct smtp_reply why;

	for (struct check_run *c = LIST_FIRST(list), *next; c != NULL; c = next) {
		next = LIST_NEXT(c, link); /* it may end */
		if (!auth_secret_keeper_up(&c->auth, up, &why))
			credential_failed(c, &why);
	}
}

/* ---- the login, and what the server says to senders ---- */

/* Not sent, for a reason that is no verdict of the server's on it. The session ends. */
static void
not_tried(struct check_run *c, const char *sender, const char *words)
{
	const struct smtp_reply why = {
	    .stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_LOCAL, .text = words};

	step(c, c->login == LOGIN_SENDING ? "send" : "sender",
	    c->login == LOGIN_SENDING ? "fail" : "warn", "%s could not be tried: %s", sender,
	    words);
	/* A message that was asked for and did not go is no success. */
	if (c->login == LOGIN_SENDING)
		decide(c, &why);
	connection_quit(c->connection);
}

static const char session_is_full[] = "the server takes no more in this session";

static void
submit(struct check_run *c, const char *sender, bool trial)
{
	struct smtp_client_job job = {.id = 1,
	    .sender = sender,
	    .recipients = &c->recipient,
	    .recipient_count = 1,
	    .body = trial ? "" : c->body,
	    .body_len = trial ? 0 : c->body_len,
	    .envid = "",
	    .trial = trial};
	int r;

	c->recipient = (struct smtp_client_recipient){c->to != NULL ? c->to : sender, ""};
	r = smtp_client_submit(connection_client(c->connection), &job, clock_boottime_ms());
	if (r < 0)
		not_tried(c, sender, r == -EAGAIN ? session_is_full : strerror(-r));
}

/* The next sender, the message, or QUIT. */
static void
next_trial(struct check_run *c)
{
	if (c->sender_at < c->sender_count) {
		submit(c, c->senders[c->sender_at], true);
	} else if ((c->flags & CHECK_SEND) != 0 && c->login == LOGIN_TRYING && !c->decided &&
		   c->body != NULL && c->sender_count > 0) {
		c->login = LOGIN_SENDING;
		submit(c, c->senders[0], false);
	} else {
		connection_quit(c->connection);
	}
}

static void
trial_done(struct check_run *c, const struct smtp_client_event *e)
{
	const char *sender = c->login == LOGIN_SENDING ? c->senders[0] : c->senders[c->sender_at];
	const struct smtp_reply *r = &e->replies[0];
	bool fine = r->code >= 200 && r->code < 300;
	char text[600];

	if (e->untried) {
		not_tried(c, sender, session_is_full);
		return;
	}
	keep_transcript(c, NULL, smtp_client_job_transcript(connection_client(c->connection)));
	reply_text(r, text, sizeof(text));
	if (!fine && !c->decided)
		(void)snprintf(c->deciding_sender, sizeof(c->deciding_sender), "%s", sender);
	if (c->login == LOGIN_SENDING)
		step(c, "send", fine ? "ok" : "fail", "to %s: %s", c->recipient.address, text);
	else if (fine)
		step(c, "sender", "ok", "MAIL FROM:<%s>, RCPT TO:<%s>: %s", sender,
		    c->recipient.address, text);
	else
		step(c, "sender", "fail", "<%s>, at %s: %s", sender,
		    r->stage == SMTP_STAGE_MAIL ? "MAIL" : "RCPT", text);
	if (!fine)
		decide(c, r);
	if (c->login == LOGIN_TRYING)
		c->sender_at++;
	next_trial(c);
}

static void
auth_failed(struct check_run *c, const struct smtp_client_event *e)
{
	bool token = (e->mechanism & SASL_TOKEN_MECHANISMS) != 0;
	char text[1000];

	reply_text(e->reply, text, sizeof(text));
	(void)snprintf(
	    c->mechanism_name, sizeof(c->mechanism_name), "%s", sasl_mechanism_name(e->mechanism));
	if (token && e->reply->code >= 500 && !c->auth.renewed) {
		step(c, "auth", "warn", "%s: %s; once more with a newer token", c->mechanism_name,
		    text);
		c->login = LOGIN_WAITING;
		auth_secret_renew(&c->auth);
		return;
	}
	step(c, "auth", "fail", "%s as %s: %s", c->mechanism_name,
	    c->auth.user == NULL ? "?" : c->auth.user, text);
	decide(c, e->reply);
	connection_quit(c->connection);
}

static void
logged_in(struct check_run *c, const struct smtp_client_event *e)
{
	c->login = LOGIN_TRYING;
	keep_transcript(c, "logging in", connection_transcript(c->connection));
	if (e->mechanism == SASL_NONE) {
		step(c, "auth", "info", "none: grant = \"none\"");
	} else {
		(void)snprintf(c->mechanism_name, sizeof(c->mechanism_name), "%s",
		    sasl_mechanism_name(e->mechanism));
		step(c, "auth", "ok", "%s as %s", c->mechanism_name, c->auth.user);
	}
	next_trial(c);
}

static int open_login(struct check_run *c);

/* The server refused a token and closed. As a session does, the check takes the newer one to a new connection. */
static bool
opens_again(struct check_run *c)
{
	if (c->login != LOGIN_WAITING || !c->auth.renewed || c->reopened)
		return false;
	c->reopened = true;
	keep_transcript(c, "logging in", connection_transcript(c->connection));
	c->connection = connection_free(c->connection);
	c->login = LOGIN_OPENING;
	if (open_login(c) == 0)
		return true;
	c->login = LOGIN_WAITING;
	return false;
}

static void
login_ended(struct check_run *c, const struct smtp_reply *why)
{
	bool ready = c->login == LOGIN_TRYING || c->login == LOGIN_SENDING;
	char text[600];

	if (opens_again(c))
		return;
	if (!ready)
		keep_transcript(c, "logging in", connection_transcript(c->connection));
	/* A QUIT of ours ends in 221, and is said behind a login only. */
	if ((!ready || why->code != 221) && !c->decided) {
		reply_text(why, text, sizeof(text));
		step(c, why->stage == SMTP_STAGE_AUTH ? "auth" : smtp_stage_name(why->stage),
		    "fail", "%s", text);
		decide(c, why);
	}
	c->connection = connection_free(c->connection);
	c->login = LOGIN_DONE;
	/* An answer that comes now is for nobody. */
	auth_secret_drop(&c->auth);
	go_on(c);
}

static void
on_login(void *arg, const struct smtp_client_event *e)
{
	struct check_run *c = arg;

	switch (e->type) {
	case SMTP_CLIENT_CREDENTIAL:
		c->login = LOGIN_WAITING;
		if (c->auth.state == AUTH_SECRET_HELD)
			give_credential(c);
		break;
	case SMTP_CLIENT_AUTH_FAILED:
		auth_failed(c, e);
		break;
	case SMTP_CLIENT_READY:
		logged_in(c, e);
		break;
	case SMTP_CLIENT_JOB_DONE:
		trial_done(c, e);
		break;
	case SMTP_CLIENT_CLOSED:
		login_ended(c, e->reply);
		break;
	default:
		break;
	}
}

static struct tls_context *
login_context(void *arg, char *why, size_t why_size)
{
	return ((struct check_run *)arg)->login_context;
}

static int
open_login(struct check_run *c)
{
	static const struct connection_ops ops = {.tls_context = login_context, .event = on_login};
	const struct smtp_account *a = c->account;
	struct connection_config config = connection_config(c, c->port, c->tls);

	config.smtp.mechanisms = a->mechanisms;
	config.smtp.secret_without_tls = a->secret_without_tls;
	memcpy(config.smtp.order, a->order, sizeof(a->order));
	config.ops = &ops;
	config.arg = c;
	c->connection = connection_new(&config);
	return c->connection == NULL ? -ENOMEM : 0;
}

static void
log_in(struct check_run *c)
{
	static const struct smtp_reply no_memory = {.stage = SMTP_STAGE_TOKEN,
	    .fault = SMTP_FAULT_CREDENTIAL_LATER,
	    .text = "Out of memory."};
	const struct smtp_account *a = c->account;

	c->login = LOGIN_OPENING;
	c->auth = (struct auth_secret){.to_keeper = c->env->ops->to_keeper,
	    .arg = c->env->arg,
	    .account = a->name,
	    .min_valid = a->min_valid,
	    .last_id = &c->env->last_id};
	if ((c->flags & CHECK_API) == 0 && open_login(c) < 0) {
		credential_failed(c, &no_memory);
		return;
	}
	if (a->mechanisms != 0 || (c->flags & CHECK_API) != 0)
		auth_secret_ask(&c->auth);
}

/* ---- the way ---- */

/* Begins what can begin now, and ends when all has ended: the check may be gone behind it. */
static void
go_on(struct check_run *c)
{
	bool looking = c->lookup != NULL;

	for (size_t i = 0; i < c->port_count; i++)
		looking = looking || !c->ports[i].done;
	if (c->port_count > 0 && c->ports[0].done && c->login == LOGIN_NONE) {
		if (c->account != NULL && !c->decided) {
			/* It comes back here, also where it fails at once: then the check may be over. */
			log_in(c);
			return;
		}
		c->login = LOGIN_DONE;
	}
	if (c->port_count == 0 && c->lookup == NULL)
		c->login = LOGIN_DONE; /* no address: there is nothing to log in to */
	if (!looking && c->login == LOGIN_DONE && c->domain == NULL)
		finish(c);
}

static void
look_at_ports(struct check_run *c)
{
	static const unsigned ports[] = {25, 465, 587, 2525};

	look_at(c, c->port, c->tls);
	for (size_t i = 0; i < ARRAY_SIZE(ports) && (c->flags & CHECK_API) == 0; i++)
		if (ports[i] != c->port)
			look_at(
			    c, ports[i], ports[i] == 465 ? SMTP_TLS_IMPLICIT : SMTP_TLS_STARTTLS);
}

/* Is this address one of those before it? A literal one is found for both kinds. */
static bool
is_listed(const struct netaddr *addresses, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (addresses[i].len == addresses[at].len &&
		    memcmp(&addresses[i].sockaddr, &addresses[at].sockaddr, addresses[i].len) == 0)
			return true;
	return false;
}

static void
on_resolved(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct check_run *c = arg;
	CLEANUP_BUF struct buf all = BUF_INIT(2000);
	char text[64];

	c->lookup = NULL;
	if (count == 0) {
		const struct smtp_reply why = {
		    .stage = SMTP_STAGE_DNS, .fault = fault, .text = words};

		step(c, "name", "fail", "%s", words);
		decide(c, &why);
	} else {
		memcpy(c->addresses, addresses, count * sizeof(*addresses));
		c->address_count = count;
		for (size_t i = 0; i < count; i++) {
			netaddr_text(&addresses[i], text, sizeof(text));
			if (!is_listed(addresses, i))
				(void)buf_printf(&all, "%s%s", i > 0 ? ", " : "", text);
		}
		step(c, "name", "ok", "%s: %s", c->host, buf_str(&all));
		look_at_ports(c);
	}
	go_on(c);
}

static void
look_up_host(struct check_run *c)
{
	c->lookup = resolver_lookup(c->env->resolver, c->host, c->port, on_resolved, c);
	if (c->lookup == NULL) {
		const struct smtp_reply why = {.stage = SMTP_STAGE_DNS,
		    .fault = SMTP_FAULT_LOCAL,
		    .text = "The resolver cannot be set up."};

		decide(c, &why);
	}
}

/* ---- a domain whose server DNS names (RFC 6186, RFC 8314) ---- */

static bool look_up_service(struct check_run *c, enum smtp_tls tls);

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply why = {.stage = SMTP_STAGE_DNS, .fault = fault, .text = words};
	struct check_run *c = arg;
	char *host = count == 0 ? NULL : strdup(servers[0].host);

	c->lookup = NULL;
	if (host != NULL) {
		free(c->host);
		c->host = host;
		c->port = servers[0].port;
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", c->host, c->port);
		step(c, "service", "ok", "%s names %s:%u (%s)%s", c->service, c->host, c->port,
		    tls_words(c->tls), count > 1 ? ", and others" : "");
		look_up_host(c);
	} else if (c->tls == SMTP_TLS_IMPLICIT && c->account->tls_either &&
		   look_up_service(c, SMTP_TLS_STARTTLS)) {
		step(c, "service", "info", "%s", words);
	} else {
		step(c, "service", "fail", "%s", words);
		decide(c, &why);
	}
	go_on(c);
}

static bool
look_up_service(struct check_run *c, enum smtp_tls tls)
{
	char name[300];

	c->tls = tls;
	connection_service(c->service, tls, name, sizeof(name));
	c->lookup = resolver_servers(c->env->resolver, name, on_servers, c);
	return c->lookup != NULL;
}

/* The configured name may be an alias of the one with the addresses. */
static void
on_alias(void *arg, const struct dns_answer *answer)
{
	struct check_run *c = arg;

	c->alias = NULL;
	if (answer->count > 0 && strcasecmp(answer->records[0].text, c->host) != 0)
		step(c, "name", "info", "%s is an alias (CNAME) of %s", c->host,
		    answer->records[0].text);
}

static void
on_finding(void *arg, const char *name, const char *state, const char *text)
{
	step(arg, name, state, "%s", text);
}

static void
on_domain_done(void *arg)
{
	struct check_run *c = arg;

	c->domain = check_domain_free(c->domain);
	go_on(c);
}

/* ---- the start ---- */

static char *
copy(const struct message *m, enum field f, bool *failed)
{
	const char *text = message_str(m, f);
	char *own = text == NULL ? NULL : strdup(text);

	*failed = *failed || (text != NULL && own == NULL);
	return own;
}

static bool
copy_senders(struct check_run *c, const struct message *m)
{
	const char *sender;
	size_t at = 0, count = 0;

	while (message_next_str(m, F_SENDERS, &at, &sender))
		count++;
	c->senders = calloc(count + 1, sizeof(*c->senders));
	at = 0;
	while (c->senders != NULL && message_next_str(m, F_SENDERS, &at, &sender)) {
		c->senders[c->sender_count] = strdup(sender);
		if (c->senders[c->sender_count] == NULL)
			return false;
		c->sender_count++;
	}
	return c->senders != NULL;
}

static bool
copy_request(struct check_run *c, const struct message *m)
{
	const uint8_t *body;
	bool failed = false;

	c->id = message_u64(m, F_ID, 0);
	c->port = (unsigned)message_u64(m, F_PORT, 0);
	c->flags = message_u64(m, F_FLAGS, 0);
	c->tls = account_tls_by_name(message_str(m, F_TLS));
	c->host = copy(m, F_HOST, &failed);
	c->provider = copy(m, F_PROVIDER, &failed);
	c->to = copy(m, F_RCPT, &failed);
	c->selector = copy(m, F_SELECTOR, &failed);
	body = message_bytes(m, F_BODY, &c->body_len);
	if (body != NULL) {
		c->body = malloc(c->body_len + 1);
		failed = failed || c->body == NULL;
		if (c->body != NULL)
			memcpy(c->body, body, c->body_len);
	}
	return copy_senders(c, m) && !failed;
}

static void
fail_at_once(struct check_run *c, const char *words)
{
	const struct smtp_reply why = {
	    .stage = SMTP_STAGE_CONNECT, .fault = SMTP_FAULT_LOCAL, .text = words};

	decide(c, &why);
	finish(c);
}

/* Fills in who is trusted, and begins to ask for the domain's records. NULL, or why the check cannot go on. */
static const char *
prepare(struct check_run *c, const struct account_table *accounts, const struct message *m,
    char *why, size_t why_size)
{
	static const struct tls_rules anybody; /* the system's authorities */
	const char *account = message_str(m, F_ACCOUNT), *seen[SEEN_MAX], *domain;
	const struct tls_rules *rules = &anybody;
	size_t seen_count = 0, at = 0;

	if (account != NULL) {
		struct smtp_account *a = account_find(accounts, account);

		if (a == NULL || a->broken != NULL)
			return a == NULL
				   ? "The account is not known to the send role yet; try again."
				   : a->broken;
		c->account = account_ref(a);
		rules = &a->rules;
	}
	c->context = tls_context_new(rules, why, why_size);
	c->login_context = tls_context_new(rules, why, why_size);
	if (c->context == NULL || c->login_context == NULL)
		return why;
	while (seen_count < ARRAY_SIZE(seen) &&
	       message_next_str(m, F_SIGNED_WITH, &at, &seen[seen_count]))
		seen_count++;
	domain = c->sender_count == 0 ? NULL : address_domain(c->senders[0]);
	if (domain != NULL)
		c->domain = check_domain_new(c->env->resolver, domain, c->provider, c->selector,
		    seen, seen_count, on_finding, on_domain_done, c);
	return NULL;
}

void
check_start(struct check_list *list, struct send_env *env, const struct account_table *accounts,
    const struct message *m)
{
	struct check_run *c = calloc(1, sizeof(*c));
	const char *fault = NULL;
	unsigned others = 0;
	char why[160];

	for (const struct check_run *o = LIST_FIRST(list); o != NULL; o = LIST_NEXT(o, link))
		others++;
	if (c == NULL)
		return; /* queue's own limit of time answers */
	c->env = env;
	LIST_INSERT_HEAD(list, c, link);
	c->transcript = (struct buf)BUF_INIT(TRANSCRIPT_ALL);
	if (!copy_request(c, m))
		fault = "Out of memory.";
	/* without a port HOST is a domain, whose servers DNS has to name first */
	else if (c->port == 0)
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "srv:%s", c->host);
	else
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", c->host, c->port);
	if (fault == NULL && (others >= CHECKS_MAX || env->shutting_down))
		fault = "Too many checks are under way; try again in a minute.";
	if (fault == NULL)
		fault = prepare(c, accounts, m, why, sizeof(why));
	if (fault == NULL && c->account != NULL && c->account->srv) {
		c->service = strdup(c->host);
		if (c->service == NULL ||
		    !look_up_service(c, c->account->tls_either ? SMTP_TLS_IMPLICIT : c->tls))
			fault = "The resolver cannot be set up.";
	} else if (fault == NULL) {
		look_up_host(c);
		if (c->lookup == NULL)
			fault = "The resolver cannot be set up.";
		else if (strchr(c->host, ':') == NULL &&
			 c->host[strspn(c->host, "0123456789.")] != '\0')
			c->alias = resolver_query(env->resolver, c->host, DNS_A, on_alias, c);
	}
	if (fault != NULL)
		fail_at_once(c, fault);
}

void
check_cancel(struct check_list *list, uint64_t id)
{
	for (struct check_run *c = LIST_FIRST(list); c != NULL; c = LIST_NEXT(c, link))
		if (c->id == id) {
			check_free(c);
			return;
		}
}

void
check_end_all(struct check_list *list)
{
	while (!LIST_EMPTY(list))
		check_free(LIST_FIRST(list));
}

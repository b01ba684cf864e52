/*
 * check.c: see check.h.
 *
 *   name ─┬─▶ look at the configured port ──▶ token ──▶ login ──▶ each sender ──▶ (send) ──┬─▶ done
 *         ├─▶ look at the other ports ─────────────────────────────────────────────────────┤
 *   domain's records ──────────────────────────────────────────────────────────────────────┘
 *
 * The first thing that goes wrong on the upper line decides the verdict, and what would come behind
 * it is not tried. A token that is refused is replaced once, as delivery does.
 */
#include "broker/send/check.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/send/check-domain.h"
#include "broker/send/check-line.h"

enum {
	CHECKS_MAX = 8,
	LOOKS_MAX = 6,
	PATIENCE = 20 * 1000,      /* ms for each step at the configured port */
	PATIENCE_OTHER = 6 * 1000, /* at the others */
	TRANSCRIPT_ALL = 40 * 1024,
	STEP_TEXT_MAX = 6 * 1024,
	MIN_VALID_USUAL = 60,
};

/* One port that is looked at. */
struct look {
	struct check *check;
	struct check_line *line;
	unsigned port;
	enum smtp_tls tls;
	bool done, fine; /* SMTP was spoken to the end */
	bool trusted;    /* and the certificate was accepted */
};

struct check {
	struct check *next;
	struct send *send;
	uint64_t id;
	struct account *account; /* a reference; NULL: a server alone */
	char *host, *provider, *to, *selector, *body;
	size_t body_len;
	char **senders;
	size_t sender_count;
	unsigned port;
	enum smtp_tls tls;
	uint64_t flags;
	struct tls_context *context;
	char *service; /* the domain whose DNS named the server; NULL: it is configured itself */

	struct lookup *lookup;
	struct alias *alias; /* the question for it, while it is open */
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t address_count;
	struct look looks[LOOKS_MAX]; /* the configured port first */
	size_t look_count;
	struct check_domain *domain;
	bool domain_done;

	struct check_line *login;
	bool login_done, ready;
	uint64_t request; /* to the keeper; 0: none is open */
	bool to_ask, renewed, wanted;
	struct secret *secret;
	char *user;
	uint64_t generation;
	enum sasl_mechanism mechanism;
	size_t sender_at; /* the one that is tried */
	bool sending;
	struct smtp_client_recipient recipient;

	bool decided;
	struct smtp_reply why;
	char mechanism_name[32], deciding_sender[ADDRESS_MAX + 1], endpoint[400];
	struct buf transcript;
};

/* A question that cannot be cancelled: it outlives a check that ends before it. */
struct alias {
	struct check *check; /* NULL: gone */
};

static void go_on(struct check *c);

/* ---- telling ---- */

static void PRINTF_LIKE(4, 5)
    step(struct check *c, const char *name, const char *state, const char *format, ...)
{
	struct message *m = message_new(M_CHECK_STEP);
	CLEANUP_BUF struct buf text = BUF_INIT(STEP_TEXT_MAX);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	message_put_u64(m, F_ID, c->id);
	message_put_str(m, F_NAME, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, buf_str(&text));
	if (m != NULL)
		c->send->ops->to_queue(c->send->arg, m);
}

/* The first fault decides. */
static void
decide(struct check *c, const struct smtp_reply *why)
{
	if (c->decided)
		return;
	c->decided = true;
	if (smtp_reply_copy(&c->why, why) < 0)
		c->why = (struct smtp_reply){
		    .code = why->code, .stage = why->stage, .fault = why->fault};
}

/* "535 5.7.8 no" or the words of a fault. */
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
keep_transcript(struct check *c, const char *title, const char *text)
{
	if (*text == '\0')
		return;
	if (title != NULL)
		(void)buf_printf(&c->transcript, "* ---- %s\n", title);
	(void)buf_append_str(&c->transcript, text);
}

/* ---- the end ---- */

struct check *
check_next(const struct check *c)
{
	return c->next;
}

void
check_free(struct check *c)
{
	struct send *s = c->send;

	for (struct check **p = &s->checks; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	(void)resolver_cancel(c->lookup);
	if (c->alias != NULL)
		c->alias->check = NULL;
	(void)check_domain_free(c->domain);
	(void)check_line_free(c->login);
	for (size_t i = 0; i < c->look_count; i++)
		(void)check_line_free(c->looks[i].line);
	(void)tls_context_free(c->context);
	(void)account_unref(c->account);
	(void)secret_free(c->secret);
	for (size_t i = 0; i < c->sender_count; i++)
		free(c->senders[i]);
	free(c->senders);
	free(c->host);
	free(c->service);
	free(c->provider);
	free(c->to);
	free(c->selector);
	free(c->body);
	free(c->user);
	smtp_reply_clear(&c->why);
	buf_free(&c->transcript);
	free(c);
}

void
check_cancel(struct send *s, uint64_t id)
{
	for (struct check *c = s->checks; c != NULL; c = c->next)
		if (c->id == id) {
			check_free(c);
			return;
		}
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
suggest_port(const struct check *c, char *to, size_t size)
{
	to[0] = '\0';
	for (size_t i = 1; i < c->look_count; i++) {
		const struct look *l = &c->looks[i];

		if (!l->fine || !l->trusted || l->port == 25)
			continue;
		(void)snprintf(to, size,
		    "Port %u answers with %s: submit = \"%s:%u\" and tls = \"%s\".", l->port,
		    l->tls == SMTP_TLS_IMPLICIT ? "TLS from the first octet" : "STARTTLS", c->host,
		    l->port, l->tls == SMTP_TLS_IMPLICIT ? "implicit" : "starttls");
		return;
	}
}

static void
finish(struct check *c)
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
	c->send->ops->to_queue(c->send->arg, m);
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
report_offers(struct check *c, const struct look *l)
{
	struct smtp_client_offer clear = check_line_offer(l->line, false),
				 within = check_line_offer(l->line, true);
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
report_certificate(struct check *c, const struct look *l)
{
	const struct tls_trouble *t = check_line_trouble(l->line);

	if (*check_line_chain(l->line) == '\0')
		return;
	step(c, "certificate", t->fault == SMTP_FAULT_NONE ? "ok" : "fail", "%s%s%s",
	    t->fault == SMTP_FAULT_NONE ? "" : t->words, t->fault == SMTP_FAULT_NONE ? "" : "\n",
	    check_line_chain(l->line));
}

static void
report_configured(struct check *c, struct look *l, const struct smtp_reply *end)
{
	const struct tls_trouble *t = check_line_trouble(l->line);
	char text[600];

	reply_text(end, text, sizeof(text));
	if (*check_line_address(l->line) == '\0') {
		step(c, "connect", "fail", "%s", text);
		decide(c, end);
		return;
	}
	(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u [%s]", c->host, c->port,
	    check_line_address(l->line));
	step(c, "connect", "ok", "%s", c->endpoint);
	if (*check_line_tls(l->line) != '\0')
		step(c, "tls", "ok", "%s, %s", tls_words(l->tls), check_line_tls(l->line));
	report_certificate(c, l);
	if (t->fault != SMTP_FAULT_NONE && end->code == 0 && t->fault == end->fault) {
		step(c, "tls", "fail", "%s", text);
		decide(c, end);
	} else if (t->fault != SMTP_FAULT_NONE) {
		const struct smtp_reply bad = {.stage = SMTP_STAGE_TLS,
		    .fault = t->fault,
		    .text = (char *)(uintptr_t)t->words};

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
judge_offer(struct check *c, const struct look *l)
{
	const struct smtp_reply none = {.stage = SMTP_STAGE_AUTH,
	    .fault = SMTP_FAULT_NO_AUTH,
	    .text = (char *)(uintptr_t) "The server does not offer AUTH."};

	if (c->account == NULL && l->port != 25 &&
	    *check_line_offer(l->line, l->tls != SMTP_TLS_NONE).auth == '\0')
		decide(c, &none);
}

static void
report_other(struct check *c, struct look *l, const struct smtp_reply *end)
{
	char name[24], text[600];

	(void)snprintf(name, sizeof(name), "port %u", l->port);
	reply_text(end, text, sizeof(text));
	if (l->fine) {
		const char *auth = check_line_offer(l->line, l->tls != SMTP_TLS_NONE).auth;

		step(c, name, "info", "%s, AUTH %s%s", tls_words(l->tls), or_none(auth),
		    check_line_trouble(l->line)->fault != SMTP_FAULT_NONE
			? "; its certificate is not accepted"
			: "");
	} else {
		step(c, name, "info", "%s", text);
	}
}

static void
look_ended(struct look *l, const struct smtp_reply *end)
{
	struct check *c = l->check;
	bool own = l == &c->looks[0];
	char title[400];

	if (l->done)
		return;
	l->done = true;
	l->fine = l->fine || (end->code == 220 && end->stage == SMTP_STAGE_TLS);
	l->trusted = l->fine && check_line_trouble(l->line)->fault == SMTP_FAULT_NONE;
	if (own)
		report_configured(c, l, end);
	else
		report_other(c, l, end);
	(void)snprintf(
	    title, sizeof(title), "%s:%u, looking without a credential", c->host, l->port);
	if (own || l->fine)
		keep_transcript(c, title, check_line_transcript(l->line));
}

static void
on_look(void *arg, struct check_line *line, const struct smtp_client_event *e)
{
	struct look *l = arg;
	struct check *c = l->check;

	if (e->type == SMTP_CLIENT_READY) {
		const struct smtp_reply fine = {.code = 250, .stage = SMTP_STAGE_EHLO};

		l->fine = true;
		look_ended(l, &fine);
		if (l == &c->looks[0]) {
			report_offers(c, l);
			judge_offer(c, l);
		}
		smtp_client_quit(check_line_client(line), send_now());
		go_on(c);
	} else if (e->type == SMTP_CLIENT_CLOSED) {
		bool was_done = l->done;

		if (!was_done)
			look_ended(l, e->reply);
		if (l == &c->looks[0] && !was_done)
			report_offers(c, l);
		l->line = check_line_free(l->line);
		go_on(c);
	}
}

/* As a session accepts them (session-connect.c). */
static struct tls_names
server_names(const struct check *c)
{
	struct tls_names names = {.host = c->host, .accepted = {c->host}, .count = 1};
	size_t host = strlen(c->host), domain = c->service == NULL ? 0 : strlen(c->service);

	if (c->account != NULL && c->account->tls_name != NULL) {
		names.accepted[0] = c->account->tls_name;
	} else if (c->service != NULL) {
		names.accepted[0] = c->service;
		if (host > domain && c->host[host - domain - 1] == '.' &&
		    strcasecmp(c->host + host - domain, c->service) == 0)
			names.accepted[names.count++] = c->host;
	}
	return names;
}

static void
start_look(struct check *c, unsigned port, enum smtp_tls tls)
{
	struct look *l = &c->looks[c->look_count];
	struct check_line_config config = {.base = c->send->base,
	    .host = c->host,
	    .ehlo_name = c->send->hostname,
	    .port = port,
	    .addresses = c->addresses,
	    .address_count = c->address_count,
	    .tls = tls,
	    .context = c->context,
	    .names = server_names(c),
	    .only_look = true,
	    .tls_only = (c->flags & CHECK_API) != 0,
	    .patience = c->look_count == 0 ? PATIENCE : PATIENCE_OTHER};

	*l = (struct look){.check = c, .port = port, .tls = tls};
	l->line = check_line_new(&config, on_look, l);
	l->done = l->line == NULL;
	c->look_count++;
}

/* ---- the credential ---- */

static void
ask_keeper(struct check *c, uint64_t rejected)
{
	struct message *m = message_new(M_CREDENTIAL_GET);

	c->request = ++c->send->last_id;
	message_put_u64(m, F_ID, c->request);
	message_put_str(m, F_ACCOUNT, c->account->name);
	message_put_u64(
	    m, F_MIN_VALID, c->account->min_valid > 0 ? c->account->min_valid : MIN_VALID_USUAL);
	if (rejected > 0)
		message_put_u64(m, F_REJECTED, rejected);
	c->to_ask = m == NULL || !c->send->ops->to_keeper(c->send->arg, m);
	if (c->to_ask)
		c->request = 0;
}

static void
credential_failed(struct check *c, bool final, const char *words)
{
	const struct smtp_reply why = {.stage = SMTP_STAGE_TOKEN,
	    .fault = final ? SMTP_FAULT_NO_CREDENTIAL : SMTP_FAULT_CREDENTIAL_LATER,
	    .text = (char *)(uintptr_t)words};

	step(c, "credential", "fail", "%s", words);
	decide(c, &why);
	c->login_done = true;
	c->login = check_line_free(c->login);
	go_on(c);
}

static bool
state_is_final(const char *state)
{
	static const char *const passing[] = {"active", "refreshing", "throttled", "unreachable"};

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strcmp(state, passing[i]) == 0)
			return false;
	return true;
}

static void
give_credential(struct check *c)
{
	struct smtp_client *client = c->login == NULL ? NULL : check_line_client(c->login);

	if (client == NULL || !c->wanted || c->secret == NULL)
		return;
	c->wanted = false;
	smtp_client_credential(client, c->user, c->secret, send_now());
	check_line_go(c->login);
}

static void
take_credential(struct check *c, const struct message *m)
{
	const char *kind = message_str(m, F_KIND);
	uint64_t generation = message_u64(m, F_GENERATION, 0), until = message_u64(m, F_UNTIL, 0);

	if (strcmp(kind, "none") == 0) {
		credential_failed(c, true, "The account has no credential.");
		return;
	}
	if (c->renewed && generation == c->generation) {
		credential_failed(
		    c, false, "The server refused the token, and there is no newer one yet.");
		return;
	}
	(void)secret_free(c->secret);
	free(c->user);
	c->secret = message_secret(m, F_SECRET);
	c->user = strdup(message_str(m, F_USER_NAME));
	c->generation = generation;
	if (c->secret == NULL || c->user == NULL) {
		credential_failed(c, false, "Out of memory.");
		return;
	}
	if (until > (uint64_t)time(NULL))
		step(c, "credential", "ok", "%s %s for %s, valid for %llu min",
		    c->renewed ? "a newer" : "a", kind, c->user,
		    (unsigned long long)(until - (uint64_t)time(NULL)) / 60);
	else
		step(c, "credential", "ok", "%s %s for %s", c->renewed ? "a newer" : "a", kind,
		    c->user);
	if ((c->flags & CHECK_API) != 0) {
		c->login_done = true;
		go_on(c);
		return;
	}
	give_credential(c);
}

bool
check_credential(struct check *c, uint64_t id, const struct message *m)
{
	if (id == 0 || id != c->request)
		return false;
	c->request = 0;
	if (message_type(m) == M_CREDENTIAL)
		take_credential(c, m);
	else
		credential_failed(
		    c, state_is_final(message_str(m, F_STATE)), message_str(m, F_ERROR));
	return true;
}

void
check_keeper_up(struct check *c, bool up)
{
	if (up && c->to_ask)
		ask_keeper(c, c->renewed ? c->generation : 0);
	else if (!up && c->request != 0) {
		c->request = 0;
		credential_failed(c, false, "The keeper of credentials ended before it answered.");
	}
}

/* ---- the login, and what the server says to senders ---- */

static void
submit(struct check *c, const char *sender, bool trial)
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
	r = smtp_client_submit(check_line_client(c->login), &job, send_now());
	if (r < 0) {
		step(c, "sender", "warn", "%s could not be tried: %s", sender, strerror(-r));
		smtp_client_quit(check_line_client(c->login), send_now());
	}
}

/* The next sender, the message, or QUIT. */
static void
next_trial(struct check *c)
{
	if (c->sender_at < c->sender_count) {
		submit(c, c->senders[c->sender_at], true);
	} else if ((c->flags & CHECK_SEND) != 0 && !c->sending && !c->decided && c->body != NULL &&
		   c->sender_count > 0) {
		c->sending = true;
		submit(c, c->senders[0], false);
	} else {
		smtp_client_quit(check_line_client(c->login), send_now());
	}
}

static void
trial_done(struct check *c, const struct smtp_client_event *e)
{
	const char *sender = c->sending ? c->senders[0] : c->senders[c->sender_at];
	const struct smtp_reply *r = &e->replies[0];
	bool fine = r->code >= 200 && r->code < 300;
	char text[600];

	keep_transcript(c, NULL, smtp_client_job_transcript(check_line_client(c->login)));
	reply_text(r, text, sizeof(text));
	if (!fine && !c->decided)
		(void)snprintf(c->deciding_sender, sizeof(c->deciding_sender), "%s", sender);
	if (c->sending)
		step(c, "send", fine ? "ok" : "fail", "to %s: %s", c->recipient.address, text);
	else if (fine)
		step(c, "sender", "ok", "MAIL FROM:<%s>, RCPT TO:<%s>: %s", sender,
		    c->recipient.address, text);
	else
		step(c, "sender", "fail", "<%s>, at %s: %s", sender,
		    r->stage == SMTP_STAGE_MAIL ? "MAIL" : "RCPT", text);
	if (!fine)
		decide(c, r);
	if (!c->sending)
		c->sender_at++;
	next_trial(c);
}

static void
auth_failed(struct check *c, const struct smtp_client_event *e)
{
	bool token = (e->mechanism & SASL_TOKEN_MECHANISMS) != 0;
	char text[1000];

	reply_text(e->reply, text, sizeof(text));
	(void)snprintf(
	    c->mechanism_name, sizeof(c->mechanism_name), "%s", sasl_mechanism_name(e->mechanism));
	if (token && e->reply->code >= 500 && !c->renewed) {
		step(c, "auth", "warn", "%s: %s; once more with a newer token", c->mechanism_name,
		    text);
		c->renewed = c->wanted = true;
		c->secret = secret_free(c->secret);
		ask_keeper(c, c->generation);
		return;
	}
	step(c, "auth", "fail", "%s as %s: %s", c->mechanism_name, c->user == NULL ? "?" : c->user,
	    text);
	decide(c, e->reply);
	smtp_client_quit(check_line_client(c->login), send_now());
}

static void
logged_in(struct check *c, const struct smtp_client_event *e)
{
	c->ready = true;
	keep_transcript(c, "logging in", check_line_transcript(c->login));
	if (e->mechanism == SASL_NONE) {
		step(c, "auth", "info", "none: grant = \"none\"");
	} else {
		(void)snprintf(c->mechanism_name, sizeof(c->mechanism_name), "%s",
		    sasl_mechanism_name(e->mechanism));
		step(c, "auth", "ok", "%s as %s", c->mechanism_name, c->user);
	}
	next_trial(c);
}

static void
login_ended(struct check *c, const struct smtp_reply *why)
{
	char text[600];

	if (!c->ready)
		keep_transcript(c, "logging in", check_line_transcript(c->login));
	/* A QUIT of ours ends in 221. */
	if (why->code != 221 && !c->decided) {
		reply_text(why, text, sizeof(text));
		step(c, why->stage == SMTP_STAGE_AUTH ? "auth" : smtp_stage_name(why->stage),
		    "fail", "%s", text);
		decide(c, why);
	}
	c->login = check_line_free(c->login);
	c->login_done = true;
	/* An answer that comes now is for nobody. */
	c->request = 0;
	go_on(c);
}

static void
on_login(void *arg, struct check_line *line, const struct smtp_client_event *e)
{
	struct check *c = arg;

	switch (e->type) {
	case SMTP_CLIENT_CREDENTIAL:
		c->mechanism = e->mechanism;
		c->wanted = true;
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

static void
start_login(struct check *c)
{
	const struct account *a = c->account;
	struct check_line_config config = {.base = c->send->base,
	    .host = c->host,
	    .ehlo_name = c->send->hostname,
	    .port = c->port,
	    .addresses = c->addresses,
	    .address_count = c->address_count,
	    .tls = c->tls,
	    .context = c->context,
	    .names = server_names(c),
	    .mechanisms = a->mechanisms,
	    .secret_without_tls = a->secret_without_tls,
	    .patience = PATIENCE};

	if ((c->flags & CHECK_API) != 0) {
		ask_keeper(c, 0);
		return;
	}
	memcpy(config.order, a->order, sizeof(config.order));
	c->login = check_line_new(&config, on_login, c);
	if (c->login == NULL) {
		credential_failed(c, false, "Out of memory.");
		return;
	}
	if (a->mechanisms != 0)
		ask_keeper(c, 0);
}

/* ---- the way ---- */

/* Begins what can begin now, and ends when all has ended. */
static void
go_on(struct check *c)
{
	bool looking = c->lookup != NULL;

	for (size_t i = 0; i < c->look_count; i++)
		looking = looking || !c->looks[i].done;
	if (c->look_count > 0 && c->looks[0].done && c->login == NULL && !c->login_done &&
	    c->request == 0 && !c->to_ask) {
		if (c->account == NULL || c->decided)
			c->login_done = true;
		else
			start_login(c);
	}
	if (c->look_count == 0 && c->lookup == NULL)
		c->login_done = true; /* no address: there is nothing to log in to */
	if (!looking && c->login_done && c->domain_done)
		finish(c);
}

static void
look_at_ports(struct check *c)
{
	static const unsigned ports[] = {25, 465, 587, 2525};

	start_look(c, c->port, c->tls);
	for (size_t i = 0; i < ARRAY_SIZE(ports) && (c->flags & CHECK_API) == 0; i++)
		if (ports[i] != c->port)
			start_look(
			    c, ports[i], ports[i] == 465 ? SMTP_TLS_IMPLICIT : SMTP_TLS_STARTTLS);
}

static void
on_resolved(void *arg, const struct address *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct check *c = arg;
	CLEANUP_BUF struct buf all = BUF_INIT(2000);
	char text[64];

	c->lookup = NULL;
	if (count == 0) {
		const struct smtp_reply why = {
		    .stage = SMTP_STAGE_DNS, .fault = fault, .text = (char *)(uintptr_t)words};

		step(c, "name", "fail", "%s", words);
		decide(c, &why);
	} else {
		memcpy(c->addresses, addresses, count * sizeof(*addresses));
		c->address_count = count;
		for (size_t i = 0; i < count; i++) {
			address_text(&addresses[i], text, sizeof(text));
			(void)buf_printf(&all, "%s%s", i > 0 ? ", " : "", text);
		}
		step(c, "name", "ok", "%s: %s", c->host, buf_str(&all));
		look_at_ports(c);
	}
	go_on(c);
}

static void
look_up_host(struct check *c)
{
	c->lookup = resolver_lookup(c->send->resolver, c->host, c->port, on_resolved, c);
	if (c->lookup == NULL) {
		const struct smtp_reply why = {.stage = SMTP_STAGE_DNS,
		    .fault = SMTP_FAULT_LOCAL,
		    .text = (char *)(uintptr_t) "The resolver cannot be set up."};

		decide(c, &why);
	}
}

/* ---- a domain whose server DNS names (RFC 6186, RFC 8314) ---- */

static bool look_up_service(struct check *c, enum smtp_tls tls);

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply why = {
	    .stage = SMTP_STAGE_DNS, .fault = fault, .text = (char *)(uintptr_t)words};
	struct check *c = arg;
	char *host = count == 0 ? NULL : strdup(servers[0].host);

	c->lookup = NULL;
	if (host != NULL) {
		free(c->host);
		c->host = host;
		c->port = servers[0].port;
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
look_up_service(struct check *c, enum smtp_tls tls)
{
	char name[300];

	c->tls = tls;
	(void)snprintf(name, sizeof(name), "%s._tcp.%s",
	    tls == SMTP_TLS_IMPLICIT ? "_submissions" : "_submission", c->service);
	c->lookup = resolver_servers(c->send->resolver, name, on_servers, c);
	return c->lookup != NULL;
}

/* The names that lead from the configured one to the one with the addresses. */
static void
on_alias(void *arg, int status, const unsigned char *answer, int len)
{
	struct alias *a = arg;
	struct hostent *host = NULL;

	if (a->check != NULL) {
		a->check->alias = NULL;
		if (status == ARES_SUCCESS &&
		    ares_parse_a_reply(answer, len, &host, NULL, NULL) == ARES_SUCCESS &&
		    strcasecmp(host->h_name, a->check->host) != 0)
			step(a->check, "name", "info", "%s is an alias (CNAME) of %s",
			    a->check->host, host->h_name);
		if (host != NULL)
			ares_free_hostent(host);
	}
	free(a);
}

static void
ask_for_alias(struct check *c)
{
	c->alias = calloc(1, sizeof(*c->alias));
	if (c->alias == NULL)
		return;
	c->alias->check = c;
	if (!resolver_query(c->send->resolver, c->host, ns_t_a, on_alias, c->alias)) {
		free(c->alias);
		c->alias = NULL;
	}
}

static void
on_finding(void *arg, const char *name, const char *state, const char *text)
{
	step(arg, name, state, "%s", text);
}

static void
on_domain_done(void *arg)
{
	struct check *c = arg;

	c->domain = check_domain_free(c->domain);
	c->domain_done = true;
	go_on(c);
}

/* ---- the start ---- */

static enum smtp_tls
tls_by_name(const char *name)
{
	return strcmp(name, "implicit") == 0 ? SMTP_TLS_IMPLICIT
	       : strcmp(name, "none") == 0   ? SMTP_TLS_NONE
					     : SMTP_TLS_STARTTLS;
}

static char *
copy(const struct message *m, enum field f, bool *failed)
{
	const char *text = message_str(m, f);
	char *own = text == NULL ? NULL : strdup(text);

	*failed = *failed || (text != NULL && own == NULL);
	return own;
}

static bool
copy_senders(struct check *c, const struct message *m)
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
copy_request(struct check *c, const struct message *m)
{
	const uint8_t *body;
	bool failed = false;

	c->id = message_u64(m, F_ID, 0);
	c->port = (unsigned)message_u64(m, F_PORT, 0);
	c->flags = message_u64(m, F_FLAGS, 0);
	c->tls = tls_by_name(message_str(m, F_TLS));
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
fail_at_once(struct check *c, const char *words)
{
	const struct smtp_reply why = {.stage = SMTP_STAGE_CONNECT,
	    .fault = SMTP_FAULT_LOCAL,
	    .text = (char *)(uintptr_t)words};

	decide(c, &why);
	finish(c);
}

void
check_start(struct send *s, const struct message *m)
{
	const char *account = message_str(m, F_ACCOUNT), *domain;
	static const struct tls_rules anybody; /* the system's authorities */
	struct check *c = calloc(1, sizeof(*c));
	unsigned others = 0;
	char why[160];

	for (const struct check *o = s->checks; o != NULL; o = o->next)
		others++;
	if (c == NULL)
		return; /* queue's own limit of time answers */
	c->send = s;
	c->next = s->checks;
	s->checks = c;
	c->transcript = (struct buf)BUF_INIT(TRANSCRIPT_ALL);
	if (!copy_request(c, m)) {
		fail_at_once(c, "Out of memory.");
		return;
	}
	(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", c->host, c->port);
	if (account != NULL) {
		struct account *a = account_find(s->accounts, account);

		if (a == NULL || a->broken != NULL) {
			fail_at_once(c,
			    a == NULL ? "The account is not known to the send role yet; try again."
				      : a->broken);
			return;
		}
		c->account = account_ref(a);
	}
	if (others >= CHECKS_MAX || s->shutting_down) {
		fail_at_once(c, "Too many checks are under way; try again in a minute.");
		return;
	}
	c->context =
	    tls_context_new(c->account == NULL ? &anybody : &c->account->rules, why, sizeof(why));
	if (c->context == NULL) {
		fail_at_once(c, why);
		return;
	}
	domain = c->sender_count == 0 ? NULL : address_domain(c->senders[0]);
	if (domain != NULL)
		c->domain = check_domain_new(s->base, s->resolver, domain, c->provider, c->selector,
		    on_finding, on_domain_done, c);
	c->domain_done = c->domain == NULL;
	if (c->account != NULL && c->account->srv) {
		c->service = strdup(c->host);
		if (c->service == NULL ||
		    !look_up_service(c, c->account->tls_either ? SMTP_TLS_IMPLICIT : c->tls))
			fail_at_once(c, "The resolver cannot be set up.");
		return;
	}
	look_up_host(c);
	if (c->lookup == NULL)
		finish(c);
	else if (strchr(c->host, ':') == NULL && c->host[strspn(c->host, "0123456789.")] != '\0')
		ask_for_alias(c);
}

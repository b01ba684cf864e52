/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission.c: see submission.h.
 *
 * A session owns a bufferevent and a server engine. What is read goes into the engine, what the
 * engine has to say goes into the bufferevent's output; the engine calls back for decisions, and
 * all of them are made at once. At STARTTLS the plain bufferevent is replaced when its output is
 * flushed, and whatever it had read beyond the command is thrown away with it (CVE-2011-0411).
 *
 * Refusals that a trial can call up, by the local part of a recipient: nouser@ 550, full@ 452,
 * greylist@ 450, blocked@ 554.
 */
#include "sandbox/submission.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/log.h"
#include "base/smtp/server.h"
#include "inbox/maildir.h"
#include "sandbox/inbox-server.h"
#include "sandbox/record.h"
#include "sandbox/sasl.h"

enum {
	SESSIONS_MAX = 256,
	WAITING_MAX = 64 * 1024, /* octets of input, and of output that the client does not read */
	IDLE_SECONDS = 300
};

struct recipient {
	STAILQ_ENTRY(recipient) link;
	char address[];
};

struct smtp_session;
typedef enum smtp_decision decide_function(struct smtp_session *s);

struct smtp_session {
	TAILQ_ENTRY(smtp_session) link;
	struct submission_server *server;
	struct bufferevent *bev;
	struct smtp_server *engine;
	bool implicit, tls, wants_tls;
	char address[INET6_ADDRSTRLEN];
	unsigned port, server_port;
	struct conversation *talk;
	json_t *token;         /* record_token of the one that signed in */
	struct fault fault;    /* what goes wrong now */
	decide_function *next; /* what is decided where nothing does */
	struct event *timer;   /* of a delay */
	bool dropping;         /* the connection is to close without a word */
	json_t *faults;        /* the names of those that met this transaction */
	struct sasl_exchange exchange;
	const struct sandbox_account *account; /* signed in */
	enum sasl_mechanism mechanism;
	char hello[256], greeting[160], ehlo[160];
	char sender[ADDRESS_MAX + 1], rcpt[ADDRESS_MAX + 1];
	STAILQ_HEAD(, recipient) recipients;
	struct maildir_message *message;
	uint64_t octets; /* of its content */
};

struct submission_server {
	struct sandbox *sandbox;
	struct evconnlistener *listeners[4];
	size_t listener_count;
	unsigned sessions;
	struct smtp_server_config config;
	TAILQ_HEAD(, smtp_session) list;
};

/* The date as a header field has it. 0 or negative errno. */
static int
date_now(char *ret, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	return gmtime_r(&now, &tm) != NULL &&
		       strftime(ret, size, "%a, %d %b %Y %H:%M:%S +0000", &tm) > 0
		   ? 0
		   : -EOVERFLOW;
}

/* ---- faults ---- */

static void note(struct smtp_session *s, const char *format, ...) PRINTF_LIKE(2, 3);

static void
note(struct smtp_session *s, const char *format, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	conversation_add(s->talk, CONVERSATION_NOTE, sandbox_clock(), text, strlen(text));
}

/* Asks for a fault at this stage, and notes the one that there is in s->fault. */
static bool
find_fault(struct smtp_session *s, enum fault_stage stage)
{
	const struct fault_event e = {.stage = stage,
	    .account = s->account != NULL    ? s->account->address
		       : stage == FAULT_AUTH ? s->exchange.user
					     : NULL,
	    .sender = stage >= FAULT_MAIL ? s->sender : NULL,
	    .recipient = stage == FAULT_RCPT ? s->rcpt : NULL,
	    .client = s->address};

	if (!faults_find(s->server->sandbox->faults, &e, sandbox_clock(), &s->fault))
		return false;
	note(s, "(fault: %s)", s->fault.name);
	log_line(LOG_LEVEL_NOTICE, "fault on demand",
	    LOG_PAIRS({LOG_OUTCOME, s->fault.name}, {LOG_ACCOUNT, e.account},
		{LOG_RECIPIENT, e.recipient}));
	if (s->faults == NULL)
		s->faults = json_array();
	/* a name that is missing from the record for want of memory changes nothing else */
	(void)json_array_append_new(s->faults, json_string(s->fault.name));
	return true;
}

/* Does what the fault says, its delay being over; where it says nothing more, decides. */
static enum smtp_decision
perform(struct smtp_session *s)
{
	switch (s->fault.action) {
	case FAULT_NONE:
		return s->next(s);
	case FAULT_CHALLENGE:
		if (!sasl_exchange_refuse(&s->exchange, s->server->sandbox->personality->challenge))
			break; /* a password: refused at once */
		smtp_server_challenge(
		    s->engine, s->exchange.challenge, strlen(s->exchange.challenge));
		return SMTP_LATER;
	case FAULT_HANG: /* until the client or the idle limit ends the session */
		return SMTP_LATER;
	case FAULT_REPLY:
		break;
	default:
		s->dropping = true;
		return SMTP_LATER;
	}
	smtp_server_refuse(s->engine, s->fault.code, s->fault.enhanced, "%s", s->fault.text);
	return SMTP_REFUSE;
}

static void on_delayed(evutil_socket_t fd, short what, void *arg);

/* Waits as the fault says. False: there is no memory to wait with. */
static bool
delay(struct smtp_session *s)
{
	const struct timeval wait = {
	    .tv_sec = s->fault.delay_ms / 1000, .tv_usec = (s->fault.delay_ms % 1000) * 1000L};

	if (s->timer == NULL)
		s->timer = evtimer_new(s->server->sandbox->base, on_delayed, s);
	return s->timer != NULL && event_add(s->timer, &wait) == 0;
}

/* Performs what find_fault found, at once or later. */
static enum smtp_decision
meet_fault(struct smtp_session *s, decide_function *next)
{
	s->next = next;
	return s->fault.delay_ms > 0 && delay(s) ? SMTP_LATER : perform(s);
}

/* What is decided at this stage, by a fault or else by `next`. */
static enum smtp_decision
ask(struct smtp_session *s, enum fault_stage stage, decide_function *next)
{
	return find_fault(s, stage) ? meet_fault(s, next) : next(s);
}

static enum smtp_decision
accept_it(struct smtp_session *s)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_command(void *arg, enum smtp_verb verb)
{
	if (verb == SMTP_VERB_EHLO || verb == SMTP_VERB_HELO)
		return ask(arg, FAULT_EHLO, accept_it);
	return verb == SMTP_VERB_STARTTLS ? ask(arg, FAULT_STARTTLS, accept_it) : SMTP_ACCEPT;
}

/* ---- decisions ---- */

static void
on_reset(void *arg)
{
	struct smtp_session *s = arg;
	struct recipient *r;

	while ((r = STAILQ_FIRST(&s->recipients)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->recipients, link);
		free(r);
	}
	s->message = maildir_end(s->message);
	s->sender[0] = '\0';
	json_decref(s->faults);
	s->faults = NULL;
	s->exchange.mechanism = SASL_NONE; /* an exchange that was cancelled is over too */
}

static void
on_hello(void *arg, const char *name)
{
	struct smtp_session *s = arg;

	(void)snprintf(s->hello, sizeof(s->hello), "%s", name);
}

static bool
check_token(void *arg, const char *user, const char *token)
{
	struct smtp_session *s = arg;
	struct grant_access access;

	if (!grants_check(s->server->sandbox->grants, token, (uint64_t)time(NULL), &access) ||
	    !grant_scope_has(access.scope, s->server->sandbox->personality->send_scope) ||
	    (access.account == NULL ? sandbox_account(s->server->sandbox, user) == NULL
				    : !address_equal_nocase(access.account, user)))
		return false;
	json_decref(s->token);
	s->token = record_token(&access);
	return s->token != NULL;
}

static bool
check_password(void *arg, const char *user, const char *password)
{
	struct smtp_session *s = arg;

	return sandbox_password_fits(s->server->sandbox, user, password);
}

static struct sasl_checks
sign_in_checks(const struct smtp_session *s)
{
	return (struct sasl_checks){.token = check_token,
	    .password = check_password,
	    .challenge = s->server->sandbox->personality->challenge};
}

/* Accepts in words of the provider that is played; NULL: the engine's. */
static enum smtp_decision
agree(struct smtp_session *s, int code, const char *enhanced, const char *words)
{
	if (words != NULL)
		smtp_server_refuse(s->engine, code, enhanced, "%s", words);
	return SMTP_ACCEPT;
}

/* What the exchange has come to, where it is over. */
static enum smtp_decision
sign_in(struct smtp_session *s)
{
	s->server->sandbox->stats.auth_ok++;
	s->mechanism = s->exchange.ended;
	s->account = sandbox_account(s->server->sandbox, s->exchange.user);
	log_line(LOG_LEVEL_INFO, "signed in",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->address},
		{LOG_MECHANISM, sasl_mechanism_name(s->mechanism)}));
	return agree(s, 235, "2.7.0", s->server->sandbox->personality->signed_in);
}

/* Refuses in the words of the provider that is played. */
static enum smtp_decision
refuse(struct smtp_session *s, enum personality_refusal what)
{
	const struct fault_event e = {.account = s->account == NULL ? NULL : s->account->address,
	    .sender = s->sender,
	    .recipient = s->rcpt};
	struct fault f;

	if (faults_named(s->server->sandbox->personality->refusals[what], &e, &f))
		smtp_server_refuse(s->engine, f.code, f.enhanced, "%s", f.text);
	return SMTP_REFUSE;
}

static enum smtp_decision
refuse_sign_in(struct smtp_session *s)
{
	enum sasl_mechanism used = s->exchange.ended;

	s->server->sandbox->stats.auth_refused++;
	log_line(LOG_LEVEL_NOTICE, "sign-in refused",
	    LOG_PAIRS({LOG_ACCOUNT, s->exchange.user}, {LOG_MECHANISM, sasl_mechanism_name(used)}));
	if (s->fault.action != FAULT_CHALLENGE)
		return refuse(s, used & SASL_TOKEN_MECHANISMS ? REFUSE_TOKEN : REFUSE_PASSWORD);
	smtp_server_refuse(s->engine, s->fault.code, s->fault.enhanced, "%s", s->fault.text);
	return SMTP_REFUSE;
}

static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	struct smtp_session *s = arg;
	const struct sasl_checks checks = sign_in_checks(s);

	if (s->exchange.mechanism == SASL_NONE) {
		s->fault.action = FAULT_NONE;
		if (!sasl_exchange_begin(&s->exchange, mechanism)) {
			smtp_server_refuse(
			    s->engine, 504, "5.5.4", "this mechanism is not offered");
			return SMTP_REFUSE;
		}
	}
	switch (sasl_exchange_step(&s->exchange, &checks, s, response, len)) {
	case SASL_NEXT_CHALLENGE:
		smtp_server_challenge(
		    s->engine, s->exchange.challenge, strlen(s->exchange.challenge));
		return SMTP_LATER;
	case SASL_NEXT_OK:
		return ask(s, FAULT_AUTH, sign_in);
	case SASL_NEXT_REFUSED:
		return refuse_sign_in(s);
	case SASL_NEXT_BAD:
		break;
	}
	s->server->sandbox->stats.auth_refused++;
	smtp_server_refuse(s->engine, 501, "5.5.2", "The response does not follow %s",
	    sasl_mechanism_name(s->exchange.ended));
	return SMTP_REFUSE;
}

/* Is the sender another's, in a way that the provider minds at this stage? The null sender of a bounce is anybody's. */
static bool
sender_is_refused(const struct smtp_session *s, enum fault_stage stage)
{
	const char *name = s->server->sandbox->personality->refusals[REFUSE_SENDER];
	const struct fault_event e = {.account = NULL};
	struct fault f;

	return name != NULL && s->sender[0] != '\0' &&
	       !address_equal_nocase(s->sender, s->account->address) &&
	       faults_named(name, &e, &f) && f.stage == stage;
}

static enum smtp_decision
decide_sender(struct smtp_session *s)
{
	if (!sender_is_refused(s, FAULT_MAIL))
		return agree(s, 250, "2.1.0", s->server->sandbox->personality->sender_ok);
	return refuse(s, REFUSE_SENDER);
}

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *params)
{
	struct smtp_session *s = arg;

	(void)snprintf(s->sender, sizeof(s->sender), "%s", sender);
	return ask(s, FAULT_MAIL, decide_sender);
}

static enum smtp_decision
decide_recipient(struct smtp_session *s)
{
	static const struct {
		const char *start;
		int code;
		const char *enhanced, *words;
	} refusals[] = {
	    {"nouser@", 550, "5.1.1", "No such user here"},
	    {"full@", 452, "4.2.2", "Mailbox full"},
	    {"greylist@", 450, "4.7.1", "Greylisted, try again later"},
	    {"blocked@", 554, "5.7.1", "Not accepted"},
	};
	struct recipient *r;
	size_t i, len = strlen(s->rcpt);

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (strncasecmp(s->rcpt, refusals[i].start, strlen(refusals[i].start)) == 0) {
			smtp_server_refuse(s->engine, refusals[i].code, refusals[i].enhanced,
			    "<%s>: %s", s->rcpt, refusals[i].words);
			return SMTP_REFUSE;
		}
	}
	r = malloc(sizeof(*r) + len + 1);
	if (r == NULL) {
		smtp_server_refuse(s->engine, 451, "4.3.0", "No memory");
		return SMTP_REFUSE;
	}
	memcpy(r->address, s->rcpt, len + 1);
	STAILQ_INSERT_TAIL(&s->recipients, r, link);
	return agree(s, 250, "2.1.5", s->server->sandbox->personality->recipient_ok);
}

static enum smtp_decision
on_rcpt(void *arg, const char *address, const struct smtp_rcpt_params *params)
{
	struct smtp_session *s = arg;

	(void)snprintf(s->rcpt, sizeof(s->rcpt), "%s", address);
	return ask(s, FAULT_RCPT, decide_recipient);
}

static enum smtp_decision
refuse_disk(struct smtp_session *s, int error)
{
	log_error("cannot write to the Maildirs: %s", strerror(-error));
	smtp_server_refuse(s->engine, 452, "4.3.1", "The message cannot be written");
	return SMTP_REFUSE;
}

static enum smtp_decision
begin_content(struct smtp_session *s)
{
	struct buf trace CLEANUP_BUF = BUF_INIT(4096);
	char date[64];
	int r = maildir_begin(s->server->sandbox->mail, &s->message);

	if (r == 0)
		r = date_now(date, sizeof(date));
	if (r == 0)
		r = buf_printf(&trace,
		    "Return-Path: <%s>\r\nReceived: from %s ([%s])\r\n\tby "
		    "localhost (frank-sandbox) with ESMTPSA id %s\r\n"
		    "\t(SASL %s as %s);\r\n\t%s\r\nX-Frank-Sandbox-Mechanism: "
		    "%s\r\nX-Frank-Sandbox-Account: %s\r\n",
		    s->sender, s->hello, s->address, maildir_name(s->message),
		    sasl_mechanism_name(s->mechanism), s->account->address, date,
		    sasl_mechanism_name(s->mechanism), s->account->address);
	if (r == 0)
		r = maildir_write(s->message, trace.data, trace.len);
	s->octets = 0;
	return r < 0 ? refuse_disk(s, r)
		     : agree(s, 354, NULL, s->server->sandbox->personality->go_ahead);
}

static enum smtp_decision
on_data(void *arg)
{
	return ask(arg, FAULT_DATA, begin_content);
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	struct smtp_session *s = arg;
	int r = maildir_write(s->message, bytes, len);

	s->octets += len;
	conversation_content(s->talk, len);
	return r < 0 ? refuse_disk(s, r) : SMTP_ACCEPT;
}

/* How the message came, as one text. The caller frees it; NULL: no memory. */
static char *
record(struct smtp_session *s, const char *reply)
{
	SSL *ssl = s->tls ? bufferevent_openssl_get_ssl(s->bev) : NULL;
	json_t *recipients = json_array(), *record = NULL;
	struct recipient *to;
	struct record_facts f = {.address = s->address,
	    .hello = s->hello,
	    .port = s->port,
	    .server_port = s->server_port,
	    .personality = s->server->sandbox->personality->name,
	    .tls_mode = s->implicit ? "implicit" : "starttls",
	    .tls_version = ssl == NULL ? "" : SSL_get_version(ssl),
	    .tls_cipher = ssl == NULL ? "" : SSL_get_cipher_name(ssl),
	    .tls_name = ssl == NULL ? NULL : SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
	    .mechanism = sasl_mechanism_name(s->mechanism),
	    .account = s->account->address,
	    .token = s->token,
	    .sender = s->sender,
	    .recipients = recipients,
	    .faults = s->faults,
	    .now = (uint64_t)time(NULL)};
	bool ok = recipients != NULL;
	char *text = NULL;

	STAILQ_FOREACH (to, &s->recipients, link)
		ok = ok && json_array_append_new(recipients, json_string(to->address)) == 0;
	if (ok)
		record = record_new(&f, conversation_lines(s->talk, sandbox_clock(), reply));
	if (record != NULL)
		text = json_dumps(record, JSON_COMPACT);
	json_decref(record);
	json_decref(recipients);
	return text;
}

/* Sessions of the account that are open now. */
static unsigned
sessions_of(const struct smtp_session *of)
{
	const struct smtp_session *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &of->server->list, link)
		n += s->account == of->account;
	return n;
}

/* The whole reply for a message that is stored. 0 or negative errno. */
static int
reply_stored(const struct smtp_session *s, struct buf *ret)
{
	const char *words = s->server->sandbox->personality->stored, *at,
		   *name = maildir_name(s->message);

	(void)buf_append_str(ret, "250 2.0.0 ");
	if (words == NULL)
		words = "Ok: stored as %s";
	at = strstr(words, "%s");
	(void)buf_append(ret, words, (size_t)(at - words));
	(void)buf_append_str(ret, name);
	return buf_append_str(ret, at + strlen("%s"));
}

/* The message is in its Maildirs: the inbox gets it. One without memory for that is found at the next start. */
static void
take(struct smtp_session *s)
{
	struct inbox_arrival a = {.name = maildir_name(s->message), .account = s->account->address};
	const char **recipients CLEANUP_FREE = NULL;
	const struct recipient *to;
	size_t count = 0;

	STAILQ_FOREACH (to, &s->recipients, link)
		count++;
	recipients = count == 0 ? NULL : calloc(count, sizeof(*recipients));
	if (recipients == NULL)
		return;
	STAILQ_FOREACH (to, &s->recipients, link)
		recipients[a.recipient_count++] = to->address;
	a.recipients = recipients;
	inbox_server_take(s->server->sandbox->inbox, &a);
}

static enum smtp_decision
store(struct smtp_session *s)
{
	struct recipient *to;
	bool found = find_fault(s, FAULT_STORED); /* so that the record says so */
	struct buf reply CLEANUP_BUF = BUF_INIT(256);
	char *how CLEANUP_FREE = NULL;
	const struct personality *p = s->server->sandbox->personality;
	int r;

	if (sender_is_refused(s, FAULT_DOT))
		return refuse(s, REFUSE_SENDER);
	if (p->sessions_max > 0 && sessions_of(s) > p->sessions_max)
		return refuse(s, REFUSE_SESSIONS);
	if (p->content_max > 0 && s->octets > p->content_max)
		return refuse(s, REFUSE_SIZE);
	r = maildir_commit(s->message);

	if (r == 0)
		r = reply_stored(s, &reply);
	if (r == 0) {
		how = record(s, buf_str(&reply));
		r = how == NULL ? -ENOMEM : maildir_note(s->message, how);
	}
	STAILQ_FOREACH (to, &s->recipients, link)
		if (r == 0)
			r = maildir_link(s->message, to->address);
	if (r < 0)
		return refuse_disk(s, r);
	take(s);
	s->server->sandbox->stats.messages++;
	STAILQ_FOREACH (to, &s->recipients, link) {
		s->server->sandbox->stats.recipients++;
		log_line(LOG_LEVEL_INFO, "message stored",
		    LOG_PAIRS({LOG_QUEUE_ID, maildir_name(s->message)},
			{LOG_ACCOUNT, s->account->address}, {LOG_RECIPIENT, to->address},
			{LOG_MECHANISM, sasl_mechanism_name(s->mechanism)}));
	}
	smtp_server_reply_text(s->engine, buf_str(&reply) + strlen("250 2.0.0 "));
	return found ? meet_fault(s, accept_it) : SMTP_ACCEPT;
}

static enum smtp_decision
on_end(void *arg)
{
	return ask(arg, FAULT_DOT, store);
}

static void
on_starttls(void *arg)
{
	struct smtp_session *s = arg;

	s->wants_tls = true;
}

static void
on_trace(void *arg, bool from_client, const char *text, size_t len)
{
	struct smtp_session *s = arg;

	conversation_add(s->talk, from_client ? CONVERSATION_CLIENT : CONVERSATION_SERVER,
	    sandbox_clock(), text, len);
}

static const struct smtp_server_ops ops = {
    .command = on_command,
    .trace = on_trace,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_starttls,
    .hello = on_hello,
};

/* ---- the connection ---- */

static void on_read(struct bufferevent *bev, void *arg);
static void on_written(struct bufferevent *bev, void *arg);
static void on_event(struct bufferevent *bev, short what, void *arg);

static void
session_end(struct smtp_session *s)
{
	TAILQ_REMOVE(&s->server->list, s, link);
	s->server->sessions--;
	(void)smtp_server_free(s->engine);
	on_reset(s);
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	if (s->timer != NULL)
		event_free(s->timer);
	json_decref(s->token);
	(void)conversation_free(s->talk);
	mem_wipe(s, sizeof(*s));
	free(s);
}

static int
watch(struct smtp_session *s)
{
	static const struct timeval limit = {.tv_sec = IDLE_SECONDS};

	bufferevent_setcb(s->bev, on_read, on_written, on_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, WAITING_MAX);
	bufferevent_set_timeouts(s->bev, &limit, &limit);
	return bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

/* Puts TLS in the place of the plain connection. False: the session has ended. */
static bool
begin_tls(struct smtp_session *s)
{
	evutil_socket_t fd = bufferevent_getfd(s->bev);

	(void)bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	(void)bufferevent_setfd(s->bev, -1);
	bufferevent_free(s->bev);
	s->wants_tls = false;
	s->tls = true;
	s->bev = sandbox_tls_connection(s->server->sandbox, fd);
	if (s->bev == NULL) {
		(void)evutil_closesocket(fd);
		session_end(s);
		return false;
	}
	smtp_server_tls_started(s->engine);
	if (watch(s) < 0) {
		session_end(s);
		return false;
	}
	return true;
}

/* Moves what the engine has to say into the connection. False: no memory. */
static bool
drain(struct smtp_session *s)
{
	const struct buf *out = smtp_server_output(s->engine);

	/* Writing lets the engine go on with input that waited, and say more. */
	while (out->len > 0) {
		if (evbuffer_add(bufferevent_get_output(s->bev), out->data, out->len) < 0)
			return false;
		smtp_server_wrote(s->engine, out->len);
	}
	return true;
}

/* The client does not read what it is answered: nothing more is read from it until it does. */
static bool
is_full(const struct smtp_session *s)
{
	return evbuffer_get_length(bufferevent_get_output(s->bev)) >= WAITING_MAX;
}

/* Ends the session where the last word is out, or goes over to TLS. */
static void
move_on(struct smtp_session *s)
{
	if (evbuffer_get_length(bufferevent_get_output(s->bev)) > 0)
		return;
	if (s->dropping) {
		session_end(s);
		return;
	}
	if (smtp_server_closing(s->engine))
		session_end(s);
	else if (s->wants_tls)
		(void)begin_tls(s);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct smtp_session *s = arg;
	char bytes[16 * 1024];
	int n = 1, r;

	if (s->engine == NULL) /* before the greeting; what came waits */
		return;
	r = drain(s) ? 0 : -ENOMEM;

	while (r == 0 && n > 0 && !s->wants_tls && !s->dropping &&
	       !smtp_server_waiting(s->engine) && !smtp_server_closing(s->engine) && !is_full(s)) {
		n = evbuffer_remove(bufferevent_get_input(bev), bytes, sizeof(bytes));
		if (n > 0)
			r = smtp_server_input(s->engine, bytes, (size_t)n);
		if (r == 0 && !drain(s))
			r = -ENOMEM;
	}
	mem_wipe(bytes, sizeof(bytes));
	if (r < 0) {
		session_end(s);
		return;
	}
	if (is_full(s))
		(void)bufferevent_disable(bev, EV_READ);
	move_on(s);
}

/* The text with what stands in for its %s. Returns `ret`. */
static const char *
fill_in(char *ret, size_t size, const char *text, const char *value)
{
	const char *at = strstr(text, "%s");

	if (at == NULL)
		(void)snprintf(ret, size, "%s", text);
	else
		(void)snprintf(
		    ret, size, "%.*s%s%s", (int)(at - text), text, value, at + strlen("%s"));
	return ret;
}

/* The engine begins with the greeting, or with a fault in its place. May end the session. */
static void
begin_engine(struct smtp_session *s)
{
	const struct personality *p = s->server->sandbox->personality;
	struct smtp_server_config config = s->server->config;
	char date[64];

	config.tls_active = s->implicit;
	if (p->greeting != NULL && date_now(date, sizeof(date)) == 0)
		config.greeting = fill_in(s->greeting, sizeof(s->greeting), p->greeting, date);
	if (p->hello != NULL)
		config.hello = fill_in(s->ehlo, sizeof(s->ehlo), p->hello, s->address);
	s->engine = smtp_server_new(&config, &ops, s);
	if (s->engine == NULL || s->fault.action == FAULT_DROP) {
		session_end(s);
		return;
	}
	if (s->fault.action == FAULT_REPLY) {
		smtp_server_wrote(s->engine, smtp_server_output(s->engine)->len);
		smtp_server_end(s->engine, s->fault.code, s->fault.enhanced, s->fault.text);
	}
	on_read(s->bev, s);
}

/* The connection is there, and TLS where it comes first. May end the session. */
static void
greet(struct smtp_session *s)
{
	bool found = find_fault(s, FAULT_CONNECT);

	if (found && (s->fault.action == FAULT_HANG || (s->fault.delay_ms > 0 && delay(s))))
		return;
	begin_engine(s);
}

/* A delay is over. */
static void
on_delayed(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_session *s = arg;
	enum smtp_decision d;

	if (s->engine == NULL) {
		begin_engine(s);
		return;
	}
	d = perform(s);
	if (d != SMTP_LATER)
		smtp_server_answer(s->engine, d);
	on_read(s->bev, s);
}

/* All output is out: what waited for it, input as well, goes on. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct smtp_session *s = arg;

	if (s->engine != NULL && !smtp_server_closing(s->engine) && !s->wants_tls)
		(void)bufferevent_enable(bev, EV_READ);
	on_read(bev, s);
}

/* TLS is up. */
static void
on_tls(struct smtp_session *s)
{
	SSL *ssl = bufferevent_openssl_get_ssl(s->bev);

	note(s, "(%s: %s, %s)", s->implicit ? "TLS" : "STARTTLS", SSL_get_version(ssl),
	    SSL_get_cipher_name(ssl));
	if (s->implicit)
		greet(s);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct smtp_session *s = arg;

	if (what & BEV_EVENT_CONNECTED)
		on_tls(s);
	else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
		if (s->engine != NULL)
			smtp_server_eof(s->engine);
		session_end(s);
	}
}

/* Notes both ends of the connection. */
static void
note_peers(struct smtp_session *s, evutil_socket_t fd, const struct sockaddr *from)
{
	struct sockaddr_in6 own = {0};
	socklen_t len = sizeof(own);

	/* both kinds have the port at one place */
	if (getsockname(fd, (struct sockaddr *)&own, &len) == 0)
		s->server_port = ntohs(own.sin6_port);
	if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)from;

		s->port = ntohs(a->sin6_port);
		(void)inet_ntop(AF_INET6, &a->sin6_addr, s->address, sizeof(s->address));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)from;

		s->port = ntohs(a->sin_port);
		(void)inet_ntop(AF_INET, &a->sin_addr, s->address, sizeof(s->address));
	}
}

static void
accept_session(
    struct submission_server *server, evutil_socket_t fd, const struct sockaddr *from, bool tls)
{
	struct smtp_session *s = server->sessions < SESSIONS_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (s == NULL) {
		(void)evutil_closesocket(fd);
		return;
	}
	s->server = server;
	s->implicit = s->tls = tls;
	s->talk = conversation_new(sandbox_clock());
	note_peers(s, fd, from);
	STAILQ_INIT(&s->recipients);
	TAILQ_INSERT_HEAD(&server->list, s, link);
	server->sessions++;
	s->bev = tls ? sandbox_tls_connection(server->sandbox, fd)
		     : bufferevent_socket_new(server->sandbox->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (s->bev == NULL)
		(void)evutil_closesocket(fd);
	if (s->bev == NULL || s->talk == NULL || watch(s) < 0)
		session_end(s);
	else if (!tls)
		greet(s);
}

static void
on_plain(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	accept_session(arg, fd, from, false);
}

static void
on_implicit(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	accept_session(arg, fd, from, true);
}

static int
listen_on(struct submission_server *s, unsigned *port, evconnlistener_cb accepted)
{
	int fds[2];
	size_t i;
	int r = sandbox_listen(s->sandbox, port, fds);

	for (i = 0; r == 0 && i < ARRAY_SIZE(fds); i++) {
		struct evconnlistener *l;

		if (fds[i] < 0)
			continue;
		l = evconnlistener_new(s->sandbox->base, accepted, s,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fds[i]);
		if (l == NULL) {
			(void)close(fds[i]);
			r = -ENOMEM;
		} else {
			s->listeners[s->listener_count++] = l;
		}
	}
	return r;
}

struct submission_server *
submission_start(
    struct sandbox *sandbox, unsigned *starttls_port, unsigned *implicit_port, int *ret_error)
{
	struct submission_server *s = calloc(1, sizeof(*s));

	*ret_error = -ENOMEM;
	if (s == NULL)
		return NULL;
	s->sandbox = sandbox;
	TAILQ_INIT(&s->list);
	s->config = (struct smtp_server_config){
	    .hostname = sandbox->personality->hostname,
	    .software = "frank-sandbox",
	    .auth_mechanisms = sandbox->personality->mechanisms,
	    .extensions = sandbox->personality->extensions,
	    .size_max = sandbox->personality->size_max,
	    .recipients_max = sandbox->personality->recipients_max,
	    .bad_commands_max = 20,
	    .auth_required = true,
	    .tls_required = true,
	};
	*ret_error = listen_on(s, starttls_port, on_plain);
	if (*ret_error == 0)
		*ret_error = listen_on(s, implicit_port, on_implicit);
	return *ret_error == 0 ? s : submission_stop(s);
}

struct submission_server *
submission_stop(struct submission_server *s)
{
	struct smtp_session *session;
	size_t i;

	if (s == NULL)
		return NULL;
	for (i = 0; i < s->listener_count; i++)
		evconnlistener_free(s->listeners[i]);
	while ((session = TAILQ_FIRST(&s->list)) != NULL)
		session_end(session);
	free(s);
	return NULL;
}

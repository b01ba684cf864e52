/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post.c: see post.h.
 *
 * An account's jobs wait in the order in which they came and run as many at once as the account has
 * sessions. When one is refused for a reason that is the account's or the server's, those that wait
 * go back to queue untried: queue knows how long to leave the account alone, and would be told the
 * same by each of them. A job on its way:
 *
 *   fit (envelope against header section, size) ─▶ token ─▶ request ─▶ answer
 *                                                    ▲                   │
 *                                                    └── 401, once ──────┘
 *
 * The transcript has the same form as that of an SMTP session, and a token is in it only as its
 * length: what is written there is made here, the request itself is made elsewhere. A request of
 * which all went out and that got no answer is in doubt, since the provider may have sent the
 * message; one that broke off before cannot have been taken, for its length was announced.
 */
#include "broker/https/post.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "base/codec.h"
#include "base/log.h"
#include "broker/https/document.h"
#include "broker/https/envelope.h"
#include "broker/https/http.h"
#include "broker/https/post-account.h"
#include "broker/https/url.h"
#include "broker/https/webhook.h"
#include "broker/ipc/auth-secret.h"
#include "broker/ipc/job.h"
#include "broker/ipc/reply.h"
#include "broker/message/adapt.h"

enum {
	ACTIVE_MAX = 256,   /* requests at once, of all accounts */
	SECONDS_LEAST = 60, /* that a request may take, */
	SECONDS_MOST = 900, /* by its size */
	SHUTDOWN_PATIENCE = 3,
	BCC_MAX = 64 * 1024,
	HEADER_MAX = 64 * 1024,
	ANSWER_SHOWN = 2000,
	SLOWEST = 32 * 1024, /* octets a second */
	REQUEST_ID_OCTETS = 16,
};

struct post_job {
	STAILQ_ENTRY(post_job) waiting; /* of its account */
	LIST_ENTRY(post_job) active;    /* on its way */
	struct post *post;
	struct post_account *account;
	const struct api
	    *api; /* that the request is made for; the account may get another meanwhile */
	struct job *job;
	struct buf bcc; /* a field before the message, or nothing */
	struct buf url;
	struct upload upload;
	struct auth_secret token; /* held while the request runs */
	bool sending;             /* a request is on its way */
	struct buf transcript;
	char endpoint[400], tls[80];
	char host[300];
};

struct post {
	const struct transport_ops *ops;
	void *arg;
	struct http *http;
	struct post_table *table;
	LIST_HEAD(, post_job) active;
	struct webhook_calls webhooks;
	uint64_t last_id;
	bool shutting_down;
	struct event *deadline;
};

static void
post_job_free(struct post_job *j)
{
	(void)job_free(j->job);
	buf_free(&j->bcc);
	buf_free(&j->url);
	buf_free(&j->transcript);
	auth_secret_drop(&j->token);
	free(j);
}

static void post_job_done(struct post_job *j, const struct smtp_reply *reply, bool account_wide);

static void PRINTF_LIKE(2, 3) note(struct post_job *j, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&j->transcript, format, ap);
	va_end(ap);
	(void)buf_append_str(&j->transcript, "\n");
}

/* ---- the end ---- */

static void
fail(struct post_job *j, enum smtp_stage stage, enum smtp_fault fault, const char *words,
    bool account_wide)
{
	struct smtp_reply reply = {.stage = stage, .fault = fault, .text = words};

	note(j, "* %s", words);
	post_job_done(j, &reply, account_wide);
}

static void
log_outcome(const struct post_job *j, const struct smtp_reply *r)
{
	char code[16], recipients[LOG_RECIPIENTS_SIZE];

	(void)snprintf(code, sizeof(code), "%d", r->code);
	log_line(r->code == 250 ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE,
	    r->code == 250 ? "The mail API took a message."
			   : "The mail API did not take a message.",
	    LOG_PAIRS({LOG_QUEUE_ID, j->job->queue_id}, {LOG_ACCOUNT, j->account->conf.name},
		{LOG_RECIPIENT, log_recipients(recipients, j->job->recipients[0].address,
				    j->job->spec.recipient_count)},
		{LOG_ENDPOINT, j->endpoint},
		{LOG_OUTCOME, r->code > 0 ? "answered" : smtp_fault_name(r->fault)},
		{LOG_REPLY, r->code > 0 ? code : NULL}, {LOG_ERROR, r->text}));
}

/* ---- the answer ---- */

/* Takes every copy of the token out of what a server said. */
static void
blank_token(char *text, size_t len, const struct secret *token)
{
	size_t size = token == NULL ? 0 : secret_len(token);
	char *at = text;

	while (size > 0 && len >= size &&
	       (at = memmem(at, len - (size_t)(at - text), secret_bytes(token), size)) != NULL)
		memset(at, '*', size);
}

/* `body`: the answer's, without the token. */
static void
note_answer(struct post_job *j, const struct http_answer *a, const struct buf *body)
{
	CLEANUP_BUF struct buf shown = BUF_INIT(4 * ANSWER_SHOWN);

	if (a->fault != NULL) {
		note(j, "* %s", a->fault);
		return;
	}
	note(j, "S: %ld", a->status);
	if (a->wanted != NULL &&
	    text_escape(&shown, a->wanted, strnlen(a->wanted, 100), false) == 0)
		note(j, "S: %s: %s", j->api->id_header, buf_str(&shown));
	if (a->retry_after >= 0)
		note(j, "S: Retry-After: %lld", (long long)a->retry_after);
	buf_clear(&shown);
	if (body->len > 0 && text_escape(&shown, body->data,
				 body->len < ANSWER_SHOWN ? body->len : ANSWER_SHOWN, false) == 0)
		note(j, "S: %s%s", buf_str(&shown), body->len > ANSWER_SHOWN ? " [cut]" : "");
}

/* Would the account's next message meet the same? Not where the message itself is refused; nor where
 * no answer came to it, but for one that came from something else. */
static bool
is_account_wide(const struct smtp_reply *r)
{
	return r->code != 250 && r->code != 400 && r->code != 413 &&
	       (!r->in_doubt || r->fault == SMTP_FAULT_PROTOCOL);
}

static void
on_answer(void *arg, const struct http_answer *a)
{
	struct post_job *j = arg;
	CLEANUP_BUF struct buf body = BUF_INIT_WIPE(DOCUMENT_MAX);
	struct smtp_reply reply = {0};

	/* What goes on from here, to the transcript, the log and queue, is without the token. */
	(void)buf_append(&body, a->body, a->body_len);
	blank_token(body.data, body.len, j->token.secret);
	j->sending = false;
	if (a->address[0] != '\0')
		(void)snprintf(j->endpoint, sizeof(j->endpoint), "%s [%s]", j->host, a->address);
	(void)snprintf(j->tls, sizeof(j->tls), "%s", a->tls);
	if (a->tls[0] != '\0')
		note(j, "* connected to %s, %s", j->endpoint, a->tls);
	note_answer(j, a, &body);
	if (a->fault != NULL) {
		reply = (struct smtp_reply){.stage = a->sent ? SMTP_STAGE_EOM : a->stage,
		    .fault = a->kind,
		    .in_doubt = a->sent,
		    .text = strdup(a->fault)};
	} else if (a->status == 401 && !j->token.renewed) {
		note(j, "* the token was refused; a newer one is asked for");
		auth_secret_renew(&j->token);
		return;
	} else if (body.failed || api_answer_read(j->api, a->status, body.data, body.len, a->wanted,
				      time(NULL), &reply) < 0) {
		reply = (struct smtp_reply){.stage = SMTP_STAGE_EOM,
		    .fault = SMTP_FAULT_LOCAL,
		    .in_doubt = a->status < 300};
	}
	if (a->fault == NULL && a->retry_after > 0)
		reply.retry_after = (unsigned)a->retry_after; /* HTTP_RETRY_AFTER_MAX */
	log_outcome(j, &reply);
	post_job_done(j, &reply, is_account_wide(&reply));
	smtp_reply_clear(&reply);
}

/* ---- the request ---- */

/* What the provider's own log can be searched for. */
static void
make_request_id(char *out, size_t size)
{
	CLEANUP_BUF struct buf hex = BUF_INIT(2 * REQUEST_ID_OCTETS + 1);
	unsigned char octets[REQUEST_ID_OCTETS] = {0};
	const char *h;

	(void)RAND_bytes(octets, sizeof(octets));
	(void)hex_encode(&hex, octets, sizeof(octets));
	h = buf_str(&hex);
	(void)snprintf(out, size, "client-request-id: %.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12,
	    h + 16, h + 20);
}

static void
note_request(struct post_job *j, const char *request_id)
{
	note(j, "C: POST %s", url_path(buf_str(&j->url)));
	note(j, "C: Authorization: Bearer <token, %zu octets>", secret_len(j->token.secret));
	note(j, "C: %s", j->api->content_type);
	if (request_id != NULL)
		note(j, "C: %s", request_id);
	note(j, "C: <message, %zu octets%s>", upload_left(&j->upload),
	    j->upload.base64 ? " of base64" : "");
}

static void
send_request(struct post_job *j)
{
	const struct api *api = j->api;
	CLEANUP_BUF struct buf authorization = BUF_INIT_WIPE(HEADER_MAX);
	char request_id[80];
	struct http_request q = {.url = buf_str(&j->url),
	    .upload = &j->upload,
	    .headers = {api->content_type},
	    .wanted_header = api->id_header,
	    .ca = j->account->conf.ca_file.text.len > 0 ? &j->account->conf.ca_file.text : NULL,
	    .keep = true};
	uint64_t seconds;
	int r;

	j->upload.at = 0;
	seconds = SECONDS_LEAST + upload_left(&j->upload) / SLOWEST;
	q.seconds = seconds < SECONDS_MOST ? (unsigned)seconds : SECONDS_MOST;
	if (api->id_header != NULL) {
		make_request_id(request_id, sizeof(request_id));
		q.headers[1] = request_id;
	}
	(void)buf_append_str(&authorization, "Authorization: Bearer ");
	(void)buf_append(
	    &authorization, secret_bytes(j->token.secret), secret_len(j->token.secret));
	q.authorization = buf_str(&authorization);
	note_request(j, api->id_header != NULL ? request_id : NULL);
	r = authorization.failed ? -ENOMEM : http_start(j->post->http, &q, on_answer, j);
	if (r < 0)
		fail(j, SMTP_STAGE_API, SMTP_FAULT_LOCAL, "the request could not be made", false);
	else
		j->sending = true;
}

/* ---- the token ---- */

static void
take_token(struct post_job *j, const struct message *m)
{
	struct smtp_reply why;

	if (!auth_secret_take(&j->token, m, &why))
		fail(j, why.stage, why.fault, why.text, true);
	else if (j->token.kind != AUTH_SECRET_TOKEN || !secret_is_printable(j->token.secret, false))
		fail(j, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL,
		    "The account has no token, and the mail API takes nothing else.", true);
	else if (j->account->api != j->api)
		post_job_done(j, NULL, false); /* begun for another configuration */
	else
		send_request(j);
}

/* ---- the start ---- */

static void
fail_by_size(struct post_job *j, size_t size)
{
	char words[200];

	(void)snprintf(words, sizeof(words),
	    "the message has %zu octets and %s takes %zu; larger ones can go by transport = "
	    "\"smtp\"",
	    size, j->api->name, j->api->message_max);
	fail(j, SMTP_STAGE_API, SMTP_FAULT_TOO_BIG, words, false);
}

/* 0; -EBADMSG with `why`; -ENOMEM. */
static int
fit_envelope(struct post_job *j, struct buf *why)
{
	const struct smtp_client_job *spec = &j->job->spec;
	const char **recipients = calloc(spec->recipient_count, sizeof(*recipients));
	size_t added = 0;
	int r;

	if (recipients == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < spec->recipient_count; i++)
		recipients[i] = spec->recipients[i].address;
	r = envelope_fit(
	    spec->body, spec->body_len, recipients, spec->recipient_count, &j->bcc, &added, why);
	free(recipients);
	if (r == 0 && added > 0)
		note(j, "* %zu recipient%s in no header field: added as Bcc", added,
		    added == 1 ? "" : "s");
	if (r == 0 && spec->sender[0] == '\0')
		note(
		    j, "* the API has no null sender: the mailbox itself is the envelope's sender");
	return r;
}

static void
post_job_start(struct post_job *j)
{
	const struct conf_account *c = &j->account->conf;
	/* a token that belongs to no person names no mailbox: the path has to */
	const char *mailbox = c->grant == GRANT_CLIENT_CREDENTIALS ? c->mailbox : NULL;
	const struct api *api = j->account->api;
	const struct smtp_client_job *spec = &j->job->spec;
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	int r;

	j->api = api;
	j->token = (struct auth_secret){.to_keeper = j->post->ops->to_keeper,
	    .arg = j->post->arg,
	    .account = j->account->conf.name,
	    .min_valid = j->account->conf.min_valid,
	    .last_id = &j->post->last_id};
	j->bcc = (struct buf)BUF_INIT(BCC_MAX);
	j->url = (struct buf)BUF_INIT(URL_MAX);
	j->transcript = (struct buf)BUF_INIT(SMTP_CLIENT_TRANSCRIPT_MAX);
	r = api_url(api, c->api_endpoint, mailbox, &j->url);
	url_authority(buf_str(&j->url), j->host, sizeof(j->host));
	(void)snprintf(j->endpoint, sizeof(j->endpoint), "%s", j->host);
	note(j, "* %s at %s", api->name, j->host);
	/* Content may be anything; addresses are ASCII. */
	if (r == 0)
		r = adapt_job(j->job, SMTP_EXT_8BITMIME);
	if (r == 0)
		r = fit_envelope(j, &why);
	if (r == -EBADMSG) {
		fail(j, SMTP_STAGE_API, SMTP_FAULT_API_ENVELOPE, buf_str(&why), false);
	} else if (r < 0 || j->account->conf.ca_file.unreadable) {
		fail(j, SMTP_STAGE_API, SMTP_FAULT_LOCAL,
		    r < 0 ? "out of memory" : "the account's ca-file could not be read", false);
	} else if (spec->requiretls) {
		fail(j, SMTP_STAGE_API, SMTP_FAULT_NO_REQUIRETLS,
		    "the API promises nothing about TLS behind it", false);
	} else if (spec->smtputf8) {
		fail(j, SMTP_STAGE_API, SMTP_FAULT_NO_SMTPUTF8,
		    "the API says nothing about addresses outside ASCII", false);
	} else if (j->bcc.len + spec->body_len > api->message_max) {
		fail_by_size(j, j->bcc.len + spec->body_len);
	} else {
		j->upload = (struct upload){.parts = {buf_str(&j->bcc), spec->body},
		    .lens = {j->bcc.len, spec->body_len},
		    .base64 = api->base64};
		auth_secret_ask(&j->token);
	}
}

static void
post_job_abandon(struct post_job *j)
{
	struct smtp_reply lost = {.stage = SMTP_STAGE_EOM,
	    .fault = SMTP_FAULT_TIMEOUT,
	    .in_doubt = true,
	    .text = "Frank ended before the API had answered."};
	bool in_doubt = j->sending && upload_left(&j->upload) == 0;

	if (in_doubt)
		note(j, "* %s", lost.text);
	post_job_done(j, in_doubt ? &lost : NULL, true);
}

/* ---- answers ---- */

static void
to_queue(void *arg, struct message *m)
{
	struct post *p = arg;

	p->ops->to_queue(p->arg, m);
}

static void
answer_job(const struct post_job *j, const struct smtp_reply *reply)
{
	const struct job_session session = {.endpoint = j->endpoint,
	    .tls = j->tls[0] == '\0' ? NULL : j->tls,
	    .mechanism = "Bearer",
	    .transcript = buf_str(&j->transcript)};

	to_queue(j->post, job_done(j->job, reply, true, reply == NULL,
			      reply == NULL ? &(const struct job_session){0} : &session, NULL));
}

static struct post_job *
take_waiting(struct post_account *a)
{
	struct post_job *j = STAILQ_FIRST(&a->waiting);

	if (j != NULL)
		STAILQ_REMOVE_HEAD(&a->waiting, waiting);
	return j;
}

static void
give_back_waiting(struct post_account *a)
{
	struct post_job *j;

	while ((j = take_waiting(a)) != NULL) {
		answer_job(j, NULL);
		post_job_free(j);
	}
}

static void
see_end(void *arg)
{
	const struct post *p = arg;

	if (p->shutting_down && LIST_EMPTY(&p->active) && webhook_is_idle(&p->webhooks))
		p->ops->idle(p->arg);
}

/* ---- turns ---- */

static void
run_account(struct post_account *a)
{
	struct post_job *j;

	if (a->starting)
		return;
	a->starting = true;
	while (a->active < a->conf.sessions && (j = take_waiting(a)) != NULL) {
		LIST_INSERT_HEAD(&j->post->active, j, active);
		a->active++;
		post_job_start(j);
	}
	a->starting = false;
}

static void
post_job_done(struct post_job *j, const struct smtp_reply *reply, bool account_wide)
{
	struct post_account *a = j->account;
	struct post *p = j->post;

	LIST_REMOVE(j, active);
	a->active--;
	answer_job(j, reply);
	post_job_free(j);
	if (account_wide || p->shutting_down || a->api == NULL)
		give_back_waiting(a);
	run_account(a);
	see_end(p);
}

/* ---- messages ---- */

/* The answer to a job that cannot even wait; without words it is untried. */
static void
refuse_job(struct post *p, const struct message *m, const char *words)
{
	to_queue(p, job_refused(m, words));
}

static void
take_job(struct post *p, const struct message *m, int fd)
{
	struct post_account *a = post_table_find(p->table, message_str(m, F_ACCOUNT));
	struct post_job *j;

	if (p->shutting_down || a == NULL) {
		refuse_job(p, m, NULL);
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j != NULL) {
		j->job = job_new(m, fd);
		if (j->job == NULL) {
			refuse_job(p, m,
			    errno == EPROTO ? "The job is without recipients or content."
					    : "The content cannot be read.");
			free(j);
			return;
		}
	}
	if (j == NULL) {
		refuse_job(p, m, "Out of memory.");
		return;
	}
	j->post = p;
	j->account = a;
	STAILQ_INSERT_TAIL(&a->waiting, j, waiting);
	run_account(a);
}

static void
take_credential(struct post *p, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct post_job *j;

	LIST_FOREACH (j, &p->active, active)
		if (auth_secret_is_asked(&j->token, id)) {
			take_token(j, m);
			return;
		}
}

/* What waits for an account that is gone goes back; more sessions may let more of it run. */
static void
after_configuration(struct post *p)
{
	for (struct post_account *a = post_table_accounts(p->table); a != NULL; a = a->next) {
		if (a->api == NULL)
			give_back_waiting(a);
		else
			run_account(a);
	}
}

void
post_message(struct post *p, const struct message *m, int fd)
{
	CLEANUP_CLOSE int taken = fd;

	switch (message_type(m)) {
	case M_JOB:
		take_job(p, m, taken);
		break;
	case M_WEBHOOK:
		webhook_start(&p->webhooks, m);
		break;
	case M_CREDENTIAL:
	case M_CREDENTIAL_FAILED:
		take_credential(p, m);
		break;
	default:
		if (post_table_message(p->table, m, taken) < 0)
			log_error("A configuration did not arrive whole; the one before stays.");
		if (message_type(m) == M_CONF_END)
			after_configuration(p);
		break;
	}
}

void
post_keeper_up(struct post *p, bool up)
{
	struct smtp_reply why;

	/* A job that fails takes itself off the list. */
	for (struct post_job *j = LIST_FIRST(&p->active), *next; j != NULL; j = next) {
		next = LIST_NEXT(j, active);
		if (!auth_secret_keeper_up(&j->token, up, &why))
			fail(j, why.stage, why.fault, why.text, true);
	}
}

/* ---- life ---- */

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	struct post *p = arg;

	/* Nothing calls back from here on; what the requests point to lives on until then. */
	p->http = http_free(p->http);
	webhook_drop_all(&p->webhooks);
	while (!LIST_EMPTY(&p->active))
		post_job_abandon(LIST_FIRST(&p->active));
}

void
post_shut_down(struct post *p)
{
	static const struct timeval patience = {.tv_sec = SHUTDOWN_PATIENCE};

	if (p->shutting_down)
		return;
	p->shutting_down = p->webhooks.closed = true;
	for (struct post_account *a = post_table_accounts(p->table); a != NULL; a = a->next)
		give_back_waiting(a);
	(void)event_add(p->deadline, &patience);
	see_end(p);
}

struct post *
post_new(struct event_base *base, const struct transport_ops *ops, void *arg)
{
	struct post *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->ops = ops;
	p->arg = arg;
	p->http = http_new(base, ACTIVE_MAX);
	p->table = post_table_new();
	p->deadline = event_new(base, -1, 0, on_deadline, p);
	p->webhooks = (struct webhook_calls){
	    .http = p->http, .table = p->table, .to_queue = to_queue, .ended = see_end, .arg = p};
	if (p->http == NULL || p->table == NULL || p->deadline == NULL) {
		errno = ENOMEM;
		return post_free(p);
	}
	return p;
}

struct post *
post_free(struct post *p)
{
	struct post_job *j;

	if (p == NULL)
		return NULL;
	(void)http_free(p->http);
	while ((j = LIST_FIRST(&p->active)) != NULL) {
		LIST_REMOVE(j, active);
		post_job_free(j);
	}
	webhook_drop_all(&p->webhooks);
	for (struct post_account *a = p->table == NULL ? NULL : post_table_accounts(p->table);
	     a != NULL; a = a->next)
		while ((j = take_waiting(a)) != NULL)
			post_job_free(j);
	(void)post_table_free(p->table);
	if (p->deadline != NULL)
		event_free(p->deadline);
	free(p);
	return NULL;
}

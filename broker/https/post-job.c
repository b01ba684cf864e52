/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post-job.c: one message on its way to an HTTP API.
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
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "base/codec.h"
#include "base/log.h"
#include "broker/https/document.h"
#include "broker/https/envelope.h"
#include "broker/https/post-internal.h"
#include "broker/https/url.h"
#include "broker/ipc/credential.h"
#include "broker/message/adapt.h"

enum {
	BCC_MAX = 64 * 1024,
	HEADER_MAX = 64 * 1024,
	ANSWER_SHOWN = 2000,
	SLOWEST = 32 * 1024, /* octets a second */
	REQUEST_ID_OCTETS = 16,
};

void
post_job_free(struct post_job *j)
{
	if (j == NULL)
		return;
	(void)job_free(j->job);
	buf_free(&j->bcc);
	buf_free(&j->url);
	buf_free(&j->transcript);
	(void)secret_free(j->token);
	free(j);
}

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
	    LOG_PAIRS({LOG_QUEUE_ID, j->job->queue_id}, {LOG_ACCOUNT, j->account->name},
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

static void ask_keeper(struct post_job *j, uint64_t rejected);

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
	blank_token(body.data, body.len, j->token);
	j->sending = false;
	if (a->address[0] != '\0')
		(void)snprintf(j->endpoint, sizeof(j->endpoint), "%s [%s]", j->host, a->address);
	(void)snprintf(j->tls, sizeof(j->tls), "%s", a->tls);
	if (a->tls[0] != '\0')
		note(j, "* connected to %s, %s", j->endpoint, a->tls);
	note_answer(j, a, &body);
	j->token = secret_free(j->token);
	if (a->fault != NULL) {
		reply = (struct smtp_reply){.stage = a->sent ? SMTP_STAGE_EOM : a->stage,
		    .fault = a->kind,
		    .in_doubt = a->sent,
		    .text = strdup(a->fault)};
	} else if (a->status == 401 && !j->renewed) {
		j->renewed = true;
		note(j, "* the token was refused; a newer one is asked for");
		ask_keeper(j, j->generation);
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
	note(j, "C: Authorization: Bearer <token, %zu octets>", secret_len(j->token));
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
	    .ca = j->account->ca.len > 0 ? &j->account->ca : NULL,
	    .keep = true};
	uint64_t seconds;
	int r;

	j->upload.at = 0;
	seconds = POST_SECONDS_LEAST + upload_left(&j->upload) / SLOWEST;
	q.seconds = seconds < POST_SECONDS_MOST ? (unsigned)seconds : POST_SECONDS_MOST;
	if (api->id_header != NULL) {
		make_request_id(request_id, sizeof(request_id));
		q.headers[1] = request_id;
	}
	(void)buf_append_str(&authorization, "Authorization: Bearer ");
	(void)buf_append(&authorization, secret_bytes(j->token), secret_len(j->token));
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
ask_keeper(struct post_job *j, uint64_t rejected)
{
	uint64_t id = ++j->post->last_id;
	struct message *m = credential_get(id, j->account->name, j->account->min_valid, rejected);

	/* Before the question: the answer may come from within it. */
	j->request = id;
	j->to_ask = m == NULL || !j->post->ops->to_keeper(j->post->arg, m);
	if (j->to_ask)
		j->request = 0;
}

void
post_job_credential(struct post_job *j, const struct message *m)
{
	uint64_t generation;

	j->request = 0;
	if (message_type(m) == M_CREDENTIAL_FAILED) {
		fail(j, SMTP_STAGE_TOKEN, credential_fault(m), message_str(m, F_ERROR), true);
		return;
	}
	generation = message_u64(m, F_GENERATION, 0);
	j->token = message_secret(m, F_SECRET);
	if (strcmp(message_str(m, F_KIND), "token") != 0 || j->token == NULL ||
	    !secret_is_printable(j->token, false)) {
		fail(j, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL,
		    "The account has no token, and the mail API takes nothing else.", true);
	} else if (j->renewed && generation == j->generation) {
		fail(j, SMTP_STAGE_TOKEN, SMTP_FAULT_CREDENTIAL_LATER,
		    "The mail API refused the token, and there is no newer one yet.", true);
	} else if (j->account->api != j->api) {
		post_job_done(j, NULL, false); /* begun for another configuration */
	} else {
		j->generation = generation;
		send_request(j);
	}
}

void
post_job_keeper_up(struct post_job *j, bool up)
{
	if (up && j->to_ask) {
		ask_keeper(j, j->renewed ? j->generation : 0);
	} else if (!up && j->request != 0) {
		j->request = 0;
		fail(j, SMTP_STAGE_TOKEN, SMTP_FAULT_CREDENTIAL_LATER,
		    "The keeper of credentials ended before it answered.", true);
	}
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

void
post_job_start(struct post_job *j)
{
	const struct api *api = j->account->api;
	const struct smtp_client_job *spec = &j->job->spec;
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	int r;

	j->api = api;
	j->bcc = (struct buf)BUF_INIT(BCC_MAX);
	j->url = (struct buf)BUF_INIT(URL_MAX);
	j->transcript = (struct buf)BUF_INIT(SMTP_CLIENT_TRANSCRIPT_MAX);
	r = api_url(api, j->account->endpoint, j->account->mailbox, &j->url);
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
	} else if (r < 0 || j->account->ca_broken) {
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
		ask_keeper(j, 0);
	}
}

void
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

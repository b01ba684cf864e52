/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * webhook.c: one request on its way to a webhook: an event as a JSON document, or several, posted once.
 *
 * Where the webhook has a key, the receiver can tell that the document is ours and when it was made:
 * X-Frank-Signature: t=SECONDS,v1=HEX with HEX = HMAC-SHA256(key, "SECONDS.BODY"). The address and
 * the headers may hold secrets (many services put a token into the path), so faults name the host
 * alone, and redirects are not followed.
 */
#include "broker/https/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/codec.h"
#include "base/log.h"
#include "broker/https/url.h"

enum { CALLS_MAX = 64 }; /* on their way; more are answered with a fault */

struct webhook_call {
	LIST_ENTRY(webhook_call) link;
	struct webhook_calls *calls;
	uint64_t id;
	char *name;
	struct buf body;
	struct upload upload;
};

static void
call_free(struct webhook_call *c)
{
	LIST_REMOVE(c, link);
	c->calls->count--;
	free(c->name);
	buf_free(&c->body);
	free(c);
}

void
webhook_drop_all(struct webhook_calls *w)
{
	while (!LIST_EMPTY(&w->list))
		call_free(LIST_FIRST(&w->list));
}

bool
webhook_is_idle(const struct webhook_calls *w)
{
	return LIST_EMPTY(&w->list);
}

static void
answer(struct webhook_calls *w, uint64_t id, long status, int64_t retry_after, const char *fault)
{
	struct message *m = message_new(M_WEBHOOK_DONE);

	message_put_u64(m, F_ID, id);
	if (status > 0)
		message_put_u64(m, F_HTTP_STATUS, (uint64_t)status);
	if (retry_after >= 0)
		message_put_u64(m, F_RETRY_AFTER, (uint64_t)retry_after);
	message_put_str(m, F_FAULT, fault);
	w->to_queue(w->arg, m);
}

static void
on_answer(void *arg, const struct http_answer *a)
{
	struct webhook_call *c = arg;
	struct webhook_calls *w = c->calls;
	bool fine = a->fault == NULL && a->status >= 200 && a->status < 300;
	char status[16];

	(void)snprintf(status, sizeof(status), "%ld", a->status);
	log_line(fine ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
	    fine ? "A webhook took an event." : "A webhook did not take an event.",
	    LOG_PAIRS({LOG_SERVICE, c->name}, {LOG_REPLY, a->fault == NULL ? status : NULL},
		{LOG_ERROR, a->fault}));
	answer(w, c->id, a->status, a->retry_after, a->fault);
	call_free(c);
	w->ended(w->arg);
}

/* 0 or negative errno; without a key there is nothing to add. */
static int
sign(const struct secret *key, const struct buf *body, struct buf *out)
{
	CLEANUP_BUF struct buf signed_text = BUF_INIT(MESSAGE_MAX + 32);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	long long now = (long long)time(NULL);

	if (key == NULL)
		return 0;
	if (buf_printf(&signed_text, "%lld.", now) < 0 ||
	    buf_append(&signed_text, body->data, body->len) < 0 ||
	    HMAC(EVP_sha256(), secret_bytes(key), (int)secret_len(key),
		(const unsigned char *)signed_text.data, signed_text.len, mac, &mac_len) == NULL ||
	    buf_printf(out, "X-Frank-Signature: t=%lld,v1=", now) < 0)
		return -ENOMEM;
	return hex_encode(out, mac, mac_len);
}

static int
start_request(struct webhook_call *c, const struct conf_webhook *w)
{
	CLEANUP_BUF struct buf signature = BUF_INIT(200);
	struct http_request q = {.url = (const char *)secret_bytes(w->url.secret),
	    .upload = &c->upload,
	    .headers = {w->format == CONF_WEBHOOK_FORMAT_NDJSON
			    ? "Content-Type: application/x-ndjson"
			    : "Content-Type: application/json"},
	    .ca = w->ca_file.text.len > 0 ? &w->ca_file.text : NULL};
	size_t n = 1;
	int r = sign(w->secret.secret, &c->body, &signature);

	if (r < 0)
		return r;
	if (signature.len > 0)
		q.headers[n++] = buf_str(&signature);
	if (w->header.secret != NULL)
		q.headers[n++] = (const char *)secret_bytes(w->header.secret);
	return http_start(c->calls->http, &q, on_answer, c);
}

void
webhook_start(struct webhook_calls *calls, const struct message *m)
{
	const struct conf_webhook *w = post_table_webhook(calls->table, message_str(m, F_NAME));
	uint64_t id = message_u64(m, F_ID, 0);
	const uint8_t *body;
	const char *fault;
	struct webhook_call *c;
	size_t len;
	int r = -ENOMEM;

	fault = calls->closed                        ? "Frank is ending"
		: w == NULL || w->url.secret == NULL ? "no webhook of that name is configured"
		: w->ca_file.unreadable              ? "the webhook's ca-file could not be read"
		: w->header.secret != NULL && !secret_is_printable(w->header.secret,
						  true) /* a second line would be another field */
		    ? "the webhook's header holds more than one line"
		    : calls->count >= CALLS_MAX ? "too many events are on their way" : NULL;
	if (fault != NULL) {
		answer(calls, id, 0, -1, fault);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL) {
		c->calls = calls;
		c->id = id;
		c->body = (struct buf)BUF_INIT(MESSAGE_MAX);
		LIST_INSERT_HEAD(&calls->list, c, link);
		calls->count++;
		c->name = strdup(w->name);
		body = message_bytes(m, F_BODY, &len);
		if (c->name != NULL && buf_append(&c->body, body, len) == 0) {
			c->upload = (struct upload){
			    .parts = {buf_str(&c->body), ""}, .lens = {c->body.len, 0}};
			r = start_request(c, w);
		}
		if (r < 0)
			call_free(c);
	}
	if (r < 0)
		answer(calls, id, 0, -1,
		    r == -EINVAL ? "the webhook's address is not usable: https, or http to loopback"
				 : "out of memory");
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* request.c: see request.h. */
#include "broker/https/request.h"

#include <errno.h>
#include <string.h>

#include "broker/https/document.h"
#include "broker/https/form.h"

enum { SHORTEST_REDACTED = 6, REDACTED_MAX = 16 * 1024 };

struct request *
request_free(struct request *r)
{
	if (r == NULL)
		return NULL;
	free(r->account);
	free(r->endpoint);
	free(r->issuer);
	buf_free(&r->form);
	buf_free(&r->authorization);
	for (size_t i = 0; i < r->secret_count; i++)
		(void)secret_free(r->secrets[i]);
	free(r);
	return NULL;
}

/* Remembers a secret for redact: the value behind the first '=' where there is a key in
 * front. */
static int
remember(struct request *r, const uint8_t *bytes, size_t len, bool keyed)
{
	const uint8_t *value = keyed ? (const uint8_t *)memchr(bytes, '=', len) + 1 : bytes;
	size_t n = len - (size_t)(value - bytes);

	if (n < SHORTEST_REDACTED || r->secret_count == REQUEST_SECRETS_MAX)
		return 0;
	r->secrets[r->secret_count] = secret_new(value, n);
	if (r->secrets[r->secret_count] == NULL)
		return -errno;
	r->secret_count++;
	return 0;
}

/* ---- the token request ---- */

static bool
has_parameter(const struct message *m, const char *key)
{
	const uint8_t *bytes;
	size_t at = 0, len;

	while (message_next(m, F_PARAMETER, &at, &bytes, &len))
		if (form_parameter_is(bytes, len, key))
			return true;
	return false;
}

static int
put_parameters(struct request *r, const struct message *m)
{
	const uint8_t *bytes;
	size_t at = 0, len;
	int e = 0;

	while (e == 0 && message_next(m, F_PARAMETER, &at, &bytes, &len)) {
		e = form_put_parameter(&r->form, bytes, len);
		if (e == 0 && form_parameter_is_secret(bytes, len))
			e = remember(r, bytes, len, true);
	}
	return e;
}

/* RFC 6749 section 2.3: one way of authentication in a request, so with Basic the body says nothing
 * of the client. */
static int
put_client(struct request *r, const struct message *m)
{
	const char *id = message_str(m, F_CLIENT_ID), *way = message_str(m, F_CLIENT_AUTH);
	CLEANUP_SECRET struct secret *secret = message_secret(m, F_CLIENT_SECRET);
	int e = 0;

	if (secret == NULL && message_has(m, F_CLIENT_SECRET))
		return -ENOMEM;
	if (secret != NULL)
		e = remember(r, secret_bytes(secret), secret_len(secret), false);
	if (e == 0 && strcmp(way, "basic") == 0 && secret != NULL)
		return form_put_basic(&r->authorization, id, secret);
	if (e == 0 && *id != '\0' && !has_parameter(m, "client_id"))
		e = form_put(&r->form, "client_id", id, strlen(id));
	if (e == 0 && strcmp(way, "post") == 0 && secret != NULL)
		e = form_put(&r->form, "client_secret", secret_bytes(secret), secret_len(secret));
	return e;
}

/* ---- the userinfo request ---- */

static int
put_bearer(struct request *r, const struct message *m)
{
	CLEANUP_SECRET struct secret *token = message_secret(m, F_ACCESS_TOKEN);
	int e;

	if (token == NULL)
		return -ENOMEM;
	if (!secret_is_printable(token, false))
		return -EINVAL;
	e = remember(r, secret_bytes(token), secret_len(token), false);
	if (e == 0)
		e = buf_append_str(&r->authorization, "Authorization: Bearer ");
	if (e == 0)
		e = buf_append(&r->authorization, secret_bytes(token), secret_len(token));
	return e;
}

static int
copy_text(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

static int
fill(struct request *r, const struct message *m)
{
	int e = copy_text(&r->account, message_str(m, F_ACCOUNT));

	if (e == 0)
		e = copy_text(&r->issuer, message_str(m, F_ISSUER));
	if (e < 0)
		return e;
	switch (r->type) {
	case M_TOKEN_REQUEST:
	case M_DEVICE_REQUEST:
	case M_REVOKE_REQUEST:
		e = copy_text(&r->endpoint,
		    message_str(m, r->type == M_TOKEN_REQUEST    ? F_TOKEN_ENDPOINT
				   : r->type == M_DEVICE_REQUEST ? F_DEVICE_ENDPOINT
								 : F_REVOCATION_ENDPOINT));
		if (e == 0)
			e = put_parameters(r, m);
		return e < 0 ? e : put_client(r, m);
	case M_USERINFO:
		e = copy_text(&r->endpoint, message_str(m, F_USERINFO_ENDPOINT));
		return e < 0 ? e : put_bearer(r, m);
	default:
		return copy_text(&r->endpoint, "");
	}
}

bool
request_is_form(const struct request *r)
{
	return r->type == M_TOKEN_REQUEST || r->type == M_DEVICE_REQUEST ||
	       r->type == M_REVOKE_REQUEST;
}

struct request *
request_new(const struct message *m)
{
	struct request *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return NULL;
	r->type = message_type(m);
	r->id = message_u64(m, F_ID, 0);
	r->form = (struct buf)BUF_INIT_WIPE(FORM_MAX);
	r->authorization = (struct buf)BUF_INIT_WIPE(FORM_MAX);
	e = fill(r, m);
	if (e < 0) {
		(void)request_free(r);
		errno = -e;
		return NULL;
	}
	return r;
}

/* ---- the answers ---- */

/* A copy of a server's text with every secret of the request taken out. NULL: no memory. */
static char *
redact(const struct request *r, const char *text)
{
	static const char stand_in[] = "[redacted]";
	CLEANUP_BUF struct buf out = BUF_INIT_WIPE(REDACTED_MAX);
	const char *end = text + strlen(text);

	while (text < end) {
		size_t cut = 0;

		for (size_t i = 0; i < r->secret_count && cut == 0; i++) {
			size_t len = secret_len(r->secrets[i]);

			if (len <= (size_t)(end - text) &&
			    memcmp(text, secret_bytes(r->secrets[i]), len) == 0)
				cut = len;
		}
		if (cut > 0)
			(void)buf_append_str(&out, stand_in);
		else
			(void)buf_append_char(&out, *text);
		text += cut > 0 ? cut : 1;
	}
	return out.failed ? NULL : strdup(buf_str(&out));
}

static struct message *
begin(const struct request *r, enum message_type type)
{
	struct message *m = message_new(type);

	if (m != NULL)
		message_put_u64(m, F_ID, r->id);
	return m;
}

static void
put_head(struct message *m, const struct answer_head *head)
{
	if (head->status > 0)
		message_put_u64(m, F_HTTP_STATUS, (uint64_t)head->status);
	if (head->retry_after >= 0)
		message_put_u64(m, F_RETRY_AFTER, (uint64_t)head->retry_after);
}

static void
put_error(struct message *m, const struct request *r, const char *error, const char *description)
{
	CLEANUP_FREE char *text = description == NULL ? NULL : redact(r, description);

	message_put_str(m, F_OAUTH_ERROR, error);
	message_put_str(m, F_TEXT, text);
}

static void
put_skew(struct message *m, const struct answer_head *head)
{
	if (head->date >= 0)
		message_put_u64(m, F_SKEW, (uint64_t)llabs(head->date - head->now));
}

static void
put_claims(struct message *m, const struct claims *c)
{
	for (size_t i = 0; i < c->count; i++)
		message_put_str(m, F_ID_CLAIM, c->pairs[i]);
}

static void
put_id_token(struct message *m, const struct token_response *a, int64_t now)
{
	const struct id_token *t = &a->id;
	int64_t over = id_token_over(t, now);

	message_put_str(m, F_ID_FAULT, a->id_fault);
	if (over > 0)
		message_put_u64(m, F_ID_OVER, (uint64_t)over);
	message_put_str(m, F_ID_ISSUER, t->issuer);
	message_put_secret(m, F_NONCE, t->nonce);
	for (size_t i = 0; i < t->audience_count; i++)
		message_put_str(m, F_ID_AUDIENCE, t->audiences[i]);
	put_claims(m, &t->claims);
}

struct message *
request_token_answer(
    const struct request *r, const struct answer_head *head, const struct token_response *a)
{
	struct message *m = begin(r, M_TOKEN_ANSWER);
	int64_t now = head->date >= 0 ? head->date : head->now, life;

	if (m == NULL)
		return NULL;
	put_head(m, head);
	put_skew(m, head);
	if (head->fault != NULL || a == NULL) {
		message_put_str(m, F_FAULT, head->fault);
		return m;
	}
	if (a->error != NULL) {
		put_error(m, r, a->error, a->description);
		return m;
	}
	message_put_secret(m, F_ACCESS_TOKEN, a->access_token);
	message_put_secret(m, F_REFRESH_TOKEN, a->refresh_token);
	message_put_str(m, F_TOKEN_TYPE, a->token_type);
	message_put_str(m, F_SCOPE, a->scope);
	life = token_answer_life(a, now);
	if (life >= 0)
		message_put_u64(m, F_EXPIRES_IN, (uint64_t)life);
	if (a->refresh_expires_in >= 0)
		message_put_u64(m, F_REFRESH_EXPIRES_IN, (uint64_t)a->refresh_expires_in);
	for (size_t i = 0; i < a->access.audience_count; i++)
		message_put_str(m, F_TOKEN_AUDIENCE, a->access.audiences[i]);
	put_id_token(m, a, now);
	return m;
}

struct message *
request_discovered(
    const struct request *r, const struct answer_head *head, const struct discovery *d)
{
	struct message *m = begin(r, M_DISCOVERED);

	if (m == NULL)
		return NULL;
	if (head->retry_after >= 0)
		message_put_u64(m, F_RETRY_AFTER, (uint64_t)head->retry_after);
	if (head->fault != NULL || d == NULL) {
		message_put_str(m, F_FAULT, head->fault);
		if (head->unfit)
			message_put_u64(m, F_UNFIT, 1);
		return m;
	}
	message_put_str(m, F_ISSUER, d->issuer);
	message_put_str(m, F_AUTHORIZATION_ENDPOINT, d->authorization_endpoint);
	message_put_str(m, F_TOKEN_ENDPOINT, d->token_endpoint);
	message_put_str(m, F_DEVICE_ENDPOINT, d->device_endpoint);
	message_put_str(m, F_REVOCATION_ENDPOINT, d->revocation_endpoint);
	message_put_str(m, F_USERINFO_ENDPOINT, d->userinfo_endpoint);
	message_put_str(m, F_AUTH_METHODS, d->auth_methods);
	message_put_u64(m, F_ISS_REQUIRED, d->iss_required);
	return m;
}

struct message *
request_userinfo_answer(
    const struct request *r, const struct answer_head *head, const struct claims *c)
{
	struct message *m = begin(r, M_USERINFO_ANSWER);

	if (m == NULL)
		return NULL;
	if (head->status > 0)
		message_put_u64(m, F_HTTP_STATUS, (uint64_t)head->status);
	message_put_str(m, F_FAULT, head->fault);
	if (c != NULL)
		put_claims(m, c);
	return m;
}

struct message *
request_device_answer(
    const struct request *r, const struct answer_head *head, const struct device_answer *a)
{
	struct message *m = begin(r, M_DEVICE_ANSWER);

	if (m == NULL)
		return NULL;
	put_head(m, head);
	if (head->fault != NULL || a == NULL) {
		message_put_str(m, F_FAULT, head->fault);
	} else if (a->error != NULL) {
		put_error(m, r, a->error, a->description);
	} else {
		message_put_secret(m, F_DEVICE_CODE, a->device_code);
		message_put_str(m, F_USER_CODE, a->user_code);
		message_put_str(m, F_VERIFICATION_URI, a->verification_uri);
		message_put_str(m, F_VERIFICATION_URI_COMPLETE, a->verification_uri_complete);
		message_put_u64(m, F_EXPIRES_IN, (uint64_t)a->expires_in);
		message_put_u64(m, F_INTERVAL, (uint64_t)a->interval);
	}
	return m;
}

struct message *
request_revoke_answer(const struct request *r, const struct answer_head *head, const char *error,
    const char *description)
{
	struct message *m = begin(r, M_REVOKE_ANSWER);

	if (m == NULL)
		return NULL;
	put_head(m, head);
	message_put_str(m, F_FAULT, head->fault);
	if (head->fault == NULL && error != NULL)
		put_error(m, r, error, description);
	return m;
}

struct message *
request_fault(const struct request *r, const struct answer_head *head)
{
	switch (r->type) {
	case M_TOKEN_REQUEST:
		return request_token_answer(r, head, NULL);
	case M_DISCOVER:
		return request_discovered(r, head, NULL);
	case M_DEVICE_REQUEST:
		return request_device_answer(r, head, NULL);
	case M_REVOKE_REQUEST:
		return request_revoke_answer(r, head, NULL, NULL);
	default:
		return request_userinfo_answer(r, head, NULL);
	}
}

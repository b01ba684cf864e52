/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorize.c: a person signing in by the authorization code grant with PKCE (RFC 6749, 7636, 8252,
 * 9207). see attempt.h.
 *
 *     AUTHORIZE ─▶ AUTHORIZE_URL ─▶ AUTHORIZE_CALLBACK ─▶ TOKEN_REQUEST ─▶ attempt.c
 *
 * Each attempt is used up by the first callback that bears its state. What a callback brings is
 * checked in callback.c.
 */
#include "broker/keeper/sign-in/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/keeper/sign-in/callback.h"

enum { URL_MAX = 16 * 1024, REDIRECT_MAX = 2048 };

/* ---- the address ---- */

static bool
secrets_open(const struct attempt *t, struct attempt_secrets *ret)
{
	const struct vault *v = t->keeper->vault;

	*ret = (struct attempt_secrets){.state = vault_open(v, t->state),
	    .verifier = vault_open(v, t->verifier),
	    .nonce = vault_open(v, t->nonce)};
	if (ret->state != NULL && ret->verifier != NULL && ret->nonce != NULL)
		return true;
	attempt_secrets_clear(ret);
	return false;
}

bool
attempt_make_url(struct attempt *t, struct buf *ret)
{
	struct attempt_secrets s;
	int r;

	if (t->authorization_endpoint == NULL) {
		attempt_finish(t, EX_CONFIG,
		    "The issuer's metadata names no authorization endpoint.",
		    "Set authorization-endpoint in the account's block, or grant = "
		    "\"device-code\".",
		    NULL);
		return false;
	}
	if (!secrets_open(t, &s)) {
		attempt_fail_memory(t);
		return false;
	}
	r = attempt_url(t->account->conf, t->authorization_endpoint, t->redirect_uri, &s, ret);
	attempt_secrets_clear(&s);
	if (r < 0) {
		attempt_finish(t, EX_CONFIG, "The address for signing in gets too long.",
		    "Shorten scopes or extra-parameters.", NULL);
		return false;
	}
	return true;
}

static void
send_url(struct attempt *t)
{
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(URL_MAX);
	struct message *m;

	if (!attempt_make_url(t, &url))
		return;
	t->phase = WAITING;
	if (t->client == NULL)
		return;
	m = message_new(M_AUTHORIZE_URL);
	message_put_bytes(m, F_URL, buf_str(&url), url.len);
	message_put_bytes(m, F_ATTEMPT, t->id, sizeof(t->id));
	(void)client_send(t->client, m);
	client_release(t->client);
}

bool
redirect_is_fit(const char *uri)
{
	return (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0) &&
	       strlen(uri) <= REDIRECT_MAX &&
	       uri[strspn(uri, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:"
			       "/?[]@!$&'()*+,;=%")] == '\0';
}

void
authorize_start(struct keeper *k, struct client *c, const struct message *m)
{
	struct account *a = attempt_account(k, c, m);
	const char *uri = message_str(m, F_REDIRECT_URI);
	struct attempt *t;
	char uid[24];

	if (a == NULL)
		return;
	if (!redirect_is_fit(uri)) {
		client_done(c, EX_USAGE,
		    "The redirect address is not one that a browser could come back to.", NULL,
		    NULL);
		return;
	}
	t = attempt_new(k, c, a, uri);
	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)client_uid(c));
	log_line(LOG_LEVEL_NOTICE, "Somebody begins to sign in.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_UID, uid}));
	t->discovered = send_url;
	if (t->authorization_endpoint == NULL || t->token_endpoint == NULL)
		attempt_discover(t);
	else
		send_url(t);
}

/* ---- the code ---- */

static void
exchanged(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	struct token_answer a;

	if (attempt_conf_changed(t))
		return;
	token_answer_read(m, fault, sent, t->account->conf, &a);
	if (attempt_judge(t, &a.answer.facts) != ANSWER_GOOD)
		attempt_fail_facts(t, &a.answer.facts);
	else
		sign_in_take(t, m, &a);
	token_answer_clear(&a);
}

static void
prepared(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local)
{
	struct attempt *t = arg;
	CLEANUP_SECRET struct secret *code = vault_open(k->vault, t->code),
				     *verifier = vault_open(k->vault, t->verifier);
	uint64_t id = request_id(k);
	const char *why = NULL;
	struct message *m = NULL;

	/* the secret may be of another client by now, and the endpoint of another server */
	if (attempt_conf_changed(t))
		return;
	if (fault == NULL)
		m = token_request_new(k, t->account, M_TOKEN_REQUEST, id, t->token_endpoint, &why);
	if (m == NULL || code == NULL || verifier == NULL) {
		(void)message_free(m);
		attempt_fail_fault(t,
		    fault != NULL ? fault
		    : why != NULL ? why
				  : "memory ran out",
		    fault != NULL ? local : why != NULL);
		return;
	}
	t->asked_at = keeper_now(k).boot;
	token_request_put(m, "grant_type", "authorization_code", strlen("authorization_code"));
	token_request_put(m, "code", secret_bytes(code), secret_len(code));
	token_request_put(m, "redirect_uri", t->redirect_uri, strlen(t->redirect_uri));
	token_request_put(m, "code_verifier", secret_bytes(verifier), secret_len(verifier));
	request_start(k, id, m, exchanged, t, 0);
}

static void
exchange(struct attempt *t, const struct secret *code)
{
	t->phase = EXCHANGING;
	t->code = vault_seal(t->keeper->vault, code);
	if (t->code == NULL)
		attempt_fail_memory(t);
	else
		prepare(t->keeper, t->account, prepared, t, 0);
}

static void
ignore(struct client *c, const char *why)
{
	struct message *m = message_new(M_AUTHORIZE_IGNORED);

	message_put_str(m, F_TEXT, why);
	(void)client_send(c, m);
	client_release(c);
}

/* An answer that is not this attempt's: what the server said in it is told all the same, since many leave the state
 * out of a refusal. */
static void
ignore_callback(struct client *c, const struct callback *got)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	(void)buf_append_str(&text, got->why);
	if (got->error.len > 0)
		(void)buf_printf(&text, " It says %s%s%s", buf_str(&got->error),
		    got->text.len > 0 ? ": " : ".", buf_str(&got->text));
	ignore(c, buf_str(&text));
}

static void
fail_callback(struct attempt *t, const struct callback *got)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	(void)buf_append_str(&text, got->why);
	if (got->text.len > 0)
		(void)buf_printf(&text, " %s", buf_str(&got->text));
	attempt_finish(t, EX_PROTOCOL, buf_str(&text),
	    got->text.len > 0 ? "If that is your provider's name for itself, set issuer in the "
				"account's block to it; then start again with frank authorize."
			      : "Start again with frank authorize.",
	    NULL);
}

void
attempt_take_callback(struct attempt *t, struct client *c, const struct message *m)
{
	CLEANUP_SECRET struct secret *state = vault_open(t->keeper->vault, t->state);
	struct callback_expected expected = {
	    .state = state, .issuer = t->issuer, .iss_required = t->iss_required};
	enum callback_verdict verdict;
	struct answer_facts facts;
	struct callback got = {0};
	const uint8_t *query;
	size_t len;

	query = message_bytes(m, F_CALLBACK, &len);
	if (state == NULL) {
		attempt_fail_memory(t);
		return;
	}
	verdict = callback_read((const char *)query, len, &expected, &got);
	/* used up by whatever bears its state; the tokens are on their way only after that is on disk */
	if (t->invited && verdict != CALLBACK_IGNORED && verdict != CALLBACK_FAILED &&
	    !invitation_use_up(t)) {
		callback_clear(&got);
		return;
	}
	switch (verdict) {
	case CALLBACK_CODE:
		exchange(t, got.code);
		break;
	case CALLBACK_IGNORED:
		if (t->invited)
			attempt_free(t);
		ignore_callback(c, &got);
		break;
	case CALLBACK_ERROR:
		facts =
		    (struct answer_facts){.error = buf_str(&got.error), .text = buf_str(&got.text)};
		attempt_fail_facts(t, &facts);
		break;
	case CALLBACK_INVALID:
		fail_callback(t, &got);
		break;
	case CALLBACK_FAILED:
		attempt_fail_memory(t);
		break;
	}
	callback_clear(&got);
}

static struct attempt *
find_attempt(struct keeper *k, const uint8_t *id, size_t len)
{
	for (struct attempt *t = k->attempts; len == ATTEMPT_ID && t != NULL; t = t->next)
		if (mem_equal_ct(t->id, id, ATTEMPT_ID))
			return t;
	return NULL;
}

void
authorize_callback(struct keeper *k, struct client *c, const struct message *m)
{
	size_t len;
	const uint8_t *id = message_bytes(m, F_ATTEMPT, &len);
	struct attempt *t = find_attempt(k, id, len);

	if (t == NULL) {
		client_done(c, EX_TEMPFAIL,
		    "This sign-in is not waited for any more: it was finished, or is older than "
		    "ten minutes.",
		    "Start again with frank authorize.", NULL);
		return;
	}
	if (t->phase != WAITING) {
		ignore(c, "This sign-in is being finished already.");
		return;
	}
	if (t->client != NULL && t->client != c)
		client_done(
		    t->client, EX_TEMPFAIL, "Another command finishes this sign-in.", NULL, NULL);
	t->client = c;
	if (!attempt_conf_changed(t))
		attempt_take_callback(t, c, m);
}

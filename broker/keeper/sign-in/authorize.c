/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorize.c: see authorize.h. The first callback with an attempt's state uses the attempt up. callback.c
 * checks what a callback brings.
 */
#include "broker/keeper/sign-in/authorize.h"

#include <string.h>
#include <sysexits.h>

#include "broker/keeper/accounts/token-answer.h"
#include "broker/keeper/sign-in/authorization-request.h"
#include "broker/keeper/sign-in/callback.h"

enum { URL_MAX = 16 * 1024, REDIRECT_MAX = 2048 };

/* ---- the address ---- */

static bool
secrets_open(const struct attempt *t, struct authorization_secrets *ret)
{
	const struct vault *v = t->all->vault;

	*ret = (struct authorization_secrets){.state = vault_open(v, t->state),
	    .verifier = vault_open(v, t->verifier),
	    .nonce = vault_open(v, t->nonce)};
	if (ret->state != NULL && ret->verifier != NULL && ret->nonce != NULL)
		return true;
	authorization_request_clear_secrets(ret);
	return false;
}

struct message *
authorize_make_url(struct attempt *t)
{
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(URL_MAX);
	struct authorization_secrets s;
	struct message *m;
	int r;

	if (t->authorization_endpoint == NULL) {
		attempt_finish(t, EX_CONFIG,
		    "Set authorization-endpoint in the account's block, or grant = "
		    "\"device-code\".",
		    "The issuer's metadata names no authorization endpoint.");
		return NULL;
	}
	if (!secrets_open(t, &s)) {
		attempt_fail_memory(t);
		return NULL;
	}
	r = authorization_request_url(
	    t->account->conf, t->authorization_endpoint, t->redirect_uri, &s, &url);
	authorization_request_clear_secrets(&s);
	if (r < 0) {
		attempt_finish(t, EX_CONFIG, "Shorten scopes or extra-parameters.",
		    "The address for signing in gets too long.");
		return NULL;
	}
	m = message_new(M_AUTHORIZE_URL);
	message_put_bytes(m, F_URL, buf_str(&url), url.len);
	message_put_bytes(m, F_ATTEMPT, t->id, sizeof(t->id));
	return m;
}

static void
send_url(struct attempt *t)
{
	struct message *m = authorize_make_url(t);

	if (m == NULL)
		return;
	t->phase = WAITING;
	if (t->client == NULL) {
		(void)message_free(m);
		return;
	}
	(void)client_send(t->client, m);
	client_release(t->client);
}

/* Could a browser come back to this address? */
static bool
is_fit(const char *uri)
{
	return (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0) &&
	       strlen(uri) <= REDIRECT_MAX &&
	       uri[strspn(uri, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:"
			       "/?[]@!$&'()*+,;=%")] == '\0';
}

void
authorize_begin(struct attempts *all, struct client *c, const struct message *m,
    const char *sentence, void (*next)(struct attempt *t))
{
	const char *uri = message_str(m, F_REDIRECT_URI);
	struct account *a = attempt_account(all, c, m);
	struct attempt *t;

	if (a == NULL)
		return;
	if (!is_fit(uri)) {
		client_done(c, EX_USAGE, NULL,
		    "The redirect address is not one that a browser could come back to.");
		return;
	}
	t = attempt_new(all, c, a, uri, sentence);
	if (t != NULL)
		attempt_discover(
		    t, t->authorization_endpoint == NULL || t->token_endpoint == NULL, next);
}

void
authorize_start(struct attempts *all, struct client *c, const struct message *m)
{
	authorize_begin(all, c, m, "Somebody begins to sign in.", send_url);
}

/* ---- the code ---- */

static void
exchanged(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct attempt *t = arg;
	struct token_answer a;

	/* the tokens may be of another client, server or mailbox than the account names by now */
	if (attempt_conf_changed(t))
		return;
	token_answer_read(answer, t->account->conf, &a);
	if (attempt_judge(t, &a.answer.facts) != ANSWER_GOOD)
		attempt_fail_facts(t, &a.answer.facts);
	else
		attempt_take_tokens(t, answer->message, &a.answer);
	token_answer_clear(&a);
}

static const char *
put_code(void *arg, uint64_t tag, struct message *m)
{
	struct attempt *t = arg;
	CLEANUP_SECRET struct secret *code = vault_open(t->all->vault, t->code),
				     *verifier = vault_open(t->all->vault, t->verifier);

	if (code == NULL || verifier == NULL)
		return "memory ran out";
	t->asked_at = accounts_now(t->all->accounts).boot;
	token_request_put_text(m, "grant_type", "authorization_code");
	token_request_put(m, "code", secret_bytes(code), secret_len(code));
	token_request_put_text(m, "redirect_uri", t->redirect_uri);
	token_request_put(m, "code_verifier", secret_bytes(verifier), secret_len(verifier));
	return NULL;
}

static void
exchange(struct attempt *t, const struct secret *code)
{
	static const struct token_request_ops ops = {.fill = put_code, .done = exchanged};

	t->phase = EXCHANGING;
	t->code = vault_seal(t->all->vault, code);
	if (t->code == NULL)
		attempt_fail_memory(t);
	else
		token_request_start(
		    t->all->requests, t->account, M_TOKEN_REQUEST, t->token_endpoint, &ops, t, 0);
}

/* ---- what the browser came back with ---- */

static void
ignore(struct client *c, const char *why)
{
	struct message *m = message_new(M_AUTHORIZE_IGNORED);

	message_put_str(m, F_TEXT, why);
	(void)client_send(c, m);
	client_release(c);
}

/* An answer that is not this attempt's. The client is told what the server said in it all the same, since many
 * servers leave the state out of a refusal. */
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
	attempt_finish(t, EX_PROTOCOL,
	    got->text.len > 0 ? "If that is your provider's name for itself, set issuer in the "
				"account's block to it; then start again with frank authorize."
			      : "Start again with frank authorize.",
	    "%s", buf_str(&text));
}

/* The invitation is used up by whatever bears its state; the code goes to the server only after that is
 * on disk. False where it cannot be written: the attempt has ended then. */
static bool
use_up_invitation(struct attempt *t, enum callback_verdict verdict)
{
	int r;

	if (!t->invited || verdict == CALLBACK_IGNORED || verdict == CALLBACK_FAILED)
		return true;
	r = account_set_invitation(t->account, NULL);
	if (r < 0)
		attempt_fail_write(t, r);
	return r == 0;
}

static void
act_on(struct attempt *t, enum callback_verdict verdict, const struct callback *got)
{
	struct client *c = t->client;

	switch (verdict) {
	case CALLBACK_CODE:
		exchange(t, got->code);
		break;
	case CALLBACK_IGNORED:
		if (t->invited)
			attempt_free(t);
		ignore_callback(c, got);
		break;
	case CALLBACK_ERROR:
		attempt_fail_facts(t, &(struct answer_facts){.error = buf_str(&got->error),
					  .text = buf_str(&got->text)});
		break;
	case CALLBACK_INVALID:
		fail_callback(t, got);
		break;
	case CALLBACK_FAILED:
		attempt_fail_memory(t);
		break;
	}
}

void
authorize_take_callback(struct attempt *t, const struct message *m)
{
	CLEANUP_SECRET struct secret *state = vault_open(t->all->vault, t->state);
	struct callback_expected expected = {
	    .state = state, .issuer = t->issuer, .iss_required = t->iss_required};
	enum callback_verdict verdict;
	struct callback got = {0};
	size_t len;
	const uint8_t *query = message_bytes(m, F_CALLBACK, &len);

	if (state == NULL) {
		attempt_fail_memory(t);
		return;
	}
	verdict = callback_read((const char *)query, len, &expected, &got);
	if (use_up_invitation(t, verdict))
		act_on(t, verdict, &got);
	callback_clear(&got);
}

static struct attempt *
find_attempt(const struct attempts *all, const uint8_t *id, size_t len)
{
	struct attempt *t;

	if (len != ATTEMPT_ID)
		return NULL;
	LIST_FOREACH (t, &all->list, entry)
		if (mem_equal_ct(t->id, id, ATTEMPT_ID))
			return t;
	return NULL;
}

void
authorize_callback(struct attempts *all, struct client *c, const struct message *m)
{
	size_t len;
	const uint8_t *id = message_bytes(m, F_ATTEMPT, &len);
	struct attempt *t = find_attempt(all, id, len);

	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Start again with frank authorize.",
		    "This sign-in is not waited for any more: it was finished, or is older than "
		    "ten minutes.");
		return;
	}
	if (t->phase != WAITING) {
		ignore(c, "This sign-in is being finished already.");
		return;
	}
	if (t->client != NULL && t->client != c)
		client_done(t->client, EX_TEMPFAIL, NULL, "Another command finishes this sign-in.");
	t->client = c;
	if (!attempt_conf_changed(t))
		authorize_take_callback(t, m);
}

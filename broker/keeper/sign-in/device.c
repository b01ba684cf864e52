/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.c: see device.h.
 *
 * The keeper polls the token endpoint every `interval` seconds. After a slow_down the interval grows by five
 * seconds for all later polls; after a poll without a usable answer it doubles. When the client that asked
 * for the code goes away, the keeper goes on polling until the code ends.
 */
#include "broker/keeper/sign-in/device.h"

#include <string.h>
#include <sysexits.h>

#include "broker/keeper/accounts/token-answer.h"

enum { SLOWER = 5, SLOWEST = 300 /* seconds */ };

static void poll_later(struct attempt *t, uint64_t seconds);

/* Must the server be polled again after this answer? Sets the interval. */
static bool
goes_on(struct attempt *t, const struct token_answer *a)
{
	const struct answer_facts *f = &a->answer.facts;

	if (f->error != NULL && strcmp(f->error, "authorization_pending") == 0)
		return true;
	if (f->error != NULL && strcmp(f->error, "slow_down") == 0)
		t->interval += SLOWER;
	else if (attempt_judge(t, f) == ANSWER_TRANSIENT)
		t->interval *= 2;
	else
		return false;
	if (t->interval > SLOWEST)
		t->interval = SLOWEST;
	if (t->interval < a->answer.retry_after)
		t->interval = a->answer.retry_after < SLOWEST ? a->answer.retry_after : SLOWEST;
	return true;
}

static void
polled(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct attempt *t = arg;
	struct token_answer a;

	t->phase = WAITING;
	if (attempt_conf_changed(t))
		return;
	token_answer_read(answer, t->account->conf, &a);
	if (answer->local) {
		poll_later(t, t->interval); /* the file may be mended while the code is valid */
	} else if (goes_on(t, &a)) {
		poll_later(t, t->interval);
	} else if (attempt_judge(t, &a.answer.facts) != ANSWER_GOOD) {
		attempt_fail_facts(t, &a.answer.facts);
	} else {
		t->phase = EXCHANGING;
		attempt_take_tokens(t, answer->message, &a.answer);
	}
	token_answer_clear(&a);
}

static const char *
put_device_code(void *arg, uint64_t tag, struct message *m)
{
	struct attempt *t = arg;
	CLEANUP_SECRET struct secret *code = vault_open(t->all->vault, t->device_code);

	if (code == NULL)
		return "memory ran out";
	t->phase = EXCHANGING;
	t->asked_at = accounts_now(t->all->accounts).boot;
	token_request_put_text(m, "grant_type", "urn:ietf:params:oauth:grant-type:device_code");
	token_request_put(m, "device_code", secret_bytes(code), secret_len(code));
	return NULL;
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	static const struct token_request_ops ops = {.fill = put_device_code, .done = polled};
	struct attempt *t = arg;

	if (!attempt_conf_changed(t))
		token_request_start(
		    t->all->requests, t->account, M_TOKEN_REQUEST, t->token_endpoint, &ops, t, 0);
}

static void
poll_later(struct attempt *t, uint64_t seconds)
{
	struct timeval in = {.tv_sec = (time_t)seconds};

	if (t->poll == NULL)
		t->poll = evtimer_new(t->all->base, on_poll, t);
	if (t->poll == NULL || evtimer_add(t->poll, &in) < 0)
		attempt_fail_memory(t);
}

/* ---- the code ---- */

static void
send_code(struct attempt *t, const struct message *m, uint64_t life)
{
	struct message *to_client = message_new(M_AUTHORIZE_CODE);

	message_put_str(to_client, F_USER_CODE, message_str(m, F_USER_CODE));
	message_put_str(to_client, F_VERIFICATION_URI, message_str(m, F_VERIFICATION_URI));
	message_put_str(
	    to_client, F_VERIFICATION_URI_COMPLETE, message_str(m, F_VERIFICATION_URI_COMPLETE));
	message_put_u64(to_client, F_UNTIL, (uint64_t)accounts_now(t->all->accounts).wall + life);
	(void)client_send(t->client, to_client);
	client_release(t->client);
}

static void
got_code(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct attempt *t = arg;
	const struct message *m = answer->message;
	CLEANUP_SECRET struct secret *code = m == NULL ? NULL : message_secret(m, F_DEVICE_CODE);
	struct answer_facts f = answer_facts_of(answer);
	uint64_t life;

	if (attempt_conf_changed(t))
		return;
	if (code == NULL && f.fault == NULL && f.error == NULL)
		f.fault = "an answer with neither a code nor an error";
	if (f.fault != NULL || f.error != NULL) {
		attempt_fail_facts(t, &f);
		return;
	}
	life = message_u64(m, F_EXPIRES_IN, ATTEMPT_LIFE);
	t->interval = message_u64(m, F_INTERVAL, SLOWER);
	t->device_code = vault_seal(t->all->vault, code);
	if (t->device_code == NULL || attempt_set_life(t, life) < 0) {
		attempt_fail_memory(t);
		return;
	}
	t->phase = WAITING;
	if (t->client != NULL)
		send_code(t, m, life);
	poll_later(t, t->interval);
}

static const char *
put_scope(void *arg, uint64_t tag, struct message *m)
{
	static const char prompt[] = "prompt=";
	const struct attempt *t = arg;
	const struct account_conf *c = t->account->conf;

	token_request_put_text(m, "scope", c->scopes);
	for (size_t i = 0; i < c->extra_parameters.count; i++)
		if (strncmp(c->extra_parameters.items[i], prompt, strlen(prompt)) == 0)
			token_request_put_text(
			    m, "prompt", c->extra_parameters.items[i] + strlen(prompt));
	return NULL;
}

static void
ask_code(struct attempt *t)
{
	static const struct token_request_ops ops = {.fill = put_scope, .done = got_code};

	if (t->device_endpoint == NULL)
		attempt_finish(t, EX_CONFIG,
		    "Sign in with a browser: frank authorize without --device, with grant = "
		    "\"authorization-code\"; --paste does without a browser on this machine.",
		    "The provider has no device endpoint, so nobody can sign in by a code.");
	else
		token_request_start(
		    t->all->requests, t->account, M_DEVICE_REQUEST, t->device_endpoint, &ops, t, 0);
}

void
device_start(struct attempts *all, struct client *c, const struct message *m)
{
	struct account *a = attempt_account(all, c, m);
	struct attempt *t =
	    a == NULL ? NULL
		      : attempt_new(all, c, a, NULL, "Somebody begins to sign in by a code.");

	if (t != NULL)
		attempt_discover(t,
		    (t->device_endpoint == NULL || t->token_endpoint == NULL) && t->issuer != NULL,
		    ask_code);
}

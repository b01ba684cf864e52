/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.c: a person signing in by a code that is typed in on another device (RFC 8628). See
 * sign-in.h.
 *
 *     AUTHORIZE_DEVICE ─▶ DEVICE_REQUEST ─▶ AUTHORIZE_CODE ─▶ TOKEN_REQUEST ... ─▶ attempt.c
 *
 * The token endpoint is asked again and again: every `interval` seconds, five seconds more after
 * each slow_down (for this and all later polls), twice as much after one that got no usable answer.
 * Whoever asked for the code may go: the keeper goes on asking until the code is over.
 */
#include "broker/keeper/sign-in/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"

enum { SLOWER = 5, SLOWEST = 300 /* seconds */ };

static const char device_grant[] = "urn:ietf:params:oauth:grant-type:device_code";

static void poll_later(struct attempt *t, uint64_t seconds);

/* What an answer to a poll means: true where it is to be asked again. */
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
polled(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	struct token_answer a;

	t->phase = WAITING;
	if (attempt_conf_changed(t))
		return;
	token_answer_read(m, fault, sent, t->account->conf, &a);
	if (goes_on(t, &a)) {
		poll_later(t, t->interval);
	} else if (attempt_judge(t, &a.answer.facts) != ANSWER_GOOD) {
		attempt_fail_facts(t, &a.answer.facts);
	} else {
		t->phase = EXCHANGING;
		sign_in_take(t, m, &a);
	}
	token_answer_clear(&a);
}

static void
poll_prepared(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local)
{
	struct attempt *t = arg;
	CLEANUP_SECRET struct secret *code = vault_open(k->vault, t->device_code);
	uint64_t id = request_id(k);
	const char *why = NULL;
	struct message *m = NULL;

	if (attempt_conf_changed(t))
		return;
	if (fault == NULL && code != NULL)
		m = token_request_new(k, t->account, M_TOKEN_REQUEST, id, t->token_endpoint, &why);
	if (m == NULL) {
		poll_later(t, t->interval); /* the file may be mended while the code is valid */
		return;
	}
	t->phase = EXCHANGING;
	t->asked_at = keeper_now(k).boot;
	token_request_put(m, "grant_type", device_grant, strlen(device_grant));
	token_request_put(m, "device_code", secret_bytes(code), secret_len(code));
	request_start(k, id, m, polled, t, 0);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *t = arg;

	if (!attempt_conf_changed(t))
		prepare(t->keeper, t->account, poll_prepared, t, 0);
}

static void
poll_later(struct attempt *t, uint64_t seconds)
{
	struct timeval in = {.tv_sec = (time_t)seconds};

	if (t->poll == NULL)
		t->poll = evtimer_new(role_base(t->keeper->role), on_poll, t);
	if (t->poll == NULL || evtimer_add(t->poll, &in) < 0)
		attempt_fail_memory(t);
}

/* ---- the code ---- */

static void
tell_code(struct attempt *t, const struct message *m, uint64_t life)
{
	struct message *to_client = message_new(M_AUTHORIZE_CODE);

	message_put_str(to_client, F_USER_CODE, message_str(m, F_USER_CODE));
	message_put_str(to_client, F_VERIFICATION_URI, message_str(m, F_VERIFICATION_URI));
	message_put_str(
	    to_client, F_VERIFICATION_URI_COMPLETE, message_str(m, F_VERIFICATION_URI_COMPLETE));
	message_put_u64(to_client, F_UNTIL, (uint64_t)keeper_now(t->keeper).wall + life);
	(void)client_send(t->client, to_client);
	client_release(t->client);
}

static void
got_code(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	CLEANUP_SECRET struct secret *code = NULL;
	struct answer_facts f = {.fault = fault};
	uint64_t life;

	if (attempt_conf_changed(t))
		return;
	if (m != NULL) {
		f = (struct answer_facts){.fault = message_str(m, F_FAULT),
		    .error = message_str(m, F_OAUTH_ERROR),
		    .text = message_str(m, F_TEXT),
		    .status = message_u64(m, F_HTTP_STATUS, 0)};
		code = message_secret(m, F_DEVICE_CODE);
		if (code == NULL && f.fault == NULL && f.error == NULL)
			f.fault = "an answer with neither a code nor an error";
	}
	if (f.fault != NULL || f.error != NULL) {
		attempt_fail_facts(t, &f);
		return;
	}
	life = message_u64(m, F_EXPIRES_IN, ATTEMPT_LIFE);
	t->interval = message_u64(m, F_INTERVAL, SLOWER);
	t->device_code = vault_seal(k->vault, code);
	if (t->device_code == NULL || attempt_set_life(t, life) < 0) {
		attempt_fail_memory(t);
		return;
	}
	t->phase = WAITING;
	if (t->client != NULL)
		tell_code(t, m, life);
	poll_later(t, t->interval);
}

static void
code_prepared(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local)
{
	struct attempt *t = arg;
	const struct account_conf *c = t->account->conf;
	uint64_t id = request_id(k);
	const char *why = NULL;
	struct message *m = NULL;

	if (attempt_conf_changed(t))
		return;
	if (fault == NULL)
		m = token_request_new(
		    k, t->account, M_DEVICE_REQUEST, id, t->device_endpoint, &why);
	if (m == NULL) {
		attempt_fail_fault(t,
		    fault != NULL ? fault
		    : why != NULL ? why
				  : "memory ran out",
		    fault != NULL ? local : why != NULL);
		return;
	}
	token_request_put(m, "scope", c->scopes, strlen(c->scopes));
	for (size_t i = 0; i < c->extra_count; i++)
		if (strncmp(c->extra[i], "prompt=", strlen("prompt=")) == 0)
			token_request_put(m, "prompt", c->extra[i] + strlen("prompt="),
			    strlen(c->extra[i]) - strlen("prompt="));
	request_start(k, id, m, got_code, t, 0);
}

static void
ask_code(struct attempt *t)
{
	if (t->device_endpoint == NULL)
		attempt_finish(t, EX_CONFIG,
		    "The provider has no device endpoint, so nobody can sign in by a code.",
		    "Sign in with a browser: frank authorize without --device, with grant = "
		    "\"authorization-code\"; --paste does without a browser on this machine.",
		    NULL);
	else
		prepare(t->keeper, t->account, code_prepared, t, 0);
}

void
authorize_device(struct keeper *k, struct client *c, const struct message *m)
{
	struct account *a = attempt_account(k, c, m);
	struct attempt *t;
	char uid[24];

	if (a == NULL)
		return;
	t = attempt_new(k, c, a, NULL);
	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)client_uid(c));
	log_line(LOG_LEVEL_NOTICE, "Somebody begins to sign in by a code.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_UID, uid}));
	t->discovered = ask_code;
	if ((t->device_endpoint == NULL || t->token_endpoint == NULL) && t->issuer != NULL)
		attempt_discover(t);
	else
		ask_code(t);
}

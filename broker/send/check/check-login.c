/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-login.c: the credential, the login as delivery does it, and what the server says to each
 * sender and a recipient. A message goes out only where that was asked for.
 */
#include "broker/send/check/check-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/ipc/credential.h"

/* ---- the credential ---- */

static void
ask_keeper(struct check *c, uint64_t rejected)
{
	struct message *m;

	c->request = ++c->send->last_id;
	m = credential_get(c->request, c->account->name, c->account->min_valid, rejected);
	c->to_ask = m == NULL || !c->send->ops->to_keeper(c->send->arg, m);
	if (c->to_ask)
		c->request = 0;
}

static void
credential_failed(struct check *c, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply why = {.stage = SMTP_STAGE_TOKEN, .fault = fault, .text = words};

	check_step(c, "credential", "fail", "%s", words);
	check_decide(c, &why);
	c->login_done = true;
	c->to_ask = false;
	c->login = check_line_free(c->login);
	check_go_on(c);
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
		credential_failed(c, SMTP_FAULT_NO_CREDENTIAL, "The account has no credential.");
		return;
	}
	if (c->renewed && generation == c->generation) {
		credential_failed(c, SMTP_FAULT_CREDENTIAL_LATER,
		    "The server refused the token, and there is no newer one yet.");
		return;
	}
	(void)secret_free(c->secret);
	free(c->user);
	c->secret = message_secret(m, F_SECRET);
	c->user = strdup(message_str(m, F_USER_NAME));
	c->generation = generation;
	if (c->secret == NULL || c->user == NULL) {
		credential_failed(c, SMTP_FAULT_CREDENTIAL_LATER, "Out of memory.");
		return;
	}
	if (until > (uint64_t)time(NULL))
		check_step(c, "credential", "ok", "%s %s for %s, valid for %llu min",
		    c->renewed ? "a newer" : "a", kind, c->user,
		    (unsigned long long)(until - (uint64_t)time(NULL)) / 60);
	else
		check_step(c, "credential", "ok", "%s %s for %s", c->renewed ? "a newer" : "a",
		    kind, c->user);
	if ((c->flags & CHECK_API) != 0) {
		c->login_done = true;
		check_go_on(c);
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
		credential_failed(c, credential_fault(m), message_str(m, F_ERROR));
	return true;
}

void
check_keeper_up(struct check *c, bool up)
{
	if (up && c->to_ask)
		ask_keeper(c, c->renewed ? c->generation : 0);
	else if (!up && c->request != 0) {
		c->request = 0;
		credential_failed(c, SMTP_FAULT_CREDENTIAL_LATER,
		    "The keeper of credentials ended before it answered.");
	}
}

/* ---- the login, and what the server says to senders ---- */

/* Not sent, for a reason that is no verdict of the server's on it. The session ends. */
static void
not_tried(struct check *c, const char *sender, const char *words)
{
	const struct smtp_reply why = {
	    .stage = SMTP_STAGE_MAIL, .fault = SMTP_FAULT_LOCAL, .text = words};

	check_step(c, c->sending ? "send" : "sender", c->sending ? "fail" : "warn",
	    "%s could not be tried: %s", sender, words);
	/* A message that was asked for and did not go is no success. */
	if (c->sending)
		check_decide(c, &why);
	smtp_client_quit(check_line_client(c->login), send_now());
}

static const char session_is_full[] = "the server takes no more in this session";

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
	if (r < 0)
		not_tried(c, sender, r == -EAGAIN ? session_is_full : strerror(-r));
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

	if (e->untried) {
		not_tried(c, sender, session_is_full);
		return;
	}
	check_keep_transcript(c, NULL, smtp_client_job_transcript(check_line_client(c->login)));
	check_reply_text(r, text, sizeof(text));
	if (!fine && !c->decided)
		(void)snprintf(c->deciding_sender, sizeof(c->deciding_sender), "%s", sender);
	if (c->sending)
		check_step(
		    c, "send", fine ? "ok" : "fail", "to %s: %s", c->recipient.address, text);
	else if (fine)
		check_step(c, "sender", "ok", "MAIL FROM:<%s>, RCPT TO:<%s>: %s", sender,
		    c->recipient.address, text);
	else
		check_step(c, "sender", "fail", "<%s>, at %s: %s", sender,
		    r->stage == SMTP_STAGE_MAIL ? "MAIL" : "RCPT", text);
	if (!fine)
		check_decide(c, r);
	if (!c->sending)
		c->sender_at++;
	next_trial(c);
}

static void
auth_failed(struct check *c, const struct smtp_client_event *e)
{
	bool token = (e->mechanism & SASL_TOKEN_MECHANISMS) != 0;
	char text[1000];

	check_reply_text(e->reply, text, sizeof(text));
	(void)snprintf(
	    c->mechanism_name, sizeof(c->mechanism_name), "%s", sasl_mechanism_name(e->mechanism));
	if (token && e->reply->code >= 500 && !c->renewed) {
		check_step(c, "auth", "warn", "%s: %s; once more with a newer token",
		    c->mechanism_name, text);
		c->renewed = c->wanted = true;
		c->secret = secret_free(c->secret);
		ask_keeper(c, c->generation);
		return;
	}
	check_step(c, "auth", "fail", "%s as %s: %s", c->mechanism_name,
	    c->user == NULL ? "?" : c->user, text);
	check_decide(c, e->reply);
	smtp_client_quit(check_line_client(c->login), send_now());
}

static void
logged_in(struct check *c, const struct smtp_client_event *e)
{
	c->ready = true;
	check_keep_transcript(c, "logging in", check_line_transcript(c->login));
	if (e->mechanism == SASL_NONE) {
		check_step(c, "auth", "info", "none: grant = \"none\"");
	} else {
		(void)snprintf(c->mechanism_name, sizeof(c->mechanism_name), "%s",
		    sasl_mechanism_name(e->mechanism));
		check_step(c, "auth", "ok", "%s as %s", c->mechanism_name, c->user);
	}
	next_trial(c);
}

static void
login_ended(struct check *c, const struct smtp_reply *why)
{
	char text[600];

	if (!c->ready)
		check_keep_transcript(c, "logging in", check_line_transcript(c->login));
	/* A QUIT of ours ends in 221, and is said behind a login only. */
	if ((!c->ready || why->code != 221) && !c->decided) {
		check_reply_text(why, text, sizeof(text));
		check_step(c, why->stage == SMTP_STAGE_AUTH ? "auth" : smtp_stage_name(why->stage),
		    "fail", "%s", text);
		check_decide(c, why);
	}
	c->login = check_line_free(c->login);
	c->login_done = true;
	/* An answer that comes now is for nobody. */
	c->request = 0;
	c->to_ask = false;
	check_go_on(c);
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

void
check_login(struct check *c)
{
	const struct account *a = c->account;
	struct check_line_config config = {.base = c->send->base,
	    .host = c->host,
	    .ehlo_name = c->send->hostname,
	    .port = c->port,
	    .addresses = c->addresses,
	    .address_count = c->address_count,
	    .tls = c->tls,
	    .context = c->login_context,
	    .names = check_server_names(c),
	    .mechanisms = a->mechanisms,
	    .secret_without_tls = a->secret_without_tls,
	    .patience = CHECK_PATIENCE};

	if ((c->flags & CHECK_API) != 0) {
		ask_keeper(c, 0);
		return;
	}
	memcpy(config.order, a->order, sizeof(config.order));
	c->login = check_line_new(&config, on_login, c);
	if (c->login == NULL) {
		credential_failed(c, SMTP_FAULT_CREDENTIAL_LATER, "Out of memory.");
		return;
	}
	if (a->mechanisms != 0)
		ask_keeper(c, 0);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * session-credential.c: what a session asks of keeper. The request goes out while the name is still
 * looked up; the secret is held until the server accepted it, and no longer.
 *
 * A token that the server refuses may have been revoked or have expired on the way: one newer one is
 * asked for and tried, on this connection, or on a new one where the server closes this. A refusal
 * that passes by itself (4yz) says nothing about the token.
 */
#include "broker/send/session-internal.h"

#include <string.h>

#include "base/log.h"
#include "broker/ipc/credential.h"

void
session_ask_keeper(struct session *s)
{
	uint64_t id = ++s->send->last_id;
	struct message *m =
	    credential_get(id, s->account->name, s->account->min_valid, s->rejected);

	s->to_ask = m != NULL && !s->send->ops->to_keeper(s->send->arg, m);
	s->request = s->to_ask ? 0 : id;
}

static void
give_credential(struct session *s)
{
	s->engine_waits = false;
	smtp_client_credential(s->client, s->user, s->secret, send_now());
}

static void
credential_failed(struct session *s, enum smtp_fault fault, const char *words)
{
	if (s->client != NULL)
		smtp_client_fail(s->client, SMTP_STAGE_TOKEN, fault, words);
	else
		session_fail(s, SMTP_STAGE_TOKEN, fault, words);
}

static void
take_credential(struct session *s, const struct message *m)
{
	const char *kind = message_str(m, F_KIND);
	unsigned wanted = strcmp(kind, "token") == 0      ? SASL_TOKEN_MECHANISMS
			  : strcmp(kind, "password") == 0 ? SASL_PASSWORD_MECHANISMS
							  : 0;
	uint64_t generation = message_u64(m, F_GENERATION, 0);

	(void)secret_free(s->secret);
	free(s->user);
	s->secret = message_secret(m, F_SECRET);
	s->user = strdup(message_str(m, F_USER_NAME));
	s->generation = generation;
	if (s->secret == NULL || s->user == NULL || (s->account->mechanisms & wanted) == 0) {
		credential_failed(s, SMTP_FAULT_NO_CREDENTIAL,
		    "The credential is of another kind than the account's mechanisms need.");
	} else if (s->rejected > 0 && generation == s->rejected) {
		credential_failed(s, SMTP_FAULT_CREDENTIAL_LATER,
		    "The server refused the token, and there is no newer one yet.");
	} else if (s->engine_waits) {
		give_credential(s);
	}
}

bool
session_credential(struct session *s, uint64_t id, const struct message *m)
{
	if (id != s->request || id == 0)
		return false;
	s->request = 0;
	if (s->ended)
		return true;
	if (message_type(m) == M_CREDENTIAL)
		take_credential(s, m);
	else
		credential_failed(s, credential_fault(m), message_str(m, F_ERROR));
	session_drive(s);
	return true;
}

void
session_keeper_up(struct session *s, bool up)
{
	if (up && s->to_ask) {
		session_ask_keeper(s);
	} else if (!up && s->request != 0) {
		s->request = 0;
		credential_failed(s, SMTP_FAULT_CREDENTIAL_LATER,
		    "The keeper of credentials ended before it answered.");
		event_active(s->kick, EV_TIMEOUT, 0);
	}
}

void
session_on_credential_wanted(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->engine_waits = true;
	if (s->secret != NULL)
		give_credential(s);
	else if (s->request == 0 && !s->to_ask)
		session_ask_keeper(s);
}

/* The server refused. A token may have been revoked or expired on the way: one newer one is tried,
 * where the refusal is not one that passes by itself. */
void
session_on_auth_failed(struct session *s, const struct smtp_reply *reply)
{
	bool token = (s->mechanism & SASL_TOKEN_MECHANISMS) != 0;

	log_line(LOG_LEVEL_NOTICE, "The submission server refused the credential.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_MECHANISM, sasl_mechanism_name(s->mechanism)}, {LOG_REPLY, reply->text}));
	if (token && reply->code >= 500 && !s->renewed) {
		s->renewed = s->retry_fits = true;
		s->rejected = s->generation;
		s->secret = secret_free(s->secret);
		s->engine_waits = true;
		session_ask_keeper(s);
		return;
	}
	s->retry_fits = false;
	if (smtp_reply_copy(&s->why, reply) < 0)
		s->why = (struct smtp_reply){.code = reply->code, .stage = reply->stage};
	smtp_client_quit(s->client, send_now());
}

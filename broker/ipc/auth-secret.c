/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* auth-secret.c: see auth-secret.h. */
#include "broker/ipc/auth-secret.h"

#include <string.h>

#include "base/attr.h"

enum { MIN_VALID_USUAL = 60 };

void
auth_secret_ask(struct auth_secret *c)
{
	struct message *m = message_new(M_CREDENTIAL_GET);

	/* Before the question: the answer may come from within it. */
	c->request = ++*c->last_id;
	c->state = AUTH_SECRET_ASKED;
	message_put_u64(m, F_ID, c->request);
	message_put_str(m, F_ACCOUNT, c->account);
	message_put_u64(m, F_MIN_VALID, c->min_valid > 0 ? c->min_valid : MIN_VALID_USUAL);
	if (c->refused > 0)
		message_put_u64(m, F_REJECTED, c->refused);
	if (m == NULL || !c->to_keeper(c->arg, m))
		c->state = AUTH_SECRET_WAITING;
}

void
auth_secret_renew(struct auth_secret *c)
{
	c->renewed = true;
	c->refused = c->generation;
	auth_secret_drop(c);
	auth_secret_ask(c);
}

void
auth_secret_drop(struct auth_secret *c)
{
	c->state = AUTH_SECRET_NONE;
	c->secret = secret_free(c->secret);
	free(c->user);
	c->user = NULL;
}

bool
auth_secret_is_asked(const struct auth_secret *c, uint64_t id)
{
	return c->state == AUTH_SECRET_ASKED && c->request == id;
}

static bool
fail(struct auth_secret *c, enum smtp_fault fault, const char *words, struct smtp_reply *why)
{
	auth_secret_drop(c);
	*why = (struct smtp_reply){.stage = SMTP_STAGE_TOKEN, .fault = fault, .text = words};
	return false;
}

/* Of CREDENTIAL_FAILED. */
static enum smtp_fault
fault_of(const char *state)
{
	static const char *const passing[] = {"active", "refreshing", "throttled", "unreachable"};

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strcmp(state, passing[i]) == 0)
			return SMTP_FAULT_CREDENTIAL_LATER;
	return SMTP_FAULT_NO_CREDENTIAL;
}

bool
auth_secret_take(struct auth_secret *c, const struct message *m, struct smtp_reply *why)
{
	const char *kind;

	if (message_type(m) != M_CREDENTIAL)
		return fail(c, fault_of(message_str(m, F_STATE)), message_str(m, F_ERROR), why);
	kind = message_str(m, F_KIND);
	c->kind = strcmp(kind, "token") == 0      ? AUTH_SECRET_TOKEN
		  : strcmp(kind, "password") == 0 ? AUTH_SECRET_PASSWORD
						  : AUTH_SECRET_NO_KIND;
	if (c->kind == AUTH_SECRET_NO_KIND)
		return fail(c, SMTP_FAULT_NO_CREDENTIAL, "The account has no credential.", why);
	c->generation = message_u64(m, F_GENERATION, 0);
	if (c->renewed && c->generation == c->refused)
		return fail(c, SMTP_FAULT_CREDENTIAL_LATER,
		    "The server refused the token, and there is no newer one yet.", why);
	c->until = message_u64(m, F_UNTIL, 0);
	c->secret = message_secret(m, F_SECRET);
	c->user = strdup(message_str(m, F_USER_NAME));
	if (c->secret == NULL || c->user == NULL)
		return fail(c, SMTP_FAULT_CREDENTIAL_LATER, "Out of memory.", why);
	c->state = AUTH_SECRET_HELD;
	return true;
}

bool
auth_secret_keeper_up(struct auth_secret *c, bool up, struct smtp_reply *why)
{
	if (up && c->state == AUTH_SECRET_WAITING)
		auth_secret_ask(c);
	else if (!up && c->state == AUTH_SECRET_ASKED)
		return fail(c, SMTP_FAULT_CREDENTIAL_LATER,
		    "The keeper of credentials ended before it answered.", why);
	return true;
}

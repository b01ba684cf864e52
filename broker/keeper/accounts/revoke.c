/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * revoke.c: a grant given back (RFC 7009): the refresh token is revoked at the server, and only when
 * the server has said so it is forgotten here. FLAGS 1 forgets without asking anybody.
 *
 *     ACCOUNT_REVOKE ─▶ (DISCOVER) ─▶ REVOKE_REQUEST ─▶ wiped ─▶ KEEPER_DONE
 *
 * Many servers have no such endpoint: that is said, with what a person can do there.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"

enum { TEXT_MAX = 1500 };

struct revocation {
	struct revocation *next;
	struct keeper *keeper;
	struct account *account; /* borrowed */
	struct client *client;   /* NULL: gone */
	uint64_t conf_serial, generation;
	char *endpoint;
};

static void
revocation_free(struct revocation *r)
{
	struct keeper *k = r->keeper;

	for (struct revocation **p = &k->revocations; *p != NULL; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			break;
		}
	requests_cancel(k, r);
	prepare_cancel(k, r);
	account_pause(r->account, false);
	keeper_run(k, r->account);
	free(r->endpoint);
	free(r);
}

static void
finish(struct revocation *r, int exit, const char *error, const char *next, const char *text)
{
	struct client *c = r->client;

	log_line(error == NULL ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, error == NULL ? text : error,
	    LOG_PAIRS({LOG_ACCOUNT, r->account->conf->name},
		{LOG_OUTCOME, error == NULL ? "revoked" : "not-revoked"}));
	revocation_free(r);
	if (c != NULL)
		client_done(c, exit, error, next, text);
}

/* ---- forgetting ---- */

static void
say_not_forgotten(int error, struct buf *ret)
{
	if (error == -EBUSY)
		(void)buf_append_str(ret, "A refresh is under way.");
	else if (error == -ENOKEY)
		(void)buf_append_str(ret, "The token store is not open.");
	else
		(void)buf_printf(ret,
		    "It is forgotten in memory, but the token store cannot be written: %s. After a "
		    "restart it would be there again.",
		    strerror(-error));
}

/* Does the store hold what `forget` takes away? */
static bool
holds_something(const struct account *a)
{
	const struct account_record *r = &a->record;

	if (account_conf_needs_person(a->conf))
		return machine_standing(a->machine) != MACHINE_EMPTY;
	return r->password != NULL || r->client_secret != NULL || r->signing_key != NULL ||
	       machine_authorized_at(a->machine) > 0;
}

static void
forget(struct keeper *k, struct client *c, struct account *a)
{
	bool person = account_conf_needs_person(a->conf), held = holds_something(a);
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	int e = account_forget(a, !person);

	keeper_run(k, a);
	log_line(LOG_LEVEL_NOTICE, "What the store holds for an account is to be forgotten.",
	    LOG_PAIRS(
		{LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, e == 0 ? "forgotten" : "failed"}));
	if (e < 0) {
		say_not_forgotten(e, &text);
		client_done(c, e == -EBUSY ? EX_TEMPFAIL : EX_IOERR, buf_str(&text),
		    "Try again in a moment.", NULL);
		return;
	}
	client_done(c, 0, NULL, NULL,
	    !held    ? "Nothing is stored here for this account, so there was nothing to forget."
	    : person ? "The sign-in is forgotten here. At the provider it is still valid until "
		       "somebody removes it there."
		     : "The secret is forgotten here. At the provider it is still valid.");
}

/* ---- at the server ---- */

static void
revoked(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct revocation *r = arg;
	struct account *a = r->account;
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX), next CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct answer_facts f = {.fault = fault};
	bool same = r->generation == machine_generation(a->machine);
	int e;

	if (m != NULL)
		f = (struct answer_facts){.fault = message_str(m, F_FAULT),
		    .error = message_str(m, F_OAUTH_ERROR),
		    .text = message_str(m, F_TEXT),
		    .status = message_u64(m, F_HTTP_STATUS, 0)};
	if (f.fault != NULL || f.error != NULL) {
		answer_words(&f, &text);
		(void)buf_append_str(&text, " Nothing was forgotten.");
		(void)buf_printf(&next,
		    "Try again later; to forget it here in any case: frank account revoke %s "
		    "--local",
		    a->conf->name);
		finish(r, EX_TEMPFAIL, buf_str(&text), buf_str(&next), NULL);
		return;
	}
	/* a newer sign-in since then is not what was revoked */
	e = same ? account_forget(a, false) : 0;
	keeper_run(k, a);
	if (e < 0) {
		(void)buf_append_str(&text, "The server has revoked it. ");
		say_not_forgotten(e, &text);
		finish(r, EX_IOERR, buf_str(&text), "Mend the disk and call it again with --local.",
		    NULL);
		return;
	}
	finish(r, 0, NULL, NULL,
	    same ? "The grant is revoked at the server and forgotten here."
		 : "The grant is revoked at the server. The account has changed meanwhile, so "
		   "what is stored for it now is kept.");
}

static void
prepared(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local)
{
	static const char hint[] = "refresh_token";
	struct revocation *r = arg;
	CLEANUP_SECRET struct secret *token = machine_refresh_token(r->account->machine);
	uint64_t id = request_id(k);
	const char *why = NULL;
	struct message *m = NULL;

	if (r->conf_serial != r->account->conf_serial)
		fault = "the account's configuration changed meanwhile";
	if (fault == NULL && token != NULL)
		m = token_request_new(k, r->account, M_REVOKE_REQUEST, id, r->endpoint, &why);
	if (m == NULL) {
		finish(r, EX_TEMPFAIL,
		    fault != NULL ? fault
		    : why != NULL ? why
				  : "There is no refresh token any more.",
		    NULL, NULL);
		return;
	}
	token_request_put(m, "token", secret_bytes(token), secret_len(token));
	token_request_put(m, "token_type_hint", hint, strlen(hint));
	request_start(k, id, m, revoked, r, 0);
}

static void
say_no_endpoint(struct revocation *r)
{
	struct buf next CLEANUP_BUF = BUF_INIT(TEXT_MAX);

	(void)buf_printf(&next,
	    "Remove the application from the mailbox's account at the provider (Microsoft: My "
	    "Apps, "
	    "or an administrator revokes the user's sessions); then: frank account revoke %s "
	    "--local",
	    r->account->conf->name);
	finish(r, EX_UNAVAILABLE,
	    "This provider has no endpoint for revocation, so Frank cannot revoke the grant there. "
	    "Nothing was forgotten.",
	    buf_str(&next), NULL);
}

static void
discovered(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct revocation *r = arg;
	const char *endpoint;

	if (m == NULL || message_has(m, F_FAULT)) {
		struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);

		(void)buf_printf(&text,
		    "The provider's metadata could not be read: %s. Nothing was forgotten.",
		    m == NULL ? fault : message_str(m, F_FAULT));
		finish(r, EX_TEMPFAIL, buf_str(&text),
		    "Try again later, or set "
		    "revocation-endpoint.",
		    NULL);
		return;
	}
	endpoint = message_str(m, F_REVOCATION_ENDPOINT);
	if (endpoint == NULL) {
		say_no_endpoint(r);
		return;
	}
	r->endpoint = strdup(endpoint);
	if (r->endpoint == NULL) {
		finish(r, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	prepare(k, r->account, prepared, r, 0);
}

static void
ask(struct revocation *r)
{
	const struct account_conf *c = r->account->conf;
	struct keeper *k = r->keeper;
	struct message *m;
	uint64_t id;

	if (r->endpoint != NULL) {
		prepare(k, r->account, prepared, r, 0);
		return;
	}
	if (c->issuer == NULL) {
		say_no_endpoint(r);
		return;
	}
	id = request_id(k);
	m = message_new(M_DISCOVER);
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, c->name);
	message_put_str(m, F_ISSUER, c->issuer);
	request_start(k, id, m, discovered, r, 0);
}

static bool
is_under_way(const struct keeper *k, const struct account *a)
{
	for (const struct revocation *r = k->revocations; r != NULL; r = r->next)
		if (r->account == a)
			return true;
	return false;
}

/* Why nothing can be revoked at a server now; true where that is so. */
static bool
refuse_start(const struct keeper *k, struct client *c, const struct account *a)
{
	char local[256];

	(void)snprintf(local, sizeof(local),
	    "To forget what is stored here: run `frank account revoke %.100s --local`.",
	    a->conf->name);
	if (!account_conf_needs_person(a->conf))
		client_done(c, EX_UNAVAILABLE,
		    a->conf->grant == GRANT_NONE ? "This account has no credential."
		    : a->conf->grant == GRANT_PASSWORD
			? "A password is not revoked but changed or deleted, at the provider."
			: "Nobody signed in for this account: its secret or key is deleted at the "
			  "provider, and its access tokens end by themselves.",
		    a->conf->grant == GRANT_NONE ? NULL : local, NULL);
	else if (machine_standing(a->machine) == MACHINE_EMPTY)
		client_done(
		    c, EX_UNAVAILABLE, "Nobody has signed in for this account.", NULL, NULL);
	else if (!account_tokens_fit(a))
		client_done(c, EX_CONFIG,
		    "The stored sign-in is for another server, client or mailbox than the account "
		    "names now, and goes to no other.",
		    "Put the configuration back to revoke it, or forget it with --local.", NULL);
	else if (is_under_way(k, a)) /* its end would let the account refresh under this one */
		client_done(
		    c, EX_TEMPFAIL, "It is being revoked already.", "Try again in a moment.", NULL);
	else if (machine_state(a->machine) == MACHINE_REFRESHING)
		client_done(
		    c, EX_TEMPFAIL, "A refresh is under way.", "Try again in a moment.", NULL);
	else
		return false;
	return true;
}

void
revoke_start(struct keeper *k, struct client *c, const struct message *m)
{
	struct account *a = keeper_find(k, message_str(m, F_ACCOUNT));
	struct revocation *r;

	if (a == NULL) {
		client_done(c, EX_NOUSER, "The configuration has no account of that name.",
		    "See the names: frank status", NULL);
		return;
	}
	if (message_u64(m, F_FLAGS, 0) != 0) {
		forget(k, c, a);
		return;
	}
	if (refuse_start(k, c, a))
		return;
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	*r = (struct revocation){.next = k->revocations,
	    .keeper = k,
	    .account = a,
	    .client = c,
	    .conf_serial = a->conf_serial,
	    .generation = machine_generation(a->machine)};
	k->revocations = r;
	if (a->conf->revocation_endpoint != NULL)
		r->endpoint = strdup(a->conf->revocation_endpoint);
	/* a refresh in between would bring a token that nobody revokes */
	account_pause(a, true);
	keeper_run(k, a);
	ask(r);
}

void
revoke_forget_client(struct keeper *k, const struct client *c)
{
	for (struct revocation *r = k->revocations; r != NULL; r = r->next)
		if (r->client == c)
			r->client = NULL;
}

void
revoke_forget_account(struct keeper *k, const struct account *a)
{
	for (struct revocation *r = k->revocations, *next; r != NULL; r = next) {
		next = r->next;
		if (r->account == a)
			finish(r, EX_CONFIG, "The account was taken out of the configuration.",
			    NULL, NULL);
	}
}

void
revoke_clear(struct keeper *k)
{
	while (k->revocations != NULL)
		revocation_free(k->revocations);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* revocation.c: see revocation.h. Many servers have no such endpoint; the answer then says what a person can do
 * at the provider. */
#include "broker/keeper/sign-in/revocation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/text.h"

enum { TEXT_MAX = 1500 };

struct revocation {
	LIST_ENTRY(revocation) entry;
	struct revocations *all;
	struct account *account; /* borrowed */
	struct client *client;   /* NULL: gone */
	uint64_t conf_serial, generation;
	char *endpoint;
};

struct revocations {
	struct accounts *accounts;
	struct fetch_requests *fetch;
	struct token_requests *requests;
	LIST_HEAD(, revocation) list;
};

static void
revocation_free(struct revocation *r)
{
	LIST_REMOVE(r, entry);
	token_request_cancel(r->all->requests, r);
	account_pause(r->account, false);
	accounts_run(r->all->accounts, r->account);
	free(r->endpoint);
	free(r);
}

/* The end of a revocation: logged, reported to the client (as client_done), freed. */
static void finish(struct revocation *r, int exit, const char *next, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void
finish(struct revocation *r, int exit, const char *next, const char *format, ...)
{
	struct buf sentence CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct client *c = r->client;
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&sentence, format, ap);
	va_end(ap);
	log_line(exit == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, buf_str(&sentence),
	    LOG_PAIRS({LOG_ACCOUNT, r->account->conf->name},
		{LOG_OUTCOME, exit == 0 ? "revoked" : "not-revoked"}));
	revocation_free(r);
	if (c != NULL)
		client_done(c, exit, next, "%s", buf_str(&sentence));
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

	if (grant_needs_person(a->conf->grant))
		return machine_standing(a->machine) != MACHINE_EMPTY;
	return r->password.secret != NULL || r->client.secret != NULL || r->client.key != NULL ||
	       machine_authorized_at(a->machine) > 0;
}

static void
forget(struct revocations *rs, struct client *c, struct account *a)
{
	bool person = grant_needs_person(a->conf->grant), held = holds_something(a);
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	int e = account_forget(a, !person);

	accounts_run(rs->accounts, a);
	log_line(LOG_LEVEL_NOTICE, "What the store holds for an account is to be forgotten.",
	    LOG_PAIRS(
		{LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, e == 0 ? "forgotten" : "failed"}));
	if (e < 0) {
		say_not_forgotten(e, &text);
		client_done(c, e == -EBUSY ? EX_TEMPFAIL : EX_IOERR, "Try again in a moment.", "%s",
		    buf_str(&text));
		return;
	}
	client_done(c, 0, NULL, "%s",
	    !held    ? "Nothing is stored here for this account, so there was nothing to forget."
	    : person ? "The sign-in is forgotten here. At the provider it is still valid until "
		       "somebody removes it there."
		     : "The secret is forgotten here. At the provider it is still valid.");
}

/* ---- at the server ---- */

static void
revoked(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct revocation *r = arg;
	struct account *a = r->account;
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX), next CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct answer_facts f = answer_facts_of(answer);
	bool same = r->generation == machine_generation(a->machine);
	int e;

	if (f.fault != NULL || f.error != NULL) {
		answer_words(&f, &text);
		(void)buf_append_str(&text, " Nothing was forgotten.");
		(void)buf_printf(&next,
		    "Try again later; to forget it here in any case: frank account revoke %s "
		    "--local",
		    a->conf->name);
		finish(r, EX_TEMPFAIL, buf_str(&next), "%s", buf_str(&text));
		return;
	}
	/* a newer sign-in since then is not what was revoked */
	e = same ? account_forget(a, false) : 0;
	accounts_run(r->all->accounts, a);
	if (e < 0) {
		(void)buf_append_str(&text, "The server has revoked it. ");
		say_not_forgotten(e, &text);
		finish(r, EX_IOERR, "Mend the disk and call it again with --local.", "%s",
		    buf_str(&text));
		return;
	}
	finish(r, 0, NULL, "%s",
	    same ? "The grant is revoked at the server and forgotten here."
		 : "The grant is revoked at the server. The account has changed meanwhile, so "
		   "what is stored for it now is kept.");
}

static const char *
put_token(void *arg, uint64_t tag, struct message *m)
{
	const struct revocation *r = arg;
	CLEANUP_SECRET struct secret *token = machine_refresh_token(r->account->machine);

	if (r->conf_serial != r->account->conf_serial)
		return "the account's configuration changed meanwhile";
	if (token == NULL)
		return "there is no refresh token any more";
	token_request_put(m, "token", secret_bytes(token), secret_len(token));
	token_request_put_text(m, "token_type_hint", "refresh_token");
	return NULL;
}

static void
ask_server(struct revocation *r)
{
	static const struct token_request_ops ops = {.fill = put_token, .done = revoked};

	token_request_start(
	    r->all->requests, r->account, M_REVOKE_REQUEST, r->endpoint, &ops, r, 0);
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
	finish(r, EX_UNAVAILABLE, buf_str(&next),
	    "This provider has no endpoint for revocation, so Frank cannot revoke the grant there. "
	    "Nothing was forgotten.");
}

static void
discovered(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct revocation *r = arg;
	const char *endpoint =
	    answer->message == NULL ? NULL : message_str(answer->message, F_REVOCATION_ENDPOINT);

	if (answer->fault != NULL) {
		finish(r, EX_TEMPFAIL, "Try again later, or set revocation-endpoint.",
		    "The provider's metadata could not be read: %s. Nothing was forgotten.",
		    answer->fault);
	} else if (endpoint == NULL) {
		say_no_endpoint(r);
	} else if (text_copy(endpoint, &r->endpoint) < 0) {
		finish(r, EX_TEMPFAIL, NULL, "Memory ran out.");
	} else {
		ask_server(r);
	}
}

static void
begin(struct revocation *r)
{
	const struct account_conf *c = r->account->conf;

	if (r->endpoint != NULL)
		ask_server(r);
	else if (c->issuer == NULL)
		say_no_endpoint(r);
	else
		fetch_request_discover(r->all->fetch, c->name, c->issuer, discovered, r);
}

static bool
is_under_way(const struct revocations *rs, const struct account *a)
{
	const struct revocation *r;

	LIST_FOREACH (r, &rs->list, entry)
		if (r->account == a)
			return true;
	return false;
}

/* Why nothing can be revoked at a server now; true where that is so. */
static bool
refuse_start(const struct revocations *rs, struct client *c, const struct account *a)
{
	char local[256];

	(void)snprintf(local, sizeof(local),
	    "To forget what is stored here: run `frank account revoke %.100s --local`.",
	    a->conf->name);
	if (!grant_needs_person(a->conf->grant))
		client_done(c, EX_UNAVAILABLE, a->conf->grant == GRANT_NONE ? NULL : local, "%s",
		    a->conf->grant == GRANT_NONE ? "This account has no credential."
		    : a->conf->grant == GRANT_PASSWORD
			? "A password is not revoked but changed or deleted, at the provider."
			: "Nobody signed in for this account: its secret or key is deleted at the "
			  "provider, and its access tokens end by themselves.");
	else if (machine_standing(a->machine) == MACHINE_EMPTY)
		client_done(c, EX_UNAVAILABLE, NULL, "Nobody has signed in for this account.");
	else if (!account_tokens_fit(a))
		client_done(c, EX_CONFIG,
		    "Put the configuration back to revoke it, or forget it with --local.",
		    "The stored sign-in is for another server, client or mailbox than the account "
		    "names now, and goes to no other.");
	else if (is_under_way(rs, a)) /* its end would let the account refresh under this one */
		client_done(
		    c, EX_TEMPFAIL, "Try again in a moment.", "It is being revoked already.");
	else if (machine_state(a->machine) == MACHINE_REFRESHING)
		client_done(c, EX_TEMPFAIL, "Try again in a moment.", "A refresh is under way.");
	else
		return false;
	return true;
}

void
revocation_start(struct revocations *rs, struct client *c, const struct message *m)
{
	struct account *a = accounts_find(rs->accounts, message_str(m, F_ACCOUNT));
	struct revocation *r;

	if (a == NULL) {
		client_done(c, EX_NOUSER, "See the names: frank status",
		    "The configuration has no account of that name.");
		return;
	}
	if (message_u64(m, F_FLAGS, 0) != 0) {
		forget(rs, c, a);
		return;
	}
	if (refuse_start(rs, c, a))
		return;
	r = calloc(1, sizeof(*r));
	if (r == NULL || text_copy(a->conf->revocation_endpoint, &r->endpoint) < 0) {
		free(r);
		client_done_memory(c);
		return;
	}
	r->all = rs;
	r->account = a;
	r->client = c;
	r->conf_serial = a->conf_serial;
	r->generation = machine_generation(a->machine);
	LIST_INSERT_HEAD(&rs->list, r, entry);
	/* a refresh in between would bring a token that nobody revokes */
	account_pause(a, true);
	accounts_run(rs->accounts, a);
	begin(r);
}

void
revocations_forget_client(struct revocations *rs, const struct client *c)
{
	struct revocation *r;

	LIST_FOREACH (r, &rs->list, entry)
		if (r->client == c)
			r->client = NULL;
}

void
revocations_forget_account(struct revocations *rs, const struct account *a)
{
	struct revocation *r, *next;

	for (r = LIST_FIRST(&rs->list); r != NULL; r = next) {
		next = LIST_NEXT(r, entry);
		if (r->account == a)
			finish(
			    r, EX_CONFIG, NULL, "The account was taken out of the configuration.");
	}
}

struct revocations *
revocations_new(
    struct accounts *accounts, struct fetch_requests *fetch, struct token_requests *requests)
{
	struct revocations *rs = calloc(1, sizeof(*rs));

	if (rs != NULL)
		*rs = (struct revocations){
		    .accounts = accounts, .fetch = fetch, .requests = requests};
	return rs;
}

struct revocations *
revocations_free(struct revocations *rs)
{
	if (rs == NULL)
		return NULL;
	while (!LIST_EMPTY(&rs->list))
		revocation_free(LIST_FIRST(&rs->list));
	free(rs);
	return NULL;
}

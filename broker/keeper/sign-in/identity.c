/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* identity.c: see identity.h. */
#include "broker/keeper/sign-in/identity.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/issuer.h"
#include "broker/keeper/accounts/scope.h"

enum { QUOTED_MAX = 200 };

/* ---- the claims of a message ---- */

/* The value of a claim behind *at (0 at first), moving past it; NULL where there is no more. */
static const char *
next_claim(const struct message *m, const char *name, size_t *at)
{
	size_t len = strlen(name);
	const char *pair;

	while (message_next_str(m, F_ID_CLAIM, at, &pair))
		if (strncmp(pair, name, len) == 0 && pair[len] == '=')
			return pair + len + 1;
	return NULL;
}

static const char *
claim(const struct message *m, const char *name)
{
	size_t at = 0;

	return next_claim(m, name, &at);
}

static bool
claim_is(const struct message *m, const char *name, const char *value)
{
	const char *got = claim(m, name);

	return got != NULL && strcasecmp(got, value) == 0;
}

static void
quote(struct buf *b, const char *text)
{
	(void)text_plain(b, text, strlen(text), QUOTED_MAX);
}

/* ---- the ID token as a whole ---- */

/* The issuer that an ID token must name: the account's, or else Microsoft's that belongs to the token endpoint. NULL where
 * none is known. */
static const char *
expected_issuer(const struct identity_expected *e, struct buf *room)
{
	if (e->issuer != NULL)
		return e->issuer;
	return e->token_endpoint != NULL && issuer_of_endpoint(e->token_endpoint, room)
		   ? buf_str(room)
		   : NULL;
}

static bool
is_on_an_endpoint(const struct identity_expected *e, const char *issuer)
{
	return (e->token_endpoint != NULL && issuer_is_same_origin(issuer, e->token_endpoint)) ||
	       (e->authorization_endpoint != NULL &&
		   issuer_is_same_origin(issuer, e->authorization_endpoint));
}

/* Google's older tokens name it without the scheme (Google, "OpenID Connect", iss). */
static bool
is_google(const char *expected, const char *got)
{
	static const char google[] = "https://accounts.google.com";

	return strcmp(expected, google) == 0 && strcmp(got, google + strlen("https://")) == 0;
}

static bool
find_issuer_flaw(
    const struct message *m, const struct identity_expected *e, struct buf *text, struct buf *next)
{
	struct buf room CLEANUP_BUF = BUF_INIT(1024);
	const char *got = message_str(m, F_ID_ISSUER), *expected = expected_issuer(e, &room),
		   *tenant = claim(m, "tid");

	if (got == NULL) {
		(void)buf_append_str(text, "The ID token does not name its issuer (iss).");
		(void)buf_append_str(
		    next, "Report it to the provider: OpenID Connect requires it.");
		return true;
	}
	if (expected != NULL
		? issuer_fits(expected, got) || issuer_is_same_but_slash(expected, got) ||
		      is_google(expected, got)
		: is_on_an_endpoint(e, got)) {
		if (!issuer_is_microsoft(got) || tenant == NULL || issuer_is_of_tenant(got, tenant))
			return false;
		(void)buf_append_str(text, "The ID token names the issuer ");
		quote(text, got);
		(void)buf_append_str(text, ", but the tenant (tid) ");
		quote(text, tenant);
		(void)buf_append_str(text, ": it is none of Microsoft's.");
		(void)buf_append_str(next, "Check token-endpoint in the account's block.");
		return true;
	}
	(void)buf_append_str(
	    text, "The ID token was issued by another than the account's issuer: iss is ");
	quote(text, got);
	(void)buf_append_str(text, ", expected is ");
	if (expected != NULL)
		quote(text, expected);
	else
		(void)buf_append_str(text, "an address on the token endpoint's host");
	(void)buf_append_char(text, '.');
	(void)buf_append_str(next,
	    issuer_is_microsoft(got) && expected != NULL && issuer_is_microsoft(expected)
		? "Sign in with an account of the organisation that tenant names, or correct "
		  "tenant in the account's block."
		: "If this is your provider's name for itself, set issuer in the account's block "
		  "to it; if not, check the endpoints: they lead to another server.");
	return true;
}

static bool
find_audience_flaw(
    const struct message *m, const struct identity_expected *e, struct buf *text, struct buf *next)
{
	const char *client_id = e->conf->client_id, *audience, *first = NULL,
		   *party = claim(m, "azp");
	unsigned count = 0;
	bool ours = false;
	size_t at = 0;

	while (message_next_str(m, F_ID_AUDIENCE, &at, &audience)) {
		ours |= strcmp(audience, client_id) == 0;
		if (first == NULL)
			first = audience;
		count++;
	}
	if (ours && (party != NULL ? strcmp(party, client_id) == 0 : count == 1))
		return false;
	(void)buf_append_str(text, "The ID token is meant for another client: ");
	(void)buf_append_str(text, ours ? "azp is " : "aud is ");
	quote(text, ours && party != NULL ? party : !ours && first != NULL ? first : "absent");
	(void)buf_append_str(text,
	    ours && party == NULL ? ", though aud names several, expected is " : ", expected is ");
	quote(text, client_id);
	(void)buf_append_char(text, '.');
	(void)buf_append_str(next, "Check client-id in the account's block against the application "
				   "that is registered with the provider.");
	return true;
}

static bool
find_nonce_flaw(
    const struct message *m, const struct identity_expected *e, struct buf *text, struct buf *next)
{
	CLEANUP_SECRET struct secret *got = message_secret(m, F_NONCE);

	if (e->nonce == NULL || (got != NULL ? secret_equal(got, e->nonce)
					     : !scope_is_listed(e->conf->scopes, "openid")))
		return false;
	(void)buf_append_str(text, got == NULL
				       ? "The ID token does not belong to this sign-in: it bears "
					 "no nonce, though one was sent."
				       : "The ID token does not belong to this sign-in: its nonce "
					 "is another's.");
	(void)buf_append_str(next, "Start again with frank authorize; if it stays, something "
				   "between Frank and the provider answers with old tokens.");
	return true;
}

bool
identity_find_flaw(const struct message *answer, const struct identity_expected *e,
    struct buf *ret_text, struct buf *ret_next)
{
	uint64_t over = message_u64(answer, F_ID_OVER, 0);

	if (!message_has(answer, F_ID_ISSUER) && !message_has(answer, F_ID_AUDIENCE) &&
	    !message_has(answer, F_NONCE) && !message_has(answer, F_ID_CLAIM))
		return false; /* there is none */
	if (find_issuer_flaw(answer, e, ret_text, ret_next) ||
	    find_audience_flaw(answer, e, ret_text, ret_next) ||
	    find_nonce_flaw(answer, e, ret_text, ret_next))
		return true;
	if (over == 0)
		return false;
	(void)buf_printf(ret_text, "The ID token was over (exp) %llu seconds before it came.",
	    (unsigned long long)over);
	(void)buf_append_str(ret_next,
	    "Check the clock of this machine (timedatectl), then start again with frank "
	    "authorize; if it is right, the provider's is wrong.");
	return true;
}

/* ---- who it is ---- */

void
identity_known_clear(struct identity_known *k)
{
	free(k->subject);
	*k = (struct identity_known){0};
}

static bool
is_denied(const struct message *m)
{
	return claim_is(m, "email_verified", "false") || claim_is(m, "verified_email", "false");
}

/* Microsoft names who signed the person in (idp) where that is another than the token's issuer. */
static bool
is_guest(const struct message *m)
{
	const char *idp = claim(m, "idp"), *issuer = message_str(m, F_ID_ISSUER);

	return idp != NULL && (issuer == NULL || strcmp(idp, issuer) != 0);
}

int
identity_note(const struct message *answer, struct identity_known *k)
{
	const char *subject = claim(answer, "sub");

	identity_known_clear(k);
	k->unverified = is_denied(answer);
	k->guest = is_guest(answer);
	if (subject != NULL && (k->subject = strdup(subject)) == NULL)
		return -ENOMEM;
	return 0;
}

/* "local" of local@gmail.com as Gmail reads it. */
static void
gmail_local(const char *address, struct buf *ret)
{
	for (const char *c = address; *c != '\0' && *c != '@' && *c != '+'; c++)
		if (*c != '.')
			(void)buf_append_char(ret, *c);
}

static bool
is_gmail(const char *address)
{
	const char *domain = address_domain(address);

	return domain != NULL &&
	       (strcasecmp(domain, "gmail.com") == 0 || strcasecmp(domain, "googlemail.com") == 0);
}

/* Do two addresses name one mailbox: equal without regard to ASCII case; at gmail.com and googlemail.com, which are
 * one, also without regard to dots and to what follows a '+' (Google, "Dots don't matter in Gmail addresses"). */
static bool
is_same_mailbox(const char *a, const char *b)
{
	struct buf x CLEANUP_BUF = BUF_INIT(ADDRESS_MAX), y CLEANUP_BUF = BUF_INIT(ADDRESS_MAX);

	if (address_equal_nocase(a, b))
		return true;
	if (!is_gmail(a) || !is_gmail(b))
		return false;
	gmail_local(a, &x);
	gmail_local(b, &y);
	return !x.failed && !y.failed && x.len > 0 && strcasecmp(buf_str(&x), buf_str(&y)) == 0;
}

static bool
fits(const struct account_conf *c, const char *name)
{
	return (c->mailbox != NULL && is_same_mailbox(name, c->mailbox)) ||
	       (c->auth_user != NULL && is_same_mailbox(name, c->auth_user));
}

/* Do the mail addresses that Microsoft's claims hold count? */
static bool
microsoft_vouches(
    const struct message *m, const struct identity_expected *e, const char *expected, bool guest)
{
	return claim_is(m, "xms_edov", "true") || claim_is(m, "tid", ISSUER_CONSUMERS) ||
	       (!guest && (issuer_is_one_organisation(expected) ||
			      (e->token_endpoint != NULL &&
				  issuer_is_one_organisation(e->token_endpoint))));
}

static const char *const addresses[] = {"email", "emails", "mail", "emailAddress"};
/* What a directory gives, or Microsoft itself has verified. */
static const char *const vouched[] = {
    "upn", "userPrincipalName", "verified_primary_email", "verified_secondary_email"};

struct judgement {
	const struct message *m;
	const struct account_conf *conf;
	const char *fits, *unverified; /* the account's, in a claim that counts, or in another */
	const char *other, *stray;     /* somebody else's */
};

/* Looks at the claims of one name: `counts` where they name a mailbox. */
static void
look_at(struct judgement *j, const char *name, bool counts)
{
	const char *value;
	size_t at = 0;

	while ((value = next_claim(j->m, name, &at)) != NULL) {
		bool fit = fits(j->conf, value);
		const char **place =
		    fit ? (counts ? &j->fits : &j->unverified) : (counts ? &j->other : &j->stray);

		if (*place == NULL)
			*place = value;
	}
}

enum identity_verdict
identity_judge(const struct message *m, const struct identity_expected *e,
    const struct identity_known *k, const char **ret_name)
{
	struct buf room CLEANUP_BUF = BUF_INIT(1024);
	struct judgement j = {.m = m, .conf = e->conf};
	const char *expected = expected_issuer(e, &room), *subject = claim(m, "sub");
	bool microsoft = expected != NULL && issuer_is_microsoft(expected),
	     denied = k->unverified || is_denied(m), guest = k->guest || is_guest(m), named = false;

	*ret_name = NULL;
	if (k->subject != NULL && subject != NULL && strcmp(k->subject, subject) != 0)
		return IDENTITY_MIXED;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		named |= claim(m, addresses[i]) != NULL;
		look_at(&j, addresses[i],
		    !denied && (!microsoft || microsoft_vouches(m, e, expected, guest)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(vouched); i++)
		look_at(&j, vouched[i], true);
	look_at(&j, "preferred_username", microsoft || (!named && !denied));
	look_at(&j, "unique_name", microsoft || (!named && !denied));
	if ((*ret_name = j.fits) != NULL)
		return IDENTITY_FITS;
	if ((*ret_name = j.unverified) != NULL)
		return IDENTITY_UNVERIFIED;
	*ret_name = j.other != NULL ? j.other : j.stray;
	return *ret_name != NULL ? IDENTITY_OTHER : IDENTITY_UNKNOWN;
}

/* ---- why not ---- */

static void
explain_other(
    const char *name, const struct identity_expected *e, struct buf *text, struct buf *next)
{
	const char *login = account_conf_login(e->conf);

	quote(text, name);
	(void)buf_printf(
	    text, " signed in, but this account is for %s. Nothing was stored.", login);
	if (strchr(name, '@') == NULL && !scope_is_listed(e->conf->scopes, "email")) {
		(void)buf_append_str(next,
		    "Add email to scopes in the account's block, so that the "
		    "provider tells the address too.");
		return;
	}
	(void)buf_printf(next, "Sign in as %s (a private window helps); or, where ", login);
	quote(next, name);
	(void)buf_append_str(next, " may send for that mailbox, set auth-user to it.");
}

static void
explain_unverified(const char *name, const struct message *m, const struct identity_expected *e,
    struct buf *text, struct buf *next)
{
	const char *account = e->conf->name, *login = claim(m, "preferred_username");
	bool denied = is_denied(m);

	(void)buf_append_str(text, "The provider names ");
	quote(text, name);
	(void)buf_append_str(text, denied ? ", and says that it has not verified the address "
					    "(email_verified is false)."
					  : ", but in a claim that does not prove whose mailbox it "
					    "is: others could have it written there.");
	if (!denied && login != NULL && strcmp(login, name) != 0) {
		(void)buf_append_str(text, " The name that signed in is ");
		quote(text, login);
		(void)buf_append_char(text, '.');
	}
	(void)buf_append_str(text, " Nothing was stored.");
	if (denied)
		(void)buf_printf(next,
		    "Have the address verified at the provider, in the person's settings or by its "
		    "administrator; then: frank authorize %s",
		    account);
	else if (e->token_endpoint != NULL && issuer_is_microsoft(e->token_endpoint))
		(void)buf_append_str(next,
		    "Set tenant in the account's block to your organisation's domain or id; and "
		    "where people sign in there under another name than the mailbox's address, set "
		    "auth-user to that name.");
	else
		(void)buf_printf(next, "%sSign in as %s itself.",
		    scope_is_listed(e->conf->scopes, "email")
			? ""
			: "Add email to scopes in the account's block. ",
		    account_conf_login(e->conf));
}

static void
explain_unknown(
    const struct message *m, const struct identity_expected *e, struct buf *text, struct buf *next)
{
	const char *scopes = e->conf->scopes, *fault = message_str(m, F_ID_FAULT);
	bool openid = scope_is_listed(scopes, "openid"), email = scope_is_listed(scopes, "email");

	if (fault != NULL)
		(void)buf_printf(text,
		    "Who signed in is not known: the ID token %s. Nothing was stored.", fault);
	else
		(void)buf_append_str(text, claim(m, "sub") != NULL
					       ? "Of the person who signed in the provider tells "
						 "an identifier (sub) and no address, so the "
						 "mailbox cannot be verified. Nothing was stored."
					       : "The provider does not say who signed in, so the "
						 "mailbox cannot be verified. Nothing was stored.");
	if (!openid || !email)
		(void)buf_printf(next,
		    "Add %s to scopes in the account's block, then: frank "
		    "authorize %s",
		    openid  ? "email"
		    : email ? "openid"
			    : "openid and email",
		    e->conf->name);
	else if (fault != NULL)
		(void)buf_append_str(next,
		    "Register the application with the provider for signed ID "
		    "tokens that are not encrypted, or set "
		    "userinfo-endpoint.");
	else
		(void)buf_append_str(next,
		    "Have the provider put the claim email into the application's ID tokens (at "
		    "Microsoft: Token configuration, optional claims), or set userinfo-endpoint to "
		    "an address that tells it.");
}

void
identity_explain(enum identity_verdict v, const char *name, const struct message *answer,
    const struct identity_expected *e, struct buf *ret_text, struct buf *ret_next)
{
	switch (v) {
	case IDENTITY_FITS:
		break;
	case IDENTITY_OTHER:
		explain_other(name, e, ret_text, ret_next);
		break;
	case IDENTITY_UNVERIFIED:
		explain_unverified(name, answer, e, ret_text, ret_next);
		break;
	case IDENTITY_UNKNOWN:
		explain_unknown(answer, e, ret_text, ret_next);
		break;
	case IDENTITY_MIXED:
		(void)buf_append_str(ret_text,
		    "The userinfo endpoint tells of another person (sub) "
		    "than the ID token. Nothing was stored.");
		(void)buf_append_str(ret_next, "Check userinfo-endpoint in the account's block.");
		break;
	}
}

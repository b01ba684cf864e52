/*
 * classify.c: see classify.h. An error that is not in the table counts as transient: a refresh
 * token is given up for proven reasons only, and the back-off keeps the patience bounded.
 */
#include "broker/keeper/classify.h"

#include <string.h>

#include "base/codec.h"

enum { TEXT_CUT = 300 };

enum mend {
	MEND_SIGN_IN,
	MEND_CLIENT,
	MEND_SCOPE,
	MEND_REQUEST,
	MEND_REDIRECT,
	MEND_POLICY,
	MEND_ASSERTION,
	MEND_WAIT
};

/* What was asked: the column of the table that counts. */
enum asked { ASKED_REFRESH, ASKED_AUTHORIZATION, ASKED_UNATTENDED };

static const struct rule {
	const char *error;
	enum answer_class classes[3]; /* by enum asked */
	bool whole_client;            /* not this account alone */
	enum mend mend;
} rules[] = {
    {"invalid_grant", {ANSWER_NEEDS_USER, ANSWER_REFUSED, ANSWER_CLIENT}, false, MEND_SIGN_IN},
    {"interaction_required", {ANSWER_NEEDS_USER, ANSWER_NEEDS_USER, ANSWER_CLIENT}, false,
	MEND_SIGN_IN},
    {"login_required", {ANSWER_NEEDS_USER, ANSWER_NEEDS_USER, ANSWER_CLIENT}, false, MEND_SIGN_IN},
    {"consent_required", {ANSWER_NEEDS_USER, ANSWER_NEEDS_USER, ANSWER_CLIENT}, false,
	MEND_SIGN_IN},
    {"account_selection_required", {ANSWER_NEEDS_USER, ANSWER_NEEDS_USER, ANSWER_CLIENT}, false,
	MEND_SIGN_IN},
    {"access_denied", {ANSWER_NEEDS_USER, ANSWER_REFUSED, ANSWER_CLIENT}, false, MEND_SIGN_IN},
    {"authorization_declined", {ANSWER_NEEDS_USER, ANSWER_REFUSED, ANSWER_CLIENT}, false,
	MEND_SIGN_IN},
    {"expired_token", {ANSWER_NEEDS_USER, ANSWER_REFUSED, ANSWER_CLIENT}, false, MEND_SIGN_IN},
    {"bad_verification_code", {ANSWER_NEEDS_USER, ANSWER_REFUSED, ANSWER_CLIENT}, false,
	MEND_SIGN_IN},
    {"authorization_pending", {ANSWER_TRANSIENT, ANSWER_TRANSIENT, ANSWER_TRANSIENT}, false,
	MEND_WAIT},
    {"invalid_client", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, true, MEND_CLIENT},
    {"deleted_client", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, true, MEND_CLIENT},
    {"disabled_client", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, true, MEND_CLIENT},
    {"unauthorized_client", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_CLIENT},
    {"unsupported_grant_type", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_CLIENT},
    {"unsupported_response_type", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false,
	MEND_CLIENT},
    {"invalid_scope", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_SCOPE},
    {"invalid_resource", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_SCOPE},
    {"invalid_target", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_SCOPE},
    {"invalid_request", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_REQUEST},
    {"redirect_uri_mismatch", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_REDIRECT},
    {"disallowed_useragent", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_REQUEST},
    {"admin_policy_enforced", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_POLICY},
    {"org_internal", {ANSWER_CLIENT, ANSWER_CLIENT, ANSWER_CLIENT}, false, MEND_POLICY},
    {"temporarily_unavailable", {ANSWER_TRANSIENT, ANSWER_TRANSIENT, ANSWER_TRANSIENT}, false,
	MEND_WAIT},
    {"server_error", {ANSWER_TRANSIENT, ANSWER_TRANSIENT, ANSWER_TRANSIENT}, false, MEND_WAIT},
    {"slow_down", {ANSWER_TRANSIENT, ANSWER_TRANSIENT, ANSWER_TRANSIENT}, false, MEND_WAIT},
    {"rate_limit_exceeded", {ANSWER_TRANSIENT, ANSWER_TRANSIENT, ANSWER_TRANSIENT}, false,
	MEND_WAIT},
};

static const struct rule *
find_rule(const char *error)
{
	for (size_t i = 0; error != NULL && i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].error, error) == 0)
			return &rules[i];
	return NULL;
}

static enum answer_class
classify(const struct answer_facts *f, enum asked asked)
{
	const struct rule *rule;

	if (f->local)
		return ANSWER_CLIENT;
	/* A gateway in trouble may quote anything: the status goes first. */
	if (f->fault != NULL || f->status == 429 || f->status >= 500)
		return ANSWER_TRANSIENT;
	if (f->error == NULL)
		return ANSWER_GOOD;
	rule = find_rule(f->error);
	if (rule == NULL)
		return ANSWER_TRANSIENT;
	return rule->classes[asked];
}

enum answer_class
classify_refresh(const struct answer_facts *f)
{
	return classify(f, ASKED_REFRESH);
}

enum answer_class
classify_unattended(const struct answer_facts *f)
{
	return classify(f, ASKED_UNATTENDED);
}

enum answer_class
classify_authorization(const struct answer_facts *f)
{
	return classify(f, ASKED_AUTHORIZATION);
}

bool
classify_is_client(const struct answer_facts *f)
{
	const struct rule *rule = find_rule(f->error);

	return classify(f, ASKED_REFRESH) == ANSWER_CLIENT && rule != NULL && rule->whole_client;
}

static void
append_cut(struct buf *ret, const char *text)
{
	size_t len = strlen(text);

	(void)text_escape(ret, text, len > TEXT_CUT ? TEXT_CUT : len, false);
}

void
classify_text(const struct answer_facts *f, const char *who, struct buf *ret)
{
	if (f->local) {
		(void)buf_append_str(ret, "No token could be asked for: ");
		append_cut(ret, f->fault);
		(void)buf_append_str(ret, ".");
		return;
	}
	(void)buf_append_str(ret, who == NULL ? "The authorization server" : who);
	if (f->fault != NULL) {
		(void)buf_append_str(ret, " gave no usable answer: ");
		append_cut(ret, f->fault);
		(void)buf_append_str(ret, ".");
		return;
	}
	(void)buf_append_str(ret, " answered ");
	append_cut(ret, f->error == NULL ? "without an error code" : f->error);
	if (f->status != 0 && f->status != 200 && f->status != 400)
		(void)buf_printf(ret, " (HTTP %u)", (unsigned)f->status);
	if (f->text != NULL && *f->text != '\0') {
		(void)buf_append_str(ret, ": ");
		append_cut(ret, f->text);
	} else {
		(void)buf_append_str(ret, ".");
	}
}

void
classify_next(
    enum answer_class c, const struct answer_facts *f, const char *account, struct buf *ret)
{
	const struct rule *rule = find_rule(f->error);
	enum mend mend = c == ANSWER_TRANSIENT || rule == NULL ? MEND_WAIT : rule->mend;

	if (f->local) {
		(void)buf_printf(ret,
		    "Mend the file or the account's block: it is looked at again within a minute, "
		    "or at once by: frank account retry %s",
		    account);
		return;
	}
	/* where nobody signs in, no signing in mends it */
	if (mend == MEND_SIGN_IN && c == ANSWER_CLIENT)
		mend = MEND_ASSERTION;
	switch (mend) {
	case MEND_SIGN_IN:
		(void)buf_printf(ret, "Sign in again: frank authorize %s", account);
		break;
	case MEND_CLIENT:
		(void)buf_printf(ret,
		    "Check client-id, client-auth and the client's secret or certificate (is it "
		    "expired?); a new secret or key goes in with: frank secret set %s",
		    account);
		break;
	case MEND_ASSERTION:
		(void)buf_printf(ret,
		    "Check this machine's clock, the key, client-id, the mailbox's name, and that "
		    "the provider's administrator lets the application act for it; then: frank "
		    "account retry %s",
		    account);
		break;
	case MEND_SCOPE:
		(void)buf_append_str(ret, "Check scopes in the account's block against what the "
					  "application may ask for.");
		break;
	case MEND_REDIRECT:
		(void)buf_append_str(ret, "Register the redirect address with the provider, or set "
					  "redirect-host and redirect-path as it is registered.");
		break;
	case MEND_POLICY:
		(void)buf_append_str(ret, "Ask the administrator of the mailbox's organisation to "
					  "allow this application.");
		break;
	case MEND_REQUEST:
		(void)buf_append_str(
		    ret, "Check the account's endpoints, client-id and extra-parameters.");
		break;
	default:
		(void)buf_append_str(ret, "Nothing to do: it is tried again by itself.");
	}
}

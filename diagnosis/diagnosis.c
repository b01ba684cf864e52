/* diagnosis.c: the verdict on an outcome, put together from the match and its words. */
#include "diagnosis/diagnosis.h"
#include "diagnosis/rule.h"

const char *
retry_class_name(enum retry_class c)
{
	static const char *const names[] = {
	    [RETRY_TRANSIENT] = "transient",
	    [RETRY_PERMANENT_MESSAGE] = "permanent-message",
	    [RETRY_PERMANENT_ACCOUNT] = "permanent-account",
	    [RETRY_NEEDS_AUTHORIZATION] = "needs-authorization",
	    [RETRY_THROTTLED] = "throttled",
	    [RETRY_CONFIGURATION] = "configuration",
	};

	return names[c];
}

static const char *
fixer_name(enum fixer f)
{
	static const char *const names[] = {
	    [OWNER] = "mailbox-owner",
	    [TENANT] = "tenant-admin",
	    [FRANK] = "frank-admin",
	    [SENDER] = "sender-config",
	    [PROVIDER] = "provider",
	    [NETWORK] = "network",
	};

	return names[f];
}

/* Rows whose id begins with X, and those of the catalogue that name a class alone. */
static bool
is_class_only(const struct rule *r)
{
	return r->words == NULL && r->enhanced == NULL && r->fault == SMTP_FAULT_NONE &&
	       r->providers == 0 && (r->codes == NULL || r->codes[1] == '\0' || r->codes[1] == ' ');
}

void
diagnose(const struct diagnosis_facts *facts, struct diagnosis *ret)
{
	struct diagnosis_match match;

	diagnosis_match(facts, &match);
	ret->cause = match.rule->cause;
	ret->fixer = fixer_name(match.rule->fixer);
	ret->retry = match.rule->retry;
	ret->delay = match.rule->delay;
	ret->known = !is_class_only(match.rule);
	diagnosis_text(match.rule->text, facts, &match, ret->text, sizeof(ret->text));
	diagnosis_text(match.rule->next, facts, &match, ret->next, sizeof(ret->next));
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* diagnosis.c: see diagnosis.h. Combines the rule that matched with its filled-in texts. */
#include "diagnosis/diagnosis.h"

#include <string.h>

#include "diagnosis/rule.h"

const char *
diagnosis_retry_name(enum retry_class c)
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

/* Does the rule demand nothing but a class of codes? */
static bool
is_class_only(const struct rule *r)
{
	return r->words == NULL && r->enhanced == NULL && r->fault == SMTP_FAULT_NONE &&
	       r->providers == 0 && (r->codes == NULL || r->codes[1] == '\0' || r->codes[1] == ' ');
}

/* An account whose tokens come without a person cannot sign in again: the administrator has to fix it. */
static void
let_nobody_sign_in(const struct diagnosis_facts *facts, struct diagnosis *d)
{
	if (step_grant(facts) != UNATTENDED || d->retry != RETRY_NEEDS_AUTHORIZATION)
		return;
	d->retry = RETRY_CONFIGURATION;
	if (strcmp(d->fixer, fixer_name(OWNER)) == 0)
		d->fixer = fixer_name(FRANK);
}

void
diagnosis_find(const struct diagnosis_facts *facts, struct diagnosis *ret)
{
	struct diagnosis_match match;

	match_find(facts, &match);
	ret->cause = match.rule->cause;
	ret->fixer = fixer_name(match.rule->fixer);
	ret->retry = match.rule->retry;
	ret->delay = match.rule->delay;
	ret->whole_client = match.rule->whole_client;
	ret->known = !is_class_only(match.rule);
	if (match.stage == SMTP_STAGE_TOKEN)
		let_nobody_sign_in(facts, ret);
	diagnosis_text(match.rule->text, facts, &match, ret->text, sizeof(ret->text));
	diagnosis_text(match.rule->next, facts, &match, ret->next, sizeof(ret->next));
}

void
diagnosis_step(const char *format, const struct diagnosis_facts *facts, char *out, size_t size)
{
	static const struct diagnosis_match none = {.enhanced = ""};

	diagnosis_text(format, facts, &none, out, size);
}

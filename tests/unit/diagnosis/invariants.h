/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * invariants.h: what no reply may ever get for an answer, asked by the unit test over the whole table
 * and by the fuzz target over anything.
 */
#ifndef FRANK_TESTS_DIAGNOSIS_INVARIANTS_H
#define FRANK_TESTS_DIAGNOSIS_INVARIANTS_H

#include <string.h>

#include "diagnosis/diagnosis.h"

static inline bool
is_before_mail(enum smtp_stage stage)
{
	return stage > SMTP_STAGE_NONE && stage < SMTP_STAGE_MAIL;
}

static inline bool
has_text(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

/* What is wrong with the verdict, or NULL. `words`: does the reply itself hold braces or brackets? */
static inline const char *
broken_invariant(
    const struct diagnosis_facts *f, const struct diagnosis *d, bool words_with_brackets)
{
	bool can_have_login =
	    f->login == LOGIN_SUCCEEDED ||
	    (f->login == LOGIN_UNKNOWN && !is_before_mail(f->reply->stage) &&
		f->reply->stage != SMTP_STAGE_NONE && (f->mechanism != NULL || f->grant != NULL));

	if (d->cause == NULL || d->fixer == NULL || d->text[0] == '\0' || d->next[0] == '\0')
		return "something is empty";
	if (is_before_mail(f->reply->stage) && d->retry == RETRY_PERMANENT_MESSAGE)
		return "a message bounces before MAIL";
	if ((has_text(d->next, "not authorize again") || has_text(d->text, "signing in as") ||
		has_text(d->text, "not authorize again")) &&
	    !can_have_login)
		return "a login is said to be good that is not known to have succeeded";
	if (!words_with_brackets &&
	    (strpbrk(d->text, "{}[]") != NULL || strpbrk(d->next, "[]") != NULL ||
		(strchr(d->next, '{') != NULL && strstr(d->next, "{\"") == NULL)))
		return "a template is left open";
	if (has_text(d->text, "the sender the sender") ||
	    has_text(d->text, "mailbox the account") || has_text(d->text, "account the account") ||
	    has_text(d->next, "host the server") || has_text(d->next, "identity the") ||
	    has_text(d->next, "= \"\"") || has_text(d->next, "= ;") || has_text(d->next, "= ."))
		return "a word is missing";
	return NULL;
}

#endif

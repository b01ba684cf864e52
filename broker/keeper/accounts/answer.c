/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * answer.c: see answer.h. An answer that no rule knows counts as transient: a refresh token is
 * given up for proven reasons only, and the back-off keeps the requests few.
 */
#include "broker/keeper/accounts/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"

enum { ERROR_CUT = 100, TEXT_CUT = 600, WORDS_MAX = 4096 };

static void
put_plain(struct buf *ret, const char *text, size_t max)
{
	(void)text_plain(ret, text, strlen(text), max);
}

struct answer_facts
answer_facts_of(const struct fetch_answer *a)
{
	struct answer_facts f = {.fault = a->fault, .local = a->local};

	if (a->message != NULL) {
		f.error = message_str(a->message, F_OAUTH_ERROR);
		f.text = message_str(a->message, F_TEXT);
		f.status = message_u64(a->message, F_HTTP_STATUS, 0);
	}
	return f;
}

void
answer_words(const struct answer_facts *f, struct buf *ret)
{
	if (f->fault != NULL) {
		(void)buf_append_str(ret, "The reason: ");
		put_plain(ret, f->fault, TEXT_CUT);
		(void)buf_append_char(ret, '.');
		return;
	}
	(void)buf_append_str(ret, "The authorization server answered ");
	put_plain(ret, f->error == NULL ? "without an error code" : f->error, ERROR_CUT);
	if (f->status != 0 && f->status != 200 && f->status != 400)
		(void)buf_printf(ret, " (HTTP %u)", (unsigned)f->status);
	if (f->text != NULL && *f->text != '\0') {
		(void)buf_append_str(ret, ": ");
		put_plain(ret, f->text, TEXT_CUT);
	}
	if (ret->len > 0 && strchr(".!?", buf_str(ret)[ret->len - 1]) == NULL)
		(void)buf_append_char(ret, '.');
}

static enum answer_class
class_of(enum retry_class retry)
{
	switch (retry) {
	case RETRY_NEEDS_AUTHORIZATION:
		return ANSWER_NEEDS_USER;
	case RETRY_PERMANENT_ACCOUNT:
	case RETRY_CONFIGURATION:
		return ANSWER_CLIENT;
	case RETRY_TRANSIENT:
	case RETRY_THROTTLED:
	case RETRY_PERMANENT_MESSAGE: /* no rule of this stage; no message is concerned */
		break;
	}
	return ANSWER_TRANSIENT;
}

/* `words` is escaped already. */
static void
judge(const char *words, int code, enum smtp_fault fault, const struct diagnosis_facts *whose,
    struct answer_verdict *ret)
{
	struct smtp_reply reply = {
	    .code = code, .stage = SMTP_STAGE_TOKEN, .fault = fault, .text = words};
	struct diagnosis_facts facts = *whose;

	facts.reply = &reply;
	diagnosis_find(&facts, &ret->d);
	ret->class = class_of(ret->d.retry);
}

void
answer_judge_words(
    const char *words, const struct diagnosis_facts *whose, struct answer_verdict *ret)
{
	judge(words, 0, SMTP_FAULT_NONE, whose, ret);
}

/* Nothing was asked: the account's own file or key cannot be used. */
static void
judge_local(
    const struct answer_facts *f, const struct diagnosis_facts *whose, struct answer_verdict *ret)
{
	*ret = (struct answer_verdict){.class = ANSWER_CLIENT,
	    .d = {.cause = "credential-unusable",
		.fixer = "frank-admin",
		.retry = RETRY_CONFIGURATION,
		.known = true}};
	(void)snprintf(ret->d.text, sizeof(ret->d.text), "No token could be asked for.");
	(void)snprintf(ret->d.next, sizeof(ret->d.next),
	    "Mend that: it is looked at again within a minute, or at once by `frank account retry "
	    "%s`.",
	    whose->account == NULL ? "ACCOUNT" : whose->account);
}

void
answer_judge(
    const struct answer_facts *f, const struct diagnosis_facts *whose, struct answer_verdict *ret)
{
	struct buf words CLEANUP_BUF = BUF_INIT(WORDS_MAX);

	*ret = (struct answer_verdict){.class = ANSWER_GOOD, .d = {.cause = "", .fixer = ""}};
	if (f->local) {
		judge_local(f, whose, ret);
	} else if (f->fault != NULL) {
		answer_words(f, &words);
		judge(buf_str(&words), 0, SMTP_FAULT_CREDENTIAL_LATER, whose, ret);
		ret->class = ANSWER_TRANSIENT;
	} else if (f->error != NULL) {
		answer_words(f, &words);
		judge(buf_str(&words), f->status == 200 ? 0 : (int)f->status, SMTP_FAULT_NONE,
		    whose, ret);
	} else if (f->status == 429 || f->status >= 500) {
		judge("", (int)f->status, SMTP_FAULT_NONE, whose, ret);
	}
}

void
answer_text(const struct answer_facts *f, const struct answer_verdict *v, struct buf *ret)
{
	(void)buf_printf(ret, "%s ", v->d.text);
	answer_words(f, ret);
}

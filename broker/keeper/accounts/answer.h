/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * answer.h: what an answer of an authorization server means for an account. Pure.
 *
 * The table of diagnosis/ decides (rules/token.def). The same table explains an answer to people, so the
 * keeper does what `frank check --explain --stage token` says of an answer.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_ANSWER_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "broker/ipc/message.h"
#include "diagnosis/diagnosis.h"

/* What became of a request to an authorization server (fetch-request.h). Borrowed. */
struct fetch_answer {
	const struct message *message; /* the fetch role's; NULL: none came */
	const char *fault;             /* why there is no usable answer; NULL where there is one */
	bool local; /* ... which is that a key or file of our own cannot be used */
	bool sent;  /* the request may have reached the server */
};

enum answer_class {
	ANSWER_GOOD,
	ANSWER_TRANSIENT,  /* it may succeed later: try again, with back-off */
	ANSWER_NEEDS_USER, /* a person must sign in again */
	ANSWER_CLIENT,     /* an administrator must mend something, here or at the provider */
};

/* The parts of an answer that decide. Borrowed. */
struct answer_facts {
	const char *fault; /* no usable answer came */
	bool local;        /* ... since nothing was asked: our own key or file is at fault */
	const char *error; /* OAuth error code, or NULL */
	const char *text;  /* error_description, or NULL */
	uint64_t status;   /* HTTP; 0 where none came */
};

struct answer_verdict {
	enum answer_class class;
	/* Of an answer that is not good: cause, fixer, what happened and the next step.
	 * `whole_client` counts with ANSWER_CLIENT alone. */
	struct diagnosis d;
};

/* The facts of an answer; strings are borrowed from it. */
struct answer_facts answer_facts_of(const struct fetch_answer *a);

/*
 * Judges an answer. `whose` is what is known of the account (account, provider, grant, auth_user, host
 * of the authorization server, secret_from), which decides on the next step; its reply is ignored.
 */
void answer_judge(
    const struct answer_facts *f, const struct diagnosis_facts *whose, struct answer_verdict *ret);

/* Judges words that answer_words made earlier, or a finding about a good answer. */
void answer_judge_words(
    const char *words, const struct diagnosis_facts *whose, struct answer_verdict *ret);

/* What the server said, or why there is no answer, as a sentence. Texts are escaped and cut. */
void answer_words(const struct answer_facts *f, struct buf *ret);

/* What happened, for people: the explanation, followed by what the server said. */
void answer_text(const struct answer_facts *f, const struct answer_verdict *v, struct buf *ret);

#endif

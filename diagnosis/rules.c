/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rules.c: the table of verdicts.
 *
 * One array; the files in rules/ are its chapters. The matcher (match.c) decides by how much a row
 * demands, and only among equals by their order here. The catalogue's numbers: C connection and
 * TLS, G standards, Y Google, M Microsoft, P other providers, A and O the token endpoints, H the
 * HTTP APIs, W anybody's words, L our own side, X the classes that unknown replies fall back to.
 */
#include "diagnosis/rule.h"

#define ANY 0
#define AT(stage) (1u << SMTP_STAGE_##stage)
#define AT_AUTH (AT(AUTH))
#define AT_HELLO (AT(CONNECT) | AT(GREETING) | AT(EHLO) | AT(STARTTLS))
#define AT_DATA (AT(DATA) | AT(EOM))
#define AT_MESSAGE (AT(MAIL) | AT(RCPT) | AT_DATA)
#define AT_GREETED (AT(GREETING) | AT(EHLO) | AT_AUTH | AT_MESSAGE)
#define AT_SMTP (AT_HELLO | AT(TLS) | AT_AUTH | AT_MESSAGE | AT(QUIT))

#define AT_CONNECT (AT(DNS) | AT(CONNECT) | AT(TLS) | AT(GREETING))

#define RULE(                                                                                    \
    id, providers, stages, codes, enhanced, words, when, cause, fixer, retry, delay, text, next) \
	{id, providers, stages, codes, enhanced, words, when, SMTP_FAULT_NONE, cause, fixer,     \
	    RETRY_##retry, delay, false, text, next, false},
#define FAULT(id, fault, stages, words, when, cause, fixer, retry, delay, text, next)             \
	{id, 0, stages, NULL, NULL, words, when, SMTP_FAULT_##fault, cause, fixer, RETRY_##retry, \
	    delay, false, text, next, false},
#define FAULT_SAYING(id, fault, stages, words, when, cause, fixer, retry, delay, text, next)      \
	{id, 0, stages, NULL, NULL, words, when, SMTP_FAULT_##fault, cause, fixer, RETRY_##retry, \
	    delay, true, text, next, false},
#define TOKEN(id, providers, words, cause, fixer, retry, delay, text, next)                  \
	{id, providers, AT(TOKEN), NULL, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, \
	    RETRY_##retry, delay, false, text, next, false},
#define TOKEN_CLIENT(id, providers, words, cause, fixer, retry, delay, text, next)           \
	{id, providers, AT(TOKEN), NULL, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, \
	    RETRY_##retry, delay, false, text, next, true},
#define API(id, codes, words, cause, fixer, retry, delay, text, next)                              \
	{id, 0, AT(API), codes, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, RETRY_##retry, \
	    delay, false, text, next, false},

const struct rule diagnosis_rules[] = {
#include "diagnosis/rules/token.def"
#include "diagnosis/rules/faults.def"
#include "diagnosis/rules/microsoft.def"
#include "diagnosis/rules/google.def"
#include "diagnosis/rules/providers.def"
#include "diagnosis/rules/api.def"
#include "diagnosis/rules/generic.def"
};
const size_t diagnosis_rules_count = ARRAY_SIZE(diagnosis_rules);

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: replies of any words, from any provider and at any stage, get a verdict with
 * terminated texts that breaks none of the invariants; and what a person pastes is read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/diagnosis/invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next string up to a NUL, or NULL at the end. */
static const char *
next_string(const char **at, const char *end)
{
	const char *s = *at;

	if (s >= end)
		return NULL;
	*at = s + strlen(s) + 1;
	return s;
}

static void
judge(const struct diagnosis_facts *facts)
{
	struct diagnosis verdict;
	const char *broken;

	diagnosis_find(facts, &verdict);
	if (memchr(verdict.text, '\0', sizeof(verdict.text)) == NULL ||
	    memchr(verdict.next, '\0', sizeof(verdict.next)) == NULL)
		abort();
	/* the words of the facts may be any, and are quoted */
	broken = broken_invariant(facts, &verdict, true);
	if (broken != NULL && facts->auth_user == NULL && facts->mail_from == NULL &&
	    facts->host == NULL && facts->reply->text == NULL) {
		(void)fprintf(stderr, "%s: %s %s\n", broken, verdict.text, verdict.next);
		abort();
	}
	if (facts->reply->stage > SMTP_STAGE_NONE && facts->reply->stage < SMTP_STAGE_MAIL &&
	    verdict.retry == RETRY_PERMANENT_MESSAGE)
		abort();
}

/* As a person would paste it. */
static void
read_pasted(const char *text, enum smtp_stage stage, struct diagnosis_facts facts)
{
	struct smtp_reply reply = {0};
	char challenge[512];

	if (diagnosis_read(text, stage, &reply, challenge, sizeof(challenge)) < 0)
		return;
	facts.reply = &reply;
	facts.challenge = challenge;
	judge(&facts);
	smtp_reply_clear(&reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply reply = {0};
	struct diagnosis_facts facts = {.reply = &reply};
	const char *at, *end, *s;
	char *copy;

	if (size < 4)
		return 0;
	copy = malloc(size + 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	end = copy + size;
	at = copy + 4;
	reply.code = data[0] == 0 ? 0 : 200 + data[0] * 2 % 400;
	reply.stage = (enum smtp_stage)(data[1] % SMTP_STAGE_COUNT);
	reply.fault =
	    reply.code != 0 ? SMTP_FAULT_NONE : (enum smtp_fault)(data[2] % SMTP_FAULT_COUNT);
	facts.port = data[3];
	facts.token_expired = (data[3] & 1) != 0;
	facts.login = (enum diagnosis_login)(data[2] / 64);
	if ((s = next_string(&at, end)) != NULL)
		(void)snprintf(reply.enhanced, sizeof(reply.enhanced), "%s", s);
	reply.text = next_string(&at, end);
	facts.provider = next_string(&at, end);
	facts.host = next_string(&at, end);
	facts.mechanism = next_string(&at, end);
	facts.auth_user = next_string(&at, end);
	facts.mail_from = next_string(&at, end);
	facts.grant = next_string(&at, end);
	facts.ehlo_name = next_string(&at, end);
	facts.token_audience = next_string(&at, end);
	facts.token_scopes = next_string(&at, end);
	facts.greeting = next_string(&at, end);
	judge(&facts);
	if (reply.text != NULL)
		read_pasted(reply.text, reply.stage, facts);
	free(copy);
	return 0;
}

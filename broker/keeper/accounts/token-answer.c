/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* token-answer.c: see token-answer.h. */
#include "broker/keeper/accounts/token-answer.h"

#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "broker/keeper/accounts/scope.h"

enum { AUDIENCE_SHOWN = 500 };

/* Equal but for a slash at the end, which some servers add. */
static bool
audience_fits(const char *wanted, const char *got)
{
	size_t w = strlen(wanted), g = strlen(got);

	w -= w > 0 && wanted[w - 1] == '/';
	g -= g > 0 && got[g - 1] == '/';
	return w == g && strncasecmp(wanted, got, w) == 0;
}

/* Appends the audience of the access token if the account's audience does not name it. */
static void
find_misdirection(const struct message *m, const struct account_conf *c, struct buf *ret)
{
	const char *audience, *first = NULL;
	size_t at = 0;

	while (message_next_str(m, F_TOKEN_AUDIENCE, &at, &audience)) {
		if (first == NULL)
			first = audience;
		for (size_t i = 0; i < c->audience.count; i++)
			if (audience_fits(c->audience.items[i], audience))
				return;
	}
	if (first != NULL && c->audience.count > 0)
		(void)text_plain(ret, first, strlen(first), AUDIENCE_SHOWN);
}

void
token_answer_read(
    const struct fetch_answer *answer, const struct account_conf *conf, struct token_answer *ret)
{
	const struct message *m = answer->message;
	struct machine_answer *a = &ret->answer;

	*ret = (struct token_answer){.lacking = BUF_INIT(1024), .misdirected = BUF_INIT(2100)};
	a->facts = answer_facts_of(answer);
	a->unsent = m == NULL && !answer->sent;
	if (m == NULL)
		return;
	a->retry_after = message_u64(m, F_RETRY_AFTER, 0);
	a->skew = message_u64(m, F_SKEW, 0);
	a->access_token = ret->access_token = message_secret(m, F_ACCESS_TOKEN);
	a->refresh_token = ret->refresh_token = message_secret(m, F_REFRESH_TOKEN);
	a->has_life = message_has(m, F_EXPIRES_IN);
	a->life = message_u64(m, F_EXPIRES_IN, 0);
	a->has_refresh_life = message_has(m, F_REFRESH_EXPIRES_IN);
	a->refresh_life = message_u64(m, F_REFRESH_EXPIRES_IN, 0);
	a->scope = message_str(m, F_SCOPE);
	if (ret->access_token == NULL && a->facts.fault == NULL && a->facts.error == NULL)
		a->facts.fault = "an answer with neither a token nor an error";
	if (ret->access_token == NULL)
		return;
	if (scope_lacking(conf->scopes, a->scope, &ret->lacking))
		a->lacking = buf_str(&ret->lacking);
	find_misdirection(m, conf, &ret->misdirected);
	if (ret->misdirected.len > 0)
		a->misdirected = buf_str(&ret->misdirected);
}

void
token_answer_clear(struct token_answer *t)
{
	(void)secret_free(t->access_token);
	(void)secret_free(t->refresh_token);
	buf_free(&t->lacking);
	buf_free(&t->misdirected);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token-answer.h: what TOKEN_ANSWER brings, as the token machine takes it. Pure.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_TOKEN_ANSWER_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_TOKEN_ANSWER_H

#include "broker/keeper/accounts/account-conf.h"
#include "broker/keeper/accounts/machine.h"

struct token_answer {
	struct machine_answer answer; /* borrows from what stands below, and from the message */
	struct secret *access_token, *refresh_token;
	struct buf lacking, misdirected;
};

/* Reads an answer, or why there is none; and compares scope and audience of the access token with
 * those of the account. token_answer_clear frees what is new. */
void token_answer_read(
    const struct fetch_answer *answer, const struct account_conf *conf, struct token_answer *ret);
void token_answer_clear(struct token_answer *t);

#endif

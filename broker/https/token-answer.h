/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token-answer.h: the answer of a token endpoint (RFC 6749 sections 5.1 and 5.2): octets in, a
 * struct out.
 *
 * Pure: no system call, no clock. Tolerant where servers in the field differ, strict where a secret
 * could go astray: expires_in may be a number, a string of digits or absent, and the older
 * expires_on or expires_at, the time of the end, may stand for it; token_type may be absent, but is never another than Bearer; an `error` counts whatever the HTTP status is; an empty
 * refresh_token is none.
 */
#ifndef FRANK_BROKER_HTTPS_TOKEN_ANSWER_H
#define FRANK_BROKER_HTTPS_TOKEN_ANSWER_H

#include "broker/https/id-token.h"

/* A token that is longer fits neither an AUTH command (RFC 4954 section 4: 12,288 octets) nor a
 * packet. */
enum {
	TOKEN_ANSWER_TOKEN_MAX = 24 * 1024,
	TOKEN_ANSWER_LIFE_MAX = 365 * 24 * 60 * 60,
	TOKEN_ANSWER_REFRESH_LIFE_MAX = 10 * TOKEN_ANSWER_LIFE_MAX
};
#define TOKEN_ANSWER_TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

struct token_response {
	/* what came instead of an answer, as it goes on from "answered 200 with"; a constant; NULL:
	 * one of the two below */
	const char *fault;
	bool is_json; /* at least it was a JSON object */

	char *error; /* OAuth error code; NULL on success */
	char *description;

	struct secret *access_token;
	struct secret *refresh_token; /* NULL: none given */
	char *token_type;             /* as the server spelt it; NULL: absent */
	char *scope;                  /* NULL: absent */
	int64_t expires_in; /* seconds, 0..TOKEN_ANSWER_LIFE_MAX; -1: absent or nonsense */
	int64_t expires_on; /* seconds since 1970, by the server's clock; -1: absent or nonsense */
	/* Seconds, 1..TOKEN_ANSWER_REFRESH_LIFE_MAX, until the refresh token ends, whether used or not; 0: it
	 * does not; -1: not told. Google's refresh_token_expires_in, which counts down to the end of an access
	 * that was given for a time; Keycloak's refresh_expires_in, 0 for offline sessions. */
	int64_t refresh_expires_in;
	struct id_token id; /* empty where no readable ID token came */
	const char
	    *id_fault; /* what is wrong with one that cannot be read, a constant; else NULL */
	struct id_token access; /* of the access token, where it is a JWT: whom it is meant for */
};

/* Reads a body that came with this HTTP status. 0 with `ret` filled, which the caller clears;
 * -ENOMEM. */
int token_answer_parse(long status, const char *body, size_t len, struct token_response *ret);
void token_answer_clear(struct token_response *a);

/* Seconds that the access token lives from `now` (seconds since 1970, by the server's clock), as
 * expires_in says, else expires_on: 0..TOKEN_ANSWER_LIFE_MAX; -1: not told. */
int64_t token_answer_life(const struct token_response *a, int64_t now);

#endif

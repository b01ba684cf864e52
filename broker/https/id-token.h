/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * id-token.h: what an ID token, or an answer of the userinfo endpoint, says of who signed in.
 *
 * The signature of an ID token is not checked: it came from the token endpoint itself over TLS, for
 * which OpenID Connect Core section 3.1.3.7 (point 6) lets the TLS certificate stand in. So an ID
 * token from anywhere else must not be given to this parser. Whether issuer, audience and nonce are
 * the expected ones, and which claim names a mailbox, is the keeper's to decide; it knows what was
 * asked.
 */
#ifndef FRANK_BROKER_HTTPS_ID_TOKEN_H
#define FRANK_BROKER_HTTPS_ID_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/secret.h"

enum { CLAIMS_MAX = 24, ID_AUDIENCES_MAX = 16, ID_TEXT_MAX = 512, ID_EXPIRY_LEEWAY = 300 };

/* "name=value" each. A truth value is "true" or "false", however it was spelt; a claim that is a
 * list comes once for each of its texts. */
struct claims {
	char *pairs[CLAIMS_MAX];
	size_t count;
};

struct id_token {
	char *issuer; /* NULL: absent */
	char *audiences[ID_AUDIENCES_MAX];
	size_t audience_count;
	struct secret *nonce; /* NULL: absent */
	int64_t expires;      /* seconds since 1970; -1: absent */
	struct claims claims;
};

/*
 * Reads the claims of a compact JWT: three base64url parts, of which the second is a JSON object.
 * Claims of another type than they should have count as absent. 0; -EBADMSG for what is no JWT, with
 * *ret_why as it goes on from "the ID token"; -ENOMEM. The caller clears `ret` after success.
 */
int id_token_parse(const char *jwt, size_t len, struct id_token *ret, const char **ret_why);
void id_token_clear(struct id_token *t);

/* Seconds by which it was over at `now` (seconds since 1970), where that is more than
 * ID_EXPIRY_LEEWAY; else 0, also for a token that names no end. */
int64_t id_token_over(const struct id_token *t, int64_t now);

/*
 * Adds the claims of a JSON object that tell who somebody is: those of OpenID Connect Core section
 * 5.1, of Microsoft (tid, idp, upn, unique_name, emails, xms_edov, verified_primary_email), and of the profile documents of
 * Gmail (emailAddress), Google (verified_email) and Graph (mail, userPrincipalName). A text that is
 * longer than ID_TEXT_MAX or holds a control character counts as absent. 0 or -ENOMEM.
 */
int id_token_claims_read(const json_t *object, struct claims *ret);
void id_token_claims_clear(struct claims *c);

#endif

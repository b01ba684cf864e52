/*
 * id-token.h: who signed in, read from an ID token or from an answer of the userinfo endpoint.
 *
 * The signature of an ID token is not checked: it came from the token endpoint itself over TLS, for
 * which OpenID Connect Core section 3.1.3.7 (point 6) lets the TLS certificate stand in. So an ID
 * token from anywhere else must not be given to this parser. Whether issuer, audience and nonce are
 * the expected ones is the keeper's to decide; it knows what was asked.
 */
#ifndef FRANK_BROKER_HTTPS_ID_TOKEN_H
#define FRANK_BROKER_HTTPS_ID_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/secret.h"

enum { IDENTITY_NAMES_MAX = 12, ID_AUDIENCES_MAX = 16, ID_TEXT_MAX = 512, ID_EXPIRY_LEEWAY = 300 };

struct identity {
	char *names[IDENTITY_NAMES_MAX];
	size_t count;
};

struct id_token {
	char *issuer; /* NULL: absent */
	char *audiences[ID_AUDIENCES_MAX];
	size_t audience_count;
	struct secret *nonce; /* NULL: absent */
	int64_t expires;      /* seconds since 1970; -1: absent */
	struct identity identity;
};

/*
 * Reads the claims of a compact JWT: three base64url parts, of which the second is a JSON object.
 * Claims of another type than they should have count as absent. 0; -EBADMSG for what is no JWT;
 * -ENOMEM. The caller clears `ret` after success.
 */
int id_token_parse(const char *jwt, size_t len, struct id_token *ret);
void id_token_clear(struct id_token *t);

/* Over, by more than ID_EXPIRY_LEEWAY, at `now` (seconds since 1970)? A token that names no end is
 * not. */
bool id_token_is_over(const struct id_token *t, int64_t now);

/*
 * Adds the names that a JSON object gives a person: email, preferred_username, upn and sub of
 * OpenID Connect and Microsoft; emailAddress, mail and userPrincipalName of the profile documents
 * of Gmail and Graph. A name comes once. 0 or -ENOMEM.
 */
int identity_read(const json_t *object, struct identity *ret);
void identity_clear(struct identity *i);

#endif

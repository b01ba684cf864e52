/*
 * classify.h: what an answer of an authorization server means. Pure.
 *
 * One table decides, by the error code of RFC 6749 sections 4.1.2.1 and 5.2 and its known
 * extensions; texts and provider numbers never do, since providers change them.
 */
#ifndef FRANK_BROKER_KEEPER_CLASSIFY_H
#define FRANK_BROKER_KEEPER_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum answer_class {
	ANSWER_GOOD,
	ANSWER_TRANSIENT,  /* nobody's fault for good: try again, with patience */
	ANSWER_NEEDS_USER, /* a person must sign in again */
	ANSWER_CLIENT,  /* the client, its secret or its registration is refused: an administrator's
			   to mend */
	ANSWER_REFUSED, /* the person, or a policy, said no */
};

/* An answer as far as it decides. Borrowed. */
struct answer_facts {
	const char *fault; /* no usable answer came */
	bool local;        /* ... since nothing was asked: our own key or file is at fault */
	const char *error; /* OAuth error code, or NULL */
	const char *text;  /* error_description, or NULL */
	uint64_t status;   /* HTTP; 0 where none came */
};

/* At the token endpoint with a refresh token. */
enum answer_class classify_refresh(const struct answer_facts *f);

/* At the token endpoint where no person is concerned: client credentials, or the assertion of a
 * service account. There invalid_grant is about the key, the clock or the mailbox's name. */
enum answer_class classify_unattended(const struct answer_facts *f);

/* At the authorization endpoint, and at the token endpoint with a code: there invalid_grant means
 * that this flow failed (ANSWER_REFUSED), not that a stored credential did. */
enum answer_class classify_authorization(const struct answer_facts *f);

/* Is the client itself refused, and so every account that uses it? */
bool classify_is_client(const struct answer_facts *f);

/* A sentence: what the server said. `who` is its host, or NULL. Texts of the server are escaped and
 * cut. */
void classify_text(const struct answer_facts *f, const char *who, struct buf *ret);

/* The next step for a person. */
void classify_next(
    enum answer_class c, const struct answer_facts *f, const char *account, struct buf *ret);

#endif

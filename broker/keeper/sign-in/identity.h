/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.h: who signed in, and whether that is the account's mailbox. Pure.
 *
 * One rule says which claims name a mailbox:
 *
 *     email, emails, mail, emailAddress   unless the provider says that it has not verified them (email_verified =
 *                                         false). At Microsoft, where any organisation writes what it likes there,
 *                                         only with xms_edov = true, for a personal account, or where the account
 *                                         names the one organisation whose tokens it takes and the person is no guest
 *     upn, userPrincipalName              always: a directory gives them
 *     verified_primary_email, verified_secondary_email
 *                                         always: Microsoft verified them
 *     preferred_username, unique_name     at Microsoft, where they are such a name too; elsewhere where no mail address
 *                                         is named, and verification is not denied: many servers let people choose them
 *     sub                                 never: it identifies, and is no address
 *
 * Sources: OpenID Connect Core sections 2, 3.1.3.7, 5.1, 5.3.2 and 5.7; Microsoft Learn, "ID token claims reference" and
 * "Migrate away from using email claims for user identification or authorization".
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_IDENTITY_H
#define FRANK_BROKER_KEEPER_SIGN_IN_IDENTITY_H

#include <stdbool.h>

#include "base/buf.h"
#include "broker/ipc/message.h"
#include "broker/keeper/accounts/account-conf.h"

/* What the ID token of a sign-in must agree with. */
struct identity_expected {
	const struct account_conf *conf;
	const char *issuer; /* configured or discovered; NULL: none is known */
	const char *authorization_endpoint,
	    *token_endpoint;        /* where it came from; the first may be NULL */
	const struct secret *nonce; /* NULL: none was sent */
};

/*
 * What is wrong with the ID token of TOKEN_ANSWER: a sentence in `ret_text`, the next step in `ret_next`, and true.
 * False where nothing is, also where there is no ID token, or one that cannot be read.
 */
bool identity_find_flaw(const struct message *answer, const struct identity_expected *e,
    struct buf *ret_text, struct buf *ret_next);

/* What the ID token said, with which the answer of the userinfo endpoint must agree. Zero-initialised; strings are
 * owned. */
struct identity_known {
	char *subject;   /* "sub" of the ID token */
	bool unverified; /* its address is said not to be verified */
	bool
	    guest; /* another organisation of Microsoft's signed the person in; userinfo does not say so */
};
void identity_known_clear(struct identity_known *k);
/* Notes what TOKEN_ANSWER says. 0 or -ENOMEM. */
int identity_note(const struct message *answer, struct identity_known *k);

enum identity_verdict {
	IDENTITY_FITS,       /* the account's mailbox, or its auth-user */
	IDENTITY_OTHER,      /* somebody else */
	IDENTITY_UNVERIFIED, /* an address that would fit, and that nobody vouches for */
	IDENTITY_UNKNOWN,    /* no claim names a mailbox */
	IDENTITY_MIXED,      /* the userinfo endpoint speaks of another person than the ID token */
};

/* Who signed in, by the claims of TOKEN_ANSWER or USERINFO_ANSWER; `k` is what the ID token said before, or empty.
 * *ret_name points into the message: the name that fits, the other's, the unverified address; else NULL. */
enum identity_verdict identity_judge(const struct message *m, const struct identity_expected *e,
    const struct identity_known *k, const char **ret_name);

/* Says why a verdict other than IDENTITY_FITS ends a sign-in, and the next step. `name` as identity_judge gave it; `answer`
 * is what it looked at last. */
void identity_explain(enum identity_verdict v, const char *name, const struct message *answer,
    const struct identity_expected *e, struct buf *ret_text, struct buf *ret_next);

#endif

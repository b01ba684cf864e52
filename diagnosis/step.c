/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * step.c: the commands in a next step, as the account's configuration allows them.
 *
 * The command that gives an account a new credential depends on its grant and on the source of its
 * secret: nobody can `frank authorize` an account of client credentials, and `frank secret set` is
 * refused if the configuration names a file. So templates never name these two commands, but use:
 *
 *   {sign-in}  a sentence or two: the credential is refused, and this gives the account a new one
 *   {renew}    the same as a clause: "run `frank authorize billing`"
 *   {store}    a clause: a new secret, key or password is given to Frank
 *   {again}    a clause: what is left to do here when somebody else has mended the sign-in
 *   {retry}    a clause: "run `frank account retry billing`"
 *
 * ({Renew} and {Store} where a sentence begins with it)
 * and {?person}, {?unattended}, {?password} in a segment that is for these grants only. If the grant is
 * unknown (a pasted reply), the account is taken for one to which a person signs in, unless the
 * mechanism was one of passwords.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/grant.h"
#include "diagnosis/rule.h"

/* A path that is longer is not repeated in a sentence. */
enum { PLACE_MAX = 200 };

enum step_grant
step_grant(const struct diagnosis_facts *f)
{
	enum grant grant = grant_by_name(f->grant);

	if (grant_needs_person(grant))
		return BY_PERSON;
	if (grant_is_unattended(grant))
		return UNATTENDED;
	if (grant != GRANT_COUNT)
		return grant_rows[grant].credential == GRANT_GIVES_PASSWORD ? STORED_PASSWORD
									    : NO_CREDENTIAL;
	/* no password ever goes to a token endpoint */
	if (f->reply != NULL && f->reply->stage == SMTP_STAGE_TOKEN)
		return BY_PERSON;
	if (f->mechanism == NULL)
		return UNKNOWN_GRANT;
	return strcasecmp(f->mechanism, "XOAUTH2") == 0 ||
		       strcasecmp(f->mechanism, "OAUTHBEARER") == 0
		   ? BY_PERSON
		   : STORED_PASSWORD;
}

static const char *
account_name(const struct diagnosis_facts *f)
{
	return f->account == NULL ? "ACCOUNT" : f->account;
}

/* What follows "file:" or the like in the reference, where the secret comes from such a place. */
static const char *
place_of(const struct diagnosis_facts *f, const char *kind)
{
	size_t len = strlen(kind);
	const char *from = f->secret_from;

	if (from == NULL || strncmp(from, kind, len) != 0)
		return NULL;
	return strlen(from + len) > PLACE_MAX ? "the place that the configuration names"
					      : from + len;
}

static void
put_store(const struct diagnosis_facts *f, char *out, size_t size)
{
	const char *file = place_of(f, "file:"), *credential = place_of(f, "credential:"),
		   *command = place_of(f, "command:");
	enum step_grant grant = step_grant(f);

	if (grant == NO_CREDENTIAL)
		(void)snprintf(out, size,
		    "set grant and its credential in the account's block and run `frank reload`");
	else if (file != NULL && grant == STORED_PASSWORD)
		(void)snprintf(out, size, "write it to %s and run `frank reload`", file);
	else if (file != NULL)
		(void)snprintf(out, size, "write it to %s and run `frank account retry %s`", file,
		    account_name(f));
	else if (credential != NULL)
		(void)snprintf(out, size,
		    "put it into the service's credential %s and restart frankd", credential);
	else if (command != NULL)
		(void)snprintf(out, size, "let %s print it and run `frank reload`", command);
	else
		(void)snprintf(out, size, "store it with `frank secret set %s`", account_name(f));
}

static void
put_renew(const struct diagnosis_facts *f, char *out, size_t size)
{
	switch (step_grant(f)) {
	case BY_PERSON:
		(void)snprintf(out, size, "run `frank authorize %s`", account_name(f));
		break;
	case UNKNOWN_GRANT:
		(void)snprintf(out, size,
		    "run `frank authorize %s`, or for a password `frank secret set %s`",
		    account_name(f), account_name(f));
		break;
	case UNATTENDED:
	case STORED_PASSWORD:
	case NO_CREDENTIAL:
		put_store(f, out, size);
		break;
	}
}

static void
put_retry(const struct diagnosis_facts *f, char *out, size_t size)
{
	(void)snprintf(out, size, "run `frank account retry %s`", account_name(f));
}

static void
put_again(const struct diagnosis_facts *f, char *out, size_t size)
{
	if (step_grant(f) == UNATTENDED)
		put_retry(f, out, size);
	else
		put_renew(f, out, size);
}

static void
put_sign_in(const struct diagnosis_facts *f, char *out, size_t size)
{
	const char *user = f->auth_user;
	size_t len;

	switch (step_grant(f)) {
	case UNATTENDED:
		(void)snprintf(out, size,
		    "Nobody signs in for this account: check this machine's clock, the secret or "
		    "key, client-id, the mailbox's name, and that the provider's administrator "
		    "lets the application act for it; then run `frank account retry %s`.",
		    account_name(f));
		return;
	case STORED_PASSWORD:
		(void)snprintf(out, size, "Get the right password or app password and ");
		break;
	case NO_CREDENTIAL:
		(void)snprintf(out, size, "The account has no credential: ");
		break;
	case BY_PERSON:
	case UNKNOWN_GRANT:
		(void)snprintf(out, size, "The owner of %s signs in: ",
		    user == NULL || strlen(user) > PLACE_MAX ? "the mailbox" : user);
		break;
	}
	len = strlen(out);
	if (step_grant(f) == UNKNOWN_GRANT)
		(void)snprintf(out + len, size - len, "run `frank authorize %s`", account_name(f));
	else
		put_renew(f, out + len, size - len);
	len = strlen(out);
	(void)snprintf(out + len, size - len, ".");
}

static bool
is_word(const char *name, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(name, word, len) == 0;
}

const char *
step_word(const char *name, size_t len, const struct diagnosis_facts *f, char *scratch, size_t size)
{
	static const struct {
		const char *word;
		void (*put)(const struct diagnosis_facts *f, char *out, size_t size);
	} words[] = {{"sign-in", put_sign_in}, {"renew", put_renew}, {"store", put_store},
	    {"again", put_again}, {"retry", put_retry}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (is_word(name, len, words[i].word)) {
			words[i].put(f, scratch, size);
			if (isupper((unsigned char)name[0]))
				scratch[0] = (char)toupper((unsigned char)scratch[0]);
			return scratch;
		}
	return NULL;
}

bool
step_grant_holds(const char *name, size_t len, const struct diagnosis_facts *f)
{
	enum step_grant grant = step_grant(f);

	if (is_word(name, len, "?person"))
		return grant == BY_PERSON || grant == UNKNOWN_GRANT;
	if (is_word(name, len, "?unattended"))
		return grant == UNATTENDED;
	return is_word(name, len, "?password") && grant == STORED_PASSWORD;
}

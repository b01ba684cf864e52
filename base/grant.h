/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * grant.h: what every part of Frank asks of a grant: one table, grant.def. A new grant is a row there;
 * what is special about it stands where it is made: a token request in broker/keeper/accounts, a sign-in
 * in broker/keeper/sign-in.
 */
#ifndef FRANK_BASE_GRANT_H
#define FRANK_BASE_GRANT_H

#include <stdbool.h>

enum grant {
#define GRANT(id, ...) GRANT_##id,
#include "base/grant.def"
#undef GRANT
	GRANT_COUNT
};

enum grant_credential { GRANT_GIVES_NOTHING, GRANT_GIVES_PASSWORD, GRANT_GIVES_TOKEN };
enum grant_by { GRANT_BY_NOBODY, GRANT_BY_PERSON, GRANT_BY_CLIENT, GRANT_BY_KEY };

/* A row of grant.def. */
struct grant_row {
	const char *name;
	enum grant_credential credential;
	enum grant_by by;
	const char *request, *endpoint;
};

extern const struct grant_row grant_rows[GRANT_COUNT];

/* All names, for a sentence. */
#define GRANT_NAMES \
	"authorization-code, device-code, client-credentials, service-account, password or none"

/* The grant of this name; GRANT_COUNT where there is none, or `name` is NULL. */
enum grant grant_by_name(const char *name);

/* These take any value; GRANT_COUNT has none of the properties. */

/* Does a person sign in, so that a refresh token is kept? */
bool grant_needs_person(enum grant g);
/* Do tokens come without a person, from a secret or a key alone? */
bool grant_is_unattended(enum grant g);
/* Either of them. */
bool grant_has_tokens(enum grant g);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * grant.h: what an authorization server remembers: consents, and the codes and tokens that stand
 * for them.
 *
 * One consent is one grant, and a grant is a family: its code, its refresh tokens and its access
 * tokens. Codes and, with rotation, refresh tokens serve once; the second use of either is taken
 * for theft and ends the whole family (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2). Only
 * hashes of codes and tokens are kept. No system call but the random numbers of the caller, no
 * clock: `now` is in seconds.
 */
#ifndef FRANK_SANDBOX_GRANT_H
#define FRANK_SANDBOX_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct grants;

struct grants_config {
	unsigned code_life;    /* seconds */
	unsigned access_life;  /* seconds */
	unsigned refresh_life; /* seconds, from the last use */
	unsigned access_bytes; /* random octets of an access token: 24 to 4096 */
	const char *withhold;  /* a scope that is left out of what is given, or NULL; borrowed */
	unsigned device_life, device_interval; /* seconds: of the device flow */
	bool rotate;                           /* each use of a refresh token brings a new one */
};

/* Fills `len` octets; 0 or negative errno. */
typedef int grants_random(void *bytes, size_t len);

/* What a person consented to. */
struct grant_consent {
	const char *account; /* NULL: none in particular */
	const char *client;
	const char *redirect_uri;
	const char *scope;
	const char *challenge; /* PKCE S256 */
	const char *nonce;     /* or NULL */
	bool offline; /* a refresh token is wanted; so it is where the scope has offline_access */
};

/* What a token endpoint hands out. Buffers are wiped by grant_issue_clear. */
struct grant_issue {
	struct buf access;
	struct buf refresh; /* empty: none */
	unsigned expires_in;
	const char *account; /* these four are borrowed, from the grant or the caller, until the
				next call */
	const char *client;
	const char *scope;
	const char *nonce; /* of a code's exchange only; or NULL */
};

/* An access token's meaning. */
struct grant_access {
	const char *account; /* NULL: any, of a client's own token */
	const char *client;
	const char *scope;
	const char
	    *grant; /* how it was got, as a grant_type of the token endpoint calls it; a constant */
	uint64_t since, until; /* seconds */
	char id[9];            /* the first digits of its SHA-256, to tell tokens apart */
};

enum grant_result {
	GRANT_OK,
	GRANT_INVALID,       /* unknown, expired, used before, of another client, wrong verifier:
				invalid_grant */
	GRANT_REVOKED,       /* by a person or an administrator: also invalid_grant */
	GRANT_REUSED,        /* used before: the family is revoked. Also invalid_grant */
	GRANT_INVALID_SCOPE, /* more than was consented to */
	GRANT_FAILED,        /* memory or random numbers */
};

struct grants *grants_new(const struct grants_config *config, grants_random *random);
struct grants *grants_free(struct grants *g);

/* The settings, which may be changed at any time; they hold for what is issued afterwards. */
struct grants_config *grants_config(struct grants *g);

/* Records a consent and appends the new code to `ret_code`. 0 or negative errno. */
int grants_consent(
    struct grants *g, const struct grant_consent *c, uint64_t now, struct buf *ret_code);

enum grant_result grants_exchange(struct grants *g, const char *code, const char *client,
    const char *redirect_uri, const char *verifier, uint64_t now, struct grant_issue *ret);
/* `scope` NULL: as consented. */
enum grant_result grants_refresh(struct grants *g, const char *token, const char *client,
    const char *scope, uint64_t now, struct grant_issue *ret);

/* Gives tokens for a consent without a code: a device's, or a client's own, whose `account` is NULL and which may act for any. `how` is
 * the grant type, a constant; redirect_uri and challenge count for nothing. */
enum grant_result grants_give(struct grants *g, const struct grant_consent *c, const char *how,
    uint64_t now, struct grant_issue *ret);

/* Is this access token good now? */
bool grants_check(struct grants *g, const char *token, uint64_t now, struct grant_access *ret);

/* Ends the family that a refresh token of this client belongs to, or one access token (RFC 7009
 * section 2.1). False: unknown. */
bool grants_revoke(struct grants *g, const char *token, const char *client);
/* Ends all grants of an account (NULL: of all). Returns how many were alive. */
unsigned grants_revoke_account(struct grants *g, const char *account);

/* The account that a live code or refresh token stands for; NULL: none. Borrowed until the next call. */
const char *grants_account(struct grants *g, const char *text);

/* Live grants, for people. */
unsigned grants_count(const struct grants *g);

/* Is `word` one of the words of the space-separated `scope`? */
bool grant_scope_has(const char *scope, const char *word);
/* Is every word of `asked` one of `granted`? */
bool grant_scope_within(const char *asked, const char *granted);

void grant_issue_init(struct grant_issue *i);
void grant_issue_clear(struct grant_issue *i);
#define CLEANUP_ISSUE CLEANUP(grant_issue_clear)

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine.h: the life of one account's OAuth token. Sans-IO: events and the time in, actions out.
 *
 *     empty ──▶ active ⇄ refreshing ──▶ needs-authorization | client-error
 *
 * After every call that takes the time, the owner asks machine_next until it says MACHINE_NOTHING,
 * and sets its timer to machine_deadline. Rules: one request in flight; a rotated refresh token is
 * on disk before its access token is given to anybody; a refresh token is only ever replaced by a
 * newer one, never dropped.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_MACHINE_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/keeper/accounts/answer.h"
#include "broker/keeper/accounts/vault.h"
#include "tokenstore/credential.h"

struct machine;

struct machine_now {
	int64_t boot; /* milliseconds of CLOCK_BOOTTIME */
	int64_t wall; /* seconds since 1970 */
};

#define MACHINE_NEVER INT64_MAX
enum { MACHINE_WAITERS_MAX = 4096 };

enum machine_state {
	MACHINE_EMPTY, /* nothing to work with */
	MACHINE_ACTIVE,
	MACHINE_REFRESHING,
	MACHINE_NEEDS_AUTHORIZATION, /* the server wants the person again */
	MACHINE_CLIENT_ERROR,        /* the server refuses the client */
};

/* "empty", "active", "refreshing", "needs-authorization", "client-error". */
const char *machine_state_name(enum machine_state s);

enum machine_act {
	MACHINE_NOTHING,
	MACHINE_WRITE,   /* write the credential (machine_fill), then call machine_written */
	MACHINE_ASK,     /* send the refresh token (machine_refresh_token) as `request`; then
			    machine_answer */
	MACHINE_GRANT,   /* give `waiter` the access token (machine_access_token) */
	MACHINE_REFUSE,  /* tell `waiter` that there is none, and why */
	MACHINE_CHANGED, /* what machine_standing, text, next and until say has changed */
};

struct machine_action {
	enum machine_act act;
	uint64_t waiter, request;
};

/* What came back. Borrowed; secrets may be NULL. */
struct machine_answer {
	struct answer_facts facts;
	const struct secret *access_token, *refresh_token;
	bool has_life;
	uint64_t life; /* seconds */
	bool has_refresh_life;
	uint64_t refresh_life;   /* seconds until the refresh token ends; 0: it does not */
	uint64_t retry_after;    /* seconds; 0: not told */
	const char *scope;       /* granted; NULL: not told */
	const char *lacking;     /* a scope that was asked for and not granted, or NULL */
	const char *misdirected; /* whom the token is meant for, where that is another service */
	uint64_t skew;           /* seconds by which the server's clock is away from ours */
	bool unsent;             /* the request never left: the server knows nothing of it */
};

/* `account` is copied; `vault` is borrowed. `random` gives 32 random bits. NULL when memory is out.
 */
struct machine *machine_new(
    const char *account, struct vault *vault, uint32_t (*random)(void *arg), void *random_arg);
struct machine *machine_free(struct machine *m);

/* ---- what it holds ---- */

/*
 * What is known of the account, for the words of a verdict and its next step; the strings are borrowed
 * until the next call. `unattended`: tokens come from a secret or a key alone, without a person and
 * without a refresh token; then the machine is active from the start, asks whenever a token is wanted,
 * and nothing of it is written. A refresh token from before stays where it is, unused.
 */
void machine_describe(struct machine *m, const struct diagnosis_facts *whose, bool unattended);

/* Takes over what was stored; the machine must be new. 0 or -ENOMEM. */
int machine_load(
    struct machine *m, struct machine_now now, const struct credential *c, uint64_t generation);
/* Adds the machine's part to a credential that is to be written: tokens (new secrets), times,
 * condition. 0 or -ENOMEM. */
int machine_fill(const struct machine *m, struct machine_now now, struct credential *c);
uint64_t machine_generation(const struct machine *m);
/* Raises the number that the next generation begins from. */
void machine_raise_generation(struct machine *m, uint64_t generation);

/* New secrets, or NULL. */
struct secret *machine_refresh_token(const struct machine *m);
struct secret *machine_access_token(const struct machine *m);

/* ---- events ---- */

/* Is a refresh for a refused token not too soon after the last one? */
bool machine_can_force(const struct machine *m, struct machine_now now);

/* Somebody wants a token that lives `min_valid` seconds more. `rejected`: the generation of one
 * that a server refused, or 0. Sooner or later MACHINE_GRANT or MACHINE_REFUSE names `waiter`. 0,
 * -EBUSY with too many waiting, -ENOMEM. */
int machine_want(struct machine *m, struct machine_now now, uint64_t waiter, uint64_t min_valid,
    uint64_t rejected);
/* Somebody waits no more. */
void machine_forget(struct machine *m, uint64_t waiter);

/* The answer to a request. False where it is not the one in flight: it is dropped. */
bool machine_answer(
    struct machine *m, struct machine_now now, uint64_t request, const struct machine_answer *a);

/* The outcome of MACHINE_WRITE: 0 or negative errno. */
void machine_written(struct machine *m, struct machine_now now, int error);

/* A person signed in: a new credential, whatever was there before. Requests in flight are
 * forgotten. 0 or -ENOMEM (then nothing has changed). */
int machine_adopt(struct machine *m, struct machine_now now, const struct machine_answer *a);

void machine_tick(struct machine *m, struct machine_now now);

/* The configuration of client or server changed: the access token is not to be used any more, what
 * was refused may be tried again, and an answer under way brings no access token (a rotated refresh
 * token it does). */
void machine_renew(struct machine *m, struct machine_now now);

/* While suspended nothing is asked and nothing given: the stored credential is not for the present
 * configuration. */
void machine_suspend(struct machine *m, struct machine_now now, bool suspended);

/* The refresh token was revoked, or is to be forgotten: tokens and scope are gone, and the empty
 * credential is for the owner to write. Not while a request is in flight: -EBUSY. */
int machine_wipe(struct machine *m, struct machine_now now);

/* A person or a timer asks to try now, also what was refused for good. */
void machine_probe(struct machine *m, struct machine_now now);

/* `account`, which has the same client, was refused for it by this answer. */
void machine_client_refused(
    struct machine *m, struct machine_now now, const struct answer_facts *f, const char *account);

/* It was accepted again: whoever was refused on its account alone may ask again. */
void machine_client_accepted(struct machine *m, struct machine_now now);

/* Whoever reloads the configuration may have mended what the server refused. */
void machine_reconsider(struct machine *m, struct machine_now now);

/* The wall clock was set: what is on disk must be said anew. */
void machine_clock_jumped(struct machine *m);

/* At least this life is wanted of every token (a provider's rule). */
void machine_set_min_valid(struct machine *m, uint64_t seconds);

/* ---- actions and views ---- */

struct machine_action machine_next(struct machine *m, struct machine_now now);
/* When machine_tick is due, in milliseconds of CLOCK_BOOTTIME. */
int64_t machine_deadline(const struct machine *m);

enum machine_state machine_state(const struct machine *m);    /* with MACHINE_REFRESHING */
enum machine_state machine_standing(const struct machine *m); /* as if nothing were in flight */
/* Something waits to be written that is not on disk yet. */
bool machine_is_unwritten(const struct machine *m);
/* What is wrong, and the next step; "" where nothing is. */
const char *machine_text(const struct machine *m);
const char *machine_next_step(const struct machine *m);
/* The server's own words, where its answer is what is wrong, else "". */
const char *machine_words(const struct machine *m);
/* The verdict's cause and who can mend it, as diagnosis.h has them; constants, "" where nothing is wrong or it is our own trouble. */
const char *machine_cause(const struct machine *m);
const char *machine_fixer(const struct machine *m);
/* In seconds since 1970, 0 for none: when it asks again; when the access token ends; when it last
 * refreshed. */
int64_t machine_retry_at(const struct machine *m, struct machine_now now);
int64_t machine_expires_at(const struct machine *m, struct machine_now now);
int64_t machine_authorized_at(const struct machine *m); /* 0: never */
/* When the server ends the refresh token, as it said; 0: not known. *ret_life: seconds that it gave it at the
 * sign-in. */
int64_t machine_refresh_ends(const struct machine *m, int64_t *ret_life);
int64_t machine_refreshed_at(const struct machine *m);
const char *machine_scope(const struct machine *m); /* NULL: not known */

#endif

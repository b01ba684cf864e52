/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine.h: the life of one account's OAuth token. Sans-IO: events and the time in, actions out.
 *
 *     empty ──▶ active ⇄ refreshing ──▶ needs-authorization | client-error
 *
 * After every call that takes the time, the owner calls machine_next until it returns MACHINE_NOTHING,
 * and sets its timer to machine_deadline. Three rules hold always: one request is in flight; a rotated
 * refresh token is on disk before its access token is given to anybody; a refresh token is only ever
 * replaced by a newer one, never dropped.
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
	MACHINE_REFUSE,  /* `waiter` gets no token (machine_report says why) */
	MACHINE_CHANGED, /* what machine_standing, text, next and until say has changed */
};

struct machine_action {
	enum machine_act act;
	uint64_t waiter, request;
};

/* What the token endpoint answered. Borrowed; secrets may be NULL. */
struct machine_answer {
	struct answer_facts facts;
	const struct secret *access_token, *refresh_token;
	bool has_life;
	uint64_t life; /* seconds */
	bool has_refresh_life;
	uint64_t refresh_life;   /* seconds until the refresh token ends; 0: it does not */
	uint64_t retry_after;    /* seconds; 0: the server did not say */
	const char *scope;       /* granted; NULL: the server did not say */
	const char *lacking;     /* a scope that was asked for and not granted, or NULL */
	const char *misdirected; /* whom the token is meant for, where that is another service */
	uint64_t skew;           /* seconds by which the server's clock is away from ours */
	bool unsent;             /* the request never left: the server knows nothing of it */
};

/* What is wrong, for people. All is empty where nothing is. */
struct machine_report {
	struct buf text, next; /* what happened, and the next step */
	struct buf words;      /* the server's own words, where its answer is what is wrong */
	/* The verdict's cause and who can mend it, as diagnosis.h has them; constants. "" where it
	 * is our own trouble. */
	const char *cause, *fixer;
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

/* May a caller force a refresh for a refused token, or was the last one too short a time ago? */
bool machine_can_force(const struct machine *m, struct machine_now now);

/* Somebody wants a token that lives `min_valid` seconds more. `rejected`: the generation of one
 * that a server refused, or 0. Sooner or later MACHINE_GRANT or MACHINE_REFUSE names `waiter`. 0,
 * -EBUSY with too many waiting, -ENOMEM. */
int machine_want(struct machine *m, struct machine_now now, uint64_t waiter, uint64_t min_valid,
    uint64_t rejected);
/* The waiter is gone: no action names it any more. */
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

/* The configuration of the client or the server changed. The access token is not used any more, and
 * what was refused may be tried again. An answer under way still brings a rotated refresh token, but
 * no access token. */
void machine_renew(struct machine *m, struct machine_now now);

/* A suspended machine asks for nothing and gives nothing away, because the stored credential does not
 * belong to the present configuration. */
void machine_suspend(struct machine *m, struct machine_now now, bool suspended);

/* Forgets tokens and scope, because the refresh token was revoked or a person wants it forgotten. The
 * owner writes the empty credential. 0, or -EBUSY while a request is in flight. */
int machine_wipe(struct machine *m, struct machine_now now);

/* A person or a timer wants it tried now, even if the server refused it for good. */
void machine_probe(struct machine *m, struct machine_now now);

/* The server refused the client when `account`, which has the same client, asked: this was its answer.
 * The machine stops asking. */
void machine_client_refused(
    struct machine *m, struct machine_now now, const struct answer_facts *f, const char *account);

/* The server took the client again: a machine that stopped only because of machine_client_refused may
 * ask again. */
void machine_client_accepted(struct machine *m, struct machine_now now);

/* The configuration was reloaded, so the client that the server refused may have been mended at the
 * provider: it may ask again. */
void machine_reconsider(struct machine *m, struct machine_now now);

/* The wall clock was set, so the times in the record are wrong: it is written again. */
void machine_clock_jumped(struct machine *m);

/* Every access token is refreshed at least this long before its end (a provider's rule). */
void machine_set_min_valid(struct machine *m, uint64_t seconds);

/* ---- actions and views ---- */

struct machine_action machine_next(struct machine *m, struct machine_now now);
/* When machine_tick is due, in milliseconds of CLOCK_BOOTTIME; MACHINE_NEVER. */
int64_t machine_deadline(const struct machine *m);

enum machine_state machine_state(const struct machine *m);    /* with MACHINE_REFRESHING */
enum machine_state machine_standing(const struct machine *m); /* as if nothing were in flight */
/* A new refresh token is in memory alone, since it could not be written yet. */
bool machine_is_unwritten(const struct machine *m);
/* What is wrong; borrowed. */
const struct machine_report *machine_report(const struct machine *m);
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

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * attempt.h: an attempt of a person to sign in, as far as its three ways share it.
 *
 *     authorize.c   a browser comes back with a code (RFC 6749, 7636, 8252, 9207)
 *     device.c      a code is typed in elsewhere (RFC 8628)
 *     invitation.c  the first, with days between the address and its answer
 *     sign-in.c     this: the life of an attempt, and what is checked before anything is stored
 *
 * Internal to broker/keeper.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_ATTEMPT_H
#define FRANK_BROKER_KEEPER_SIGN_IN_ATTEMPT_H

#include "broker/keeper/sign-in/authorization-request.h"
#include "broker/keeper/sign-in/identity.h"
#include "broker/keeper/keeper.h"

enum { ATTEMPT_LIFE = 600 /* seconds */, ATTEMPT_ID = 16, SIGN_IN_TEXT_MAX = 2500 };

enum phase { DISCOVERING, WAITING, EXCHANGING, IDENTIFYING };

struct attempt {
	struct attempt *next;
	struct keeper *keeper;
	uint8_t id[ATTEMPT_ID];
	struct account *account; /* borrowed */
	uint64_t conf_serial;    /* of the account, when it began */
	struct client *client;   /* NULL: gone */
	enum phase phase;
	bool invited;                          /* it is the answer to an invitation */
	void (*discovered)(struct attempt *t); /* what comes when the endpoints are known */
	struct sealed *state, *verifier, *nonce, *code;
	char *redirect_uri; /* NULL with a device code */
	char *issuer, *authorization_endpoint, *token_endpoint, *device_endpoint,
	    *userinfo_endpoint; /* configured or discovered */
	bool iss_required;
	int64_t asked_at;
	struct event *timer;
	/* device.c */
	struct sealed *device_code;
	uint64_t interval; /* seconds between two polls */
	struct event *poll;
	/* between the exchange and the question who it is */
	struct sealed *access, *refresh;
	char *scope;
	struct identity_known known;
	char *refusal,
	    *refusal_next; /* by the ID token, where the userinfo endpoint knows no better; NULL: none */
	bool has_life, has_refresh_life;
	uint64_t life, refresh_life;
};

/* A new attempt, among the keeper's; the oldest of the account's makes room for it. It ends in
 * ATTEMPT_LIFE. NULL when memory is out. */
struct attempt *attempt_new(
    struct keeper *k, struct client *c, struct account *a, const char *redirect_uri);
void attempt_free(struct attempt *t);
/* It has `seconds` from now on. 0 or -ENOMEM. */
int attempt_set_life(struct attempt *t, uint64_t seconds);

/* The end of an attempt: logged, told to the client, freed. `error` NULL is success. */
void attempt_finish(
    struct attempt *t, int exit, const char *error, const char *next, const char *text);
void attempt_fail_memory(struct attempt *t);
/* What an answer means for the attempt's account. */
enum answer_class attempt_judge(const struct attempt *t, const struct answer_facts *f);
/* By an error of the server's, in words; by an answer that did not come. */
void attempt_fail_facts(struct attempt *t, const struct answer_facts *f);
void attempt_fail_fault(struct attempt *t, const char *fault, bool local);
/* The account was configured otherwise since the attempt began: then it has ended. */
bool attempt_conf_changed(struct attempt *t);

/* The account that a request names. NULL after telling the client that there is none, or why nobody can sign in for it. */
struct account *attempt_account(struct keeper *k, struct client *c, const struct message *m);
/* Asks the issuer for the endpoints that are not configured, then calls t->discovered. */
void attempt_discover(struct attempt *t);

/* ---- authorize.c ---- */

/* The address to open; false where the attempt has ended for want of it. */
bool attempt_make_url(struct attempt *t, struct buf *ret);
bool redirect_is_fit(const char *uri);
/* What came back from the browser. */
void attempt_take_callback(struct attempt *t, struct client *c, const struct message *m);

/* ---- attempt.c: the token endpoint's answer ---- */

/* Good tokens: scope, audience and identity are looked at, then they are stored. */
void sign_in_take(struct attempt *t, const struct message *m, const struct token_answer *a);

/* ---- invitation.c ---- */

/* The invitation is used up. False where that cannot be written: the attempt has ended then. */
bool invitation_use_up(struct attempt *t);

#endif

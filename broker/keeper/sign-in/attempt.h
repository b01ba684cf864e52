/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * attempt.h: an attempt of a person to sign in, as far as its three ways share it.
 *
 *     authorize.c   a browser comes back with a code (RFC 6749, 7636, 8252, 9207)
 *     device.c      a code is typed in elsewhere (RFC 8628)
 *     invitation.c  the first, with days between the address and its answer
 *     attempt.c     this: the life of an attempt, and what is checked before anything is stored
 *
 * A function that ends an attempt (attempt_finish, attempt_fail_...) frees it: the caller lets go of it.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_ATTEMPT_H
#define FRANK_BROKER_KEEPER_SIGN_IN_ATTEMPT_H

#include <sys/queue.h>

#include "broker/keeper/accounts/accounts.h"
#include "broker/keeper/clients/client.h"
#include "broker/keeper/sign-in/identity.h"

enum { ATTEMPT_LIFE = 600 /* seconds */, ATTEMPT_ID = 16, SIGN_IN_TEXT_MAX = 2500 };

/* What an attempt waits for: the issuer's metadata; the person; the token endpoint; the userinfo
 * endpoint. From EXCHANGING on the code is used up. */
enum phase { DISCOVERING, WAITING, EXCHANGING, IDENTIFYING };

struct attempt {
	LIST_ENTRY(attempt) entry;
	struct attempts *all;
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
	int64_t asked_at; /* the token endpoint: ms of the boot clock */
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

/* Everything is borrowed. */
struct attempts {
	struct event_base *base;
	const struct file_ops *files;
	struct vault *vault;
	struct accounts *accounts;
	struct fetch_requests *fetch;
	struct token_requests *requests;
	LIST_HEAD(, attempt) list; /* new ones first */
};

/* Ends every attempt without a word to anybody. */
void attempts_clear(struct attempts *all);
/* A client is gone: what it began goes on without it. */
void attempts_forget_client(struct attempts *all, const struct client *c);
/* The account is taken out of the configuration, or its credential was replaced. */
void attempts_forget_account(struct attempts *all, const struct account *a);
/* Is somebody signing in for this account right now? */
bool attempts_under_way(const struct attempts *all, const struct account *a);

/* The account that a client's message names. NULL after telling the client that there is none, or why
 * nobody can sign in for it. */
struct account *attempt_account(
    const struct attempts *all, struct client *c, const struct message *m);
/* A new attempt for it; the oldest of the account's makes room for it. It ends in ATTEMPT_LIFE. `sentence`
 * is logged. NULL after telling the client that memory is out. */
struct attempt *attempt_new(struct attempts *all, struct client *c, struct account *a,
    const char *redirect_uri, const char *sentence);
/* Ends it without a word to anybody. */
void attempt_free(struct attempt *t);
/* It has `seconds` from now on. 0 or -ENOMEM. */
int attempt_set_life(struct attempt *t, uint64_t seconds);
/* Asks the issuer for the endpoints that are not configured, where `lacking`; then calls `next`. */
void attempt_discover(struct attempt *t, bool lacking, void (*next)(struct attempt *t));

/* The end of an attempt: logged, reported to the client (as client_done), freed. */
void attempt_finish(struct attempt *t, int exit, const char *next, const char *format, ...)
    PRINTF_LIKE(4, 5);
void attempt_fail_memory(struct attempt *t);
/* The token store cannot be written. */
void attempt_fail_write(struct attempt *t, int error);
/* By an answer of the server's, or one that did not come, in words. */
void attempt_fail_facts(struct attempt *t, const struct answer_facts *f);
/* What an answer means for the attempt's account. */
enum answer_class attempt_judge(const struct attempt *t, const struct answer_facts *f);
/* The account was configured otherwise since the attempt began: then it has ended. */
bool attempt_conf_changed(struct attempt *t);

/* Good tokens: scope, audience and identity are looked at, then they are stored. */
void attempt_take_tokens(
    struct attempt *t, const struct message *m, const struct machine_answer *answer);

#endif

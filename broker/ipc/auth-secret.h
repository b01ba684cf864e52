/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * auth-secret.h: what a role that carries mail logs in with: the credential of an account, asked of keeper, held until the
 * server accepted it, and replaced once by a newer one where the server refused it.
 *
 *   NONE ─▶ ASKED ─▶ HELD          auth_secret_ask, auth_secret_take
 *    ▲ ╲      ▲        │
 *    │  ▶ WAITING      │           there is no keeper now: auth_secret_keeper_up asks
 *    └─────────────────┘           auth_secret_drop; auth_secret_renew asks again
 */
#ifndef FRANK_BROKER_IPC_AUTH_SECRET_H
#define FRANK_BROKER_IPC_AUTH_SECRET_H

#include "base/secret.h"
#include "base/smtp/smtp.h"
#include "broker/ipc/message.h"

enum auth_secret_state {
	AUTH_SECRET_NONE,
	AUTH_SECRET_WAITING,
	AUTH_SECRET_ASKED,
	AUTH_SECRET_HELD
};
enum auth_secret_kind { AUTH_SECRET_NO_KIND, AUTH_SECRET_TOKEN, AUTH_SECRET_PASSWORD };

struct auth_secret {
	/* The owner's to set, borrowed. Takes CREDENTIAL_GET; false: there is no keeper now, or it has too much to do. */
	bool (*to_keeper)(void *arg, struct message *m);
	void *arg;
	const char *account;
	unsigned min_valid; /* seconds for which it must be good; 0: the usual minute */
	uint64_t *last_id;  /* of the owner's requests */

	enum auth_secret_state state;
	uint64_t request; /* ASKED: its number */
	bool renewed;     /* a server refused one, so another refusal is final */
	uint64_t refused; /* its generation */
	/* HELD */
	enum auth_secret_kind kind;
	uint64_t generation; /* also behind auth_secret_drop */
	uint64_t until;      /* seconds since 1970; 0: not told */
	struct secret *secret;
	char *user;
};

/* Asks keeper. The answer may come from within this call. */
void auth_secret_ask(struct auth_secret *c);
/* The server refused the one that was held last: asks for a newer one. */
void auth_secret_renew(struct auth_secret *c);
/* Drops the secret, and an answer that is still to come. Takes one that was never asked for. */
void auth_secret_drop(struct auth_secret *c);

/* Is CREDENTIAL or CREDENTIAL_FAILED with this ID the answer to the open request? */
bool auth_secret_is_asked(const struct auth_secret *c, uint64_t id);
/*
 * Takes that answer. False: there is none, and `why` says so at the stage TOKEN: NO_CREDENTIAL where only a person or
 * an administrator can help, CREDENTIAL_LATER for what passes by itself, such as keeper having no newer one yet.
 * Its text is borrowed from `m`.
 */
bool auth_secret_take(struct auth_secret *c, const struct message *m, struct smtp_reply *why);
/* Keeper is there: asks what could not be asked. Or it is gone: false where it leaves a request without an answer, which
 * has failed then as `why` says. */
bool auth_secret_keeper_up(struct auth_secret *c, bool up, struct smtp_reply *why);

#endif

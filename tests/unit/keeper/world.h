/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * world.h: the keeper role between fakes, for the role's tests: its store in a folder below /tmp, main, queue, send and
 * fetch played over channels, clients over keeper.sock, and the steps that many tests take.
 */
#ifndef FRANK_TESTS_KEEPER_WORLD_H
#define FRANK_TESTS_KEEPER_WORLD_H

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/keeper/fake-role.h"
#include "tests/unit/tokenstore/faulty.h"

enum { OTHER_UID = 4242, OTHER_GID = 4343 };

struct world {
	char path[64];
	int dir;
	struct role role;
	struct faulty faults;
	struct file_ops files;
	int client;                                /* our end of a connection to keeper.sock; -1 */
	char state[128], challenge[64], nonce[64]; /* out of the last AUTHORIZE_URL */
	struct secret *key;
	/* what the next configuration says */
	const char *mailbox, *host, *issuer, *token_endpoint, *userinfo, *scopes, *client_secret,
	    *password, *client_id;
	bool no_billing, unverified, no_token_service;
	uint64_t generation;
};

void configure(struct world *w);
void disconnect_client(struct world *w);
/* Connects as that user, in the group OTHER_GID where it is not root. */
void connect_client(struct world *w, uid_t uid);
void say(struct world *w, struct message *m);
struct message *expect(struct world *w, enum message_type type);
void expect_done(struct world *w, int exit, const char *part);
void expect_state(struct world *w, const char *account, const char *want, const char *part);
int setup(void **state);
int teardown(void **state);
void restart(struct world *w);
void ask_authorize(struct world *w);
/* Reads AUTHORIZE_URL; the attempt's name into `id`. */
void take_url(struct world *w, uint8_t id[16]);
void send_callback(struct world *w, const uint8_t id[16], const char *format, ...)
    PRINTF_LIKE(3, 4);
struct message *answer_new(enum message_type type, uint64_t id);
struct message *tokens_new(uint64_t id, const char *access, const char *refresh, uint64_t life);
/* "name=value", a claim of an ID token or of a userinfo answer. */
void put_claim(struct message *m, const char *name, const char *value);
void put_id_token(struct world *w, struct message *m, const char *identity);
/* The exchange that must come now; its id. Checks that the verifier belongs to the challenge. */
uint64_t take_exchange(struct world *w);
void sign_in(struct world *w, const char *access, const char *refresh, uint64_t life);
/* Asks for a token as the client; then TOKEN must come with this one. */
void ask_token(struct world *w, uint64_t min_valid);
void expect_token(struct world *w, const char *want);
uint64_t take_refresh(struct world *w, const char *want);
void lend(struct world *w, const char *account, bool wanted);
void ask_credential(struct world *w, const char *account, uint64_t id, uint64_t rejected);
uint64_t expect_credential(
    struct world *w, uint64_t id, const char *kind, const char *user, const char *secret);
void expect_credential_failed(struct world *w, uint64_t id, const char *state);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of the keeper role between fakes: the configuration, lending, signing in, tokens for clients, reloads, a
 * fetch role that comes and goes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/log.h"
#include "tests/unit/keeper/world.h"

/* How many reports there are, each of which is right. */
static unsigned
count_first_states(struct world *w)
{
	struct message *m;
	unsigned seen = 0;

	for (; (m = fake_role_hear(&w->role, ROLE_QUEUE)) != NULL; seen++) {
		const char *account = message_str(m, F_ACCOUNT);

		assert_string_equal(message_str(m, F_STATE),
		    strcmp(account, "relay") == 0 ? "active" : "needs-authorization");
		if (strcmp(account, "billing") == 0)
			assert_non_null(strstr(message_str(m, F_NEXT), "frank authorize billing"));
		if (strcmp(account, "scanner") == 0)
			assert_non_null(strstr(message_str(m, F_NEXT), "frank secret set scanner"));
		(void)message_free(m);
	}
	return seen;
}

static void
test_states_at_the_start(void **state)
{
	struct world *w = *state;

	assert_int_equal(count_first_states(w), 3);
	assert_int_equal(count_first_states(w), 0);
	/* queue has taken a configuration, and asks for all of them */
	fake_role_say(&w->role, ROLE_QUEUE, message_new(M_STATES_GET));
	assert_int_equal(count_first_states(w), 3);
}

static void
test_sign_in_and_send(void **state)
{
	struct world *w = *state;
	uint64_t generation;

	sign_in(w, "access-1", "refresh-1", 3600);
	expect_state(w, "billing", "active", "");
	fake_role_connect(&w->role, ROLE_SEND);
	ask_credential(w, "billing", 7, 0);
	expect_credential_failed(w, 7, "configuration"); /* not lent */
	lend(w, "billing", true);
	ask_credential(w, "billing", 8, 0);
	generation = expect_credential(w, 8, "token", "billing@example.com", "access-1");
	/* Refused by the server: one refresh. */
	ask_credential(w, "billing", 9, generation);
	fake_role_say(&w->role, ROLE_FETCH,
	    tokens_new(take_refresh(w, "refresh-1"), "access-2", "refresh-2", 3600));
	assert_true(
	    expect_credential(w, 9, "token", "billing@example.com", "access-2") > generation);
	lend(w, "billing", false);
	ask_credential(w, "billing", 10, 0);
	expect_credential_failed(w, 10, "configuration");
	/* Everything is there after a restart. */
	restart(w);
	expect_state(w, "billing", "active", "");
	connect_client(w, 0);
	ask_token(w, 0);
	expect_token(w, "access-2");
}

static void
test_fifty_clients_one_request(void **state)
{
	struct world *w = *state;
	struct message *m;
	int clients[50];
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		w->client = -1;
		connect_client(w, 0);
		clients[i] = w->client;
		ask_token(w, 0);
	}
	id = take_refresh(w, "refresh-1");
	assert_null(fake_role_hear(&w->role, ROLE_FETCH));
	m = tokens_new(id, "access-2", "refresh-2", 3600);
	fake_role_say(&w->role, ROLE_FETCH, m);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		w->client = clients[i];
		expect_token(w, "access-2");
		disconnect_client(w);
	}
}

static void
test_passwords(void **state)
{
	struct world *w = *state;
	struct message *m = message_new(M_SECRET_SET);

	fake_role_connect(&w->role, ROLE_SEND);
	lend(w, "scanner", true);
	lend(w, "relay", true);
	ask_credential(w, "relay", 1, 0);
	(void)expect_credential(w, 1, "none", "", NULL);
	ask_credential(w, "scanner", 2, 0);
	expect_credential_failed(w, 2, "needs-authorization");
	connect_client(w, 0);
	message_put_str(m, F_ACCOUNT, "scanner");
	message_put_bytes(m, F_SECRET, "pass word", 9);
	say(w, m);
	expect_done(w, 0, "stored");
	expect_state(w, "scanner", "active", NULL);
	ask_credential(w, "scanner", 3, 0);
	(void)expect_credential(w, 3, "password", "scanner@example.com", "pass word");
	restart(w);
	expect_state(w, "scanner", "active", NULL);
	/* It was given for one server and is not shown to another. */
	w->host = "smtp.elsewhere.example";
	configure(w);
	expect_state(w, "scanner", "needs-authorization", "smtp.elsewhere.example");
	fake_role_connect(&w->role, ROLE_SEND);
	lend(w, "scanner", true);
	ask_credential(w, "scanner", 4, 0);
	expect_credential_failed(w, 4, "needs-authorization");
	w->host = "SMTP.example";
	configure(w);
	expect_state(w, "scanner", "active", NULL);
	/* One that the configuration refers to counts first, and then none is taken. */
	w->password = "from-a-file";
	configure(w);
	ask_credential(w, "scanner", 5, 0);
	(void)expect_credential(w, 5, "password", "scanner@example.com", "from-a-file");
	connect_client(w, 0);
	m = message_new(M_SECRET_SET);
	message_put_str(m, F_ACCOUNT, "scanner");
	message_put_bytes(m, F_SECRET, "other", 5);
	say(w, m);
	expect_done(w, EX_CONFIG, "refers to this secret");
}

static void
test_bad_secrets(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *account, *secret;
		int exit;
	} cases[] = {
	    {"scanner", "", EX_DATAERR},
	    {"scanner", "two\nlines", EX_DATAERR},
	    {"nobody", "x", EX_NOUSER},
	    {"relay", "x", EX_CONFIG},
	};

	connect_client(w, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message *m = message_new(M_SECRET_SET);

		message_put_str(m, F_ACCOUNT, cases[i].account);
		message_put_bytes(m, F_SECRET, cases[i].secret, strlen(cases[i].secret));
		say(w, m);
		expect_done(w, cases[i].exit, NULL);
	}
}

static void
test_client_secret_is_sent(void **state)
{
	struct world *w = *state;
	struct message *m = message_new(M_SECRET_SET);
	uint8_t id[16];

	connect_client(w, 0);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_bytes(m, F_SECRET, "client~secret", 13);
	say(w, m);
	expect_done(w, 0, "client secret");
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=x", w->state);
	m = fake_role_expect(&w->role, ROLE_FETCH, M_TOKEN_REQUEST);
	assert_string_equal(message_str(m, F_CLIENT_AUTH), "post");
	{
		CLEANUP_SECRET struct secret *s = message_secret(m, F_CLIENT_SECRET);

		assert_string_equal((const char *)secret_bytes(s), "client~secret");
	}
	(void)message_free(m);
}

/* The exchange of a new sign-in: does it carry the client's secret? */
static bool
exchange_has_secret(struct world *w)
{
	struct message *m;
	uint8_t id[16];
	bool has;

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=x", w->state);
	m = fake_role_expect(&w->role, ROLE_FETCH, M_TOKEN_REQUEST);
	has = message_has(m, F_CLIENT_SECRET);
	(void)message_free(m);
	return has;
}

/* A secret was given for one client of one server: a changed configuration sends it nowhere else. */
static void
test_client_secret_stays_at_home(void **state)
{
	struct world *w = *state;
	const char *client = w->client_id, *endpoint = w->token_endpoint;
	struct message *m = message_new(M_SECRET_SET);

	connect_client(w, 0);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_bytes(m, F_SECRET, "client~secret", 13);
	say(w, m);
	expect_done(w, 0, "client secret");
	assert_true(exchange_has_secret(w));
	w->token_endpoint = "https://elsewhere.example/token";
	configure(w);
	assert_false(exchange_has_secret(w));
	restart(w);
	assert_false(exchange_has_secret(w));
	w->token_endpoint = endpoint;
	w->client_id = "another-client";
	configure(w);
	assert_false(exchange_has_secret(w));
	w->client_id = client;
	configure(w);
	assert_true(exchange_has_secret(w));
}

/* Refusals at the end of a sign-in: each says why, and stores nothing. */
static void
refused_sign_in(struct world *w, struct message *(*answer)(struct world *, uint64_t), int exit,
    const char *part)
{
	uint8_t id[16];

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	fake_role_say(&w->role, ROLE_FETCH, answer(w, take_exchange(w)));
	expect_done(w, exit, part);
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "Nobody has signed in");
}

static struct message *
answer_stranger(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", "r", 3600);

	put_id_token(w, m, "mallory@example.com");
	return m;
}

static struct message *
answer_no_refresh_token(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", NULL, 3600);

	put_id_token(w, m, w->mailbox);
	return m;
}

static struct message *
answer_narrow(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", "r", 3600);

	message_put_str(m, F_SCOPE, "openid https://mail.example/read");
	put_id_token(w, m, w->mailbox);
	return m;
}

static struct message *
answer_wrong_nonce(struct world *w, uint64_t id)
{
	w->nonce[0] ^= 1;
	return answer_no_refresh_token(w, id);
}

static struct message *
answer_wrong_nonce_with_refresh(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", "r", 3600);

	w->nonce[0] ^= 1;
	put_id_token(w, m, w->mailbox);
	return m;
}

static struct message *
answer_other_audience(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", "r", 3600);

	message_put_str(m, F_ID_ISSUER, "https://as.example");
	message_put_str(m, F_ID_AUDIENCE, "client-2");
	message_put_bytes(m, F_NONCE, w->nonce, strlen(w->nonce));
	put_claim(m, "email", w->mailbox);
	return m;
}

/* Neither issuer nor audience nor nonce: an ID token that could be anybody's. */
static struct message *
answer_without_issuer(struct world *w, uint64_t id)
{
	struct message *m = tokens_new(id, "a", "r", 3600);

	put_claim(m, "email", w->mailbox);
	return m;
}

static struct message *
answer_nobody(struct world *w, uint64_t id)
{
	return tokens_new(id, "a", "r", 3600);
}

static struct message *
answer_invalid_grant(struct world *w, uint64_t id)
{
	struct message *m = answer_new(M_TOKEN_ANSWER, id);

	message_put_u64(m, F_HTTP_STATUS, 400);
	message_put_str(m, F_OAUTH_ERROR, "invalid_grant");
	message_put_str(m, F_TEXT, "AADSTS70008: the code has expired");
	return m;
}

static struct message *
answer_fault(struct world *w, uint64_t id)
{
	struct message *m = answer_new(M_TOKEN_ANSWER, id);

	message_put_str(m, F_FAULT, "as.example cannot be reached");
	return m;
}

static void
test_refused_sign_ins(void **state)
{
	struct world *w = *state;

	refused_sign_in(w, answer_stranger, EX_NOPERM,
	    "signed in, but this account is for billing@example.com");
	refused_sign_in(w, answer_no_refresh_token, EX_CONFIG, "no refresh token");
	refused_sign_in(w, answer_narrow, EX_NOPERM, "https://mail.example/send was not granted");
	refused_sign_in(w, answer_wrong_nonce, EX_CONFIG, NULL);
	refused_sign_in(
	    w, answer_wrong_nonce_with_refresh, EX_PROTOCOL, "does not belong to this sign-in");
	refused_sign_in(w, answer_other_audience, EX_PROTOCOL, "another client");
	refused_sign_in(w, answer_nobody, EX_CONFIG, "does not say who signed in");
	refused_sign_in(w, answer_invalid_grant, EX_NOPERM, "AADSTS70008");
	refused_sign_in(w, answer_fault, EX_TEMPFAIL, "cannot be reached");
	refused_sign_in(w, answer_without_issuer, EX_PROTOCOL, "does not name its issuer");
	w->issuer = "https://other.example";
	configure(w);
	w->issuer = NULL; /* the token says https://as.example */
	refused_sign_in(w, answer_stranger, EX_PROTOCOL, "another than the account's issuer");
}

static void
test_userinfo(void **state)
{
	struct world *w = *state;
	CLEANUP_MESSAGE struct message *asked = NULL;
	struct message *m;
	uint8_t id[16];

	w->userinfo = "https://as.example/me";
	configure(w);
	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	fake_role_say(
	    &w->role, ROLE_FETCH, tokens_new(take_exchange(w), "access-1", "refresh-1", 3600));
	asked = fake_role_expect(&w->role, ROLE_FETCH, M_USERINFO);
	assert_string_equal(message_str(asked, F_USERINFO_ENDPOINT), "https://as.example/me");
	m = answer_new(M_USERINFO_ANSWER, message_u64(asked, F_ID, 0));
	message_put_u64(m, F_HTTP_STATUS, 200);
	put_claim(m, "email", "billing@example.com");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, "billing@example.com");
	ask_token(w, 0);
	expect_token(w, "access-1");
}

static void
test_unverified(void **state)
{
	struct world *w = *state;
	uint8_t id[16];

	w->unverified = true;
	configure(w);
	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	fake_role_say(
	    &w->role, ROLE_FETCH, tokens_new(take_exchange(w), "access-1", "refresh-1", 3600));
	expect_done(w, 0, "Signed in.");
}

static void
test_wrong_callbacks(void **state)
{
	struct world *w = *state;
	struct message *m;
	uint8_t id[16], other[16] = {0};

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "code=x");
	m = message_free(expect(w, M_AUTHORIZE_IGNORED));
	send_callback(w, id, "code=x&state=guess");
	m = message_free(expect(w, M_AUTHORIZE_IGNORED));
	send_callback(w, other, "code=x&state=%s", w->state);
	expect_done(w, EX_TEMPFAIL, "not waited for");
	/* The right one still counts, and once. */
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	m = tokens_new(take_exchange(w), "access-1", "refresh-1", 3600);
	put_id_token(w, m, w->mailbox);
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, NULL);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	expect_done(w, EX_TEMPFAIL, "not waited for");
	/* The person says no. */
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "error=access_denied&error_description=No%%21%%0a&state=%s", w->state);
	expect_done(w, EX_NOPERM, "access_denied: No!");
	/* Nothing of that touched what was there. */
	ask_token(w, 0);
	expect_token(w, "access-1");
}

static void
test_two_attempts_and_five(void **state)
{
	struct world *w = *state;
	char first_state[128], first_challenge[64], first_nonce[64];
	struct message *m;
	uint8_t first[16], id[16];
	int first_client;

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, first);
	memcpy(first_state, w->state, sizeof(first_state));
	memcpy(first_challenge, w->challenge, sizeof(first_challenge));
	memcpy(first_nonce, w->nonce, sizeof(first_nonce));
	first_client = w->client;
	w->client = -1;
	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	/* The state of one attempt is nothing to the other. */
	send_callback(w, id, "code=x&state=%s", first_state);
	m = message_free(expect(w, M_AUTHORIZE_IGNORED));
	disconnect_client(w);
	w->client = first_client;
	memcpy(w->challenge, first_challenge, sizeof(first_challenge));
	memcpy(w->nonce, first_nonce, sizeof(first_nonce));
	send_callback(w, first, "state=%s&code=4%%2F0A%%2Bb", first_state);
	m = tokens_new(take_exchange(w), "access-1", "refresh-1", 3600);
	put_id_token(w, m, w->mailbox);
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, NULL);
	/* With the one whose client left there are five: the oldest goes. */
	for (int i = 0; i < 4; i++) {
		ask_authorize(w);
		take_url(w, id);
	}
	send_callback(w, id, "code=x&state=wrong");
	m = message_free(expect(w, M_AUTHORIZE_IGNORED));
}

static void
test_discovery(void **state)
{
	struct world *w = *state;
	CLEANUP_MESSAGE struct message *asked = NULL;
	struct message *m;
	uint8_t id[16];

	w->issuer = "https://as.example";
	w->token_endpoint = NULL;
	configure(w);
	connect_client(w, 0);
	ask_authorize(w);
	asked = fake_role_expect(&w->role, ROLE_FETCH, M_DISCOVER);
	assert_string_equal(message_str(asked, F_ISSUER), "https://as.example");
	m = answer_new(M_DISCOVERED, message_u64(asked, F_ID, 0));
	message_put_str(m, F_ISSUER, "https://as.example");
	message_put_str(m, F_AUTHORIZATION_ENDPOINT, "https://as.example/auth");
	message_put_str(m, F_TOKEN_ENDPOINT, "https://as.example/tok");
	message_put_u64(m, F_ISS_REQUIRED, 1);
	fake_role_say(&w->role, ROLE_FETCH, m);
	take_url(w, id);
	send_callback(
	    w, id, "state=%s&code=x", w->state); /* without iss, which this server always sends */
	expect_done(w, EX_PROTOCOL, "issuer");
	ask_authorize(w);
	asked = message_free(asked);
	asked = fake_role_expect(&w->role, ROLE_FETCH, M_DISCOVER);
	m = answer_new(M_DISCOVERED, message_u64(asked, F_ID, 0));
	message_put_str(m, F_FAULT, "as.example answered 503");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, EX_TEMPFAIL, "503");
}

/* The answer is about a server that the account names no longer: nothing of the new client goes there. */
static void
test_reload_during_discovery(void **state)
{
	struct world *w = *state;
	CLEANUP_MESSAGE struct message *asked = NULL;
	struct message *m;

	w->issuer = "https://as.example";
	w->token_endpoint = NULL;
	configure(w);
	connect_client(w, 0);
	ask_authorize(w);
	asked = fake_role_expect(&w->role, ROLE_FETCH, M_DISCOVER);
	w->issuer = "https://other.example";
	w->client_secret = "secret-of-the-other";
	configure(w);
	m = answer_new(M_DISCOVERED, message_u64(asked, F_ID, 0));
	message_put_str(m, F_ISSUER, "https://as.example");
	message_put_str(m, F_AUTHORIZATION_ENDPOINT, "https://as.example/auth");
	message_put_str(m, F_TOKEN_ENDPOINT, "https://as.example/tok");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, EX_TEMPFAIL, "configuration changed");
}

static void
invite(struct world *w)
{
	struct message *m = message_new(M_AUTHORIZE_INVITE);
	uint8_t id[16];

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_REDIRECT_URI, "http://127.0.0.1:4711/");
	say(w, m);
	take_url(w, id);
}

static void
answer_invitation(struct world *w)
{
	struct message *m = message_new(M_AUTHORIZE_FINISH);
	char query[512];

	(void)snprintf(query, sizeof(query), "state=%s&code=4/0A%%2Bb", w->state);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_bytes(m, F_CALLBACK, query, strlen(query));
	say(w, m);
}

/* One answer uses it up, and that is on disk before the code goes out: also when the answer leads to
 * nothing, and after a start. */
static void
test_invitation_is_used_once(void **state)
{
	struct world *w = *state;
	struct message *m;
	uint64_t id;

	connect_client(w, 0);
	invite(w);
	restart(w); /* it is kept */
	connect_client(w, 0);
	answer_invitation(w);
	id = take_exchange(w);
	restart(w); /* in the middle of the exchange */
	connect_client(w, 0);
	answer_invitation(w);
	expect_done(w, EX_DATAERR, "No invitation is open");
	assert_null(fake_role_hear(&w->role, ROLE_FETCH));
	invite(w);
	answer_invitation(w);
	id = take_exchange(w);
	m = tokens_new(id, "access-1", "refresh-1", 3600);
	put_id_token(w, m, "billing@example.com");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, NULL);
	answer_invitation(w);
	expect_done(w, EX_DATAERR, "No invitation is open");
}

/* The client's secret of today does not go to the server of then. */
static void
test_invitation_of_another_server(void **state)
{
	struct world *w = *state;

	connect_client(w, 0);
	invite(w);
	w->token_endpoint = "https://other.example/token";
	w->client_secret = "secret-of-the-other";
	configure(w);
	answer_invitation(w);
	expect_done(w, EX_DATAERR, "server");
	assert_null(fake_role_hear(&w->role, ROLE_FETCH));
}

static void
test_who_may(void **state)
{
	struct world *w = *state;
	struct message *m;

	sign_in(w, "access-1", "refresh-1", 3600);
	connect_client(w, OTHER_UID);
	ask_token(w, 0);
	expect_token(w, "access-1");
	ask_authorize(w);
	expect_done(w, EX_NOPERM, "administrator");
	m = message_new(M_SECRET_SET);
	message_put_str(m, F_ACCOUNT, "scanner");
	message_put_bytes(m, F_SECRET, "x", 1);
	say(w, m);
	expect_done(w, EX_NOPERM, "administrator");
	say(w, message_new(M_KEEPER_STATUS)); /* one's own accounts only */
	m = expect(w, M_ROW_CREDENTIAL);
	assert_string_equal(message_str(m, F_ACCOUNT), "billing");
	assert_string_equal(message_str(m, F_IDENTITY), "Billing@Example.com");
	m = message_free(m);
	expect_done(w, 0, NULL);
	connect_client(w, OTHER_UID + 1);
	ask_token(w, 0);
	expect_done(w, EX_NOPERM, "may not");
	say(w, message_new(M_KEEPER_STATUS));
	expect_done(w, 0, NULL);
	connect_client(w, 65534);
	ask_token(w, 0);
	expect_done(w, EX_NOPERM, "may not");
	/* Taken away by a reload. */
	w->no_token_service = true;
	configure(w);
	connect_client(w, OTHER_UID);
	ask_token(w, 0);
	expect_done(w, EX_NOPERM, "may not");
	connect_client(w, 0);
	ask_token(w, 0);
	expect_token(w, "access-1");
}

static void
test_status_rows(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"billing", "relay", "scanner"};

	connect_client(w, 0);
	say(w, message_new(M_KEEPER_STATUS));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_MESSAGE struct message *m = expect(w, M_ROW_CREDENTIAL);

		assert_string_equal(message_str(m, F_ACCOUNT), names[i]);
	}
	expect_done(w, 0, NULL);
}

/* The store, then its slots; and no text, which would mean that a rotation is not finished. */
static void
test_key_list(void **state)
{
	struct world *w = *state;
	struct message *m = message_new(M_KEY_ACT);
	unsigned rows = 0;

	connect_client(w, 0);
	message_put_str(m, F_ACTION, "list");
	say(w, m);
	for (; rows < 2; rows++) {
		m = expect(w, M_ROW_KEY);
		assert_int_equal(message_u64(m, F_COUNT, 99), rows);
		(void)message_free(m);
	}
	m = expect(w, M_KEEPER_DONE);
	assert_int_equal(message_u64(m, F_EXIT, 0), 0);
	assert_false(message_has(m, F_TEXT));
	(void)message_free(m);
}

static void
test_reload_to_another_person(void **state)
{
	struct world *w = *state;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	/* While the request is under way the account becomes somebody else's. */
	w->mailbox = "sales@example.com";
	configure(w);
	expect_done(
	    w, EX_UNAVAILABLE, "billing@example.com; the account now names sales@example.com");
	fake_role_say(&w->role, ROLE_FETCH, tokens_new(id, "access-2", "refresh-2", 3600));
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "sales@example.com");
	expect_state(w, "billing", "needs-authorization", "sales@example.com");
	/* Put back, nothing was lost: the rotated token was kept. */
	w->mailbox = "billing@example.com";
	configure(w);
	ask_token(w, 0);
	fake_role_say(
	    &w->role, ROLE_FETCH, tokens_new(take_refresh(w, "refresh-2"), "access-3", NULL, 3600));
	expect_token(w, "access-3");
	w->client_id = "client-2";
	configure(w);
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "client-2");
}

/* A refresh token goes to the endpoint that gave it, whatever the configuration names now. */
static void
test_reload_to_another_server(void **state)
{
	struct world *w = *state;
	const char *endpoint = w->token_endpoint;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	w->token_endpoint = "https://elsewhere.example/token";
	configure(w);
	connect_client(w, 0);
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "https://elsewhere.example/token");
	/* nor where the endpoint is to be asked of another issuer */
	w->token_endpoint = NULL;
	w->issuer = "https://elsewhere.example";
	configure(w);
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "https://elsewhere.example");
	restart(w);
	connect_client(w, 0);
	ask_token(w, 0);
	expect_done(w, EX_UNAVAILABLE, "https://elsewhere.example");
	assert_null(fake_role_hear(&w->role, ROLE_FETCH));
	w->token_endpoint = endpoint;
	w->issuer = NULL;
	configure(w);
	ask_token(w, 0);
	(void)take_refresh(w, "refresh-1");
}

static void
test_account_taken_out(void **state)
{
	struct world *w = *state;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	w->no_billing = true;
	configure(w);
	expect_done(w, EX_TEMPFAIL, NULL);
	fake_role_say(&w->role, ROLE_FETCH, tokens_new(id, "access-2", "refresh-2", 3600));
	ask_token(w, 0);
	expect_done(w, EX_NOUSER, "no account");
	/* Back again: the answer that came meanwhile was stored. */
	w->no_billing = false;
	configure(w);
	ask_token(w, 0);
	expect_token(w, "access-2");
	restart(w);
	connect_client(w, 0);
	ask_token(w, 0);
	expect_token(w, "access-2");
}

/* Whoever may not see an account is told that an administrator is needed, with the same words whether there is one or not. */
static void
test_status_needs_an_administrator(void **state)
{
	static const char *const names[] = {"scanner", "no-such-account"};
	struct world *w = *state;

	connect_client(w, OTHER_UID);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct message *m = message_new(M_KEEPER_STATUS);

		message_put_str(m, F_ACCOUNT, names[i]);
		say(w, m);
		expect_done(w, EX_NOPERM, "needs an administrator of Frank");
		m = message_new(M_AUTHORIZE);
		message_put_str(m, F_ACCOUNT, names[i]);
		message_put_str(m, F_REDIRECT_URI, "http://127.0.0.1:1/");
		say(w, m);
		expect_done(w, EX_NOPERM, "needs an administrator of Frank");
	}
	connect_client(w, 0);
	{
		struct message *m = message_new(M_KEEPER_STATUS);

		message_put_str(m, F_ACCOUNT, "no-such-account");
		say(w, m);
		expect_done(w, EX_NOUSER, "no account of that name");
	}
}

/* Taken out and put back before the answer: the same account goes on. */
static void
test_account_taken_out_and_put_back(void **state)
{
	struct world *w = *state;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	w->no_billing = true;
	configure(w);
	expect_done(w, EX_TEMPFAIL, NULL);
	w->no_billing = false;
	configure(w);
	ask_token(w, 0);
	fake_role_say(&w->role, ROLE_FETCH, tokens_new(id, "access-2", "refresh-2", 3600));
	expect_token(w, "access-2");
}

static void
test_fetch_dies_in_the_middle(void **state)
{
	struct world *w = *state;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	(void)take_refresh(w, "refresh-1");
	fake_role_disconnect(&w->role, ROLE_FETCH);
	expect_done(w, EX_TEMPFAIL, "ended in the middle");
	expect_state(w, "billing", "active", "ended in the middle");
}

static void
test_disk_fails_at_the_pair(void **state)
{
	struct world *w = *state;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	w->faults = (struct faulty){.error = EIO, .at = 1, .for_good = true};
	fake_role_say(&w->role, ROLE_FETCH, tokens_new(id, "access-2", "refresh-2", 3600));
	expect_done(w, EX_TEMPFAIL, "cannot be written");
	expect_state(w, "billing", "active", "in memory only");
	w->faults = (struct faulty){.error = EIO};
	fake_role_wait(&w->role, 1200);
	ask_token(w, 0);
	expect_token(w, "access-2");
	expect_state(w, "billing", "active", "");
	restart(w);
	connect_client(w, 0);
	ask_token(w, 0);
	expect_token(w, "access-2");
}

static void
test_stop_waits_for_a_refresh(void **state)
{
	struct world *w = *state;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	keeper_role.shutdown(&w->role);
	assert_int_equal(w->role.exited, -1);
	fake_role_say(&w->role, ROLE_FETCH, tokens_new(id, "access-2", "refresh-2", 3600));
	assert_int_equal(w->role.exited, 0);
	restart(w);
	connect_client(w, 0);
	ask_token(w, 0);
	expect_token(w, "access-2");
}

static void
test_wrong_master_key(void **state)
{
	struct world *w = *state;

	sign_in(w, "access-1", "refresh-1", 3600);
	(void)secret_free(w->key);
	w->key = secret_new("another master key, not the one..", 32);
	restart(w);
	expect_state(w, "billing", "configuration", "does not open the token store");
	connect_client(w, 0);
	ask_authorize(w);
	expect_done(w, EX_CONFIG, "does not open");
	(void)secret_free(w->key);
	w->key = secret_new("0123456789abcdef0123456789abcdef", 32);
	configure(w); /* a reload is enough */
	expect_state(w, "billing", "active", "");
}

static void
test_invalid_client_stops_them_all(void **state)
{
	struct world *w = *state;
	struct message *m;
	uint64_t id;

	sign_in(w, "access-1", "refresh-1", 1);
	fake_role_wait(&w->role, 1100);
	connect_client(w, 0);
	ask_token(w, 0);
	id = take_refresh(w, "refresh-1");
	m = answer_new(M_TOKEN_ANSWER, id);
	message_put_u64(m, F_HTTP_STATUS, 401);
	message_put_str(m, F_OAUTH_ERROR, "invalid_client");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, EX_UNAVAILABLE, "invalid_client");
	expect_state(w, "billing", "client-error", "invalid_client");
	/* A new secret mends it. */
	m = message_new(M_SECRET_SET);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_bytes(m, F_SECRET, "new", 3);
	say(w, m);
	expect_done(w, 0, NULL);
	expect_state(w, "billing", "active", "");
	ask_token(w, 0);
	fake_role_say(
	    &w->role, ROLE_FETCH, tokens_new(take_refresh(w, "refresh-1"), "access-2", NULL, 3600));
	expect_token(w, "access-2");
}

/* Nothing that is secret lies in the folder in the clear. */
static void
test_sealed_on_disk(void **state)
{
	struct world *w = *state;
	DIR *d;
	struct dirent *e;
	unsigned files = 0;

	sign_in(w, "access-in-the-clear", "refresh-in-the-clear", 3600);
	d = fdopendir(dup(w->dir));
	rewinddir(d);
	while ((e = readdir(d)) != NULL) {
		static char bytes[200000];
		int fd = openat(w->dir, e->d_name, O_RDONLY);
		ssize_t n = e->d_name[0] == '.' ? 0 : read(fd, bytes, sizeof(bytes));

		close(fd);
		files += n > 0;
		assert_null(memmem(bytes, n > 0 ? (size_t)n : 0, "in-the-clear", 12));
	}
	closedir(d);
	assert_int_equal(files, 3);
}

static struct message *
next_state_of(struct world *w, const char *account)
{
	for (;;) {
		struct message *m = fake_role_expect(&w->role, ROLE_QUEUE, M_ACCOUNT_STATE);

		if (strcmp(message_str(m, F_ACCOUNT), account) == 0 &&
		    strcmp(message_str(m, F_STATE), "active") == 0)
			return m;
		(void)message_free(m);
	}
}

/* The queue learns when the server ends the refresh token, and has it from the store as well. */
static void
test_consent_that_lapses(void **state)
{
	struct world *w = *state;
	struct message *m;
	uint8_t id[16];
	int64_t lapses;

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	m = tokens_new(take_exchange(w), "access-1", "refresh-1", 3600);
	message_put_u64(m, F_REFRESH_EXPIRES_IN, 604800);
	put_id_token(w, m, "Billing@Example.com");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, "Signed in");
	m = next_state_of(w, "billing");
	lapses = (int64_t)message_u64(m, F_CONSENT_LAPSES, 0);
	assert_true(lapses > 604800);
	assert_int_equal(message_u64(m, F_CONSENT_LIFETIME, 0), 604800);
	(void)message_free(m);
	restart(w);
	m = next_state_of(w, "billing");
	assert_int_equal(message_u64(m, F_CONSENT_LAPSES, 0), lapses);
	assert_int_equal(message_u64(m, F_CONSENT_LIFETIME, 0), 604800);
	(void)message_free(m);
}

#define ROLE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROLE_TEST(test_states_at_the_start),
	    ROLE_TEST(test_sign_in_and_send),
	    ROLE_TEST(test_fifty_clients_one_request),
	    ROLE_TEST(test_passwords),
	    ROLE_TEST(test_bad_secrets),
	    ROLE_TEST(test_client_secret_is_sent),
	    ROLE_TEST(test_client_secret_stays_at_home),
	    ROLE_TEST(test_refused_sign_ins),
	    ROLE_TEST(test_userinfo),
	    ROLE_TEST(test_unverified),
	    ROLE_TEST(test_wrong_callbacks),
	    ROLE_TEST(test_two_attempts_and_five),
	    ROLE_TEST(test_discovery),
	    ROLE_TEST(test_reload_during_discovery),
	    ROLE_TEST(test_invitation_is_used_once),
	    ROLE_TEST(test_invitation_of_another_server),
	    ROLE_TEST(test_who_may),
	    ROLE_TEST(test_status_rows),
	    ROLE_TEST(test_key_list),
	    ROLE_TEST(test_reload_to_another_person),
	    ROLE_TEST(test_reload_to_another_server),
	    ROLE_TEST(test_account_taken_out),
	    ROLE_TEST(test_status_needs_an_administrator),
	    ROLE_TEST(test_account_taken_out_and_put_back),
	    ROLE_TEST(test_fetch_dies_in_the_middle),
	    ROLE_TEST(test_disk_fails_at_the_pair),
	    ROLE_TEST(test_stop_waits_for_a_refresh),
	    ROLE_TEST(test_wrong_master_key),
	    ROLE_TEST(test_invalid_client_stops_them_all),
	    ROLE_TEST(test_sealed_on_disk),
	    ROLE_TEST(test_consent_that_lapses),
	};

	log_open("keeper", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

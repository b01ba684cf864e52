/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* The blocks of the configuration as messages: what a role is sent arrives, nothing else does, and what main would not send is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/conf/wire.h"

static struct conf *
take(enum role_id role, struct message *m)
{
	struct conf *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(message_error(m), 0);
	assert_int_equal(wire_take(c, role, m, -1), 0);
	(void)message_free(m);
	return c;
}

static void
test_each_role_gets_its_members(void **state)
{
	char *mechanisms[] = {(char *)"XOAUTH2", (char *)"PLAIN"};
	CLEANUP_SECRET struct secret *secret = secret_new("hunter2", 7);
	const struct conf_account a = {.name = (char *)"a",
	    .grant = GRANT_PASSWORD,
	    .host = (char *)"h",
	    .port = 587,
	    .tls = CONF_TLS_IMPLICIT,
	    .mechanisms = {mechanisms, 2},
	    .password.secret = secret,
	    .client_expires = -5,
	    .allow_plaintext_secret = true};
	struct conf *c = take(ROLE_KEEPER, wire_message(CONF_BLOCK_ACCOUNT, &a, ROLE_KEEPER));

	assert_int_equal(c->account_count, 1);
	assert_ptr_equal(conf_find_account(c, "a"), &c->accounts[0]);
	assert_true(secret_equal(c->accounts[0].password.secret, secret));
	assert_int_equal(c->accounts[0].grant, GRANT_PASSWORD);
	assert_int_equal(c->accounts[0].port + c->accounts[0].mechanisms.count, 0);
	c = conf_free(c);
	c = take(ROLE_SEND, wire_message(CONF_BLOCK_ACCOUNT, &a, ROLE_SEND));
	assert_null(c->accounts[0].password.secret);
	assert_int_equal(c->accounts[0].port, 587);
	assert_int_equal(c->accounts[0].tls, CONF_TLS_IMPLICIT);
	assert_true(c->accounts[0].allow_plaintext_secret);
	assert_int_equal(c->accounts[0].mechanisms.count, 2);
	assert_string_equal(c->accounts[0].mechanisms.items[1], "PLAIN");
	c = conf_free(c);
	c = take(ROLE_QUEUE, wire_message(CONF_BLOCK_ACCOUNT, &a, ROLE_QUEUE));
	assert_int_equal(c->accounts[0].client_expires, -5);
	(void)conf_free(c);
	assert_false(wire_role_has(ROLE_TLS, CONF_BLOCK_ACCOUNT));
	assert_true(wire_role_has(ROLE_TLS, CONF_BLOCK_LISTENER));
}

/* The index of an account's key. */
static char
key_of(const char *name)
{
	const struct conf_block_def *d = &conf_blocks[CONF_BLOCK_ACCOUNT];

	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].name != NULL && strcmp(d->keys[i].name, name) == 0)
			return (char)i;
	fail();
	return 0;
}

static void
test_what_main_would_not_send(void **state)
{
	const struct {
		const char *key, *value;
		size_t len;
	} rows[] = {
	    {"password", "x", 1},       /* not this role's */
	    {"submit", "a\0b", 3},      /* a NUL inside */
	    {"sessions", "\1\0\0", 3},  /* a number of the wrong size */
	    {"grant", "\377\0\0\0", 4}, /* no such word */
	    {"allow-plaintext-secret", "\2", 1},
	    {"ca-file", "x", 1}, /* a file comes by its descriptor */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct message *m = message_new(M_CONF_BLOCK);
		struct conf *c = calloc(1, sizeof(*c));
		char setting[16] = {key_of(rows[i].key)};

		memcpy(setting + 1, rows[i].value, rows[i].len);
		message_put_u64(m, F_BLOCK, CONF_BLOCK_ACCOUNT);
		message_put_bytes(m, F_SETTING, "\0a", 2); /* its name */
		message_put_bytes(m, F_SETTING, setting, rows[i].len + 1);
		assert_int_equal(wire_take(c, ROLE_SEND, m, -1), -EPROTO);
		(void)message_free(m);
		(void)conf_free(c);
	}
}

/* Whole or not at all: after something was lost, the end says so. */
static void
test_whole_or_not_at_all(void **state)
{
	const struct conf_account nameless = {.port = 1};
	struct message *begin = message_new(M_CONF_BEGIN), *end = message_new(M_CONF_END),
		       *bad = wire_message(CONF_BLOCK_ACCOUNT, &nameless, ROLE_SEND);
	struct conf *coming = NULL;

	assert_int_equal(wire_collect(&coming, ROLE_SEND, end, -1), -EPROTO);
	assert_int_equal(wire_collect(&coming, ROLE_SEND, begin, -1), 0);
	assert_int_equal(wire_collect(&coming, ROLE_SEND, bad, -1), -EPROTO);
	assert_int_equal(wire_collect(&coming, ROLE_SEND, end, -1), -EPROTO);
	assert_int_equal(wire_collect(&coming, ROLE_SEND, begin, -1), 0);
	assert_int_equal(wire_collect(&coming, ROLE_SEND, end, -1), 1);
	assert_non_null(coming);
	(void)conf_free(coming);
	(void)message_free(begin);
	(void)message_free(end);
	(void)message_free(bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_role_gets_its_members),
	    cmocka_unit_test(test_what_main_would_not_send),
	    cmocka_unit_test(test_whole_or_not_at_all),
	};

	return cmocka_run_group_tests_name("conf/wire", tests, NULL, NULL);
}

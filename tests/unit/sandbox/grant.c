/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * grant.c: codes and tokens in virtual time: what serves once, what ends a family, what expires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/grant.h"

/* the example of RFC 7636 appendix B */
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define URI "http://127.0.0.1:9/"

static int
counting(void *bytes, size_t len)
{
	static uint8_t next;

	memset(bytes, ++next, len);
	return 0;
}

static struct grants *
new_grants(bool rotate)
{
	struct grants *g = grants_new(&(struct grants_config){.code_life = 60,
					  .access_life = 5,
					  .refresh_life = 1000,
					  .access_bytes = 32,
					  .rotate = rotate},
	    counting);

	assert_non_null(g);
	return g;
}

static void
consent(struct grants *g, uint64_t now, struct buf *code)
{
	const struct grant_consent c = {.account = "a@example.test",
	    .client = "frank",
	    .redirect_uri = URI,
	    .scope = "openid offline_access mail.send",
	    .challenge = CHALLENGE,
	    .nonce = "n"};

	assert_int_equal(grants_consent(g, &c, now, code), 0);
}

static void
test_exchange(void **state)
{
	struct grants *g = new_grants(true);
	struct buf code CLEANUP_BUF = BUF_INIT(256);
	struct grant_issue issue CLEANUP_ISSUE, again CLEANUP_ISSUE;
	struct grant_access access;

	grant_issue_init(&issue);
	grant_issue_init(&again);
	consent(g, 100, &code);
	assert_int_equal(
	    grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER, 101, &issue), GRANT_OK);
	assert_string_equal(issue.account, "a@example.test");
	assert_string_equal(issue.nonce, "n");
	assert_int_equal(issue.expires_in, 5);
	assert_true(issue.refresh.len > 0);
	assert_true(grants_check(g, buf_str(&issue.access), 105, &access));
	assert_string_equal(access.scope, "openid offline_access mail.send");
	assert_false(grants_check(g, buf_str(&issue.access), 106, &access));
	assert_false(grants_check(g, buf_str(&issue.refresh), 105, &access));
	/* the code a second time: theft, and the whole family ends */
	assert_int_equal(
	    grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER, 102, &again), GRANT_REUSED);
	assert_false(grants_check(g, buf_str(&issue.access), 102, &access));
	assert_int_equal(
	    grants_refresh(g, buf_str(&issue.refresh), "frank", NULL, 102, &again), GRANT_REVOKED);
	assert_int_equal(grants_count(g), 0);
	(void)grants_free(g);
}

static void
test_exchange_refused(void **state)
{
	static const struct {
		const char *client, *uri, *verifier;
		uint64_t now;
	} wrong[] = {
	    {"other", URI, VERIFIER, 101},
	    {"frank", URI "x", VERIFIER, 101},
	    {"frank", URI, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", 101},
	    {"frank", URI, "short", 101},
	    {"frank", URI, VERIFIER, 160},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct grants *g = new_grants(true);
		struct buf code CLEANUP_BUF = BUF_INIT(256);
		struct grant_issue issue CLEANUP_ISSUE;

		grant_issue_init(&issue);
		consent(g, 100, &code);
		assert_int_equal(grants_exchange(g, buf_str(&code), wrong[i].client, wrong[i].uri,
				     wrong[i].verifier, wrong[i].now, &issue),
		    GRANT_INVALID);
		assert_int_equal(issue.access.len, 0);
		/* a wrong guess has used the code up */
		assert_int_not_equal(grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER,
					 wrong[i].now, &issue),
		    GRANT_OK);
		(void)grants_free(g);
	}
}

static void
test_rotation(void **state)
{
	struct grants *g = new_grants(true);
	struct buf code CLEANUP_BUF = BUF_INIT(256);
	struct grant_issue first CLEANUP_ISSUE, second CLEANUP_ISSUE, third CLEANUP_ISSUE;
	struct grant_access access;

	grant_issue_init(&first);
	grant_issue_init(&second);
	grant_issue_init(&third);
	consent(g, 100, &code);
	assert_int_equal(
	    grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER, 101, &first), GRANT_OK);
	assert_int_equal(
	    grants_refresh(g, buf_str(&first.refresh), "other", NULL, 102, &second), GRANT_INVALID);
	assert_int_equal(
	    grants_refresh(g, buf_str(&first.refresh), "frank", "openid admin", 102, &second),
	    GRANT_INVALID_SCOPE);
	assert_int_equal(
	    grants_refresh(g, buf_str(&first.refresh), "frank", "mail.send", 200, &second),
	    GRANT_OK);
	assert_string_not_equal(buf_str(&second.refresh), buf_str(&first.refresh));
	assert_null(second.nonce);
	assert_true(grants_check(g, buf_str(&second.access), 204, &access));
	assert_string_equal(access.scope, "mail.send");
	assert_int_equal(
	    grants_refresh(g, buf_str(&first.refresh), "frank", NULL, 201, &third), GRANT_REUSED);
	assert_false(grants_check(g, buf_str(&second.access), 201, &access));
	assert_int_equal(
	    grants_refresh(g, buf_str(&second.refresh), "frank", NULL, 202, &third), GRANT_REVOKED);
	(void)grants_free(g);
}

static void
test_no_rotation(void **state)
{
	struct grants *g = new_grants(false);
	struct buf code CLEANUP_BUF = BUF_INIT(256);
	struct grant_issue first CLEANUP_ISSUE, second CLEANUP_ISSUE;
	uint64_t now = 101;
	int i;

	grant_issue_init(&first);
	consent(g, 100, &code);
	assert_int_equal(
	    grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER, now, &first), GRANT_OK);
	for (i = 0; i < 5; i++) {
		grant_issue_init(&second);
		now += 999; /* each use makes it live longer */
		assert_int_equal(
		    grants_refresh(g, buf_str(&first.refresh), "frank", NULL, now, &second),
		    GRANT_OK);
		assert_int_equal(second.refresh.len, 0);
		grant_issue_clear(&second);
	}
	grant_issue_init(&second);
	assert_int_equal(
	    grants_refresh(g, buf_str(&first.refresh), "frank", NULL, now + 1000, &second),
	    GRANT_INVALID);
	(void)grants_free(g);
}

static void
test_revocation(void **state)
{
	struct grants *g = new_grants(true);
	struct grant_access access;
	int way;

	for (way = 0; way < 3; way++) {
		struct buf code CLEANUP_BUF = BUF_INIT(256);
		struct grant_issue issue CLEANUP_ISSUE, again CLEANUP_ISSUE;

		grant_issue_init(&issue);
		grant_issue_init(&again);
		consent(g, 100, &code);
		assert_int_equal(
		    grants_exchange(g, buf_str(&code), "frank", URI, VERIFIER, 101, &issue),
		    GRANT_OK);
		if (way == 0) {
			assert_false(grants_revoke(g, buf_str(&issue.refresh), "other"));
			assert_true(grants_revoke(g, buf_str(&issue.refresh), "frank"));
		} else if (way == 1) {
			assert_int_equal(grants_revoke_account(g, "b@example.test"), 0);
			assert_int_equal(grants_revoke_account(g, "A@example.test"), 1);
		} else {
			/* an access token alone: the consent stays */
			assert_true(grants_revoke(g, buf_str(&issue.access), "frank"));
		}
		assert_false(grants_check(g, buf_str(&issue.access), 102, &access));
		assert_int_equal(
		    grants_refresh(g, buf_str(&issue.refresh), "frank", NULL, 102, &again),
		    way == 2 ? GRANT_OK : GRANT_REVOKED);
	}
	(void)grants_free(g);
}

static void
test_scope_has(void **state)
{
	assert_true(grant_scope_has("openid mail.send", "mail.send"));
	assert_true(grant_scope_has("mail.send", "mail.send"));
	assert_false(grant_scope_has("mail.send.all", "mail.send"));
	assert_false(grant_scope_has("xmail.send mail.sendx", "mail.send"));
	assert_true(grant_scope_has("xmail.send mail.send", "mail.send"));
	assert_false(grant_scope_has("", "mail.send"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exchange),
	    cmocka_unit_test(test_exchange_refused),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_no_rotation),
	    cmocka_unit_test(test_revocation),
	    cmocka_unit_test(test_scope_has),
	};

	return cmocka_run_group_tests_name("sandbox-grant", tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.c: the device flow with a clock of the test; and tokens that are given without a code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/device.h"

static uint8_t serial;

static int
fill(void *bytes, size_t len)
{
	memset(bytes, ++serial, len);
	return 0;
}

struct flow {
	struct devices *d;
	struct buf code;
	char user_code[DEVICE_USER_CODE_SIZE];
};

static void
begin(struct flow *f, uint64_t now)
{
	f->code = (struct buf)BUF_INIT(128);
	assert_int_equal(
	    devices_begin(f->d, "frank", "mail.send", 600, 5, now, &f->code, f->user_code), 0);
}

static enum device_result
poll(struct flow *f, uint64_t now)
{
	const char *account = NULL, *scope = NULL;
	enum device_result r =
	    devices_poll(f->d, buf_str(&f->code), "frank", now, &account, &scope);

	if (r == DEVICE_GRANTED) {
		assert_string_equal(account, "a@x.test");
		assert_string_equal(scope, "mail.send");
	}
	return r;
}

static void
test_yes(void **state)
{
	struct flow f = {.d = devices_new(fill)};
	const char *code, *client, *scope;
	char typed[32];

	begin(&f, 1000);
	assert_int_equal(strlen(f.user_code), 9);
	assert_int_equal(f.user_code[4], '-');
	assert_int_equal(poll(&f, 1000), DEVICE_PENDING);
	assert_int_equal(poll(&f, 1004), DEVICE_SLOW_DOWN); /* ten seconds from here */
	assert_int_equal(poll(&f, 1013), DEVICE_SLOW_DOWN); /* fifteen */
	assert_int_equal(poll(&f, 1028), DEVICE_PENDING);
	(void)snprintf(typed, sizeof(typed), " %.4s%s ", f.user_code, f.user_code + 5);
	for (char *at = typed; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at | 0x20);
	assert_true(devices_find(f.d, typed, 1030, &code, &client, &scope));
	assert_string_equal(code, f.user_code);
	assert_string_equal(client, "frank");
	typed[3] = 'a'; /* which no code has */
	assert_false(devices_find(f.d, typed, 1030, &code, &client, &scope));
	assert_false(devices_find(f.d, "", 1030, &code, &client, &scope));
	assert_true(devices_answer(f.d, f.user_code, "a@x.test", 1040));
	assert_false(devices_answer(f.d, f.user_code, NULL, 1040));
	assert_int_equal(poll(&f, 1050), DEVICE_GRANTED);
	assert_int_equal(poll(&f, 1070), DEVICE_UNKNOWN);
	buf_free(&f.code);
	(void)devices_free(f.d);
}

static void
test_no_and_never(void **state)
{
	struct flow f = {.d = devices_new(fill)}, other = {.d = f.d};
	const char *account, *scope;

	begin(&f, 0);
	begin(&other, 0);
	assert_int_equal(
	    devices_poll(f.d, buf_str(&f.code), "another", 10, &account, &scope), DEVICE_UNKNOWN);
	assert_int_equal(devices_poll(f.d, "x", "frank", 10, &account, &scope), DEVICE_UNKNOWN);
	assert_true(devices_answer(f.d, f.user_code, NULL, 10));
	assert_int_equal(poll(&f, 10), DEVICE_DENIED);
	assert_int_equal(poll(&other, 599), DEVICE_PENDING);
	assert_int_equal(poll(&other, 605), DEVICE_EXPIRED);
	assert_false(devices_answer(f.d, other.user_code, "a@x.test", 605));
	buf_free(&f.code);
	buf_free(&other.code);
	(void)devices_free(f.d);
}

static void
test_given(void **state)
{
	static const struct grants_config config = {.code_life = 60,
	    .access_life = 100,
	    .refresh_life = 1000,
	    .access_bytes = 32,
	    .rotate = true};
	struct grants *g = grants_new(&config, fill);
	struct grant_consent c = {.client = "svc", .scope = "mail.send offline_access"};
	struct grant_issue issue, next;
	struct grant_access a;

	grant_issue_init(&issue);
	grant_issue_init(&next);
	assert_int_equal(grants_give(g, &c, "client_credentials", 10, &issue), GRANT_OK);
	assert_int_equal(issue.refresh.len, 0);
	assert_true(grants_check(g, buf_str(&issue.access), 20, &a));
	assert_null(a.account);
	assert_string_equal(a.grant, "client_credentials");
	assert_int_equal(a.since, 10);
	assert_int_equal(strlen(a.id), 8);
	assert_int_equal(grants_revoke_account(g, "a@x.test"), 0);
	grant_issue_clear(&issue);
	grant_issue_init(&issue);
	c.account = "a@x.test";
	assert_int_equal(grants_give(g, &c, "device_code", 10, &issue), GRANT_OK);
	assert_string_equal(grants_account(g, buf_str(&issue.refresh)), "a@x.test");
	assert_null(grants_account(g, buf_str(&issue.access)));
	grants_config(g)->withhold = "mail.send";
	assert_int_equal(
	    grants_refresh(g, buf_str(&issue.refresh), "svc", NULL, 20, &next), GRANT_OK);
	assert_string_equal(next.scope, "offline_access");
	assert_true(grants_check(g, buf_str(&next.access), 20, &a));
	assert_string_equal(a.grant, "device_code");
	assert_string_equal(a.scope, "offline_access");
	grant_issue_clear(&issue);
	grant_issue_clear(&next);
	(void)grants_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_yes),
	    cmocka_unit_test(test_no_and_never),
	    cmocka_unit_test(test_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

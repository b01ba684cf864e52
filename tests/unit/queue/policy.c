/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/queue/common/policy.c: who is served by what, and what becomes of what they claim.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "broker/queue/common/policy.h"
#include "broker/role/caller.h"

static uint32_t cron_users[] = {0, 33};
static uint32_t web_groups[] = {50, 60};

static const struct conf_service services[] = {
    {.name = (char *)"cron", .users = {cron_users, 2}},
    {.name = (char *)"web", .groups = {web_groups, 2}},
    {.name = (char *)"box", .socket = true},
    {.name = (char *)"picky", .socket = true, .users = {cron_users, 2}},
    {.name = (char *)"all", .any_user = true},
};

/* The name of the service that is for this caller; NULL for none. */
static const char *
match(const struct policy_caller *c)
{
	const struct conf_service *all[ARRAY_SIZE(services)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(services); i++)
		all[i] = &services[i];
	i = policy_match(all, ARRAY_SIZE(services), c);
	return i < ARRAY_SIZE(services) ? services[i].name : NULL;
}

static void
test_match(void **state)
{
	static const struct {
		uint32_t uid;
		uint32_t group;
		const char *socket, *service;
	} rows[] = {
	    {0, 0, NULL, "cron"},
	    {33, 60, NULL, "cron"}, /* the first in file order */
	    {1000, 60, NULL, "web"},
	    {1000, 1000, NULL, "all"},
	    {CALLER_UID_OVERFLOW, 60, NULL, NULL},
	    {CALLER_UID_OVERFLOW, 60, "box", "box"},
	    {0, 0, "box", "box"},
	    {33, 0, "picky", "picky"},
	    {1000, 0, "picky", NULL}, /* never falls through to the common socket's */
	    {0, 0, "other", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct policy_caller c = {rows[i].uid, &rows[i].group, 1, rows[i].socket};
		const char *got = match(&c);

		if (rows[i].service == NULL)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].service);
	}
}

/* What people are told is the reason that decided. */
static void
test_reasons(void **state)
{
	static const struct conf_service by_password = {.name = (char *)"login", .password = true};
	static const struct {
		size_t service; /* of the table; beyond it: by_password */
		uint32_t uid, group;
		const char *socket;
		bool takes;
		enum policy_reason reason;
	} rows[] = {
	    {0, 33, 1, NULL, true, POLICY_USER},
	    {0, 34, 1, NULL, false, POLICY_OTHER_CALLERS},
	    {0, 33, 1, "box", false, POLICY_OTHER_SOCKET},
	    {1, 34, 60, NULL, true, POLICY_GROUP},
	    {1, 34, 61, NULL, false, POLICY_OTHER_CALLERS},
	    {2, 34, 60, NULL, false, POLICY_OWN_SOCKET},
	    {2, 34, 60, "picky", false, POLICY_OWN_SOCKET},
	    {2, CALLER_UID_OVERFLOW, 60, "box", true, POLICY_ANY_OF_SOCKET},
	    {3, 33, 60, "picky", true, POLICY_USER},
	    {3, 34, 60, "picky", false, POLICY_OTHER_CALLERS},
	    {4, 34, 60, NULL, true, POLICY_ANY_USER},
	    {4, CALLER_UID_OVERFLOW, 60, NULL, false, POLICY_NOBODY},
	    {9, 34, 60, NULL, false, POLICY_PASSWORD_ONLY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct conf_service *s = rows[i].service < ARRAY_SIZE(services)
						   ? &services[rows[i].service]
						   : &by_password;
		struct policy_caller c = {rows[i].uid, &rows[i].group, 1, rows[i].socket};
		enum policy_reason reason;

		assert_int_equal(policy_takes(s, &c, &reason), rows[i].takes);
		assert_int_equal(reason, rows[i].reason);
		assert_true(*policy_reason_text(reason) != '\0');
	}
}

static void
test_no_service_is_no(void **state)
{
	struct policy_caller c = {0};

	assert_int_equal(policy_match(NULL, 0, &c), 0);
}

static void
test_patterns(void **state)
{
	static const struct {
		const char *pattern, *address;
		bool match;
	} rows[] = {
	    {"*", "any@where.example", true},
	    {"*", "", true},
	    {"*@example.com", "a@example.com", true},
	    {"*@Example.COM", "a@eXample.com", true},
	    {"*@example.com", "a@sub.example.com", false},
	    {"*@example.com", "a@badexample.com", false},
	    {"*@example.com", "\"x@example.com\"@evil.example", false},
	    {"*@example.com", "example.com", false},
	    {"a@example.com", "A@example.com", true},
	    {"a@example.com", "b@example.com", false},
	    {"a@example.com", "", false},
	    {"*example.com", "a@example.com", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *items[] = {(char *)rows[i].pattern};
		struct conf_strings one = {items, 1};

		if (policy_pattern_match(&one, rows[i].address) != rows[i].match)
			fail_msg("%s against %s", rows[i].pattern, rows[i].address);
	}
	assert_false(policy_pattern_match(&(struct conf_strings){0}, "a@b"));
}

static const struct policy_account accounts[] = {
    {"relay", NULL}, {"billing", "billing@example.com"}, {"shop", "shop@example.com"}};

#define GIVEN POLICY_ENVELOPE_GIVEN
#define CALLER POLICY_ENVELOPE_CALLER
#define NULL_SENDER POLICY_ENVELOPE_NULL

/* Who may send to few must not reach the others by having mail returned to them. */
static void
test_reports_keep_to_the_recipients(void **state)
{
	static char *recipients[] = {(char *)"*@ops.example"};
	static char *senders[] = {(char *)"*", (char *)"cron@host.example"};
	static const struct {
		const char *claimed, *return_to;
	} rows[] = {
	    {"evil@else.example", NULL},
	    {"me@ops.example", "me@ops.example"},
	    {"Cron@host.example", "Cron@host.example"},
	    {"shop@example.com", "shop@example.com"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf_service s = {
		    .from = CONF_FROM_KEEP, .recipients = {recipients, 1}, .senders = {senders, 2}};
		struct policy_claim claim = {
		    .envelope = GIVEN, .sender = rows[i].claimed, .caller = "root@host.example"};
		struct policy_decision d;

		policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
		assert_null(d.refused);
		if (rows[i].return_to == NULL)
			assert_null(d.return_to);
		else
			assert_string_equal(d.return_to, rows[i].return_to);
	}
}

/* What can be read as somebody else's is not passed on where senders are checked. */
static void
test_from_with_two_readings(void **state)
{
	static char *senders[] = {(char *)"billing@example.com", (char *)"shop@example.com"};
	static const char *const own[] = {"shop@example.com"}, *const other[] = {"x@else.example"};
	struct conf_service s = {.senders = {senders, 2}};
	struct policy_claim claim = {.envelope = CALLER,
	    .caller = "root@host.example",
	    .from = own,
	    .from_count = 1,
	    .from_double = true};
	struct policy_decision d;

	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_null(d.refused);
	assert_string_equal(d.from, "shop@example.com");
	assert_true(d.from_replaced);
	assert_string_equal(d.sender, "shop@example.com");
	claim.from = other;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_string_equal(d.from, "billing@example.com");
	claim.from = own;
	s.from = CONF_FROM_KEEP;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_null(d.from);
	assert_false(d.from_replaced);
	s.from = CONF_FROM_REFUSE;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_non_null(d.refused);
	claim.from_double = false;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_null(d.refused);
}

static void
test_decide(void **state)
{
	static char *senders[] = {
	    (char *)"*@lists.example", (char *)"billing@example.com", (char *)"shop@example.com"};
	static char *any[] = {(char *)"*"};
	static const struct conf_strings none = {0}, listed = {senders, 3}, all = {any, 1};
	/* what is claimed: envelope, sender, From; then refused?, account, sender, From set,
	 * return_to */
	static const struct {
		enum conf_from from_policy;
		const struct conf_strings *senders;
		enum policy_envelope envelope;
		const char *sender, *from;
		bool refused;
		const char *account, *wire, *set, *return_to;
	} rows[] = {
	    /* the caller claims nothing */
	    {CONF_FROM_REWRITE, &listed, CALLER, NULL, NULL, false, "billing",
		"billing@example.com", "billing@example.com", NULL},
	    {CONF_FROM_REFUSE, &listed, CALLER, NULL, NULL, false, "billing", "billing@example.com",
		"billing@example.com", NULL},
	    {CONF_FROM_KEEP, &listed, CALLER, NULL, NULL, false, "relay", "root@host.example",
		"root@host.example", NULL},
	    {CONF_FROM_REFUSE, &all, CALLER, NULL, NULL, false, "relay", "root@host.example",
		"root@host.example", NULL},
	    {CONF_FROM_REWRITE, &none, CALLER, NULL, NULL, false, "billing", "billing@example.com",
		"billing@example.com", NULL},
	    /* an allowed From is the sender where the envelope was left open */
	    {CONF_FROM_REWRITE, &listed, CALLER, NULL, "shop@example.com", false, "shop",
		"shop@example.com", NULL, "shop@example.com"},
	    {CONF_FROM_REWRITE, &listed, CALLER, NULL, "x@lists.example", false, "relay",
		"x@lists.example", NULL, "x@lists.example"},
	    /* another From */
	    {CONF_FROM_REWRITE, &listed, CALLER, NULL, "evil@else.example", false, "billing",
		"billing@example.com", "billing@example.com", NULL},
	    {CONF_FROM_REFUSE, &listed, CALLER, NULL, "evil@else.example", true, NULL, NULL, NULL,
		NULL},
	    {CONF_FROM_KEEP, &listed, CALLER, NULL, "evil@else.example", false, "relay",
		"evil@else.example", NULL, "evil@else.example"},
	    {CONF_FROM_REWRITE, &none, CALLER, NULL, "SHOP@example.com", false, "shop",
		"SHOP@example.com", NULL, "SHOP@example.com"},
	    /* a given envelope sender */
	    {CONF_FROM_REWRITE, &listed, GIVEN, "shop@example.com", NULL, false, "shop",
		"shop@example.com", "shop@example.com", "shop@example.com"},
	    {CONF_FROM_REWRITE, &listed, GIVEN, "shop@example.com", "evil@else.example", false,
		"shop", "shop@example.com", "shop@example.com", "shop@example.com"},
	    {CONF_FROM_REWRITE, &listed, GIVEN, "www@host.example", "shop@example.com", false,
		"shop", "shop@example.com", NULL, "www@host.example"},
	    {CONF_FROM_REWRITE, &listed, GIVEN, "www@host.example", "x@host.example", false,
		"billing", "billing@example.com", "billing@example.com", "www@host.example"},
	    {CONF_FROM_REFUSE, &listed, GIVEN, "www@host.example", "shop@example.com", true, NULL,
		NULL, NULL, NULL},
	    {CONF_FROM_REFUSE, &listed, GIVEN, "shop@example.com", "x@host.example", true, NULL,
		NULL, NULL, NULL},
	    {CONF_FROM_REFUSE, &listed, GIVEN, "shop@example.com", "x@lists.example", false, "shop",
		"shop@example.com", NULL, "shop@example.com"},
	    {CONF_FROM_KEEP, &none, GIVEN, "a@else.example", "billing@example.com", false,
		"billing", "a@else.example", NULL, "a@else.example"},
	    /* the null sender: no reports, but providers want an address of the account */
	    {CONF_FROM_REWRITE, &listed, NULL_SENDER, NULL, "shop@example.com", false, "shop",
		"shop@example.com", NULL, ""},
	    {CONF_FROM_REWRITE, &listed, NULL_SENDER, NULL, NULL, false, "billing",
		"billing@example.com", "billing@example.com", ""},
	    {CONF_FROM_KEEP, &listed, NULL_SENDER, NULL, "shop@example.com", false, "shop", "",
		NULL, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conf_service s = {.from = rows[i].from_policy, .senders = *rows[i].senders};
		struct policy_claim claim = {.envelope = rows[i].envelope,
		    .sender = rows[i].sender,
		    .caller = "root@host.example",
		    .from = &rows[i].from,
		    .from_count = rows[i].from != NULL};
		struct policy_decision d;

		policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
		if ((d.refused != NULL) != rows[i].refused)
			fail_msg("row %zu: %s", i, d.refused == NULL ? "allowed" : d.refused);
		if (rows[i].refused)
			continue;
#define SAME(a, b) ((a) == NULL || (b) == NULL ? (a) == (b) : strcmp((a), (b)) == 0)
		if (!SAME(d.account->name, rows[i].account) || !SAME(d.sender, rows[i].wire) ||
		    !SAME(d.from, rows[i].set) || !SAME(d.return_to, rows[i].return_to))
			fail_msg("row %zu: account %s sender %s from %s return %s", i,
			    d.account->name, d.sender, d.from == NULL ? "-" : d.from,
			    d.return_to == NULL ? "-" : d.return_to);
		assert_int_equal(d.from_replaced, rows[i].from != NULL && rows[i].set != NULL);
	}
}

static void
test_unreadable_from(void **state)
{
	struct conf_service s = {.from = CONF_FROM_REFUSE};
	struct policy_claim claim = {.caller = "root@host.example", .from_unreadable = true};
	struct policy_decision d;

	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_non_null(d.refused);
	s.from = CONF_FROM_REWRITE;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_null(d.refused);
	assert_true(d.from_replaced);
	assert_string_equal(d.from, "billing@example.com");
	s.from = CONF_FROM_KEEP;
	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_null(d.refused);
	assert_null(d.from);
	assert_string_equal(d.sender, "root@host.example");
}

static void
test_nothing_to_rewrite_to(void **state)
{
	static char *pattern[] = {(char *)"*@example.com"};
	struct conf_service s = {.from = CONF_FROM_REWRITE, .senders = {pattern, 1}};
	struct policy_claim claim = {.caller = "root@host.example"};
	struct policy_decision d;

	policy_decide(&s, accounts, 1, &claim, &d);
	assert_non_null(d.refused);
}

static void
test_several_from(void **state)
{
	const char *from[] = {"shop@example.com", "evil@else.example"};
	struct conf_service s = {.from = CONF_FROM_REFUSE};
	struct policy_claim claim = {
	    .caller = "root@host.example", .from = from, .from_count = ARRAY_SIZE(from)};
	struct policy_decision d;

	policy_decide(&s, accounts, ARRAY_SIZE(accounts), &claim, &d);
	assert_non_null(d.refused);
	assert_string_equal(d.culprit, "evil@else.example");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_match),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_no_service_is_no),
	    cmocka_unit_test(test_patterns),
	    cmocka_unit_test(test_from_with_two_readings),
	    cmocka_unit_test(test_decide),
	    cmocka_unit_test(test_reports_keep_to_the_recipients),
	    cmocka_unit_test(test_unreadable_from),
	    cmocka_unit_test(test_nothing_to_rewrite_to),
	    cmocka_unit_test(test_several_from),
	};

	return cmocka_run_group_tests_name("queue/policy", tests, NULL, NULL);
}

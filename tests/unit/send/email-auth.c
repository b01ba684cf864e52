/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/send/check/email-auth.c: SPF, DMARC and DKIM records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "broker/send/check/email-auth.h"

/* ---- SPF ---- */

struct zone {
	const char *name, *record;
};

/* Walks a domain's SPF in a small DNS of our own. */
static void
walk(struct spf *s, const struct zone *zone, size_t count, const char *wanted)
{
	const char *name;

	email_auth_spf_begin(s, "example.com", wanted);
	while ((name = email_auth_spf_next(s)) != NULL) {
		for (size_t i = 0; i < count; i++)
			if (strcmp(zone[i].name, name) == 0)
				email_auth_spf_record(s, zone[i].record, strlen(zone[i].record));
		email_auth_spf_end(s);
	}
}

static void
test_spf_names_the_provider(void **state)
{
	static const struct zone zone[] = {
	    {"example.com", "google-site-verification=x"},
	    {"example.com", "v=spf1 a mx include:_outer.example.net -all"},
	    {"_outer.example.net",
		"v=spf1 include:spf.protection.outlook.com ip4:192.0.2.0/24 ~all"},
	    {"spf.protection.outlook.com", "v=spf1 ip4:40.92.0.0/15 -all"},
	};
	struct spf s;

	walk(&s, zone, ARRAY_SIZE(zone), "spf.protection.outlook.com");
	assert_true(s.exists && s.names_wanted);
	assert_false(s.several || s.too_many || s.malformed);
	assert_int_equal(s.lookups, 4); /* a, mx, two includes */
	assert_int_equal(s.all, '-');
	assert_string_equal(s.record, zone[1].record);
	walk(&s, zone, ARRAY_SIZE(zone), "_spf.google.com");
	assert_true(s.exists);
	assert_false(s.names_wanted);
	/* a name below the wanted one counts, one that merely ends in its letters does not */
	walk(&s, zone, ARRAY_SIZE(zone), "protection.outlook.com");
	assert_true(s.names_wanted);
	walk(&s, zone, ARRAY_SIZE(zone), "tection.outlook.com");
	assert_false(s.names_wanted);
}

static void
test_spf_faults(void **state)
{
	static const struct zone none[] = {
	    {"example.com", "v=spf10 -all"}, {"example.com", "hello"}};
	static const struct zone two[] = {
	    {"example.com", "v=spf1 -all"}, {"example.com", "v=SPF1 mx -all"}};
	static const struct zone redirect[] = {{"example.com", "v=spf1 redirect=_spf.google.com"},
	    {"_spf.google.com", "v=spf1 include:example.com ?all"}};
	static const struct zone macro[] = {
	    {"example.com", "v=spf1 exists:%{i}._spf.example.com include:%{d}.x include: +all"}};
	struct zone many[13] = {{"example.com", "v=spf1 include:n0 -all"}};
	char names[13][8], records[13][40];
	struct spf s;

	walk(&s, none, 2, "");
	assert_false(s.exists);
	walk(&s, two, 2, "");
	assert_true(s.several);
	/* a circle ends */
	walk(&s, redirect, 2, "_spf.google.com");
	assert_true(s.names_wanted);
	assert_int_equal(s.lookups, 2);
	assert_int_equal(s.all, 0);
	walk(&s, macro, 1, "");
	assert_int_equal(s.lookups, 3);
	assert_true(s.malformed);
	assert_int_equal(s.all, '+');
	for (int i = 0; i < 12; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "n%d", i);
		(void)snprintf(records[i], sizeof(records[i]), "v=spf1 include:n%d", i + 1);
		many[i + 1] = (struct zone){names[i], records[i]};
	}
	walk(&s, many, 13, "");
	assert_true(s.too_many);
}

/* ---- DMARC ---- */

static void
test_dmarc(void **state)
{
	static const char record[] =
	    "v=DMARC1; p=quarantine;sp = reject ; adkim=s; rua=mailto:d@example.com;";
	struct dmarc d = {0};

	email_auth_dmarc(&d, "v=spf1 -all", 11);
	assert_false(d.exists);
	email_auth_dmarc(&d, record, sizeof(record) - 1);
	assert_true(d.exists && d.strict_dkim && !d.strict_spf && d.reports);
	assert_string_equal(d.policy, "quarantine");
	assert_string_equal(d.subdomains, "reject");
	email_auth_dmarc(&d, record, sizeof(record) - 1);
	assert_true(d.several);
}

/* ---- DKIM ---- */

static void
test_dkim(void **state)
{
	static const char good[] = "v=DKIM1; k=rsa; p=MIIBIjANBgkq hkiG9w0B AQEF";
	static const char revoked[] = "v=DKIM1; p=";
	static const char edwards[] =
	    "v=DKIM1; k=ed25519; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
	struct dkim_key k = {0};

	email_auth_dkim(&k, "v=spf1 -all", 11);
	assert_false(k.exists);
	email_auth_dkim(&k, good, sizeof(good) - 1);
	assert_true(k.exists && !k.revoked && !k.testing && !k.ed25519);
	assert_int_equal(k.octets, 18);
	email_auth_dkim(&k, revoked, sizeof(revoked) - 1);
	assert_true(k.exists && k.revoked);
	email_auth_dkim(&k, edwards, sizeof(edwards) - 1);
	assert_true(k.ed25519 && k.testing);
	assert_int_equal(k.octets, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spf_names_the_provider),
	    cmocka_unit_test(test_spf_faults),
	    cmocka_unit_test(test_dmarc),
	    cmocka_unit_test(test_dkim),
	};

	return cmocka_run_group_tests_name("send/email-auth", tests, NULL, NULL);
}

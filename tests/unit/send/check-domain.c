/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/send/check/check-domain.c: a DNS of our own answers, at once or not at all, and the
 * findings are what a support engineer would say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "broker/send/check/check-domain.h"

struct record {
	const char *name, *text;
};

struct world {
	struct event_base *base;
	const struct record *zone;
	size_t count;
	bool silent; /* the name server does not answer */
	unsigned asked;
	struct buf findings; /* "name state text", a line each */
	bool done;
};

static struct world *world; /* for resolver_query, which is ours */

/* ---- the name server ---- */

struct lookup {
	char name[600];
	resolver_records_done *done;
	void *arg;
	bool cancelled;
};

static void
answer(evutil_socket_t sock, short what, void *arg)
{
	struct dns_record records[8];
	struct dns_answer answer = {.status = DNS_NO_NAME, .words = "none", .records = records};
	struct lookup *l = arg;
	const char *name = l->name;

	for (size_t i = 0; i < world->count; i++)
		if (strcmp(world->zone[i].name, name) == 0) {
			char *text = (char *)(uintptr_t)world->zone[i].text;

			assert_true(answer.count < ARRAY_SIZE(records));
			records[answer.count++] =
			    (struct dns_record){.text = text, .len = strlen(text)};
			answer.status = DNS_FOUND;
		}
	if (world->silent)
		answer = (struct dns_answer){.status = DNS_FAILED, .words = "silent"};
	if (!l->cancelled)
		l->done(l->arg, &answer);
	free(l);
}

struct lookup *
resolver_query(struct resolver *r, const char *name, enum dns_type type,
    resolver_records_done *done, void *arg)
{
	static const struct timeval now;
	struct lookup *l = calloc(1, sizeof(*l));

	world->asked++;
	assert_int_equal(type, DNS_TXT);
	assert_non_null(l);
	*l = (struct lookup){.done = done, .arg = arg};
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	assert_int_equal(event_base_once(world->base, -1, EV_TIMEOUT, answer, l, &now), 0);
	return l;
}

struct lookup *
resolver_cancel(struct lookup *l)
{
	if (l != NULL)
		l->cancelled = true;
	return NULL;
}

/* ---- the owner ---- */

static void
on_finding(void *arg, const char *name, const char *state, const char *text)
{
	struct world *w = arg;

	(void)buf_printf(&w->findings, "%s %s %s\n", name, state, text);
}

static void
on_done(void *arg)
{
	((struct world *)arg)->done = true;
}

static int
set_up(void **state)
{
	world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->base = event_base_new();
	world->findings = (struct buf)BUF_INIT(16384);
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	event_base_free(world->base);
	buf_free(&world->findings);
	free(world);
	return 0;
}

static const char *seen[2]; /* with what mail was signed */
static size_t seen_count;

static void
look(const char *domain, const char *provider, const char *selector, const struct record *zone,
    size_t count)
{
	struct check_domain *d;

	world->zone = zone;
	world->count = count;
	world->done = false;
	buf_clear(&world->findings);
	d = check_domain_new(
	    NULL, domain, provider, selector, seen, seen_count, on_finding, on_done, world);
	assert_non_null(d);
	assert_int_equal(world->findings.len, 0); /* not from within the call */
	while (!world->done)
		assert_int_equal(event_base_loop(world->base, EVLOOP_ONCE), 0);
	(void)check_domain_free(d);
}

static void
says(const char *what)
{
	if (strstr(buf_str(&world->findings), what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, buf_str(&world->findings));
}

/* ---- tests ---- */

static void
test_in_order(void **state)
{
	static const struct record zone[] = {
	    {"mail.example.com", "verification=1"},
	    {"mail.example.com", "v=spf1 include:spf.protection.outlook.com -all"},
	    {"spf.protection.outlook.com", "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 -all"},
	    {"_dmarc.example.com", "v=DMARC1; p=none; sp=reject; rua=mailto:d@example.com"},
	    {"selector1._domainkey.mail.example.com", "v=DKIM1; k=rsa; "
						      "p="
						      "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxIDAQAB"},
	};

	look("mail.example.com", "microsoft365", NULL, zone, ARRAY_SIZE(zone));
	says("spf ok names the provider: v=spf1 include:spf.protection.outlook.com -all (1 of 10");
	says("dkim ok selector1._domainkey.mail.example.com: an RSA key");
	/* found one domain up, whose rule for domains below it counts */
	says("dmarc ok policy reject, from example.com; aligned by SPF and DKIM");
}

static void
test_nothing_published(void **state)
{
	look("example.com", "google", NULL, NULL, 0);
	says("spf warn example.com has no SPF record");
	says("publish \"v=spf1 include:_spf.google.com -all\"");
	says("dkim warn no key under the selectors that the provider uses (google, ");
	says("dmarc warn example.com has no DMARC record");
	look("example.com", "amazon-ses", NULL, NULL, 0);
	says("publish \"v=spf1 include:amazonses.com -all\" (for the MAIL FROM domain)");
	look("example.com", "generic", NULL, NULL, 0);
	says("dkim info not looked for: give --selector");
	look("example.com", "generic", "s2026", NULL, 0);
	says("dkim fail s2026._domainkey.example.com holds no key");
}

static void
test_wrong_records(void **state)
{
	static const struct record zone[] = {
	    {"example.com", "v=spf1 mx +all"},
	    {"_dmarc.example.com", "v=DMARC1; p=reject"},
	    {"old._domainkey.example.com", "v=DKIM1; p="},
	    {"weak._domainkey.example.com", "v=DKIM1; t=y; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ"},
	};

	look("example.com", "google", "old", zone, ARRAY_SIZE(zone));
	says("spf warn the provider is not in it: add include:_spf.google.com");
	says("dkim warn old._domainkey.example.com: the key is revoked");
	says("dmarc warn policy reject, and neither SPF nor DKIM");
	look("example.com", "amazon-ses", "old", zone, ARRAY_SIZE(zone));
	says("add include:amazonses.com to \"v=spf1 mx +all\" (for the MAIL FROM domain)");
	look("example.com", "generic", "weak", zone, ARRAY_SIZE(zone));
	says("spf warn it ends in \"+all\"");
	says("an RSA key of 1024 bits or less: make one of 2048, in test mode");
}

/* RFC 7489 6.6.3: without a policy the record is ignored, or read as p=none where it asks for reports. */
static void
test_dmarc_without_policy(void **state)
{
	static const struct record zone[] = {
	    {"_dmarc.example.com", "v=DMARC1; rua=mailto:dmarc@example.com"},
	    {"_dmarc.example.net", "v=DMARC1; p=whatever"},
	};

	look("example.com", "generic", NULL, zone, ARRAY_SIZE(zone));
	says("dmarc warn _dmarc.example.com has a record without a policy");
	look("example.net", "generic", NULL, zone, ARRAY_SIZE(zone));
	says("dmarc warn _dmarc.example.net has a record without a policy");
}

/* Keys that mail was signed with: looked up beside the provider's, each where its d= says. */
static void
test_seen_keys(void **state)
{
	static const struct record zone[] = {
	    {"app._domainkey.example.com",
		"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
	    {"esp._domainkey.relay.example.net",
		"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
	    {"_dmarc.mail.example.com", "v=DMARC1; p=reject"},
	};

	seen[0] = "app example.com";
	seen[1] = "esp relay.example.net";
	seen_count = 2;
	look("mail.example.com", "google", NULL, zone, ARRAY_SIZE(zone));
	says("dkim ok app._domainkey.example.com: an Ed25519 key (seen in the DKIM-Signature of "
	     "mail)\n");
	says("dkim info esp._domainkey.relay.example.net: an Ed25519 key (seen in the "
	     "DKIM-Signature of "
	     "mail); it does not align with mail.example.com\n");
	says("aligned by DKIM");
	assert_null(strstr(buf_str(&world->findings), "google._domainkey"));
	/* the signature of a relay alone aligns with nothing */
	seen[0] = seen[1];
	seen_count = 1;
	look("mail.example.com", NULL, NULL, zone, ARRAY_SIZE(zone));
	says("dmarc warn policy reject, and neither");
	/* a signature whose key is gone; what a person gives is asked for alone */
	seen[0] = "old example.com";
	look("mail.example.com", NULL, NULL, zone, ARRAY_SIZE(zone));
	says("dkim fail old._domainkey.example.com holds no key (seen in");
	look("example.com", NULL, "app", zone, ARRAY_SIZE(zone));
	says("dkim ok app._domainkey.example.com: an Ed25519 key\n");
	assert_null(strstr(buf_str(&world->findings), "old"));
	seen_count = 0;
}

static void
test_silence(void **state)
{
	world->silent = true;
	look("example.com", "google", NULL, NULL, 0);
	says("spf warn DNS did not answer");
	says("dkim warn DNS did not answer");
	says("dmarc warn DNS did not answer");
}

/* An owner that goes away hears nothing more. */
static void
test_forgotten(void **state)
{
	struct check_domain *d =
	    check_domain_new(NULL, "example.com", NULL, NULL, NULL, 0, on_finding, on_done, world);

	(void)check_domain_free(d);
	(void)event_base_loop(world->base, EVLOOP_NONBLOCK);
	assert_int_equal(world->findings.len, 0);
	assert_int_equal(world->asked, 1);
}

int
main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_in_order),
	    WORLD_TEST(test_nothing_published),
	    WORLD_TEST(test_wrong_records),
	    WORLD_TEST(test_dmarc_without_policy),
	    WORLD_TEST(test_seen_keys),
	    WORLD_TEST(test_silence),
	    WORLD_TEST(test_forgotten),
	};

	return cmocka_run_group_tests_name("send/check-domain", tests, NULL, NULL);
}

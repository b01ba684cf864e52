/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Authentication-Results as providers write it, whose word counts, alignment, hops, and what follows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "deliverability/arrival.h"
#include "deliverability/authres.h"

static struct authres
parse(const char *text)
{
	struct authres a;

	assert_int_equal(authres_parse(text, strlen(text), &a), 0);
	return a;
}

static void
test_google(void **state)
{
	struct authres a = parse(" mx.google.com;\r\n       dkim=pass header.i=@example.com "
				 "header.s=s1 header.b=Ab12;\r\n"
				 "       spf=pass (google.com: domain of a@example.com designates "
				 "192.0.2.1 as permitted "
				 "sender) smtp.mailfrom=a@example.com;\r\n       dmarc=pass "
				 "(p=REJECT sp=REJECT dis=NONE) "
				 "header.from=example.com");

	assert_string_equal(a.id, "mx.google.com");
	assert_int_equal(a.count, 3);
	assert_string_equal(a.results[0].method, "dkim");
	assert_string_equal(authres_property(&a.results[0], "header.i"), "@example.com");
	assert_string_equal(a.results[1].result, "pass");
	assert_string_equal(authres_property(&a.results[1], "smtp.mailfrom"), "a@example.com");
	assert_string_equal(authres_property(&a.results[2], "header.from"), "example.com");
	assert_null(authres_property(&a.results[2], "header.d"));
}

/* No name of the host in front. */
static void
test_microsoft(void **state)
{
	struct authres a = parse(
	    "spf=softfail (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=none (message "
	    "not "
	    "signed) header.d=none;dmarc=fail action=none header.from=example.com;compauth=pass "
	    "reason=100");

	assert_string_equal(a.id, "");
	assert_int_equal(a.count, 4);
	assert_string_equal(a.results[0].result, "softfail");
	assert_string_equal(a.results[2].method, "dmarc");
	assert_string_equal(authres_property(&a.results[2], "header.from"), "example.com");
	assert_string_equal(a.results[3].method, "compauth");
}

static void
test_grammar(void **state)
{
	struct authres a = parse("example.com 1 (a ((nested) comment; with \\) signs)) ; none");

	assert_string_equal(a.id, "example.com");
	assert_int_equal(a.count, 0);
	a = parse(
	    "\"quoted.example\"; (why) DKIM/1 (x) = (y) Pass reason = \"it; is good\" HEADER.D = "
	    "Example.org ;; spf = fail");
	assert_string_equal(a.id, "quoted.example");
	assert_int_equal(a.count, 2);
	assert_string_equal(a.results[0].method, "dkim");
	assert_string_equal(a.results[0].result, "pass");
	assert_string_equal(authres_property(&a.results[0], "header.d"), "Example.org");
	assert_string_equal(a.results[1].result, "fail");
	assert_int_equal(authres_parse("", 0, &a), -EBADMSG);
	assert_int_equal(authres_parse("((((", 4, &a), -EBADMSG);
}

/* Every cut of a field is parsed without a fault. */
static void
test_cut(void **state)
{
	static const char text[] =
	    "a.example 1; spf=pass (c\\)) smtp.mailfrom=\"x y\"@e.test; dkim/1=fail "
	    "header.d=e.test; =; x; ; y=";
	struct authres a;

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, text, len);
		(void)authres_parse(copy, len, &a);
		free(copy);
	}
}

static const struct arrival_sent sent = {.from = "billing@mail.example.com",
    .subject = "Deliverability test 77",
    .message_id = "<77@mail.example.com>",
    .time = 1796000000};

static json_t *
arrive(const char *header)
{
	json_t *a = arrival_read(header, strlen(header), &sent);

	assert_non_null(a);
	return a;
}

static const char *
at(const json_t *a, const char *first, const char *second, const char *third)
{
	const json_t *v = json_object_get(a, first);

	v = second == NULL ? v : json_object_get(v, second);
	v = third == NULL ? v : json_object_get(v, third);
	return json_string_value(v);
}

static void
assert_verdict(const char *place, const json_t *a, const char *name, const char *words)
{
	json_t *v = arrival_verdict(place, a, sent.from);

	assert_string_equal(at(v, "verdict", NULL, NULL), name);
	assert_non_null(strstr(at(v, "text", NULL, NULL), words));
	json_decref(v);
}

#define FIELDS                                                                      \
	"From: Billing <billing@mail.example.com>\r\nSubject: Deliverability test " \
	"77\r\nMessage-ID: <77@mail.example.com>\r\n\r\n"

static void
test_own_host(void **state)
{
	json_t *a = arrive(
	    "Received: by 2002:a05:622a::1 with SMTP id x; Mon, 30 Nov 2026 00:53:27 +0000\r\n"
	    "Received: from out.example.com by mx.example.net with ESMTPS id 1; Mon, 30 Nov 2026 "
	    "00:53:26 +0000\r\nAuthentication-Results: mx.example.net; spf=pass "
	    "smtp.mailfrom=b@bounces.example.com; dkim=pass header.d=other.test header.s=k; "
	    "dmarc=pass "
	    "header.from=mail.example.com\r\nReceived: by vm (Frank) id 6618; Mon, 30 Nov 2026 "
	    "00:53:22 "
	    "+0000\r\nAuthentication-Results: mx.example.net; dkim=pass "
	    "header.d=mail.example.com\r\n" FIELDS);
	const json_t *auth = json_object_get(a, "authentication");
	json_t *hops = json_object_get(a, "hops");

	assert_string_equal(at(auth, "host", NULL, NULL), "mx.example.net");
	assert_string_equal(at(auth, "spf", "domain", NULL), "bounces.example.com");
	assert_true(json_is_true(json_object_get(json_object_get(auth, "spf"), "aligned")));
	/* what stands below a host of somebody else may be anybody's */
	assert_int_equal(json_array_size(json_object_get(auth, "dkim")), 1);
	assert_string_equal(at(auth, "dmarc", "computed", NULL), "pass");
	assert_string_equal(at(auth, "dmarc", "result", NULL), "pass");
	assert_int_equal(json_array_size(hops), 3);
	assert_string_equal(at(json_array_get(hops, 0), "by", NULL, NULL), "vm");
	assert_int_equal(
	    json_integer_value(json_object_get(json_array_get(hops, 1), "seconds")), 4);
	assert_int_equal(json_array_size(json_object_get(a, "changed")), 0);
	assert_verdict("", a, "good", "proved");
	assert_verdict("\\Junk", a, "junk", "although");
	assert_verdict(NULL, NULL, "missing", "did not come");
	json_decref(a);
}

/* The name of the host that judges must be the provider's own. */
static void
test_forged(void **state)
{
	json_t *a = arrive("Received: from x by mx.example.net; Mon, 30 Nov 2026 00:53:26 "
			   "+0000\r\nAuthentication-Results: evil.test; dkim=pass "
			   "header.d=mail.example.com\r\n" FIELDS);
	const json_t *auth = json_object_get(a, "authentication");

	assert_true(json_is_null(json_object_get(auth, "host")));
	assert_string_equal(at(auth, "dmarc", "computed", NULL), "fail");
	assert_verdict("", a, "good", "does not say");
	json_decref(a);
}

static void
test_weak(void **state)
{
	json_t *a =
	    arrive("Received: from x by mail.protection.outlook.com; Mon, 30 Nov 2026 00:53:26 "
		   "+0000\r\nAuthentication-Results: spf=pass (sender IP is 192.0.2.1) "
		   "smtp.mailfrom=relay.test; dkim=none header.d=none;dmarc=fail action=none "
		   "header.from=mail.example.com\r\nFrom: other@relay.test\r\nSubject: "
		   "Deliverability test "
		   "77\r\nMessage-ID: <new@outlook.test>\r\n\r\n");
	json_t *changed = json_object_get(a, "changed");

	assert_string_equal(at(a, "authentication", "dmarc", "computed"), "fail");
	assert_string_equal(at(a, "authentication", "host", NULL), "mail.protection.outlook.com");
	assert_int_equal(json_array_size(changed), 2);
	assert_string_equal(at(json_array_get(changed, 0), "field", NULL, NULL), "From");
	assert_string_equal(
	    at(json_array_get(changed, 1), "received", NULL, NULL), "<new@outlook.test>");
	assert_verdict("", a, "weak", "DMARC fails");
	assert_verdict("\\Junk", a, "junk", "not proved");
	json_decref(a);
}

/* Public suffixes are nobody's: two customers of co.uk are not aligned. */
static void
test_suffix(void **state)
{
	static const struct arrival_sent uk = {
	    .from = "a@one.co.uk", .subject = "s", .message_id = "<m>"};
	static const char header[] =
	    "Received: from x by mx.example.net; Mon, 30 Nov 2026 00:53:26 "
	    "+0000\r\nAuthentication-Results: mx.example.net; spf=pass "
	    "smtp.mailfrom=two.co.uk; dkim=pass header.d=co.uk\r\n\r\n";
	json_t *a = arrival_read(header, strlen(header), &uk);

	assert_string_equal(at(a, "authentication", "dmarc", "computed"), "fail");
	json_decref(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_google),
	    cmocka_unit_test(test_microsoft),
	    cmocka_unit_test(test_grammar),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_own_host),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_weak),
	    cmocka_unit_test(test_suffix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

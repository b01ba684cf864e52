/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/keeper/sign-in/callback.c: what a browser may bring back, and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/issuer.h"
#include "broker/keeper/sign-in/callback.h"

#define GOOGLE "https%3A%2F%2Faccounts.google.com"

struct sample {
	const char *query;
	enum callback_verdict want;
	const char *code; /* or the error's code */
	bool iss_required;
};

static const struct sample samples[] = {
    {"state=st-1&code=abc", CALLBACK_CODE, "abc"},
    {"code=4%2F0AbC-d&state=st-1", CALLBACK_CODE, "4/0AbC-d"},
    {"code=a%252Fb&state=st-1", CALLBACK_CODE, "a%2Fb"}, /* decoded once */
    {"state=st-1&iss=" GOOGLE "&code=4%2F0&scope=x%20y&authuser=0&prompt=consent", CALLBACK_CODE,
	"4/0", true},
    {"code=1.A&state=st-1&session_state=00&session_state=00", CALLBACK_CODE,
	"1.A"}, /* unknown: may be there twice */
    {"&&state=st-1&&code=abc&", CALLBACK_CODE, "abc"},
    {"c%6Fde=abc&st%61te=st-1", CALLBACK_CODE, "abc"}, {"", CALLBACK_IGNORED},
    {"code=abc", CALLBACK_IGNORED}, {"code=abc&state=", CALLBACK_IGNORED},
    {"code=abc&state", CALLBACK_IGNORED}, {"code=abc&state=st-2", CALLBACK_IGNORED},
    {"code=abc&state=st-11", CALLBACK_IGNORED},
    {"code=abc&state=st-1&state=st-1", CALLBACK_IGNORED}, {"code=abc&state=%zz", CALLBACK_IGNORED},
    {"code=abc&state=st-1%00", CALLBACK_IGNORED},
    {"error=access_denied&state=wrong", CALLBACK_IGNORED},
    {"code=abc&code=def&state=st-1", CALLBACK_INVALID},
    {"code=abc&c%6fde=def&state=st-1", CALLBACK_INVALID},
    {"code=abc&iss=" GOOGLE "&iss=" GOOGLE "&state=st-1", CALLBACK_INVALID},
    {"error=a&error=b&state=st-1", CALLBACK_INVALID},
    {"code=abc&state=st-1&iss=https%3A%2F%2Fevil.example", CALLBACK_INVALID},
    {"code=abc&state=st-1&iss=" GOOGLE "%2F", CALLBACK_INVALID},
    {"code=abc&state=st-1&iss=", CALLBACK_INVALID},
    {"code=abc&state=st-1", CALLBACK_INVALID, NULL, true},
    {"error=access_denied&state=st-1", CALLBACK_INVALID, NULL, true},
    {"code=%&state=st-1", CALLBACK_INVALID}, {"code=a%00b&state=st-1", CALLBACK_INVALID},
    {"code=&state=st-1", CALLBACK_INVALID}, {"state=st-1", CALLBACK_INVALID},
    {"error=access_denied&error_description=The+user+said+no&state=st-1", CALLBACK_ERROR,
	"access_denied"},
    {"code=abc&error=access_denied&state=st-1", CALLBACK_ERROR,
	"access_denied"}, /* error before code */
};

static void
check(const struct sample *s)
{
	CLEANUP_SECRET struct secret *state = secret_new("st-1", 4);
	struct callback_expected expected = {.state = state,
	    .issuer = "https://accounts.google.com",
	    .iss_required = s->iss_required};
	struct callback c;
	enum callback_verdict got = callback_read(s->query, strlen(s->query), &expected, &c);

	if (got != s->want)
		fail_msg("%s: %d instead of %d", s->query, got, s->want);
	if (got == CALLBACK_CODE)
		assert_string_equal((const char *)secret_bytes(c.code), s->code);
	else
		assert_null(c.code);
	if (got == CALLBACK_ERROR)
		assert_string_equal(buf_str(&c.error), s->code);
	if (got == CALLBACK_IGNORED || got == CALLBACK_INVALID)
		assert_non_null(c.why);
	callback_clear(&c);
}

static void
test_samples(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		check(&samples[i]);
}

static void
test_description_is_kept(void **state)
{
	static const char query[] = "error=x&error_description=%0D%0Aa+b%0D%0A%0D%0Ac+%3Cb%3E%C3%"
				    "A9%E2%80%AE%1B%ff&state=st-1";
	CLEANUP_SECRET struct secret *s = secret_new("st-1", 4);
	struct callback_expected expected = {.state = s};
	struct callback c;

	assert_int_equal(callback_read(query, sizeof(query) - 1, &expected, &c), CALLBACK_ERROR);
	assert_string_equal(
	    buf_str(&c.text), "a b c <b>\xc3\xa9 ?"); /* escaped where it is shown */
	callback_clear(&c);
}

static void
test_unknown_issuer_is_not_compared(void **state)
{
	static const char query[] = "code=x&iss=anything&state=st-1";
	CLEANUP_SECRET struct secret *s = secret_new("st-1", 4);
	struct callback_expected expected = {.state = s};
	struct callback c;

	assert_int_equal(callback_read(query, sizeof(query) - 1, &expected, &c), CALLBACK_CODE);
	callback_clear(&c);
}

static bool
fits(const char *expected, const char *got)
{
	return issuer_fits(expected, got);
}

static void
test_microsofts_template(void **state)
{
	static const char template[] = "https://login.microsoftonline.com/{tenantid}/v2.0";

	assert_true(fits(template,
	    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
	assert_false(fits(template,
	    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dag/v2.0"));
	assert_false(
	    fits(template, "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112/v2.0"));
	assert_false(fits(template, "https://login.microsoftonline.com//v2.0"));
	assert_false(fits(template,
	    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v1.0"));
	assert_false(
	    fits(template, "https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
	assert_true(fits("https://a.example", "https://a.example"));
	assert_false(fits("https://a.example", "https://a.example/"));
}

static void
test_too_long(void **state)
{
	CLEANUP_SECRET struct secret *s = secret_new("st-1", 4);
	struct callback_expected expected = {.state = s};
	CLEANUP_FREE char *query = malloc(CALLBACK_MAX + 1);
	struct callback c;

	memset(query, 'x', CALLBACK_MAX + 1);
	assert_int_equal(callback_read(query, CALLBACK_MAX + 1, &expected, &c), CALLBACK_IGNORED);
	callback_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_description_is_kept),
	    cmocka_unit_test(test_unknown_issuer_is_not_compared),
	    cmocka_unit_test(test_microsofts_template),
	    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/https/device-answer.c: what servers answer to a request for a device code, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "broker/https/device-answer.h"
#include "broker/https/document.h"

#define CODES "\"device_code\": \"dc\", \"user_code\": \"WDJB-MJHT\", "
#define PLACE "\"verification_uri\": \"https://example.com/device\""

static const struct {
	long status;
	const char *body;
	const char *user_code; /* NULL: no success */
	const char *uri, *complete;
	int64_t expires_in, interval;
	const char *error; /* NULL where neither: a fault */
} rows[] = {
    /* RFC 8628 section 3.2 */
    {200,
	"{" CODES PLACE ", \"verification_uri_complete\": \"https://example.com/d?c=1\", "
	"\"expires_in\": 1800, \"interval\": 7}",
	"WDJB-MJHT", "https://example.com/device", "https://example.com/d?c=1", 1800, 7, NULL},
    /* Google's spelling; digits in quotes; no interval: five seconds */
    {200,
	"{" CODES "\"verification_url\": \"https://www.google.com/device\", \"expires_in\": "
	"\"1800\"}",
	"WDJB-MJHT", "https://www.google.com/device", NULL, 1800, 5, NULL},
    /* nonsense in the times */
    {200, "{" CODES PLACE ", \"expires_in\": -3, \"interval\": 0}", "WDJB-MJHT",
	"https://example.com/device", NULL, DEVICE_LIFE_ABSENT, DEVICE_INTERVAL_ABSENT, NULL},
    {200, "{" CODES PLACE ", \"expires_in\": 1e300, \"interval\": 1e9}", "WDJB-MJHT",
	"https://example.com/device", NULL, DEVICE_LIFE_MAX, DEVICE_INTERVAL_MAX, NULL},
    /* a complete address that is not for a person is left out */
    {200, "{" CODES PLACE ", \"verification_uri_complete\": \"javascript:alert(1)\"}", "WDJB-MJHT",
	"https://example.com/device", NULL, DEVICE_LIFE_ABSENT, DEVICE_INTERVAL_ABSENT, NULL},
    /* refused: no https, what a terminal would obey, what is not there */
    {200, "{" CODES "\"verification_uri\": \"http://example.com/device\"}", NULL, NULL, NULL, 0, 0,
	NULL},
    {200, "{\"device_code\": \"dc\", \"user_code\": \"a\\u001b[2J\", " PLACE "}", NULL, NULL, NULL,
	0, 0, NULL},
    {200, "{" CODES "\"expires_in\": 5}", NULL, NULL, NULL, 0, 0, NULL},
    {500, "{" CODES PLACE "}", NULL, NULL, NULL, 0, 0, NULL},
    {200, "<html>", NULL, NULL, NULL, 0, 0, NULL},
    /* errors, whatever the status */
    {400, "{\"error\": \"unauthorized_client\", \"error_description\": \"no\\nway\"}", NULL, NULL,
	NULL, 0, 0, "unauthorized_client"},
    {200, "{\"error\": \"invalid_scope\"}", NULL, NULL, NULL, 0, 0, "invalid_scope"},
};

static void
assert_text(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct device_answer a;

		assert_int_equal(
		    device_answer_parse(rows[i].status, rows[i].body, strlen(rows[i].body), &a), 0);
		assert_text(a.user_code, rows[i].user_code);
		assert_text(a.verification_uri, rows[i].uri);
		assert_text(a.verification_uri_complete, rows[i].complete);
		assert_text(a.error, rows[i].error);
		assert_int_equal(a.device_code != NULL, rows[i].user_code != NULL);
		assert_int_equal(a.expires_in, rows[i].expires_in);
		assert_int_equal(a.interval, rows[i].interval);
		assert_int_equal(
		    a.fault != NULL, rows[i].user_code == NULL && rows[i].error == NULL);
		device_answer_clear(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	document_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* difference.c: in what two checks differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admin/difference.h"

static const char staging[] =
    "{'account': 'staging', 'state': 'active', 'provider': 'microsoft365', 'mailbox': "
    "'test@staging.example',"
    " 'grant': 'authorization-code', 'endpoint': 'smtp.office365.com:587 [192.0.2.1]', 'tls': "
    "'starttls',"
    " 'mechanisms': 'xoauth2', 'cause': 'healthy',"
    " 'credential': {'state': 'active', 'identity': 'test@staging.example', 'scope': "
    "'offline_access SMTP.Send'},"
    " 'services': [{'service': 'web', 'mode': 'capture', 'senders': ['test@staging.example', "
    "'*@staging.example'],"
    "   'users': ['www-data'], 'rate_minute': 30}],"
    " 'steps': [{'name': 'connect', 'state': 'ok', 'text': 'smtp.office365.com:587 [192.0.2.1]'},"
    "  {'name': 'ehlo', 'state': 'info', 'text': 'within TLS: SIZE 157286400, DSN, SMTPUTF8'},"
    "  {'name': 'auth', 'state': 'ok', 'text': 'XOAUTH2 as test@staging.example'},"
    "  {'name': 'dmarc', 'state': 'ok', 'text': 'p=reject for staging.example'}]}";

/* The same account elsewhere, as far as nothing is replaced in it. */
static const char production[] =
    "{'account': 'live', 'state': 'active', 'provider': 'microsoft365', 'mailbox': "
    "'bills@example.com',"
    " 'grant': 'authorization-code', 'endpoint': 'smtp.office365.com:587 [192.0.2.77]', 'tls': "
    "'starttls',"
    " 'mechanisms': 'xoauth2', 'cause': 'healthy',"
    " 'credential': {'state': 'active', 'identity': 'test@staging.example', 'scope': 'SMTP.Send "
    "offline_access'},"
    " 'services': [{'service': 'web', 'mode': 'capture', 'senders': ['*@example.com', "
    "'bills@example.com'],"
    "   'users': ['www-data'], 'rate_minute': 30}],"
    " 'steps': [{'name': 'connect', 'state': 'ok', 'text': 'smtp.office365.com:587 [192.0.2.77]'},"
    "  {'name': 'ehlo', 'state': 'info', 'text': 'within TLS: SMTPUTF8, SIZE 157286400, DSN'},"
    "  {'name': 'auth', 'state': 'ok', 'text': 'XOAUTH2 as bills@example.com'},"
    "  {'name': 'dmarc', 'state': 'ok', 'text': 'p=reject for example.com'}]}";

/* Reads JSON that is written with ' for ", one part of it replaced. */
static json_t *
read_json(const char *text, const char *what, const char *with)
{
	char copy[4096], *at;
	json_t *o;

	if (what == NULL) {
		(void)snprintf(copy, sizeof(copy), "%s", text);
	} else {
		const char *found = strstr(text, what);

		assert_non_null(found);
		(void)snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(found - text), text, with,
		    found + strlen(what));
	}
	for (at = copy; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	o = json_loads(copy, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	return o;
}

static json_t *
compare(const char *what, const char *with)
{
	json_t *a = read_json(staging, NULL, NULL), *b = read_json(production, what, with),
	       *rows = difference_find(a, b);

	assert_non_null(rows);
	json_decref(a);
	json_decref(b);
	return rows;
}

/* Order of sets, addresses, and each side's own names are no difference. */
static void
test_same(void **state)
{
	json_t *rows = compare(NULL, NULL);

	if (json_array_size(rows) != 0)
		fail_msg("%s", json_dumps(rows, JSON_INDENT(1)));
	json_decref(rows);
}

static void
test_one_difference(void **state)
{
	static const struct {
		const char *what, *with, *item, *a, *b;
	} cases[] = {
	    {"'smtp.office365.com:587 [192.0.2.77]', 'tls'", "'smtp.example.com:465', 'tls'",
		"server", "smtp.office365.com:587", "smtp.example.com:465"},
	    {"'tls': 'starttls'", "'tls': 'implicit'", "TLS mode", "starttls", "implicit"},
	    {"'mechanisms': 'xoauth2'", "'mechanisms': 'xoauth2 plain'", "mechanisms allowed", NULL,
		"only here: plain"},
	    {"SMTP.Send offline_access", "offline_access", "scopes", "only here: SMTP.Send", NULL},
	    {"'identity': 'test@staging.example'", "'identity': 'admin@example.com'",
		"signed in as", "test@staging.example", "admin@example.com"},
	    {"'mode': 'capture'", "'mode': 'deliver'", "mode (service web)", "capture", "deliver"},
	    {"'*@example.com', ", "", "senders (service web)", "only here: *@DOMAIN", NULL},
	    {"'rate_minute': 30", "'rate_minute': 3", "messages a minute (service web)", "30", "3"},
	    {"SMTPUTF8, SIZE 157286400", "SIZE 1000", "ehlo", "only here: 157286400 SMTPUTF8",
		"only here: 1000"},
	    {"'auth', 'state': 'ok', 'text': 'XOAUTH2 as bills@example.com'",
		"'auth', 'state': 'fail', 'text': '535 5.7.3'", "auth",
		"ok: XOAUTH2 as test@staging.example", "fail: 535 5.7.3"},
	    {"'dmarc', 'state': 'ok'", "'dmarc', 'state': 'warn'", "dmarc",
		"ok: p=reject for staging.example", "warn: p=reject for example.com"},
	    {"'cause': 'healthy'", "'cause': 'password-refused'", "verdict", "healthy",
		"password-refused"},
	    {"'grant': 'authorization-code'", "'grant': 'client-credentials'", "grant",
		"authorization-code", "client-credentials"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *rows = compare(cases[i].what, cases[i].with),
		       *row = json_array_get(rows, 0);
		const char *a = json_string_value(json_object_get(row, "a")),
			   *b = json_string_value(json_object_get(row, "b"));

		if (json_array_size(rows) != 1)
			fail_msg("%s: %s", cases[i].item, json_dumps(rows, JSON_INDENT(1)));
		assert_string_equal(json_string_value(json_object_get(row, "item")), cases[i].item);
		assert_string_equal(a == NULL ? "-" : a, cases[i].a == NULL ? "-" : cases[i].a);
		assert_string_equal(b == NULL ? "-" : b, cases[i].b == NULL ? "-" : cases[i].b);
		assert_true(strlen(json_string_value(json_object_get(row, "means"))) > 10);
		json_decref(rows);
	}
}

/* Several services are paired by their names; those that only one side has are named. */
static void
test_services(void **state)
{
	json_t *a = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "services", "service", "web", "mode",
		   "capture", "service", "cron", "mode", "deliver"),
	       *b = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "services", "service", "cron", "mode",
		   "capture", "service", "mail", "mode", "deliver"),
	       *rows = difference_find(a, b);
	char text[200] = "";

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *in_a = json_string_value(json_object_get(row, "a")),
			   *in_b = json_string_value(json_object_get(row, "b"));

		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s: %s %s; ",
		    json_string_value(json_object_get(row, "item")), in_a == NULL ? "-" : in_a,
		    in_b == NULL ? "-" : in_b);
	}
	assert_string_equal(
	    text, "service: web -; service: - mail; mode (service cron): deliver capture; ");
	json_decref(rows);
	json_decref(a);
	json_decref(b);
}

/* What one side does not know is no difference: a server without an account, a file from elsewhere. */
static void
test_partial(void **state)
{
	json_t *a = read_json(staging, NULL, NULL),
	       *b = json_pack("{s:s, s:[]}", "host", "smtp.office365.com:587", "steps"),
	       *odd = json_pack("{s:[i, {s:i}], s:i, s:{s:[i]}, s:[i]}", "steps", 1, "name", 7,
		   "mailbox", 5, "credential", "scope", 3, "services", 4),
	       *rows;

	json_object_del(a, "cause");
	rows = difference_find(a, b);
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
	rows = difference_find(a, odd);
	assert_non_null(rows);
	json_decref(rows);
	json_decref(a);
	json_decref(b);
	json_decref(odd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_one_difference),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_partial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/https/request.c, form.c, url.c, http-time.c and discovery.c: what is asked,
 * where, and what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/issuer.h"
#include "broker/https/discovery-cache.h"
#include "broker/https/document.h"
#include "broker/https/http-time.h"
#include "broker/https/request.h"
#include "broker/https/url.h"

/* ---- the form ---- */

static struct message *
token_request(const char *client, const char *way, const char *secret)
{
	struct message *m = message_new(M_TOKEN_REQUEST);

	message_put_u64(m, F_ID, 7);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_TOKEN_ENDPOINT, "https://login.example.com/token");
	message_put_str(m, F_CLIENT_ID, client);
	message_put_str(m, F_CLIENT_AUTH, way);
	if (secret != NULL)
		message_put_bytes(m, F_CLIENT_SECRET, secret, strlen(secret));
	return m;
}

static void
add(struct message *m, const char *parameter)
{
	message_put_bytes(m, F_PARAMETER, parameter, strlen(parameter));
}

static void
expect_form(struct message *m, const char *form, const char *authorization)
{
	struct request *r = request_new(m);

	assert_non_null(r);
	assert_string_equal(buf_str(&r->form), form);
	assert_string_equal(buf_str(&r->authorization), authorization);
	(void)request_free(r);
	(void)message_free(m);
}

static void
test_form(void **state)
{
	struct message *m = token_request("id-1", "post", "a+b/c=~.-_ %");

	add(m, "grant_type=refresh_token");
	add(m, "refresh_token=4/0A&b=c");
	add(m, "scope=openid https://mail.google.com/");
	expect_form(m,
	    "grant_type=refresh_token&refresh_token=4%2F0A%26b%3Dc&scope=openid%20https%3A%2F%"
	    "2Fmail.google.com%2F"
	    "&client_id=id-1&client_secret=a%2Bb%2Fc%3D~.-_%20%25",
	    "");
	/* RFC 6749 section 2.3.1: encoded first; b%40sic%3A%20secret%2F%2B%25 */
	m = token_request("broker-basic", "basic", "b@sic: secret/+%");
	add(m, "grant_type=refresh_token");
	expect_form(m, "grant_type=refresh_token",
	    "Authorization: Basic YnJva2VyLWJhc2ljOmIlNDBzaWMlM0ElMjBzZWNyZXQlMkYlMkIlMjU=");
	m = token_request("my id:1", "basic", "s");
	add(m, "a=b");
	expect_form(m, "a=b", "Authorization: Basic bXklMjBpZCUzQTE6cw==");
	/* a public client; a secret that is there all the same is not sent */
	m = token_request("id-1", "none", "never-sent");
	add(m, "grant_type=authorization_code");
	expect_form(m, "grant_type=authorization_code&client_id=id-1", "");
	/* without a secret Basic has nothing to say */
	m = token_request("id-1", "basic", NULL);
	add(m, "a=");
	expect_form(m, "a=&client_id=id-1", "");
	/* a parameter of the caller's own is not doubled */
	m = token_request("id-1", "none", NULL);
	add(m, "client_id=other");
	expect_form(m, "client_id=other", "");
}

static void
test_form_refused(void **state)
{
	static const char *const bad[] = {"", "noequals", "=value"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct message *m = token_request("id", "none", NULL);

		add(m, bad[i]);
		assert_null(request_new(m));
		assert_int_equal(errno, EINVAL);
		(void)message_free(m);
	}
}

static void
test_userinfo_header(void **state)
{
	struct message *m = message_new(M_USERINFO);

	message_put_u64(m, F_ID, 1);
	message_put_str(m, F_ACCOUNT, "a");
	message_put_str(m, F_USERINFO_ENDPOINT, "https://x/");
	message_put_bytes(m, F_ACCESS_TOKEN, "tok.en", 6);
	expect_form(m, "", "Authorization: Bearer tok.en");
	m = message_new(M_USERINFO);
	message_put_u64(m, F_ID, 1);
	message_put_str(m, F_ACCOUNT, "a");
	message_put_str(m, F_USERINFO_ENDPOINT, "https://x/");
	message_put_bytes(m, F_ACCESS_TOKEN, "to\r\nX: y", 8);
	assert_null(request_new(m));
	(void)message_free(m);
}

/* A server that quotes what it was sent does not carry it into logs. */
static void
test_redaction(void **state)
{
	struct message *m = token_request("client-identifier", "post", "s3cr3t-value");
	struct request *r;
	const struct answer_head head = {.status = 400, .date = -1, .retry_after = -1};
	struct message *answer;

	add(m, "refresh_token=rt-0123456789");
	add(m, "redirect_uri=http://127.0.0.1:99/");
	r = request_new(m);
	assert_non_null(r);
	answer = request_revoke_answer(r, &head, "invalid_request",
	    "bad rt-0123456789, s3cr3t-value for client-identifier at http://127.0.0.1:99/ rt-012");
	assert_string_equal(message_str(answer, F_TEXT),
	    "bad [redacted], [redacted] for client-identifier at http://127.0.0.1:99/ rt-012");
	(void)message_free(answer);
	(void)request_free(r);
	(void)message_free(m);
}

static void
test_answer_messages(void **state)
{
	static const char body[] = "{\"access_token\":\"at\",\"refresh_token\":\"rt\",\"token_"
				   "type\":\"Bearer\",\"expires_in\":60,\"scope\":\"a b\","
				   "\"id_token\":\"e30."
				   "eyJpc3MiOiJodHRwczovL2kiLCJhdWQiOiJjIiwibm9uY2UiOiJuIiwiZXhwIjo"
				   "yMDAwLCJlbWFpbCI6ImFAYiJ9.c\"}";
	struct message *m = token_request("id", "none", NULL);
	struct request *r = request_new(m);
	struct answer_head head = {.status = 200, .date = 1010, .retry_after = -1, .now = 1000};
	struct token_response a;
	struct message *answer;
	const char *why, *s;
	size_t at = 0;

	assert_int_equal(token_answer_parse(200, body, strlen(body), &a), 0);
	answer = request_token_answer(r, &head, &a);
	assert_int_equal(message_check(answer, ROLE_FETCH, ROLE_KEEPER, false, &why), 0);
	assert_int_equal(message_u64(answer, F_ID, 0), 7);
	assert_int_equal(message_u64(answer, F_HTTP_STATUS, 0), 200);
	assert_int_equal(message_u64(answer, F_SKEW, 99), 10);
	assert_int_equal(message_u64(answer, F_EXPIRES_IN, 0), 60);
	assert_false(message_has(answer, F_REFRESH_EXPIRES_IN));
	assert_string_equal(message_str(answer, F_SCOPE), "a b");
	assert_string_equal(message_str(answer, F_ID_ISSUER), "https://i");
	assert_true(message_next_str(answer, F_ID_AUDIENCE, &at, &s));
	assert_string_equal(s, "c");
	at = 0;
	assert_true(message_next_str(answer, F_ID_CLAIM, &at, &s));
	assert_string_equal(s, "email=a@b");
	assert_true(message_has(answer, F_NONCE));
	assert_false(message_has(answer, F_FAULT));
	/* an ID token that is over, by the server's own clock, is said to be */
	assert_false(message_has(answer, F_ID_OVER));
	(void)message_free(answer);
	head.date = 2000 + ID_EXPIRY_LEEWAY + 1;
	a.refresh_expires_in = 0;
	answer = request_token_answer(r, &head, &a);
	assert_true(message_has(answer, F_ACCESS_TOKEN));
	assert_int_equal(message_u64(answer, F_ID_OVER, 0), ID_EXPIRY_LEEWAY + 1);
	assert_int_equal(message_u64(answer, F_REFRESH_EXPIRES_IN, 9), 0);
	(void)message_free(answer);
	/* a fault bears no token, whatever came beside it */
	head.fault = "closed";
	answer = request_token_answer(r, &head, &a);
	assert_int_equal(message_check(answer, ROLE_FETCH, ROLE_KEEPER, false, &why), 0);
	assert_false(message_has(answer, F_ACCESS_TOKEN));
	assert_string_equal(message_str(answer, F_FAULT), "closed");
	(void)message_free(answer);
	token_answer_clear(&a);
	(void)request_free(r);
	(void)message_free(m);
}

/* ---- addresses ---- */

static void
test_url(void **state)
{
	static const char *const good[] = {"https://login.example.com", "https://a:8443/x?y=z",
	    "HTTPS://A/", "http://localhost:80/", "http://127.0.0.1/", "http://127.9.9.9:1/",
	    "http://[::1]:9/t", "https://[2001:db8::1]/"};
	static const char *const bad[] = {"", "login.example.com", "http://login.example.com/",
	    "http://localhost.evil.example/", "http://127.0.0.1.evil/", "ftp://127.0.0.1/",
	    "https://", "https:///x", "https://user@host/", "https://user:pw@host/",
	    "https://ho st/", "https://host/\r\nX:", "https://host/#f", "http://[::2]/",
	    "http://[::1/", "http://[::1]x/", "file:///etc/passwd", "http://0x7f000001/",
	    "http://2130706433/"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(url_refusal(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		print_message("refused: %s\n", bad[i]);
		assert_non_null(url_refusal(bad[i]));
	}
	assert_true(issuer_is_same_origin("https://A.example/x", "https://a.example/y?z"));
	assert_false(issuer_is_same_origin("https://a.example/x", "https://a.example:444/x"));
	assert_false(issuer_is_same_origin("https://a.example/x", "http://a.example/x"));
	assert_false(issuer_is_same_origin("https://a.example", "https://a.example.evil"));
}

static void
test_times(void **state)
{
	assert_int_equal(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(http_date("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(http_date("yesterday"), -1);
	assert_int_equal(http_date(NULL), -1);
	assert_int_equal(http_retry_after("120", -1, 0), 120);
	assert_int_equal(http_retry_after(" 7 ", -1, 0), 7);
	assert_int_equal(http_retry_after("0", -1, 0), 0);
	assert_int_equal(http_retry_after("99999999999999999999", -1, 0), HTTP_RETRY_AFTER_MAX);
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 30, 5), 30);
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", -1, 784111777 - 9), 9);
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 30, 5), 0);
	assert_int_equal(http_retry_after("soon", -1, 0), -1);
	assert_int_equal(http_retry_after("", -1, 0), -1);
	assert_int_equal(http_retry_after(NULL, -1, 0), -1);
}

/* ---- discovery ---- */

static void
test_discovery_addresses(void **state)
{
	static const struct {
		const char *issuer, *first, *second;
	} rows[] = {
	    {"https://a.example", "https://a.example/.well-known/oauth-authorization-server",
		"https://a.example/.well-known/openid-configuration"},
	    {"https://a.example/", "https://a.example/.well-known/oauth-authorization-server",
		"https://a.example/.well-known/openid-configuration"},
	    {"https://a.example/t/v2.0",
		"https://a.example/.well-known/oauth-authorization-server/t/v2.0",
		"https://a.example/t/v2.0/.well-known/openid-configuration"},
	};
	CLEANUP_BUF struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(discovery_address(rows[i].issuer, 0, &b), 1);
		assert_string_equal(buf_str(&b), rows[i].first);
		assert_int_equal(discovery_address(rows[i].issuer, 1, &b), 1);
		assert_string_equal(buf_str(&b), rows[i].second);
		assert_int_equal(discovery_address(rows[i].issuer, 2, &b), 0);
	}
}

static void
test_issuer(void **state)
{
	static const char guid[] =
	    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";

	assert_true(issuer_fits_document("https://a.example", "https://a.example"));
	assert_true(issuer_fits_document("https://a.example", "https://a.example/"));
	assert_false(issuer_fits_document("https://a.example", "https://a.example//"));
	assert_false(issuer_fits_document("https://a.example/t", "https://a.example/{tenantid}"));
	assert_true(issuer_fits_document("https://login.microsoftonline.com/common/v2.0",
	    "https://login.microsoftonline.com/{tenantid}/v2.0"));
	assert_true(issuer_fits_document("https://login.microsoftonline.com/consumers/v2.0", guid));
	assert_true(
	    issuer_fits_document("https://login.microsoftonline.com/contoso.example/v2.0", guid));
	assert_false(
	    issuer_fits_document(guid, "https://login.microsoftonline.com/{tenantid}/v2.0"));
	assert_false(issuer_fits_document("https://login.microsoftonline.com/common/v2.0",
	    "https://login.microsoftonline.com/{tenantid}/v1"));
	assert_false(issuer_fits_document("https://login.microsoftonline.com/common/v2.0",
	    "https://login.microsoftonline.us/{tenantid}/v2.0"));
	assert_false(issuer_fits_document("https://login.microsoftonline.com/common/v2.0",
	    "https://login.microsoftonline.com/evil/v2.0"));
	assert_false(issuer_fits_document(
	    "https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com"));
	assert_false(issuer_fits_document("https://login.microsoftonline.com.evil/common/v2.0",
	    "https://login.microsoftonline.com.evil/{tenantid}/v2.0"));
}

static void
test_documents(void **state)
{
	static const struct {
		const char *body, *why;
	} rows[] = {
	    {"{\"issuer\":\"https://i\",\"token_endpoint\":\"https://i/t\"}", NULL},
	    {"{\"issuer\":\"https://i/\",\"token_endpoint\":\"https://i/t\"}", NULL},
	    {"{\"issuer\":\"https://i\",\"token_endpoint\":\"http://127.0.0.1:1/t\"}",
		"names an endpoint that is not https: http://127.0.0.1:1/t"},
	    {"{\"issuer\":\"https://i\",\"token_endpoint\":\"https://i/t\",\"authorization_"
	     "endpoint\":\"http://localhost/a\"}",
		"names an endpoint that is not https: http://localhost/a"},
	    {"{\"issuer\":\"https://j\",\"token_endpoint\":\"https://i/t\"}",
		"names the issuer https://j, and not the one that it was asked for, https://i"},
	    {"{\"issuer\":\"https://i//\",\"token_endpoint\":\"https://i/t\"}",
		"names the issuer https://i//, and not the one that it was asked for, https://i"},
	    {"{\"token_endpoint\":\"https://i/t\"}", "names no issuer"},
	    {"{\"issuer\":\"https://i\"}", "names no token endpoint"},
	    {"{\"issuer\":\"https://i\",\"token_endpoint\":\"http://i/t\"}",
		"names an endpoint that is not https: http://i/t"},
	    {"{\"issuer\":\"https://i\",\"token_endpoint\":\"https://i/"
	     "t\",\"userinfo_endpoint\":\"http://i/u\"}",
		"names an endpoint that is not https: http://i/u"},
	    {"<html>", "is no metadata document"},
	    {"", "is no metadata document"},
	};
	static const char full[] =
	    "{\"issuer\":\"https://i\",\"token_endpoint\":\"https://i/"
	    "t\",\"authorization_endpoint\":\"https://i/a\","
	    "\"device_authorization_endpoint\":\"https://i/d\",\"revocation_endpoint\":\"https://i/"
	    "r\",\"userinfo_endpoint\":\"https://i/u\","
	    "\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\",5,\"none\"],"
	    "\"authorization_response_iss_parameter_supported\":true}";
	CLEANUP_BUF struct buf why = BUF_INIT(1024);
	struct discovery d;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		buf_clear(&why);
		r = discovery_parse(rows[i].body, strlen(rows[i].body), "https://i", &d, &why);

		print_message("document: %s\n", rows[i].body);
		if (rows[i].why == NULL) {
			assert_int_equal(r, 0);
		} else {
			assert_int_equal(
			    r, strstr(rows[i].why, "no metadata") != NULL ? -EBADMSG : -EINVAL);
			assert_string_equal(buf_str(&why), rows[i].why);
		}
		discovery_clear(&d);
	}
	assert_int_equal(discovery_parse(full, strlen(full), "https://i", &d, &why), 0);
	assert_string_equal(d.authorization_endpoint, "https://i/a");
	assert_string_equal(d.device_endpoint, "https://i/d");
	assert_string_equal(d.revocation_endpoint, "https://i/r");
	assert_string_equal(d.userinfo_endpoint, "https://i/u");
	assert_string_equal(d.auth_methods, "client_secret_basic none");
	assert_true(d.iss_required);
	discovery_clear(&d);
}

static void
test_cache(void **state)
{
	struct discovery_cache *c = discovery_cache_new();
	struct discovery d = {
	    .issuer = (char *)"https://i", .token_endpoint = (char *)"https://i/t"};
	char issuer[32];

	assert_null(discovery_cache_get(c, "a", "https://i", 0));
	discovery_cache_put(c, "a", "https://i", &d, 10);
	assert_string_equal(
	    discovery_cache_get(c, "a", "https://i", 11)->token_endpoint, "https://i/t");
	assert_null(discovery_cache_get(
	    c, "b", "https://i", 11)); /* another account may trust other authorities */
	assert_non_null(discovery_cache_get(c, "a", "https://i", 9 + DISCOVERY_CACHE_SECONDS));
	assert_null(discovery_cache_get(c, "a", "https://i", 10 + DISCOVERY_CACHE_SECONDS));
	for (int i = 0; i < DISCOVERY_CACHE_MAX; i++) {
		(void)snprintf(issuer, sizeof(issuer), "https://%d", i);
		discovery_cache_put(c, "a", issuer, &d, 11);
	}
	assert_null(discovery_cache_get(c, "a", "https://i", 12));
	assert_non_null(discovery_cache_get(c, "a", "https://0", 12));
	discovery_cache_clear(c);
	assert_null(discovery_cache_get(c, "a", "https://0", 12));
	(void)discovery_cache_free(c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_form_refused),
	    cmocka_unit_test(test_userinfo_header),
	    cmocka_unit_test(test_redaction),
	    cmocka_unit_test(test_answer_messages),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_discovery_addresses),
	    cmocka_unit_test(test_issuer),
	    cmocka_unit_test(test_documents),
	    cmocka_unit_test(test_cache),
	};

	document_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

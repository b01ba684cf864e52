/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/https/token-answer.c and id-token.c: every answer that servers in the field
 * were seen to give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "broker/https/document.h"
#include "broker/https/token-answer.h"

enum outcome { TOKEN, OAUTH_ERROR, FAULT };

struct row {
	long status;
	const char *body;
	enum outcome outcome;
	const char *text; /* the token, the error or the fault */
	int64_t expires_in;
	const char *refresh;
};

#define AT "\"access_token\":\"at-1\""

static const struct row rows[] = {
    /* what a server should answer */
    {200, "{" AT ",\"token_type\":\"Bearer\",\"expires_in\":3600,\"refresh_token\":\"rt-1\"}",
	TOKEN, "at-1", 3600, "rt-1"},
    {200, "{" AT ",\"token_type\":\"bearer\",\"expires_in\":3599}", TOKEN, "at-1", 3599, NULL},
    {201, "{" AT ",\"token_type\":\"BEARER\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT "}", TOKEN, "at-1", -1, NULL},
    /* expires_in */
    {200, "{" AT ",\"expires_in\":\"3600\"}", TOKEN, "at-1", 3600, NULL},
    {200, "{" AT ",\"expires_in\":\"0\"}", TOKEN, "at-1", 0, NULL},
    {200, "{" AT ",\"expires_in\":\"\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"expires_in\":\"soon\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"expires_in\":\"-1\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"expires_in\":\"99999999999999999999999999\"}", TOKEN, "at-1",
	TOKEN_ANSWER_LIFE_MAX, NULL},
    {200, "{" AT ",\"expires_in\":0}", TOKEN, "at-1", 0, NULL},
    {200, "{" AT ",\"expires_in\":-5}", TOKEN, "at-1", 0, NULL},
    {200, "{" AT ",\"expires_in\":3599.7}", TOKEN, "at-1", 3599, NULL},
    {200, "{" AT ",\"expires_in\":-0.5}", TOKEN, "at-1", 0, NULL},
    {200, "{" AT ",\"expires_in\":1e300}", TOKEN, "at-1", TOKEN_ANSWER_LIFE_MAX, NULL},
    {200, "{" AT ",\"expires_in\":9223372036854775807}", TOKEN, "at-1", TOKEN_ANSWER_LIFE_MAX,
	NULL},
    {200, "{" AT ",\"expires_in\":1e999}", FAULT, "something that is no JSON", 0, NULL},
    {200, "{" AT ",\"expires_in\":true}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"expires_in\":null}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"expires_in\":[60]}", TOKEN, "at-1", -1, NULL},
    /* refresh tokens */
    {200, "{" AT ",\"refresh_token\":\"\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"refresh_token\":null}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"refresh_token\":\"a b\"}", FAULT, "a token that holds forbidden characters", 0,
	NULL},
    /* token types */
    {200, "{" AT ",\"token_type\":\"mac\"}", FAULT, "a token that is no bearer token", 0, NULL},
    {200, "{" AT ",\"token_type\":7}", TOKEN, "at-1", -1, NULL},
    /* missing or unusable tokens */
    {200, "{\"token_type\":\"Bearer\",\"expires_in\":3600}", FAULT,
	"neither an access token nor an error", 0, NULL},
    {200, "{\"access_token\":\"\"}", FAULT, "neither an access token nor an error", 0, NULL},
    {200, "{\"access_token\":7}", FAULT, "neither an access token nor an error", 0, NULL},
    {200, "{\"access_token\":\"abc\\r\\nRCPT TO:<x@y>\"}", FAULT,
	"a token that holds forbidden characters", 0, NULL},
    {200, "{\"access_token\":\"abc\\u0001def\"}", FAULT, "a token that holds forbidden characters",
	0, NULL},
    {200, "{\"access_token\":\"t\\u00f6ken\"}", FAULT, "a token that holds forbidden characters", 0,
	NULL},
    {200, "{\"access_token\":\"abc\\u0000def\"}", FAULT, "JSON with a NUL in a string", 0, NULL},
    {200, "{\"access_token\":\"a\xff\xc0\x80\"}", FAULT, "JSON that is not UTF-8", 0, NULL},
    {200, "{" AT ",\"access_token\":\"at-2\"}", FAULT, "JSON that names a key twice", 0, NULL},
    {200, "{" AT ",\"x\":{\"y\":1,\"y\":2}}", FAULT, "JSON that names a key twice", 0, NULL},
    /* what is no answer at all */
    {200, "", FAULT, "an empty body", 0, NULL},
    {200, " \r\n\t", FAULT, "an empty body", 0, NULL},
    {200, "{" AT ",\"expires_in\":36", FAULT, "JSON that is cut short", 0, NULL},
    {200, "<html>Sign in to the hotel Wi-Fi</html>", FAULT, "a web page instead of JSON", 0, NULL},
    {503, "\n<html><h1>Server error</h1></html>", FAULT, "a web page instead of JSON", 0, NULL},
    {200, "[" AT "]", FAULT, "something that is no JSON", 0, NULL},
    {200, "[1]", FAULT, "JSON that is no object", 0, NULL},
    {200, "access_token=at-1&token_type=bearer", FAULT, "something that is no JSON", 0, NULL},
    {200, "{" AT "} {}", FAULT, "something that is no JSON", 0, NULL},
    {500, "{" AT "}", FAULT, "JSON that names no error", 0, NULL},
    {404, "{\"message\":\"no such thing\"}", FAULT, "JSON that names no error", 0, NULL},
    {200, "\xef\xbb\xbf{" AT "}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"error\":null,\"errorCode\":\"\",\"status\":\"approved\"}", TOKEN, "at-1", -1,
	NULL},
    {200, "{" AT ",\"error\":false,\"code\":\"0\"}", TOKEN, "at-1", -1, NULL},
    {200, "{" AT ",\"error\":\"\",\"status\":\"ok\"}", TOKEN, "at-1", -1, NULL},
    /* refusals, whatever the status */
    {400, "{\"error\":\"invalid_grant\"}", OAUTH_ERROR, "invalid_grant", 0, NULL},
    {401, "{\"error\":\"invalid_client\",\"error_description\":\"no\"}", OAUTH_ERROR,
	"invalid_client", 0, NULL},
    {200, "{\"error\":\"bad_verification_code\"," AT "}", OAUTH_ERROR, "bad_verification_code", 0,
	NULL},
    {429, "{\"error\":\"temporarily_unavailable\"}", OAUTH_ERROR, "temporarily_unavailable", 0,
	NULL},
    {400, "{\"error\":\"inva\\u001b[31mlid\"}", OAUTH_ERROR, "inva [31mlid", 0, NULL},
    {400, "{\"error\":{\"code\":400}}", FAULT, "JSON that names no error", 0, NULL},
    {400, "{\"error\":{\"errorId\":\"INVALID_GRANT\",\"message\":\"invalid grant\"}}", OAUTH_ERROR,
	"INVALID_GRANT", 0, NULL},
    {403, "{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\",\"message\":\"no\"}}",
	OAUTH_ERROR, "PERMISSION_DENIED", 0, NULL},
    {401, "{\"errorCode\":\"invalid_client\",\"errorSummary\":\"Invalid value.\"}", OAUTH_ERROR,
	"invalid_client", 0, NULL},
};

static void
check(const struct row *row)
{
	struct token_response a;

	assert_int_equal(token_answer_parse(row->status, row->body, strlen(row->body), &a), 0);
	switch (row->outcome) {
	case FAULT:
		assert_non_null(a.fault);
		assert_string_equal(a.fault, row->text);
		break;
	case OAUTH_ERROR:
		assert_null(a.fault);
		assert_string_equal(a.error, row->text);
		assert_null(a.access_token);
		break;
	case TOKEN:
		assert_null(a.fault);
		assert_null(a.error);
		assert_string_equal((const char *)secret_bytes(a.access_token), row->text);
		assert_int_equal(a.expires_in, row->expires_in);
		if (row->refresh == NULL)
			assert_null(a.refresh_token);
		else
			assert_string_equal(
			    (const char *)secret_bytes(a.refresh_token), row->refresh);
		break;
	}
	token_answer_clear(&a);
}

static void
test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("answer: %ld %.60s\n", rows[i].status, rows[i].body);
		check(&rows[i]);
	}
}

/* When the refresh token ends, as Google and Keycloak say it. */
static void
test_refresh_life(void **state)
{
	static const struct {
		const char *body;
		int64_t life;
	} lives[] = {
	    {"{" AT "}", -1},
	    {"{" AT ",\"refresh_token_expires_in\":604799}", 604799},
	    {"{" AT ",\"refresh_token_expires_in\":\"604799\"}", 604799},
	    {"{" AT ",\"refresh_expires_in\":1800}", 1800},
	    {"{" AT ",\"refresh_expires_in\":0}", 0},
	    {"{" AT ",\"refresh_token_expires_in\":5,\"refresh_expires_in\":9}", 5},
	    {"{" AT ",\"refresh_token_expires_in\":[5],\"refresh_expires_in\":9}", 9},
	    {"{" AT ",\"refresh_expires_in\":1e300}", TOKEN_ANSWER_REFRESH_LIFE_MAX},
	    {"{\"error\":\"invalid_grant\",\"refresh_expires_in\":9}", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		struct token_response a;

		assert_int_equal(
		    token_answer_parse(200, lives[i].body, strlen(lives[i].body), &a), 0);
		assert_int_equal(a.refresh_expires_in, lives[i].life);
		token_answer_clear(&a);
	}
}

/* A body cut at any octet is no answer, and never a token. */
static void
test_cut_anywhere(void **state)
{
	const char *whole = rows[0].body;

	for (size_t len = 0; len < strlen(whole); len++) {
		struct token_response a;

		assert_int_equal(token_answer_parse(200, whole, len, &a), 0);
		assert_non_null(a.fault);
		assert_null(a.access_token);
		token_answer_clear(&a);
	}
}

static void
test_bounds(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1024 * 1024);
	struct token_response a;

	/* a token of exactly the limit, and one more */
	for (size_t extra = 0; extra < 2; extra++) {
		buf_clear(&b);
		(void)buf_append_str(&b, "{\"access_token\":\"");
		for (size_t i = 0; i < TOKEN_ANSWER_TOKEN_MAX + extra; i++)
			(void)buf_append_char(&b, 'A');
		(void)buf_append_str(&b, "\"}");
		assert_int_equal(token_answer_parse(200, b.data, b.len, &a), 0);
		if (extra == 0)
			assert_int_equal(secret_len(a.access_token), TOKEN_ANSWER_TOKEN_MAX);
		else
			assert_string_equal(a.fault, "a token that is longer than 24 kB");
		token_answer_clear(&a);
	}
	/* levels: 16 pass, 17 do not; brackets inside strings do not count */
	for (unsigned depth = DOCUMENT_DEPTH; depth <= DOCUMENT_DEPTH + 1; depth++) {
		buf_clear(&b);
		(void)buf_append_str(&b, "{" AT ",\"s\":\"[[[[[[[[[[[[[[[[[[[[\\\"{{{\",\"x\":");
		for (unsigned i = 1; i < depth; i++)
			(void)buf_append_char(&b, '[');
		for (unsigned i = 1; i < depth; i++)
			(void)buf_append_char(&b, ']');
		(void)buf_append_char(&b, '}');
		assert_int_equal(token_answer_parse(200, b.data, b.len, &a), 0);
		assert_int_equal(a.fault == NULL, depth == DOCUMENT_DEPTH);
		token_answer_clear(&a);
	}
	/* 256 kB */
	buf_clear(&b);
	(void)buf_append_str(&b, "{" AT ",\"x\":\"");
	while (b.len < DOCUMENT_MAX)
		(void)buf_append_char(&b, 'x');
	(void)buf_append_str(&b, "\"}");
	assert_int_equal(token_answer_parse(200, b.data, b.len, &a), 0);
	assert_string_equal(a.fault, "more than 256 kB");
	token_answer_clear(&a);
}

static void
test_texts(void **state)
{
	static const char body[] =
	    "{\"error\":\"interaction_required\",\"error_description\":\"AADSTS50076:\\r\\n the "
	    "user must\\tsign in (\\u00e9)\\u0007\"}";
	struct token_response a;
	char *cut;

	assert_int_equal(token_answer_parse(400, body, strlen(body), &a), 0);
	assert_string_equal(a.description, "AADSTS50076: the user must sign in (\xc3\xa9)");
	token_answer_clear(&a);
	/* a cut never splits a character */
	cut = document_plain("ab\xc3\xa9", 3);
	assert_string_equal(cut, "ab");
	free(cut);
}

/* ---- ID tokens ---- */

static char *
jwt(const char *claims)
{
	CLEANUP_BUF struct buf b = BUF_INIT(8192);

	(void)buf_append_str(&b, "eyJhbGciOiJSUzI1NiJ9.");
	(void)base64url_encode(&b, claims, strlen(claims));
	(void)buf_append_str(&b, ".c2ln");
	return buf_take(&b);
}

static void
test_id_token(void **state)
{
	CLEANUP_FREE char *t =
	    jwt("{\"iss\":\"https://"
		"login.example.com\",\"aud\":[\"client-1\",\"other\"],\"nonce\":\"n-1\","
		"\"exp\":1000,\"sub\":\"248289\",\"email\":\"a@example.com\",\"preferred_"
		"username\":\"a@example.com\","
		"\"upn\":\"A@corp.example\"}");
	struct id_token id;
	const char *why;

	assert_int_equal(id_token_parse(t, strlen(t), &id, &why), 0);
	assert_string_equal(id.issuer, "https://login.example.com");
	assert_int_equal(id.audience_count, 2);
	assert_string_equal(id.audiences[1], "other");
	assert_string_equal((const char *)secret_bytes(id.nonce), "n-1");
	assert_int_equal(id.claims.count, 4);
	assert_string_equal(id.claims.pairs[0], "sub=248289");
	assert_string_equal(id.claims.pairs[1], "email=a@example.com");
	assert_string_equal(id.claims.pairs[2], "preferred_username=a@example.com");
	assert_string_equal(id.claims.pairs[3], "upn=A@corp.example");
	assert_int_equal(id_token_over(&id, 1000 + ID_EXPIRY_LEEWAY), 0);
	assert_int_equal(id_token_over(&id, 1001 + ID_EXPIRY_LEEWAY), 1 + ID_EXPIRY_LEEWAY);
	id_token_clear(&id);
}

static void
test_id_token_odd(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a", "a.b", "a..c", ".e30.c", "a.e30.c.d",
	    "a.e30.c.d.e", "a.e3=.c", "a.W10.c", "a.!!.c", "a.e30", "a.eyJhIjoi.c"};
	CLEANUP_FREE char *one = jwt("{\"aud\":\"client-1\"}");
	CLEANUP_FREE char *types = jwt("{\"iss\":5,\"aud\":{\"a\":1},\"nonce\":[],\"exp\":\"soon\","
				       "\"sub\":null,\"email\":[\"x\"]}");
	CLEANUP_FREE char *list = jwt("{\"aud\":[1,\"a\",null,\"b\"],\"exp\":1e300}");
	struct id_token id;
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(id_token_parse(bad[i], strlen(bad[i]), &id, &why), -EBADMSG);
	assert_int_equal(id_token_parse(one, strlen(one), &id, &why), 0);
	assert_int_equal(id.audience_count, 1);
	assert_int_equal(id_token_over(&id, INT64_MAX), 0);
	id_token_clear(&id);
	assert_int_equal(id_token_parse(types, strlen(types), &id, &why), 0);
	assert_null(id.issuer);
	assert_null(id.nonce);
	assert_int_equal(id.audience_count, 0);
	assert_int_equal(id.claims.count, 0);
	assert_int_equal(id.expires, -1);
	id_token_clear(&id);
	assert_int_equal(id_token_parse(list, strlen(list), &id, &why), 0);
	assert_int_equal(id.audience_count, 2);
	assert_string_equal(id.audiences[0], "a");
	id_token_clear(&id);
}

/* Claims as servers spell them: truth values of every kind, lists, and what is none of them. */
static void
test_claims(void **state)
{
	static const char *const want[] = {"email_verified=false", "verified_email=true",
	    "xms_edov=true", "sub=1", "email=a@example.com", "unique_name=live.com#a@example.com",
	    "tid=9188040d-6c67-4c5b-b112-36a304b66dad", "emails=b@example.com",
	    "emails=c@example.com", "verified_primary_email=d@example.com"};
	CLEANUP_FREE char *t = jwt("{\"email_verified\":\"False\",\"verified_email\":true,\"xms_"
				   "edov\":\"1\",\"sub\":\"1\","
				   "\"email\":\"a@example.com\",\"unique_name\":\"live.com#a@"
				   "example.com\",\"upn\":\"a\\nb\","
				   "\"mail\":\"\",\"tid\":\"9188040d-6c67-4c5b-b112-36a304b66dad\","
				   "\"emails\":[\"b@example.com\",5,null,\"c@example.com\"],"
				   "\"verified_primary_email\":[\"d@example.com\"]}");
	struct id_token id;
	const char *why;

	assert_int_equal(id_token_parse(t, strlen(t), &id, &why), 0);
	assert_int_equal(id.claims.count, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(id.claims.pairs[i], want[i]);
	id_token_clear(&id);
}

/* The end of a token as older servers tell it: as a number, as a text, beside expires_in or alone. */
static void
test_expires_on(void **state)
{
	static const struct {
		const char *members;
		int64_t life; /* at 1000000 */
	} lives[] = {
	    {"\"expires_on\":1003600", 3600},
	    {"\"expires_on\":\"1003600\"", 3600},
	    {"\"expires_on\":\"1003600\",\"expires_in\":\"60\"", 60},
	    {"\"expires_on\":\"1003600\",\"expires_in\":null", 3600},
	    {"\"expires_on\":999999", 0},
	    {"\"expires_at\":\"1003600.5\"", 3600},
	    {"\"expires_in\":\"3599.0\"", 3599},
	    {"\"expires_in\":\"3599.\"", 3599},
	    {"\"expires_in\":\"3599.x\"", -1},
	    {"\"expires_in\":\".5\"", -1},
	    {"\"expires_on\":1e300", TOKEN_ANSWER_LIFE_MAX},
	    {"\"expires_on\":\"11/30/2026 19:00:00\"", -1},
	    {"\"token_type\":\"Bearer\"", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		char body[256];
		struct token_response a;

		(void)snprintf(
		    body, sizeof(body), "{\"access_token\":\"at\",%s}", lives[i].members);
		assert_int_equal(token_answer_parse(200, body, strlen(body), &a), 0);
		assert_int_equal(token_answer_life(&a, 1000000), lives[i].life);
		token_answer_clear(&a);
	}
}

/* An unreadable ID token costs the identity, not the token. */
static void
test_answer_with_id(void **state)
{
	CLEANUP_FREE char *t = jwt("{\"sub\":\"s\",\"email\":\"billing@example.com\"}");
	char body[1024];
	struct token_response a;

	(void)snprintf(body, sizeof(body), "{" AT ",\"id_token\":\"%s\"}", t);
	assert_int_equal(token_answer_parse(200, body, strlen(body), &a), 0);
	assert_null(a.id_fault);
	assert_string_equal(a.id.claims.pairs[1], "email=billing@example.com");
	token_answer_clear(&a);
	(void)snprintf(body, sizeof(body), "{" AT ",\"id_token\":\"a.b.c.d.e\"}");
	assert_int_equal(token_answer_parse(200, body, strlen(body), &a), 0);
	assert_null(a.fault);
	assert_non_null(a.access_token);
	assert_non_null(strstr(a.id_fault, "encrypted"));
	token_answer_clear(&a);
}

/* What stands beside an error is part of its words: the table of verdicts looks for it there. */
static void
test_error_words(void **state)
{
	static const struct {
		const char *body, *words;
	} cases[] = {
	    {"{\"error\":\"invalid_grant\",\"error_description\":\"no\"}", "no"},
	    {"{\"error\":\"interaction_required\",\"error_codes\":[53003],\"suberror\":\"message_"
	     "only\"}",
		"AADSTS53003 (message_only)"},
	    {"{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS50173: "
	     "x\",\"error_codes\":[50173]}",
		"AADSTS50173: x"},
	    {"{\"error\":\"invalid_grant\",\"error_description\":\"no\",\"error_codes\":[50173]}",
		"AADSTS50173: no"},
	    {"{\"error\":\"invalid_grant\",\"error_description\":\"Bad "
	     "Request\",\"error_subtype\":\"invalid_rapt\"}",
		"Bad Request (invalid_rapt)"},
	    {"{\"error\":{\"errorId\":\"INVALID_GRANT\",\"message\":\"invalid grant\"}}",
		"invalid grant"},
	    {"{\"error\":\"x\",\"error_codes\":[\"y\"],\"suberror\":7}", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct token_response a;

		assert_int_equal(
		    token_answer_parse(400, cases[i].body, strlen(cases[i].body), &a), 0);
		assert_non_null(a.error);
		if (cases[i].words == NULL)
			assert_null(a.description);
		else
			assert_string_equal(a.description, cases[i].words);
		token_answer_clear(&a);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_words),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_refresh_life),
	    cmocka_unit_test(test_cut_anywhere),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_id_token),
	    cmocka_unit_test(test_id_token_odd),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_expires_on),
	    cmocka_unit_test(test_answer_with_id),
	};

	document_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

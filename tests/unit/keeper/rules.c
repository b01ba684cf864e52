/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of the keeper's small rules: PKCE, the authorization address, classes of errors, scopes, the vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "broker/keeper/accounts/account-conf.h"
#include "broker/keeper/sign-in/authorization-request.h"
#include "broker/keeper/accounts/answer.h"
#include "broker/keeper/accounts/scope.h"

/* The octets, the verifier and the challenge of RFC 7636 appendix B. */
static void
test_pkce_vector(void **state)
{
	static const uint8_t octets[32] = {116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125,
	    216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141,
	    121};
	static const struct account_conf c = {.client_id = "client"};
	uint8_t random[3 * AUTHORIZATION_REQUEST_RANDOM] = {0};
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(4096);
	struct authorization_secrets s;

	memcpy(random + AUTHORIZATION_REQUEST_RANDOM, octets, sizeof(octets));
	assert_int_equal(authorization_request_make_secrets(random, &s), 0);
	assert_string_equal(
	    (const char *)secret_bytes(s.verifier), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	assert_int_equal(secret_len(s.state), 43);
	assert_int_equal(
	    authorization_request_url(&c, "https://as.example/", "http://localhost:1/", &s, &url),
	    0);
	assert_non_null(strstr(buf_str(&url),
	    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method="
	    "S256"));
	authorization_request_clear_secrets(&s);
}

static void
url_of(const struct account_conf *c, const char *endpoint, struct buf *url)
{
	uint8_t random[3 * AUTHORIZATION_REQUEST_RANDOM] = {0};
	struct authorization_secrets s;

	assert_int_equal(authorization_request_make_secrets(random, &s), 0);
	assert_int_equal(authorization_request_url(c, endpoint, "http://localhost:1/", &s, url), 0);
	authorization_request_clear_secrets(&s);
}

static void
test_url(void **state)
{
	char *extra[] = {(char *)"access_type=offline", (char *)"prompt=consent",
	    (char *)"client_id=other", (char *)"empty=", (char *)"nonsense"};
	struct account_conf c = {.client_id = (char *)"id&1",
	    .mailbox = (char *)"a+b@example.com",
	    .scopes = (char *)"https://mail.google.com/ x",
	    .extra_parameters = {extra, ARRAY_SIZE(extra)}};
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(4096);

	url_of(&c, "https://as.example/auth#fragment", &url);
	assert_string_equal(buf_str(&url),
	    "https://as.example/"
	    "auth?response_type=code&client_id=id%261&redirect_uri=http%3A%2F%2Flocalhost%3A1%2F"
	    "&scope=https%3A%2F%2Fmail.google.com%2F%20x&state="
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "&code_challenge=DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo&code_challenge_method=S256"
	    "&access_type=offline&prompt=consent&login_hint=a%2Bb%40example.com");
	buf_clear(&url);
	c.auth_user = (char *)"delegate@example.com";
	c.scopes = (char *)"email openid";
	c.extra_parameters.count = 0;
	url_of(&c, "https://as.example/auth?p=1", &url);
	assert_non_null(strstr(buf_str(&url), "auth?p=1&response_type=code&"));
	assert_non_null(strstr(buf_str(&url), "&nonce=AAAA"));
	assert_non_null(strstr(buf_str(&url), "&login_hint=delegate%40example.com"));
	buf_clear(&url);
	extra[0] = (char *)"login_hint=";
	c.extra_parameters.count = 1;
	url_of(&c, "https://as.example/auth", &url);
	assert_null(strstr(buf_str(&url), "login_hint"));
	/* no scopes: the server's default, which an empty parameter is not */
	buf_clear(&url);
	c.scopes = (char *)"";
	url_of(&c, "https://as.example/auth", &url);
	assert_null(strstr(buf_str(&url), "scope="));
}

/* What an answer means to an account that somebody signed in for, and to one that nobody does. */
static void
test_classes(void **state)
{
	static const struct {
		const char *fault, *error, *text;
		uint64_t status;
		enum answer_class person, unattended;
	} cases[] = {
	    {NULL, NULL, NULL, 200, ANSWER_GOOD, ANSWER_GOOD},
	    {"timeout", NULL, NULL, 0, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {"answered 200 with a web page", NULL, NULL, 200, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "invalid_grant", NULL, 400, ANSWER_NEEDS_USER, ANSWER_CLIENT},
	    {NULL, "invalid_grant", NULL, 503, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "interaction_required", NULL, 400, ANSWER_NEEDS_USER, ANSWER_CLIENT},
	    {NULL, "access_denied", NULL, 400, ANSWER_NEEDS_USER, ANSWER_CLIENT},
	    {NULL, "invalid_client", NULL, 401, ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "unauthorized_client", NULL, 400, ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "invalid_request", NULL, 400, ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "invalid_scope", NULL, 400, ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "admin_policy_enforced", NULL, 400, ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "temporarily_unavailable", NULL, 400, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "rate_limit_exceeded", NULL, 403, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "invalid_client", NULL, 429, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "never_heard_of", NULL, 400, ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    /* the number says more than the word before it */
	    {NULL, "invalid_grant", "AADSTS53003: Access has been blocked", 400, ANSWER_CLIENT,
		ANSWER_CLIENT},
	    {NULL, "interaction_required", "AADSTS50057: The user account is disabled.", 400,
		ANSWER_CLIENT, ANSWER_CLIENT},
	    {NULL, "invalid_grant", "AADSTS90033: A transient error has occurred.", 400,
		ANSWER_TRANSIENT, ANSWER_TRANSIENT},
	    {NULL, "invalid_client", "AADSTS7654321: of next year", 400, ANSWER_CLIENT,
		ANSWER_CLIENT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer_facts f = {.fault = cases[i].fault,
		    .error = cases[i].error,
		    .text = cases[i].text,
		    .status = cases[i].status};
		struct diagnosis_facts whose = {.account = "billing"};
		struct buf text CLEANUP_BUF = BUF_INIT(4096);
		struct answer_verdict v;

		answer_judge(&f, &whose, &v);
		assert_int_equal(v.class, cases[i].person);
		answer_text(&f, &v, &text);
		assert_true(v.class == ANSWER_GOOD || (text.len > 10 && v.d.next[0] != '\0'));
		whose.grant = "client-credentials";
		answer_judge(&f, &whose, &v);
		assert_int_equal(v.class, cases[i].unattended);
		assert_null(strstr(v.d.next, "frank authorize"));
	}
}

static void
test_texts_are_tame(void **state)
{
	char longest[5000];
	struct answer_facts f = {
	    .error = "invalid_grant", .text = "\033[31mred\r\n\"x\" DOMAIN\\user", .status = 403};
	struct buf text CLEANUP_BUF = BUF_INIT(2048);

	answer_words(&f, &text);
	assert_string_equal(buf_str(&text), "The authorization server answered invalid_grant (HTTP "
					    "403): [31mred \"x\" DOMAIN\\user.");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	f.text = longest;
	buf_clear(&text);
	answer_words(&f, &text);
	assert_true(text.len < 700 && !text.failed);
}

/* Only what is proved to be the client's is: a word that servers also use for a mistyped scope or tenant
 * proves nothing. */
static void
test_whole_client(void **state)
{
	static const struct {
		const char *error, *text;
		bool whole;
	} cases[] = {
	    {"invalid_client", NULL, false},
	    {"invalid_client", "unknown scope mail.sned", false},
	    {"invalid_client", "AADSTS700016: not found in the directory", false},
	    {"invalid_client", "AADSTS650053: asked for a scope that does not exist", false},
	    {"invalid_scope", NULL, false},
	    {"unauthorized_client", NULL, false},
	    {"invalid_client", "AADSTS7000222: The provided client secret keys are expired.", true},
	    {"invalid_client", "AADSTS7000215: Invalid client secret provided.", true},
	    {"invalid_client", "The OAuth client was not found.", true},
	    {"deleted_client", NULL, true},
	    {"unauthorized_client", "Invalid client secret", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer_facts f = {
		    .error = cases[i].error, .text = cases[i].text, .status = 400};
		struct answer_verdict v;

		answer_judge(&f, &(struct diagnosis_facts){.account = "billing"}, &v);
		assert_int_equal(v.d.whole_client, cases[i].whole);
		assert_int_equal(v.class, ANSWER_CLIENT);
	}
}

#define GRAPH "https://graph.microsoft.com/"

static void
test_scopes(void **state)
{
	static const struct {
		const char *asked, *granted, *lacking, *refresh;
	} cases[] = {
	    {"https://mail.google.com/ openid email",
		"openid https://www.googleapis.com/auth/userinfo.email https://mail.google.com/",
		NULL, "https://mail.google.com/"},
	    {"https://mail.google.com/ openid", "openid", "https://mail.google.com/",
		"https://mail.google.com/"},
	    {"https://outlook.office.com/SMTP.Send offline_access",
		"https://outlook.office.com/smtp.send", NULL,
		"https://outlook.office.com/SMTP.Send offline_access"},
	    {"https://outlook.office365.com/.default",
		"https://outlook.office365.com/SMTP.SendAsApp", NULL,
		"https://outlook.office365.com/.default"},
	    /* other spellings of the same right */
	    {GRAPH "Mail.Send", "Mail.Send User.Read profile openid email", NULL,
		GRAPH "Mail.Send"},
	    {GRAPH "Mail.Send", "mail.send", NULL, GRAPH "Mail.Send"},
	    {GRAPH "Mail.Send", GRAPH "/MAIL.SEND", NULL, GRAPH "Mail.Send"},
	    {GRAPH "Mail.Send", "00000003-0000-0000-c000-000000000000/Mail.Send", NULL,
		GRAPH "Mail.Send"},
	    {"Mail.Send", GRAPH "Mail.Send", NULL, "Mail.Send"},
	    {"https://outlook.office.com/SMTP.Send", "https://outlook.office365.com/SMTP.Send",
		NULL, "https://outlook.office.com/SMTP.Send"},
	    {"https://mail.google.com/", "https://mail.google.com", NULL,
		"https://mail.google.com/"},
	    {"https://mail.example/send", "send", NULL, "https://mail.example/send"},
	    {"https://www.googleapis.com/auth/gmail.send", "gmail.send", NULL,
		"https://www.googleapis.com/auth/gmail.send"},
	    {"https://www.googleapis.com/auth/gmail.send", "https://mail.google.com/", NULL,
		"https://www.googleapis.com/auth/gmail.send"},
	    {"mail-w mail-r", "mail-r,mail-w", NULL, "mail-w mail-r"},
	    {"a,b", "a,b", NULL, "a,b"},
	    /* other rights */
	    {GRAPH "Mail.Send", "Mail.Send.Shared Mail.Read", GRAPH "Mail.Send", GRAPH "Mail.Send"},
	    {GRAPH "Mail.Send", "https://outlook.office.com/Mail.Send", GRAPH "Mail.Send",
		GRAPH "Mail.Send"},
	    {"https://mail.example/send", "https://other.example/send", "https://mail.example/send",
		"https://mail.example/send"},
	    {"https://mail.google.com/", "https://www.googleapis.com/auth/gmail.send",
		"https://mail.google.com/", "https://mail.google.com/"},
	    {"https://mail.google.com/", "/ :// https:// https:///", "https://mail.google.com/",
		"https://mail.google.com/"},
	    {"a b", "ab", "a", "a b"},
	    {"a b", " b  a ", NULL, "a b"},
	    {"a", "", "a", "a"},
	    {"a", NULL, NULL, "a"}, /* not told: as asked */
	    {"openid profile", "", NULL, ""},
	    {NULL, "x", NULL, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf lacking CLEANUP_BUF = BUF_INIT(100), refresh CLEANUP_BUF = BUF_INIT(100);

		assert_int_equal(scope_lacking(cases[i].asked, cases[i].granted, &lacking),
		    cases[i].lacking != NULL);
		assert_string_equal(
		    buf_str(&lacking), cases[i].lacking == NULL ? "" : cases[i].lacking);
		assert_int_equal(scope_for_refresh(cases[i].asked, &refresh), 0);
		assert_string_equal(buf_str(&refresh), cases[i].refresh);
	}
}

static void
test_scope_warnings(void **state)
{
	static const struct {
		const char *asked, *granted, *says;
	} cases[] = {
	    {GRAPH "Mail.Send openid", "Mail.Send openid profile", ""},
	    {GRAPH "Mail.Send", "Mail.Send Mail.ReadWrite",
		"more than was asked for: Mail.ReadWrite"},
	    {"https://www.googleapis.com/auth/gmail.send", "https://mail.google.com/",
		"more than was asked for: https://mail.google.com/"},
	    {"https://mail.google.com/", "https://mail.google.com", "read the mailbox too"},
	    {"mail-w openid", "openid,mail-w", ""},
	    {"mail-w", "mail-w,mail-r", "more than was asked for: mail-r"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf warning CLEANUP_BUF = BUF_INIT(400);

		scope_warn(cases[i].asked, cases[i].granted, &warning);
		assert_non_null(strstr(buf_str(&warning), cases[i].says));
		assert_int_equal(warning.len == 0, *cases[i].says == '\0');
	}
}

static int
some_random(void *arg, void *to, size_t len)
{
	memset(to, 42, len);
	return 0;
}

static void
test_vault(void **state)
{
	struct vault *v = vault_new(some_random, NULL), *other = vault_new(some_random, NULL);
	CLEANUP_SECRET struct secret *s = secret_new("a refresh token", 15),
				     *empty = secret_new("", 0);
	CLEANUP_SEALED struct sealed *one = vault_seal(v, s), *two = vault_seal(v, s),
				     *none = vault_seal(v, NULL), *nil = vault_seal(v, empty);
	CLEANUP_SECRET struct secret *open = vault_open(v, one), *open_nil = vault_open(v, nil);

	assert_true(secret_equal(s, open));
	assert_int_equal(secret_len(open_nil), 0);
	assert_null(none);
	assert_null(vault_open(v, NULL));
	/* Sealed twice, it looks different each time, and the text is not in it. */
	assert_memory_not_equal(
	    (const char *)one + sizeof(uint64_t), (const char *)two + sizeof(uint64_t), 15 + 32);
	assert_null(memmem(one, 15 + 32, "refresh", 7));
	(void)vault_free(v);
	(void)vault_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pkce_vector),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_texts_are_tame),
	    cmocka_unit_test(test_whole_client),
	    cmocka_unit_test(test_scopes),
	    cmocka_unit_test(test_scope_warnings),
	    cmocka_unit_test(test_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/keeper/sign-in/identity.c: which claims name a mailbox, and what an ID token must say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "broker/keeper/sign-in/identity.h"

#define MS "https://login.microsoftonline.com/"
#define OURS "11111111-2222-4333-8444-555555555555"
#define FOREIGN "66666666-7777-4888-8999-aaaaaaaaaaaa"
#define CONSUMERS "9188040d-6c67-4c5b-b112-36a304b66dad"
#define MAILBOX "billing@example.com"
#define OPENID "openid email https://mail.example/send"

static struct account_conf
account(const char *mailbox, const char *auth_user, const char *scopes)
{
	return (struct account_conf){.name = (char *)"billing",
	    .mailbox = (char *)mailbox,
	    .auth_user = (char *)auth_user,
	    .scopes = (char *)scopes,
	    .client_id = (char *)"client-1",
	    .verify_identity = true};
}

/* Claims "a=b;c=d" as the fetch role hands them on. */
static struct message *
answer(const char *claims)
{
	struct message *m = message_new(M_TOKEN_ANSWER);
	char copy[1024], *at = copy, *pair;

	(void)snprintf(copy, sizeof(copy), "%s", claims);
	while ((pair = strsep(&at, ";")) != NULL)
		if (strncmp(pair, "iss=", 4) == 0)
			message_put_str(m, F_ID_ISSUER, pair + 4);
		else if (strncmp(pair, "aud=", 4) == 0)
			message_put_str(m, F_ID_AUDIENCE, pair + 4);
		else if (strncmp(pair, "nonce=", 6) == 0)
			message_put_bytes(m, F_NONCE, pair + 6, strlen(pair + 6));
		else if (*pair != '\0')
			message_put_str(m, F_ID_CLAIM, pair);
	return m;
}

/* ---- who it is ---- */

struct sample {
	const char *claims;
	enum identity_verdict want;
	const char *name;
	const char *issuer, *mailbox, *auth_user; /* NULL: a server of one's own; MAILBOX; none */
};

static const struct sample samples[] = {
    {"sub=1;email=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"sub=1;email=Billing@Example.COM;email_verified=true", IDENTITY_FITS, "Billing@Example.COM"},
    {"sub=1;email=billing@example.com;email_verified=false", IDENTITY_UNVERIFIED, MAILBOX},
    {"sub=1;email=billing@example.com;verified_email=false", IDENTITY_UNVERIFIED, MAILBOX},
    {"sub=1;email=billing@example.com;email_verified=false;preferred_username=billing@example.com",
	IDENTITY_UNVERIFIED, MAILBOX},
    {"sub=1;email_verified=false;emails=billing@example.com", IDENTITY_UNVERIFIED, MAILBOX},
    {"sub=1;email=mallory@example.net;preferred_username=billing@example.com", IDENTITY_UNVERIFIED,
	MAILBOX},
    {"sub=1;email=mallory@example.net", IDENTITY_OTHER, "mallory@example.net"},
    {"sub=1;email=mallory@example.net;email_verified=false", IDENTITY_OTHER, "mallory@example.net"},
    {"sub=1;upn=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"sub=1;unique_name=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"sub=1;preferred_username=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"sub=1;emails=other@example.com;emails=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"emailAddress=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"mail=billing@example.com", IDENTITY_FITS, MAILBOX},
    {"userPrincipalName=billing@example.com", IDENTITY_FITS, MAILBOX},
    /* an identifier is no address, whatever it looks like and whatever auth-user says */
    {"sub=AAAAabc", IDENTITY_UNKNOWN},
    {"sub=AAAAabc", IDENTITY_UNKNOWN, NULL, NULL, NULL, "AAAAabc"},
    {"sub=billing@example.com", IDENTITY_UNKNOWN},
    {"", IDENTITY_UNKNOWN},
    /* the delegate */
    {"sub=1;upn=ann@example.com", IDENTITY_FITS, "ann@example.com", NULL, NULL, "ann@example.com"},
    {"sub=1;preferred_username=jdoe", IDENTITY_FITS, "jdoe", NULL, NULL, "jdoe"},
    {"sub=1;preferred_username=jdoe", IDENTITY_OTHER, "jdoe"},
    /* Gmail's own ways to write one mailbox, and nobody else's */
    {"sub=1;email=firstlast@gmail.com;email_verified=true", IDENTITY_FITS, "firstlast@gmail.com",
	"https://accounts.google.com", "First.Last+alerts@googlemail.com"},
    {"sub=1;email=firstlast@example.com", IDENTITY_OTHER, "firstlast@example.com", NULL,
	"first.last@example.com"},
    {"sub=1;email=firstlast@gmail.com.example", IDENTITY_OTHER, "firstlast@gmail.com.example", NULL,
	"first.last@gmail.com"},
    {"sub=1;email=+x@gmail.com", IDENTITY_OTHER, "+x@gmail.com", NULL, "+y@gmail.com"},
    /* Microsoft: any organisation writes into email what it likes */
    {"sub=1;tid=" FOREIGN ";email=billing@example.com;preferred_username=mallory@evil.example",
	IDENTITY_UNVERIFIED, MAILBOX, MS "common/v2.0"},
    {"sub=1;tid=" FOREIGN ";email=billing@example.com;xms_edov=false", IDENTITY_UNVERIFIED, MAILBOX,
	MS "organizations/v2.0"},
    {"sub=1;tid=" FOREIGN ";emails=billing@example.com", IDENTITY_UNVERIFIED, MAILBOX,
	MS "{tenantid}/v2.0"},
    {"sub=1;tid=" FOREIGN ";mail=billing@example.com", IDENTITY_UNVERIFIED, MAILBOX,
	MS "common/v2.0"},
    {"sub=1;tid=" FOREIGN ";email=billing@example.com;xms_edov=true", IDENTITY_FITS, MAILBOX,
	MS "common/v2.0"},
    {"sub=1;tid=" FOREIGN ";verified_primary_email=billing@example.com;email=x@evil.example",
	IDENTITY_FITS, MAILBOX, MS "common/v2.0"},
    {"sub=1;tid=" CONSUMERS ";email=billing@example.com", IDENTITY_FITS, MAILBOX,
	MS "consumers/v2.0"},
    {"sub=1;tid=" FOREIGN ";preferred_username=billing@example.com;email=x@example.net",
	IDENTITY_FITS, MAILBOX, MS "common/v2.0"},
    {"sub=1;tid=" OURS ";email=billing@example.com;preferred_username=b@corp.example",
	IDENTITY_FITS, MAILBOX, MS OURS "/v2.0"},
    {"sub=1;tid=" OURS ";email=billing@example.com", IDENTITY_FITS, MAILBOX, MS "example.com/v2.0"},
    {"sub=1;tid=" OURS ";idp=" MS FOREIGN "/v2.0;email=billing@example.com", IDENTITY_UNVERIFIED,
	MAILBOX, MS OURS "/v2.0"},
};

static void
test_samples(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		const struct account_conf c =
		    account(s->mailbox == NULL ? MAILBOX : s->mailbox, s->auth_user, OPENID);
		const struct identity_expected e = {.conf = &c,
		    .issuer = s->issuer == NULL ? "https://as.example" : s->issuer,
		    .token_endpoint = "https://as.example/token"};
		const struct identity_known none = {0};
		struct message *m = answer(s->claims);
		const char *name;
		enum identity_verdict got = identity_judge(m, &e, &none, &name);

		if (got != s->want)
			fail_msg("%s: %d instead of %d", s->claims, got, s->want);
		if (s->name == NULL)
			assert_null(name);
		else
			assert_string_equal(name, s->name);
		(void)message_free(m);
	}
}

/* Without an issuer in the configuration Microsoft's endpoints tell that it is Microsoft, and the tenant. */
static void
test_endpoint_tells(void **state)
{
	static const char claims[] =
	    "sub=1;iss=" MS FOREIGN "/v2.0;aud=client-1;tid=" FOREIGN ";email=billing@example.com";
	const struct account_conf c = account(MAILBOX, NULL, OPENID);
	struct identity_expected e = {.conf = &c, .token_endpoint = MS "common/oauth2/v2.0/token"};
	const struct identity_known none = {0};
	struct buf text CLEANUP_BUF = BUF_INIT(4096), next CLEANUP_BUF = BUF_INIT(4096);
	struct message *m = answer(claims);
	const char *name;

	assert_false(identity_find_flaw(m, &e, &text, &next));
	assert_int_equal(identity_judge(m, &e, &none, &name), IDENTITY_UNVERIFIED);
	e.token_endpoint = MS OURS "/oauth2/v2.0/token";
	assert_true(identity_find_flaw(m, &e, &text, &next));
	assert_non_null(strstr(buf_str(&text), FOREIGN));
	assert_non_null(strstr(buf_str(&next), "tenant"));
	(void)message_free(m);
}

/* What the ID token said holds for the answer of the userinfo endpoint. */
static void
test_userinfo_agrees(void **state)
{
	const struct account_conf c = account(MAILBOX, NULL, OPENID);
	const struct identity_expected e = {.conf = &c, .issuer = "https://as.example"};
	struct identity_known known = {0};
	struct message *token = answer("sub=1;email=x@example.net;email_verified=false"),
		       *same = answer("sub=1;email=billing@example.com"),
		       *other = answer("sub=2;email=billing@example.com");
	const char *name;

	assert_int_equal(identity_note(token, &known), 0);
	assert_int_equal(identity_judge(other, &e, &known, &name), IDENTITY_MIXED);
	assert_int_equal(identity_judge(same, &e, &known, &name), IDENTITY_UNVERIFIED);
	token = message_free(token);
	token = answer("sub=1");
	assert_int_equal(identity_note(token, &known), 0);
	assert_int_equal(identity_judge(same, &e, &known, &name), IDENTITY_FITS);
	identity_known_clear(&known);
	(void)message_free(token);
	(void)message_free(same);
	(void)message_free(other);
}

/* Microsoft's userinfo endpoint does not say that somebody is a guest, whose address another organisation wrote. */
static void
test_guest_stays_one(void **state)
{
	const struct account_conf c = account(MAILBOX, NULL, OPENID);
	const struct identity_expected e = {.conf = &c, .issuer = MS OURS "/v2.0"};
	struct identity_known known = {0};
	struct message *guest =
			   answer("sub=1;iss=" MS OURS "/v2.0;idp=" MS FOREIGN "/v2.0;tid=" OURS),
		       *member =
			   answer("sub=1;iss=" MS OURS "/v2.0;idp=" MS OURS "/v2.0;tid=" OURS),
		       *userinfo = answer("sub=1;email=billing@example.com");
	const char *name;

	assert_int_equal(identity_note(guest, &known), 0);
	assert_int_equal(identity_judge(userinfo, &e, &known, &name), IDENTITY_UNVERIFIED);
	assert_int_equal(identity_note(member, &known), 0);
	assert_int_equal(identity_judge(userinfo, &e, &known, &name), IDENTITY_FITS);
	identity_known_clear(&known);
	(void)message_free(guest);
	(void)message_free(member);
	(void)message_free(userinfo);
}

/* ---- the ID token ---- */

static const struct {
	const char *claims;
	const char *says;   /* NULL: nothing is wrong */
	const char *issuer; /* configured */
} tokens[] = {
    {"iss=https://as.example;aud=client-1;nonce=n-1;sub=1", NULL, "https://as.example"},
    {"iss=https://as.example/;aud=client-1;nonce=n-1;sub=1", NULL, "https://as.example"},
    {"iss=https://as.example;aud=client-1;nonce=n-1;sub=1", NULL, "https://as.example/"},
    {"iss=https://as.example;aud=client-1;nonce=n-1;sub=1", NULL, NULL},
    {"iss=https://login.example;aud=client-1;nonce=n-1;sub=1", NULL, NULL},
    {"iss=accounts.google.com;aud=client-1;nonce=n-1;sub=1", NULL, "https://accounts.google.com"},
    {"iss=" MS FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=" FOREIGN, NULL, MS "common/v2.0"},
    {"iss=https://as.example;aud=client-1;aud=x;azp=client-1;nonce=n-1;sub=1", NULL, NULL},
    {"", NULL, "https://as.example"},
    {"aud=client-1;nonce=n-1;sub=1", "does not name its issuer", NULL},
    {"iss=https://evil.example;aud=client-1;nonce=n-1;sub=1", "iss is https://evil.example", NULL},
    {"iss=https://evil.example;aud=client-1;nonce=n-1;sub=1", "expected is https://as.example",
	"https://as.example"},
    {"iss=https://as.example//;aud=client-1;nonce=n-1;sub=1", "iss is https://as.example//",
	"https://as.example"},
    {"iss=https://as.example:444;aud=client-1;nonce=n-1;sub=1", "iss is", NULL},
    {"iss=" MS FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=" OURS, "(tid) " OURS, MS "common/v2.0"},
    {"iss=" MS FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=v2.0", "(tid) v2.0", MS "common/v2.0"},
    {"iss=" MS FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=" FOREIGN, "iss is", MS OURS "/v2.0"},
    {"iss=" MS FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=" FOREIGN, "iss is", MS "consumers/v2.0"},
    {"iss=" MS "{tenantid}/v2.0;aud=client-1;nonce=n-1", "iss is", MS "{tenantid}/v2.0"},
    {"iss=" MS "common/v2.0;aud=client-1;nonce=n-1", "iss is", MS "organizations/v2.0"},
    {"iss=" MS "common/v2.0;aud=client-1;nonce=n-1", "iss is", MS "common/v2.0"},
    {"iss=" MS "example.com/v2.0;aud=client-1;nonce=n-1", "iss is", MS "example.com/v2.0"},
    {"iss=https://evil.example/" FOREIGN "/v2.0;aud=client-1;nonce=n-1;tid=" FOREIGN, "iss is",
	MS "common/v2.0"},
    {"iss=https://as.example;aud=client-2;nonce=n-1;sub=1", "another client: aud is client-2",
	NULL},
    {"iss=https://as.example;nonce=n-1;sub=1", "aud is absent", NULL},
    {"iss=https://as.example;aud=client-1;azp=client-2;nonce=n-1;sub=1", "azp is client-2", NULL},
    {"iss=https://as.example;aud=client-1;aud=client-2;nonce=n-1;sub=1", "azp is absent", NULL},
    {"iss=https://as.example;aud=client-1;nonce=n-2;sub=1", "its nonce is another's", NULL},
    {"iss=https://as.example;aud=client-1;sub=1", "bears no nonce", NULL},
};

static void
test_tokens(void **state)
{
	CLEANUP_SECRET struct secret *nonce = secret_new("n-1", 3);
	const struct account_conf c = account(MAILBOX, NULL, OPENID);

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		struct buf text CLEANUP_BUF = BUF_INIT(4096), next CLEANUP_BUF = BUF_INIT(4096);
		const struct identity_expected e = {.conf = &c,
		    .issuer = tokens[i].issuer,
		    .authorization_endpoint = "https://login.example/authorize",
		    .token_endpoint = "https://as.example/token",
		    .nonce = nonce};
		struct message *m = answer(tokens[i].claims);
		bool flawed = identity_find_flaw(m, &e, &text, &next);

		print_message("%s: %s\n", tokens[i].claims, buf_str(&text));
		assert_int_equal(flawed, tokens[i].says != NULL);
		if (flawed) {
			assert_non_null(strstr(buf_str(&text), tokens[i].says));
			assert_true(next.len > 0);
		}
		(void)message_free(m);
	}
}

static void
test_over(void **state)
{
	const struct account_conf c = account(MAILBOX, NULL, OPENID);
	const struct identity_expected e = {.conf = &c, .issuer = "https://as.example"};
	struct buf text CLEANUP_BUF = BUF_INIT(4096), next CLEANUP_BUF = BUF_INIT(4096);
	struct message *m = answer("iss=https://as.example;aud=client-1;sub=1");

	message_put_u64(m, F_ID_OVER, 4000);
	assert_true(identity_find_flaw(m, &e, &text, &next));
	assert_non_null(strstr(buf_str(&text), "(exp) 4000 seconds"));
	assert_non_null(strstr(buf_str(&next), "clock"));
	(void)message_free(m);
}

/* ---- what people read ---- */

static const struct {
	const char *claims, *fault, *scopes, *text, *next;
} explained[] = {
    {"sub=AAAAabc", NULL, OPENID, "an identifier (sub) and no address", "claim email"},
    {"sub=AAAAabc", NULL, "openid x", "an identifier (sub) and no address", "Add email to scopes"},
    {"", NULL, "x", "does not say who signed in", "Add openid and email to scopes"},
    {"", "is encrypted", OPENID, "the ID token is encrypted", "not encrypted"},
    {"sub=1;email=ann@example.com", NULL, OPENID, "ann@example.com signed in",
	"set auth-user to it"},
    {"sub=1;preferred_username=jdoe", NULL, "openid x", "jdoe signed in", "Add email to scopes"},
    {"sub=1;email=billing@example.com;email_verified=false", NULL, OPENID,
	"email_verified is false", "frank authorize billing"},
    {"sub=1;email=ann@example.com;preferred_username=billing@example.com", NULL, OPENID,
	"does not prove whose mailbox it is", "Sign in as billing@example.com itself"},
};

static void
test_explained(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(explained); i++) {
		struct buf text CLEANUP_BUF = BUF_INIT(4096), next CLEANUP_BUF = BUF_INIT(4096);
		const struct account_conf c = account(MAILBOX, NULL, explained[i].scopes);
		const struct identity_expected e = {.conf = &c, .issuer = "https://as.example"};
		const struct identity_known none = {0};
		struct message *m = answer(explained[i].claims);
		enum identity_verdict v;
		const char *name;

		message_put_str(m, F_ID_FAULT, explained[i].fault);
		v = identity_judge(m, &e, &none, &name);
		identity_explain(v, name, m, &e, &text, &next);
		print_message("%s\n  %s\n", buf_str(&text), buf_str(&next));
		assert_non_null(strstr(buf_str(&text), explained[i].text));
		assert_non_null(strstr(buf_str(&next), explained[i].next));
		/* the way out is never to look away, nor to call an identifier a mailbox */
		assert_null(strstr(buf_str(&next), "verify-identity"));
		assert_null(strstr(buf_str(&next), "AAAAabc"));
		(void)message_free(m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_endpoint_tells),
	    cmocka_unit_test(test_userinfo_agrees),
	    cmocka_unit_test(test_guest_stays_one),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_over),
	    cmocka_unit_test(test_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

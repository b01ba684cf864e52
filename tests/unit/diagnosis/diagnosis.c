/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of diagnosis/: every row of the table is reached by evidence of its own, and what
 * servers really wrote is understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "diagnosis/rule.h"

/* What rows.def says of one row: the evidence, and the verdict that it must get. */
struct row {
	const char *id, *provider;
	enum smtp_stage stage;
	int code;
	const char *enhanced;
	enum smtp_fault fault;
	enum condition when;
	const char *text, *cause, *fixer;
	enum retry_class retry;
	unsigned delay;
};

#define ROW(id, provider, stage, code, enhanced, fault, when, text, cause, fixer, retry, delay)   \
	{id, provider, SMTP_STAGE_##stage, code, enhanced, SMTP_FAULT_##fault, when, text, cause, \
	    fixer, RETRY_##retry, delay},
static const struct row rows[] = {
#include "rows.def"
};
#undef ROW

/* The conditions of hosts and ports. */
static void
know_server(struct diagnosis_facts *f, enum condition when)
{
	switch (when) {
	case ON_PORT_25:
	case DIRECT:
		f->port = 25;
		break;
	case AT_MX:
		f->host = "mx1.example.com";
		break;
	case WRONG_PORT:
		f->host = "smtp.office365.com";
		f->port = 465;
		break;
	case TLS_TOO_EARLY:
		f->tls = "implicit";
		break;
	case TLS_TOO_LATE:
		f->port = 465;
		break;
	case NO_TLS:
		f->tls = "none";
		break;
	case BARE_NAME:
		f->ehlo_name = "localhost";
		break;
	case FOREIGN_BANNER:
		f->host = "smtp.gmail.com";
		f->greeting = "host.example.net ESMTP Exim 4.96";
		break;
	default:
		break;
	}
}

static struct diagnosis_facts
facts_for(const struct smtp_reply *reply, const char *provider, enum condition when)
{
	struct diagnosis_facts f = {.reply = reply,
	    .provider = provider,
	    .account = "billing",
	    .auth_user = "a@example.com",
	    .mail_from = "b@example.com",
	    .host = "smtp.example.com",
	    .port = 587,
	    .tls = "starttls"};

	know_server(&f, when);
	switch (when) {
	case BY_PASSWORD:
		f.mechanism = "LOGIN";
		break;
	case BY_TOKEN:
		f.mechanism = "XOAUTH2";
		break;
	case APP_ONLY:
		f.grant = "client-credentials";
		break;
	case WRONG_AUDIENCE:
		f.token_audience = "https://graph.microsoft.com";
		break;
	case WRONG_SCOPE:
		f.token_scopes = "User.Read openid";
		break;
	case WRONG_USER:
		f.token_user = "c@example.com";
		break;
	case EXPIRED:
		f.token_expired = true;
		break;
	case CONSUMER:
		f.auth_user = "a@outlook.com";
		break;
	case CHALLENGED:
		f.challenge = "{\"status\":\"400\",\"scope\":\"https://mail.google.com/\"}";
		break;
	default:
		break;
	}
	return f;
}

static struct smtp_reply
reply_of(int code, const char *enhanced, enum smtp_stage stage, const char *text)
{
	struct smtp_reply r = {.code = code, .stage = stage, .text = text};

	(void)snprintf(r.enhanced, sizeof(r.enhanced), "%s", enhanced);
	return r;
}

/* Does the row's evidence get its verdict? Says why not. */
static bool
row_holds(const struct row *row)
{
	struct smtp_reply reply = reply_of(row->code, row->enhanced, row->stage, row->text);
	struct diagnosis_facts facts = facts_for(&reply, row->provider, row->when);
	struct diagnosis_match match;
	struct diagnosis verdict;

	reply.fault = row->fault;
	match_find(&facts, &match);
	diagnosis_find(&facts, &verdict);
	if (strcmp(match.rule->id, row->id) == 0 && strcmp(verdict.cause, row->cause) == 0 &&
	    strcmp(verdict.fixer, row->fixer) == 0 && verdict.retry == row->retry &&
	    verdict.delay == row->delay && verdict.text[0] != '\0' && verdict.next[0] != '\0' &&
	    strpbrk(verdict.text, "{}[]") == NULL && strpbrk(verdict.next, "[]") == NULL)
		return true;
	print_message("%s: %s %s %s %s %u: %s %s\n", row->id, match.rule->id, verdict.cause,
	    verdict.fixer, diagnosis_retry_name(verdict.retry), verdict.delay, verdict.text,
	    verdict.next);
	return false;
}

static void
test_every_row(void **state)
{
	size_t held = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		held += row_holds(&rows[i]);
	assert_int_equal(held, ARRAY_SIZE(rows));
	/* no rule without a row, and no two of one name */
	for (size_t i = 0; i < diagnosis_rules_count; i++) {
		size_t k = 0;

		while (k < ARRAY_SIZE(rows) && strcmp(rows[k].id, diagnosis_rules[i].id) != 0)
			k++;
		if (k == ARRAY_SIZE(rows))
			fail_msg("the rule %s has no row in rows.def", diagnosis_rules[i].id);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(diagnosis_rules[i].id, diagnosis_rules[j].id);
	}
	assert_int_equal(held, diagnosis_rules_count);
}

/* What a server did is told at the stage where it did it. */
static void
test_closed_where(void **state)
{
	static const struct {
		enum smtp_stage stage;
		const char *words, *not_words;
	} lines[] = {{SMTP_STAGE_GREETING, "instead of greeting", "our name"},
	    {SMTP_STAGE_EHLO, "greeted, and closed the connection when it was told our name",
		"instead"}};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct smtp_reply reply = {.fault = SMTP_FAULT_CLOSED, .stage = lines[i].stage};
		struct diagnosis_facts facts = {.reply = &reply, .host = "mx.test"};
		struct diagnosis verdict;

		diagnosis_find(&facts, &verdict);
		assert_non_null(strstr(verdict.text, lines[i].words));
		assert_null(strstr(verdict.text, lines[i].not_words));
	}
}

/* Words as servers wrote them, and what a support engineer would answer. */
static void
test_observed(void **state)
{
	static const struct {
		const char *provider;
		enum smtp_stage stage;
		int code;
		const char *enhanced, *text, *cause;
		enum retry_class retry;
	} cases[] = {
	    {"microsoft365", SMTP_STAGE_AUTH, 535, "5.7.3",
		"Authentication unsuccessful [BN9PR03CA0794.namprd03.prod.outlook.com]",
		"login-refused", RETRY_NEEDS_AUTHORIZATION},
	    {"generic", SMTP_STAGE_AUTH, 535, "5.7.139",
		"Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
		"Visit https://aka.ms/smtp_auth_disabled "
		"for more information. [AM0PR02CA0076.eurprd02.prod.outlook.com]",
		"smtp-auth-disabled-tenant", RETRY_PERMANENT_ACCOUNT},
	    {"microsoft365", SMTP_STAGE_AUTH, 535, "5.7.139",
		"Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
		"Mailbox. Visit https://aka.ms/smtp_auth_disabled",
		"smtp-auth-disabled-mailbox", RETRY_PERMANENT_ACCOUNT},
	    {"microsoft365", SMTP_STAGE_AUTH, 535, "5.7.139",
		"Authentication unsuccessful, user is locked by your organization's security "
		"defaults policy. Contact your administrator.",
		"security-defaults-block-password", RETRY_NEEDS_AUTHORIZATION},
	    {"microsoft365", SMTP_STAGE_MAIL, 530, "5.7.57",
		"Client not authenticated to send mail. Error: 535 5.7.139 Authentication "
		"unsuccessful, basic authentication is disabled.",
		"basic-auth-disabled", RETRY_NEEDS_AUTHORIZATION},
	    {"microsoft365", SMTP_STAGE_MAIL, 530, "5.7.57",
		"Client not authenticated to send mail.", "not-authenticated", RETRY_CONFIGURATION},
	    {"microsoft365", SMTP_STAGE_MAIL, 451, "5.7.3", "STARTTLS is required to send mail",
		"starttls-required", RETRY_CONFIGURATION},
	    {"microsoft365", SMTP_STAGE_EOM, 554, "5.2.0",
		"STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process "
		"message due to a permanent exception",
		"daily-quota", RETRY_THROTTLED},
	    {"microsoft365", SMTP_STAGE_EOM, 554, "5.2.2",
		"mailbox full; STOREDRV.Submission.Exception:QuotaExceededException; Failed to "
		"process message",
		"sender-mailbox-full", RETRY_PERMANENT_ACCOUNT},
	    {"microsoft365", SMTP_STAGE_EOM, 554, "5.2.252",
		"SendAsDenied; a@example.com not allowed to send as b@example.com; "
		"STOREDRV.Submission.Exception:SendAsDeniedException",
		"send-as-denied", RETRY_PERMANENT_MESSAGE},
	    {"microsoft365", SMTP_STAGE_EOM, 432, "4.3.2",
		"STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]",
		"too-many-connections", RETRY_THROTTLED},
	    {"google", SMTP_STAGE_AUTH, 535, "5.7.8",
		"Username and Password not accepted. For more information, go to / 5.7.8  "
		"https://support.google.com/mail/?p=BadCredentials "
		"a1sm1 - gsmtp",
		"password-refused", RETRY_NEEDS_AUTHORIZATION},
	    {"generic", SMTP_STAGE_AUTH, 534, "5.7.9",
		"Application-specific password required. For more information, go to / 5.7.9  "
		"https://support.google.com/mail/?p=InvalidSecondFactor x - gsmtp",
		"app-password-required", RETRY_NEEDS_AUTHORIZATION},
	    {"google", SMTP_STAGE_EOM, 550, "5.4.5",
		"Daily user sending limit exceeded. For more information on Gmail sending limits",
		"daily-quota", RETRY_THROTTLED},
	    {"google", SMTP_STAGE_EHLO, 421, "4.7.0",
		"Try again later, closing connection. (EHLO) x - gsmtp", "bad-helo",
		RETRY_CONFIGURATION},
	    {"google", SMTP_STAGE_EOM, 550, "5.7.30",
		"This message doesn't pass authentication checks (DKIM does not pass)",
		"dkim-required", RETRY_PERMANENT_ACCOUNT},
	    {"microsoft365", SMTP_STAGE_AUTH, 550, "5.7.30",
		"Basic authentication is not supported for Client Submission.",
		"basic-auth-retired", RETRY_NEEDS_AUTHORIZATION},
	    {"sendgrid", SMTP_STAGE_MAIL, 403, "",
		"You are not authorized to send from that email address", "sender-not-verified",
		RETRY_PERMANENT_ACCOUNT},
	    {"sendgrid", SMTP_STAGE_AUTH, 451, "",
		"Authentication failed: Maximum credits exceeded", "plan-quota",
		RETRY_PERMANENT_ACCOUNT},
	    {"generic", SMTP_STAGE_RCPT, 454, "4.7.1", "<x@example.org>: Relay access denied",
		"relay-denied", RETRY_CONFIGURATION},
	    {"generic", SMTP_STAGE_RCPT, 553, "5.7.1",
		"<b@example.com>: Sender address rejected: not owned by user a@example.com",
		"sender-not-owned", RETRY_PERMANENT_MESSAGE},
	    {"generic", SMTP_STAGE_RCPT, 553, "5.7.1",
		"<b@example.com>: Sender address rejected: not logged in", "not-authenticated",
		RETRY_CONFIGURATION},
	    {"generic", SMTP_STAGE_RCPT, 550, "5.1.1",
		"<x@example.org>: Recipient address rejected: User unknown", "no-such-recipient",
		RETRY_PERMANENT_MESSAGE},
	    {"generic", SMTP_STAGE_AUTH, 535, "5.7.8",
		"Error: authentication failed: authentication failure", "login-refused",
		RETRY_NEEDS_AUTHORIZATION},
	    {"generic", SMTP_STAGE_AUTH, 454, "4.7.0",
		"Temporary authentication failure: Connection lost to authentication server",
		"auth-backend-down", RETRY_TRANSIENT},
	    {"generic", SMTP_STAGE_AUTH, 503, "5.5.1", "Error: authentication not enabled",
		"mechanism-not-offered", RETRY_CONFIGURATION},
	    {"generic", SMTP_STAGE_TOKEN, 0, "",
		"invalid_grant: AADSTS700082: The refresh token has expired due to inactivity.",
		"refresh-token-expired", RETRY_NEEDS_AUTHORIZATION},
	    {"microsoft365", SMTP_STAGE_TOKEN, 401, "",
		"invalid_client: AADSTS7000222: The provided client secret keys for app 'x' are "
		"expired.",
		"client-secret-expired", RETRY_CONFIGURATION},
	    {"microsoft365", SMTP_STAGE_TOKEN, 400, "",
		"invalid_grant: AADSTS70000: The provided value is not valid", "grant-revoked",
		RETRY_NEEDS_AUTHORIZATION},
	    {"google", SMTP_STAGE_TOKEN, 400, "",
		"invalid_grant: Token has been expired or revoked.", "grant-revoked",
		RETRY_NEEDS_AUTHORIZATION},
	    {"generic", SMTP_STAGE_TLS, 0, "", "error:0A00010B:SSL routines::wrong version number",
		"implicit-tls-on-starttls-port", RETRY_CONFIGURATION},
	    {"generic", SMTP_STAGE_CONNECT, 0, "",
		"connect to smtp.example.com port 587: Connection refused", "connection-refused",
		RETRY_TRANSIENT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smtp_reply reply =
		    reply_of(cases[i].code, cases[i].enhanced, cases[i].stage, cases[i].text);
		struct diagnosis_facts facts = {.reply = &reply, .provider = cases[i].provider};
		struct diagnosis verdict;

		diagnosis_find(&facts, &verdict);
		assert_string_equal(verdict.cause, cases[i].cause);
		assert_int_equal(verdict.retry, cases[i].retry);
		assert_true(verdict.known);
	}
}

/* A reply that nobody knows is understood by its class, says so, and shows the words. */
static void
test_fallback(void **state)
{
	static const struct {
		enum smtp_stage stage;
		int code;
		enum retry_class retry;
	} cases[] = {
	    {SMTP_STAGE_AUTH, 599, RETRY_PERMANENT_ACCOUNT},
	    {SMTP_STAGE_MAIL, 599, RETRY_PERMANENT_MESSAGE},
	    {SMTP_STAGE_RCPT, 599, RETRY_PERMANENT_MESSAGE},
	    {SMTP_STAGE_EOM, 599, RETRY_PERMANENT_MESSAGE},
	    {SMTP_STAGE_GREETING, 599, RETRY_CONFIGURATION},
	    {SMTP_STAGE_EHLO, 599, RETRY_CONFIGURATION},
	    {SMTP_STAGE_AUTH, 499, RETRY_TRANSIENT},
	    {SMTP_STAGE_EOM, 499, RETRY_TRANSIENT},
	    {SMTP_STAGE_NONE, 0, RETRY_TRANSIENT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smtp_reply reply =
		    reply_of(cases[i].code, "", cases[i].stage, "flux capacitor");
		struct diagnosis_facts facts = {.reply = &reply};
		struct diagnosis verdict;

		diagnosis_find(&facts, &verdict);
		assert_int_equal(verdict.retry, cases[i].retry);
		assert_false(verdict.known);
		/* at the greeting the stage alone says what is refused */
		assert_true(cases[i].stage == SMTP_STAGE_GREETING ||
			    strstr(verdict.text, "flux capacitor") != NULL);
	}
}

static void
test_words_name_what_is_known(void **state)
{
	struct smtp_reply reply = reply_of(550, "5.7.60", SMTP_STAGE_EOM,
	    "SMTP; Client does not have permissions to send as this sender");
	struct diagnosis_facts facts = {.reply = &reply,
	    .provider = "microsoft365",
	    .account = "billing",
	    .mechanism = "XOAUTH2",
	    .auth_user = "billing@example.com",
	    .mail_from = "ceo@example.com"};
	struct diagnosis verdict;

	diagnosis_find(&facts, &verdict);
	assert_string_equal(verdict.text,
	    "Signing in as billing@example.com by XOAUTH2 succeeded; sending as ceo@example.com "
	    "was refused, because billing@example.com has no "
	    "Send As permission for it.");
	facts = (struct diagnosis_facts){.reply = &reply, .provider = "microsoft365"};
	diagnosis_find(&facts, &verdict);
	assert_string_equal(verdict.text, "Sending as the sender was refused, because the "
					  "account's user has no Send As permission for it.");

	reply = (struct smtp_reply){.fault = SMTP_FAULT_TLS_PLAINTEXT, .stage = SMTP_STAGE_TLS};
	facts = (struct diagnosis_facts){
	    .reply = &reply, .account = "billing", .host = "smtp.example.com", .port = 587};
	diagnosis_find(&facts, &verdict);
	assert_non_null(strstr(verdict.text, "smtp.example.com:587"));
	assert_non_null(strstr(verdict.next, "account billing"));
}

/* A next step names the command that the account's grant, and the place of its secret, allow. */
static void
test_steps(void **state)
{
	static const char format[] =
	    "[{?person}P ][{?unattended}U ][{?password}W ]{Renew}; {store}.";
	static const struct {
		const char *grant, *mechanism, *from, *step;
	} cases[] = {
	    {"authorization-code", NULL, NULL,
		"P Run `frank authorize a`; store it with `frank secret set a`."},
	    {"device-code", NULL, "file:/s",
		"P Run `frank authorize a`; write it to /s and run `frank account retry a`."},
	    {"client-credentials", NULL, NULL,
		"U Store it with `frank secret set a`; store it with `frank secret set a`."},
	    {"service-account", NULL, "file:/s",
		"U Write it to /s and run `frank account retry a`; write it to /s and run `frank "
		"account retry a`."},
	    {"password", NULL, "file:/s",
		"W Write it to /s and run `frank reload`; write it to /s and run `frank reload`."},
	    {"password", NULL, "command:/c",
		"W Let /c print it and run `frank reload`; let /c print it and run `frank "
		"reload`."},
	    {NULL, "LOGIN", NULL,
		"W Store it with `frank secret set a`; store it with `frank secret set a`."},
	    {NULL, "XOAUTH2", NULL,
		"P Run `frank authorize a`; store it with `frank secret set a`."},
	    {NULL, NULL, NULL,
		"P Run `frank authorize a`, or for a password `frank secret set a`; store it with "
		"`frank secret set a`."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diagnosis_facts facts = {.account = "a",
		    .grant = cases[i].grant,
		    .mechanism = cases[i].mechanism,
		    .secret_from = cases[i].from};
		struct diagnosis_match match = {.enhanced = ""};
		char out[512];

		diagnosis_text(format, &facts, &match, out, sizeof(out));
		assert_string_equal(out, cases[i].step);
	}
}

/* Answers of token endpoints, as servers give them and as programs print them. */
static void
test_token_answers(void **state)
{
	static const struct {
		const char *provider, *text, *cause, *fixer;
		enum retry_class retry;
	} cases[] = {
#define ANSWER(provider, text, cause, fixer, retry) {provider, text, cause, fixer, RETRY_##retry},
#include "token-answers.def"
#undef ANSWER
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smtp_reply reply = reply_of(0, "", SMTP_STAGE_TOKEN, cases[i].text);
		struct diagnosis_facts facts = {.reply = &reply, .provider = cases[i].provider};
		struct diagnosis verdict;

		diagnosis_find(&facts, &verdict);
		if (strcmp(verdict.cause, cases[i].cause) != 0)
			print_error("%s\n", cases[i].text);
		assert_string_equal(verdict.cause, cases[i].cause);
		assert_string_equal(verdict.fixer, cases[i].fixer);
		assert_int_equal(verdict.retry, cases[i].retry);
		/* what Microsoft's number is stands in the words of the verdict */
		if (strstr(cases[i].text, "AADSTS") != NULL)
			assert_non_null(strstr(verdict.text, "AADSTS"));
	}
}

/* Whatever is pasted: cut anywhere, with escapes that end too soon, in any mixture. */
static void
test_mangled_token_answers(void **state)
{
	static const char *const texts[] = {
#define ANSWER(provider, text, cause, fixer, retry) text,
#include "token-answers.def"
#undef ANSWER
	};
	static const char *const scraps[] = {"%", "%4", "%zz", "+", "\\", "\\u", "\\u00", "\\u0041",
	    "error=", "\":", "AADSTS", "error_codes", "[123456789]", "HTTP 5", "status 503", "\xc3",
	    "\n", " / "};
	uint32_t seed = 1;

	for (size_t i = 0; i < 20 * ARRAY_SIZE(texts); i++) {
		const char *text = texts[i % ARRAY_SIZE(texts)];
		char mangled[4096];
		size_t len = 0;
		struct smtp_reply reply;
		struct diagnosis_facts facts = {.reply = &reply};
		struct diagnosis verdict;

		for (const char *at = text; *at != '\0' && len < 2400; at++) {
			seed = seed * 1664525u + 1013904223u;
			if (seed >> 28 == 0)
				len += (size_t)snprintf(mangled + len, sizeof(mangled) - len, "%s",
				    scraps[(seed >> 8) % ARRAY_SIZE(scraps)]);
			mangled[len++] = *at;
			if (seed >> 22 == 1)
				break;
		}
		mangled[len] = '\0';
		reply = reply_of(0, "", i % 3 == 0 ? SMTP_STAGE_NONE : SMTP_STAGE_TOKEN, mangled);
		diagnosis_find(&facts, &verdict);
		assert_true(verdict.text[0] != '\0' && verdict.next[0] != '\0');
		assert_true(verdict.retry != RETRY_PERMANENT_MESSAGE || i % 3 == 0);
	}
}

static bool
is_possible(const char *next, const struct diagnosis_facts *f)
{
	enum step_grant grant = step_grant(f);
	bool by_reference = f->secret_from != NULL;

	if (strstr(next, "`frank authorize") != NULL && grant != BY_PERSON)
		return false;
	return strstr(next, "`frank secret set") == NULL ||
	       (grant != NO_CREDENTIAL && !by_reference);
}

static bool
mends(const char *next)
{
	static const char *const commands[] = {"`frank authorize billing`",
	    "`frank secret set billing`", "`frank account retry billing`", "`frank reload`",
	    "restart frankd"};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strstr(next, commands[i]) != NULL)
			return true;
	return false;
}

/* Whatever happens, the next step is one that the account's grant, and the place of its secret, allow;
 * and where an account waits for somebody after a token endpoint's answer, it ends in a command that
 * lets it work again. */
static void
test_possible_steps(void **state)
{
	static const char *const grants[] = {"authorization-code", "device-code",
	    "client-credentials", "service-account", "password", "none"};
	static const char *const places[] = {
	    NULL, "file:/etc/frank/secret", "command:/usr/bin/secret", "credential:secret"};
	size_t seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(grants) * ARRAY_SIZE(places); i++) {
		const struct row *row = &rows[i % ARRAY_SIZE(rows)];
		size_t rest = i / ARRAY_SIZE(rows);
		struct smtp_reply reply = reply_of(row->code, row->enhanced, row->stage, row->text);
		struct diagnosis_facts facts = facts_for(&reply, row->provider, row->when);
		struct diagnosis verdict;
		bool waits;

		reply.fault = row->fault;
		facts.mechanism = NULL;
		facts.grant = grants[rest % ARRAY_SIZE(grants)];
		facts.secret_from = places[rest / ARRAY_SIZE(grants)];
		diagnosis_find(&facts, &verdict);
		waits = row->stage == SMTP_STAGE_TOKEN && step_grant(&facts) != NO_CREDENTIAL &&
			verdict.retry != RETRY_TRANSIENT && verdict.retry != RETRY_THROTTLED;
		if (!is_possible(verdict.next, &facts) || (waits && !mends(verdict.next)))
			print_error("%s by %s: %s\n", row->id, facts.grant, verdict.next);
		assert_true(is_possible(verdict.next, &facts));
		assert_true(!waits || mends(verdict.next));
		if (row->stage == SMTP_STAGE_TOKEN && step_grant(&facts) == UNATTENDED)
			assert_int_not_equal(verdict.retry, RETRY_NEEDS_AUTHORIZATION);
		assert_true(strlen(verdict.next) + 1 < sizeof(verdict.next));
		seen++;
	}
	print_message("%zu next steps\n", seen);
}

/* Texts are cut to their room, at a character. */
static void
test_long_words(void **state)
{
	static char words[4096];
	struct smtp_reply reply = reply_of(599, "", SMTP_STAGE_EOM, words);
	struct diagnosis_facts facts = {
	    .reply = &reply, .host = words, .mail_from = "a@example.org"};
	struct diagnosis verdict;

	for (size_t i = 0; i + 2 < sizeof(words); i += 2)
		memcpy(words + i, "\xC3\xA9", 2);
	for (size_t at = 0; at < 2; at++) {
		words[0] = at == 0 ? 'x' : words[0];
		words[1] = at == 0 ? 'x' : words[1];
		diagnosis_find(&facts, &verdict);
		assert_true(strlen(verdict.text) < sizeof(verdict.text));
		assert_true(strlen(verdict.text) > sizeof(verdict.text) - 3);
		assert_int_not_equal((unsigned char)verdict.text[strlen(verdict.text) - 1], 0xC3);
		memmove(words, words + 1, sizeof(words) - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row),
	    cmocka_unit_test(test_closed_where),
	    cmocka_unit_test(test_observed),
	    cmocka_unit_test(test_fallback),
	    cmocka_unit_test(test_words_name_what_is_known),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_token_answers),
	    cmocka_unit_test(test_mangled_token_answers),
	    cmocka_unit_test(test_possible_steps),
	    cmocka_unit_test(test_long_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

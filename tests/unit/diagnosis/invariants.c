/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit test of diagnosis/: what no reply may ever do, whatever its words, code, stage and provider.
 *
 * Before MAIL nothing bounces a message; what is about the session, the login, the account or its
 * limits never does; advice against a new authorization is given only after a login that succeeded;
 * no template is left open. Every row's own evidence is tried at every stage, and phrases of
 * servers with every code. The numbers are printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "diagnosis/rule.h"
#include "tests/unit/diagnosis/invariants.h"

struct evidence {
	const char *id, *provider;
	enum smtp_stage stage;
	int code;
	const char *enhanced;
	enum smtp_fault fault;
	const char *text;
};

#define ROW(id, provider, stage, code, enhanced, fault, when, text, ...) \
	{id, provider, SMTP_STAGE_##stage, code, enhanced, SMTP_FAULT_##fault, text},
static const struct evidence rows[] = {
#include "rows.def"
};
#undef ROW

/* Said by servers of all kinds; none is about the message in hand. */
static const char *const more_than_message[] = {
    "Authentication is required to send mail",
    "Authentication required",
    "5.5.1 Authentication Required",
    "Client was not authenticated",
    "SMTP AUTH is required for message submission",
    "You must authenticate first",
    "please authenticate before sending",
    "Sender not logged in",
    "Must issue a STARTTLS command first",
    "TLS required by policy",
    "Encryption required for requested authentication mechanism",
    "Failed to establish appropriate TLS channel: Access Denied",
    "This account may not send for now",
    "Account suspended",
    "Your account has been disabled",
    "This account has been locked due to abuse",
    "Your account is not active",
    "The account is temporarily disabled from sending",
    "Sender account suspended",
    "Sending has been disabled for this account",
    "Your subscription has expired",
    "Your plan was cancelled: payment overdue",
    "Outgoing mail from this user is suspended",
    "Sending quota exceeded",
    "Daily sending limit exceeded",
    "Hourly message limit reached",
    "You have exceeded your daily message quota",
    "Too many messages in the last hour",
    "Rate limit exceeded",
    "Maximum credits exceeded",
    "Message rate limit for this user reached",
    "User has exceeded the maximum number of messages per day",
    "Sending limit for the domain exceeded, try tomorrow",
    "Login failed",
    "Bad sequence of commands",
    "Authentication failed",
    "Invalid login",
    "Payment required",
    "Trial expired",
    "credentials expired",
    "session timed out",
    "Please login",
    "Please log in to send mail",
    "Use STARTTLS",
    "log on before sending",
    "anonymous sending not allowed",
    "Service suspended",
    "your plan does not allow sending",
    "Account pending verification",
    "polite people say HELO first",
    "relaying not permitted",
    "submission disabled",
    "password expired",
};

/* The same at RCPT, where an account or a quota that is not said to be ours may be the recipient's. */
static const char *const more_than_recipient[] = {
    "Authentication is required to send mail",
    "You must authenticate first",
    "TLS required by policy",
    "Failed to establish appropriate TLS channel",
    "Your account has been suspended",
    "Account suspended",
    "Outgoing mail is disabled for this account",
    "Sending quota exceeded",
    "Daily sending limit exceeded",
    "You have exceeded your hourly message limit",
    "Too many messages per hour",
    "Login failed",
    "Bad sequence of commands",
    "Payment required",
    "Please login",
    "Service suspended",
    "your domain has been suspended",
    "sender disabled",
    "relaying not permitted",
    "password expired",
};

static const char *const providers[] = {
    "generic", "microsoft365", "google", "zoho", "mailgun", "yandex"};
static const int codes[] = {500, 503, 530, 550, 554, 599};
static const char *const enhanced[] = {"", "5.0.0", "5.7.1", "5.2.0"};

static size_t asked, bounced;

static void
ask(struct diagnosis_facts f, int code, const char *with, const char *text, enum smtp_fault fault,
    enum smtp_stage stage, struct diagnosis *ret)
{
	struct smtp_reply reply = {.code = code, .stage = stage, .fault = fault, .text = text};
	const char *broken;

	(void)snprintf(reply.enhanced, sizeof(reply.enhanced), "%s", with);
	f.reply = &reply;
	diagnosis_find(&f, ret);
	broken = broken_invariant(&f, ret, text != NULL && strpbrk(text, "{}[]") != NULL);
	if (broken != NULL)
		fail_msg("%s: %d %s %s at %s: %s | %s", broken, code, with,
		    text == NULL ? "" : text, smtp_stage_name(stage), ret->text, ret->next);
	asked++;
	bounced += ret->retry == RETRY_PERMANENT_MESSAGE;
}

/* Every row's own evidence, at every stage and however the login went. */
static void
test_every_row_everywhere(void **state)
{
	static const struct diagnosis_facts known[] = {
	    {.account = NULL},
	    {.mechanism = "XOAUTH2", .auth_user = "a@example.com", .mail_from = "b@example.com"},
	    {.mechanism = "PLAIN", .auth_user = "a@example.com", .login = LOGIN_REFUSED},
	    {.grant = "none", .host = "mx.example.com", .port = 25},
	    {.grant = "client-credentials", .account = "billing", .login = LOGIN_NOT_TRIED},
	    {.grant = "password", .account = "billing", .host = "smtp.example.com", .port = 465},
	};
	struct diagnosis d;

	asked = bounced = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned stage = 0; stage < SMTP_STAGE_COUNT; stage++)
			for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
				struct diagnosis_facts f = known[k];

				f.provider = rows[i].provider;
				ask(f, rows[i].code, rows[i].enhanced, rows[i].text, rows[i].fault,
				    (enum smtp_stage)stage, &d);
			}
	print_message("%zu rows at %d stages: %zu verdicts, %zu of them bounce, none before MAIL\n",
	    ARRAY_SIZE(rows), SMTP_STAGE_COUNT, asked, bounced);
}

static void
never_bounces(const char *const *phrases, size_t count, enum smtp_stage stage)
{
	struct diagnosis d;

	for (size_t i = 0; i < count; i++)
		for (size_t p = 0; p < ARRAY_SIZE(providers); p++)
			for (size_t c = 0; c < ARRAY_SIZE(codes); c++)
				for (size_t e = 0; e < ARRAY_SIZE(enhanced); e++) {
					struct diagnosis_facts f = {.provider = providers[p]};

					/* at RCPT that is of the recipient */
					if (stage == SMTP_STAGE_RCPT &&
					    strcmp(enhanced[e], "5.2.0") == 0)
						continue;
					ask(f, codes[c], enhanced[e], phrases[i], SMTP_FAULT_NONE,
					    stage, &d);
					if (d.retry == RETRY_PERMANENT_MESSAGE)
						fail_msg("%d %s %s (%s) at %s bounces as %s",
						    codes[c], enhanced[e], phrases[i], providers[p],
						    smtp_stage_name(stage), d.cause);
				}
}

static void
test_more_than_the_message(void **state)
{
	asked = bounced = 0;
	never_bounces(more_than_message, ARRAY_SIZE(more_than_message), SMTP_STAGE_MAIL);
	never_bounces(more_than_message, ARRAY_SIZE(more_than_message), SMTP_STAGE_DATA);
	never_bounces(more_than_message, ARRAY_SIZE(more_than_message), SMTP_STAGE_EOM);
	never_bounces(more_than_recipient, ARRAY_SIZE(more_than_recipient), SMTP_STAGE_RCPT);
	print_message("%zu replies about more than the message: %zu bounce\n", asked, bounced);
	assert_int_equal(bounced, 0);
}

/* Any code with any words, before MAIL. */
static void
test_before_mail(void **state)
{
	static const char *const words[] = {"spam", "blocked", "message too big", "user unknown",
	    "sender rejected", "no such user", "x", "mailbox full", "content rejected", "virus",
	    "attachment", "relay denied", "from address is not one of your addresses"};
	struct diagnosis d;

	asked = bounced = 0;
	for (unsigned stage = SMTP_STAGE_TOKEN; stage < SMTP_STAGE_MAIL; stage++)
		for (size_t w = 0; w < ARRAY_SIZE(words); w++)
			for (size_t p = 0; p < ARRAY_SIZE(providers); p++)
				for (int code = 401; code < 600; code += 13) {
					struct diagnosis_facts f = {.provider = providers[p]};

					ask(f, code, code % 2 ? "" : "5.7.1", words[w],
					    SMTP_FAULT_NONE, (enum smtp_stage)stage, &d);
				}
	print_message("%zu replies before MAIL: %zu bounce\n", asked, bounced);
	assert_int_equal(bounced, 0);
}

/* The advice stands in a segment that is left out unless a login succeeded. */
static void
test_table(void **state)
{
	static const char segment[] = "[{?signed-in}";

	for (size_t i = 0; i < diagnosis_rules_count; i++)
		for (const char *at = diagnosis_rules[i].next;
		     (at = strcasestr(at, "do not authorize again")) != NULL; at++)
			if ((size_t)(at - diagnosis_rules[i].next) < strlen(segment) ||
			    strncmp(at - strlen(segment), segment, strlen(segment)) != 0)
				fail_msg("%s advises against a new authorization in any case",
				    diagnosis_rules[i].id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row_everywhere),
	    cmocka_unit_test(test_more_than_the_message),
	    cmocka_unit_test(test_before_mail),
	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-test.c: `frank test`: submits a message from the account's mailbox through the socket that every
 * program uses, and follows it until its outcome is known. So it is subject to the rules of services,
 * and the caller needs a service that allows it. It names the account to use, since several may have
 * the same mailbox (XACCOUNT, base/smtp/smtp.h).
 */
#include <string.h>
#include <time.h>

#include "admin/hand-in.h"
#include "admin/verbs.h"
#include "broker/message/own-mail.h"

enum { FOLLOW_SECONDS = 120, FOLLOW_PAUSE_MS = 300, TEST_MAX = 16 * 1024 };

/* ---- handing it in ---- */

static int
submit(const struct cli *cli, const char *account, const char *sender, const char *recipient,
    struct hand_in_answer *ret)
{
	CLEANUP_BUF struct buf content = BUF_INIT(TEST_MAX);
	int status;

	(void)own_mail_header(&content, &(struct own_mail){.name = "",
					    .from = sender,
					    .to = &recipient,
					    .to_count = 1,
					    .subject = "Test message from Frank",
					    .type = "text/plain; charset=us-ascii"});
	(void)buf_append_str(&content,
	    "This message was sent by `frank test`. That it arrived shows that the account "
	    "works.\r\n");
	status = hand_in(cli,
	    &(struct hand_in){.socket = cli->submit,
		.account = account,
		.sender = sender,
		.recipients = &recipient,
		.count = 1,
		.content = buf_str(&content),
		.len = content.len},
	    ret);
	if (status == EX_OK && *ret->id == '\0')
		status = cli_fail(cli, ret->code >= 500 ? EX_NOPERM : EX_TEMPFAIL,
		    "frank service list shows which service is yours; its block in the "
		    "configuration says what it may send",
		    "frankd did not take the message: %d %s %s", ret->code, ret->enhanced,
		    ret->text == NULL ? "" : ret->text);
	return status;
}

/* ---- following it ---- */

static const char *
state_of(const json_t *message)
{
	const json_t *recipient = json_array_get(json_object_get(message, "recipients"), 0);
	const char *state = cli_text(recipient, "state");

	return state == NULL ? "" : state;
}

static const char *
account_of(const json_t *message)
{
	const char *account = cli_text(message, "account");

	return account == NULL ? "no account" : account;
}

static bool
is_under_way(const char *state)
{
	return strcmp(state, "queued") == 0 || strcmp(state, "sending") == 0;
}

int
verb_test_follow(const struct cli *cli, const char *id, json_t **ret)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
	bool show = !cli->json && isatty(STDERR_FILENO);
	int status = EX_OK;

	for (int i = 0; i < FOLLOW_SECONDS * 1000 / FOLLOW_PAUSE_MS; i++) {
		json_decref(*ret);
		*ret = NULL;
		status = verb_queue_load(cli, id, ret);
		if (status != EX_OK || !is_under_way(state_of(*ret)))
			break;
		if (show)
			(void)fprintf(stderr, "\r%s: %s... ", id, state_of(*ret));
		(void)nanosleep(&pause, NULL);
	}
	if (show)
		(void)fputs("\r\033[K", stderr);
	return status;
}

static int
conclude(const struct cli *cli, json_t *message)
{
	static const struct {
		const char *state, *words;
		int status;
	} ends[] = {
	    {"delivered", "The provider accepted the message.", EX_OK},
	    {"bounced", "The message was refused for good, and its sender got a report.",
		EX_UNAVAILABLE},
	    {"failed", "The message was refused for good.", EX_UNAVAILABLE},
	    {"captured",
		"The service of this caller captures its mail (mode = \"capture\"), so the account "
		"has sent nothing.",
		EX_CONFIG},
	    {"deferred", "The message is kept, and Frank will try again.", EX_TEMPFAIL},
	};
	const char *state = state_of(message), *words = "The message is kept.";
	int status = EX_TEMPFAIL;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(ends[i].state, state) == 0) {
			words = ends[i].words;
			status = ends[i].status;
		}
	}
	if (cli->json)
		return cli_print_json(message, status);
	verb_queue_print(cli, message);
	(void)puts(words);
	if (status == EX_CONFIG)
		(void)printf("Next: frank queue release %s delivers it all the same.\n",
		    cli_text(message, "id"));
	else if (status != EX_OK)
		(void)printf(
		    "Next: frank transcript %s shows what was said.\n", cli_text(message, "id"));
	json_decref(message);
	return status;
}

/* An account whose mail waits for a person sends nothing, so there is nothing to test: why, and what to do. */
static int
refuse_waiting(const struct cli *cli, const json_t *account)
{
	static const char *const waiting[] = {"held", "needs-authorization", "client-error"};
	const char *state = cli_text(account, "state");
	const char *text = cli_text(account, "text");
	const char *next = cli_text(account, "next");

	for (size_t i = 0; state != NULL && i < ARRAY_SIZE(waiting); i++)
		if (strcmp(state, waiting[i]) == 0)
			return cli_fail(cli, strcmp(state, "held") == 0 ? EX_TEMPFAIL : EX_NOPERM,
			    next, "%s sends nothing now (%s): %s", cli_text(account, "account"),
			    state, text == NULL ? "its mail is waiting" : text);
	return EX_OK;
}

int
verb_test(const struct cli *cli, const struct arguments *args)
{
	const char *account = args->words[1], *mailbox, *recipient;
	json_t *known = NULL, *message = NULL;
	struct hand_in_answer answer = {0};
	int status = verb_status_of_account(cli, account, &known);

	if (status != EX_OK)
		return status;
	mailbox = cli_text(known, "mailbox");
	recipient = args->count > 2 ? args->words[2] : mailbox;
	if (mailbox == NULL || !hand_in_is_plain(mailbox))
		status = cli_fail(cli, EX_CONFIG, "set mailbox in its block of the configuration",
		    "%s has no mailbox to send from", account);
	else if (!hand_in_is_plain(recipient))
		status = cli_fail(cli, EX_USAGE, NULL, "%s is not an address", recipient);
	else
		status = refuse_waiting(cli, known);
	if (status == EX_OK)
		status = submit(cli, account, mailbox, recipient, &answer);
	json_decref(known);
	if (status == EX_OK)
		status = verb_test_follow(cli, answer.id, &message);
	hand_in_answer_clear(&answer);
	/* it was handed in for this account, and nobody else's success is its own */
	if (status == EX_OK && strcmp(account_of(message), account) != 0)
		status = cli_fail(cli, EX_SOFTWARE, "frank queue show says more",
		    "the message went by %s, and not by %s", account_of(message), account);
	if (status != EX_OK) {
		json_decref(message);
		return status;
	}
	return conclude(cli, message);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-queue.c: `frank queue` and `frank transcript`: the messages in the spool, as queue lets the
 * caller see them.
 *
 * Rows come as a message, then its recipients, then its attempts; they are gathered into one JSON
 * object per message, which is what --json prints and what the lines for people are made from.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { QUEUE_PATIENCE = 60 };

static const struct column message_columns[] = {
    {F_QUEUE_ID, "id", false},
    {F_STATE, "state", false},
    {F_SENDER, "sender", false},
    {F_SIZE, "size", true},
    {F_TIME, "time", true},
    {F_ACCOUNT, "account", false},
    {F_SERVICE, "service", false},
    {F_UID, "uid", true},
    {F_SOCKET_NAME, "socket", false},
    {F_UNTIL, "until", true},
    {F_SUBJECT, "subject", false},
    {F_ENVID, "envid", false},
};

static const struct column recipient_columns[] = {
    {F_RCPT, "recipient", false},
    {F_STATE, "state", false},
    {F_ATTEMPTS, "attempts", true},
    {F_UNTIL, "until", true},
    {F_REPLY, "reply", false},
    {F_CAUSE, "cause", false},
    {F_FIXER, "fixer", false},
    {F_RETRY, "retry", false},
    {F_TEXT, "text", false},
    {F_NEXT, "next", false},
};

static const struct column attempt_columns[] = {
    {F_TIME, "time", true},
    {F_STATE, "state", false},
    {F_ENDPOINT, "endpoint", false},
    {F_TLS, "tls", false},
    {F_MECHANISM, "mechanism", false},
    {F_REPLY, "reply", false},
    {F_CAUSE, "cause", false},
    {F_FIXER, "fixer", false},
    {F_RETRY, "retry", false},
    {F_TEXT, "text", false},
    {F_NEXT, "next", false},
    {F_TRANSCRIPT, "transcript", false},
};

/* Appends the row to the list `key` of the last message. */
static int
append_to_last(json_t *messages, const char *key, const struct message *m,
    const struct column *columns, size_t count)
{
	json_t *last = json_array_get(messages, json_array_size(messages) - 1), *o = json_object(),
	       *list;

	list = json_object_get(last, key);
	if (last != NULL && list == NULL) {
		(void)json_object_set_new(last, key, json_array());
		list = json_object_get(last, key);
	}
	if (o == NULL || cli_json_fields(o, m, columns, count) < 0) {
		json_decref(o);
		return EX_OSERR;
	}
	return json_array_append_new(list, o) < 0 ? EX_PROTOCOL : EX_OK;
}

static int
take_row(void *arg, const struct message *m)
{
	json_t *messages = arg, *o;

	switch (message_type(m)) {
	case M_ROW_MESSAGE:
		o = json_object();
		if (o == NULL ||
		    cli_json_fields(o, m, message_columns, ARRAY_SIZE(message_columns)) < 0) {
			json_decref(o);
			return EX_OSERR;
		}
		return json_array_append_new(messages, o) < 0 ? EX_OSERR : EX_OK;
	case M_ROW_RECIPIENT:
		return append_to_last(
		    messages, "recipients", m, recipient_columns, ARRAY_SIZE(recipient_columns));
	case M_ROW_ATTEMPT:
		return append_to_last(
		    messages, "attempts", m, attempt_columns, ARRAY_SIZE(attempt_columns));
	default:
		return EX_OK;
	}
}

static int
gather(const struct cli *cli, struct message *request, json_t **ret)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	int status = link_open(&l, cli, ROLE_QUEUE, QUEUE_PATIENCE);

	*ret = NULL;
	if (status != EX_OK) {
		(void)message_free(request);
		return status;
	}
	*ret = json_array();
	return link_list(&l, request, take_row, *ret, NULL);
}

/* ---- for people ---- */

static const char *
text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static uint64_t
number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void
put_field(const struct cli *cli, const char *name, const char *value)
{
	if (value == NULL)
		return;
	(void)printf("    %-10s ", name);
	cli_put(cli, COLOUR_NONE, value, 0);
	(void)putchar('\n');
}

static void
put_time(const struct cli *cli, const char *name, uint64_t when)
{
	char text[160], relative[64];
	time_t t = (time_t)when;
	struct tm tm;

	if (when == 0 || localtime_r(&t, &tm) == NULL)
		return;
	cli_relative_time(when, (uint64_t)time(NULL), relative, sizeof(relative));
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d (%s)", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, relative);
	put_field(cli, name, text);
}

static void
print_recipient(const struct cli *cli, const json_t *r, bool whole)
{
	const char *state = text_of(r, "state");
	char attempts[32];

	(void)fputs("  ", stdout);
	cli_put(cli, cli_state_colour(state), state, 10);
	cli_put(cli, COLOUR_NONE, text_of(r, "recipient"), 0);
	(void)putchar('\n');
	if (whole && number_of(r, "attempts") > 0) {
		(void)snprintf(attempts, sizeof(attempts), "%llu",
		    (unsigned long long)number_of(r, "attempts"));
		put_field(cli, "attempts", attempts);
	}
	put_time(cli, "next try", number_of(r, "until"));
	put_field(cli, "reply", text_of(r, "reply"));
	put_field(cli, "meaning", text_of(r, "text"));
	if (whole)
		put_field(cli, "to fix by", text_of(r, "fixer"));
	put_field(cli, "next step", text_of(r, "next"));
}

static void
print_recipients(const struct cli *cli, const json_t *message, bool whole)
{
	const json_t *list = json_object_get(message, "recipients"), *r;
	size_t i;

	json_array_foreach(list, i, r) print_recipient(cli, r, whole);
}

static void
print_line(const struct cli *cli, const json_t *m)
{
	const char *sender = text_of(m, "sender"), *state = text_of(m, "state");
	char age[64], size[24];

	cli_relative_time(number_of(m, "time"), (uint64_t)time(NULL), age, sizeof(age));
	cli_size(number_of(m, "size"), size, sizeof(size));
	cli_put(cli, COLOUR_BOLD, text_of(m, "id"), 14);
	cli_put(cli, cli_state_colour(state), state, 10);
	cli_put(cli, COLOUR_NONE, size, 8);
	cli_put(cli, COLOUR_NONE, age, 13);
	cli_put(cli, COLOUR_DIM, text_of(m, "account"), 12);
	cli_put(cli, COLOUR_NONE, sender == NULL || *sender == '\0' ? "<>" : sender, 0);
	(void)putchar('\n');
	print_recipients(cli, m, false);
}

static void
print_attempt(const struct cli *cli, const json_t *a, bool transcript)
{
	put_time(cli, "tried", number_of(a, "time"));
	put_field(cli, "outcome", text_of(a, "state"));
	put_field(cli, "server", text_of(a, "endpoint"));
	put_field(cli, "TLS", text_of(a, "tls"));
	put_field(cli, "login by", text_of(a, "mechanism"));
	put_field(cli, "reply", text_of(a, "reply"));
	put_field(cli, "meaning", text_of(a, "text"));
	put_field(cli, "to fix by", text_of(a, "fixer"));
	put_field(cli, "next step", text_of(a, "next"));
	if (transcript && text_of(a, "transcript") != NULL) {
		(void)putchar('\n');
		cli_put_lines(cli, text_of(a, "transcript"), 6);
	}
	(void)putchar('\n');
}

void
queue_print(const struct cli *cli, const json_t *m)
{
	const json_t *attempts = json_object_get(m, "attempts"), *a;
	const char *sender = text_of(m, "sender"), *state = text_of(m, "state");
	char size[24], uid[64];
	size_t i;

	cli_put(cli, COLOUR_BOLD, text_of(m, "id"), 14);
	cli_put(cli, cli_state_colour(state), state, 0);
	(void)putchar('\n');
	cli_size(number_of(m, "size"), size, sizeof(size));
	put_field(cli, "sender", sender == NULL || *sender == '\0' ? "<>" : sender);
	put_field(cli, "subject", text_of(m, "subject"));
	put_field(cli, "size", size);
	put_field(cli, "account", text_of(m, "account"));
	put_field(cli, "service", text_of(m, "service"));
	if (json_object_get(m, "uid") != NULL) {
		(void)snprintf(uid, sizeof(uid), "%llu%s", (unsigned long long)number_of(m, "uid"),
		    json_object_get(m, "socket") != NULL ? ", through its own socket" : "");
		put_field(cli, "from uid", uid);
	}
	put_time(cli, "accepted", number_of(m, "time"));
	put_time(cli, "kept until", number_of(m, "until"));
	(void)putchar('\n');
	print_recipients(cli, m, true);
	if (json_array_size(attempts) > 0)
		(void)puts("\n  Attempts (frank transcript prints what was said):");
	json_array_foreach(attempts, i, a) print_attempt(cli, a, false);
}

/* ---- the verbs ---- */

/* --service and --older. */
static int
put_choice(const struct cli *cli, const struct arguments *args, struct message *m)
{
	uint64_t age = 0;
	int r = arguments_age(args, OPTION_OLDER, &age);

	if (r == -EINVAL)
		return cli_fail(cli, EX_USAGE, NULL, "--older wants an age such as 90m, 12h or 3d");
	message_put_str(m, F_SERVICE, args->values[OPTION_SERVICE]);
	if (r == 0)
		message_put_u64(m, F_OLDER, age);
	return EX_OK;
}

int
verb_queue_list(const struct cli *cli, const struct arguments *args)
{
	struct message *request = message_new(M_QUEUE_LIST);
	json_t *messages, *m;
	int status;
	size_t i;

	message_put_str(request, F_ACCOUNT, args->values[OPTION_ACCOUNT]);
	status = put_choice(cli, args, request);
	if (status != EX_OK) {
		(void)message_free(request);
		return status;
	}
	status = gather(cli, request, &messages);
	if (status == EX_OK && cli->json)
		return cli_print_json(json_pack("{s:o}", "messages", messages), EX_OK);
	if (status == EX_OK && json_array_size(messages) == 0)
		(void)puts("The queue is empty.");
	if (status == EX_OK)
		json_array_foreach(messages, i, m) print_line(cli, m);
	json_decref(messages);
	return status;
}

int
queue_load(const struct cli *cli, const char *id, json_t **ret)
{
	struct message *request = message_new(M_QUEUE_SHOW);
	json_t *messages;
	int status;

	*ret = NULL;
	message_put_str(request, F_QUEUE_ID, id);
	status = gather(cli, request, &messages);
	if (status == EX_OK) {
		*ret = json_incref(json_array_get(messages, 0));
		if (*ret == NULL)
			status = cli_fail(cli, EX_NOUSER, "frank queue lists those that are",
			    "no message %s is in the queue", id);
	}
	json_decref(messages);
	return status;
}

int
verb_queue_show(const struct cli *cli, const struct arguments *args)
{
	json_t *message;
	int status = queue_load(cli, args->words[2], &message);

	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(message, EX_OK);
	queue_print(cli, message);
	json_decref(message);
	return EX_OK;
}

int
verb_transcript(const struct cli *cli, const struct arguments *args)
{
	json_t *message, *attempts, *a;
	int status = queue_load(cli, args->words[1], &message);
	size_t i;

	if (status != EX_OK)
		return status;
	attempts = json_object_get(message, "attempts");
	if (cli->json) {
		status = cli_print_json(
		    json_pack("{s:s, s:O*}", "id", args->words[1], "attempts", attempts), EX_OK);
	} else {
		if (json_array_size(attempts) == 0)
			(void)puts("It was not tried yet.");
		json_array_foreach(attempts, i, a) print_attempt(cli, a, true);
	}
	json_decref(message);
	return status;
}

/* ---- doing something ---- */

static const char *
done_word(const char *action)
{
	static const struct {
		const char *action, *done;
	} words[] = {{"retry", "tried again now"}, {"delete", "deleted"}, {"hold", "held"},
	    {"release", "released"}, {"move", "moved"}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].action, action) == 0)
			return words[i].done;
	return action;
}

static int
print_acted(const struct cli *cli, const char *action, const char *account, uint64_t count)
{
	if (cli->json)
		return cli_print_json(json_pack("{s:s, s:s*, s:I}", "action", action, "account",
					  account, "count", (json_int_t)count),
		    EX_OK);
	if (account != NULL && strcmp(action, "delete") != 0)
		(void)printf("%s is %s.\n", account, done_word(action));
	if (account == NULL || count > 0)
		(void)printf("%llu message%s %s.\n", (unsigned long long)count,
		    count == 1 ? " is" : "s are", done_word(action));
	return EX_OK;
}

/* Asks for the action: on the message `id`, or where that is NULL on all that the options choose; on
 * the account as a whole where these name one and nothing else. `to`: the account to move to. */
static int
act(const struct cli *cli, const struct arguments *args, const char *action, const char *id,
    const char *account, const char *to)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m = message_new(M_QUEUE_ACT);
	bool whole;
	int status;

	message_put_str(m, F_ACTION, action);
	message_put_str(m, F_QUEUE_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	message_put_str(m, F_TO_ACCOUNT, to);
	status = put_choice(cli, args, m);
	if (status == EX_OK)
		status = link_open(&l, cli, ROLE_QUEUE, QUEUE_PATIENCE);
	if (status != EX_OK) {
		(void)message_free(m);
		return status;
	}
	whole = !message_has(m, F_SERVICE) && !message_has(m, F_OLDER) && to == NULL;
	status = link_list(&l, m, NULL, NULL, &done);
	if (status == EX_OK)
		status = link_done(cli, done);
	return status != EX_OK ? status
			       : print_acted(cli, action, whole ? account : NULL,
				     message_u64(done, F_COUNT, 1));
}

/* One of the two, so that nobody deletes everything by leaving a word out. */
static int
check_choice(const struct cli *cli, const struct arguments *args, const char *id)
{
	if ((id != NULL) == arguments_has(args, OPTION_ALL))
		return cli_fail(cli, EX_USAGE, NULL, "queue %s wants the ID of a message, or --all",
		    args->words[1]);
	if (id != NULL &&
	    (arguments_has(args, OPTION_ACCOUNT) || arguments_has(args, OPTION_SERVICE) ||
		arguments_has(args, OPTION_OLDER)))
		return cli_fail(
		    cli, EX_USAGE, NULL, "--account, --service and --older go with --all");
	return EX_OK;
}

int
verb_queue_act(const struct cli *cli, const struct arguments *args)
{
	const char *id = args->count > 2 ? args->words[2] : NULL;
	int status = check_choice(cli, args, id);

	return status != EX_OK
		   ? status
		   : act(cli, args, args->words[1], id, args->values[OPTION_ACCOUNT], NULL);
}

int
verb_queue_move(const struct cli *cli, const struct arguments *args)
{
	const char *id = args->count > 3 ? args->words[2] : NULL,
		   *to = args->words[args->count - 1];
	int status = check_choice(cli, args, id);

	return status != EX_OK ? status
			       : act(cli, args, "move", id, args->values[OPTION_ACCOUNT], to);
}

int
verb_account_act(const struct cli *cli, const struct arguments *args)
{
	return act(cli, args, args->words[1], NULL, args->words[2], NULL);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-queue.c: `frank queue` and `frank transcript`: the messages in the spool, as queue lets the
 * caller see them.
 *
 * Rows come as a message, then its recipients, then its attempts. They become one JSON object per
 * message, which --json prints and from which the lines for people are made.
 */
#include "admin/table.h"
#include "admin/verbs.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"

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
	json_t *last = json_array_get(messages, json_array_size(messages) - 1);

	if (last == NULL)
		return EX_PROTOCOL;
	if (json_object_get(last, key) == NULL)
		(void)json_object_set_new(last, key, json_array());
	return cli_add_row(json_object_get(last, key), m, columns, count, NULL);
}

int
verb_queue_row(const struct message *m, json_t **ret)
{
	*ret = json_object();
	return *ret == NULL ||
		       cli_json_fields(*ret, m, message_columns, ARRAY_SIZE(message_columns)) < 0
		   ? EX_OSERR
		   : EX_OK;
}

int
verb_queue_recipient(const struct message *m, json_t *message)
{
	json_t *list = json_object_get(message, "recipients");

	if (list == NULL) {
		list = json_array();
		(void)json_object_set_new(message, "recipients", list);
	}
	return cli_add_row(list, m, recipient_columns, ARRAY_SIZE(recipient_columns), NULL);
}

static int
take_row(void *arg, const struct message *m)
{
	switch (message_type(m)) {
	case M_ROW_MESSAGE:
		return cli_add_row(arg, m, message_columns, ARRAY_SIZE(message_columns), NULL);
	case M_ROW_RECIPIENT:
		return append_to_last(
		    arg, "recipients", m, recipient_columns, ARRAY_SIZE(recipient_columns));
	case M_ROW_ATTEMPT:
		return append_to_last(
		    arg, "attempts", m, attempt_columns, ARRAY_SIZE(attempt_columns));
	default:
		return EX_OK;
	}
}

static int
gather(const struct cli *cli, struct message *request, json_t **ret)
{
	*ret = json_array();
	return link_ask(cli, ROLE_QUEUE, QUEUE_PATIENCE, request, take_row, *ret, NULL);
}

/* ---- for people ---- */

static void
put_field(const struct cli *cli, const char *name, const char *value)
{
	cli_put_field(cli, 4, name, 11, COLOUR_NONE, value);
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
	static const struct table_column columns[] = {
	    {NULL, "state", CELL_STATE, 10, NULL}, {NULL, "recipient", CELL_TEXT, 0, NULL}};
	char attempts[32];

	(void)fputs("  ", stdout);
	table_row(cli, r, columns, ARRAY_SIZE(columns));
	if (whole && cli_number(r, "attempts") > 0) {
		(void)snprintf(attempts, sizeof(attempts), "%llu",
		    (unsigned long long)cli_number(r, "attempts"));
		put_field(cli, "attempts", attempts);
	}
	put_time(cli, "next try", cli_number(r, "until"));
	put_field(cli, "reply", cli_text(r, "reply"));
	put_field(cli, "meaning", cli_text(r, "text"));
	if (whole)
		put_field(cli, "to fix by", cli_text(r, "fixer"));
	put_field(cli, "next step", cli_text(r, "next"));
}

static void
print_recipients(const struct cli *cli, const json_t *message, bool whole)
{
	const json_t *list = json_object_get(message, "recipients"), *r;
	size_t i;

	json_array_foreach(list, i, r) print_recipient(cli, r, whole);
}

static const char *
sender_of(const json_t *m, char *scratch, size_t size)
{
	const char *sender = cli_text(m, "sender");

	return sender == NULL || *sender == '\0' ? "<>" : sender;
}

static void
print_briefly(const struct cli *cli, const json_t *message)
{
	print_recipients(cli, message, false);
}

static void
print_messages(const struct cli *cli, const json_t *messages)
{
	static const struct table_column columns[] = {
	    {NULL, "id", CELL_BOLD, 14, NULL},
	    {NULL, "state", CELL_STATE, 10, NULL},
	    {NULL, "size", CELL_SIZE, 8, NULL},
	    {NULL, "time", CELL_AGE, 13, NULL},
	    {NULL, "account", CELL_DIM, 12, NULL},
	    {NULL, "sender", CELL_TEXT, 0, sender_of},
	};

	if (json_array_size(messages) == 0)
		(void)puts("The queue is empty.");
	table_print(cli, messages, columns, ARRAY_SIZE(columns), print_briefly);
}

static void
print_attempt(const struct cli *cli, const json_t *a, bool transcript)
{
	put_time(cli, "tried", cli_number(a, "time"));
	put_field(cli, "outcome", cli_text(a, "state"));
	put_field(cli, "server", cli_text(a, "endpoint"));
	put_field(cli, "TLS", cli_text(a, "tls"));
	put_field(cli, "login by", cli_text(a, "mechanism"));
	put_field(cli, "reply", cli_text(a, "reply"));
	put_field(cli, "meaning", cli_text(a, "text"));
	put_field(cli, "to fix by", cli_text(a, "fixer"));
	put_field(cli, "next step", cli_text(a, "next"));
	if (transcript && cli_text(a, "transcript") != NULL) {
		(void)putchar('\n');
		cli_put_lines(cli, cli_text(a, "transcript"), 6);
	}
	(void)putchar('\n');
}

void
verb_queue_print(const struct cli *cli, const json_t *m)
{
	const json_t *attempts = json_object_get(m, "attempts"), *a;
	static const struct table_column head[] = {
	    {NULL, "id", CELL_BOLD, 14, NULL}, {NULL, "state", CELL_STATE, 0, NULL}};
	char size[24], uid[64];
	size_t i;

	table_row(cli, m, head, ARRAY_SIZE(head));
	cli_size(cli_number(m, "size"), size, sizeof(size));
	put_field(cli, "sender", sender_of(m, NULL, 0));
	put_field(cli, "subject", cli_text(m, "subject"));
	put_field(cli, "size", size);
	put_field(cli, "account", cli_text(m, "account"));
	put_field(cli, "service", cli_text(m, "service"));
	if (json_object_get(m, "uid") != NULL) {
		(void)snprintf(uid, sizeof(uid), "%llu%s", (unsigned long long)cli_number(m, "uid"),
		    json_object_get(m, "socket") != NULL ? ", through its own socket" : "");
		put_field(cli, "from uid", uid);
	}
	put_time(cli, "accepted", cli_number(m, "time"));
	put_time(cli, "kept until", cli_number(m, "until"));
	(void)putchar('\n');
	print_recipients(cli, m, true);
	if (json_array_size(attempts) > 0)
		(void)puts("\n  Attempts (frank transcript prints what was said):");
	json_array_foreach(attempts, i, a) print_attempt(cli, a, false);
}

/* ---- the verbs ---- */

/* --service, --older and --captured. */
static int
put_choice(const struct cli *cli, const struct arguments *args, struct message *m)
{
	uint64_t age = 0;
	int r = arguments_age(args, OPTION_OLDER, &age);

	if (r == -EINVAL)
		return cli_fail(cli, EX_USAGE, NULL, "--older needs an age such as 90m, 12h or 3d");
	message_put_str(m, F_SERVICE, args->values[OPTION_SERVICE]);
	if (r == 0)
		message_put_u64(m, F_OLDER, age);
	if (arguments_has(args, OPTION_CAPTURED))
		message_put_u64(m, F_FLAGS, 1);
	return EX_OK;
}

int
verb_queue_list(const struct cli *cli, const struct arguments *args)
{
	struct message *request = message_new(M_QUEUE_LIST);
	json_t *messages;
	int status;

	message_put_str(request, F_ACCOUNT, args->values[OPTION_ACCOUNT]);
	status = put_choice(cli, args, request);
	if (status != EX_OK) {
		(void)message_free(request);
		return status;
	}
	status = gather(cli, request, &messages);
	if (status == EX_OK && cli->json)
		return cli_print_json(json_pack("{s:o}", "messages", messages), EX_OK);
	if (status == EX_OK)
		print_messages(cli, messages);
	json_decref(messages);
	return status;
}

int
verb_queue_load(const struct cli *cli, const char *id, json_t **ret)
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
			status = cli_fail(cli, EX_NOUSER, "frank queue lists the messages",
			    "no message %s is in the queue", id);
	}
	json_decref(messages);
	return status;
}

/* Lines that are escaped, their ends being LF. */
static void
put_escaped(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		const char *lf = memchr(text + at, '\n', len - at);
		size_t end = lf == NULL ? len : (size_t)(lf - text);
		size_t shown = lf != NULL && end > at && text[end - 1] == '\r' ? end - 1 : end;
		CLEANUP_BUF struct buf line = BUF_INIT(4 * MESSAGE_BODY_MAX + 1);

		(void)text_escape(&line, text + at, shown - at, false);
		(void)fputs(buf_str(&line), stdout);
		if (lf != NULL)
			(void)putchar('\n');
		at = end + (lf != NULL);
	}
}

/* A message as it is; a terminal does not get what would steer it. */
static int
print_content(void *arg, const struct message *m)
{
	size_t len;
	const uint8_t *bytes = message_bytes(m, F_BODY, &len);

	if (message_type(m) != M_CONTENT)
		return EX_OK;
	if (isatty(STDOUT_FILENO))
		put_escaped((const char *)bytes, len);
	else
		(void)fwrite(bytes, 1, len, stdout);
	return ferror(stdout) ? EX_IOERR : EX_OK;
}

static int
show_content(const struct cli *cli, const char *id)
{
	struct message *request = message_new(M_CONTENT_GET);

	message_put_str(request, F_QUEUE_ID, id);
	return link_ask(cli, ROLE_QUEUE, QUEUE_PATIENCE, request, print_content, NULL, NULL);
}

int
verb_queue_show(const struct cli *cli, const struct arguments *args)
{
	json_t *message;
	int status;

	if (arguments_has(args, OPTION_CONTENT))
		return cli->json ? cli_fail(cli, EX_USAGE, NULL,
				       "--content prints the message itself, not JSON")
				 : show_content(cli, args->words[2]);
	status = verb_queue_load(cli, args->words[2], &message);
	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(message, EX_OK);
	verb_queue_print(cli, message);
	json_decref(message);
	return EX_OK;
}

int
verb_transcript(const struct cli *cli, const struct arguments *args)
{
	json_t *message, *attempts, *a;
	int status = verb_queue_load(cli, args->words[1], &message);
	size_t i;

	if (status != EX_OK)
		return status;
	attempts = json_object_get(message, "attempts");
	if (cli->json) {
		status = cli_print_json(
		    json_pack("{s:s, s:O*}", "id", args->words[1], "attempts", attempts), EX_OK);
	} else {
		if (json_array_size(attempts) == 0)
			(void)puts("No attempt has been made yet.");
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
 * the account as a whole where these name one and nothing else. `to`: the account to move to. Adds how many
 * changed to *count. */
static int
act(const struct cli *cli, const struct arguments *args, const char *action, const char *id,
    const char *account, const char *to, uint64_t *count)
{
	CLEANUP_MESSAGE struct message *done = NULL, *m = message_new(M_QUEUE_ACT);
	int status;

	message_put_str(m, F_ACTION, action);
	message_put_str(m, F_QUEUE_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	message_put_str(m, F_TO_ACCOUNT, to);
	status = put_choice(cli, args, m);
	if (status == EX_OK)
		status = link_ask(cli, ROLE_QUEUE, QUEUE_PATIENCE, TAKE_PTR(m), NULL, NULL, &done);
	if (status == EX_OK)
		status = link_done(cli, done);
	if (status == EX_OK)
		*count += message_u64(done, F_COUNT, 1);
	return status;
}

/* Is the account acted on as a whole? */
static bool
is_whole(const struct arguments *args)
{
	return !arguments_has(args, OPTION_SERVICE) && !arguments_has(args, OPTION_OLDER) &&
	       !arguments_has(args, OPTION_CAPTURED);
}

/* One of the two, so that nobody deletes everything by leaving a word out. */
static int
check_choice(const struct cli *cli, const struct arguments *args, bool has_id)
{
	if (has_id == arguments_has(args, OPTION_ALL))
		return cli_fail(cli, EX_USAGE, NULL, "queue %s needs the ID of a message, or --all",
		    args->words[1]);
	if (has_id && (arguments_has(args, OPTION_ACCOUNT) || !is_whole(args)))
		return cli_fail(cli, EX_USAGE, NULL,
		    "--account, --service, --older and --captured can only be given with --all");
	return EX_OK;
}

int
verb_queue_act(const struct cli *cli, const struct arguments *args)
{
	const char *action = args->words[1], *account = args->values[OPTION_ACCOUNT];
	uint64_t count = 0;
	int status = check_choice(cli, args, args->count > 2), r;

	if (status != EX_OK)
		return status;
	if (args->count == 2)
		status = act(cli, args, action, NULL, account, NULL, &count);
	/* Where one cannot be acted on, the others are. */
	for (size_t i = 2; i < args->count; i++) {
		r = act(cli, args, action, args->words[i], NULL, NULL, &count);
		if (status == EX_OK)
			status = r;
	}
	return status != EX_OK ? status
			       : print_acted(cli, action, is_whole(args) ? account : NULL, count);
}

int
verb_queue_move(const struct cli *cli, const struct arguments *args)
{
	const char *id = args->count > 3 ? args->words[2] : NULL,
		   *to = args->words[args->count - 1];
	uint64_t count = 0;
	int status = check_choice(cli, args, id != NULL);

	if (status == EX_OK)
		status = act(cli, args, "move", id, args->values[OPTION_ACCOUNT], to, &count);
	return status != EX_OK ? status : print_acted(cli, "move", NULL, count);
}

int
verb_account_act(const struct cli *cli, const struct arguments *args)
{
	uint64_t count = 0;
	int status = act(cli, args, args->words[1], NULL, args->words[2], NULL, &count);

	return status != EX_OK ? status : print_acted(cli, args->words[1], args->words[2], count);
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-events.c: `frank events`: the last events, and with --follow new ones as they come, each with --json as an
 * object on a line of its own; `frank events replay` and `frank events test`, for webhooks.
 */
#include "admin/captured.h"
#include "admin/table.h"
#include "admin/verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS_PATIENCE = 30, TEST_PATIENCE = 150, LAST = 50, FOLLOW_SECONDS = 1, ID_DIGITS = 16 };

struct events {
	const struct cli *cli;
	uint64_t last;
	unsigned count;
};

/* ---- the list ---- */

static int
print_json(const json_t *event)
{
	return cli_write_json(event, JSON_COMPACT) < 0 || putchar('\n') == EOF ? EX_IOERR : EX_OK;
}

static const char *
time_of(const json_t *event, char *scratch, size_t size)
{
	time_t at = (time_t)cli_number(event, "time");
	struct tm tm;

	return localtime_r(&at, &tm) != NULL &&
		       strftime(scratch, size, "%Y-%m-%d %H:%M:%S", &tm) > 0
		   ? scratch
		   : NULL;
}

static const char *
account_of(const json_t *event, char *scratch, size_t size)
{
	const char *account = cli_text(event, "account");

	if (account != NULL)
		return account;
	return json_object_get(event, "recipient_count") == NULL ? "(several)" : "";
}

/* "3F2A..: <sender> to <recipient>, and 3 more" */
static const char *
message_of(const json_t *event, char *scratch, size_t size)
{
	const char *id = cli_text(event, "queue_id"), *sender = cli_text(event, "sender");
	const json_t *first = json_array_get(json_object_get(event, "recipients"), 0);
	uint64_t count = cli_number(event, "recipient_count");
	int n;

	if (sender == NULL && first == NULL)
		return id == NULL ? "" : id;
	n = snprintf(scratch, size, "%s%s<%s>", id == NULL ? "" : id, id == NULL ? "" : ": ",
	    sender == NULL ? "" : sender);
	if (first != NULL && n > 0 && (size_t)n < size)
		n += snprintf(scratch + n, size - (size_t)n, " to <%s>", json_string_value(first));
	if (count > 1 && n > 0 && (size_t)n < size)
		(void)snprintf(scratch + n, size - (size_t)n, ", and %" PRIu64 " more", count - 1);
	return scratch;
}

static int
print_event(const struct cli *cli, const json_t *event)
{
	static const struct table_column columns[] = {
	    {NULL, NULL, CELL_DIM, 21, time_of},
	    {NULL, "kind", CELL_KIND, 23, NULL},
	    {NULL, NULL, CELL_BOLD, 0, account_of},
	};
	char scratch[1024];

	table_row(cli, event, columns, ARRAY_SIZE(columns));
	if (json_object_get(event, "queue_id") != NULL || json_object_get(event, "sender") != NULL)
		cli_put_lines(cli, message_of(event, scratch, sizeof(scratch)), 4);
	cli_put_field(cli, 4, "Reply:", 7, COLOUR_DIM, cli_text(event, "reply"));
	cli_put_lines(cli, cli_text(event, "text"), 4);
	cli_put_field(cli, 4, "Next:", 6, COLOUR_BOLD, cli_text(event, "next"));
	return ferror(stdout) ? EX_IOERR : EX_OK;
}

static int
on_event(void *arg, const struct message *m)
{
	struct events *e = arg;
	const uint8_t *bytes;
	json_t *event;
	int status;
	size_t len;

	if (message_type(m) != M_ROW_EVENT)
		return EX_OK;
	e->last = message_u64(m, F_ID, e->last);
	e->count++;
	bytes = message_bytes(m, F_BODY, &len);
	event = json_loadb((const char *)bytes, len, 0, NULL);
	if (event == NULL)
		return EX_PROTOCOL;
	status = e->cli->json ? print_json(event) : print_event(e->cli, event);
	json_decref(event);
	return status;
}

/* --since: a time, a mark of frank test mark, an age or an id, as the id that events have from there on. EX_OK, or the
 * exit status after saying what is wrong. */
static int
read_since(const struct cli *cli, const struct arguments *args, uint64_t *ret)
{
	const char *text = args->values[OPTION_SINCE];
	uint64_t age, now = (uint64_t)time(NULL);

	if (strlen(text) >= ID_DIGITS && strspn(text, "0123456789") == strlen(text)) {
		*ret = strtoull(text, NULL, 10);
		return EX_OK;
	}
	if (arguments_age(args, OPTION_SINCE, &age) == 0 && age < now) {
		*ret = (now - age) * 1000000;
		return EX_OK;
	}
	if (captured_mark_parse(text, ret) == 0 && *ret > 0)
		return EX_OK;
	return cli_fail(cli, EX_USAGE, NULL,
	    "--since: this is no id of an event, no time such as 2026-12-01T10:00:00Z, and no age "
	    "such as 2h");
}

static int
put_kinds(const struct cli *cli, const char *kinds, struct message *m)
{
	CLEANUP_FREE char *copy = strdup(kinds);
	char *rest = copy, *kind;

	if (copy == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	while ((kind = strsep(&rest, ",")) != NULL) {
		if (*kind == '\0' || strlen(kind) > 40)
			return cli_fail(cli, EX_USAGE, NULL,
			    "--kind: wants kinds of events, separated by commas");
		message_put_str(m, F_KIND, kind);
	}
	return EX_OK;
}

/* One part of the list. */
static int
ask_events(struct link *l, const struct arguments *args, struct events *e)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m = message_new(M_EVENTS);
	int status = EX_OK;

	if (e->last > 0)
		message_put_u64(m, F_ID, e->last);
	else
		message_put_u64(m, F_COUNT, LAST);
	message_put_str(m, F_ACCOUNT, args->values[OPTION_ACCOUNT]);
	message_put_str(m, F_SERVICE, args->values[OPTION_SERVICE]);
	if (args->values[OPTION_KIND] != NULL)
		status = put_kinds(e->cli, args->values[OPTION_KIND], m);
	if (status != EX_OK) {
		(void)message_free(m);
		return status;
	}
	e->count = 0;
	status = link_list(l, m, on_event, e, &done);
	if (status != EX_OK || done == NULL)
		return status;
	status = link_done(e->cli, done);
	/* with a filter, all up to there was looked at */
	if (message_u64(done, F_ID, 0) > e->last)
		e->last = message_u64(done, F_ID, 0);
	return status;
}

int
verb_events(const struct cli *cli, const struct arguments *args)
{
	const struct timespec pause = {.tv_sec = FOLLOW_SECONDS};
	CLEANUP_LINK struct link l = LINK_INIT;
	struct events e = {.cli = cli};
	int status = EX_OK;

	if (arguments_has(args, OPTION_SINCE))
		status = read_since(cli, args, &e.last);
	if (e.last > 0)
		e.last--; /* that one, too */
	if (status == EX_OK)
		status = link_open(&l, cli, ROLE_QUEUE, EVENTS_PATIENCE);
	for (bool first = true; status == EX_OK; first = false) {
		status = ask_events(&l, args, &e);
		if (status == EX_OK && e.count > 0)
			continue; /* a part of them: there may be more */
		if (status == EX_OK && first && !cli->json)
			(void)puts("There are no events.");
		if (status != EX_OK || !arguments_has(args, OPTION_FOLLOW))
			break;
		(void)fflush(stdout);
		(void)nanosleep(&pause, NULL);
	}
	return status;
}

/* ---- webhooks ---- */

static int
no_row(void *arg, const struct message *m)
{
	return EX_OK;
}

int
verb_events_replay(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m;
	uint64_t since;
	int status;

	if (!arguments_has(args, OPTION_SINCE))
		return cli_fail(cli, EX_USAGE, NULL,
		    "events replay wants --since: from which time or event on");
	status = read_since(cli, args, &since);
	if (status != EX_OK)
		return status;
	m = message_new(M_EVENTS_REPLAY);
	message_put_u64(m, F_ID, since);
	message_put_str(m, F_NAME, args->values[OPTION_WEBHOOK]);
	status = link_ask(cli, ROLE_QUEUE, EVENTS_PATIENCE, m, no_row, NULL, &done);
	if (status == EX_OK)
		status = link_done(cli, done);
	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:o}", "since", json_sprintf("%" PRIu64, since)), EX_OK);
	(void)puts("What is kept of that time goes out again, where a webhook takes it.");
	return EX_OK;
}

/* What an answer means, and what to do. */
struct answer {
	unsigned first, last; /* of the statuses of HTTP; 0: there was no answer */
	const char *verdict, *next;
};

static const struct answer answers[] = {
    {200, 299, "The webhook works.", ""},
    {300, 399, "The server sends elsewhere, and Frank does not follow.",
	"Put the address that it names into url."},
    {401, 401, "The server wants to know who asks.", "Look at header of the webhook."},
    {403, 403, "The server refuses this sender, or the signature.",
	"Look at header and secret: the receiver has to have the same."},
    {404, 404, "There is nothing at this address.", "Look at url."},
    {410, 410, "There is nothing at this address any more.", "Look at url."},
    {413, 413, "The server does not take so much at once.", "Allow 64 KiB there."},
    {429, 429, "The server wants fewer requests.",
	"Nothing, where it lasts not long: Frank waits as long as the server says."},
    {400, 499, "The server does not like the request.",
	"Look at its log, and at format: whether it reads one event in a request or several."},
    {500, 599, "The server has a fault of its own.", "Look at its log."},
    {0, 0, "There was no answer.",
	"Look whether the server runs, and at url and ca-file of the webhook."},
};

struct tested {
	const struct cli *cli;
	unsigned status;
};

static int
on_tested(void *arg, const struct message *m)
{
	struct tested *t = arg;
	const struct answer *a = answers;
	const char *fault = message_str(m, F_FAULT);

	if (message_type(m) != M_ROW_TESTED)
		return EX_OK;
	t->status = (unsigned)message_u64(m, F_HTTP_STATUS, 0);
	while (a->first > 0 && (t->status < a->first || t->status > a->last))
		a++;
	if (t->cli->json)
		return cli_print_json(
		    json_pack("{s:o, s:b, s:i, s:s*, s:s, s:s*}", "id",
			json_sprintf("%" PRIu64, message_u64(m, F_ID, 0)), "ok", a->first == 200,
			"status", (int)t->status, "fault", fault, "verdict", a->verdict, "next",
			*a->next == '\0' ? NULL : a->next),
		    EX_OK);
	if (t->status > 0)
		(void)printf("Answer:   HTTP status %u\n", t->status);
	cli_put_field(t->cli, 0, "Answer:", 10, COLOUR_NONE, fault);
	cli_put_field(t->cli, 0, "Verdict:", 10, COLOUR_BOLD, a->verdict);
	cli_put_field(t->cli, 0, "Next:", 10, COLOUR_BOLD, a->next);
	return EX_OK;
}

int
verb_events_test(const struct cli *cli, const struct arguments *args)
{
	struct tested t = {.cli = cli};
	struct message *m = message_new(M_EVENTS_TEST);
	int status;

	message_put_str(m, F_NAME, args->words[2]);
	status = link_ask(cli, ROLE_QUEUE, TEST_PATIENCE, m, on_tested, &t, NULL);
	return status != EX_OK || (t.status >= 200 && t.status < 300) ? status : EX_UNAVAILABLE;
}

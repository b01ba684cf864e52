/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-events.c: `frank events`: the last events that people were notified of, and with --follow new
 * ones as they come. With --json each is an object on a line of its own.
 */
#include "admin/table.h"
#include "admin/verbs.h"

#include <inttypes.h>
#include <time.h>

enum { EVENTS_PATIENCE = 30, LAST = 50, FOLLOW_SECONDS = 1 };

struct events {
	const struct cli *cli;
	uint64_t last;
	unsigned count;
};

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

	return account == NULL ? "(several)" : account;
}

static int
print_event(const struct cli *cli, const json_t *event)
{
	static const struct table_column columns[] = {
	    {NULL, NULL, CELL_DIM, 21, time_of},
	    {NULL, "kind", CELL_KIND, 23, NULL},
	    {NULL, NULL, CELL_BOLD, 0, account_of},
	};

	table_row(cli, event, columns, ARRAY_SIZE(columns));
	cli_put_lines(cli, cli_text(event, "text"), 4);
	cli_put_field(cli, 4, "Next:", 6, COLOUR_BOLD, cli_text(event, "next"));
	return ferror(stdout) ? EX_IOERR : EX_OK;
}

static int
on_event(void *arg, const struct message *m)
{
	static const struct column columns[] = {{F_TIME, "time", true}, {F_KIND, "kind", false},
	    {F_ACCOUNT, "account", false}, {F_TEXT, "text", false}, {F_NEXT, "next", false},
	    {F_QUEUE_ID, "queue_id", false}};
	struct events *e = arg;
	int status = EX_OSERR;
	json_t *event;

	if (message_type(m) != M_ROW_EVENT)
		return EX_OK;
	e->last = message_u64(m, F_ID, e->last);
	e->count++;
	/* text, as webhooks and the command get it: not every reader of JSON keeps 64 bits of a number */
	event = json_pack("{s:o}", "id", json_sprintf("%" PRIu64, e->last));
	if (event != NULL && cli_json_fields(event, m, columns, ARRAY_SIZE(columns)) == 0)
		status = e->cli->json ? print_json(event) : print_event(e->cli, event);
	json_decref(event);
	return status;
}

int
verb_events(const struct cli *cli, const struct arguments *args)
{
	const struct timespec pause = {.tv_sec = FOLLOW_SECONDS};
	CLEANUP_LINK struct link l = LINK_INIT;
	struct events e = {.cli = cli};
	int status = link_open(&l, cli, ROLE_QUEUE, EVENTS_PATIENCE);

	for (bool first = true; status == EX_OK; first = false) {
		struct message *m = message_new(M_EVENTS);

		if (e.last > 0)
			message_put_u64(m, F_ID, e.last);
		else
			message_put_u64(m, F_COUNT, LAST);
		e.count = 0;
		status = link_list(&l, m, on_event, &e, NULL);
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

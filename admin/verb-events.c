/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-events.c: `frank events`: what people were told of accounts and mail, the last of it, and with
 * --follow what comes. With --json one object a line, so that a program can read it as it comes.
 */
#include "admin/verbs.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { EVENTS_PATIENCE = 30, LAST = 50, FOLLOW_SECONDS = 1 };

struct events {
	const struct cli *cli;
	uint64_t last;
	unsigned count;
};

static int
print_json(const struct message *m)
{
	static const struct column columns[] = {{F_TIME, "time", true}, {F_KIND, "kind", false},
	    {F_ACCOUNT, "account", false}, {F_TEXT, "text", false}, {F_NEXT, "next", false},
	    {F_QUEUE_ID, "queue_id", false}};
	char id[24];
	json_t *o;
	int r;

	/* text, as webhooks and the command get it: not every reader of JSON keeps 64 bits of a number */
	(void)snprintf(id, sizeof(id), "%" PRIu64, message_u64(m, F_ID, 0));
	o = json_pack("{s:s}", "id", id);
	r = o == NULL ? -1 : cli_json_fields(o, m, columns, ARRAY_SIZE(columns));

	if (r == 0)
		r = cli_write_json(o, JSON_COMPACT);
	json_decref(o);
	if (r == 0)
		r = putchar('\n') == EOF ? -1 : 0;
	return r == 0 ? EX_OK : EX_IOERR;
}

static int
print_event(const struct cli *cli, const struct message *m)
{
	time_t at = (time_t)message_u64(m, F_TIME, 0);
	const char *kind = message_str(m, F_KIND), *account = message_str(m, F_ACCOUNT),
		   *next = message_str(m, F_NEXT);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	cli_put(cli, COLOUR_DIM, when, 21);
	cli_put(cli, strcmp(kind, "recovered") == 0 ? COLOUR_GOOD : COLOUR_WARN, kind, 23);
	cli_put(cli, COLOUR_BOLD, account == NULL ? "(several)" : account, 0);
	(void)putchar('\n');
	cli_put_lines(cli, message_str(m, F_TEXT), 4);
	if (next != NULL) {
		(void)fputs("    Next: ", stdout);
		cli_put(cli, COLOUR_BOLD, next, 0);
		(void)putchar('\n');
	}
	return ferror(stdout) ? EX_IOERR : EX_OK;
}

static int
on_event(void *arg, const struct message *m)
{
	struct events *e = arg;

	if (message_type(m) != M_ROW_EVENT)
		return EX_OK;
	e->last = message_u64(m, F_ID, e->last);
	e->count++;
	return e->cli->json ? print_json(m) : print_event(e->cli, m);
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
			(void)puts("Nothing has happened that people should know.");
		if (status != EX_OK || !arguments_has(args, OPTION_FOLLOW))
			break;
		(void)fflush(stdout);
		(void)nanosleep(&pause, NULL);
	}
	return status;
}

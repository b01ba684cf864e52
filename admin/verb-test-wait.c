/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-test-wait.c: `frank test mark` and `frank test wait`: a test takes a mark, does what sends mail, and waits
 * for captured mail that is as it should be. It ends as soon as that is decided, by status 0 or 1; where it is 1,
 * it says what came instead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/captured.h"
#include "admin/conditions.h"
#include "admin/inbox-client.h"
#include "admin/table.h"
#include "admin/verbs.h"

enum {
	FOUND = 0,
	TIME_IS_UP = 1,
	WAIT_SECONDS = 30,
	QUIET_SECONDS = 2,
	SECONDS_MAX = 86400,
	COUNT_MAX = 1000000,
	CONTENT_MAX = 256 * 1024 * 1024,
	NEAREST_MAX = 3
};

/* The sandbox that is to be asked in place of frankd; NULL: frankd. */
static const char *
api_of(const struct arguments *args)
{
	const char *api = args->values[OPTION_API];

	if (api == NULL)
		api = secure_getenv("FRANK_TEST_API");
	return api == NULL || *api == '\0' ? NULL : api;
}

static int
take_mark(const struct cli *cli, const struct arguments *args, uint64_t *ret)
{
	struct inbox_client inbox;
	int status;

	if (api_of(args) == NULL)
		return captured_mark(cli, ret);
	status = inbox_client_init(&inbox, cli, api_of(args));
	return status == EX_OK ? inbox_client_mark(&inbox, ret) : status;
}

int
verb_test_mark(const struct cli *cli, const struct arguments *args)
{
	char text[CAPTURED_MARK_SIZE];
	uint64_t mark;
	int status = take_mark(cli, args, &mark);

	if (status != EX_OK)
		return status;
	captured_mark_text(mark, text);
	if (cli->json)
		return cli_print_json(json_pack("{s:s}", "mark", text), EX_OK);
	(void)puts(text);
	return EX_OK;
}

struct wait {
	const struct cli *cli;
	struct conditions conditions;
	struct captured captured;
	uint64_t since, count, timeout, quiet; /* the last two in milliseconds */
	bool has_since, exactly, none;
	bool incomplete; /* of what came since, some is gone */
	json_t *found;   /* messages that match */
	json_t *near;    /* others, the nearest first, with "missed" */
	uint64_t arrived;
};

/* ---- what is asked for ---- */

static int
number(const struct wait *w, const struct arguments *args, enum option o, uint64_t least,
    uint64_t most, uint64_t unit, uint64_t *ret)
{
	uint64_t n;
	int r = arguments_number(args, o, least, most, &n);

	if (r == -EINVAL)
		return cli_fail(w->cli, EX_USAGE, NULL, "%s needs a number from %llu to %llu",
		    arguments_options[o].name, (unsigned long long)least, (unsigned long long)most);
	if (r == 0)
		*ret = n * unit;
	return EX_OK;
}

static int
add(struct wait *w, const char *where, const char *text)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);

	if (text == NULL)
		return EX_OK;
	switch (conditions_add(&w->conditions, where, text, &why)) {
	case 0:
		return EX_OK;
	case -ENOMEM:
		return cli_fail(w->cli, EX_OSERR, NULL, "memory ran out");
	default:
		return cli_fail(
		    w->cli, EX_USAGE, "frank(1) has the conditions", "%s", buf_str(&why));
	}
}

static int
read_conditions(struct wait *w, const struct arguments *args)
{
	static const struct {
		enum option option;
		const char *name;
	} options[] = {{OPTION_TO, "to"}, {OPTION_FROM, "from"}, {OPTION_SUBJECT, "subject"},
	    {OPTION_SERVICE, "service"}};
	int status = EX_OK;

	for (size_t i = 0; i < ARRAY_SIZE(options) && status == EX_OK; i++)
		status = add(w, options[i].name, args->values[options[i].option]);
	for (size_t i = 2; i < args->count && status == EX_OK; i++)
		status = add(w, NULL, args->words[i]);
	return status;
}

static int
read_arguments(struct wait *w, const struct arguments *args)
{
	const char *since = args->values[OPTION_SINCE];
	int status = read_conditions(w, args);

	w->has_since = since != NULL;
	w->exactly = arguments_has(args, OPTION_EXACTLY);
	w->none = arguments_has(args, OPTION_NONE);
	if (status == EX_OK && since != NULL && captured_mark_parse(since, &w->since) < 0)
		status = cli_fail(w->cli, EX_USAGE, "frank test mark prints a mark",
		    "%s is no mark, no time such as 2026-12-01T10:00:00Z, and no queue ID", since);
	if (status == EX_OK)
		status = number(w, args, OPTION_COUNTED, 1, COUNT_MAX, 1, &w->count);
	if (status == EX_OK)
		status = number(w, args, OPTION_TIMEOUT, 0, SECONDS_MAX, 1000, &w->timeout);
	if (status == EX_OK)
		status = number(w, args, OPTION_FOR, 0, SECONDS_MAX, 1000, &w->quiet);
	if (status == EX_OK && w->none &&
	    (w->exactly || arguments_has(args, OPTION_COUNTED) ||
		arguments_has(args, OPTION_TIMEOUT)))
		status = cli_fail(w->cli, EX_USAGE, NULL,
		    "--none goes with --for, and not with --count, --exactly or --timeout");
	if (status == EX_OK && arguments_has(args, OPTION_FOR) && !w->none && !w->exactly)
		status = cli_fail(w->cli, EX_USAGE, NULL, "--for goes with --none or --exactly");
	return status;
}

/* ---- waiting ---- */

static unsigned
count_bits(unsigned bits)
{
	return (unsigned)__builtin_popcount(bits);
}

static json_t *
texts_of(const struct wait *w, unsigned missed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->conditions.count; i++)
		if ((missed >> i & 1) != 0)
			(void)json_array_append_new(
			    list, json_string(conditions_text(&w->conditions, i)));
	return list;
}

/* Keeps it among the few that miss least. */
static void
keep_near(struct wait *w, json_t *row, unsigned missed)
{
	size_t at = 0;

	while (at < json_array_size(w->near) &&
	       json_array_size(json_object_get(json_array_get(w->near, at), "missed")) <=
		   count_bits(missed))
		at++;
	if (at >= NEAREST_MAX)
		return;
	(void)json_object_set_new(row, "missed", texts_of(w, missed));
	(void)json_array_insert(w->near, at, row);
	(void)json_array_remove(w->near, NEAREST_MAX);
}

/* Looks at one that came; the row is borrowed. */
static int
look_at(struct wait *w, json_t *row)
{
	CLEANUP_BUF struct buf content = BUF_INIT(CONTENT_MAX);
	int status = EX_OK;
	unsigned missed;

	if (conditions_want_content(&w->conditions))
		status = captured_content(&w->captured, cli_text(row, "id"), &content);
	if (status != EX_OK)
		return status;
	w->arrived++;
	missed = conditions_missed(&w->conditions, row, buf_str(&content), content.len);
	if (missed == 0)
		(void)json_array_append(w->found, row);
	else
		keep_near(w, row, missed);
	return EX_OK;
}

/* Is it decided, and how? */
static bool
is_decided(const struct wait *w, int *ret)
{
	size_t found = json_array_size(w->found);

	*ret = FOUND;
	if (w->none || w->exactly) {
		*ret = TIME_IS_UP;
		return found > (w->none ? 0 : w->count);
	}
	return found >= w->count;
}

/* Waits until it is decided: *ret_answer is FOUND or TIME_IS_UP. */
static int
await(struct wait *w, int *ret_answer)
{
	uint64_t begin = link_clock(), end = begin + (w->none ? w->quiet : w->timeout);
	bool quiet = false; /* as many as are wanted are there, and no other may come */
	int status =
	    captured_open(&w->captured, w->cli, w->since, end + (w->exactly ? w->quiet : 0));

	while (status == EX_OK && !is_decided(w, ret_answer)) {
		json_t *row = NULL;

		if (w->exactly && !quiet && json_array_size(w->found) == w->count) {
			quiet = true;
			end = link_clock() + w->quiet;
		}
		status = captured_next(&w->captured, end, &row);
		if (status == EX_OK && row != NULL)
			status = look_at(w, row);
		else if (status == EX_OK) {
			*ret_answer = quiet || w->none ? FOUND : TIME_IS_UP;
			break;
		}
		json_decref(row);
	}
	w->incomplete = w->has_since && w->captured.removed > w->since;
	captured_close(&w->captured);
	return status;
}

/* The same of a sandbox, which waits itself. *ret_reason is the caller's. */
static int
await_inbox(struct wait *w, const char *api, int *ret_answer, char **ret_reason)
{
	const struct inbox_ask ask = {.since = w->since,
	    .conditions = &w->conditions,
	    .count = w->count,
	    .timeout = w->timeout,
	    .quiet = w->quiet,
	    .exactly = w->exactly,
	    .none = w->none};
	struct inbox_client inbox;
	json_t *answer = NULL;
	const char *reason;
	int status = inbox_client_init(&inbox, w->cli, api);

	if (status == EX_OK)
		status = inbox_client_wait(&inbox, &ask, &answer);
	if (status != EX_OK)
		return status;
	*ret_answer = json_is_true(json_object_get(answer, "found")) ? FOUND : TIME_IS_UP;
	reason = cli_text(answer, "reason");
	*ret_reason = reason == NULL ? NULL : strdup(reason);
	w->arrived = cli_number(answer, "arrived");
	w->incomplete = json_object_get(answer, "warning") != NULL;
	(void)json_array_extend(w->found, json_object_get(answer, "messages"));
	(void)json_array_extend(w->near, json_object_get(answer, "nearest"));
	json_decref(answer);
	return EX_OK;
}

/* ---- saying ---- */

static const char *
first_recipient(const json_t *row, char *scratch, size_t size)
{
	const json_t *list = json_object_get(row, "recipients");
	const char *first = cli_text(json_array_get(list, 0), "recipient");

	if (json_array_size(list) > 1)
		(void)snprintf(scratch, size, "%s and %zu more", first == NULL ? "" : first,
		    json_array_size(list) - 1);
	return json_array_size(list) > 1 ? scratch : first;
}

static void
print_rows(const struct cli *cli, const json_t *rows)
{
	static const struct table_column columns[] = {
	    {NULL, "id", CELL_BOLD, 14, NULL},
	    {NULL, "sender", CELL_TEXT, 24, NULL},
	    {NULL, NULL, CELL_TEXT, 24, first_recipient},
	    {NULL, "subject", CELL_TEXT, 0, NULL},
	};
	const json_t *row, *missed;
	size_t i, k;

	json_array_foreach(rows, i, row)
	{
		table_row(cli, row, columns, ARRAY_SIZE(columns));
		json_array_foreach(json_object_get(row, "missed"), k, missed)
		    cli_put_field(cli, 4, "missed:", 8, COLOUR_NONE, json_string_value(missed));
	}
}

/* Why it is not as it should be, a sentence. */
static void
explain(const struct wait *w, char *text, size_t size)
{
	unsigned long long found = json_array_size(w->found), arrived = w->arrived;

	if (w->none || (w->exactly && found > w->count))
		(void)snprintf(text, size, "%llu came that should not have",
		    w->none ? found : found - w->count);
	else if (arrived == 0)
		(void)snprintf(text, size, "time is up, and no message was captured%s",
		    w->has_since ? " since the mark"
				 : " meanwhile (what came earlier counts with --since alone)");
	else if (found == 0)
		(void)snprintf(text, size,
		    "time is up: %llu arrived, and none had all that was asked for", arrived);
	else
		(void)snprintf(text, size, "time is up: %llu of %llu are there", found,
		    (unsigned long long)w->count);
}

static void
warn_removed(const struct wait *w)
{
	if (w->incomplete)
		cli_note(
		    "Some messages that were captured after this mark are gone by their age or "
		    "number (keep-captured, captured-max): they are not counted.");
}

static int
print_answer(const struct wait *w, int answer, const char *reason)
{
	char why[400] = "";

	if (reason != NULL)
		(void)snprintf(why, sizeof(why), "%s", reason);
	else if (answer != FOUND)
		explain(w, why, sizeof(why));
	if (w->cli->json)
		return cli_print_json(
		    json_pack("{s:b, s:s*, s:O, s:I, s:O, s:b}", "found", answer == FOUND, "reason",
			answer == FOUND ? NULL : why, "messages", w->found, "arrived",
			(json_int_t)w->arrived, "nearest", w->near, "incomplete", w->incomplete),
		    answer);
	warn_removed(w);
	if (answer != FOUND)
		(void)fprintf(stderr, "frank: %s.\n", why);
	print_rows(w->cli, w->found);
	if (answer != FOUND && !w->none)
		print_rows(w->cli, w->near);
	return answer;
}

int
verb_test_wait(const struct cli *cli, const struct arguments *args)
{
	struct wait w = {.cli = cli,
	    .count = 1,
	    .timeout = WAIT_SECONDS * UINT64_C(1000),
	    .quiet = QUIET_SECONDS * UINT64_C(1000),
	    .found = json_array(),
	    .near = json_array()};
	CLEANUP_FREE char *reason = NULL;
	int answer = TIME_IS_UP, status = read_arguments(&w, args);

	if (status == EX_OK && !w.has_since)
		status = take_mark(cli, args, &w.since);
	if (status == EX_OK && api_of(args) != NULL)
		status = await_inbox(&w, api_of(args), &answer, &reason);
	else if (status == EX_OK)
		status = await(&w, &answer);
	if (status == EX_OK)
		status = print_answer(&w, answer, reason);
	conditions_free(&w.conditions);
	json_decref(w.found);
	json_decref(w.near);
	return status;
}

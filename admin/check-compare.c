/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-compare.c: `frank check --compare A B`: in what two accounts differ. A word with a slash or the end ".json" names a file that
 * `frank check --json` made, on this host or on another; any other is an account, which is checked now.
 */
#include <string.h>

#include "admin/difference.h"
#include "admin/verbs.h"

enum { EXIT_SAME = 0, EXIT_DIFFERENT = 1 };

static bool
is_file(const char *word)
{
	size_t len = strlen(word);

	return strchr(word, '/') != NULL || (len > 5 && strcmp(word + len - 5, ".json") == 0);
}

static int
read_file(const struct cli *cli, const char *path, json_t **ret)
{
	json_error_t why;

	*ret = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (*ret == NULL)
		return why.line < 0
			   ? cli_fail(cli, EX_NOINPUT, NULL, "%s", why.text)
			   : cli_fail(cli, EX_DATAERR, NULL, "%s: not JSON: %s", path, why.text);
	if (json_is_array(json_object_get(*ret, "steps")))
		return EX_OK;
	json_decref(*ret);
	*ret = NULL;
	return cli_fail(cli, EX_DATAERR, "make it by: frank check ACCOUNT --json >FILE",
	    "%s: no output of frank check --json", path);
}

static int
load(const struct cli *cli, const struct arguments *args, const char *word, json_t **ret)
{
	return is_file(word) ? read_file(cli, word, ret) : check_live_silent(cli, args, word, ret);
}

static void
print(const struct cli *cli, const char *a, const char *b, const json_t *rows)
{
	unsigned width = (unsigned)(strlen(a) > strlen(b) ? strlen(a) : strlen(b)) + 2;
	const json_t *row;
	size_t i;

	if (json_array_size(rows) == 0)
		(void)puts("They do not differ in anything that was looked at.");
	json_array_foreach(rows, i, row)
	{
		const char *in_a = cli_text(row, "a"), *in_b = cli_text(row, "b");

		if (i > 0)
			(void)putchar('\n');
		cli_put(cli, COLOUR_BOLD, cli_text(row, "item"), 0);
		(void)putchar('\n');
		cli_put_field(cli, 2, a, width, COLOUR_NONE, in_a == NULL ? "-" : in_a);
		cli_put_field(cli, 2, b, width, COLOUR_NONE, in_b == NULL ? "-" : in_b);
		cli_put_field(cli, 2, "", 0, COLOUR_DIM, cli_text(row, "means"));
	}
}

int
check_compare(const struct cli *cli, const struct arguments *args)
{
	const char *a = args->words[1], *b = args->words[2];
	json_t *side_a = NULL, *side_b = NULL, *rows = NULL;
	int status = load(cli, args, a, &side_a);

	if (status == EX_OK)
		status = load(cli, args, b, &side_b);
	if (status == EX_OK) {
		rows = difference_find(side_a, side_b);
		if (rows == NULL)
			status = cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	}
	if (status == EX_OK) {
		status = json_array_size(rows) == 0 ? EXIT_SAME : EXIT_DIFFERENT;
		if (cli->json)
			status = cli_print_json(
			    json_pack("{s:s, s:s, s:O}", "a", a, "b", b, "differences", rows),
			    status);
		else
			print(cli, a, b, rows);
	}
	json_decref(side_a);
	json_decref(side_b);
	json_decref(rows);
	return status;
}

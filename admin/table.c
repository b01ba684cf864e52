/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* table.c: see table.h. */
#include "admin/table.h"

#include <string.h>
#include <time.h>

enum { COLUMNS_MAX = 8, WIDTH_MAX = 40, GAP = 2, SCRATCH_MAX = 128 };

/* What stands in the cell; NULL: nothing. */
static const char *
words_of(const json_t *row, const struct table_column *c, char scratch[SCRATCH_MAX])
{
	uint64_t number = cli_number(row, c->key);

	if (c->words != NULL)
		return c->words(row, scratch, SCRATCH_MAX);
	switch (c->cell) {
	case CELL_NUMBER:
		(void)snprintf(scratch, SCRATCH_MAX, "%llu", (unsigned long long)number);
		return scratch;
	case CELL_SIZE:
		cli_size(number, scratch, SCRATCH_MAX);
		return scratch;
	case CELL_AGE:
		cli_relative_time(number, (uint64_t)time(NULL), scratch, SCRATCH_MAX);
		return scratch;
	default:
		return cli_text(row, c->key);
	}
}

static enum colour
colour_of(enum cell cell, const char *words)
{
	switch (cell) {
	case CELL_BOLD:
		return COLOUR_BOLD;
	case CELL_DIM:
		return COLOUR_DIM;
	case CELL_STATE:
		return cli_state_colour(words);
	case CELL_KIND:
		return words != NULL && strcmp(words, "recovered") == 0 ? COLOUR_GOOD : COLOUR_WARN;
	default:
		return COLOUR_NONE;
	}
}

static void
put_row(const struct cli *cli, const json_t *row, const struct table_column *columns,
    const unsigned *widths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char scratch[SCRATCH_MAX];
		const char *words = words_of(row, &columns[i], scratch);
		enum colour colour = colour_of(columns[i].cell, words);

		cli_put(cli, colour, words, widths[i]);
	}
	(void)putchar('\n');
}

void
table_row(
    const struct cli *cli, const json_t *row, const struct table_column *columns, size_t count)
{
	unsigned widths[COLUMNS_MAX];

	for (size_t i = 0; i < count; i++)
		widths[i] = columns[i].width;
	put_row(cli, row, columns, widths, count);
}

static unsigned
width_of(const json_t *rows, const struct table_column *c)
{
	size_t width = c->title == NULL ? 0 : strlen(c->title), i;
	const json_t *row;

	json_array_foreach(rows, i, row)
	{
		char scratch[SCRATCH_MAX];
		const char *words = words_of(row, c, scratch);

		if (words != NULL && strlen(words) > width)
			width = strlen(words);
	}
	return (unsigned)(width > WIDTH_MAX ? WIDTH_MAX : width) + GAP;
}

void
table_print(const struct cli *cli, const json_t *rows, const struct table_column *columns,
    size_t count, void (*below)(const struct cli *cli, const json_t *row))
{
	unsigned widths[COLUMNS_MAX];
	const json_t *row;
	size_t i;

	for (i = 0; i < count; i++)
		widths[i] = columns[i].width > 0 ? columns[i].width
			    : i + 1 < count      ? width_of(rows, &columns[i])
						 : 0;
	for (i = 0; columns[0].title != NULL && i < count; i++)
		cli_put(cli, COLOUR_DIM, columns[i].title, widths[i]);
	if (columns[0].title != NULL)
		(void)putchar('\n');
	json_array_foreach(rows, i, row)
	{
		put_row(cli, row, columns, widths, count);
		if (below != NULL)
			below(cli, row);
	}
}

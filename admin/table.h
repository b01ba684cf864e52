/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * table.h: rows for people, from the same objects that --json prints: a line a row, in columns.
 */
#ifndef FRANK_ADMIN_TABLE_H
#define FRANK_ADMIN_TABLE_H

#include "admin/cli.h"

enum cell {
	CELL_TEXT,
	CELL_BOLD,
	CELL_DIM,
	CELL_STATE,  /* in the colour of the state that it names */
	CELL_KIND,   /* of an event: whether it is good news */
	CELL_NUMBER, /* 0 where the row has none */
	CELL_SIZE,   /* octets: "1.5k" */
	CELL_AGE,    /* a time: "3 min ago" */
};

struct table_column {
	const char *title; /* NULL: no column of this table has one */
	const char *key;   /* of the row's member */
	enum cell cell;
	unsigned
	    width; /* 0: that of the widest value, at most 40; of the last column: not padded */
	/* Words that stand for the member, in `scratch` or constant; NULL: the member itself. */
	const char *(*words)(const json_t *row, char *scratch, size_t size);
};

/* One row, where rows come one at a time: widths are as given. */
void table_row(
    const struct cli *cli, const json_t *row, const struct table_column *columns, size_t count);

/* A list of rows, below their titles; `below` (may be NULL) prints what belongs below each. */
void table_print(const struct cli *cli, const json_t *rows, const struct table_column *columns,
    size_t count, void (*below)(const struct cli *cli, const json_t *row));

#endif

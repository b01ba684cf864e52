/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * raw.h: the configuration's files as blocks of keys and values, each with its place: what was written, before what it
 * means. Private to broker/conf.
 *
 *     file  = { key | block }
 *     block = NAME [ title ] "{" { key } "}"
 *     key   = NAME "=" ( value | "{" [ value { "," value } [ "," ] ] "}" )
 *     value = word | "string" | 'string'
 *
 * A comment begins with # or // and ends with its line, or stands between slash-star and star-slash. A string ends on its line; in
 * "..." a backslash makes \n, \r, \t, or itself whatever else follows it that is no letter or digit; in '...' it does so before
 * a quote or a backslash alone.
 */
#ifndef FRANK_BROKER_CONF_RAW_H
#define FRANK_BROKER_CONF_RAW_H

#include "base/attr.h"
#include "broker/conf/conf.h"

struct raw_entry {
	const struct conf_key *key;
	struct conf_place place;
	struct conf_strings values; /* one where the key is no list */
};

struct raw_block {
	enum conf_block kind;
	char *title; /* NULL where the kind has none */
	struct conf_place place;
	struct raw_entry *entries;
	size_t count;
};

struct raw {
	struct raw_block *blocks; /* blocks[0] is the top level, of all files together */
	size_t count;
	struct conf_strings files;
	uint64_t stamp;                                    /* of the files: conf.stamp */
	struct conf_strings missing_users, missing_groups; /* conf.missing_users */
	struct buf *report;
	unsigned errors;
	/* Not NULL: what is wrong within a block that can be out of force (`in_block`) is no error, but put here, once more,
	 * for people. */
	struct conf_strings *lapses;
	bool in_block;
	unsigned block_errors; /* such, in the block that is being read */
};

int raw_init(struct raw *raw, struct buf *report);
void raw_free(struct raw *raw);

/* Reads one file into `raw`. Returns 0, also with errors in the report; -ENOMEM. */
int raw_read_file(struct raw *raw, const char *path);

const struct raw_entry *raw_find(const struct raw_block *b, const char *key);

/* "file:line: error: ...", and within a block that is read leniently a lapse. */
void raw_error(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same of something that the system does not know at present (a user): alone, it leaves a block in force. */
void raw_missing(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* "file:line: warning: ..." */
void raw_warning(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* "; did you mean "NEAR"?", or "" for NULL: what ends an error about a word. Valid until the next call. */
const char *raw_suggest(const char *near);

#endif

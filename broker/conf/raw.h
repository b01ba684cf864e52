/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * raw.h: the configuration's files as blocks of keys and values, each with its place: what was
 * written, before what it means.
 *
 * Private to broker/conf. raw.c knows libconfuse and nothing of meaning; conf.c knows meaning and
 * nothing of libconfuse.
 */
#ifndef FRANK_BROKER_CONF_RAW_H
#define FRANK_BROKER_CONF_RAW_H

#include "broker/conf/conf.h"

enum raw_kind {
	RAW_TOP,
	RAW_ACCOUNT,
	RAW_SERVICE,
	RAW_PROVIDER,
	RAW_LIMITS,
	RAW_SPOOL,
	RAW_TOKENS,
	RAW_LISTENER,
	RAW_NOTIFY,
	RAW_WEBHOOK,
	RAW_KIND_COUNT
};

/* A key that a kind of block may have. */
struct raw_key {
	const char *name;
	bool list;
};

struct raw_entry {
	const struct raw_key *key;
	struct conf_place place;
	struct conf_strings values; /* one where the key is no list */
};

struct raw_block {
	enum raw_kind kind;
	char *title; /* NULL where the kind has none */
	struct conf_place place;
	struct raw_entry *entries;
	size_t count;
};

struct raw {
	struct raw_block *blocks; /* blocks[0] is the top level, of all files together */
	size_t count, capacity;
	struct conf_strings files;
	struct buf *report;
	unsigned errors;
	/* What is amiss outside of the configuration is no error where this is set, but put here, once
	 * more, for people; NULL: it is one. */
	struct conf_strings *lapses;
};

/* The keys of each kind; each list ends in a NULL name. Made from keys.def in readers.c. */
extern const struct raw_key *const raw_keys[RAW_KIND_COUNT];
const char *raw_kind_name(enum raw_kind kind);

int raw_init(struct raw *raw, struct buf *report);
void raw_free(struct raw *raw);

/* Reads one file into `raw`. Returns 0, also with errors in the report; -ENOMEM. `optional`: no
 * error where it does not exist. */
int raw_read_file(struct raw *raw, const char *path);

const struct raw_entry *raw_find(const struct raw_block *b, const char *key);

/* "file:line: error: ..." and "file:line: warning: ...". */
void raw_error(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* Something that the configuration names is not there any more, or cannot be read: an error, or a lapse
 * of the block, which is out of force then. */
void raw_lapse(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);
void raw_warning(struct raw *raw, struct conf_place at, const char *format, ...) PRINTF_LIKE(3, 4);

/* Appends a copy. 0 or -ENOMEM. */
int conf_strings_add(struct conf_strings *s, const char *item);
void conf_strings_free(struct conf_strings *s);

/* A set of names, by hash: for duplicates. */
struct name_set {
	const char **slots; /* borrowed names */
	const void **values;
	size_t size, used;
};
/* Adds; returns the value already there for an equal name, or NULL when new or (with *ret =
 * -ENOMEM) when memory is out. */
const void *name_set_add(struct name_set *s, const char *name, const void *value, int *ret);
const void *name_set_get(const struct name_set *s, const char *name);
void name_set_free(struct name_set *s);

#endif

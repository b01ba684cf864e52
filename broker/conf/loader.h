/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * loader.h: a configuration while it is being read: its files, the presets, and what the readers of blocks (load.c, account.c)
 * share. Private to broker/conf.
 *
 * Functions that give an int return 0 or -ENOMEM; what is wrong with the configuration goes to loader.raw, with file and line.
 */
#ifndef FRANK_BROKER_CONF_LOADER_H
#define FRANK_BROKER_CONF_LOADER_H

#include "broker/conf/load.h"
#include "broker/conf/name-set.h"
#include "broker/conf/raw.h"

struct loader {
	struct raw raw;     /* the administrator's files */
	struct raw presets; /* the folder of presets */
	struct conf *conf;
	const struct conf_environment *env;
	struct name_set preset_names, provider_names; /* of their blocks */
	struct name_set names[CONF_BLOCK_COUNT];      /* of those with a title, by what they are */
	struct name_set listen_addresses;
};

/* Reads `path`, where it exists or `must_exist`, what it includes, and the presets. Errors of the files go to `report`. */
int loader_read(struct loader *l, const char *path, bool must_exist, struct buf *report);
void loader_clear(struct loader *l);

/* Where a pattern of `include` points: relative ones begin at the folder of the file that includes. Appended to `ret`. */
int loader_include_path(const char *file, const char *pattern, struct buf *ret);

/* The title of a block is a fit name, and no block of its kind before it has it. */
int loader_check_title(struct loader *l, const struct raw_block *b);

/* From here to loader_end_block, errors are those of one block (raw.in_block); how many there were. */
void loader_begin_block(struct loader *l);
unsigned loader_end_block(struct loader *l);
/* The first lapse since `before`, which was conf.lapses.count then, is why a block is out of force. */
int loader_set_lapse(struct loader *l, char **lapse, size_t before);

/* Sets a string that has none. */
int loader_default_string(char **target, const char *value);

/* What a reference or a file's path names is there, as far as can be told without running a command. */
void loader_check_reference(struct loader *l, const struct conf_reference *ref);

#endif

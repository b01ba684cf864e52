/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * loader.h: a configuration while it is being read: what conf.c (the whole) and account.c (accounts)
 * share. Nobody else includes it.
 *
 * Functions that give an int return 0 or -ENOMEM; what is wrong with the configuration goes to
 * loader.raw, with file and line.
 */
#ifndef FRANK_BROKER_CONF_LOADER_H
#define FRANK_BROKER_CONF_LOADER_H

#include "broker/conf/conf.h"
#include "broker/conf/raw.h"
#include "broker/conf/readers.h"

enum { PROVIDERS_MAX = 1000 };

struct loader {
	struct raw raw;     /* the administrator's files */
	struct raw presets; /* the folder of presets */
	struct conf *conf;
	const struct conf_environment *env;
	struct name_set preset_names, provider_names, account_names, service_names, listener_names,
	    webhook_names, listen_addresses;
	size_t account_room, service_room;
};

/* Sets a string that has none. */
int conf_default_string(char **target, const char *value);

/* What a reference names is there, as far as can be told without running a command. */
void conf_check_readable(struct loader *l, const struct conf_reference *ref);

/* How many lapses there are so far (raw_lapse). */
size_t conf_lapses(const struct loader *l);

/* The title of a block is a fit name, and no block before it in `names` has it. */
int conf_check_title(struct loader *l, const struct raw_block *b, struct name_set *names);

/* Adds the account of a block to loader.conf. */
int conf_add_account(struct loader *l, const struct raw_block *b);

#endif

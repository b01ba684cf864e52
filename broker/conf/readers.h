/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * readers.h: turns what was written for a key into the member it belongs to. Private to
 * broker/conf.
 */
#ifndef FRANK_BROKER_CONF_READERS_H
#define FRANK_BROKER_CONF_READERS_H

#include "broker/conf/raw.h"

/*
 * Reads the entry's values into `target`, a member of the type that the key's reader expects.
 * Errors go to the report. 0, or -ENOMEM.
 */
typedef int key_reader(struct raw *raw, const struct raw_entry *e, void *target);

struct key_rule {
	const char *name;
	key_reader *read;
	size_t offset;
};

/* Each ends in a NULL name. Offsets: of top, limits, spool and tokens in struct conf, of account in
 * struct conf_account (`provider` blocks have the same keys), of service in struct conf_service, of
 * listener in struct conf_listener. */
extern const struct key_rule top_rules[], account_rules[], service_rules[], listener_rules[],
    notify_rules[], webhook_rules[], limits_rules[], spool_rules[], tokens_rules[];

/* Reads all entries of a block. */
int read_block(
    struct raw *raw, const struct raw_block *b, const struct key_rule *rules, void *target);

#endif

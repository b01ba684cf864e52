/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * read.h: turns what was written for a key into the member it belongs to. Private to broker/conf.
 *
 * Errors go to the report, with file and line. Both return 0 or -ENOMEM.
 */
#ifndef FRANK_BROKER_CONF_READ_H
#define FRANK_BROKER_CONF_READ_H

#include "broker/conf/raw.h"

/* Sets the members that have a default to it. `target` is a struct of that block. */
int read_defaults(struct raw *raw, enum conf_block block, void *target);

/* Reads all entries of a block into its struct, of `size` octets; keys that have no member there are passed over. */
int read_block(struct raw *raw, const struct raw_block *b, size_t size, void *target);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* name-set.h: names, each with a value, found by hash: for the titles of tens of thousands of blocks. Begins zeroed. */
#ifndef FRANK_BROKER_CONF_NAME_SET_H
#define FRANK_BROKER_CONF_NAME_SET_H

#include <stddef.h>

struct name_set {
	const char **slots; /* borrowed names */
	const void **values;
	size_t size, used;
};

/* Adds a name, which is borrowed as long as the set lives. Returns the value of an equal name that is there already, which stays;
 * NULL where the name is new, and (with *ret = -ENOMEM) where memory is out. */
const void *name_set_add(struct name_set *s, const char *name, const void *value, int *ret);
/* The value of the name; NULL: it is not in the set. */
const void *name_set_get(const struct name_set *s, const char *name);
/* Frees the set, which is empty and can be used again; the names and values are the caller's. */
void name_set_free(struct name_set *s);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* name-set.c: see name-set.h. Open addressing; it is never more than half full. */
#include "broker/conf/name-set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SET_FIRST = 64 };

static size_t
hash_name(const char *name)
{
	size_t h = 14695981039346656037u; /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return h;
}

static size_t
name_slot(const struct name_set *s, const char *name)
{
	size_t at = hash_name(name) & (s->size - 1);

	while (s->slots[at] != NULL && strcmp(s->slots[at], name) != 0)
		at = (at + 1) & (s->size - 1);
	return at;
}

static int
name_set_grow(struct name_set *s)
{
	struct name_set bigger = {.size = s->size == 0 ? NAME_SET_FIRST : s->size * 2};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	bigger.values = calloc(bigger.size, sizeof(*bigger.values));
	if (bigger.slots == NULL || bigger.values == NULL) {
		name_set_free(&bigger);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->size; i++) {
		if (s->slots[i] != NULL) {
			size_t at = name_slot(&bigger, s->slots[i]);

			bigger.slots[at] = s->slots[i];
			bigger.values[at] = s->values[i];
		}
	}
	bigger.used = s->used;
	name_set_free(s);
	*s = bigger;
	return 0;
}

const void *
name_set_add(struct name_set *s, const char *name, const void *value, int *ret)
{
	size_t at;

	*ret = 0;
	if (s->used * 2 >= s->size && (*ret = name_set_grow(s)) < 0)
		return NULL;
	at = name_slot(s, name);
	if (s->slots[at] != NULL)
		return s->values[at];
	s->slots[at] = name;
	s->values[at] = value;
	s->used++;
	return NULL;
}

const void *
name_set_get(const struct name_set *s, const char *name)
{
	return s->size == 0 ? NULL : s->values[name_slot(s, name)];
}

void
name_set_free(struct name_set *s)
{
	free(s->slots);
	free(s->values);
	*s = (struct name_set){0};
}

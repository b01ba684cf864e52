/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* grant.c: see grant.h. */
#include "base/grant.h"

#include <string.h>

const struct grant_row grant_rows[GRANT_COUNT] = {
#define GRANT(id, name, credential, by, request, endpoint) \
	[GRANT_##id] = {name, GRANT_GIVES_##credential, GRANT_BY_##by, request, endpoint},
#include "base/grant.def"
#undef GRANT
};

enum grant
grant_by_name(const char *name)
{
	enum grant g = GRANT_NONE;

	while (g < GRANT_COUNT && (name == NULL || strcmp(grant_rows[g].name, name) != 0))
		g++;
	return g;
}

bool
grant_needs_person(enum grant g)
{
	return g < GRANT_COUNT && grant_rows[g].by == GRANT_BY_PERSON;
}

bool
grant_is_unattended(enum grant g)
{
	return g < GRANT_COUNT && grant_rows[g].by > GRANT_BY_PERSON;
}

bool
grant_has_tokens(enum grant g)
{
	return g < GRANT_COUNT && grant_rows[g].credential == GRANT_GIVES_TOKEN;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: a search. What is accepted is within the bounds, has a text where its kind has one, and cleaning that again changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inbox/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inbox_query q;

	if (inbox_query_parse(&q, (const char *)data, size) < 0) {
		if (q.count != 0)
			abort();
		return 0;
	}
	if (q.count > INBOX_QUERY_TERMS_MAX)
		abort();
	for (size_t i = 0; i < q.count; i++) {
		const struct inbox_term *t = &q.terms[i];
		char *again;

		if ((t->field < INBOX_FIELD_AFTER) != (t->text != NULL))
			abort();
		if (t->text == NULL)
			continue;
		again = inbox_query_clean(t->text, strlen(t->text));
		if (again == NULL || t->text[0] == '\0' || strcmp(again, t->text) != 0)
			abort();
		free(again);
	}
	inbox_query_clear(&q);
	return 0;
}

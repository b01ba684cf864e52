/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: two files that `frank check --compare` is given, divided by a line of "--": any JSON is compared, and each difference
 * has an item and says what follows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/difference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = memmem(data, size, "\n--\n", 4);
	size_t first = cut == NULL ? size : (size_t)(cut - data);
	json_t *a = json_loadb((const char *)data, first, JSON_REJECT_DUPLICATES, NULL),
	       *b = cut == NULL ? json_object()
				: json_loadb((const char *)cut + 4, size - first - 4,
				      JSON_REJECT_DUPLICATES, NULL),
	       *rows, *row;
	size_t i;

	if (a != NULL && b != NULL) {
		rows = difference_find(a, b);
		if (rows == NULL)
			abort();
		json_array_foreach(rows, i, row)
		{
			if (json_string_value(json_object_get(row, "item")) == NULL ||
			    json_string_value(json_object_get(row, "means")) == NULL)
				abort();
		}
		json_decref(rows);
		rows = difference_find(a, a);
		if (rows == NULL || json_array_size(rows) != 0)
			abort();
		json_decref(rows);
	}
	json_decref(a);
	json_decref(b);
	return 0;
}

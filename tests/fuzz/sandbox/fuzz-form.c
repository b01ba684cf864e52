/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: a query or the body of a form. What is accepted has no name twice and fits where it
 * was put. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct form f = {0};

	if (form_parse(&f, (const char *)data, size) < 0) {
		if (f.count != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < f.count; i++) {
		const char *value = form_get(&f, f.fields[i].name);

		if (f.fields[i].value[0] == '\0' ? value != NULL : value != f.fields[i].value)
			abort();
	}
	form_clear(&f);
	return 0;
}

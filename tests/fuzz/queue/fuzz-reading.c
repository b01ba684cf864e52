/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-reading: fields of senders. Whatever they hold, they are read without a fault, and a plain address has one
 * reading.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "broker/message/mime.h"
#include "broker/message/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
visit(void *arg, const struct address_item *item)
{
	size_t len = strlen(item->address);

	(void)reading_fits(item->name, item->address);
	if (strstr(item->address, "=?") == NULL && reading_is_double(item->address, len))
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_field f = {.value = (const char *)data, .value_len = size};
	char charset[MIME_CHARSET_MAX + 1];
	size_t at;

	if (size > 4096)
		return 0;
	(void)reading_is_double(f.value, size);
	(void)address_list_parse(f.value, size, visit, NULL, &at);
	mime_charset(&f, charset);
	for (size_t i = 0; i < size;) {
		size_t n = mime_char_length(charset, f.value + i, size - i);

		if (n == 0 || n > size - i)
			abort();
		i += n;
	}
	return 0;
}

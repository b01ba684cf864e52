/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-header: header sections (base/header.h). Fields follow one another without a gap, and what
 * is known before all octets are there must be what is known afterwards.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The field at `at`, from the first `len` octets alone, must be the one known from all. */
static void
check_prefix(const char *data, size_t len, size_t at, size_t end, int known)
{
	struct header_field f;
	size_t from = at;
	int r = header_next(data, len, false, &at, &f);

	if (r != -EAGAIN && (r != known || at != end))
		abort();
	if (r == 1 && (f.whole != data + from || f.whole_len != end - from))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct header_field f;
	size_t at = 0, before;
	int r;

	if (size > 2048)
		return 0;
	do {
		before = at;
		r = header_next(text, size, true, &at, &f);
		if (r < 0 || at > size || at < before)
			abort();
		if (r == 1 && (f.whole != text + before || f.whole + f.whole_len != text + at ||
				  f.name_len == 0 || f.value <= f.name ||
				  f.value + f.value_len > f.whole + f.whole_len))
			abort();
		for (size_t len = before; len <= size && size < 300; len++)
			check_prefix(text, len, before, at, r);
	} while (r == 1);
	return 0;
}

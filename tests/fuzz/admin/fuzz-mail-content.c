/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-mail-content: messages. Whatever they hold, they are read to their end, as strings, and not more often than
 * there are parts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/mail-content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
on_field(void *arg, const char *name, const char *value)
{
	if (*name == '\0' || value == NULL)
		abort();
	return 0;
}

static int
on_text(void *arg, const char *text, size_t len)
{
	if (text[len] != '\0' || ++*(unsigned *)arg > MAIL_PARTS_MAX)
		abort();
	return 0;
}

static int
on_file(void *arg, const char *name)
{
	if (*name == '\0')
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mail_visit visit = {on_field, on_text, on_file};
	unsigned texts = 0;
	int r = mail_read((const char *)data, size, &visit, &texts);

	if (r != 0)
		abort();
	return 0;
}

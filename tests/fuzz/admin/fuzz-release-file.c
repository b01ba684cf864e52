/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-release-file: files of release tests. What is taken has a name, a time and an expectation; what is not has an
 * error with a line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/cli.h"
#include "admin/release-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *
cli_text(const json_t *row, const char *key)
{
	return NULL;
}

uint64_t
cli_number(const json_t *row, const char *key)
{
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf report = BUF_INIT(1 << 20);
	struct release_file f;
	bool good = release_file_parse(&f, "f", (const char *)data, size, &report);

	if (good != (report.len == 0) || (!good && strncmp(buf_str(&report), "f:", 2) != 0))
		abort();
	for (size_t i = 0; i < f.count && good; i++)
		if (f.tests[i].name == NULL || f.tests[i].timeout == 0 || f.tests[i].line == 0 ||
		    (f.tests[i].expect == RELEASE_ANY && f.tests[i].verdict == NULL))
			abort();
	release_file_free(&f);
	buf_free(&report);
	return 0;
}

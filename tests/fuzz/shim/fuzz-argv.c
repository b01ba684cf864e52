/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: any argument vector is understood or refused, and never reaches beyond its words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/shim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipients r = RECIPIENTS_INIT;
	char *words[WORDS_MAX] = {NULL}, *copy = malloc(size + 1);
	struct shim_options o;
	int argc = 0;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	for (char *at = copy; at < copy + size && argc < WORDS_MAX; at += strlen(at) + 1)
		words[argc++] = at;
	if (options_parse(argc, words, &o) == 0) {
		if (o.recipient_count > (size_t)argc)
			abort();
		for (size_t i = 0; i < o.recipient_count; i++)
			(void)recipients_add_list(&r, o.recipients[i], strlen(o.recipients[i]));
		if (o.sender != NULL)
			(void)recipients_add_list(&r, o.sender, strlen(o.sender));
	} else if (o.wrong == NULL) {
		abort();
	}
	recipients_free(&r);
	free(copy);
	return 0;
}

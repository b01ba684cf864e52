/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: the responses of a SASL exchange. The first octet chooses the mechanism, 0xFF ends a
 * response. Nobody may be signed in without the right secret, and never as anybody else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool asked;

static bool
fits(void *arg, const char *user, const char *secret)
{
	asked = strcmp(user, "a@b") == 0 && strcmp(secret, "s") == 0;
	return asked;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"XOAUTH2", "OAUTHBEARER", "PLAIN", "LOGIN"};
	static const struct sasl_checks checks = {fits, fits, "{}"};
	struct sasl_exchange x;
	enum sasl_next next = SASL_NEXT_CHALLENGE;

	if (size == 0 || !sasl_exchange_begin(&x, names[data[0] % 4]))
		return 0;
	asked = false;
	for (data++, size--; next == SASL_NEXT_CHALLENGE && size > 0;) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t len = end == NULL ? size : (size_t)(end - data);
		char *exact = malloc(len + 1);

		if (exact == NULL)
			return 0;
		memcpy(exact, data, len);
		next = sasl_exchange_step(&x, &checks, NULL, exact, len);
		free(exact);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	if (next == SASL_NEXT_OK && (!asked || strcmp(x.user, "a@b") != 0))
		abort();
	return 0;
}

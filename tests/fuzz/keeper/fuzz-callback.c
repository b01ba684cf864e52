/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-callback.c: the query string with which a browser comes back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/keeper/sign-in/callback.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_SECRET struct secret *state = secret_new("st-1", 4);
	struct callback_expected e = {.state = state};
	struct callback c;
	enum callback_verdict v;

	if (size < 1)
		return 0;
	e.iss_required = (data[0] & 1) != 0;
	e.issuer = (data[0] & 2) != 0   ? "https://login.example/{tenantid}/v2.0"
		   : (data[0] & 4) != 0 ? "https://a.example"
					: NULL;
	v = callback_read((const char *)data + 1, size - 1, &e, &c);
	/* A code comes with its verdict and with no other, and never without the state somewhere in the octets. */
	if ((v == CALLBACK_CODE) != (c.code != NULL))
		abort();
	if (v == CALLBACK_FAILED)
		abort();
	if ((v == CALLBACK_IGNORED || v == CALLBACK_INVALID) && c.why == NULL)
		abort();
	callback_clear(&c);
	return 0;
}

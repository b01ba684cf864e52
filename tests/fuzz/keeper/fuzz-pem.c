/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-pem.c: the key and the certificate with which a client proves who it is; one may stand behind the other in one file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/keeper/accounts/assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct assertion a = {.issuer = "client",
	    .subject = "client",
	    .audience = "https://login.example/token",
	    .certificate = data,
	    .certificate_len = size,
	    .now = 1767225600,
	    .life = ASSERTION_LIFE};
	CLEANUP_SECRET struct secret *key = NULL, *jwt = NULL;
	const char *why = NULL;
	int64_t end = 0;
	int usable, r;

	if (size < 1 || size > SECRET_MAX)
		return 0;
	key = secret_new(data, size);
	usable = assertion_check_key(key, &why);
	if ((usable == 0) != (why == NULL))
		abort();
	r = assertion_sign(&a, key, &jwt, &why);
	/* What signs is a key that passed the check. */
	if ((r == 0) != (jwt != NULL) || (r == 0 && usable < 0))
		abort();
	(void)assertion_certificate_end(data, size, &end);
	if (r == -EINVAL && why == NULL)
		abort();
	return 0;
}

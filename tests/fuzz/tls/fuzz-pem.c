/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-pem.c: what a listener shows its clients, as files have it: certificates, and behind a NUL, or among them, the key. */
#include <stdlib.h>
#include <string.h>

#include "broker/tls/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_SECRET struct secret *chain = NULL, *key = NULL;
	const uint8_t *end = size == 0 ? NULL : memchr(data, '\0', size);
	size_t len = end == NULL ? size : (size_t)(end - data);
	char why[200] = "", day[32] = "";
	int64_t first = 0, last = 0;
	SSL_CTX *context;

	if (size < 1 || size > SECRET_MAX)
		return 0;
	chain = secret_new(data, len);
	key = end == NULL ? secret_new(data, size) : secret_new(end + 1, size - len - 1);
	context = certificate_context(chain, key, why, sizeof(why));
	if ((context == NULL) != (why[0] != '\0'))
		abort();
	if (context != NULL) {
		(void)certificate_expired(context, day, sizeof(day));
		certificate_times(context, &first, &last);
	}
	SSL_CTX_free(context);
	return 0;
}

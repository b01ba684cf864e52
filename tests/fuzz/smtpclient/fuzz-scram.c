/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * SCRAM against any server: the input is the server's messages, a NUL between two. No message makes
 * the exchange proven but one that holds the signature. The hashes are toys, which cost nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/smtp/scram.h"
#include "fuzz-toys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct scram_binding binding = {
	    .type = "tls-exporter", .data = {1, 2, 3}, .len = 3};
	struct secret *password = secret_new("S3cret", 6);
	struct scram *s;
	const char *at = (const char *)data, *end = at + size;
	bool server_knows = memmem(data, size, "S3cret", 6) != NULL;

	if (size == 0 || password == NULL)
		return 0;
	s = scram_new(&toy_crypto, (enum scram_use)(data[0] % 3), &binding, "user", password);
	if (s == NULL)
		abort();
	while (at < end) {
		const char *stop = memchr(at, '\0', (size_t)(end - at)), *why = NULL;
		CLEANUP_BUF struct buf out = BUF_INIT(16384);
		size_t len = (size_t)((stop == NULL ? end : stop) - at);
		int r = scram_respond(s, at, len, &out, &why);

		if (r < 0 && (why == NULL || out.len > 16384))
			abort();
		if (!server_knows && memmem(buf_str(&out), out.len, "S3cret", 6) != NULL)
			abort();
		if (r == 0 && scram_is_proven(s) && !toy_signed(at, len))
			abort();
		if (r < 0)
			break;
		at = stop == NULL ? end : stop + 1;
	}
	(void)scram_free(s);
	(void)secret_free(password);
	return 0;
}

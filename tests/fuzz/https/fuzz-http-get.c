/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the HTTP request at the end of a sign-in, and a pasted address. The first octet says
 * where the rest is cut in two; the cut must not matter.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http-get.h"
#include "admin/paste.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_get whole = HTTP_GET_INIT, parts = HTTP_GET_INIT;
	const char *text = (const char *)data + 1, *query;
	size_t len = size - 1, cut, query_len;
	bool complete;

	if (size < 1)
		return 0;
	cut = len * data[0] / 255;
	complete = http_get_take(&whole, text, len);
	if ((http_get_take(&parts, text, cut) || http_get_take(&parts, text + cut, len - cut)) !=
	    complete)
		abort();
	if (complete && (whole.status != parts.status || !same(whole.path, parts.path) ||
			    !same(whole.query, parts.query) || !same(whole.host, parts.host)))
		abort();
	if (complete && whole.status == 0 &&
	    (whole.path == NULL || whole.path[0] != '/' || whole.host == NULL))
		abort();
	http_get_clear(&whole);
	http_get_clear(&parts);
	if (paste_query(text, len, &query, &query_len) &&
	    (query < text || query + query_len > text + len))
		abort();
	return 0;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: an answer of a token endpoint. The first octet chooses the HTTP status. What must
 * hold: success bears a token and no error, a refusal no token, every text is free of control
 * characters.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/https/document.h"
#include "broker/https/token-answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
is_plain(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct token_response a;

	if (!ready)
		document_init();
	ready = true;
	if (size < 1 || token_answer_parse(data[0] * 4L, (const char *)data + 1, size - 1, &a) < 0)
		return 0;
	if (a.fault == NULL && (a.error == NULL) == (a.access_token == NULL))
		abort();
	if (a.access_token != NULL && a.fault == NULL &&
	    !secret_is_printable(a.access_token, false))
		abort();
	if (a.expires_in < -1 || a.expires_in > TOKEN_ANSWER_LIFE_MAX)
		abort();
	if (token_answer_life(&a, 1700000000) < -1 ||
	    token_answer_life(&a, 1700000000) > TOKEN_ANSWER_LIFE_MAX)
		abort();
	is_plain(a.error);
	is_plain(a.description);
	is_plain(a.scope);
	is_plain(a.id.issuer);
	for (size_t i = 0; i < a.id.claims.count; i++)
		is_plain(a.id.claims.pairs[i]);
	token_answer_clear(&a);
	return 0;
}

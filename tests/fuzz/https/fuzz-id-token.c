/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: the claims of an ID token. The input is the payload before base64url, or with a
 * leading '.' a whole JWT. */
#include <string.h>

#include "base/codec.h"
#include "broker/https/document.h"
#include "broker/https/id-token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	CLEANUP_BUF struct buf jwt = BUF_INIT(1024 * 1024);
	struct id_token t;
	const char *why;

	if (!ready)
		document_init();
	ready = true;
	if (size > 0 && data[0] == '.') {
		(void)buf_append(&jwt, data + 1, size - 1);
	} else {
		(void)buf_append_str(&jwt, "e30.");
		(void)base64url_encode(&jwt, data, size);
		(void)buf_append_str(&jwt, ".c2ln");
	}
	if (jwt.data != NULL && id_token_parse(jwt.data, jwt.len, &t, &why) == 0) {
		(void)id_token_over(&t, 1700000000);
		id_token_clear(&t);
	}
	return 0;
}

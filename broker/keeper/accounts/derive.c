/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* derive.c: see derive.h. */
#include "broker/keeper/accounts/derive.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/codec.h"
#include "tokenstore/seal.h"

enum { SES_VERSION = 4 };

static bool
hmac(const void *key, size_t key_len, const char *text, uint8_t out[SEAL_HASH])
{
	unsigned len = SEAL_HASH;

	return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out,
		   &len) != NULL;
}

struct secret *
derive_ses_password(const struct secret *key, const char *region)
{
	const char *const chain[] = {"11111111", region, "ses", "aws4_request", "SendRawEmail"};
	CLEANUP_BUF struct buf first = BUF_INIT_WIPE(SECRET_MAX), text = BUF_INIT_WIPE(128);
	uint8_t sum[1 + SEAL_HASH] = {SES_VERSION}, last[SEAL_HASH];
	struct secret *password = NULL;
	bool good;

	(void)buf_append_str(&first, "AWS4");
	good = buf_append(&first, secret_bytes(key), secret_len(key)) == 0 &&
	       hmac(first.data, first.len, chain[0], sum + 1);
	for (size_t i = 1; good && i < ARRAY_SIZE(chain); i++) {
		memcpy(last, sum + 1, sizeof(last));
		good = hmac(last, sizeof(last), chain[i], sum + 1);
	}
	if (good && base64_encode(&text, sum, sizeof(sum)) == 0)
		password = secret_new(text.data, text.len);
	mem_wipe(sum, sizeof(sum));
	mem_wipe(last, sizeof(last));
	return password;
}

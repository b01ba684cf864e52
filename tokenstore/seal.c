/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * seal.c: see seal.h.
 */
#include "tokenstore/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/wipe.h"

/* ---- libcrypto's memory ---- */

/* libcrypto keeps the numbers of private keys here: locked, and in no core. One RSA key of 4096 bits
 * and what signing with it takes are a tenth of it. */
enum { SECURE_HEAP = 128 * 1024, SECURE_LEAST = 32 };

static void *
take(size_t len, const char *file, int line)
{
	return malloc(len);
}

static void
give_back(void *p, const char *file, int line)
{
	wipe_free(p);
}

static void *
resize(void *p, size_t len, const char *file, int line)
{
	return wipe_realloc(p, len);
}

int
seal_init(void)
{
	uint8_t out[SEAL_HASH];

	/* A key on its way from PEM passes through libcrypto's ordinary buffers, of which it wipes some
	 * only: so all are. Where neither can be had, as where memory cannot be locked, it goes on. */
	(void)CRYPTO_set_mem_functions(take, resize, give_back);
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_LEAST);
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_CIPHERS |
				    OPENSSL_INIT_ADD_ALL_DIGESTS,
		NULL) != 1)
		return -EIO;
	return seal_hkdf("", 0, "", 0, "", out, sizeof(out));
}

int
seal_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
    void *out, size_t out_len)
{
	char digest[] = "SHA256";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	size_t info_len = 0;
	OSSL_PARAM params[5], *p = params;
	int r = -EIO;

	while (info[info_len] != '\0')
		info_len++;
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_len);
	*p = OSSL_PARAM_construct_end();
	if (ctx != NULL && EVP_KDF_derive(ctx, out, out_len, params) == 1)
		r = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return r;
}

int
seal_scrypt(const void *passphrase, size_t len, const void *salt, size_t salt_len, unsigned log2n,
    unsigned r, unsigned p, uint8_t out[SEAL_KEY])
{
	uint64_t n = (uint64_t)1 << log2n, most = 129 * n * r + 1024 * (uint64_t)r * p + 4096;

	return EVP_PBE_scrypt(passphrase, len, salt, salt_len, n, r, p, most, out, SEAL_KEY) == 1
		   ? 0
		   : -EIO;
}

int
seal_encrypt(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const void *ad,
    size_t ad_len, const void *in, size_t len, void *out, uint8_t tag[SEAL_TAG])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, r = -EIO;

	if (ctx != NULL && ad_len <= INT_MAX && len <= INT_MAX &&
	    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    EVP_EncryptUpdate(ctx, NULL, &n, ad, (int)ad_len) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, in, (int)len) == 1 &&
	    EVP_EncryptFinal_ex(ctx, (uint8_t *)out + n, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, tag) == 1)
		r = 0;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

int
seal_decrypt(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const void *ad,
    size_t ad_len, const void *in, size_t len, void *out, const uint8_t tag[SEAL_TAG])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, r = -EIO;

	if (ctx != NULL && ad_len <= INT_MAX && len <= INT_MAX &&
	    EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, ad, (int)ad_len) == 1 &&
	    EVP_DecryptUpdate(ctx, out, &n, in, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, (void *)tag) == 1)
		r = EVP_DecryptFinal_ex(ctx, (uint8_t *)out + n, &n) == 1 ? 0 : -EBADMSG;
	EVP_CIPHER_CTX_free(ctx);
	if (r < 0)
		mem_wipe(out, len);
	return r;
}

int
seal_hmac(const uint8_t key[SEAL_KEY], const void *data, size_t len, uint8_t out[SEAL_HASH])
{
	unsigned n = SEAL_HASH;

	return HMAC(EVP_sha256(), key, SEAL_KEY, data, len, out, &n) != NULL && n == SEAL_HASH
		   ? 0
		   : -EIO;
}

int
seal_sha256(const void *data, size_t len, const void *more, size_t more_len, uint8_t out[SEAL_HASH])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n = SEAL_HASH;
	int r = -EIO;

	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, data, len) == 1 &&
	    (more == NULL || EVP_DigestUpdate(ctx, more, more_len) == 1) &&
	    EVP_DigestFinal_ex(ctx, out, &n) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	return r;
}

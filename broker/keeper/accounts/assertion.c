/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * assertion.c: see assertion.h. The compact form of RFC 7515 section 7.1:
 *
 *     base64url(header) "." base64url(claims) "." base64url(signature)
 *
 * PS256 is RSASSA-PSS with SHA-256, MGF1 of SHA-256 and a salt of 32 octets; ES256 is the two
 * numbers of an ECDSA signature, 32 octets each (RFC 7518 sections 3.4 and 3.5).
 */
#include "broker/keeper/accounts/assertion.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/codec.h"
#include "tokenstore/seal.h"

enum { TEXT_MAX = 16 * 1024, RSA_BITS_LEAST = 2048, EC_NUMBER = 32 };

enum algorithm { PS256, RS256, ES256, NO_ALGORITHM };
static const char *const algorithm_names[] = {"PS256", "RS256", "ES256"};

/* ---- the key ---- */

/* Nobody is there to be asked for a passphrase; libcrypto's own callback would ask the terminal. */
static int
no_passphrase(char *buf, int size, int for_writing, void *arg)
{
	return -1;
}

static EVP_PKEY *
read_key(const struct secret *pem)
{
	BIO *bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
	EVP_PKEY *key =
	    bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

	(void)BIO_free(bio);
	ERR_clear_error();
	return key;
}

static const char *
key_flaw(const EVP_PKEY *key)
{
	char curve[64] = "";

	if (key == NULL)
		return "the client key is no private key in PEM, or a passphrase protects it";
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return EVP_PKEY_get_bits(key) >= RSA_BITS_LEAST
			   ? NULL
			   : "the client key is RSA with fewer than 2048 bits";
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	    EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
	    strcmp(curve, "prime256v1") == 0)
		return NULL;
	return "the client key is neither RSA nor EC on P-256";
}

int
assertion_check_key(const struct secret *key, const char **ret_why)
{
	EVP_PKEY *k = read_key(key);

	*ret_why = key_flaw(k);
	EVP_PKEY_free(k);
	return *ret_why == NULL ? 0 : -EINVAL;
}

static enum algorithm
choose_algorithm(const EVP_PKEY *key, const char *name)
{
	bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;

	if (name == NULL)
		return rsa ? PS256 : ES256;
	for (int a = PS256; a < NO_ALGORITHM; a++)
		if (strcmp(algorithm_names[a], name) == 0 && rsa == (a != ES256))
			return (enum algorithm)a;
	return NO_ALGORITHM;
}

/* ---- the certificate ---- */

static X509 *
read_certificate(const void *pem, size_t len)
{
	BIO *bio = len > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)len);
	X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	(void)BIO_free(bio);
	ERR_clear_error();
	return cert;
}

int
assertion_certificate_end(const void *pem, size_t len, int64_t *ret)
{
	X509 *cert = read_certificate(pem, len);
	struct tm end = {0};
	int r = -EINVAL;

	if (cert != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1) {
		*ret = timegm(&end);
		r = 0;
	}
	X509_free(cert);
	return r;
}

static int
put_thumbprint(
    struct buf *header, const struct assertion *a, const EVP_PKEY *key, const char **ret_why)
{
	X509 *cert = read_certificate(a->certificate, a->certificate_len);
	uint8_t hash[SEAL_HASH], *der = NULL;
	int len = cert == NULL ? -1 : i2d_X509(cert, &der), r = -EINVAL;

	if (len <= 0)
		*ret_why = "the client certificate is no certificate in PEM";
	else if (X509_check_private_key(cert, key) != 1)
		*ret_why = "the client certificate does not belong to the client key";
	else
		r = seal_sha256(der, (size_t)len, NULL, 0, hash);
	ERR_clear_error();
	if (r == 0)
		(void)buf_append_str(header, ",\"x5t#S256\":\"");
	if (r == 0)
		r = base64url_encode(header, hash, sizeof(hash));
	if (r == 0)
		r = buf_append_char(header, '"');
	OPENSSL_free(der);
	X509_free(cert);
	return r;
}

/* ---- the text ---- */

static void
put_string(struct buf *json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	if (json->len > 1)
		(void)buf_append_char(json, ',');
	(void)buf_printf(json, "\"%s\":\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			(void)buf_printf(json, "\\%c", *value);
		else if ((unsigned char)*value < ' ')
			(void)buf_printf(json, "\\u%04x", (unsigned char)*value);
		else
			(void)buf_append_char(json, *value);
	}
	(void)buf_append_char(json, '"');
}

/* A GUID, as Microsoft has it, out of random octets. */
static void
put_jti(struct buf *json, const uint8_t jti[ASSERTION_JTI])
{
	(void)buf_append_str(json, ",\"jti\":\"");
	for (unsigned i = 0; i < ASSERTION_JTI; i++)
		(void)buf_printf(
		    json, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", jti[i]);
	(void)buf_append_char(json, '"');
}

static void
put_claims(struct buf *json, const struct assertion *a)
{
	(void)buf_append_char(json, '{');
	put_string(json, "iss", a->issuer);
	put_string(json, "sub", a->subject);
	put_string(json, "scope", a->scope);
	put_string(json, "aud", a->audience);
	if (a->jti != NULL)
		put_jti(json, a->jti);
	(void)buf_printf(json, ",\"iat\":%lld", (long long)(a->now - a->leeway));
	if (a->jti != NULL)
		(void)buf_printf(json, ",\"nbf\":%lld", (long long)(a->now - a->leeway));
	(void)buf_printf(json, ",\"exp\":%lld}", (long long)(a->now + a->life));
}

static int
put_header(struct buf *json, const struct assertion *a, const EVP_PKEY *key,
    enum algorithm algorithm, const char **ret_why)
{
	int r = 0;

	(void)buf_append_char(json, '{');
	put_string(json, "alg", algorithm_names[algorithm]);
	put_string(json, "typ", "JWT");
	put_string(json, "kid", a->key_id);
	if (a->certificate != NULL)
		r = put_thumbprint(json, a, key, ret_why);
	(void)buf_append_char(json, '}');
	return r;
}

/* ---- the signature ---- */

/* DER to the two numbers one after the other. */
static int
unpack_ecdsa(const uint8_t *der, size_t len, struct buf *ret)
{
	const uint8_t *at = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	uint8_t raw[2 * EC_NUMBER];
	int r = -EIO;

	if (sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, EC_NUMBER) == EC_NUMBER &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + EC_NUMBER, EC_NUMBER) == EC_NUMBER)
		r = base64url_encode(ret, raw, sizeof(raw));
	ECDSA_SIG_free(sig);
	return r;
}

static int
sign(EVP_PKEY *key, enum algorithm algorithm, struct buf *text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL; /* owned by ctx */
	size_t len = 0, signed_len = text->len;
	uint8_t *sig = NULL;
	int r = -EIO;

	if (ctx != NULL && EVP_DigestSignInit(ctx, &how, EVP_sha256(), NULL, key) == 1 &&
	    (algorithm != PS256 ||
		(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	    EVP_DigestSign(ctx, NULL, &len, (const uint8_t *)text->data, signed_len) == 1 &&
	    (sig = malloc(len)) != NULL &&
	    EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text->data, signed_len) == 1) {
		r = buf_append_char(text, '.');
		if (r == 0)
			r = algorithm == ES256 ? unpack_ecdsa(sig, len, text)
					       : base64url_encode(text, sig, len);
	}
	free(sig);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static int
make(const struct assertion *a, EVP_PKEY *key, struct buf *ret, const char **ret_why)
{
	CLEANUP_BUF struct buf header = BUF_INIT(TEXT_MAX), claims = BUF_INIT(TEXT_MAX);
	enum algorithm algorithm = choose_algorithm(key, a->algorithm);
	int r;

	if (algorithm == NO_ALGORITHM) {
		*ret_why = "client-key-algorithm does not go with the client key: PS256 and RS256 "
			   "want RSA, ES256 wants EC";
		return -EINVAL;
	}
	r = put_header(&header, a, key, algorithm, ret_why);
	put_claims(&claims, a);
	if (r == 0 && (header.failed || claims.failed))
		r = -ENOMEM;
	if (r == 0)
		r = base64url_encode(ret, header.data, header.len);
	if (r == 0)
		r = buf_append_char(ret, '.');
	if (r == 0)
		r = base64url_encode(ret, claims.data, claims.len);
	return r == 0 ? sign(key, algorithm, ret) : r;
}

int
assertion_sign(
    const struct assertion *a, const struct secret *key, struct secret **ret, const char **ret_why)
{
	CLEANUP_BUF struct buf text = BUF_INIT_WIPE(TEXT_MAX);
	EVP_PKEY *k = read_key(key);
	int r;

	*ret_why = key_flaw(k);
	r = *ret_why != NULL ? -EINVAL : make(a, k, &text, ret_why);
	EVP_PKEY_free(k);
	if (r < 0)
		return r;
	*ret = secret_new(text.data, text.len);
	return *ret == NULL ? -ENOMEM : 0;
}

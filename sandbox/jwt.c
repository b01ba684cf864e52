/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * jwt.c: see jwt.h. A JWS carries an ECDSA signature as the two integers R and S of 32 octets each,
 * while the crypto library makes a DER structure: it is taken apart here.
 */
#include "sandbox/jwt.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/codec.h"

enum { COORDINATE = 32 };

struct jwt_key {
	EVP_PKEY *key;
	char id[24];
};

struct jwt_key *
jwt_key_free(struct jwt_key *k)
{
	if (k == NULL)
		return NULL;
	EVP_PKEY_free(k->key);
	free(k);
	return NULL;
}

struct jwt_key *
jwt_key_new(void)
{
	struct jwt_key *k = calloc(1, sizeof(*k));
	struct buf id CLEANUP_BUF = BUF_INIT(sizeof(k->id) - 1);
	unsigned char random[8];

	if (k == NULL)
		return NULL;
	k->key = EVP_EC_gen("P-256");
	if (k->key == NULL || RAND_bytes(random, sizeof(random)) != 1 ||
	    hex_encode(&id, random, sizeof(random)) < 0)
		return jwt_key_free(k);
	memcpy(k->id, id.data, id.len + 1);
	return k;
}

static json_t *
coordinate(const EVP_PKEY *key, const char *name)
{
	struct buf text CLEANUP_BUF = BUF_INIT(64);
	BIGNUM *n = NULL;
	unsigned char raw[COORDINATE];
	json_t *ret = NULL;

	if (EVP_PKEY_get_bn_param(key, name, &n) == 1 &&
	    BN_bn2binpad(n, raw, sizeof(raw)) == (int)sizeof(raw) &&
	    base64url_encode(&text, raw, sizeof(raw)) == 0)
		ret = json_string(buf_str(&text));
	BN_free(n);
	return ret;
}

json_t *
jwt_key_set(const struct jwt_key *k)
{
	/* "o" takes the references, and makes the whole NULL where one of them is */
	return json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:o, s:o}]}", "keys", "kty", "EC", "crv",
	    "P-256", "use", "sig", "alg", "ES256", "kid", k->id, "x",
	    coordinate(k->key, OSSL_PKEY_PARAM_EC_PUB_X), "y",
	    coordinate(k->key, OSSL_PKEY_PARAM_EC_PUB_Y));
}

static int
append_json(struct buf *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	int r = text == NULL ? -ENOMEM : base64url_encode(out, text, strlen(text));

	free(text);
	return r;
}

static int
append_signature(const struct jwt_key *k, struct buf *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[128], raw[2 * COORDINATE];
	const unsigned char *at = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig = NULL;
	int r = -EIO;

	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->key) == 1 &&
	    EVP_DigestSign(ctx, der, &len, (const unsigned char *)out->data, out->len) == 1)
		sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	if (sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE) == COORDINATE &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE) == COORDINATE) {
		r = buf_append_char(out, '.');
		if (r == 0)
			r = base64url_encode(out, raw, sizeof(raw));
	}
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	return r;
}

int
jwt_sign(const struct jwt_key *k, const json_t *claims, struct buf *out)
{
	json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "ES256", "typ", "JWT", "kid", k->id);
	int r = header == NULL ? -ENOMEM : append_json(out, header);

	if (r == 0)
		r = buf_append_char(out, '.');
	if (r == 0)
		r = append_json(out, claims);
	if (r == 0)
		r = append_signature(k, out);
	json_decref(header);
	return r;
}

/* The DER form of the signature R S of 32 octets each. NULL: no memory or not of that length. The caller frees it. */
static unsigned char *
der_signature(const struct buf *raw, size_t *ret_len)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	BIGNUM *r = NULL, *s = NULL;
	int len;

	if (sig != NULL && raw->len == 2 * (size_t)COORDINATE) {
		r = BN_bin2bn((const unsigned char *)raw->data, COORDINATE, NULL);
		s = BN_bin2bn((const unsigned char *)raw->data + COORDINATE, COORDINATE, NULL);
		if (r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1)
			r = s = NULL; /* they are the signature's now */
		else
			raw = NULL;
	} else {
		raw = NULL;
	}
	len = raw == NULL ? -1 : i2d_ECDSA_SIG(sig, &der);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	*ret_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? NULL : der;
}

static bool
signature_fits(
    EVP_PKEY *key, const char *algorithm, const char *text, size_t len, const struct buf *signature)
{
	bool ec = EVP_PKEY_is_a(key, "EC") == 1, pss = strcmp(algorithm, "PS256") == 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx;
	unsigned char *der = NULL;
	const unsigned char *sig = (const unsigned char *)signature->data;
	size_t sig_len = signature->len;
	bool ok = ctx != NULL &&
		  strcmp(algorithm, ec    ? "ES256"
				    : pss ? "PS256"
					  : "RS256") == 0 &&
		  (ec || EVP_PKEY_is_a(key, "RSA") == 1);

	if (ok && ec) {
		der = der_signature(signature, &sig_len);
		sig = der;
		ok = der != NULL;
	}
	ok =
	    ok && EVP_DigestVerifyInit(ctx, &key_ctx, EVP_sha256(), NULL, key) == 1 &&
	    (!pss || (EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			 EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	    EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)text, len) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* The JSON object in base64url. NULL: it is none. */
static json_t *
decode_object(const char *text, size_t len)
{
	struct buf bytes CLEANUP_BUF = BUF_INIT(16 * 1024);
	json_t *o = NULL;

	if (base64url_decode(&bytes, text, len) == 0)
		o = json_loadb(buf_str(&bytes), bytes.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

json_t *
jwt_verify(EVP_PKEY *key, const char *text)
{
	struct buf signature CLEANUP_BUF = BUF_INIT(4096);
	const char *dot = strchr(text, '.'), *second = dot == NULL ? NULL : strchr(dot + 1, '.'),
		   *algorithm;
	json_t *header, *claims = NULL;

	if (second == NULL || base64url_decode(&signature, second + 1, strlen(second + 1)) < 0)
		return NULL;
	header = decode_object(text, (size_t)(dot - text));
	algorithm = json_string_value(json_object_get(header, "alg"));
	if (algorithm != NULL &&
	    signature_fits(key, algorithm, text, (size_t)(second - text), &signature))
		claims = decode_object(dot + 1, (size_t)(second - dot - 1));
	json_decref(header);
	return claims;
}

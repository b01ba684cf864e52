/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* tls-peer.c: see tls-peer.h. */
#include "tls-peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/codec.h"

static void
put_pin(struct peer *s, EVP_PKEY *key)
{
	CLEANUP_BUF struct buf shown = BUF_INIT(64);
	unsigned char *spki = NULL, hash[32];
	int len = i2d_PUBKEY(key, &spki);

	assert_true(len > 0);
	assert_int_equal(EVP_Digest(spki, (size_t)len, hash, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(base64_encode(&shown, hash, sizeof(hash)), 0);
	(void)snprintf(s->pin, sizeof(s->pin), "sha256/%s", buf_str(&shown));
	OPENSSL_free(spki);
}

void
peer_begin(struct peer *s, const char *name, int version)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes, san[100];
	X509_EXTENSION *names;
	long len;

	(void)snprintf(san, sizeof(san), "DNS:%s", name);
	names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	assert_non_null(names);
	*s = (struct peer){.pem = BUF_INIT(64 * 1024)};
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_set_version(x, 2);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -100000);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 100000);
	(void)X509_set_pubkey(x, key);
	(void)X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	(void)X509_set_issuer_name(x, X509_get_subject_name(x));
	(void)X509_add_ext(x, names, -1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &bytes);
	assert_int_equal(buf_append(&s->pem, bytes, (size_t)len), 0);
	put_pin(s, key);
	s->context = SSL_CTX_new(TLS_server_method());
	assert_non_null(s->context);
	(void)SSL_CTX_set_max_proto_version(s->context, version);
	assert_int_equal(SSL_CTX_use_certificate(s->context, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->context, key), 1);
	X509_EXTENSION_free(names);
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(key);
}

void
peer_end(struct peer *s)
{
	SSL_CTX_free(s->context);
	buf_free(&s->pem);
}

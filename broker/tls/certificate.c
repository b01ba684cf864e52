/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* certificate.c: see certificate.h. */
#include "broker/tls/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

/* A passphrase could be asked of nobody. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	return -1;
}

static BIO *
memory(const struct secret *s)
{
	return BIO_new_mem_buf(secret_bytes(s), (int)secret_len(s));
}

static const char *
use_chain(SSL_CTX *context, const struct secret *chain)
{
	BIO *bio = memory(chain);
	X509 *certificate =
	    bio == NULL ? NULL : PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	const char *wrong = NULL;

	if (certificate == NULL)
		wrong = "the certificate file holds no certificate (PEM)";
	else if (SSL_CTX_use_certificate(context, certificate) != 1)
		wrong = "the certificate cannot be used: its key is of a kind, or so short, that "
			"clients refuse it";
	X509_free(certificate);
	while (wrong == NULL &&
	       (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
			X509_free(certificate);
			wrong = "a certificate of the chain cannot be used";
		}
	BIO_free(bio);
	return wrong;
}

static const char *
use_key(SSL_CTX *context, const struct secret *key)
{
	BIO *bio = memory(key);
	EVP_PKEY *k = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	const char *wrong = NULL;

	if (k == NULL)
		wrong = "the key file holds no private key (PEM, without a passphrase)";
	else if (SSL_CTX_use_PrivateKey(context, k) != 1 || SSL_CTX_check_private_key(context) != 1)
		wrong = "the key is not that of the certificate";
	EVP_PKEY_free(k);
	BIO_free(bio);
	return wrong;
}

SSL_CTX *
certificate_context(
    const struct secret *chain, const struct secret *key, char *why, size_t why_size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	const char *wrong = context == NULL ? "out of memory" : NULL;

	if (wrong == NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		wrong = "this OpenSSL has no TLS 1.2";
	if (wrong == NULL) {
		(void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
						    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						    SSL_MODE_RELEASE_BUFFERS);
		(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
						       SSL_OP_CIPHER_SERVER_PREFERENCE |
						       SSL_OP_NO_COMPRESSION);
		(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		wrong = use_chain(context, chain);
	}
	if (wrong == NULL)
		wrong = use_key(context, key);
	ERR_clear_error();
	if (wrong == NULL)
		return context;
	(void)snprintf(why, why_size, "%s", wrong);
	SSL_CTX_free(context);
	return NULL;
}

bool
certificate_expired(const SSL_CTX *context, char *day, size_t size)
{
	const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
	struct tm tm = {0};

	(void)ASN1_TIME_to_tm(end, &tm);
	(void)snprintf(day, size, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	return X509_cmp_current_time(end) < 0;
}

static int64_t
seconds(const ASN1_TIME *t)
{
	struct tm tm = {0};

	(void)ASN1_TIME_to_tm(t, &tm);
	return (int64_t)timegm(&tm);
}

void
certificate_times(const SSL_CTX *context, int64_t *ret_begin, int64_t *ret_end)
{
	const X509 *x = SSL_CTX_get0_certificate(context);

	*ret_begin = seconds(X509_get0_notBefore(x));
	*ret_end = seconds(X509_get0_notAfter(x));
}

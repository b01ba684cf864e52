/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ca.c: see ca.h. P-256 throughout; certificates by RFC 5280: the authority may only sign
 * certificates, the server's may only be a server's.
 */
#include "sandbox/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/attr.h"

enum { CA_DAYS = 3650, SERVER_DAYS = 397 };

static FILE *
open_in(int dir, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	FILE *f;

	if (fd < 0)
		return NULL;
	f = fdopen(fd, (flags & O_ACCMODE) == O_RDONLY ? "r" : "w");
	if (f == NULL)
		(void)close(fd);
	return f;
}

static bool
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool
name_and_date(X509 *cert, EVP_PKEY *key, const char *common_name, int days)
{
	uint64_t serial;
	X509_NAME *name = X509_get_subject_name(cert);

	/* an hour back: clocks of containers differ */
	return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
	       X509_set_version(cert, X509_VERSION_3) == 1 &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days) != NULL &&
	       X509_set_pubkey(cert, key) == 1 &&
	       X509_NAME_add_entry_by_txt(
		   name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static X509 *
make_ca(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	if (cert != NULL && name_and_date(cert, key, "frank-sandbox test CA", CA_DAYS) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
	    extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    extend(cert, cert, NID_subject_key_identifier, "hash") &&
	    X509_sign(cert, key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *
make_server(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *host)
{
	X509 *cert = X509_new();
	char names[400];
	int n = snprintf(names, sizeof(names), "DNS:localhost,IP:127.0.0.1,IP:::1%s%s",
	    strcmp(host, "localhost") == 0                                           ? ""
	    : host[strspn(host, "0123456789.")] == '\0' || strchr(host, ':') != NULL ? ",IP:"
										     : ",DNS:",
	    strcmp(host, "localhost") == 0 ? "" : host);

	if (cert != NULL && n > 0 && (size_t)n < sizeof(names) &&
	    name_and_date(cert, key, host, SERVER_DAYS) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
	    extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(cert, ca, NID_key_usage, "critical,digitalSignature") &&
	    extend(cert, ca, NID_ext_key_usage, "serverAuth") &&
	    extend(cert, ca, NID_subject_alt_name, names) &&
	    extend(cert, ca, NID_subject_key_identifier, "hash") &&
	    extend(cert, ca, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(cert, ca_key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static bool
load_ca(int dir, X509 **ret_cert, EVP_PKEY **ret_key)
{
	FILE *f = open_in(dir, "ca.pem", O_RDONLY, 0);

	if (f != NULL) {
		*ret_cert = PEM_read_X509(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	f = open_in(dir, "ca.key", O_RDONLY, 0);
	if (f != NULL) {
		*ret_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	return *ret_cert != NULL && *ret_key != NULL &&
	       X509_check_private_key(*ret_cert, *ret_key) == 1 &&
	       X509_cmp_current_time(X509_get0_notAfter(*ret_cert)) > 0;
}

static bool
save_ca(int dir, X509 *cert, EVP_PKEY *key)
{
	FILE *f;
	bool ok;

	(void)unlinkat(dir, "ca.key", 0);
	f = open_in(dir, "ca.key", O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (f == NULL)
		return false;
	ok = PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (fclose(f) != 0 || !ok)
		return false;
	(void)unlinkat(dir, "ca.pem", 0);
	f = open_in(dir, "ca.pem", O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (f == NULL)
		return false;
	ok = PEM_write_X509(f, cert) == 1;
	return fclose(f) == 0 && ok;
}

static SSL_CTX *
make_context(X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1) {
		(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *
ca_server_context(int dir, const char *host, const char **ret_why)
{
	EVP_PKEY *ca_key = NULL, *key = EVP_EC_gen("P-256");
	X509 *ca = NULL, *cert = NULL;
	SSL_CTX *ctx = NULL;
	bool have = load_ca(dir, &ca, &ca_key);

	*ret_why = "cannot make the test CA";
	if (!have) {
		X509_free(ca);
		EVP_PKEY_free(ca_key);
		ca_key = EVP_EC_gen("P-256");
		ca = ca_key == NULL ? NULL : make_ca(ca_key);
		have = ca != NULL;
		if (have && !save_ca(dir, ca, ca_key)) {
			*ret_why = "cannot write ca.pem and ca.key";
			have = false;
		}
	}
	if (have && key != NULL) {
		*ret_why = "cannot make the servers' certificate";
		cert = make_server(key, ca, ca_key, host);
		if (cert != NULL)
			ctx = make_context(cert, key);
	}
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return ctx;
}

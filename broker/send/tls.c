/*
 * tls.c: see tls.h. OpenSSL says what is wrong with a certificate in its verify callback, while the
 * certificate is at hand; that is where the words for people are made.
 */
#include "broker/send/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/codec.h"

enum { NAMES_SHOWN = 4, RECORD_ALERT = 0x15, RECORD_HANDSHAKE = 0x16 };

/* ---- trust ---- */

static int
trust_pem(SSL_CTX *context, const struct buf *ca)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	BIO *bio = BIO_new_mem_buf(ca->data, (int)ca->len);
	X509 *certificate;
	int count = 0;

	if (bio == NULL)
		return -ENOMEM;
	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, certificate) == 1)
			count++;
		X509_free(certificate);
	}
	ERR_clear_error(); /* the end of the file is an error to PEM_read_bio */
	BIO_free(bio);
	return count > 0 ? 0 : -EBADMSG;
}

SSL_CTX *
tls_context_new(const struct buf *ca, char *why, size_t why_size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int r = 0;

	(void)snprintf(why, why_size, "TLS cannot be set up: out of memory.");
	if (context == NULL)
		return NULL;
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(context);
		return NULL;
	}
	(void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					    SSL_MODE_RELEASE_BUFFERS);
	if (ca->len > 0)
		r = trust_pem(context, ca);
	else if (SSL_CTX_set_default_verify_paths(context) != 1)
		r = -ENOMEM;
	if (r < 0) {
		if (r == -EBADMSG)
			(void)snprintf(
			    why, why_size, "The account's ca-file holds no certificate.");
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

/* ---- what is wrong with a certificate ---- */

static void
put_text(struct buf *out, const unsigned char *text, int len)
{
	(void)text_escape(out, text, len > 0 ? (size_t)len : 0, false);
}

/* The names that a certificate is for: "mail.example.net, *.example.net". */
static void
put_names(struct buf *out, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int shown = 0, count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);

	for (int i = 0; i < count && shown < NAMES_SHOWN; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		(void)buf_append_str(out, shown++ > 0 ? ", " : "");
		put_text(out, ASN1_STRING_get0_data(name->d.dNSName),
		    ASN1_STRING_length(name->d.dNSName));
	}
	if (shown == 0)
		(void)buf_append_str(out, "no host name");
	else if (shown < count)
		(void)buf_append_str(out, ", ...");
	GENERAL_NAMES_free(names);
}

static void
put_time(struct buf *out, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		(void)buf_printf(
		    out, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	else
		(void)buf_append_str(out, "an unknown day");
}

static void
put_subject(struct buf *out, const X509_NAME *name)
{
	char line[256] = "";

	(void)X509_NAME_oneline(name, line, sizeof(line));
	(void)text_escape(out, line, strlen(line), false);
}

static enum smtp_fault
describe_verdict(int error, X509 *certificate, const char *host, struct buf *out)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		(void)buf_append_str(out, "The server's certificate expired on ");
		put_time(out, X509_get0_notAfter(certificate));
		return SMTP_FAULT_CERT_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		(void)buf_append_str(out, "The server's certificate is valid only from ");
		put_time(out, X509_get0_notBefore(certificate));
		return SMTP_FAULT_CERT_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		(void)buf_printf(out, "The server's certificate is not for %s but for ", host);
		put_names(out, certificate);
		return SMTP_FAULT_CERT_NAME;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		(void)buf_append_str(
		    out, "The server's certificate is signed by itself, and not trusted: ");
		put_subject(out, X509_get_subject_name(certificate));
		return SMTP_FAULT_CERT_UNTRUSTED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		(void)buf_append_str(
		    out, "The server's certificate comes from an issuer that is not trusted: ");
		put_subject(out, X509_get_issuer_name(certificate));
		return SMTP_FAULT_CERT_UNTRUSTED;
	default:
		(void)buf_printf(out, "The server's certificate is refused: %s",
		    X509_verify_cert_error_string(error));
		return SMTP_FAULT_CERT_UNTRUSTED;
	}
}

static int
on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_trouble *trouble = ssl == NULL ? NULL : SSL_get_app_data(ssl);
	CLEANUP_BUF struct buf words = BUF_INIT(2048);
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);

	if (ok == 1 || trouble == NULL || trouble->fault != SMTP_FAULT_NONE || certificate == NULL)
		return ok;
	trouble->fault =
	    describe_verdict(X509_STORE_CTX_get_error(store), certificate, trouble->host, &words);
	(void)snprintf(trouble->words, sizeof(trouble->words), "%s.", buf_str(&words));
	return ok;
}

/* ---- the handshake ---- */

static bool
is_address(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1;
}

/* The name goes to the certificate check and into the hello (RFC 6066 section 3: names only, no
 * addresses). */
static bool
set_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *
tls_new(SSL_CTX *context, int fd, const char *host, struct tls_trouble *trouble)
{
	SSL *ssl = SSL_new(context);

	if (ssl == NULL)
		return NULL;
	*trouble = (struct tls_trouble){.host = host};
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_connect_state(ssl);
	if (SSL_set_app_data(ssl, trouble) != 1 || !set_host(ssl, host) ||
	    SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static void
describe_failure(int error, int saved_errno, struct tls_trouble *trouble)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	const char *text = ERR_reason_error_string(code);

	if (trouble->fault != SMTP_FAULT_NONE)
		return;
	trouble->fault = SMTP_FAULT_TLS;
	if (error == SSL_ERROR_SSL &&
	    (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)) {
		trouble->fault = SMTP_FAULT_TLS_PLAINTEXT;
		(void)snprintf(trouble->words, sizeof(trouble->words),
		    "The server does not speak TLS at once on this port.");
	} else if (error == SSL_ERROR_SSL && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING &&
		   text != NULL) {
		(void)snprintf(
		    trouble->words, sizeof(trouble->words), "The TLS handshake failed: %s.", text);
	} else if (error == SSL_ERROR_SYSCALL && saved_errno != 0) {
		(void)snprintf(trouble->words, sizeof(trouble->words),
		    "The connection broke in the TLS handshake: %s.", strerror(saved_errno));
	} else {
		(void)snprintf(trouble->words, sizeof(trouble->words),
		    "The server closed the connection in the TLS handshake.");
	}
}

int
tls_handshake(SSL *ssl, struct tls_trouble *trouble, bool *ret_write)
{
	int r, error, saved_errno;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(ssl);
	if (r == 1)
		return 1;
	saved_errno = errno;
	error = SSL_get_error(ssl, r);
	*ret_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	describe_failure(error, saved_errno, trouble);
	ERR_clear_error();
	return -1;
}

static size_t
line_length(const unsigned char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] != '\r' && text[n] != '\n')
		n++;
	return n;
}

int
tls_peek(int fd, char *banner, size_t size)
{
	CLEANUP_BUF struct buf shown = BUF_INIT(1024);
	unsigned char first[128];
	ssize_t n = recv(fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

	banner[0] = '\0';
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	if (n == 0)
		return -EPIPE;
	if (first[0] == RECORD_HANDSHAKE || first[0] == RECORD_ALERT)
		return 1;
	put_text(&shown, first, (int)line_length(first, (size_t)n));
	(void)snprintf(banner, size, "%s", buf_str(&shown));
	return 0;
}

void
tls_describe(const SSL *ssl, char *to, size_t size)
{
	(void)snprintf(to, size, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}

/* ---- channel binding ---- */

/* The hash of the server's certificate by the hash of its signature, SHA-256 instead of MD5 and
 * SHA-1; a signature without a hash of its own (Ed25519) has none (RFC 5929 section 4.1). */
static bool
bind_to_certificate(SSL *ssl, struct scram_binding *ret)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int hash = NID_undef;
	unsigned len = 0;
	const EVP_MD *md;

	if (certificate == NULL ||
	    X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
		return false;
	md = hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
	if (md == NULL || EVP_MD_get_size(md) > SCRAM_BINDING_MAX ||
	    X509_digest(certificate, md, ret->data, &len) != 1)
		return false;
	ret->type = "tls-server-end-point";
	ret->len = len;
	return true;
}

bool
tls_binding(SSL *ssl, struct scram_binding *ret)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	static const unsigned char context[1];
	bool bound;

	*ret = (struct scram_binding){0};
	if (SSL_version(ssl) < TLS1_3_VERSION) {
		bound = bind_to_certificate(ssl, ret);
	} else {
		ret->type = "tls-exporter";
		ret->len = 32;
		bound = SSL_export_keying_material(
			    ssl, ret->data, ret->len, label, sizeof(label) - 1, context, 0, 1) == 1;
	}
	ERR_clear_error();
	return bound;
}

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tls.c: see tls.h. OpenSSL's verify callback is the only place that has both the error and the certificate, so the
 * sentence for people is made there.
 *
 * A session is resumed without its certificate being looked at again, so tickets are kept for an
 * hour only, by host, and no longer than the account's settings: the context goes with them. A ticket of TLS 1.3 is used
 * once (RFC 8446 appendix C.4), except the last one: using it again lets an observer link two connections of one
 * client, which the client's address tells anyway.
 */
#include "broker/send/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/codec.h"

enum {
	NAMES_SHOWN = 4,
	RECORD_ALERT = 0x15,
	RECORD_HANDSHAKE = 0x16,
	SESSIONS_KEPT = 8,
	SESSION_MS = 3600 * 1000,
};

struct kept_session {
	SSL_SESSION *session;
	char *host;
	uint64_t since; /* by clock_boottime_ms */
};

struct tls_context {
	SSL_CTX *ssl;
	bool by_pin; /* the pinned key alone decides */
	uint8_t pins[TLS_PINS_MAX][TLS_PIN];
	size_t pin_count;
	struct kept_session sessions[SESSIONS_KEPT]; /* newest last */
	size_t session_count;
};

/* ---- trust ---- */

/* What is locked by a passphrase counts as absent: nobody is there to be asked, and libcrypto's own
 * callback would ask at the terminal. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	return 0;
}

static int
trust_pem(SSL_CTX *context, const struct buf *ca)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	BIO *bio = BIO_new_mem_buf(ca->data, (int)ca->len);
	X509 *certificate;
	int count = 0;

	if (bio == NULL)
		return -ENOMEM;
	while ((certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, certificate) == 1)
			count++;
		X509_free(certificate);
	}
	ERR_clear_error(); /* the end of the file is an error to PEM_read_bio */
	BIO_free(bio);
	return count > 0 ? 0 : -EBADMSG;
}

/* ---- what an account says ---- */

static bool
buf_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool
tls_rules_same(const struct tls_rules *a, const struct tls_rules *b)
{
	return buf_same(&a->ca, &b->ca) && buf_same(&a->certificate, &b->certificate) &&
	       buf_same(&a->key, &b->key) && a->pin_count == b->pin_count &&
	       memcmp(a->pins, b->pins, sizeof(a->pins)) == 0;
}

void
tls_rules_clear(struct tls_rules *r)
{
	buf_free(&r->ca);
	buf_free(&r->certificate);
	buf_free(&r->key);
	r->pin_count = 0;
}

bool
tls_rules_pin(struct tls_rules *r, const char *text)
{
	CLEANUP_BUF struct buf pin = BUF_INIT(TLS_PIN);

	if (r->pin_count == TLS_PINS_MAX || strncmp(text, "sha256/", 7) != 0 ||
	    base64_decode(&pin, text + 7, strlen(text + 7)) < 0 || pin.len != TLS_PIN)
		return false;
	memcpy(r->pins[r->pin_count++], pin.data, TLS_PIN);
	return true;
}

/* ---- the context ---- */

static const char *
use_client_certificate(SSL_CTX *ssl, const struct tls_rules *rules)
{
	const struct buf *key_pem = rules->key.len > 0 ? &rules->key : &rules->certificate;
	BIO *chain = BIO_new_mem_buf(rules->certificate.data, (int)rules->certificate.len);
	BIO *key_bio = BIO_new_mem_buf(key_pem->data, (int)key_pem->len);
	X509 *own = chain == NULL ? NULL : PEM_read_bio_X509(chain, NULL, no_passphrase, NULL),
	     *more;
	EVP_PKEY *key =
	    key_bio == NULL ? NULL : PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL);
	const char *why = NULL;

	if (own == NULL)
		why = "The account's tls-certificate holds no certificate.";
	else if (key == NULL)
		why = "The account's tls-key holds no private key, or one locked by a passphrase.";
	else if (SSL_CTX_use_certificate(ssl, own) != 1 || SSL_CTX_use_PrivateKey(ssl, key) != 1 ||
		 SSL_CTX_check_private_key(ssl) != 1)
		why = "The account's tls-key is not the key of its tls-certificate.";
	while (why == NULL && (more = PEM_read_bio_X509(chain, NULL, no_passphrase, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ssl, more) != 1)
			X509_free(more);
	ERR_clear_error();
	X509_free(own);
	EVP_PKEY_free(key);
	BIO_free(chain);
	BIO_free(key_bio);
	return why;
}

/* NULL, or why the account cannot use TLS. */
static const char *
apply_rules(struct tls_context *t, const struct tls_rules *rules)
{
	const char *no_memory = "TLS cannot be set up: out of memory.";

	if (SSL_CTX_set_min_proto_version(t->ssl, TLS1_2_VERSION) != 1)
		return no_memory;
	if (rules->ca.len > 0) {
		int r = trust_pem(t->ssl, &rules->ca);

		if (r < 0)
			return r == -EBADMSG ? "The account's ca-file holds no certificate."
					     : no_memory;
	} else if (SSL_CTX_set_default_verify_paths(t->ssl) != 1) {
		return no_memory;
	}
	return rules->certificate.len == 0 ? NULL : use_client_certificate(t->ssl, rules);
}

static struct tls_context *
context_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static void
forget_session(struct tls_context *t, size_t i)
{
	SSL_SESSION_free(t->sessions[i].session);
	free(t->sessions[i].host);
	t->session_count--;
	memmove(
	    &t->sessions[i], &t->sessions[i + 1], (t->session_count - i) * sizeof(t->sessions[0]));
}

/* The server gave a session: 1, it is kept. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_trouble *trouble = SSL_get_app_data(ssl);
	struct tls_context *t = context_of(ssl);
	char *host;

	if (trouble == NULL || trouble->looking || SSL_SESSION_is_resumable(session) != 1)
		return 0;
	host = strdup(trouble->server);
	if (host == NULL)
		return 0;
	if (t->session_count == SESSIONS_KEPT)
		forget_session(t, 0);
	t->sessions[t->session_count++] = (struct kept_session){session, host, clock_boottime_ms()};
	return 1;
}

/* Offers the newest session that this host gave. */
static void
offer_session(struct tls_context *t, SSL *ssl, const char *host)
{
	for (size_t i = t->session_count; i-- > 0;) {
		SSL_SESSION *s = t->sessions[i].session, *copy;

		if (t->sessions[i].since + SESSION_MS < clock_boottime_ms()) {
			forget_session(t, i);
			continue;
		}
		if (strcmp(t->sessions[i].host, host) != 0)
			continue;
		/* A copy: a connection that breaks spoils what it was given. */
		copy = SSL_SESSION_dup(s);
		if (copy != NULL)
			(void)SSL_set_session(ssl, copy);
		SSL_SESSION_free(copy);
		if (SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION && t->session_count > 1)
			forget_session(t, i);
		return;
	}
}

struct tls_context *
tls_context_free(struct tls_context *t)
{
	if (t == NULL)
		return NULL;
	while (t->session_count > 0)
		forget_session(t, t->session_count - 1);
	SSL_CTX_free(t->ssl);
	free(t);
	return NULL;
}

struct tls_context *
tls_context_new(const struct tls_rules *rules, char *why, size_t why_size)
{
	struct tls_context *t = calloc(1, sizeof(*t));
	const char *words = "TLS cannot be set up: out of memory.";

	if (t != NULL)
		t->ssl = SSL_CTX_new(TLS_client_method());
	if (t != NULL && t->ssl != NULL)
		words = apply_rules(t, rules);
	if (words != NULL) {
		(void)snprintf(why, why_size, "%s", words);
		return tls_context_free(t);
	}
	memcpy(t->pins, rules->pins, sizeof(t->pins));
	t->pin_count = rules->pin_count;
	t->by_pin = t->pin_count > 0 && rules->ca.len == 0;
	(void)SSL_CTX_set_app_data(t->ssl, t);
	(void)SSL_CTX_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					   SSL_MODE_RELEASE_BUFFERS);
	/* A server has no reason to, and the transcript would not show it. */
	(void)SSL_CTX_set_options(t->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_session_cache_mode(
	    t->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ssl, on_session);
	return t;
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
	if (context_of(ssl)->by_pin)
		return 1;
	trouble->fault =
	    describe_verdict(X509_STORE_CTX_get_error(store), certificate, trouble->host, &words);
	(void)snprintf(trouble->words, sizeof(trouble->words), "%s.", buf_str(&words));
	return ok;
}

/* ---- the handshake ---- */

static bool
lies_in(const char *host, const char *domain)
{
	size_t host_len = strlen(host), domain_len = strlen(domain);

	if (host_len < domain_len || strcasecmp(host + host_len - domain_len, domain) != 0)
		return false;
	return host_len == domain_len || host[host_len - domain_len - 1] == '.';
}

struct tls_names
tls_names_of(const char *host, const char *domain, const char *tls_name)
{
	struct tls_names names = {.host = host, .count = 1};

	names.accepted[0] = tls_name != NULL ? tls_name : domain != NULL ? domain : host;
	if (tls_name == NULL && domain != NULL && lies_in(host, domain))
		names.accepted[names.count++] = host;
	return names;
}

static bool
is_address(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1;
}

/* The names go to the certificate check, the host into the hello (RFC 6066 section 3: names only, no
 * addresses). */
static bool
set_names(SSL *ssl, const struct tls_names *names)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->accepted[i];

		if (is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1
				     : SSL_add1_host(ssl, name) != 1)
			return false;
	}
	return is_address(names->host) || SSL_set_tlsext_host_name(ssl, names->host) == 1;
}

SSL *
tls_new(
    struct tls_context *context, int fd, const struct tls_names *names, struct tls_trouble *trouble)
{
	SSL *ssl = SSL_new(context->ssl);

	if (ssl == NULL)
		return NULL;
	*trouble = (struct tls_trouble){.host = names->accepted[0], .server = names->host};
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_connect_state(ssl);
	if (SSL_set_app_data(ssl, trouble) != 1 || !set_names(ssl, names) ||
	    SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	offer_session(context, ssl, names->host);
	return ssl;
}

/* Is the server's key one of the account's pins, where it has any? */
static bool
is_pinned(SSL *ssl, struct tls_trouble *trouble)
{
	const struct tls_context *t = context_of(ssl);
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	CLEANUP_BUF struct buf shown = BUF_INIT(64);
	unsigned char *spki = NULL, hash[TLS_PIN] = {0};
	int len;

	if (t->pin_count == 0)
		return true;
	len = certificate == NULL ? -1 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
	if (len > 0)
		(void)EVP_Digest(spki, (size_t)len, hash, NULL, EVP_sha256(), NULL);
	OPENSSL_free(spki);
	for (size_t i = 0; len > 0 && i < t->pin_count; i++)
		if (memcmp(hash, t->pins[i], TLS_PIN) == 0)
			return true;
	(void)base64_encode(&shown, hash, sizeof(hash));
	trouble->fault = SMTP_FAULT_CERT_UNTRUSTED;
	(void)snprintf(trouble->words, sizeof(trouble->words),
	    "The server's key is not the one of tls-pin: it is sha256/%s.", buf_str(&shown));
	return false;
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
		return is_pinned(ssl, trouble) ? 1 : -1;
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

/* ---- looking ---- */

static int
on_verify_looking(int ok, X509_STORE_CTX *store)
{
	(void)on_verify(ok, store);
	return 1;
}

void
tls_observe(SSL *ssl, struct tls_trouble *trouble)
{
	trouble->looking = true;
	(void)SSL_set_session(ssl, NULL);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify_looking);
}

static void
put_name(struct buf *out, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		put_text(out, (const unsigned char *)text, len < 200 ? (int)len : 200);
	}
	BIO_free(bio);
}

void
tls_chain(SSL *ssl, struct buf *out)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	if (out->len > 0)
		return;
	for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);

		put_name(out, X509_get_subject_name(certificate));
		(void)buf_append_str(out, ", valid ");
		put_time(out, X509_get0_notBefore(certificate));
		(void)buf_append_str(out, " to ");
		put_time(out, X509_get0_notAfter(certificate));
		(void)buf_append_str(out, ", issued by ");
		put_name(out, X509_get_issuer_name(certificate));
		(void)buf_append_str(out, "\n");
		if (i == 0) {
			(void)buf_append_str(out, "for ");
			put_names(out, certificate);
			(void)buf_append_str(out, "\n");
		}
	}
	ERR_clear_error();
}

void
tls_describe(const SSL *ssl, char *to, size_t size)
{
	(void)snprintf(to, size, "%s %s%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
	    SSL_session_reused(ssl) == 1 ? ", resumed" : "");
}

/* ---- channel binding ---- */

/* The hash of the server's certificate by the hash of its signature, SHA-256 instead of MD5 and
 * SHA-1; a signature without a hash of its own (Ed25519) has none (RFC 5929 section 4.1). Of a
 * session that was resumed the certificate is known from before, and the server may have another by
 * now. */
static bool
bind_to_certificate(SSL *ssl, struct scram_binding *ret)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int hash = NID_undef;
	unsigned len = 0;
	const EVP_MD *md;

	if (certificate == NULL || SSL_session_reused(ssl) == 1 ||
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

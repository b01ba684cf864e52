/*
 * tls.h: TLS to a submission server: who is trusted, and what went wrong in the words of the field.
 *
 * TLS 1.2 at least; the chain must end at a certificate of the system or of the account's own CA
 * file, and the name must be the configured one (RFC 8314 section 5, RFC 6125). There is no way to
 * go on without.
 */
#ifndef FRANK_BROKER_SEND_TLS_H
#define FRANK_BROKER_SEND_TLS_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/smtp/scram.h"
#include "base/smtp/smtp.h"

/* Trusts the certificates of `ca` (PEM), or the system's where it is empty. NULL with a sentence in
 * `why`. */
SSL_CTX *tls_context_new(const struct buf *ca, char *why, size_t why_size);

/* What the handshake found. */
struct tls_trouble {
	const char *host; /* asked for; borrowed */
	enum smtp_fault fault;
	char words[512];
};

/*
 * A client's TLS over the connected, non-blocking `fd` (which stays the caller's). `host` is the
 * name, or the address, that the certificate must be for. `trouble` is borrowed while the SSL
 * lives. NULL: no memory.
 */
SSL *tls_new(SSL_CTX *context, int fd, const char *host, struct tls_trouble *trouble);

/* Goes on with the handshake: 1 done, 0 with *ret_write (wait for the socket to be writable, else
 * readable), -1 failed and `trouble` says how. */
int tls_handshake(SSL *ssl, struct tls_trouble *trouble, bool *ret_write);

/* Do the first octets that wait at `fd` belong to TLS? 1 yes, 0 no (up to `size` of them, as text,
 * are in `banner`), -EAGAIN where nothing waits, -EPIPE at the end. */
int tls_peek(int fd, char *banner, size_t size);

/*
 * What a login can be tied to on this connection (behind the handshake): tls-exporter with TLS 1.3
 * (RFC 9266 section 2), else tls-server-end-point (RFC 5929 section 4). False: nothing.
 */
bool tls_binding(SSL *ssl, struct scram_binding *ret);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384". */
void tls_describe(const SSL *ssl, char *to, size_t size);

#endif

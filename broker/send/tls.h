/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tls.h: TLS to a submission server: who is trusted, and what went wrong in the words of the field.
 *
 * TLS 1.2 at least; the chain must end at a certificate of the system or of the account's own CA
 * file, and the name must be the configured one (RFC 8314 section 5, RFC 6125). There is no way to
 * go on without that. An account that pins the server's key trusts that key, whoever signed its
 * certificate, whatever names and days stand in it (as DANE-EE does, RFC 7671 section 5.1); with a CA
 * file beside the pin both must hold.
 */
#ifndef FRANK_BROKER_SEND_TLS_H
#define FRANK_BROKER_SEND_TLS_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/smtp/scram.h"
#include "base/smtp/smtp.h"

enum { TLS_PIN = 32, TLS_PINS_MAX = 8, TLS_NAMES_MAX = 2 };

/* What an account says of TLS. */
struct tls_rules {
	struct buf ca;                       /* PEM of its own CA file; empty: the system's */
	uint8_t pins[TLS_PINS_MAX][TLS_PIN]; /* SHA-256 of a SubjectPublicKeyInfo; any of them */
	size_t pin_count;
	struct buf certificate, key; /* PEM of the client's own, or empty; `key` wipes */
};

bool tls_rules_same(const struct tls_rules *a, const struct tls_rules *b);
void tls_rules_clear(struct tls_rules *r);
/* "sha256/BASE64" as curl and HPKP (RFC 7469) write it. False for anything else, or one too many. */
bool tls_rules_pin(struct tls_rules *r, const char *text);

/* What the sessions of an account share: who is trusted, and tickets to resume with. */
struct tls_context;

/* `rules` are not needed behind the call, but for the pins: these are copied. NULL with a sentence
 * in `why`. */
struct tls_context *tls_context_new(const struct tls_rules *rules, char *why, size_t why_size);
/* No connection of it may be left. Takes NULL; returns NULL. */
struct tls_context *tls_context_free(struct tls_context *t);

/* Whom to talk to, and under which names the server may answer for it. */
struct tls_names {
	const char *host; /* of the server, for its hello; name or address; borrowed */
	const char *accepted[TLS_NAMES_MAX]; /* of the certificate: any of them; borrowed */
	size_t count;
};

/*
 * The names that the certificate of `host` may bear: `tls_name` where there is one; else the configured name, which is `domain`
 * where DNS named the host for it. DNS is not to be trusted with whom the password is for, so such a server must have a
 * certificate for the domain itself (RFC 6186 section 6); one for its own name is enough only where that lies in the
 * domain. `domain` and `tls_name` may be NULL. Borrows all.
 */
struct tls_names tls_names_of(const char *host, const char *domain, const char *tls_name);

/* What the handshake found. */
struct tls_trouble {
	const char *host, *server; /* the name asked for; whose session it is; borrowed */
	bool looking;              /* tls_observe */
	enum smtp_fault fault;
	char words[512];
};

/*
 * A client's TLS over the connected, non-blocking `fd` (which stays the caller's). `trouble` is
 * borrowed while the SSL lives. A session that the same host gave before is offered again. NULL: no
 * memory.
 */
SSL *tls_new(struct tls_context *context, int fd, const struct tls_names *names,
    struct tls_trouble *trouble);

/* Goes on with the handshake: 1 done, and the server is who it should be; 0 with *ret_write (wait
 * for the socket to be writable, else readable); -1 failed and `trouble` says how. */
int tls_handshake(SSL *ssl, struct tls_trouble *trouble, bool *ret_write);

/* Do the first octets that wait at `fd` belong to TLS? 1 yes, 0 no (up to `size` of them, as text,
 * are in `banner`), -EAGAIN where nothing waits, -EPIPE at the end. */
int tls_peek(int fd, char *banner, size_t size);

/*
 * What a login can be tied to on this connection (behind the handshake): tls-exporter with TLS 1.3
 * (RFC 9266 section 2), else tls-server-end-point (RFC 5929 section 4). False: nothing.
 */
bool tls_binding(SSL *ssl, struct scram_binding *ret);

/* For a connection that only looks: goes on where the certificate is not accepted; `trouble` says why
 * it was not. No session of it is resumed or kept, for that would carry its certificate past the
 * check. Before the handshake. */
void tls_observe(SSL *ssl, struct tls_trouble *trouble);

/* The certificates that the server sent, from its own up, a line each: "CN=mail.example.com, valid 2026-01-02 to 2027-01-02, issued by
 * CN=Example CA". Nothing before they have come. */
void tls_chain(SSL *ssl, struct buf *out);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", "..., resumed". */
void tls_describe(const SSL *ssl, char *to, size_t size);

#endif

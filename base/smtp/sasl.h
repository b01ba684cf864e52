/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sasl.h: the octets of the SASL mechanisms that Frank speaks, as client.
 *
 * XOAUTH2 (Google's and Microsoft's pages), OAUTHBEARER (RFC 7628), PLAIN (RFC 4616), LOGIN (no
 * RFC). The functions make raw octets; base64 and framing (RFC 4954) belong to the engines. The two
 * of SCRAM answer what the server says, so they are an exchange of their own: scram.h.
 */
#ifndef FRANK_BASE_SMTP_SASL_H
#define FRANK_BASE_SMTP_SASL_H

#include "base/buf.h"
#include "base/secret.h"

enum sasl_mechanism {
	SASL_NONE = 0,
	SASL_XOAUTH2 = 1 << 0,
	SASL_OAUTHBEARER = 1 << 1,
	SASL_PLAIN = 1 << 2,
	SASL_LOGIN = 1 << 3,
	SASL_SCRAM_SHA_256 = 1 << 4,
	SASL_SCRAM_SHA_256_PLUS = 1 << 5,
};

enum {
	SASL_TOKEN_MECHANISMS = SASL_XOAUTH2 | SASL_OAUTHBEARER,
	SASL_SCRAM_MECHANISMS = SASL_SCRAM_SHA_256 | SASL_SCRAM_SHA_256_PLUS,
	SASL_PASSWORD_MECHANISMS = SASL_PLAIN | SASL_LOGIN | SASL_SCRAM_MECHANISMS,
};

/* "XOAUTH2" and so on; "" for SASL_NONE; never NULL. */
const char *sasl_mechanism_name(enum sasl_mechanism m);
/* The reverse, without regard to ASCII case; SASL_NONE for a name that is not ours. */
enum sasl_mechanism sasl_mechanism_by_name(const char *name, size_t len);

/* How many responses of ours the mechanism has: 2 for LOGIN (user, then password, by position and
 * whatever the prompts say), 1 for the others but SCRAM. */
unsigned sasl_response_count(enum sasl_mechanism m);

/* May the first response stand on the AUTH line (RFC 4954 section 4)? Not for LOGIN, whose server
 * speaks first. */
bool sasl_has_initial_response(enum sasl_mechanism m);

/*
 * Appends response number `step` (from 0) to `out`, a buffer made with BUF_INIT_WIPE. `host` and
 * `port` are those connected to (OAUTHBEARER alone uses them; NULL and 0 leave them out).
 *
 * Returns 0; -EINVAL where the user or the secret is empty or holds an octet that the mechanism
 * cannot carry (XOAUTH2, OAUTHBEARER: control characters, in a token also a space; PLAIN, LOGIN:
 * NUL), for a step that the mechanism has not, or for SCRAM; -ENOMEM; -ENOBUFS.
 */
int sasl_response(enum sasl_mechanism m, unsigned step, const char *user,
    const struct secret *secret, const char *host, unsigned port, struct buf *out);

/* What answers a server's error challenge, so that its final reply follows: the empty string for
 * XOAUTH2, one octet 0x01 for OAUTHBEARER (RFC 7628 section 3.2.3), NULL for a mechanism that has
 * none. */
const char *sasl_error_answer(enum sasl_mechanism m);

#endif

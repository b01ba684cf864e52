/*
 * sasl.h: the octets of the SASL mechanisms that Frank speaks, as client.
 *
 * XOAUTH2 (Google's and Microsoft's pages), OAUTHBEARER (RFC 7628), PLAIN (RFC 4616), LOGIN (no RFC).
 * The functions make raw octets; base64 and framing (RFC 4954) belong to the engines.
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
};

enum { SASL_TOKEN_MECHANISMS = SASL_XOAUTH2 | SASL_OAUTHBEARER, SASL_PASSWORD_MECHANISMS = SASL_PLAIN | SASL_LOGIN };

const char *sasl_mechanism_name(enum sasl_mechanism m);
enum sasl_mechanism sasl_mechanism_by_name(const char *name, size_t len);

/*
 * Appends the initial (for LOGIN: first) response to `out`, a buffer made with BUF_WIPE. Returns 0, -EINVAL where the user or the
 * secret holds an octet that the mechanism cannot carry, -ENOMEM, -ENOBUFS. `host` and `port` are those connected to
 * (OAUTHBEARER only).
 */
int sasl_response(enum sasl_mechanism m, const char *user, const struct secret *secret, const char *host, unsigned port, struct buf *out);

#endif

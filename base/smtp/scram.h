/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * scram.h: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as client (RFC 5802, RFC 7677), bytes in and bytes out.
 *
 * The password never crosses the wire: both sides prove that they know it. -PLUS also binds the
 * proof to the TLS connection (RFC 9266, RFC 5929), so that whoever sits in the middle with a
 * certificate of its own gets nothing to pass on. Hashes and random octets come from the owner:
 * this room links no cryptography.
 *
 * What the server says is trusted with nothing: a nonce that does not begin with ours, a count of
 * iterations out of bounds, an extension that is mandatory, a wrong signature end the exchange.
 */
#ifndef FRANK_BASE_SMTP_SCRAM_H
#define FRANK_BASE_SMTP_SCRAM_H

#include "base/buf.h"
#include "base/secret.h"

enum {
	SCRAM_HASH = 32, /* octets of SHA-256 */
	/* RFC 7677 section 4 has at least 4096. Fewer would let a server that only poses as ours guess the
	 * password from the proof; more than the upper bound would stop the loop for a second. */
	SCRAM_ITERATIONS_MIN = 4096,
	SCRAM_ITERATIONS_MAX = 600000,
	SCRAM_BINDING_MAX = 64,
};

/* What the owner lends: each returns false where it fails. */
struct scram_crypto {
	bool (*random)(uint8_t *to, size_t len);
	bool (*hash)(const void *data, size_t len, uint8_t to[SCRAM_HASH]);
	bool (*hmac)(const uint8_t *key, size_t key_len, const void *data, size_t len,
	    uint8_t to[SCRAM_HASH]);
	/* Hi() of RFC 5802: PBKDF2 with HMAC-SHA-256. */
	bool (*stretch)(const uint8_t *password, size_t password_len, const uint8_t *salt,
	    size_t salt_len, unsigned iterations, uint8_t to[SCRAM_HASH]);
};

/* What ties an exchange to its TLS connection. `type` is the name of RFC 5929 or RFC 9266, or NULL
 * for none; a constant. */
struct scram_binding {
	const char *type;
	uint8_t data[SCRAM_BINDING_MAX];
	size_t len;
};

enum scram_use {
	SCRAM_UNBOUND, /* we could not bind: "n" */
	SCRAM_OFFERED, /* we could, and the server does not offer -PLUS: "y". One that does offers it to
			  somebody in between who took it away, and refuses. */
	SCRAM_BOUND, /* -PLUS: "p" */
};

struct scram;

/*
 * Begins. `user` and `password` are borrowed for the call (a reference to the password is kept);
 * `binding` is copied, and looked at for SCRAM_BOUND alone. Passwords are taken as they are, without
 * SASLprep (RFC 4013): one of other than ASCII must be in form NFKC, as keyboards give it. NULL with
 * errno: EINVAL for a user or password that is empty or holds a control character, or a binding that
 * is missing; ENOMEM; EIO where the owner's functions failed.
 */
struct scram *scram_new(const struct scram_crypto *crypto, enum scram_use use,
    const struct scram_binding *binding, const char *user, struct secret *password);
/* Wipes. Takes NULL; returns NULL. */
struct scram *scram_free(struct scram *s);

/*
 * The next response for what the server said (`challenge`, decoded; for the first response there is
 * none). Appends to `out`. After the third (the empty answer to a good signature) scram_is_proven.
 * 0; -EBADMSG with *ret_why, a sentence; -EIO, -ENOMEM, -ENOBUFS.
 */
int scram_respond(
    struct scram *s, const char *challenge, size_t len, struct buf *out, const char **ret_why);

/* The server proved that it knows the password. */
bool scram_is_proven(const struct scram *s);

/* The password, for blanking it out; borrowed. */
const struct secret *scram_password(const struct scram *s);

#endif

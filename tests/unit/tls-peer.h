/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * tls-peer.h: a TLS server's side for unit tests: a key and a certificate of its own, made anew.
 */
#ifndef FRANK_TESTS_UNIT_TLS_PEER_H
#define FRANK_TESTS_UNIT_TLS_PEER_H

#include <openssl/ssl.h>

#include "base/buf.h"

struct peer {
	SSL_CTX *context;
	struct buf pem; /* its certificate, signed by itself */
	char pin[64];   /* its key, as tls-pin is written */
};

/* `name`: the DNS name that the certificate is for; `version`: of TLS, at most (TLS1_2_VERSION). */
void peer_begin(struct peer *s, const char *name, int version);
void peer_end(struct peer *s);

#endif

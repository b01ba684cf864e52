/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * certificate.h: what a listener shows its clients: a certificate with its chain, and the key.
 *
 * TLS 1.2 at least, server's side, no client certificates, no renegotiation, no tickets that would
 * outlive the key. Both come from main as PEM; nothing is read from a file here.
 */
#ifndef FRANK_BROKER_TLS_CERTIFICATE_H
#define FRANK_BROKER_TLS_CERTIFICATE_H

#include <openssl/ssl.h>

#include "base/secret.h"

/* NULL with a sentence in `why`: no PEM, no key that goes with the certificate, a key behind a
 * passphrase. */
SSL_CTX *certificate_context(
    const struct secret *chain, const struct secret *key, char *why, size_t why_size);

/* The day on which the certificate ends, "2027-02-01", in `day`, and whether that is past. */
bool certificate_expired(const SSL_CTX *context, char *day, size_t size);

/* When the certificate begins and ends, seconds since 1970. */
void certificate_times(const SSL_CTX *context, int64_t *ret_begin, int64_t *ret_end);

#endif

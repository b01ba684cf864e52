/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ca.h: a certificate authority for trials.
 *
 * Its key and certificate stay in the sandbox's folder, so that a client's `ca-file` outlives a
 * restart. The servers' certificate (localhost, 127.0.0.1, ::1) is made anew at every start and
 * never leaves memory.
 */
#ifndef FRANK_SANDBOX_CA_H
#define FRANK_SANDBOX_CA_H

#include <openssl/ssl.h>

/* Reads ca.pem and ca.key in the folder `dir`, or makes them (the key with mode 0600), and returns
 * a context for TLS servers with a certificate of this authority, for localhost and `host`, a name or an address. NULL: `*ret_why` says what
 * failed, a constant. */
SSL_CTX *ca_server_context(int dir, const char *host, const char **ret_why);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * record.h: what is kept of how a message came, as JSON: client, TLS, sign-in, envelope, conversation. No secret is in it.
 *
 *   {"client":   {"address": "127.0.0.1", "port": 41234, "hello": "client.example.test"},
 *    "server":   {"port": 2587, "personality": "standard"},
 *    "tls":      {"mode": "starttls" | "implicit", "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "name": "localhost" | null},
 *    "auth":     {"mechanism": "XOAUTH2", "account": "billing@example.test", "token": null (by password) |
 *                  {"id": "9f86d081", "grant": "authorization_code", "client": "frank", "scopes": ["mail.send"],
 *                   "issued": 1764557000, "expires": 1764560600, "age": 12, "expires_in": 3588}},
 *    "envelope": {"sender": "billing@example.test", "recipients": ["a@example.test"]},
 *    "faults":   ["greylist"],
 *    "lines":    [{"at": 0.001, "from": "server", "text": "220 localhost ESMTP frank-sandbox"}, ...]}
 *
 * A token's id is the first eight hexadecimal digits of its SHA-256: it tells tokens apart and opens nothing. Times are seconds since
 * 1970, `at` seconds since the session began.
 */
#ifndef FRANK_SANDBOX_RECORD_H
#define FRANK_SANDBOX_RECORD_H

#include <jansson.h>

#include "sandbox/conversation.h"
#include "sandbox/grant.h"

struct record_facts {
	const char *address, *hello;
	unsigned port, server_port;
	const char *personality;
	const char *tls_mode, *tls_version, *tls_cipher,
	    *tls_name; /* the name that the client asked for, or NULL */
	const char *mechanism, *account;
	const json_t *token; /* record_token; NULL: by password */
	const char *sender;
	const json_t *recipients; /* an array of strings */
	const json_t *faults;     /* likewise, or NULL */
	uint64_t now;             /* seconds since 1970 */
};

/* What is told of a token; the borrowed strings of `a` are copied. NULL: no memory. */
json_t *record_token(const struct grant_access *a);

/* The record; `lines` is taken (conversation_lines). A new reference; NULL: no memory. */
json_t *record_new(const struct record_facts *f, json_t *lines);

#endif

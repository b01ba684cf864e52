/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * form.h: the body of a token request and the header that authenticates the client (RFC 6749
 * sections 2.3.1 and 4.1.3).
 *
 * All write to buffers made with BUF_WIPE and return 0, -ENOBUFS or -ENOMEM.
 */
#ifndef FRANK_BROKER_HTTPS_FORM_H
#define FRANK_BROKER_HTTPS_FORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"

enum { FORM_MAX = 96 * 1024 };

/* Appends key=value, percent-encoded, behind a '&' where something is there already. */
int form_put(struct buf *form, const char *key, const void *value, size_t len);

/* Appends a parameter given as "key=value", split at the first '='; -EINVAL where there is none. */
int form_put_parameter(struct buf *form, const uint8_t *parameter, size_t len);

/* Is this "key=value" parameter the one of that name? */
bool form_parameter_is(const uint8_t *parameter, size_t len, const char *key);

/* Does this parameter hold a secret: a code, a verifier, a token, an assertion, a password? */
bool form_parameter_is_secret(const uint8_t *parameter, size_t len);

/*
 * Appends "Authorization: Basic ...": identifier and secret are form-encoded, joined by ':', and
 * that is base64 (RFC 6749 section 2.3.1: the encoding comes first, and many a client forgets it).
 */
int form_put_basic(struct buf *header, const char *client_id, const struct secret *secret);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * password.h: the passwords by which programs name their service on a listener.
 *
 * Made here, 160 random bits each, shown once, and kept as SHA-256 in the spool's database: nobody
 * chooses one, so there is nothing to be guessed faster. A service has one at most; a new one ends
 * the one before.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_PASSWORD_H
#define FRANK_BROKER_QUEUE_INBOUND_PASSWORD_H

#include "base/secret.h"
#include "base/sha256.h"
#include "broker/queue/spool/commit.h"

/* "abcdefgh-ijkmnpqr-...": four groups of eight out of 32 letters that are not mistaken for each
 * other. */
enum { PASSWORD_BITS = 160, PASSWORD_TEXT_LEN = 32 + 3 };

/* The text that stands for 20 octets. Pure. */
void password_text(const unsigned char bytes[PASSWORD_BITS / 8], char text[PASSWORD_TEXT_LEN + 1]);

/* A new password for the service, on disk when this returns. 0 with *ret (the caller's) and when
 * the one before was made (0: there was none) in *ret_before; negative errno: the old one stands. */
int password_make(struct commit *c, struct spool *spool, const char *service, int64_t now,
    struct secret **ret, int64_t *ret_before);

/* 0; -ENOENT: it had none; other negative errno. */
int password_revoke(struct commit *c, struct spool *spool, const char *service);

/* Is this the service's password? Takes the same time whichever octet differs. */
bool password_is(struct spool *spool, const char *service, const struct secret *given);

/* When the service's password was made; 0: it has none. */
int64_t password_time(struct spool *spool, const char *service);

/* What the service's password is told apart by from those before and after it (its time is not
 * enough: a second may see two). False: it has none. */
bool password_mark(struct spool *spool, const char *service, uint8_t ret[SHA256_LEN]);

#endif

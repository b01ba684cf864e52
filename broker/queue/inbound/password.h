/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * password.h: the passwords by which programs name their service on a listener.
 *
 * A password is 160 random bits, made here, shown once, and kept as SHA-256 in the spool's database.
 * Nobody chooses one, so a slow hash would protect nothing. A service has one password at most; a new one
 * ends the one before.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_PASSWORD_H
#define FRANK_BROKER_QUEUE_INBOUND_PASSWORD_H

#include "base/secret.h"
#include "base/sha256.h"
#include "broker/queue/spool/commit.h"

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

/* A mark that the service's password has in common with no other (its time is not enough: a second may see
 * two). False: the service has none. */
bool password_mark(struct spool *spool, const char *service, uint8_t ret[SHA256_LEN]);

#endif

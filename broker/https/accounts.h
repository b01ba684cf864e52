/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * accounts.h: what the fetch role knows of the configuration: the certificate authorities of
 * accounts that name their own.
 *
 * A configuration comes as CONF_BEGIN, CONF_ACCOUNT*, CONF_END and counts, whole, from its end on.
 */
#ifndef FRANK_BROKER_HTTPS_ACCOUNTS_H
#define FRANK_BROKER_HTTPS_ACCOUNTS_H

#include "base/buf.h"

enum { ACCOUNTS_CA_MAX = 1024 * 1024 };

struct accounts;

/* NULL when memory is out. */
struct accounts *accounts_new(void);
/* Takes NULL; returns NULL. */
struct accounts *accounts_free(struct accounts *a);

/* Forgets what a configuration that never ended had brought. */
void accounts_begin(struct accounts *a);
/* Reads the account's CA file from the start of `ca_fd` (borrowed). 0 or negative errno; on error
 * the account is known to be broken once the configuration counts, and is not asked with other
 * certificates instead. */
int accounts_add(struct accounts *a, const char *name, int ca_fd);
void accounts_end(struct accounts *a);

/* 0 with *ret NULL (the system's authorities) or the account's own, borrowed until accounts_end;
 * -EBADF where its file could not be read. */
int accounts_ca(const struct accounts *a, const char *name, const struct buf **ret);

#endif

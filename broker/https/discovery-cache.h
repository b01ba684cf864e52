/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * discovery-cache.h: metadata documents already read, kept for a day.
 *
 * Keyed by account and issuer, since an account may trust authorities of its own. No clock: `now`
 * is in seconds of any monotonic one.
 */
#ifndef FRANK_BROKER_HTTPS_DISCOVERY_CACHE_H
#define FRANK_BROKER_HTTPS_DISCOVERY_CACHE_H

#include <stdint.h>

#include "broker/https/discovery.h"

enum { DISCOVERY_CACHE_SECONDS = 24 * 60 * 60, DISCOVERY_CACHE_MAX = 256 };

struct discovery_cache;

struct discovery_cache *discovery_cache_new(void);
/* Takes NULL; returns NULL. */
struct discovery_cache *discovery_cache_free(struct discovery_cache *c);

/* Borrowed until the next change; NULL where there is none that is fresh. */
const struct discovery *discovery_cache_get(
    const struct discovery_cache *c, const char *account, const char *issuer, int64_t now);
/* Keeps a copy; the oldest goes where there are DISCOVERY_CACHE_MAX. Without memory nothing is
 * kept. */
void discovery_cache_put(struct discovery_cache *c, const char *account, const char *issuer,
    const struct discovery *d, int64_t now);
void discovery_cache_clear(struct discovery_cache *c);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * url.h: the addresses that Frank may ask: https anywhere, http on this machine's loopback only.
 *
 * Pure string functions; RFC 3986, but only what an endpoint of an authorization server needs.
 */
#ifndef FRANK_BROKER_HTTPS_URL_H
#define FRANK_BROKER_HTTPS_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { URL_MAX = 2048, URL_AUTHORITY_MAX = 300 };

/*
 * May a credential be sent there? NULL when it may, else a constant sentence. Refused: any scheme
 * but https, http to a host that is not localhost, 127.0.0.0/8 or [::1], user names, control
 * characters, spaces, a fragment, over-long ones.
 */
const char *url_refusal(const char *url);

/* "host" or "host:port" of an address that url_refusal let pass, for messages. Cut at the size of
 * `ret`. */
void url_authority(const char *url, char *ret, size_t size);

/* Where the path begins in `url` (its '/', '?' or the end). */
const char *url_path(const char *url);

#endif

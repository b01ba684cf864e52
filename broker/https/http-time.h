/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * http-time.h: the two header fields of HTTP that tell times (RFC 9110 sections 5.6.7, 6.6.1
 * and 10.2.3).
 */
#ifndef FRANK_BROKER_HTTPS_HTTP_TIME_H
#define FRANK_BROKER_HTTPS_HTTP_TIME_H

#include <stdint.h>

/* A server that asks for more is not believed. */
enum { HTTP_RETRY_AFTER_MAX = 24 * 60 * 60 };

/* Seconds since 1970 of a Date field in any of HTTP's three formats; -1 for NULL or for what is no
 * date. */
int64_t http_date(const char *value);

/*
 * Seconds to wait by a Retry-After field: a number, or a date, taken against the same answer's Date
 * (`server_now`, -1 unknown), so that a wrong clock on either side does no harm; else against
 * `now`. 0 for a date gone by; -1 for NULL or nonsense.
 */
int64_t http_retry_after(const char *value, int64_t server_now, int64_t now);

#endif

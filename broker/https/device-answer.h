/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device-answer.h: the answer of a device authorization endpoint (RFC 8628 section 3.2): octets in,
 * a struct out.
 *
 * Pure. Tolerant where servers differ: Google writes verification_url, expires_in and interval may be
 * strings of digits or absent (five seconds then, by the RFC). What a person is to type or open is
 * printable and short, and the addresses are https, or refused: they end on a terminal.
 */
#ifndef FRANK_BROKER_HTTPS_DEVICE_ANSWER_H
#define FRANK_BROKER_HTTPS_DEVICE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"

enum {
	DEVICE_USER_CODE_MAX = 64,
	DEVICE_LIFE_ABSENT = 900, /* seconds: what Microsoft gives */
	DEVICE_LIFE_MAX = 24 * 3600,
	DEVICE_INTERVAL_ABSENT = 5,
	DEVICE_INTERVAL_MAX = 300
};

struct device_answer {
	const char *fault; /* as in struct token_response */
	char *error, *description;
	struct secret *device_code;
	char *user_code, *verification_uri;
	char *verification_uri_complete; /* NULL: none given, or unusable */
	int64_t expires_in;              /* seconds, 1..DEVICE_LIFE_MAX */
	int64_t interval;                /* seconds, 1..DEVICE_INTERVAL_MAX */
};

/* Reads a body that came with this HTTP status. 0 with `ret` filled, which the caller clears;
 * -ENOMEM. */
int device_answer_parse(long status, const char *body, size_t len, struct device_answer *ret);
void device_answer_clear(struct device_answer *a);

#endif

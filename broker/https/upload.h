/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * upload.h: a message as the body of an HTTP request: one or two runs of octets that are read once,
 * from the first to the last, as they are or as base64.
 *
 * The content stays where it is (often a mapped file): nothing is copied but what goes out.
 */
#ifndef FRANK_BROKER_HTTPS_UPLOAD_H
#define FRANK_BROKER_HTTPS_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

struct upload {
	const char *parts[2]; /* borrowed */
	size_t lens[2];
	bool base64; /* RFC 4648 section 4, padded, in one line */
	size_t at;   /* octets of the parts that were read */
};

/* Octets still to be read, encoded. */
size_t upload_left(const struct upload *u);

/* Reads up to `room` octets, encoded; 0 only at the end, or where `room` is less than 4. */
size_t upload_read(struct upload *u, char *to, size_t room);

#endif

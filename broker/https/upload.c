/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* upload.c: see upload.h. Base64 is made of whole groups of three octets, which may lie in both parts. */
#include "broker/https/upload.h"

#include <stdint.h>
#include <string.h>

static size_t
octets_left(const struct upload *u)
{
	return u->lens[0] + u->lens[1] - u->at;
}

size_t
upload_left(const struct upload *u)
{
	size_t left = octets_left(u);

	return u->base64 ? (left + 2) / 3 * 4 : left;
}

/* Copies octets as they are; 0 at the end. */
static size_t
take(struct upload *u, void *to, size_t room)
{
	char *p = to;
	size_t taken = 0;

	while (taken < room && octets_left(u) > 0) {
		size_t first = u->at < u->lens[0] ? 0 : 1,
		       from = first == 0 ? u->at : u->at - u->lens[0];
		size_t n = u->lens[first] - from;

		if (n > room - taken)
			n = room - taken;
		memcpy(p + taken, u->parts[first] + from, n);
		taken += n;
		u->at += n;
	}
	return taken;
}

/* A group of three octets, or what is left of one. */
static void
encode_group(const uint8_t *in, size_t len, char *out)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)(len > 1 ? in[1] : 0) << 8 |
			 (uint32_t)(len > 2 ? in[2] : 0);

	out[0] = letters[group >> 18 & 63];
	out[1] = letters[group >> 12 & 63];
	out[2] = len > 1 ? letters[group >> 6 & 63] : '=';
	out[3] = len > 2 ? letters[group & 63] : '=';
}

size_t
upload_read(struct upload *u, char *to, size_t room)
{
	size_t made = 0;

	if (!u->base64)
		return take(u, to, room);
	while (room - made >= 4) {
		uint8_t group[3];
		size_t n = take(u, group, sizeof(group));

		if (n == 0)
			break;
		encode_group(group, n, to + made);
		made += 4;
	}
	return made;
}

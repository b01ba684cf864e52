/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: standard input in pieces of any size. The first octet chooses the dots, the next two
 * the sizes; the content must not depend on how it was cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* with its inside: what becomes of octets as they come */
#include "shim/input.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
feed(struct input *in, const uint8_t *bytes, size_t len, size_t piece)
{
	while (len > 0 && !in->eof) {
		size_t n = piece < len ? piece : len;

		memcpy(in->data + in->len + in->held, bytes, n);
		take(in, n);
		bytes += n;
		len -= n;
	}
	if (!in->eof) {
		in->eof = true;
		take(in, 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char room[2][INPUT_CHUNK];
	struct recipients r = RECIPIENTS_INIT;
	const char *field = NULL;
	struct input in[2];

	if (size < 3 || size > INPUT_CHUNK)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		input_init(&in[i], -1, room[i], (data[0] & 1) != 0);
		feed(&in[i], data + 3, size - 3, data[i + 1] + 1U);
	}
	if (in[0].len != in[1].len || memcmp(room[0], room[1], in[0].len) != 0 ||
	    in[0].held + in[1].held != 0)
		abort();
	(void)recipients_add_header(&r, in[0].data, in[0].len, &field);
	recipients_free(&r);
	return 0;
}

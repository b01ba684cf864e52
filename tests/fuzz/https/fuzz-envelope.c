/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the header section of a message against an envelope. What must hold: every recipient
 * stands in the header section afterwards, with the field that is added in front, and a second look
 * finds nothing to add.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/https/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const recipients[] = {
	    "a@example.net", "b@example.net", "\"q,q\"@example.net"};
	struct buf bcc = BUF_INIT(64 * 1024), why = BUF_INIT(64 * 1024),
		   whole = BUF_INIT(1024 * 1024), again = BUF_INIT(64 * 1024);
	size_t added, more;
	int r = envelope_fit((const char *)data, size, recipients, 3, &bcc, &added, &why);

	if (r == -EBADMSG && why.len == 0)
		abort();
	if (r == 0 && (added > 0) != (bcc.len > 0))
		abort();
	if (r == 0 && size < 512 * 1024) {
		(void)buf_append(&whole, bcc.data, bcc.len);
		(void)buf_append(&whole, data, size);
		if (envelope_fit(buf_str(&whole), whole.len, recipients, 3, &again, &more, &why) !=
			0 ||
		    more != 0)
			abort();
	}
	buf_free(&bcc);
	buf_free(&why);
	buf_free(&whole);
	buf_free(&again);
	return 0;
}

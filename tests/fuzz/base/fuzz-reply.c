/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-reply: a server's replies (base/smtp/smtp.h), line by line. The text for people is printable
 * whatever came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/smtp/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply_parser p = {0};
	struct smtp_reply reply = {0};
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((lf == NULL ? end : lf) - at);
		int r = smtp_reply_parser_line(&p, at, len);

		if (r < 0)
			break;
		if (r == 1) {
			if (smtp_reply_parser_take(&p, SMTP_STAGE_MAIL, &reply) < 0)
				break;
			if (reply.code < 200 || reply.code > 599 ||
			    strlen(reply.enhanced) >= sizeof(reply.enhanced))
				abort();
			for (const char *c = reply.text; *c != '\0'; c++)
				if ((unsigned char)*c < ' ' || *c == 0x7f)
					abort();
		}
		at += len + (lf != NULL);
	}
	smtp_reply_parser_free(&p);
	smtp_reply_clear(&reply);
	return 0;
}

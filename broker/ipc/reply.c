/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* reply.c: see reply.h. */
#include "broker/ipc/reply.h"

#include <errno.h>
#include <string.h>

enum { REPLY_HEAD = 10, REPLY_TEXT_MAX = 2000 };

size_t
reply_cut(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len <= max)
		return len;
	for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
		;
	return len;
}

void
reply_put(struct message *m, enum field f, const struct smtp_reply *r)
{
	char bytes[REPLY_HEAD + sizeof(r->enhanced) + REPLY_TEXT_MAX];
	size_t enhanced = strnlen(r->enhanced, sizeof(r->enhanced) - 1);
	size_t text = r->text == NULL ? 0 : reply_cut(r->text, REPLY_TEXT_MAX);

	bytes[0] = (char)(r->code >> 8);
	bytes[1] = (char)(r->code & 0xff);
	bytes[2] = (char)r->stage;
	bytes[3] = (char)r->fault;
	bytes[4] = r->in_doubt ? 1 : 0;
	for (int i = 0; i < 4; i++)
		bytes[5 + i] = (char)(r->retry_after >> (24 - 8 * i) & 0xff);
	bytes[9] = (char)enhanced;
	memcpy(bytes + REPLY_HEAD, r->enhanced, enhanced);
	if (text > 0)
		memcpy(bytes + REPLY_HEAD + enhanced, r->text, text);
	message_put_bytes(m, f, bytes, REPLY_HEAD + enhanced + text);
}

int
reply_get(const uint8_t *bytes, size_t len, struct smtp_reply *ret)
{
	size_t enhanced;

	*ret = (struct smtp_reply){0};
	if (len < REPLY_HEAD)
		return -EPROTO;
	enhanced = bytes[9];
	if (enhanced >= sizeof(ret->enhanced) || len - REPLY_HEAD < enhanced ||
	    bytes[2] >= SMTP_STAGE_COUNT || bytes[3] >= SMTP_FAULT_COUNT)
		return -EPROTO;
	ret->code = bytes[0] << 8 | bytes[1];
	if (ret->code > 599)
		return -EPROTO;
	ret->stage = (enum smtp_stage)bytes[2];
	ret->fault = (enum smtp_fault)bytes[3];
	ret->in_doubt = bytes[4] != 0;
	for (int i = 0; i < 4; i++)
		ret->retry_after = ret->retry_after << 8 | bytes[5 + i];
	memcpy(ret->enhanced, bytes + REPLY_HEAD, enhanced);
	ret->text =
	    strndup((const char *)bytes + REPLY_HEAD + enhanced, len - REPLY_HEAD - enhanced);
	return ret->text == NULL ? -ENOMEM : 0;
}

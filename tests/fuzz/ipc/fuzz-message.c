/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Packets as a broken or taken-over process may send them. The first two octets choose sender and
 * receiver; the rest goes through a real socket. A packet that message_check lets pass is read
 * field by field: every octet of every field must be there to read, and every text must end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/ipc/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void
touch(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sink += bytes[i];
}

static void
read_all(const struct message *m)
{
	for (int f = 1; f < 160; f++) {
		const uint8_t *bytes;
		const char *text;
		uint64_t value;
		size_t at = 0, len;

		while (message_next(m, (enum field)f, &at, &bytes, &len))
			touch(bytes, len);
		switch (f) {
		case F_NAME:
		case F_ACCOUNT:
		case F_TEXT:
			at = 0;
			while (message_next_str(m, (enum field)f, &at, &text))
				sink += strlen(text);
			break;
		case F_ID:
		case F_USER:
			at = 0;
			while (message_next_u64(m, (enum field)f, &at, &value))
				sink += value;
			break;
		case F_RESULT:
			at = 0;
			while (message_next(m, F_RESULT, &at, &bytes, &len)) {
				struct smtp_reply r;

				if (reply_get(bytes, len, &r) == 0)
					smtp_reply_clear(&r);
			}
			break;
		default:
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int pair[2] = {-1, -1};
	struct message *m = NULL;
	const char *why;
	int fd = -1;

	if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	if (size < 3)
		return 0;
	if (send(pair[0], data + 2, size - 2, 0) != (ssize_t)(size - 2))
		return 0; /* larger than the socket's buffer */
	if (message_read(pair[1], &m, &fd) == 1) {
		if (message_check(m, (enum role_id)(data[0] % ROLE_COUNT),
			(enum role_id)(data[1] % ROLE_COUNT), (data[0] & 0x80) != 0, &why) == 0)
			read_all(m);
		else if (why == NULL)
			abort();
	}
	(void)message_free(m);
	return 0;
}

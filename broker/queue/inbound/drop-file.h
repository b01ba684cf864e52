/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * drop-file.h: the format of a file in the drop directory, which is what the shim writes and nothing
 * else:
 *
 *	EHLO name CRLF
 *	MAIL FROM:<sender> parameters CRLF
 *	RCPT TO:<recipient> parameters CRLF    once or more
 *	BDAT n CRLF, n octets                  any number
 *	BDAT n LAST CRLF, n octets             once
 *	QUIT CRLF                              and the end of the file
 *
 * A file that is anything else from its first octet to its last was not written for the drop
 * directory, whoever owns it. Neither was one with more lines than sendmail would write: so looking at
 * a file takes a bounded time.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_DROP_FILE_H
#define FRANK_BROKER_QUEUE_INBOUND_DROP_FILE_H

#include <stddef.h>

/* What a reader wants of the file; each may be NULL. Negative errno ends the reading; so does 1, as
 * enough. */
struct drop_file_ops {
	/* The arguments of MAIL and RCPT, behind the verb and its space; borrowed. */
	int (*mail)(void *arg, const char *argument, size_t len);
	int (*rcpt)(void *arg, const char *argument, size_t len);
	/* The content, in pieces. */
	int (*content)(void *arg, const char *bytes, size_t len);
};

/*
 * Reads the file from its beginning; its position is not used. Without `content` the content is
 * skipped, so that looking at a file of any size costs little. 0; -EBADMSG where it does not have the
 * format above; another negative errno of reading or of `ops`;
 * 1 where `ops` had enough.
 */
int drop_file_read(int fd, const struct drop_file_ops *ops, void *arg);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * mail-content.h: what a person would read of a message: its fields, its texts, its attachments' names.
 * No I/O.
 */
#ifndef FRANK_ADMIN_MAIL_CONTENT_H
#define FRANK_ADMIN_MAIL_CONTENT_H

#include <stddef.h>

/* Called for each thing; strings are UTF-8 where the message says what they are, and borrowed for the call. A
 * return other than 0 ends the reading. Members may be NULL. */
struct mail_visit {
	/* A field of the message's own header, unfolded, encoded words (RFC 2047) decoded. */
	int (*field)(void *arg, const char *name, const char *value);
	/* A part of the type text/..., without its transfer encoding: HTML with its tags. Ends in a NUL that `len` leaves
	 * out. */
	int (*text)(void *arg, const char *text, size_t len);
	/* The file name of a part that has one. */
	int (*file)(void *arg, const char *name);
};

/* Reads a message. Parts within more than MAIL_DEPTH_MAX others, and those behind the MAIL_PARTS_MAX-th, are not looked
 * at. 0, what a function returned, or -ENOMEM. */
enum { MAIL_DEPTH_MAX = 30, MAIL_PARTS_MAX = 1000 };
int mail_read(const char *message, size_t len, const struct mail_visit *visit, void *arg);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * own-mail.h: the header section of a mail that Frank writes itself: reports about messages,
 * notifications, the messages of `frank check` and `frank test`. Pure.
 */
#ifndef FRANK_BROKER_MESSAGE_OWN_MAIL_H
#define FRANK_BROKER_MESSAGE_OWN_MAIL_H

#include "base/buf.h"

/* Everything is borrowed for the call. */
struct own_mail {
	const char *name; /* of the sender, as people see it; "" for none */
	const char *from;
	const char *const *to; /* addresses */
	size_t to_count;       /* at least 1 */
	const char *subject;
	const char *date, *id; /* NULL: whoever takes the mail adds them */
	bool
	    is_reply; /* an answer to a message of somebody: auto-replied, otherwise auto-generated (RFC
			* 3834 section 5). Neither is answered by another program. */
	const char *extra; /* fields of this kind of mail alone, each with its CRLF; NULL: none */
	const char *type, *encoding; /* of the content: Content-Type, Content-Transfer-Encoding */
};

/* Appends the header section and the empty line behind it, with CRLF line ends. Control characters in
 * the subject become spaces. 0, -ENOMEM, -ENOBUFS. */
int own_mail_header(struct buf *out, const struct own_mail *m);

/* Appends a Message-ID, "<unique@domain>", with the domain of `from` or, where that has none,
 * `hostname`. 0, -ENOMEM, -ENOBUFS. */
int own_mail_id(struct buf *out, const char *unique, const char *from, const char *hostname);

/* Appends text that may come from outside on one line: control characters become spaces, so none of it
 * becomes a header field or ends the message. */
void own_mail_line(struct buf *out, const char *text);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * query.h: Mailpit's search language.
 *
 *   word "several words"       anywhere in addresses, subject, text and names of attachments
 *   from: to: cc: bcc: reply-to: addressed: subject: message-id: TEXT
 *   tag:NAME mailbox:ADDRESS   the whole name; mailbox: is ours
 *   before:DATE after:DATE     2026-12-31, 2026-12-31 23:59[:59], 2026-12-31T23:59:59Z or +01:00
 *   larger:SIZE smaller:SIZE   octets, or with k, kb, m, mb
 *   is:read is:unread is:tagged has:attachment has:inline
 *
 * All of them hold for a message that is found; '-' or '!' in front turns one around. Case does not
 * matter. Source: https://mailpit.axllent.org/docs/usage/search-filters/. As there, a date that is
 * none is left out, and an unknown word before a colon is text.
 *
 * Pure: no clock, no file.
 */
#ifndef FRANK_INBOX_QUERY_H
#define FRANK_INBOX_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INBOX_QUERY_TERMS_MAX = 64, INBOX_QUERY_TEXT_MAX = 4096 };

enum inbox_field {
	INBOX_FIELD_TEXT,
	INBOX_FIELD_FROM,
	INBOX_FIELD_TO,
	INBOX_FIELD_CC,
	INBOX_FIELD_BCC,
	INBOX_FIELD_REPLY_TO,
	INBOX_FIELD_ADDRESSED,
	INBOX_FIELD_SUBJECT,
	INBOX_FIELD_MESSAGE_ID,
	INBOX_FIELD_TAG,
	INBOX_FIELD_MAILBOX,
	INBOX_FIELD_AFTER,
	INBOX_FIELD_BEFORE,
	INBOX_FIELD_LARGER,
	INBOX_FIELD_SMALLER,
	INBOX_FIELD_READ,
	INBOX_FIELD_UNREAD,
	INBOX_FIELD_TAGGED,
	INBOX_FIELD_INLINE,
	INBOX_FIELD_ATTACHMENT,
};

struct inbox_term {
	enum inbox_field field;
	bool exclude;
	bool
	    zoned; /* a date with a time zone: `number` is UTC; else local time, counted as if it were UTC */
	char *text;     /* fields of text; cleaned like what is searched */
	int64_t number; /* dates: seconds since 1970; sizes: octets */
};

struct inbox_query {
	struct inbox_term terms[INBOX_QUERY_TERMS_MAX];
	size_t count;
};

/* Reads a query of at most INBOX_QUERY_TEXT_MAX octets. 0, -E2BIG (too long, or too many terms) or -ENOMEM;
 * `q` holds nothing then. Words that mean nothing are left out, so that it may be empty. */
int inbox_query_parse(struct inbox_query *q, const char *text, size_t len);
/* Releases what the terms hold. */
void inbox_query_clear(struct inbox_query *q);

/* Text as it is searched: lower case, without line ends and <>",;(), white space folded. NULL: no memory. The
 * caller frees it. */
char *inbox_query_clean(const char *text, size_t len);

/* Reads a date as before: and after: take it; false: it is none. */
bool inbox_query_date(const char *text, int64_t *ret_seconds, bool *ret_zoned);

#endif

/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fields.h: header fields as they are written: mailboxes, encoded words, folds, dates. Pure.
 *
 * Everything appended ends without a line end unless said otherwise. Results are those of buf.h.
 */
#ifndef FRANK_BROKER_MESSAGE_FIELDS_H
#define FRANK_BROKER_MESSAGE_FIELDS_H

#include <stdint.h>

#include "base/buf.h"

/* RFC 5322 section 2.1.1: octets of a line without its CRLF. */
enum { FIELDS_LINE_MAX = 998 };

/* RFC 5322 section 3.3: "Mon, 23 Nov 2026 10:00:00 +0100". `offset`: minutes east of UTC. */
int fields_date(struct buf *out, int64_t seconds, int offset);

/* `Name <address>`: the name quoted or as encoded words where it needs to be; without a name the
 * address alone. Control characters in the name become spaces. `charset` as for fields_encode_text. */
int fields_mailbox(struct buf *out, const char *name, const char *charset, const char *address);

/* Is the text UTF-8 throughout (as ASCII is)? */
bool fields_is_utf8(const char *s, size_t len);

/*
 * The value of a field whose text is free (Subject, Comments, X-...): words with octets above 0x7F
 * become encoded words (RFC 2047), everything else stays byte for byte. Text that is not UTF-8 is
 * labelled with `charset`, what the message says of itself, or where that is "" as unknown-8bit (RFC
 * 1428), so that no octet is lost.
 */
int fields_encode_text(struct buf *out, const char *value, size_t len, const char *charset);

/*
 * The value of a field of addresses: the same for display names, quoted or not, and comments.
 * Addresses stay as they are; *ret_utf8 becomes true where one has octets above 0x7F: such a
 * message needs SMTPUTF8.
 */
int fields_encode_addresses(
    struct buf *out, const char *value, size_t len, const char *charset, bool *ret_utf8);

/*
 * Appends a field, line ends included, so that no line is over FIELDS_LINE_MAX octets: longer ones
 * are folded before white space. *ret_split becomes true where there was none and a line was cut,
 * which inserts a space. Lines of white space alone, which RFC 5322 section 3.2.2 forbids, are left
 * out. `field` has CRLF line ends, and ends in one.
 */
int fields_fold(struct buf *out, const char *field, size_t len, bool *ret_split);

/* The same, but octet by octet where no line is too long. */
int fields_fold_long(struct buf *out, const char *field, size_t len, bool *ret_split);

/* Where to cut a line of `len` octets so that at most `max` stay before the cut and no UTF-8
 * sequence is torn. */
size_t fields_cut(const char *line, size_t len, size_t max);

#endif

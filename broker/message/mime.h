/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * mime.h: what a Content-Type field says (RFC 2045 section 5.1). Pure.
 */
#ifndef FRANK_BROKER_MESSAGE_MIME_H
#define FRANK_BROKER_MESSAGE_MIME_H

#include "base/buf.h"
#include "base/header.h"

enum { MIME_CHARSET_MAX = 40 };

/* Does the field's value begin with `word`, without regard to case and white space in front? */
bool mime_value_begins(const struct header_field *f, const char *word);

/* Does it say that the content is text whose lines end as lines do? Not in a charset of wider units, such as UTF-16. */
bool mime_is_text(const struct header_field *type);

/* Is it of a type whose content a signature or an encryption covers octet by octet (RFC 1847, RFC 8551)? */
bool mime_is_signed(const struct header_field *type);

/* The value of the parameter `name`, its quotes taken away, as a string of less than `size` octets.
 * False where it is not there, empty, or too long. */
bool mime_parameter(const struct header_field *type, const char *name, char *ret, size_t size);

/* The charset that the field declares, where it is one that an encoded word can be labelled with (RFC
 * 2047 section 2) and has octets above 0x7F; "" where there is none. `ret` has MIME_CHARSET_MAX + 1 octets. */
void mime_charset(const struct header_field *type, char *ret);

/* The octets of the character at `s`, of which `len` >= 1 are there: at least 1, at most `len`. Of an ISO-2022
 * charset a run of double octets counts as one, with the escapes around it. */
size_t mime_char_length(const char *charset, const char *s, size_t len);

/* An encoded word (RFC 2047). */
struct mime_word {
	char charset[MIME_CHARSET_MAX + 1];
	struct buf text;   /* decoded; the caller gives it a bound, and frees it */
	const char *begin; /* its first octet, */
	const char *end;   /* and behind its last */
};

/* The next "=?charset?B?text?=" in [at, end): 1, 0 where there is none, or a negative errno for one that cannot be
 * decoded. */
int mime_next_word(const char *at, const char *end, struct mime_word *w);

/* Appends what the content is without its transfer encoding (`encoding` is that of the field, or NULL; an unknown
 * one is none). Octets that the encoding has no meaning for are passed over, as readers of mail do. 0 or negative
 * errno. */
int mime_decode(
    const struct header_field *encoding, const char *content, size_t len, struct buf *out);

#endif

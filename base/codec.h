/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * codec.h: the encodings of the mail and OAuth protocols: base64, base64url, xtext, percent-encoding, hex.
 *
 * Each appends to a buffer and returns 0, -ENOBUFS or -ENOMEM as buf.h says, and for decoders -EBADMSG when the
 * input breaks the encoding's rules (nothing is skipped: RFC 4954 section 4 wants foreign characters refused).
 */
#ifndef FRANK_BASE_CODEC_H
#define FRANK_BASE_CODEC_H

#include <stdint.h>

#include "base/buf.h"

/* Base64 with padding (RFC 4648 section 4), as SASL uses it. */
int base64_encode(struct buf *out, const void *data, size_t len);
int base64_decode(struct buf *out, const char *text, size_t len);

/* The URL-safe alphabet without padding (RFC 4648 section 5; RFC 7636 appendix A). */
int base64url_encode(struct buf *out, const void *data, size_t len);
int base64url_decode(struct buf *out, const char *text, size_t len);

/* xtext of RFC 3461 section 4: 0x21-0x7E but '+' and '=' as they are, all else as +HH. */
int xtext_encode(struct buf *out, const char *text, size_t len);
int xtext_decode(struct buf *out, const char *text, size_t len);

/* application/x-www-form-urlencoded: unreserved characters of RFC 3986 as they are, all else %HH. The decoder
 * also takes '+' for a space. */
int form_encode(struct buf *out, const void *data, size_t len);
int form_decode(struct buf *out, const char *text, size_t len);

/* Lower-case hexadecimal. */
int hex_encode(struct buf *out, const void *data, size_t len);

/* What a hexadecimal digit stands for, or -1. */
int hex_value(char c);

/* Is the text this word, without regard to ASCII case? */
bool text_is(const char *text, size_t len, const char *word);

/* Reads decimal digits and nothing else. False where there are none, or the number does not fit: *ret is then unchanged. */
bool text_number(const char *text, size_t len, uint64_t *ret);

/* Does the text hold an octet above 0x7F? */
bool text_has_eight_bit(const char *text, size_t len);

/* The length of the well-formed UTF-8 character (RFC 3629) at `s`, and its code point where `ret_point` is not NULL;
 * 0 where there is none. */
size_t utf8_length(const char *s, size_t len, uint32_t *ret_point);

/* Appends the character `point`, or U+FFFD for what is none (NUL, a surrogate, beyond U+10FFFF). */
int utf8_append(struct buf *out, uint32_t point);

/* May a terminal get this character as it is? Not a control, and nothing that ends or turns round a line. */
bool text_is_printable(uint32_t point);

/* Text for a log or a terminal: printable UTF-8 as it is, backslash doubled, all else \xHH (also the
 * characters that end a line or change its direction); `quotes` also escapes '"'. */
int text_escape(struct buf *out, const void *data, size_t len, bool quotes);

/* At most `max` octets of a text from outside, for a sentence that is escaped where it is shown: printable UTF-8 as it
 * is, each run of white space and control characters as one space (none at either end), characters without a width or
 * that change the direction left out, an octet of no character as '?'. What is longer ends in "...", between
 * characters. */
int text_plain(struct buf *out, const char *text, size_t len, size_t max);

/* Text that was escaped already, and may have been cut since or joined with what was not: LF and
 * printable UTF-8 as they are, each other octet as '?'. */
int text_clean(struct buf *out, const char *text);

#endif
